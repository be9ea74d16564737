//! `tasks`: threads of all the server's processes at the end of the measured part.

use super::definition::{Probe, Read};
use super::tree::{Member, Tree};

pub(super) const PROBE: Probe =
    Probe { name: "tasks", read: Read::AtEnd(|tree| Ok(vec![("tasks", count(tree) as f64)])) };

/// Returns the number of threads.
pub(super) fn count(tree: &Tree) -> u64 {
    tree.members.iter().map(Member::threads).sum()
}

#[cfg(test)]
mod tests {
    use super::super::Watch;
    use super::super::fixture::Shell;

    #[test]
    fn children_count() {
        let mut shell = Shell::start("echo; (read line; echo; read line); :");
        let watch = Watch::begin(shell.pid());
        shell.ask();
        assert_eq!(watch.end().values.get("tasks"), Some(&2.0));
    }
}
