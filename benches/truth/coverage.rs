//! How often the confidence intervals of latency percentiles hold the truth.

use crate::simulation::PROCESSES;
use anyhow::Result;
use std::fmt::Write;
use std::time::Duration;

pub fn run(_quick: bool) -> Result<String> {
    let mut text = String::new();
    for process in PROCESSES {
        let measured = process.run(1, Duration::from_secs(2000), 1000.0);
        let truth = process.truth_ns([0.5, 0.9, 0.99, 0.999]);
        writeln!(
            text,
            "{} {:?} {:?}",
            process.name,
            truth,
            [0.5, 0.9, 0.99, 0.999].map(|q| measured.times.latency.value_at_quantile(q))
        )?;
    }
    Ok(text)
}
