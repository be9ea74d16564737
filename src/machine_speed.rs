//! Speed of the machine at the moment: a fixed amount of work is timed on a processor of each side,
//! before every measurement.
//!
//! A virtual machine has neighbours that none of its clocks shows, and a processor that has grown
//! warm is slower. Neither is seen in the time that others took from the server. So the same work
//! is timed before each measurement. If it takes longer than before, the measurement waits a
//! moment. The measurement then begins in any case, and its record holds the factor by which the
//! machine was slower.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use crate::cpus::CpuList;
use crate::plan::Placement;

/// Ratio to the best time above which the machine counts as slow. Ordinary noise of this work is 5
/// to 10 %.
const SLOW: f64 = 1.3;

/// Turns of the work: they take about a millisecond, even in a build without optimisation.
const TURNS: u64 = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };

/// Number of times that the work is done for one look; their median is used.
const REPEATS: usize = 5;

/// Longest time that a measurement waits for the machine, and the pause between two looks.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);

/// Shortest time of the work so far, on each side.
#[derive(Debug)]
pub struct MachineSpeed {
    /// One processor of each side, and the shortest time of the work there.
    places: Vec<(CpuList, Duration)>,
}

impl MachineSpeed {
    pub fn new(placement: &Placement) -> Self {
        let sides = [&placement.server, &placement.generator].into_iter().flatten();
        let one = std::num::NonZeroUsize::MIN;
        Self { places: sides.map(|cpus| (cpus.first(one), Duration::MAX)).collect() }
    }

    /// Waits until the machine is about as fast as before, if that happens soon. Returns the factor
    /// by which it is slower.
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

    /// Times the work once, and returns the time of the slowest side as a ratio to its best.
    fn look(&mut self) -> f64 {
        let looks = self.places.iter_mut().filter_map(|(cpus, shortest)| {
            let time = time_on(cpus)?;
            *shortest = time.min(*shortest);
            Some(time.as_secs_f64() / shortest.as_secs_f64())
        });
        looks.fold(1.0, f64::max)
    }
}

/// True if a measurement that began with this slowdown says little about its server.
pub fn is_slow(slowdown: f64) -> bool {
    slowdown > SLOW
}

/// Times the work on these processors; `None` if no thread can be started there.
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
    fn without_pinning_the_speed_is_unknown() {
        assert!(!is_slow(MachineSpeed { places: Vec::new() }.settle()));
    }
}
