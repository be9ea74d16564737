//! Reads the states of sockets from the kernel (`sock_diag`) again and again during an exchange.
//!
//! A state that lasts for less than the time between two readings is not read. No reading is made
//! up for it: the ladder shows what the packets imply then, in parentheses.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use c10k_loadgen::sock_diag;

use super::observation::{Observation, Pair, Reading, Side, now_ns};
use super::state::State;

/// Pause between two readings. Without it, a machine with few processors would have none left for
/// client and server.
const PAUSE: Duration = Duration::from_micros(20);

/// Interval at which an end is looked for.
const LOOK: Duration = Duration::from_millis(1);

/// Sockets that are watched, and what was read of them.
#[derive(Debug, Default)]
pub struct Watch {
    watched: Mutex<Watched>,
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct Watched {
    connections: Vec<Pair>,
    readings: Vec<Reading>,
    /// Number of times that all sockets were read.
    rounds: u64,
    error: Option<String>,
}

impl Watch {
    /// Adds a connection, and returns its index.
    pub fn add(&self, pair: Pair) -> usize {
        let mut watched = self.lock();
        watched.connections.push(pair);
        watched.connections.len() - 1
    }

    /// Returns the connection with this index.
    pub fn connection(&self, index: usize) -> Option<Pair> {
        self.lock().connections.get(index).copied()
    }

    /// Reads the sockets of these sides in the namespace of the calling thread, until the watch is
    /// over.
    pub fn read_until_over(&self, sides: &[Side]) {
        while !self.is_over.load(Ordering::Relaxed) {
            let connections = self.lock().connections.clone();
            for (connection, pair) in connections.iter().enumerate() {
                for &side in sides {
                    self.read(connection, *pair, side);
                }
            }
            self.lock().rounds += 1;
            thread::sleep(PAUSE);
        }
    }

    fn read(&self, connection: usize, pair: Pair, side: Side) {
        match sock_diag::state(pair.of(side), pair.of(side.other())) {
            Ok(state) => {
                // The socket was in this state at some time before; this is the latest one.
                let reading = Reading { at_ns: now_ns(), side, connection, state };
                let mut watched = self.lock();
                if last(&watched.readings, connection, side).is_none_or(|last| last.state != state)
                {
                    watched.readings.push(reading);
                }
            }
            Err(error) => self.give_up(&error),
        }
    }

    fn give_up(&self, error: &io::Error) {
        self.lock().error =
            Some(format!("The kernel does not tell the states of sockets: {error}."));
        self.end();
    }

    /// Waits until all sockets were read once more, so that the state before a change is known.
    pub fn wait_for_reading(&self, patience: Duration) {
        let rounds = || self.lock().rounds;
        // The round that is under way may have begun before; the next one has not.
        let enough = rounds() + 2;
        self.wait(patience, || rounds() >= enough);
    }

    /// Waits until all connections are over on both sides; returns false if they are not in time.
    pub fn wait_for_end(&self, patience: Duration) -> bool {
        // Before it was opened, a connection looked as if it was over.
        self.wait_for_reading(patience);
        self.wait(patience, || {
            let watched = self.lock();
            let is_over = |(connection, side)| {
                last(&watched.readings, connection, side).is_some_and(|reading| {
                    let state = reading.state.and_then(State::of_kernel);
                    state.is_none_or(State::is_over)
                })
            };
            let connections = 0..watched.connections.len();
            connections.flat_map(|index| Side::BOTH.map(|side| (index, side))).all(is_over)
        })
    }

    fn wait(&self, patience: Duration, is_done: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + patience;
        while !is_done() {
            if self.is_over.load(Ordering::Relaxed) || Instant::now() >= deadline {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }

    /// Ends the watch.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Moves what was read into `observation`.
    pub fn tell(self, observation: &mut Observation) {
        let watched = self.watched.into_inner().unwrap_or_else(PoisonError::into_inner);
        observation.connections = watched.connections;
        observation.readings = watched.readings;
        observation.readings.sort_by_key(|reading| reading.at_ns);
        observation.no_states = watched.error;
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn last(readings: &[Reading], connection: usize, side: Side) -> Option<&Reading> {
    let is_of = |reading: &&Reading| reading.connection == connection && reading.side == side;
    readings.iter().rev().find(is_of)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Time that a state may take to be read.
    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn the_end_that_closes_first_is_read_in_time_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let ends = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        let watch = Watch::default();
        watch.add(Pair { client: ends.0, server: ends.1 });
        let (end, was_over) = thread::scope(|scope| {
            scope.spawn(|| watch.read_until_over(&Side::BOTH));
            watch.wait_for_reading(PATIENCE);
            drop(server);
            let end = client.read(&mut [0]);
            drop(client);
            let was_over = watch.wait_for_end(PATIENCE);
            // A failure above must not leave the other thread running.
            watch.end();
            (end, was_over)
        });
        assert_eq!(end.unwrap(), 0);
        let mut observation = Observation::default();
        watch.tell(&mut observation);
        if let Some(reason) = observation.no_states {
            return eprintln!("not shown: {reason}");
        }
        assert!(was_over);
        let read = |side| {
            let last = observation.last_reading(0, side).unwrap();
            last.state.and_then(State::of_kernel)
        };
        assert_eq!(read(Side::Server), Some(State::TimeWait));
        assert_eq!(read(Side::Client), None);
        assert_eq!(observation.readings[0].state, Some(1), "{:?}", observation.readings);
    }
}
