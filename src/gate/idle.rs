//! CPU time of servers that get no requests, while another server is measured.
//!
//! All servers of a block share the same processors. A server that spins while it waits slows the
//! others but not itself: a candidate that spins would seem to be faster than the base that it
//! slows.

use std::time::Instant;

use c10k_ci::block::Arm;

use super::sides::Running;

/// Share of a processor above which a server is busy. A server that waits uses none; timers and
/// garbage collectors use some hundredths.
const BUSY: f64 = 0.05;

/// First reading of all servers but one.
#[derive(Debug)]
pub struct Idle {
    begun: Instant,
    /// CPU time so far, in seconds; a server whose CPU time can't be read is left out.
    used_s: Vec<(Arm, f64)>,
}

impl Idle {
    /// Reads the CPU time of all servers except `measured`.
    pub fn begin(running: &Running, measured: Arm) -> Self {
        let others = running.iter().filter(|(arm, _)| *arm != measured);
        let used_s = others.filter_map(|(arm, server)| Some((*arm, server.server().cpu_s().ok()?)));
        Self { used_s: used_s.collect(), begun: Instant::now() }
    }

    /// Returns the servers that were busy since the first reading.
    pub fn busy(self, running: &Running) -> Vec<Arm> {
        let most_s = BUSY * self.begun.elapsed().as_secs_f64();
        let is_busy = |(arm, before_s): &(Arm, f64)| {
            let now_s = running
                .iter()
                .find(|(other, _)| other == arm)
                .and_then(|(_, server)| server.server().cpu_s().ok());
            now_s.is_some_and(|now_s| now_s - before_s > most_s)
        };
        self.used_s.iter().filter(|one| is_busy(one)).map(|(arm, _)| *arm).collect()
    }
}
