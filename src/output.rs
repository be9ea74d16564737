//! What the command says: results on standard output, the rest on standard error. Neither ever makes it panic.

use std::io::{self, Write};

use anyhow::{Result, bail};

/// Prints a result. A reader that has gone away, such as `head`, is no error.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            bail!("cannot write to standard output: {error}")
        }
        _ => Ok(()),
    }
}

/// Says something on the side; if nobody can hear it, the work goes on.
pub fn note(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
