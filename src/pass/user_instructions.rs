//! `user_instructions`: instructions of the server per request in user mode. This is the part of
//! the work that is done by the server's own code and by its libraries.
//!
//! A processor's counter is exact, if the machine has one; a virtual machine often has none.
//! Without a counter, valgrind counts the instructions that it translates (its tool cachegrind,
//! without its caches).

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::definition::{Bench, Pass};
use super::perf;
use super::valgrind::{self, Counter};

pub(super) const PASS: Pass =
    Pass { name: "user_instructions", estimate: Duration::from_secs(4), run: measure };

/// Key of the reading of the instructions.
const KEY: &str = "server_user_instructions_per_request";

/// The event as perf names it; `:u` is user mode.
const EVENTS: &[&str] = &["instructions:u"];

/// Reason why this machine has no counter, if it has none. It is determined once, because base and
/// candidate must be counted by the same means, and the reason of a failed attempt may pass.
static COUNTER: LazyLock<Result<(), String>> =
    LazyLock::new(|| perf::ensure_counters(EVENTS).map_err(|error| format!("{error:#}")));

/// The tool cachegrind without its result file, which says where the instructions are.
const CACHEGRIND: Counter = Counter {
    args: &["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"],
    read,
};

fn measure(bench: &Bench<'_>) -> Result<BTreeMap<String, f64>> {
    let instructions = match &*COUNTER {
        Ok(()) => by_perf(bench)?,
        Err(no_counter) => valgrind::per_request(bench, &CACHEGRIND)
            .map_err(|error| anyhow!("{no_counter}, and {error:#}"))?,
    };
    Ok(BTreeMap::from([(KEY.to_owned(), instructions)]))
}

fn by_perf(bench: &Bench<'_>) -> Result<f64> {
    let counts = perf::per_request(bench, EVENTS)?;
    counts.get("instructions").copied().context("perf counted no instructions")
}

/// Reads `I refs: 1,234`. The number of spaces in it depends on the version of cachegrind.
fn read(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace();
    let is_meant = words.next() == Some("I") && words.next() == Some("refs:");
    valgrind::number(words.next().filter(|_| is_meant)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_instructions_of_a_report() {
        assert_eq!(read("I   refs:      1,234,567"), Some(1_234_567));
        assert_eq!(read("I refs:        42"), Some(42));
        assert_eq!(read("Cachegrind, a cache and branch-prediction profiler"), None);
    }
}
