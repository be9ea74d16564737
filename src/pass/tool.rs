//! Common part of the passes that run a tool: a trial run, the last line of its output, and the wait
//! until it has opened its counters or written its counts.

use std::io::ErrorKind;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Time between two looks.
const POLL_TIME: Duration = Duration::from_millis(5);

/// Runs a tool to its end, and returns its output.
///
/// # Errors
/// When the tool is not installed or can't be run.
pub(super) fn output(name: &str, command: &mut Command) -> Result<Output> {
    match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{name} is not installed; install it, such as by `apt-get install {name}`")
        }
        output => output.with_context(|| format!("cannot run {name}")),
    }
}

/// Returns the last line of an output, in which a tool says why it failed.
pub(super) fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.trim().lines().next_back().unwrap_or("it does not say why").to_owned()
}

/// Calls `look` until it returns a value, and returns that value; `None` if there is none after
/// `limit`.
pub fn within<T>(
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let deadline = Instant::now() + limit;
    loop {
        let found = look()?;
        if found.is_some() || Instant::now() >= deadline {
            return Ok(found);
        }
        thread::sleep(POLL_TIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_least_once_and_until_there_is_a_value() {
        assert_eq!(within(Duration::ZERO, || Ok(Some(1))).unwrap(), Some(1));
        assert_eq!(within::<u32>(Duration::ZERO, || Ok(None)).unwrap(), None);
        let mut looks = 0;
        let look = || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        };
        assert_eq!(within(Duration::from_mins(1), look).unwrap(), Some(3));
    }

    #[test]
    fn a_tool_that_is_not_installed_is_named() {
        let error =
            output("no-such-tool", &mut Command::new("no-such-tool")).unwrap_err().to_string();
        assert!(error.starts_with("no-such-tool is not installed"), "{error}");
    }

    #[test]
    fn the_last_line_is_the_reason() {
        assert_eq!(last_line(b"begun\nno permission\n\n"), "no permission");
        assert_eq!(last_line(b"\n"), "it does not say why");
    }

    #[test]
    fn an_error_ends_the_wait() {
        let error = within::<u32>(Duration::from_mins(1), || bail!("gone")).unwrap_err();
        assert_eq!(error.to_string(), "gone");
    }
}
