//! Waits for a tool that counts: until it has opened its counters, or has written its counts.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Time between two looks.
const POLL_TIME: Duration = Duration::from_millis(5);

/// Calls `look` until it returns a value, and returns that value; `None` if there is none after
/// `limit`.
pub(super) fn within<T>(limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
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
    use anyhow::bail;

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
    fn an_error_ends_the_wait() {
        let error = within::<u32>(Duration::from_mins(1), || bail!("gone")).unwrap_err();
        assert_eq!(error.to_string(), "gone");
    }
}
