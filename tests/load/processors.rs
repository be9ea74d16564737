//! A generator or a server that does not get its processors: the run reports it, and names what
//! took them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::thread::{CpuSet, sched_getaffinity};

use crate::command::{KilledOnDrop, Outcome, load_url, load_within, until_shown, words};
use crate::quota::Quota;
use crate::server::{After, OK, Server};

/// Microseconds in each 100 ms that the generator may run: less than it takes even on a busy
/// machine.
const LITTLE: u64 = 10_000;

const ARGUMENTS: &str = "--connections 16 --duration 600ms --warmup 50ms";

const CHECK: &str = "generator-cpu-wait";

fn answering() -> Server {
    Server::answering(OK, After::Keep)
}

/// Returns the processors that this process may use.
fn own_cpus() -> CpuSet {
    sched_getaffinity(None).expect("the processors of this process can be read")
}

/// Returns the last processor, if there are several: if there is only one, sharing it is no fault.
fn cpu_of_several() -> Option<String> {
    let set = own_cpus();
    if set.count() == 1 {
        eprintln!("left out: this machine has one processor");
        return None;
    }
    (0..CpuSet::MAX_CPU).rfind(|&cpu| set.is_set(cpu)).map(|last| last.to_string())
}

/// A server that never sleeps, on one processor, until it is dropped.
struct Busy {
    process: KilledOnDrop,
    address: String,
}

impl Busy {
    fn on(cpu: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
        command.args(["serve", "busy-poll", "--addr", "127.0.0.1:0", "--pin", cpu]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command can be run");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it speaks text");
        let address =
            line.trim_end().strip_prefix("listening on ").expect("it says where it listens");
        Self { process: KilledOnDrop(child), address: address.to_owned() }
    }
}

fn fails(outcome: &Outcome, words: &str) -> bool {
    let (verdict, detail) = outcome.check(CHECK);
    verdict == "fail" && detail.contains(words)
}

#[test]
fn a_generator_that_a_quota_holds_back_is_not_valid_and_the_quota_is_named() {
    let Some(quota) = Quota::of(LITTLE) else { return };
    let server = answering();
    let run = || load_within(&quota, &server.url(), &words(ARGUMENTS));
    let outcome =
        until_shown("a quota that binds", run, |outcome| fails(outcome, "CPU quota of 0.1"));
    assert_eq!(outcome.json["valid"], false);
    assert!(outcome.number("generator/throttled_s") > 0.0, "{:#}", outcome.json);
    assert!((outcome.number("generator/quota_cpus") - 0.1).abs() < 1e-9, "{:#}", outcome.json);
}

#[test]
fn busy_loops_on_the_processor_of_the_generator_are_named() {
    let Some(cpu) = cpu_of_several() else { return };
    let server = answering();
    let _busy = [Busy::on(&cpu), Busy::on(&cpu)];
    let arguments = [&words(ARGUMENTS)[..], &["--pin", &cpu]].concat();
    let run = || load_url(&server.url(), &arguments);
    let outcome = until_shown("neighbours", run, |outcome| fails(outcome, "other programs"));
    assert_eq!(outcome.json["valid"], false);
    assert!(outcome.check(CHECK).1.contains(&format!("on processor {cpu}")), "{:#}", outcome.json);
}

#[test]
fn a_server_on_the_processor_of_the_generator_is_named_on_both_sides() {
    let Some(cpu) = cpu_of_several() else { return };
    let server = Busy::on(&cpu);
    let pid = server.process.0.id().to_string();
    let arguments = [&words(ARGUMENTS)[..], &["--pin", &cpu, "--server-pid", &pid]].concat();
    let run = || load_url(&format!("http://{}/", server.address), &arguments);
    let outcome = until_shown("a shared processor", run, |outcome| {
        fails(outcome, "the server") && outcome.check("server-cpu-wait").1.contains("the generator")
    });
    assert_eq!(outcome.json["valid"], false);
}

/// Other tests may take the processors. The check is then right to fail: threads waited for longer
/// than processors were idle.
#[test]
fn an_ordinary_run_passes_unless_others_took_its_processors() {
    let outcome = load_url(&answering().url(), &words(ARGUMENTS));
    let idle_s = if own_cpus().count() == 1 { 0.0 } else { outcome.number("generator/idle_s") };
    let is_disturbed =
        outcome.number("generator/cpu_wait_s") - idle_s > 0.05 * outcome.number("duration_s");
    let is_held = outcome.json["generator"]["throttled_s"].as_f64() > Some(0.0);
    let (verdict, detail) = outcome.check(CHECK);
    assert!(verdict == "pass" || is_disturbed || is_held, "{detail}: {:#}", outcome.json);
}
