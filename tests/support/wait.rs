//! Waiting for conditions: asked again and again until they hold, never a sleep that hopes.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything that has to happen may take. Generous, since the machine may be busy with the other tests; nothing
/// here measures speed.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks.
const STEP: Duration = Duration::from_millis(3);

/// Waits until `condition` holds and fails with `what` if it never does.
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(PATIENCE, condition), "after {PATIENCE:?} still not: {what}");
}

/// Whether `condition` comes to hold within `time`.
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
