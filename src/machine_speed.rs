//! How fast the machine is just now: a fixed amount of work on a processor of each side, before every measurement.
//!
//! A virtual machine has neighbours of which no clock of its own tells, and a processor that grew warm is slower. Neither is
//! seen in the time that others took from the server. So the same work is timed each time; where it takes longer than it
//! has, the measurement waits a moment, and is told how much slower the machine was when it began all the same.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use crate::cpus::CpuList;
use crate::plan::Placement;

/// By how much slower than it has been a machine is not itself. Ordinary noise of this work is 5 to 10 %.
const SLOW: f64 = 1.3;

/// Turns of the work: about a millisecond.
const TURNS: u64 = 1_000_000;

/// How often the work is done for one look, of which the middle counts.
const REPEATS: usize = 5;

/// How long a measurement waits for the machine at the most, and between two looks.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);

/// What the work took so far.
#[derive(Debug)]
pub struct MachineSpeed {
    /// One processor of each side, and the shortest time there.
    places: Vec<(CpuList, Duration)>,
}

impl MachineSpeed {
    pub fn new(placement: &Placement) -> Self {
        let sides = [&placement.server, &placement.generator].into_iter().flatten();
        let one = std::num::NonZeroUsize::MIN;
        Self { places: sides.map(|cpus| (cpus.first(one), Duration::MAX)).collect() }
    }

    /// Waits until the machine is about as fast as it has been, if that is soon; says by how much it is slower.
    pub fn settle(&mut self) -> f64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let slowdown = self.look();
            if slowdown <= SLOW || Instant::now() >= deadline {
                return slowdown;
            }
            thread::sleep(PAUSE);
        }
    }

    /// The slowest side, as a ratio to its best.
    fn look(&mut self) -> f64 {
        let looks = self.places.iter_mut().filter_map(|(cpus, shortest)| {
            let time = time_on(cpus)?;
            *shortest = time.min(*shortest);
            Some(time.as_secs_f64() / shortest.as_secs_f64())
        });
        looks.fold(1.0, f64::max)
    }
}

/// Whether a measurement that began so much slower says little of its server.
pub fn is_slow(slowdown: f64) -> bool {
    slowdown > SLOW
}

/// The time of the work on these processors; `None` where no thread can be had there.
fn time_on(cpus: &CpuList) -> Option<Duration> {
    thread::scope(|scope| {
        let work = || cpus.pin().ok().map(|()| middle_time());
        thread::Builder::new().spawn_scoped(scope, work).ok()?.join().ok()?
    })
}

fn middle_time() -> Duration {
    let mut times = [(); REPEATS].map(|()| {
        let begin = Instant::now();
        let mut number = 1_u64;
        for turn in 0..TURNS {
            number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(turn));
        }
        begin.elapsed()
    });
    times.sort_unstable();
    times[REPEATS / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_compares_with_the_best_there_was() {
        let cpus = CpuList::available().unwrap().first(std::num::NonZeroUsize::MIN);
        let mut speed = MachineSpeed { places: vec![(cpus, Duration::MAX)] };
        assert!(speed.look() <= 1.0, "there was none before");
        speed.places[0].1 = Duration::from_nanos(1);
        assert!(is_slow(speed.look()));
    }

    #[test]
    fn where_nothing_is_pinned_nothing_is_known() {
        assert!(!is_slow(MachineSpeed { places: Vec::new() }.settle()));
    }
}
