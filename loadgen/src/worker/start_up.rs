//! Start-up of a worker: its connections are made and have their first response, then the warm-up
//! begins.

use std::time::Duration;

use super::connecting::Connecting;
use super::slot::{Slot, State};
use crate::clock::nanos;
use crate::plan::Plan;

/// Time to wait for one more first response, once every connection is established; then the warm-up
/// begins anyway, because a server may never have a worker for the remaining connections. No other
/// request is sent meanwhile, so that the server has all of this time to start what it starts for a
/// connection.
pub(crate) const NEXT_FIRST_RESPONSE: Duration = Duration::from_secs(1);

/// Time to wait for all first responses together: the start-up of a server that serves one
/// connection after another must not take longer than the measurement.
const FIRST_RESPONSES: Duration = Duration::from_secs(5);

/// Progress of the start-up.
#[derive(Debug, Default)]
pub(super) struct StartUp {
    is_ready: bool,
    /// True if the warm-up has begun, or the measured part if there is no warm-up.
    is_over: bool,
    /// Limits of the wait for first responses; set once every connection is established.
    wait: Option<Wait>,
}

/// Limits of the wait for first responses: number of connections that have had one, time since
/// which no further one came, and time at which the wait ends.
#[derive(Debug)]
struct Wait {
    answered: usize,
    since: u64,
    until: u64,
}

impl StartUp {
    /// Returns true if the connections of this worker are ready, or as ready as they will become.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Returns true if the connections of all workers are ready.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Ends the start-up, once. Returns false if it is over.
    pub fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.is_over, true)
    }

    /// Tells the plan when the connections of this worker are ready.
    pub fn look(&mut self, slots: &[Slot], connecting: &Connecting, plan: &Plan, now: u64) {
        if !self.is_ready && self.has_begun_serving(slots, connecting, plan, now) {
            self.is_ready = true;
            plan.worker_is_ready(now);
        }
    }

    /// Returns true if every connection was answered or could not be made. A connection that only
    /// waits to be accepted counts as established, so established connections get some time to be
    /// served, but no more: a server may never have a worker for some of them.
    fn has_begun_serving(
        &mut self,
        slots: &[Slot],
        connecting: &Connecting,
        plan: &Plan,
        now: u64,
    ) -> bool {
        // Before any connection is established, nothing can be measured.
        if !plan.is_server_reached() && connecting.has_failed() {
            return false;
        }
        let has_tried =
            |slot: &Slot| slot.was_established || slot.failures > 0 || slot.state == State::Free;
        if !slots.iter().all(has_tried) {
            return false;
        }
        let has_news =
            |slot: &&Slot| slot.was_answered || slot.failures > 0 || slot.state == State::Free;
        let answered = slots.iter().filter(has_news).count();
        answered == slots.len() || self.has_waited_enough(answered, now)
    }

    /// Returns true if no further connection has had its first response for too long, or if the
    /// wait for all of them has taken too long.
    fn has_waited_enough(&mut self, answered: usize, now: u64) -> bool {
        let until = now + nanos(FIRST_RESPONSES);
        let wait = self.wait.get_or_insert(Wait { answered, since: now, until });
        if answered > wait.answered {
            *wait = Wait { answered, since: now, ..*wait };
        }
        now >= wait.until || now >= wait.since + nanos(NEXT_FIRST_RESPONSE)
    }
}
