//! A suite of any axes is rendered from its own declarations, without special code for it.

use std::fs;

use c10k_reports::record::{
    Axis, Environment, Parameter, Parameters, Question, Record, Scale, WorkloadEntry,
};

use crate::fixture;
use crate::page::{assert_within, charts_in, part, render};

const AXES: [(&str, &str, &str, Scale); 6] = [
    ("lifetime", "requests per connection", "", Scale::Category),
    ("connections", "connections at once", "", Scale::Log),
    ("path", "path", "", Scale::Category),
    ("rate", "offered rate", "requests/s", Scale::Log),
    ("idle", "connections kept open", "", Scale::Log),
    ("think", "think time", "ms", Scale::Linear),
];

/// Returns an environment of two paths × three rates × two numbers of idle connections, and one
/// workload without a rate. Names are of a kind that no file system accepts.
fn environment() -> Environment {
    let mut workloads = Vec::new();
    for path in ["/", "/bytes/1024"] {
        for rate in [500, 1000, 4000] {
            for idle in [0, 8000] {
                workloads.push(workload(path, Some(rate), idle));
            }
        }
    }
    workloads.push(workload("/", None, 0));
    let template = fixture::environment();
    let names = |of: &dyn Fn(&WorkloadEntry) -> bool| -> Vec<String> {
        workloads
            .iter()
            .filter(|workload| of(workload))
            .map(|workload| workload.name.clone())
            .collect()
    };
    let question = |title: &str, along: Option<&str>, workloads| Question {
        title: title.to_owned(),
        along: along.map(str::to_owned),
        workloads,
    };
    let questions = vec![
        question(
            "How does cost grow with the rate?",
            None,
            names(&|w| w.parameters.contains_key("rate")),
        ),
        question(
            "What do idle connections cost?",
            Some("idle"),
            names(&|w| w.parameters.contains_key("rate")),
        ),
        question("How fast can it go?", None, names(&|w| !w.parameters.contains_key("rate"))),
    ];
    let axes = AXES.map(|(key, title, unit, scale)| Axis {
        key: key.to_owned(),
        title: title.to_owned(),
        unit: unit.to_owned(),
        scale,
    });
    let mut environment = Environment { axes: axes.to_vec(), questions, workloads, ..template };
    fixture::plan_all_cells(&mut environment);
    environment
}

fn workload(path: &str, rate: Option<u64>, idle: u64) -> WorkloadEntry {
    let mut parameters = Parameters::from([
        ("path".to_owned(), Parameter::Text(path.to_owned())),
        ("idle".to_owned(), Parameter::Count(idle)),
        ("lifetime".to_owned(), Parameter::Text("persistent".to_owned())),
        ("connections".to_owned(), Parameter::Count(16)),
    ]);
    parameters.extend(rate.map(|rate| ("rate".to_owned(), Parameter::Count(rate))));
    let rate = rate.map_or_else(|| "closed".to_owned(), |rate| rate.to_string());
    WorkloadEntry {
        name: format!("{path} {rate}, {idle}"),
        description: "A workload.".to_owned(),
        parameters,
        connections: 16,
        lifetime: "persistent".to_owned(),
    }
}

fn records(environment: &Environment) -> Vec<Record> {
    let rounds = (1..=2).flat_map(|round| environment.cells.iter().map(move |cell| (round, cell)));
    rounds.map(|(round, cell)| fixture::measured(&cell.subject, &cell.workload, round)).collect()
}

#[test]
fn a_suite_of_six_axes_has_charts_per_question() {
    let environment = environment();
    let (_reports, dir, page) = render(&environment, &records(&environment));

    let chart = |question: usize, metric: &str| {
        fs::read_to_string(dir.join(format!("question-{question}-{metric}.svg"))).unwrap()
    };
    for metric in ["throughput_rps", "server_cpu_us_per_request", "memory_pss_bytes"] {
        let rates = chart(1, metric);
        assert!(rates.contains("by offered rate, requests/s"), "{metric}");
        for title in [
            "path: / · connections kept open: 0",
            "path: / · connections kept open: 8,000",
            "path: /bytes/1024 · connections kept open: 0",
            "path: /bytes/1024 · connections kept open: 8,000",
        ] {
            assert!(rates.contains(title), "{metric} lacks {title}");
        }
        let idle = chart(2, metric);
        assert!(idle.contains("by connections kept open"), "{metric}");
        assert!(idle.contains("path: / · offered rate: 500 requests/s"), "{metric}");
        assert!(page.contains(&rates) && page.contains(&idle));
    }
    // One workload lies along no axis, so its question has bars only.
    assert!(!dir.join("question-3-throughput_rps.svg").exists());
    let overview = part(&page, "<section id=\"overview\">", "</section>");
    assert!(overview.contains("How fast can it go?") && overview.contains("See the bars of"));
}

#[test]
fn the_summary_is_grouped_by_question() {
    let environment = environment();
    let (_reports, _, page) = render(&environment, &records(&environment));
    let table = part(&page, "<table class=\"summary\">", "</table>");
    let place = |text: &str| table.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(place("How does cost grow") < place("/bytes/1024 4000, 8000"));
    assert!(place("/bytes/1024 4000, 8000") < place("What do idle connections cost?"));
    assert!(place("How fast can it go?") < place("/ closed, 0"));
}

#[test]
fn every_chart_has_a_file_of_its_own_whatever_workloads_are_called() {
    let environment = environment();
    let (_reports, dir, _) = render(&environment, &records(&environment));
    let charts = charts_in(&dir);
    // Three charts of each of two questions, and two charts of bars for each of 13 workloads.
    assert_eq!(charts.len(), 2 * 3 + 13 * 2);
    for path in &charts {
        assert_within(path);
    }
}
