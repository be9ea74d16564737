//! Several event loops, each on a thread of its own.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use crate::thread_limit::start_error;
use crate::{Options, Shutdown};

/// Runs a loop for each of `inputs` until all have ended. If one fails, the others are told to
/// stop.
pub fn run_each<T: Send>(
    inputs: impl IntoIterator<Item = T>,
    shutdown: &Shutdown,
    run: impl Fn(T) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let run = &run;
    thread::scope(|scope| {
        let start = |input| {
            thread::Builder::new().spawn_scoped(scope, move || {
                let ended = catch_unwind(AssertUnwindSafe(|| run(input)));
                if !matches!(ended, Ok(Ok(()))) {
                    shutdown.signal();
                }
                ended.unwrap_or_else(|panic| resume_unwind(panic))
            })
        };
        let mut threads = Vec::new();
        let mut started = Ok(());
        for input in inputs {
            match start(input) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    shutdown.signal();
                    started = Err(start_error("a thread for an event loop (--workers)", &error));
                    break;
                }
            }
        }
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        // Waits for all threads; the first error is returned.
        ended.fold(started, io::Result::and)
    })
}

/// Returns the connection limit of each event loop; the limits add up to the limit of the server.
pub fn connection_limits(options: &Options) -> impl Iterator<Item = usize> + use<> {
    shares(options.max_connections.get(), options.event_loops())
}

/// Divides `total` among event loops as evenly as possible; the shares add up to `total`.
pub fn shares(total: usize, loops: usize) -> impl Iterator<Item = usize> {
    (0..loops).map(move |i| total / loops + usize::from(i < total % loops))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_limit_is_divided_without_a_remainder() {
        let number = |number| std::num::NonZero::new(number);
        for (workers, max, expected) in
            [(3, 8, &[3, 3, 2][..]), (2, 3, &[2, 1]), (8, 2, &[1, 1]), (1, 5, &[5])]
        {
            let max_connections = number(max).unwrap();
            let timeouts = crate::http::Timeouts::default();
            let options = Options {
                workers: number(workers),
                handler_threads: None,
                max_connections,
                timeouts,
            };
            assert_eq!(connection_limits(&options).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn no_share_is_more_than_one_above_another() {
        assert_eq!(shares(16, 3).collect::<Vec<_>>(), [6, 5, 5]);
        assert_eq!(shares(1, 3).collect::<Vec<_>>(), [1, 0, 0]);
    }

    #[test]
    fn the_failure_of_one_loop_ends_all() {
        let shutdown = Shutdown::new().unwrap();
        let result = run_each([false, true], &shutdown, |fails| {
            if fails { Err(io::Error::other("it fails")) } else { shutdown.wait() }
        });
        assert_eq!(result.unwrap_err().to_string(), "it fails");
    }
}
