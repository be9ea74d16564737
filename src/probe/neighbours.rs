//! `neighbours`: time for which others used the server's processors, and time for which these
//! processors were idle.
//!
//! The server's wait for the others is `server_cpu_wait_s`, which the probe `context_switches`
//! reads. If the generator may run on the same processors, it is one of the others.

use anyhow::Result;

use super::cpu;
use super::definition::{Finish, Probe, Read};
use super::tree::Tree;
use crate::processor_time::Look;

pub(super) const PROBE: Probe = Probe { name: "neighbours", read: Read::Both(begin) };

fn begin(tree: &Tree) -> Result<Finish> {
    let cpus = tree.cpus()?;
    let begin = Look::at(&cpus)?;
    let used_s = cpu::total_s(tree)?;
    Ok(Box::new(move |tree| {
        let spent = Look::at(&cpus)?.since(begin);
        let own_s = cpu::total_s(tree)? - used_s;
        Ok(vec![
            ("server_neighbours_s", (spent.by_tasks_s - own_s).max(0.0)),
            ("server_idle_s", spent.idle_s),
        ])
    }))
}

#[cfg(test)]
mod tests {
    use super::super::Watch;
    use super::super::fixture::Shell;

    /// Two of them, so that a busy machine can't hide both.
    const BUSY: &str =
        "echo; read line; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo; read line";

    #[test]
    fn another_program_on_the_same_processors_counts_and_the_server_does_not() {
        let server = Shell::start("echo; read line");
        let mut other = Shell::start(BUSY);
        let watch = Watch::begin(server.pid());
        other.ask();
        let readings = watch.end();
        assert!(readings.values["server_neighbours_s"] > 0.02, "{readings:?}");
        assert!(readings.values["server_idle_s"] >= 0.0, "{readings:?}");
    }
}
