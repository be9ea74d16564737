//! Gates that are ended while they build: by Ctrl-C, and by a signal that no program can handle.

use rustix::process::Signal;

use crate::repository::Repository;
use crate::support::{error, interrupted, signal};
use crate::wait;

#[test]
fn an_interrupt_ends_a_build_with_all_its_children() {
    let Some(repository) = Repository::new("sleep 1001 & sleep 1002 & wait") else { return };
    let before = repository.state();
    for sent in [Signal::INT, Signal::TERM] {
        let child = repository.start(&["--base", "first"]);
        wait::until("the build has begun", || repository.0.has_processes_of("sleep"));
        interrupted(&signal(child, sent));
        wait::until("no process is left", || !repository.0.has_processes());
        repository.0.assert_no_verdict();
        assert_eq!(repository.state(), before);
    }
}

#[test]
fn an_interrupt_ends_a_checkout_that_takes_long() {
    let Some(repository) = Repository::new("true") else { return };
    repository.0.write(".gitattributes", "slow filter=slow\n");
    repository.0.write("slow", "");
    repository.commit("slow");
    repository.git(&["config", "filter.slow.smudge", "sleep 1004"]);
    let before = repository.state();
    let child = repository.start(&["--base", "HEAD"]);
    wait::until("the checkout has begun", || repository.0.has_processes_of("sleep"));
    interrupted(&signal(child, Signal::INT));
    assert_eq!(repository.state(), before);
}

#[test]
fn leftovers_of_a_killed_gate_are_removed_by_the_next_one() {
    let Some(repository) = Repository::new("exec sleep 1003") else { return };
    let before = repository.state();
    let child = repository.start(&["--base", "first"]);
    wait::until("the build has begun", || repository.0.has_processes_of("sleep"));
    signal(child, Signal::KILL);
    assert_ne!(repository.state(), before);
    wait::until("the build has ended with the gate", || !repository.0.has_processes());
    // Any gate removes it, also one that fails before it builds.
    error(&repository.run(&["--base", "no-such"]));
    assert_eq!(repository.state(), before);
}
