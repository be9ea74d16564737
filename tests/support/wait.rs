//! Waiting for conditions: they are checked again and again until they hold; a test never relies on
//! the length of a sleep.

use std::thread;
use std::time::{Duration, Instant};

/// Longest time that a condition may take to hold. It is long, since the machine may be busy with
/// the other tests; nothing here measures speed.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Pause between two checks.
const STEP: Duration = Duration::from_millis(3);

/// Waits until `condition` holds and fails with `what` if it never does.
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(PATIENCE, condition), "after {PATIENCE:?} still not: {what}");
}

/// Returns true if `condition` holds within `time`.
pub fn holds_within(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(STEP);
    }
}
