//! Distributions of times: latencies and their parts.

use hdrhistogram::Histogram;

/// Longest time that can be recorded, in nanoseconds: 10 minutes. Longer times count as this one.
const LONGEST_NS: u64 = 600_000_000_000;

/// Significant digits of a recorded time: 0.1 % of the value, as is usual in the field.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Times in nanoseconds, one value per event, at three significant digits.
pub type Times = Histogram<u64>;

/// Distributions of times, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Distributions {
    /// From the intended send time to the last byte of the response.
    pub latency: Times,
    /// From the actual send to the last byte of the response.
    pub service: Times,
    /// From `connect` to the established connection.
    pub connect: Times,
    /// From the actual send to the first byte of the response.
    pub first_byte: Times,
    /// From the intended send time to the actual send, for requests that found a connection free:
    /// the generator's own lateness.
    pub send_lag: Times,
    /// From the moment at which a request lacked only a connection to the `connect` for it, for
    /// requests for which a connection was made: the generator's own queue.
    pub connect_wait: Times,
    /// Latency without `connect_wait`: the part for which the server, and the way to it, are
    /// responsible.
    pub response: Times,
    /// Values of `latency` that are the ages of requests without a response.
    pub unanswered: Times,
}

/// Returns an empty distribution.
pub fn empty_times() -> Times {
    Histogram::new_with_bounds(1, LONGEST_NS, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants that fit")
}

/// Makes the methods that list all distributions, from one list of their fields. A field that is
/// not in the list does not compile.
macro_rules! listed {
    ($($field:ident),+ $(,)?) => {
        impl Distributions {
            /// Returns the distributions with their names, which are their tags in a log.
            pub fn named(&self) -> [(&'static str, &Times); 8] {
                let Self { $($field),+ } = self;
                [$((stringify!($field), $field)),+]
            }

            fn all_mut(&mut self) -> [&mut Times; 8] {
                let Self { $($field),+ } = self;
                [$($field),+]
            }
        }
    };
}

listed!(latency, service, connect, first_byte, send_lag, connect_wait, response, unanswered);

impl Distributions {
    /// Adds other times, distribution by distribution.
    pub fn add(&mut self, other: &Self) {
        for (mine, (_, theirs)) in self.all_mut().into_iter().zip(other.named()) {
            if !theirs.is_empty() {
                mine.add(theirs).expect("all distributions have the same bounds");
            }
        }
    }
}
