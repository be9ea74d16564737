//! `hardware_counters`: instructions and processor cycles of the server per request, in user mode
//! and in the kernel. They are counted by `perf stat` in a pass of its own, because counters make
//! every context switch more expensive.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use super::definition::{Bench, Pass};
use super::perf;

pub(super) const PASS: Pass =
    Pass { name: "hardware_counters", estimate: Duration::from_secs(3), run: measure };

/// Events as perf names them.
const EVENTS: &[&str] = &["instructions", "cycles"];

fn measure(bench: &Bench<'_>) -> Result<BTreeMap<String, f64>> {
    perf::ensure_counters(EVENTS)?;
    let counts = perf::per_request(bench, EVENTS)?;
    Ok(counts
        .into_iter()
        .map(|(event, count)| (format!("server_{event}_per_request"), count))
        .collect())
}
