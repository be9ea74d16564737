//! A whole run through the public interface: written with `RunWriter`, rendered, and read back as a
//! reader's browser would read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use c10k_loadgen::measurement::{Errors, Times};
use c10k_loadgen::summary::{Percentiles, Summary};
use c10k_reports::record::{
    Calibration, Comparison, CpuAccount, CpuAccounts, CpuComparison, Environment, Outcome, Record,
    WorkloadEntry,
};
use c10k_reports::{RunWriter, render_index, render_run};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, LogNormal};
use tempfile::TempDir;

use crate::fixture;
use crate::page::{assert_within, charts_in, part};

/// Error of the one cell that failed.
const FAILURE: &str = "no listening line from `c10k serve fork` <within> 5 s & no \"answer\"";

/// Behaviour of a subject in the simulated run, at one connection. Throughput grows with
/// connections up to a ceiling; CPU per request grows with the number of connections where the
/// model scans them all.
struct Model {
    name: &'static str,
    ceiling_rps: f64,
    cpu_us: f64,
    cpu_us_per_connection: f64,
    /// Width of the distribution of latencies, as the sigma of its logarithm.
    sigma: f64,
    memory_per_connection: u64,
}

const MODELS: [Model; 4] = [
    Model {
        name: "fork",
        ceiling_rps: 38_000.0,
        cpu_us: 14.0,
        cpu_us_per_connection: 0.02,
        sigma: 0.55,
        memory_per_connection: 180_000,
    },
    Model {
        name: "thread-pool",
        ceiling_rps: 52_000.0,
        cpu_us: 11.0,
        cpu_us_per_connection: 0.01,
        sigma: 0.45,
        memory_per_connection: 12_000,
    },
    Model {
        name: "busy-poll",
        ceiling_rps: 60_000.0,
        cpu_us: 16.0,
        cpu_us_per_connection: 0.11,
        sigma: 0.25,
        memory_per_connection: 3_000,
    },
    Model {
        name: "epoll",
        ceiling_rps: 81_000.0,
        cpu_us: 7.2,
        cpu_us_per_connection: 0.001,
        sigma: 0.3,
        memory_per_connection: 3_000,
    },
];

/// Writes a run with everything that can happen to one: `fork` failed under `short-512`, requests
/// failed and connections were not served for `thread-pool` under `persistent-512`, `epoll` under
/// `persistent-512` was never measured, and the last line was cut by a crash. At most `samples`
/// latencies are drawn per measurement.
fn write_run(reports: &Path, samples: u64) -> PathBuf {
    let environment = fixture::environment();
    let mut run = RunWriter::create(reports, &environment).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(environment.seed);
    for round in 1..=environment.rounds {
        for cell in &environment.cells {
            let record = match (cell.subject.as_str(), cell.workload.as_str()) {
                ("fork", "short-512") => fixture::failed("fork", "short-512", round, FAILURE),
                ("epoll", "persistent-512") => continue,
                (subject, workload) => {
                    let mut known = environment.workloads.iter();
                    let entry = known.find(|entry| entry.name == workload).unwrap();
                    measure(run.dir(), (subject, entry, round), samples, &mut random)
                }
            };
            run.append(&record).unwrap();
        }
    }
    let dir = run.dir().to_path_buf();
    let path = dir.join("record.jsonl");
    let mut lines = fs::read_to_string(&path).unwrap();
    lines.push_str("{\"version\":1,\"cell\":{\"subj");
    fs::write(path, lines).unwrap();
    dir
}

/// Returns one measurement as [`Model`] describes it, and writes its histograms into `dir` in two
/// intervals.
fn measure(
    dir: &Path,
    (subject, workload, round): (&str, &WorkloadEntry, u32),
    samples: u64,
    random: &mut ChaCha8Rng,
) -> Record {
    let model = MODELS.iter().find(|model| model.name == subject).unwrap();
    let short = workload.lifetime == "short";
    let connections = workload.connections as f64;
    let noise: f64 = LogNormal::new(0.0, 0.03).unwrap().sample(random);
    let setup_us = match (short, subject) {
        (false, _) => 0.0,
        (true, "fork") => 160.0,
        (true, _) => 28.0,
    };
    let cpu_us = model.cpu_us + setup_us + model.cpu_us_per_connection * connections;
    let ceiling_rps = model.ceiling_rps.min(1e6 / cpu_us);
    let throughput_rps = noise * ceiling_rps * connections / (connections + 2.0);
    let completed = (throughput_rps * 2.0) as u64;
    let median_ns = connections / throughput_rps * 1e9 * 0.9;
    let latencies = sample(median_ns, model.sigma, completed.min(samples), random);
    let connects = sample(35_000.0, 0.3, samples, random);
    let halves = latencies.split_at(latencies.len() / 2);
    let name = format!("{}-{subject}-{round}.hlog", workload.name);
    let intervals = [
        ("latency", halves.0),
        ("latency", halves.1),
        ("service", &latencies),
        ("connect", &connects),
    ];
    fixture::write_log(&dir.join(&name), &intervals);

    let mut times = Times::new(3).unwrap();
    for &ns in &latencies {
        times.record(ns).unwrap();
    }
    let mut summary =
        Summary { throughput_rps, latency_us: Percentiles::of(&times), ..fixture::summary() };
    summary.requests.completed = completed;
    summary.requests.sent = completed;
    summary.connections.requested = workload.connections as u64;
    summary.connections.established = workload.connections as u64;
    if (subject, workload.name.as_str()) == ("thread-pool", "persistent-512") {
        summary.requests.failed = 312;
        summary.errors = Errors { timeout: 300, reset: 12, ..Errors::default() };
        summary.connections.starved = 44;
    }
    summary.connections.served = summary.connections.established - summary.connections.starved;
    let checks = fixture::starvation(&summary);
    let server_s = completed as f64 * cpu_us * noise * 1e-6;
    let memory_bytes = 2_400_000 + model.memory_per_connection * workload.connections as u64;
    let tasks = if subject == "fork" { workload.connections as u64 + 1 } else { 1 };
    let outcome = Outcome::Measured(Box::new(summary));
    Record {
        outcome,
        readings: fixture::readings(server_s * 0.3, server_s * 0.7, memory_bytes, tasks),
        histograms: Some(name),
        checks,
        ..fixture::measured(subject, &workload.name, round)
    }
}

/// Returns lognormal times with a second, slower mode for one in fifty, as on a busy machine.
fn sample(median_ns: f64, sigma: f64, count: u64, random: &mut ChaCha8Rng) -> Vec<u64> {
    let usual = LogNormal::new(median_ns.ln(), sigma).unwrap();
    let slow = LogNormal::new((median_ns + 2.5e6).ln(), 0.4).unwrap();
    (0..count)
        .map(
            |index| if index % 50 == 0 { slow.sample(random) } else { usual.sample(random) } as u64,
        )
        .collect()
}

/// Samples per measurement: enough for a 99th percentile over three rounds, and quick to write.
const SAMPLES: u64 = 1_000;

/// Renders a run. Returns the folder of reports, the folder of the run, and the page.
fn rendered() -> (TempDir, PathBuf, String) {
    let reports = tempfile::tempdir().unwrap();
    let dir = write_run(reports.path(), SAMPLES);
    let page = fs::read_to_string(render_run(&dir).unwrap()).unwrap();
    (reports, dir, page)
}

/// A rendered run for all tests that only read it.
static RENDERED: LazyLock<(TempDir, PathBuf, String)> = LazyLock::new(rendered);

/// Returns the page of [`RENDERED`].
fn page() -> &'static str {
    &RENDERED.2
}

#[test]
fn the_summary_has_a_row_for_every_planned_cell() {
    let page = page();
    let table = part(page, "<table class=\"summary\">", "</table>");
    for workload in
        ["short-1", "short-64", "short-512", "persistent-1", "persistent-64", "persistent-512"]
    {
        assert!(table.contains(&format!(">{workload}</a>")), "{workload} is missing");
    }
    assert_eq!(table.matches("<th scope=\"row\">").count(), 24);
    assert!(table.contains(">3/3<"));
}

#[test]
fn a_failed_cell_is_shown_with_its_error_escaped() {
    let page = page();
    let escaped = "&#60;within&#62; 5 s &#38; no &#34;answer&#34;";
    let table = part(page, "<table class=\"summary\">", "</table>");
    assert!(table.contains(escaped));
    let section = part(page, "id=\"workload-3\"", "<details>");
    assert!(section.contains("failed in round 2") && section.contains(escaped));
    assert!(!page.contains("<within>"));
}

#[test]
fn a_cell_that_was_never_measured_is_shown_as_such() {
    let page = page();
    assert!(part(page, "<header>", "</header>").contains("This run was interrupted"));
    assert!(
        part(page, "<table class=\"summary\">", "</table>")
            .contains("not measured (run interrupted)")
    );
    assert!(
        part(page, "id=\"workload-6\"", "<details>")
            .contains("<strong>epoll</strong>: not measured")
    );
}

#[test]
fn failed_requests_flag_the_cell_and_its_percentiles() {
    let page = page();
    let section = part(page, "id=\"workload-6\"", "</section>");
    assert!(section.contains("36 reset, 900 timeout"));
    let table = part(page, "<table class=\"summary\">", "</table>");
    assert_eq!(table.matches("class=\"flagged\"").count(), 1);
    let row = part(table, ">thread-pool&nbsp;<abbr", "</tr>");
    assert!(row.contains("†§</abbr>") && row.contains("class=\"n doubt\"") && !row.contains("<b>"));
}

#[test]
fn a_cut_last_line_is_noted_on_the_page() {
    let page = page();
    assert!(part(page, "<header>", "</header>").contains("The last line of record.jsonl"));
}

#[test]
fn a_percentile_beyond_the_samples_is_not_shown() {
    let reports = tempfile::tempdir().unwrap();
    let mut run = RunWriter::create(reports.path(), &fixture::environment()).unwrap();
    let mut times = Times::new(3).unwrap();
    (1..=2_000).for_each(|us| times.record(us * 1_000).unwrap());
    let mut record = fixture::measured("epoll", "short-1", 1);
    let Outcome::Measured(summary) = &mut record.outcome else { unreachable!() };
    summary.latency_us = Percentiles::of(&times);
    run.append(&record).unwrap();
    let page = fs::read_to_string(render_run(run.dir()).unwrap()).unwrap();
    let row = part(
        part(&page, "<table class=\"summary\">", "</table>"),
        "epoll</th>\n        <td class=\"n\">10,000",
        "</tr>",
    );
    let latencies: Vec<&str> = row
        .split("<td class=\"n\">")
        .skip(2)
        .take(3)
        .map(|rest| rest.split('<').next().unwrap())
        .collect();
    assert_eq!(latencies[..2], ["1.00\u{a0}ms", "1.98\u{a0}ms"]);
    assert!(!latencies[2].contains("ms"), "{latencies:?}");
    assert!(
        !part(&page, "<table class=\"summary\">", "</table>").contains("p99.9"),
        "no cell has one"
    );
}

#[test]
fn a_lost_histogram_is_a_note_and_the_rest_of_its_measurement_counts() {
    let reports = tempfile::tempdir().unwrap();
    let mut run = RunWriter::create(reports.path(), &fixture::environment()).unwrap();
    let record = fixture::measured("epoll", "short-1", 1);
    run.append(&Record { histograms: Some("lost.hlog".to_owned()), ..record }).unwrap();
    let page = fs::read_to_string(render_run(run.dir()).unwrap()).unwrap();
    assert!(part(&page, "<header>", "</header>").contains("lost.hlog"));
    assert!(part(&page, "<table class=\"summary\">", "</table>").contains("10,000"));
}

#[test]
fn a_run_without_any_measurement_still_has_a_page() {
    let reports = tempfile::tempdir().unwrap();
    let run = RunWriter::create(reports.path(), &fixture::environment()).unwrap();
    let page = fs::read_to_string(render_run(run.dir()).unwrap()).unwrap();
    assert_eq!(page.matches("not measured (run interrupted)").count(), 2 * 24);
}

#[test]
fn the_page_loads_nothing() {
    let page = page();
    for attribute in ["src=", "url(", "@import", "<script", "<link", "<iframe", "<object"] {
        assert!(!page.contains(attribute), "the page has {attribute}");
    }
    for link in page.split("href=\"").skip(1) {
        let target = link.split('"').next().unwrap();
        assert!(!target.contains("//") && !target.starts_with('/'), "{target} leads away");
    }
}

#[test]
fn every_chart_is_a_well_formed_svg_file_and_in_the_page() {
    let (_, dir, page) = &*RENDERED;
    let charts = charts_in(dir);
    assert_eq!(charts.len(), 3 + 6 * 4);
    for path in charts {
        let svg = fs::read_to_string(&path).unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let root = document.root_element();
        assert!(root.attribute("viewBox").is_some() && root.attribute("aria-label").is_some());
        assert!(document.descendants().any(|node| node.has_tag_name("text")), "{}", path.display());
        assert!(page.contains(&svg), "{} is not in the page", path.display());
    }
}

#[test]
fn nothing_in_a_chart_lies_outside_it() {
    for path in charts_in(&RENDERED.1) {
        assert_within(&path);
    }
}

#[test]
fn rendering_again_writes_the_same_bytes() {
    let (reports, dir, page) = rendered();
    let index = fs::read(render_index(reports.path()).unwrap()).unwrap();
    let before = fs::read_dir(&dir).unwrap().count();
    assert_eq!(page, fs::read_to_string(render_run(&dir).unwrap()).unwrap());
    assert_eq!(index, fs::read(render_index(reports.path()).unwrap()).unwrap());
    assert_eq!(before, fs::read_dir(&dir).unwrap().count(), "temporary files are left");
}

#[test]
fn the_index_lists_all_runs_newest_first_and_shows_the_newest_in_full() {
    let reports = tempfile::tempdir().unwrap();
    let newest =
        Environment { started_utc: "2026-03-02T08:00:00Z".to_owned(), ..fixture::environment() };
    let mut run = RunWriter::create(reports.path(), &newest).unwrap();
    run.append(&fixture::measured("busy-poll", "short-1", 1)).unwrap();
    render_run(&write_run(reports.path(), SAMPLES)).unwrap();
    render_run(run.dir()).unwrap();
    let page = fs::read_to_string(render_index(reports.path()).unwrap()).unwrap();
    let list = part(&page, "<nav", "</nav>");
    let place = |date: &str| list.find(date).unwrap();
    assert!(place("2026-03-02 08:00 UTC") < place("2026-03-01 12:00 UTC"));
    assert!(list.contains("href=\"runs/20260301T120000Z-default/index.html\""));
    assert!(part(&page, "<header>", "</header>").contains("1 of 72 measurements"));
    assert_eq!(page.matches("<table class=\"summary\">").count(), 1);
}

#[test]
fn links_lead_to_folders_whatever_their_names() {
    let (reports, dir, _) = rendered();
    fs::rename(&dir, reports.path().join("runs/20260301 #1 100% \u{fc}?")).unwrap();
    let page = fs::read_to_string(render_index(reports.path()).unwrap()).unwrap();
    let folder = "runs/20260301%20%231%20100%25%20%C3%BC%3F/";
    for file in ["index.html", "record.jsonl", "environment.json"] {
        assert!(page.contains(&format!("href=\"{folder}{file}\"")), "{file}");
    }
    let charts = page.matches(".svg\">SVG</a>").count();
    assert!(charts > 0 && page.matches(&format!("href=\"{folder}")).count() == charts + 3);
}

#[test]
fn a_run_that_cannot_be_read_is_listed_with_its_error() {
    let (reports, _, _) = rendered();
    let damaged = reports.path().join("runs/20990101T000000Z-damaged");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("environment.json"), "{\"version\":9}").unwrap();
    let page = fs::read_to_string(render_index(reports.path()).unwrap()).unwrap();
    let list = part(&page, "<nav", "</nav>");
    assert!(list.contains("20990101T000000Z-damaged") && list.contains("it is of version 9"));
    assert!(page.contains("<table class=\"summary\">"), "the newest readable run is shown");
}

#[test]
fn an_index_without_runs_says_how_to_make_one() {
    let reports = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(render_index(reports.path()).unwrap()).unwrap();
    assert!(page.contains("There is no run yet"));
}

#[test]
fn criterion_is_linked_only_where_its_page_is() {
    let (reports, dir, page) = rendered();
    assert!(!page.contains("criterion/report"));
    fs::create_dir_all(reports.path().join("criterion/report")).unwrap();
    fs::write(reports.path().join("criterion/report/index.html"), "").unwrap();
    let page = fs::read_to_string(render_run(&dir).unwrap()).unwrap();
    assert!(page.contains("href=\"../../criterion/report/index.html\""));
    let index = fs::read_to_string(render_index(reports.path()).unwrap()).unwrap();
    assert!(index.contains("href=\"criterion/report/index.html\""));
}

#[test]
fn twenty_five_subjects_fit() {
    let reports = tempfile::tempdir().unwrap();
    let mut environment = fixture::environment();
    environment.subjects =
        (0..25).map(|n| fixture::subject(&format!("subject-{n}"), "epoll", "thread")).collect();
    fixture::plan_all_cells(&mut environment);
    let mut run = RunWriter::create(reports.path(), &environment).unwrap();
    let samples: Vec<u64> = (1..=1_000).map(|index| index * 1_000).collect();
    fixture::write_log(&run.dir().join("all.hlog"), &[("latency", &samples)]);
    for cell in &environment.cells {
        let record = fixture::measured(&cell.subject, &cell.workload, 1);
        run.append(&Record { histograms: Some("all.hlog".to_owned()), ..record }).unwrap();
    }
    let page = fs::read_to_string(render_run(run.dir()).unwrap()).unwrap();
    assert!(page.contains("subject-24"));
    for path in charts_in(run.dir()) {
        assert_within(&path);
    }
}

#[test]
fn the_error_of_the_instrument_is_shown_where_it_is_known() {
    let render = |calibration| {
        let reports = tempfile::tempdir().unwrap();
        let environment = Environment { calibration, ..fixture::environment() };
        let run = RunWriter::create(reports.path(), &environment).unwrap();
        fs::read_to_string(render_run(run.dir()).unwrap()).unwrap()
    };
    let known = render(Some(Calibration {
        version: 1,
        measured_utc: "2026-03-01T08:00:00Z".to_owned(),
        highest_rps_per_worker: 201_234.0,
        cpu_us_per_request: 4.8,
        send_lag_us: (0.1, 12.0),
        delays: vec![Comparison { percentile: 50.0, true_us: 3000.0, measured_us: 3020.0 }],
        stall: vec![Comparison { percentile: 100.0, true_us: 4e6, measured_us: 3.999e6 }],
        cpu_accounts: Some(CpuAccounts {
            missing: None,
            models: vec![CpuComparison {
                model: "thread".to_owned(),
                lifetime: "short".to_owned(),
                cgroup_us: 80.0,
                clocks_us: 74.0,
                generator_us: 31.5,
            }],
        }),
    }));
    for text in ["201,000", "p50", "+20.0\u{a0}µs", "max", "−1.00\u{a0}ms", "−7.50\u{a0}%"] {
        assert!(known.contains(text), "{text}");
    }
    assert!(!render(None).contains("instrument"));
}

#[test]
fn every_page_names_the_account_of_its_cpu_time() {
    let render = |accounts: &[Option<CpuAccount>], no_cgroup: Option<&str>| {
        let reports = tempfile::tempdir().unwrap();
        let no_cgroup = no_cgroup.map(str::to_owned);
        let environment = Environment { no_cgroup, ..fixture::environment() };
        let mut run = RunWriter::create(reports.path(), &environment).unwrap();
        for (round, account) in (1..).zip(accounts) {
            let mut record = fixture::measured("epoll", "short-1", round);
            record.cpu_account = *account;
            run.append(&record).unwrap();
        }
        fs::read_to_string(render_run(run.dir()).unwrap()).unwrap()
    };
    let cgroup = Some(CpuAccount::CgroupV1);
    let clocks = Some(CpuAccount::ProcessClocks);
    let page = render(&[cgroup, cgroup], None);
    assert!(page.contains("a cgroup of its own (cgroup v1)") && !page.contains("lose time"));
    let page = render(&[clocks], Some("none can be made"));
    for text in ["lose time with every thread", "several percent", "none can be made"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(render(&[cgroup, clocks], None).contains("must not be compared with one another"));
    assert!(!render(&[None], None).contains("CPU time of a server is"));
}
