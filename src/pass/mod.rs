//! Passes: measurements beside the timed one. Each has a server of its own, because it slows the
//! server or needs another one. One pass, one file, and one line in [`ALL`].
//!
//! A table of workloads says which passes its cells have. Each pass runs once for a cell, in the
//! first round, and its results are added to the readings of that round's record.

mod allocations;
mod counted;
mod definition;
mod hardware_counters;
mod one_connection;
mod perf;
mod system_calls;
mod tool;
mod user_instructions;
mod valgrind;

pub use definition::{Bench, Pass};
pub use system_calls::ensure_strace_works;
pub use tool::within;

/// All passes.
pub const ALL: &[Pass] = &[
    system_calls::PASS,
    hardware_counters::PASS,
    user_instructions::PASS,
    allocations::PASS,
    one_connection::PASS,
];

/// Returns the pass with this name.
pub fn find(name: &str) -> Option<&'static Pass> {
    ALL.iter().find(|pass| pass.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::probe;

    #[test]
    fn no_pass_has_the_name_of_another_or_of_a_probe() {
        let probes = probe::ALL.iter().map(|probe| probe.name);
        let names: HashSet<_> = ALL.iter().map(|pass| pass.name).chain(probes).collect();
        assert_eq!(names.len(), ALL.len() + probe::ALL.len());
    }
}
