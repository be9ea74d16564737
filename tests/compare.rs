//! `c10k compare`: ratios, intervals and verdicts of runs that these tests write.

#[path = "../reports/tests/fixture/mod.rs"]
#[expect(dead_code, reason = "it has what other tests need")]
mod fixture;
#[path = "support/refusal.rs"]
mod refusal;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use c10k_loadgen::check::{CheckOutcome, Effect, Verdict};
use c10k_reports::RunWriter;
use c10k_reports::record::{Environment, Outcome, Parameter, Record};
use serde_json::Value;
use tempfile::TempDir;

/// Temporary folder for runs.
struct Runs(TempDir);

/// Cost of a subject under a workload, as a factor.
type Cost = fn(&str, &str) -> f64;

impl Runs {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// Writes a run of `rounds` rounds: each subject costs what `cost` says, and rounds vary by
    /// half a percent. `change` is applied to each record.
    fn write(&self, name: &str, rounds: u32, cost: Cost, change: impl Fn(&mut Record)) -> PathBuf {
        self.write_in(name, &environment(rounds), cost, change)
    }

    fn write_in(
        &self,
        name: &str,
        environment: &Environment,
        cost: Cost,
        change: impl Fn(&mut Record),
    ) -> PathBuf {
        let mut writer = RunWriter::create(&self.0.path().join(name), environment).unwrap();
        for round in 1..=environment.rounds {
            for (place, cell) in environment.cells.iter().enumerate() {
                let noise =
                    0.005 * (f64::from(round) * 2.3 + place as f64 * 1.7 + name.len() as f64).sin();
                let cost = cost(&cell.subject, &cell.workload) * noise.exp();
                let mut record = fixture::measured(&cell.subject, &cell.workload, round);
                for (key, value) in
                    [("server_cpu_us_per_request", 10.0 * cost), ("throughput_rps", 1e4 / cost)]
                {
                    record.metrics.insert(key.to_owned(), value);
                }
                change(&mut record);
                writer.append(&record).unwrap();
            }
        }
        writer.dir().to_owned()
    }
}

/// Returns an environment with two subjects and two workloads.
fn environment(rounds: u32) -> Environment {
    let mut environment = fixture::environment();
    environment.rounds = rounds;
    environment.subjects.drain(..2);
    environment.workloads.truncate(2);
    environment.questions.clear();
    fixture::plan_all_cells(&mut environment);
    environment
}

fn equal(_: &str, _: &str) -> f64 {
    1.0
}

fn compare(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
    command.arg("compare").args(arguments).output().expect("the command can be run")
}

fn text_of(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("it speaks text")
}

fn path(path: &std::path::Path) -> &str {
    path.to_str().expect("it is text")
}

/// Compares two runs. Returns the exit status, the object and the text.
fn compared(a: &str, b: &str) -> (i32, Value, String) {
    let (json, text) = (compare(&[a, b, "--json"]), compare(&[a, b]));
    assert_eq!(json.status, text.status);
    let object = serde_json::from_str(&text_of(&json)).expect("it is one JSON object");
    (json.status.code().expect("it ends by itself"), object, text_of(&text))
}

fn metric<'a>(object: &'a Value, workload: &str, subject: &str, key: &str) -> &'a Value {
    let mut cells = object["cells"].as_array().unwrap().iter();
    let cell =
        cells.find(|cell| cell["workload"] == workload && cell["subject_b"] == subject).unwrap();
    let mut metrics = cell["metrics"].as_array().unwrap().iter();
    metrics.find(|metric| metric["key"] == key).unwrap_or_else(|| panic!("{cell}"))
}

fn reasons(object: &Value, workload: &str, subject: &str) -> String {
    let mut cells = object["cells"].as_array().unwrap().iter();
    let cell =
        cells.find(|cell| cell["workload"] == workload && cell["subject_b"] == subject).unwrap();
    cell["unjudged"].to_string()
}

#[test]
fn equal_runs_are_not_regressed() {
    let runs = Runs::new();
    let (a, b) = (runs.write("a", 8, equal, |_| {}), runs.write("longer", 8, equal, |_| {}));
    let (status, object, text) = compared(path(&a), path(&b));
    assert_eq!((status, &object["verdict"]), (0, &"not regressed".into()), "{text}");
    assert_eq!(
        (&object["version"], &object["kind"], &object["paired"]),
        (&1.into(), &"compare".into(), &false.into())
    );
    assert_eq!(object["cells"].as_array().unwrap().len(), 4);
    let cpu = metric(&object, "short-1", "epoll", "server_cpu_us_per_request");
    assert!(cpu["low"].as_f64().unwrap() < 1.0 && cpu["high"].as_f64().unwrap() > 1.0, "{cpu}");
    assert!(cpu["smallest_detectable"].as_f64().unwrap() > 0.02, "{cpu}");
    assert!(
        text.contains("weaker evidence than a gate") && text.contains("c10k gate --base"),
        "{text}"
    );
    assert!(text.lines().last().unwrap().starts_with("Not regressed, B against A"), "{text}");
}

#[test]
fn only_the_slower_cells_of_a_run_are_regressed() {
    let runs = Runs::new();
    let slower: Cost = |subject, workload| match (subject, workload) {
        ("epoll", "short-64") => 1.1,
        ("epoll", "short-1") => 0.9,
        _ => 1.0,
    };
    let (a, b) = (runs.write("a", 8, equal, |_| {}), runs.write("longer", 8, slower, |_| {}));
    let (status, object, text) = compared(path(&a), path(&b));
    assert_eq!((status, &object["verdict"]), (1, &"regressed".into()), "{text}");
    let cpu = metric(&object, "short-64", "epoll", "server_cpu_us_per_request");
    assert_eq!(cpu["verdict"], "regressed");
    assert!((cpu["ratio"].as_f64().unwrap() - 1.1).abs() < 0.005, "{cpu}");
    let throughput = metric(&object, "short-64", "epoll", "throughput_rps");
    assert_eq!(throughput["verdict"], "regressed");
    assert!(throughput["high"].as_f64().unwrap() < 0.95, "{throughput}");
    assert_eq!(metric(&object, "short-1", "epoll", "throughput_rps")["verdict"], "improved");
    assert_eq!(
        metric(&object, "short-64", "busy-poll", "throughput_rps")["verdict"],
        "not regressed"
    );
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with("REGRESSED, B against A: server_cpu_us_per_request of short-64 (epoll)"),
        "{last}"
    );
}

/// The rounds of both subjects vary by a third, in the same way: compared in pairs, they show a
/// difference that two separate runs could not show.
#[test]
fn subjects_of_one_run_are_compared_round_by_round() {
    let runs = Runs::new();
    let cost: Cost = |subject, _| if subject == "epoll" { 1.06 } else { 1.0 };
    let drift = |record: &mut Record| {
        let factor = 1.0 + 0.1 * f64::from(record.round % 4);
        *record.metrics.get_mut("server_cpu_us_per_request").unwrap() *= factor;
        *record.metrics.get_mut("throughput_rps").unwrap() /= factor;
    };
    let run = runs.write("a", 8, cost, drift);
    let side = |subject: &str| format!("{}:{subject}", run.display());
    let (status, object, text) = compared(&side("busy-poll"), &side("epoll"));
    assert_eq!((status, &object["paired"]), (1, &true.into()), "{text}");
    let cpu = metric(&object, "short-64", "epoll", "server_cpu_us_per_request");
    assert!(
        cpu["verdict"] == "regressed" && (cpu["ratio"].as_f64().unwrap() - 1.06).abs() < 0.01,
        "{cpu}"
    );
    assert_eq!(object["cells"][0]["subject_a"], "busy-poll");
    assert!(!text.contains("weaker evidence"), "{text}");
    let (status, object, _) = compared(&side("epoll"), &side("busy-poll"));
    assert_eq!((status, &object["verdict"]), (0, &"not regressed".into()));
}

#[test]
fn one_round_has_no_interval_and_no_verdict_and_says_how_many_it_needs() {
    let runs = Runs::new();
    let slower: Cost = |_, _| 1.5;
    let (a, b) = (runs.write("a", 1, equal, |_| {}), runs.write("b", 1, slower, |_| {}));
    let (status, object, text) = compared(path(&a), path(&b));
    assert_eq!((status, &object["verdict"]), (3, &"undecided".into()));
    let cpu = metric(&object, "short-1", "epoll", "server_cpu_us_per_request");
    assert!(cpu["low"].is_null() && cpu["verdict"] == "undecided", "{cpu}");
    assert!((cpu["ratio"].as_f64().unwrap() - 1.5).abs() < 0.02, "{cpu}");
    assert!(
        text.contains("one round says nothing about the noise; measure 3 rounds at least"),
        "{text}"
    );
}

#[test]
fn cells_in_doubt_are_named_and_leave_the_comparison_open() {
    let runs = Runs::new();
    let a = runs.write("a", 8, equal, |_| {});
    let b = runs.write("b", 8, equal, |record| {
        if record.round != 2 {
            return;
        }
        match (record.cell.subject.as_str(), record.cell.workload.as_str()) {
            ("epoll", "short-1") => {
                record.outcome = Outcome::Failed("no response within 5 s".to_owned());
            }
            ("epoll", "short-64") => {
                let Outcome::Measured(summary) = &mut record.outcome else { unreachable!() };
                summary.requests.failed = 12;
                summary.errors.timeout = 12;
            }
            ("busy-poll", "short-1") => {
                record.valid = false;
                record.checks = vec![check(Verdict::Fail, None)];
            }
            _ => record.checks = vec![check(Verdict::Warn, Some(Effect::ThroughputIsABound))],
        }
    });
    let (status, object, text) = compared(path(&a), path(&b));
    assert_eq!((status, &object["verdict"]), (3, &"undecided".into()), "{text}");
    let said = [
        ("short-1", "epoll", "B: a round has no result (no response within 5 s)"),
        ("short-64", "epoll", "B: requests failed (12 timeout)"),
        ("short-1", "busy-poll", "B: a check failed (generator-cpu: 99 %)"),
        (
            "short-64",
            "busy-poll",
            "the value is a lower bound: the load generator was at its limit",
        ),
    ];
    for (workload, subject, reason) in said {
        let reasons = reasons(&object, workload, subject);
        assert!(reasons.contains(reason) && text.contains(reason), "{reasons} has no {reason}");
    }
    assert!(
        text.contains("UNDECIDED: not judged, for the reasons above: all metrics of "),
        "{text}"
    );
}

fn check(verdict: Verdict, effect: Option<Effect>) -> CheckOutcome {
    CheckOutcome { name: "generator-cpu".to_owned(), verdict, detail: "99 %".to_owned(), effect }
}

#[test]
fn differences_other_than_numbers_are_reported() {
    let runs = Runs::new();
    let a = runs.write("a", 3, equal, |_| {});
    let mut other = environment(3);
    other.machine.cpu = "Another CPU".to_owned();
    other.revision = "fedcba9876543210fedcba9876543210fedcba98".to_owned();
    other.server_cpus = vec![0, 1];
    other.subjects[1].command = "c10k serve epoll --backlog 9".to_owned();
    other.subjects.push(fixture::subject("poll", "poll", "event loop"));
    other.workloads[1].parameters.insert("connections".to_owned(), Parameter::Count(65));
    other.workloads[1].description = "GET / of another kind.".to_owned();
    fixture::plan_all_cells(&mut other);
    other.cells.retain(|cell| cell.subject != "busy-poll" || cell.workload != "short-1");
    let b = runs.write_in("b", &other, equal, |_| {});
    let (_, object, text) = compared(path(&a), path(&b));
    let said = [
        "The machines differ: A Example CPU",
        "The revisions of c10k differ: A 0123456789abcdef0123456789abcdef01234567-dirty; B fedcba",
        "The processors of server and generator differ: A 0 and 1; B 0+1 and 1.",
        "The commands of epoll differ: A c10k serve epoll --addr 127.0.0.1:0 --pin 0; B c10k serve epoll --backlog 9.",
        "The requests of short-64 differ",
        "Only A has busy-poll under short-1.",
        "Only B has poll under short-1, poll under short-64.",
        "parameters differ: connections 64 and 65",
    ];
    for said in said {
        assert!(text.contains(said), "{text}\nhas no {said}");
    }
    assert_eq!(object["cautions"].as_array().unwrap().len(), 7, "{}", object["cautions"]);
    assert_eq!(object["cells"].as_array().unwrap().len(), 3);
}

#[test]
fn an_interrupted_run_is_reported_as_such() {
    let runs = Runs::new();
    let a = runs.write("a", 3, equal, |_| {});
    let b = runs.write("b", 3, equal, |_| {});
    let record = b.join("record.jsonl");
    let lines = fs::read_to_string(&record).unwrap();
    let kept: String = lines.split_inclusive('\n').take(10).collect();
    fs::write(&record, kept).unwrap();
    let (_, object, text) = compared(path(&a), path(&b));
    assert!(text.contains("! B was interrupted: it has 10 of 12 measurements."), "{text}");
    assert!(text.contains("short-64 (epoll) (B/A, rounds: 3 and 2)"), "{text}");
    assert!(metric(&object, "short-64", "epoll", "throughput_rps")["low"].is_number());
}

#[test]
fn margins_of_a_file_replace_the_built_in_ones() {
    let runs = Runs::new();
    let slower: Cost = |_, _| 1.1;
    let (a, b) = (runs.write("a", 8, equal, |_| {}), runs.write("b", 8, slower, |_| {}));
    let file = runs.0.path().join("margins.toml");
    fs::write(&file, "[throughput_rps]\nmargin = 0.3\ndecides = true\nreason = \"a test\"\n")
        .unwrap();
    let output = compare(&[path(&a), path(&b), "--margins", path(&file)]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("changed") && !text.contains("server_cpu"), "{text}");
}

/// The margin of allocations has a floor of 0.05.
#[test]
fn a_change_from_none_to_some_is_a_ratio_if_the_margin_has_a_floor() {
    const KEY: &str = "server_allocations_per_request";
    let runs = Runs::new();
    let with = |count: f64| {
        move |record: &mut Record| {
            record.metrics.insert(KEY.to_owned(), count);
        }
    };
    let (none, some) = (runs.write("a", 8, equal, with(0.0)), runs.write("b", 8, equal, with(1.0)));
    let (status, object, text) = compared(path(&none), path(&some));
    let allocations = metric(&object, "short-1", "epoll", KEY);
    assert!((allocations["ratio"].as_f64().unwrap() - 20.0).abs() < 1e-9, "{allocations}");
    assert_eq!((status, &allocations["verdict"]), (1, &"regressed".into()), "{text}");
}

#[test]
fn runs_that_cannot_be_compared_are_refused_in_a_line() {
    let runs = Runs::new();
    let a = runs.write("a", 3, equal, |_| {});
    let mut other = environment(3);
    other
        .workloads
        .iter_mut()
        .for_each(|workload| workload.name = format!("other-{}", workload.name));
    fixture::plan_all_cells(&mut other);
    let b = runs.write_in("b", &other, equal, |_| {});
    let (a, b) = (path(&a), path(&b));
    let line = |arguments: &[&str]| refusal::line_of(compare(arguments));
    assert!(line(&[a, a]).contains("both are the same"));
    assert!(line(&[a, b]).contains("no cell in common"));
    assert!(line(&[a, "no-such-run"]).contains("no-such-run/environment.json"));
    assert!(line(&[&format!("{a}:epoll"), a]).contains("names a subject"));
    let unknown = line(&[&format!("{a}:nginx"), &format!("{a}:epoll")]);
    assert!(unknown.contains("no subject \"nginx\"; it has busy-poll, epoll"), "{unknown}");
    assert!(line(&[a, b, "--margins", "no-such-file"]).contains("cannot read no-such-file"));
    assert!(line(&[a]).contains("<B>"));
}
