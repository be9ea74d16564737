//! A history of gates: its series, their steps, and the notes on everything else.

use std::fs;
use std::path::PathBuf;

use c10k_ci::history::{self, Entry, Fingerprint, Group, History, HistoryError, Ratio, Series};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

const CPU: &str = "server_cpu_us_per_request";
const THROUGHPUT: &str = "throughput_rps";

/// Noise of a ratio, as a share.
const NOISE: f64 = 0.01;

/// Half of the interval of a ratio.
const HALF_INTERVAL: f64 = 0.015;

fn machine(id: &str) -> Fingerprint {
    let (cpu, kernel) = ("A CPU".to_owned(), "Linux 6.8 x86_64".to_owned());
    Fingerprint { id: id.to_owned(), cpu, cpus: 2, memory_gib: 8, kernel }
}

/// Returns a line for each cost of CPU time; throughput is its inverse.
fn entries(costs: &[f64]) -> Vec<Entry> {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let entry = |(gate, cost): (usize, &f64)| {
        let mut ratio = |value: f64| {
            let ratio = value * (1.0 + random.random_range(-NOISE..NOISE));
            Ratio { ratio, low: Some(ratio - HALF_INTERVAL), high: Some(ratio + HALF_INTERVAL) }
        };
        let metrics = [(CPU, ratio(*cost)), (THROUGHPUT, ratio(1.0 / cost))];
        let metrics = metrics.map(|(key, ratio)| (key.to_owned(), ratio)).into();
        Entry {
            version: history::VERSION,
            time: format!("2026-{:02}-{:02}T03:00:00Z", gate / 28 + 1, gate % 28 + 1),
            anchor: "anchor".to_owned(),
            revision: format!("revision-{gate}"),
            suite: "gate".to_owned(),
            machine: machine("0a1b2c3d"),
            blocks: 20,
            workloads: [("closed".to_owned(), metrics)].into(),
        }
    };
    costs.iter().enumerate().map(entry).collect()
}

/// Returns costs that are 1 except for the gates in `changed`.
fn costs(gates: usize, cost: f64, changed: std::ops::Range<usize>) -> Vec<f64> {
    (0..gates).map(|gate| if changed.contains(&gate) { cost } else { 1.0 }).collect()
}

fn series<'a>(group: &'a Group, metric: &str) -> &'a Series {
    group.series.iter().find(|series| series.metric == metric).expect("it is a series")
}

fn text(entries: &[Entry]) -> String {
    history::text::write(&History::of(entries))
}

#[test]
fn the_first_revision_of_a_step_is_named_with_its_size_and_direction() {
    let history = History::of(&entries(&costs(40, 1.05, 22..40)));
    let [group] = &history.groups[..] else { panic!("{} groups", history.groups.len()) };
    for (metric, size) in [(CPU, 1.05), (THROUGHPUT, 1.0 / 1.05)] {
        let series = series(group, metric);
        let [step] = &series.steps[..] else { panic!("{metric}: {:?}", series.steps) };
        assert_eq!(series.point(step.at).revision, "revision-22");
        let (low, high) = step.interval.unwrap();
        assert!(low < size && size < high && high - low < 0.02, "{step:?}");
        assert!(low < step.ratio && step.ratio < high, "{step:?}");
        assert_eq!(step.is_worse, Some(true), "{metric}");
    }
}

#[test]
fn a_step_for_the_better_is_called_so() {
    let history = History::of(&entries(&costs(40, 0.9, 22..40)));
    for series in &history.groups[0].series {
        assert_eq!(series.steps[0].is_worse, Some(false), "{}", series.metric);
    }
    assert!(text(&entries(&costs(40, 0.9, 22..40))).contains("better"));
}

#[test]
fn a_regression_that_was_repaired_is_two_steps() {
    let history = History::of(&entries(&costs(50, 1.05, 18..30)));
    let series = series(&history.groups[0], CPU);
    let steps: Vec<(&str, Option<bool>)> = series
        .steps
        .iter()
        .map(|step| (series.point(step.at).revision.as_str(), step.is_worse))
        .collect();
    assert_eq!(steps, [("revision-18", Some(true)), ("revision-30", Some(false))]);
}

#[test]
fn a_step_of_the_noise_alone_is_neither_worse_nor_better() {
    let mut entries = entries(&costs(60, 1.0, 0..0));
    for (place, entry) in entries[30..].iter_mut().enumerate() {
        let metrics = entry.workloads.get_mut("closed").expect("it is there");
        for ratio in metrics.values_mut() {
            ratio.ratio *= if place % 2 == 0 { 1.1 } else { 1.0 / 1.1 };
        }
    }
    let history = History::of(&entries);
    let series = series(&history.groups[0], CPU);
    assert_eq!((series.steps.len(), series.steps[0].at, series.steps[0].is_worse), (1, 30, None));
    assert!(text(&entries).contains("other noise"));
}

#[test]
fn another_machine_or_anchor_begins_a_new_series_and_no_step() {
    for (change, word) in [
        (
            (|entry: &mut Entry| entry.machine = machine("ffffffff")) as fn(&mut Entry),
            "Another machine",
        ),
        (|entry| entry.anchor = "anchor-2".to_owned(), "Another anchor"),
        (|entry| entry.suite = "other".to_owned(), "Another suite"),
    ] {
        let mut entries = entries(&costs(40, 1.1, 20..40));
        entries[20..].iter_mut().for_each(change);
        let history = History::of(&entries);
        assert_eq!(history.groups.iter().map(|group| group.gates).collect::<Vec<_>>(), [20, 20]);
        let steps =
            history.groups.iter().flat_map(|group| &group.series).flat_map(|series| &series.steps);
        assert_eq!(steps.count(), 0, "{word}");
        assert!(text(&entries).contains(word), "{}", text(&entries));
    }
}

#[test]
fn machines_that_take_turns_have_a_series_each() {
    let mut entries = entries(&costs(60, 1.1, 30..60));
    entries.iter_mut().step_by(2).for_each(|entry| entry.machine = machine("ffffffff"));
    let history = History::of(&entries);
    let steps = history.groups.iter().map(|group| {
        let series = series(group, CPU);
        series.steps.iter().map(|step| series.point(step.at).revision.clone()).collect::<Vec<_>>()
    });
    assert_eq!(steps.collect::<Vec<_>>(), [["revision-30"], ["revision-31"]]);
}

#[test]
fn a_change_of_fewer_than_three_gates_is_reported_and_is_no_step() {
    for (changed, words) in [(15..17, "it did not last"), (28..30, "may become a step")] {
        let entries = entries(&costs(30, 1.2, changed.clone()));
        let history = History::of(&entries);
        assert!(history.groups[0].series.iter().all(|series| series.steps.is_empty()));
        let text = text(&entries);
        let revision = format!("revision-{} is", changed.start);
        let line =
            text.lines().find(|line| line.contains(&revision) && line.contains(CPU)).expect(&text);
        assert!(line.contains(words) && line.contains("% above its level"), "{line}");
    }
}

#[test]
fn gates_without_a_value_are_counted_and_do_not_hide_a_step() {
    let mut entries = entries(&costs(40, 1.1, 20..40));
    for entry in entries.iter_mut().step_by(5) {
        entry.workloads.get_mut("closed").expect("it is there").remove(CPU);
    }
    let history = History::of(&entries);
    let series = series(&history.groups[0], CPU);
    assert_eq!((series.missing, series.steps.len()), (8, 1));
    // The gate of the first changed revision has no value.
    assert_eq!(series.point(series.steps[0].at).revision, "revision-21");
    assert!(text(&entries).contains("8 of 40 gates have no value"));
}

#[test]
fn a_short_history_says_how_many_gates_it_needs() {
    let text = text(&entries(&costs(5, 1.5, 3..5)));
    assert!(text.contains("5 gates: a step can be told from noise from 12 gates on"), "{text}");
}

#[test]
fn json_names_the_first_revision_too() {
    let json = history::json::write(&History::of(&entries(&costs(40, 1.05, 22..40)))).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let series = &json["groups"][0]["series"];
    let step = &series.as_array().unwrap().iter().find(|series| series["metric"] == CPU).unwrap()["steps"]
        [0];
    assert_eq!((&step["first_revision"], &step["worse"]), (&"revision-22".into(), &true.into()));
}

#[cfg(feature = "render")]
#[test]
fn the_page_names_every_step_draws_every_series_and_loads_nothing() {
    let mut entries = entries(&costs(40, 1.05, 22..40));
    for entry in &mut entries {
        let metrics = entry.workloads["closed"].clone();
        entry.workloads.insert("<script>|\n".to_owned(), metrics);
    }
    let history = History::of(&entries);
    let page = history::page(&history, "ci/history/gate.jsonl").unwrap();
    assert!(
        page.contains("<code>revision-22</code>") && page.contains("4 steps, 4 for the worse"),
        "{page}"
    );
    let svgs: Vec<&str> = page
        .split("<svg")
        .skip(1)
        .map(|svg| svg.split_once("</svg>").expect("it ends").0)
        .collect();
    assert_eq!(svgs.len(), 4);
    for svg in svgs {
        let svg = format!("<svg{svg}</svg>");
        uppsala::parse(&svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
        assert!(svg.contains("levels: ") && svg.contains("worse"), "{svg}");
    }
    assert!(!page.contains("<script>"));
    assert_eq!(
        page.matches("http").count(),
        page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count()
    );
    assert_eq!(history::page(&history, "ci/history/gate.jsonl").unwrap(), page);
}

/// A history file in a folder of its own.
struct File {
    _folder: TempDir,
    path: PathBuf,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("ci/history/gate.jsonl");
        Self { _folder: folder, path }
    }

    fn with(text: &str) -> Self {
        let file = Self::new();
        fs::create_dir_all(file.path.parent().expect("it has a folder"))
            .expect("a folder can be made");
        fs::write(&file.path, text).expect("a file can be written");
        file
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).expect("it can be read")
    }
}

#[test]
fn an_added_line_is_read_again() {
    let file = File::new();
    let entries = entries(&costs(3, 1.1, 1..2));
    for (place, entry) in entries.iter().enumerate() {
        assert_eq!(history::append(&file.path, entry).unwrap(), place + 1);
    }
    assert_eq!(history::read(&file.path).unwrap(), entries);
    // Another gate of the same revision is another value.
    let again = Entry { time: "2026-12-01T03:00:00Z".to_owned(), ..entries[0].clone() };
    assert_eq!(history::append(&file.path, &again).unwrap(), 4);
}

#[test]
fn a_gate_that_is_there_already_is_refused_and_nothing_changes() {
    let file = File::new();
    let entries = entries(&[1.0, 1.0]);
    for entry in &entries {
        history::append(&file.path, entry).unwrap();
    }
    let before = file.text();
    let error = history::append(&file.path, &entries[1]).unwrap_err();
    assert!(error.to_string().ends_with("line 2 is this gate already"), "{error}");
    assert_eq!(file.text(), before);
}

#[test]
fn empty_lines_count_as_lines() {
    let entries = entries(&[1.0, 1.0]);
    let line = serde_json::to_string(&entries[0]).unwrap();
    let file = File::with(&format!("\n{line}\n\n"));
    let error = history::append(&file.path, &entries[0]).unwrap_err();
    assert!(error.to_string().ends_with("line 2 is this gate already"), "{error}");
    assert_eq!(history::append(&file.path, &entries[1]).unwrap(), 4);
    assert_eq!(history::read(&file.path).unwrap(), entries);
}

#[test]
fn a_line_without_an_end_is_not_glued_to_the_next() {
    let entries = entries(&[1.0, 1.0]);
    let file = File::with(&serde_json::to_string(&entries[0]).unwrap());
    history::append(&file.path, &entries[1]).unwrap();
    assert_eq!(history::read(&file.path).unwrap(), entries);
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_line() {
    let line = |change: fn(&mut serde_json::Value)| {
        let mut line = serde_json::to_value(&entries(&[1.0])[0]).unwrap();
        change(&mut line);
        line.to_string()
    };
    let good = line(|_| {});
    for (bad, hint) in [
        ("{\"version\":1".to_owned(), "EOF"),
        ("no JSON".to_owned(), "expected"),
        (line(|line| line["version"] = 9.into()), "of version 9, and this c10k reads version 1"),
        (line(|line| line["workloads"]["closed"][CPU]["ratio"] = 0.into()), "no ratio above 0"),
        (line(|line| line["workloads"]["closed"][CPU]["low"] = (-1).into()), "no ratio above 0"),
        (line(|line| line["machine"] = "a laptop".into()), "fingerprint"),
    ] {
        let file = File::with(&format!("{good}\n{bad}\n{good}\n"));
        let error = history::read(&file.path).unwrap_err().to_string();
        assert!(
            error.contains(", line 2") && error.to_lowercase().contains(&hint.to_lowercase()),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
        let before = file.text();
        history::append(&file.path, &entries(&[1.0])[0]).unwrap_err();
        assert_eq!(file.text(), before);
    }
}

#[test]
fn an_empty_and_a_missing_history_say_how_to_start_one() {
    for file in [File::with(""), File::new()] {
        let error = history::read(&file.path).unwrap_err();
        assert!(
            matches!(error, HistoryError::Empty { .. } | HistoryError::Missing { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("c10k history add"), "{error}");
    }
}
