//! The edges of every option that takes a number or a time: a value at an edge is accepted, or is
//! refused in one line with the bounds.
//!
//! The list of options comes from the command itself, so that a new option can't be forgotten here.

#[path = "support/refusal.rs"]
mod refusal;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Kind of value that an option takes, and so the values that it must refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Whole,
    Rate,
    Time,
    /// Not a number: a name, a list, a file.
    Text,
}

use Takes::{Rate, Text, Time, Whole};

/// Subcommand, option, kind of value, and values at the edges with which the command has to finish
/// in a moment.
#[rustfmt::skip]
const OPTIONS: &[(&str, &str, Takes, &[&str])] = &[
    ("serve", "addr", Text, &[]),
    ("serve", "root", Text, &[]),
    ("serve", "workers", Whole, &["1"]),
    ("serve", "handler-threads", Whole, &["1"]),
    ("serve", "backlog", Whole, &["1", "4294967295"]),
    ("serve", "pin", Text, &[]),
    ("serve", "max-connections", Whole, &["1"]),
    ("serve", "ballast", Whole, &["0", "1"]),
    ("serve", "head-timeout", Time, &["1ns", "24h"]),
    ("serve", "idle-timeout", Time, &["1ns", "24h"]),
    ("history", "output", Text, &[]),
    ("load", "connections", Whole, &["1"]),
    ("load", "duration", Time, &["1ms"]),
    ("load", "requests", Whole, &["1"]),
    ("load", "warmup", Time, &["0s", "1ns"]),
    ("load", "rate", Rate, &["0.0000001", "100000000"]),
    ("load", "arrivals", Text, &[]),
    ("load", "spin", Time, &["0s", "24h"]),
    ("load", "seed", Whole, &["0", "18446744073709551615"]),
    ("load", "idle", Whole, &["0", "1"]),
    ("load", "slow", Text, &["0", "1", "1:0.1"]),
    ("load", "connect-rate", Rate, &["0.0000001", "100000000"]),
    ("load", "threads", Whole, &["1", "18446744073709551615"]),
    ("load", "pin", Text, &[]),
    ("load", "lifetime", Text, &["1", "4294967295"]),
    ("load", "close", Text, &[]),
    ("load", "timeout", Time, &["1ns", "24h"]),
    ("load", "method", Text, &[]),
    ("load", "header", Text, &[]),
    ("load", "body", Text, &[]),
    ("load", "server-pid", Whole, &["1"]),
    ("load", "output", Text, &[]),
    ("load", "hdr", Text, &[]),
    ("compare", "margins", Text, &[]),
    ("bench", "filter", Text, &[]),
    ("bench", "subjects", Text, &[]),
    ("bench", "server", Text, &[]),
    ("bench", "rounds", Whole, &["1", "1000"]),
    ("bench", "resume", Text, &[]),
    ("bench", "seed", Whole, &["0", "18446744073709551615"]),
    ("bench", "output", Text, &[]),
    ("gate", "base", Text, &[]),
    ("gate", "candidate", Text, &[]),
    ("gate", "build", Text, &[]),
    ("gate", "serve", Text, &[]),
    ("gate", "base-command", Text, &[]),
    ("gate", "candidate-command", Text, &[]),
    ("gate", "suite", Text, &[]),
    ("gate", "budget", Time, &[]),
    ("gate", "margins", Text, &[]),
    ("gate", "seed", Whole, &[]),
    ("gate", "output", Text, &[]),
    ("size", "rate", Rate, &[]),
    ("size", "slo", Text, &[]),
    ("size", "subject", Text, &[]),
    ("worker", "master", Text, &[]),
    ("worker", "wait", Time, &[]),
    ("worker", "threads", Whole, &[]),
    ("worker", "pin", Text, &[]),
    ("calibrate", "duration", Time, &[]),
    ("calibrate", "output", Text, &[]),
    ("wire", "lifetime", Text, &[]),
    ("wire", "requests", Whole, &[]),
    ("wire", "close", Text, &[]),
    ("wire", "topology", Text, &[]),
    ("wire", "scene", Text, &[]),
    ("wire", "pcapng", Text, &[]),
    ("wire", "output", Text, &[]),
];

impl Takes {
    /// Returns values that are not of this kind, and the words with which the refusal describes the
    /// right ones.
    fn refuses(self) -> (&'static [&'static str], &'static str) {
        match self {
            Whole => (
                &["", "-1", "0.5", "1e3", "NaN", "inf", "1e400", "18446744073709551616"],
                "write a whole number from ",
            ),
            Rate => (
                &["", "-1", "0", "NaN", "inf", "1e400", "100000001"],
                "write a number per second, above 0 and up to 100000000",
            ),
            Time => (
                &["", "-1s", "1", "NaN", "inf", "1e400s", "25h", "18446744073709551616s"],
                "write a time such as 300ms or 1min 30s, from ",
            ),
            Text => (&[], ""),
        }
    }
}

fn c10k(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    c10k(arguments).output().expect("the command can be run")
}

/// A server that listens, and its address.
struct Server(Child, String);

impl Server {
    fn start(model: &str, arguments: &[&str]) -> Self {
        let start = ["serve", model, "--addr", "127.0.0.1:0"];
        let mut command = c10k(&[&start, arguments].concat());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it is started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it can be read");
        let address = line.trim_end().strip_prefix("listening on ");
        let address =
            address.unwrap_or_else(|| panic!("serve {arguments:?} said {line:?}")).to_owned();
        Self(child, address)
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("it runs");
        assert!(self.0.wait().expect("it ends").success());
    }
}

/// Returns the options of all subcommands whose values a caller gives.
fn options() -> Vec<(String, String)> {
    let command = c10k::command::options();
    let of = |command: &clap::Command| {
        let takes_value =
            |option: &&clap::Arg| option.get_action().takes_values() && !option.is_positional();
        let name =
            |option: &clap::Arg| option.get_long().expect("options have long names").to_owned();
        let subcommand = command.get_name().to_owned();
        let names = command.get_arguments().filter(takes_value).map(name).collect::<Vec<_>>();
        names.into_iter().map(move |name| (subcommand.clone(), name))
    };
    command.get_subcommands().flat_map(of).collect()
}

/// Returns the rest of a command line that does a little work; the option under test is added after
/// it.
fn rest<'a>(subcommand: &'a str, option: &str, url: &'a str) -> Vec<&'a str> {
    let fixed = match (subcommand, option) {
        ("load", "requests") => vec![("connections", "--connections=1"), ("warmup", "--warmup=0s")],
        ("load", _) => {
            vec![
                ("connections", "--connections=1"),
                ("warmup", "--warmup=0s"),
                ("duration", "--duration=20ms"),
            ]
        }
        _ => Vec::new(),
    };
    let head = match subcommand {
        "load" => vec!["load", url, "--quiet"],
        "serve" => vec!["serve", "poll"],
        "bench" => vec!["bench", "--list", "--json"],
        other => vec![other],
    };
    let needed = if option == "spin" { Some("--rate=100") } else { None };
    let others = fixed.into_iter().filter(|(name, _)| *name != option).map(|(_, text)| text);
    head.into_iter().chain(others).chain(needed).collect()
}

#[test]
fn every_option_is_known_here() {
    let options = options();
    for known in OPTIONS {
        let is_there =
            options.iter().any(|(subcommand, option)| known.0 == subcommand && known.1 == option);
        assert!(is_there, "`{} --{}` is no option any more", known.0, known.1);
    }
    for (subcommand, option) in options {
        let is_known = OPTIONS.iter().any(|known| known.0 == subcommand && known.1 == option);
        assert!(
            is_known,
            "say in OPTIONS what `{subcommand} --{option}` takes, and what its edges are"
        );
    }
}

#[test]
fn malformed_values_are_refused_with_the_bounds() {
    for &(subcommand, option, takes, _) in OPTIONS {
        let (values, bounds) = takes.refuses();
        for value in values {
            let tried = format!("--{option}={value}");
            let line = refusal::line_of(output(
                &[&*rest(subcommand, option, "http://127.0.0.1:9/"), &[&tried]].concat(),
            ));
            assert!(line.contains(bounds) && line.contains(option), "{subcommand} {tried}: {line}");
        }
    }
}

#[test]
fn values_at_the_edges_do_their_work() {
    let server = Server::start("poll", &[]);
    let url = format!("http://{}/", server.1);
    for &(subcommand, option, _, values) in OPTIONS {
        for value in values {
            let tried = format!("--{option}={value}");
            if subcommand == "serve" {
                // Models without threads for handlers refuse a number of them.
                let model = if option == "handler-threads" { "epoll-workers" } else { "poll" };
                Server::start(model, &[&tried]).stop();
                continue;
            }
            let output = output(&[&*rest(subcommand, option, &url), &[&tried]].concat());
            // The measured part may be too short for a response, and a rate too low for a request.
            // The command reports nothing else.
            let said = String::from_utf8_lossy(&output.stderr);
            let is_nothing = said.starts_with("c10k: no request") && said.lines().count() == 1;
            let is_well = match output.status.code() {
                Some(0) => said.is_empty(),
                code => code == Some(1) && is_nothing,
            };
            assert!(is_well, "{subcommand} {tried}: {output:?}");
        }
    }
    server.stop();
}

#[test]
fn values_that_need_too_many_resources_or_more_than_a_day_are_refused() {
    let url = "http://127.0.0.1:9/";
    for (arguments, bound) in [
        (vec!["load", url, "--connections=18446744073709551615"], "at most"),
        (vec!["load", url, "--connections=1", "--idle=18446744073709551615"], "at most"),
        (vec!["load", url, "--connections=2", "--connect-rate=0.0000001"], "longer than 1day"),
        (vec!["load", url, "--requests=2", "--rate=0.0000001"], "longer than 1day"),
        (
            vec![
                "load",
                url,
                "--connections=1",
                "--lifetime=2",
                "--requests=4",
                "--connect-rate=0.0000001",
            ],
            "2 connections at 0.0000001 per second take longer than 1day",
        ),
        (vec!["serve", "poll", "--max-connections=18446744073709551615"], "at most"),
        (vec!["serve", "epoll-sharded", "--workers=18446744073709551615"], "fewer --workers"),
        (vec!["serve", "tokio-blocking", "--workers=18446744073709551615"], "fewer --workers"),
    ] {
        let line = refusal::line_of(output(&arguments));
        assert!(line.contains(bound), "{arguments:?}: {line}");
    }
}
