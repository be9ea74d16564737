//! `allocations`: number of times that the server asks its allocator for memory, per request. They
//! are counted by valgrind, which replaces the server's allocator with its own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use super::definition::{Bench, Pass};
use super::valgrind::{self, Counter};

pub(super) const PASS: Pass =
    Pass { name: "allocations", estimate: Duration::from_secs(4), run: measure };

/// Key of the reading of the allocations.
const KEY: &str = "server_allocations_per_request";

/// The tool memcheck without its checks, because only its count of allocations is read: it neither
/// looks for leaks nor tracks undefined values.
const MEMCHECK: Counter =
    Counter { args: &["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"], read };

fn measure(bench: &Bench<'_>) -> Result<BTreeMap<String, f64>> {
    Ok(BTreeMap::from([(KEY.to_owned(), valgrind::per_request(bench, &MEMCHECK)?)]))
}

/// Reads `total heap usage: 1,234 allocs, 1,233 frees, 56,789 bytes allocated`.
fn read(line: &str) -> Option<u64> {
    let (allocations, _) = line.trim().strip_prefix("total heap usage:")?.split_once("allocs")?;
    valgrind::number(allocations.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_allocations_of_a_report() {
        let line = "  total heap usage: 1,234 allocs, 1,230 frees, 56,789 bytes allocated";
        assert_eq!(read(line), Some(1_234));
        assert_eq!(read("    in use at exit: 1,234 bytes in 4 blocks"), None);
    }
}
