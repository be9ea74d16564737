//! Gates that can't come to a verdict: each reports the reason in one line, with status 2.

use std::fs;
use std::process::Command;

use c10k_ci::output;
use rustix::process::Signal;

use crate::support::{
    C10K, Folder, HEAD, bad_server, epoll, error, interrupted, run_to_verdict, signal,
};
use crate::wait;

/// Checks that a gate of two epoll servers with further arguments fails, and that its message
/// contains all words.
#[track_caller]
fn assert_fails(folder: &Folder, arguments: &[&str], words: &[&str]) {
    let server = epoll();
    let commands = ["--base-command", &server, "--candidate-command", &server];
    assert_says(&error(&folder.run(&[&commands[..], arguments].concat())), words);
    folder.assert_no_verdict();
}

#[track_caller]
fn assert_says(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line}");
    }
}

#[test]
fn a_mistake_in_the_suite_the_margins_the_budget_or_the_seed_is_reported_in_a_line() {
    let folder = Folder::new();
    let workload = "[[workload]]\nconnections = 2\n";
    for (name, text) in [
        ("several.toml", format!("{HEAD}models = [\"epoll\", \"poll\"]\n{workload}")),
        ("malformed.toml", format!("{HEAD}models = [\n")),
        ("workers.toml", format!("{HEAD}models = [\"epoll\"]\n{workload}workers = 2\n")),
        (
            "handlers.toml",
            format!("{HEAD}models = [\"epoll-workers\"]\n{workload}handler_threads = 2\n"),
        ),
        (
            "crowd.toml",
            format!("{HEAD}models = [\"epoll\"]\n[[workload]]\nconnections = 1000000000\n"),
        ),
        ("path.toml", format!("{HEAD}models = [\"epoll\"]\n{workload}path = \"/nowhere\"\n")),
        ("unknown.toml", "[cpu]\nmargin = 0.1\nreason = \"r\"\n".into()),
        ("broken.toml", "[throughput_rps]\nmargin =\n".into()),
        ("open.toml", "[throughput_rps]\nmargin = 0.1\nreason = \"r\"\n".into()),
        (
            "counts.toml",
            "[system_calls_per_request]\nmargin = 0.1\ndecides = true\nreason = \"r\"\n".into(),
        ),
    ] {
        folder.write(name, &text);
    }
    for (arguments, words) in [
        (["--suite", "absent.toml"], &["`absent.toml`"][..]),
        (["--suite", "several.toml"], &["several.toml", "2 subjects"]),
        (["--suite", "malformed.toml"], &["malformed.toml", "line 7"]),
        (["--suite", "workers.toml"], &["workers.toml", "`workers`"]),
        (["--suite", "handlers.toml"], &["handlers.toml", "`handler_threads`"]),
        (["--suite", "crowd.toml"], &["crowd.toml", "ulimit -Hn"]),
        (["--suite", "path.toml"], &["the ", "/nowhere", "404"]),
        (["--margins", "absent.toml"], &["absent.toml"]),
        (["--margins", "unknown.toml"], &["unknown.toml", "`cpu`"]),
        (["--margins", "broken.toml"], &["broken.toml", "line 2"]),
        (["--margins", "open.toml"], &["open.toml", "no metric decides", "`decides = true`"]),
        (["--margins", "counts.toml"], &["no margin of a time decides", "`decides = true`"]),
        (["--budget", "1s"], &["too short", "--budget "]),
        (["--budget", "soon"], &["--budget", "such as 300ms"]),
        (["--seed", "one"], &["--seed", "whole number"]),
    ] {
        assert_fails(&folder, &arguments, words);
    }
}

#[test]
fn a_command_that_is_no_server_is_reported_with_its_side() {
    let folder = Folder::new();
    let server = epoll();
    for (candidate, words) in [
        ("serve", &["--candidate-command", "{port}"][..]),
        ("serve 'x {port}", &["--candidate-command", "without an end"]),
        ("no-such-program {port}", &["the candidate", "no-such-program is not installed"]),
        (
            "sh -c 'echo no luck >&2; exit 3' {port}",
            &["the candidate", "exit status: 3", "no luck"],
        ),
        (&bad_server("failing"), &["the candidate", "GET /", "500"]),
    ] {
        let output = folder.run(&["--base-command", &server, "--candidate-command", candidate]);
        assert_says(&error(&output), words);
        folder.assert_no_verdict();
    }
}

#[test]
fn a_server_that_never_listens_is_reported_and_an_interrupt_ends_the_wait_for_it() {
    let folder = Folder::new();
    let server = epoll();
    let silent = "sh -c 'exec sleep 1000' {port}";
    let arguments = ["--base-command", &server, "--candidate-command", silent];
    let impatient = Folder::new();
    let child = impatient.start(&arguments);
    wait::until("a server is started", || impatient.has_processes_of("sleep"));
    interrupted(&signal(child, Signal::INT));
    impatient.assert_no_verdict();
    assert_says(&error(&folder.run(&arguments)), &["the candidate", "was not ready", "within"]);
    folder.assert_no_verdict();
}

#[test]
fn a_candidate_that_dies_half_way_is_reported_with_its_last_line() {
    let folder = Folder::new();
    let (base, candidate) = (bad_server("fine"), bad_server("dying"));
    let commands = ["--base-command", &base, "--candidate-command", &candidate];
    let output = folder.run(&[&commands[..], &["--budget", "1h"]].concat());
    let line = error(&output);
    assert_says(&line, &["block 3", "the candidate", "exit status: 3", "the well has run dry"]);
    folder.assert_no_verdict();
    assert_eq!(folder.blocks().len(), 2);
}

#[test]
fn a_folder_that_cannot_be_written_is_reported() {
    let folder = Folder::new();
    let server = epoll();
    folder.write("file", "");
    let mut command = Command::new(C10K);
    command.current_dir(folder.path()).args([
        "gate",
        "--suite",
        "suite.toml",
        "--output",
        "file/out",
    ]);
    command.args(["--base-command", &server, "--candidate-command", &server]);
    let output = command.output().expect("the command can be run");
    assert_says(&error(&output), &["file/out"]);
}

#[test]
fn a_full_disk_leaves_no_verdict_and_only_whole_blocks() {
    let folder = Folder::new();
    let server = epoll();
    // 25 is SIGXFSZ, which would end the command. Plans fit into these kilobytes, but not all
    // blocks do.
    let limit = "trap '' 25; ulimit -f 16; exec \"$@\"";
    let gate =
        folder.gate(&["--base-command", &server, "--candidate-command", &server, "--budget", "1h"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", limit, "sh"]).arg(gate.get_program()).args(gate.get_args());
    let output = shell.current_dir(folder.path()).output().expect("the command can be run");
    assert_says(&error(&output), &["cannot write", "free space"]);
    folder.assert_no_verdict();
    let text = folder.read("out/blocks.jsonl");
    assert!(text.is_empty() || text.ends_with('\n'), "half a line is left");
    assert!(!folder.blocks().is_empty());
}

#[test]
fn a_result_that_cannot_be_written_takes_the_other_formats_with_it() {
    let folder = Folder::new();
    let server = epoll();
    let output = run_to_verdict(|| {
        // A folder in the place of a result, made by the server after the gate has cleared old
        // results.
        let in_the_way = format!(
            "sh -c 'mkdir -p out/junit.xml; exec {C10K} serve epoll --addr 127.0.0.1:$0' {{port}}"
        );
        let _ = fs::remove_dir(folder.output().join("junit.xml"));
        folder.gate(&["--base-command", &server, "--candidate-command", &in_the_way])
    });
    assert_says(&error(&output), &["junit.xml"]);
    fs::remove_dir(folder.output().join("junit.xml")).expect("it is there");
    folder.assert_no_verdict();
}

#[test]
fn files_of_an_older_gate_do_not_outlive_the_start_of_the_next_one() {
    let folder = Folder::new();
    fs::create_dir(folder.output()).expect("a folder can be made");
    let names = output::ALL.iter().map(|format| format.file).chain([
        "index.html",
        "plan.json",
        "blocks.jsonl",
    ]);
    for name in names.clone().chain(["notes.txt"]) {
        folder.write(&format!("out/{name}"), "old");
    }
    // The plan marks the folder as one of a gate.
    folder.write("out/plan.json", r#"{"c10k_version": "0.1.0"}"#);
    assert_fails(&folder, &["--suite", "absent.toml"], &["absent.toml"]);
    for name in names {
        assert!(!folder.output().join(name).exists(), "{name} is still there");
    }
    assert_eq!(folder.read("out/notes.txt"), "old");
}

#[test]
fn a_folder_with_files_of_the_user_is_refused_and_keeps_them() {
    let folder = Folder::new();
    fs::create_dir(folder.output()).expect("a folder can be made");
    let names = ["index.html", "plan.json", ".gitignore"];
    for name in names {
        folder.write(&format!("out/{name}"), "the user's");
    }
    let words = ["out has files that are not of a gate", "--output"];
    assert_says(
        &error(&folder.run(&["--base-command", "a {port}", "--candidate-command", "b {port}"])),
        &words,
    );
    for name in names {
        assert_eq!(folder.read(&format!("out/{name}")), "the user's");
    }
}

#[test]
fn a_second_gate_in_the_same_folder_says_so_and_leaves_the_first_one_alone() {
    let folder = Folder::new();
    let server = epoll();
    let commands = ["--base-command", &server, "--candidate-command", &server];
    let first = folder.start(&[&commands[..], &["--budget", "1h"]].concat());
    wait::until("a block is measured", || folder.has("blocks.jsonl"));
    assert_says(&error(&folder.run(&commands)), &["another gate", "--output"]);
    let blocks = folder.blocks().len();
    wait::until("another block is measured", || folder.blocks().len() > blocks);
    interrupted(&signal(first, Signal::TERM));
    // The lock has ended with its process.
    assert_fails(&folder, &["--budget", "1s"], &["too short"]);
}
