//! Output of the command: results on standard output, everything else on standard error. A failed
//! write never makes it panic.

use std::io::{self, Write};

use anyhow::{Result, bail};

/// Prints a result. A reader that has closed the pipe, such as `head`, is no error.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            bail!("cannot write to standard output: {error}")
        }
        _ => Ok(()),
    }
}

/// Writes a message to standard error. If that fails, the work continues.
pub fn note(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
