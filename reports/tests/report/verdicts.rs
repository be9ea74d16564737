//! Doubts about a number are shown to its reader, in tables, in charts and in words.

use std::fs;

use c10k_loadgen::check::{CheckOutcome, Effect, Verdict};
use c10k_loadgen::summary::{Percentiles, Summary};
use c10k_reports::record::{Environment, Outcome, Record};

use crate::fixture;
use crate::page::{part, render};

/// Returns an environment of three subjects under two workloads; the tests look at only one of the
/// workloads.
fn environment() -> Environment {
    let mut environment = fixture::environment();
    environment.subjects.retain(|subject| subject.name != "busy-poll");
    environment.workloads.truncate(2);
    environment.questions[0].workloads.truncate(2);
    fixture::plan_all_cells(&mut environment);
    environment
}

/// Returns three rounds of `subject` under `short-64` around `rps`, each changed by `change`.
fn rounds(subject: &str, rps: f64, change: impl Fn(&mut Record)) -> Vec<Record> {
    let round = |round: u32| {
        let mut record = fixture::measured(subject, "short-64", round);
        summary(&mut record).throughput_rps = rps + f64::from(round);
        change(&mut record);
        record
    };
    (1..=3).map(round).collect()
}

fn summary(record: &mut Record) -> &mut Summary {
    let Outcome::Measured(summary) = &mut record.outcome else { unreachable!() };
    summary
}

fn check(name: &str, verdict: Verdict, detail: &str, effect: Option<Effect>) -> Vec<CheckOutcome> {
    vec![CheckOutcome { name: name.to_owned(), verdict, detail: detail.to_owned(), effect }]
}

/// Turns a record into that of a generator that had no time to spare.
fn at_the_limit(record: &mut Record) {
    let effect = Some(Effect::ThroughputIsABound);
    record.checks = check("busy", Verdict::Warn, "100 % of 1 thread", effect);
}

/// Turns a record into that of a measurement that must not be believed.
fn not_valid(record: &mut Record) {
    record.checks = check("offered", Verdict::Fail, "sent 900 of 1000 requests per second", None);
    record.valid = false;
}

/// Returns the row of `subject` under `short-64` in the summary.
fn row<'a>(page: &'a str, subject: &str) -> &'a str {
    let table = part(page, "<table class=\"summary\">", "</table>");
    let group = part(table, ">short-64</a>", "</tbody>");
    part(group, &format!("<th scope=\"row\">{subject}"), "</tr>")
}

#[test]
fn a_starved_cell_a_failed_check_and_a_dead_server_are_described_in_words() {
    let starved = |record: &mut Record| {
        summary(record).connections.requested = 512;
        summary(record).connections.served = 411;
        record.checks = fixture::starvation(summary(record));
    };
    let dead =
        |round| fixture::failed("fork", "short-64", round, "the server ended with status 101");
    let records = [
        rounds("epoll", 9e3, starved),
        rounds("thread-pool", 8e3, not_valid),
        vec![dead(1), dead(2)],
    ];
    let (_reports, dir, page) = render(&environment(), &records.concat());

    assert!(row(&page, "epoll").contains("512 requested, 101 never served"));
    assert!(
        row(&page, "epoll").contains("title=\"Not comparable: of the served connections only.\"")
    );
    assert!(row(&page, "thread-pool").contains("check offered failed"));
    assert!(row(&page, "fork").contains("failed: the server ended with status 101"));

    let header = part(&page, "<header>", "</header>");
    assert!(header.contains("In 1 cell a measurement or a request failed."));
    assert!(header.contains("In 2 cells a check failed or connections were not served."));

    let problems = part(&page, "id=\"workload-2\"", "<details>");
    assert!(problems.contains("512 connections requested, 101 never served"));
    assert!(problems.contains("not valid, check offered failed: sent 900 of 1000"));
    assert!(problems.contains("failed in round 2: the server ended"));

    let checks = part(&page, "<section id=\"checks\">", "</section>");
    assert!(checks.contains(
        "<strong>epoll</strong> under short-64: 411 of 512 connections were served (in 3 of 3 rounds)"
    ));
    assert!(checks.contains("offered: failed in 1 cell"));

    let svg = fs::read_to_string(dir.join("workload-2-short-64-throughput_rps.svg")).unwrap();
    assert!(
        svg.contains("§: of the served connections only") && svg.contains("‡: a check failed"),
        "{svg}"
    );
    assert!(svg.contains("epoll\u{a0}§") && svg.contains("failed"));
}

#[test]
fn a_throughput_that_the_generator_bounds_is_shown_as_a_bound_and_not_bold() {
    let records = [
        rounds("epoll", 21_000.0, at_the_limit),
        rounds("thread-pool", 21_000.0, |_| {}),
        rounds("fork", 5_000.0, |_| {}),
    ];
    let (_reports, dir, page) = render(&environment(), &records.concat());
    assert!(row(&page, "epoll").contains(">≥\u{a0}21,000<"), "{}", row(&page, "epoll"));
    assert!(row(&page, "epoll").contains("At least this much"));
    // It can't be distinguished from the best exact value, so it is not marked, and the best exact
    // value stays marked.
    assert!(!row(&page, "epoll").contains("<b>"));
    assert!(row(&page, "thread-pool").contains("<b>21,000</b>"));
    assert!(page.contains("The load generator was at its limit with epoll"));
    let chart = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    assert!(chart("workload-2-short-64-throughput_rps.svg").contains("≥: at least"));
    assert!(chart("question-1-throughput_rps.svg").contains("arrow: at least"));
    let cpu = chart("workload-2-short-64-server_cpu_us_per_request.svg");
    assert!(!cpu.contains("at least"), "CPU per request is exact");
}

#[test]
fn a_bound_above_all_others_is_marked() {
    let records = [
        rounds("epoll", 90_000.0, at_the_limit),
        rounds("thread-pool", 21_000.0, |_| {}),
        rounds("fork", 5_000.0, |_| {}),
    ];
    let (_reports, _, page) = render(&environment(), &records.concat());
    assert!(row(&page, "epoll").contains("<b>≥\u{a0}90,000</b>"));
    assert!(!row(&page, "thread-pool").contains("<b>"));
}

#[test]
fn a_cell_that_is_not_valid_neither_wins_nor_loses() {
    for rps in [90_000.0, 1.0] {
        let records = [
            rounds("epoll", rps, not_valid),
            rounds("thread-pool", 21_000.0, |_| {}),
            rounds("fork", 5_000.0, |_| {}),
        ];
        let (_reports, _, page) = render(&environment(), &records.concat());
        assert!(
            !row(&page, "epoll").contains("<b>")
                && row(&page, "epoll").contains("class=\"n doubt\"")
        );
        assert!(row(&page, "thread-pool").contains("<b>21,000</b>"));
    }
    let records = [rounds("epoll", 1.0, not_valid), rounds("thread-pool", 21_000.0, |_| {})];
    let (_reports, _, page) = render(&environment(), &records.concat());
    assert!(!row(&page, "thread-pool").contains("<b>"), "it has nothing to be compared with");
}

#[test]
fn too_few_rounds_are_reported_and_mark_nothing() {
    let two = |subject, rps| rounds(subject, rps, |_| {}).into_iter().take(2);
    let records: Vec<Record> = two("epoll", 9e4).chain(two("fork", 1e3)).collect();
    let (_reports, _, page) = render(&environment(), &records);
    assert!(!row(&page, "epoll").contains("<b>"));
    assert!(
        part(&page, "id=\"caution\"", "</section>")
            .contains("2 rounds are too few to tell subjects apart")
    );
    let (_reports, _, page) = render(&environment(), &rounds("epoll", 9e3, |_| {}));
    assert!(part(&page, "id=\"caution\"", "</section>").contains("a paired t-test of the ratios"));
}

/// Turns a record into that of slow requests, the slowest of which never ended.
fn stalled(record: &mut Record) {
    let mut times = c10k_loadgen::measurement::Times::new(3).unwrap();
    times.record_n(2_400_000_000, 2_000).unwrap();
    let from_p99 = serde_json::from_str("[\"p99\", \"p99.9\", \"p99.99\", \"max\"]").unwrap();
    summary(record).response_us = Percentiles { lower_bounds: from_p99, ..Percentiles::of(&times) };
    summary(record).latency_us = summary(record).response_us;
    summary(record).requests.never_answered = 12;
}

#[test]
fn percentiles_that_rest_on_requests_without_a_response_are_bounds() {
    let records = [rounds("epoll", 9e3, stalled), rounds("fork", 9e3, |_| {})];
    let (_reports, _, page) = render(&environment(), &records.concat());
    let row = row(&page, "epoll");
    assert!(row.contains(">2.40\u{a0}s<") && row.contains(">≥\u{a0}2.40\u{a0}s<"), "{row}");
    assert!(
        row.contains("At least this much: it rests on the ages of requests without a response.")
    );
    assert!(row.contains("36 requests never answered"));
    assert!(part(&page, "<p class=\"note\">≥", "</p>").contains("requests without a response"));
    let stages = part(&page, "aria-label=\"Where the time goes under short-64\"", "</table>");
    assert!(part(stages, ">epoll", "</tr>").contains(">≥\u{a0}2.40\u{a0}s<"), "{stages}");
}

#[test]
fn the_size_of_a_pool_is_shown_with_its_result() {
    let records = rounds("thread-pool", 9e3, |record| {
        record.command = "c10k serve thread-pool --workers 512".to_owned();
    });
    let (_reports, _, page) = render(&environment(), &records);
    assert!(row(&page, "thread-pool").contains("<small>512 workers</small>"));
    let measurements = part(&page, "aria-label=\"Every measurement of short-64\"", "</table>");
    assert!(part(measurements, ">thread-pool", "</tr>").contains("<td class=\"n\">512</td>"));
}

#[test]
fn threads_for_handlers_stand_beside_the_loops() {
    let records = rounds("epoll", 9e3, |record| {
        record.command = "c10k serve tokio-blocking --workers 2 --handler-threads 64".to_owned();
    });
    let (_reports, _, page) = render(&environment(), &records);
    assert!(row(&page, "epoll").contains("<small>2 workers, 64 handler threads</small>"));
    let measurements = part(&page, "aria-label=\"Every measurement of short-64\"", "</table>");
    let sizes = "<td class=\"n\">2</td><td class=\"n\">64</td>";
    assert!(part(measurements, ">epoll", "</tr>").contains(sizes));
}

#[test]
fn the_response_is_compared_and_not_the_generators_own_queue() {
    let with_p50 = |us: f64| {
        move |record: &mut Record| {
            let mut times = c10k_loadgen::measurement::Times::new(3).unwrap();
            let us = us + f64::from(record.round);
            times.record_n((us * 1e3) as u64, 2_000).unwrap();
            summary(record).response_us = Percentiles::of(&times);
            times.clear();
            times.record_n(((5_000.0 - us) * 1e3) as u64, 2_000).unwrap();
            summary(record).latency_us = Percentiles::of(&times);
        }
    };
    let records = [rounds("epoll", 9e3, with_p50(1_000.0)), rounds("fork", 9e3, with_p50(2_000.0))];
    let (_reports, _, page) = render(&environment(), &records.concat());
    assert!(row(&page, "epoll").contains("<b>1.00\u{a0}ms</b>"), "{}", row(&page, "epoll"));
    let all = part(&page, "aria-label=\"All metrics of short-64\"", "</table>");
    assert!(!part(all, ">fork", "</tr>").contains("<b>3.00\u{a0}ms</b>"), "latency is not marked");
}

#[test]
fn a_complaint_is_shown_once_per_cell_with_its_rounds() {
    let mut records = rounds("epoll", 9e3, |_| {});
    not_valid(&mut records[1]);
    let (_reports, _, page) = render(&environment(), &records);
    let checks = part(&page, "<section id=\"checks\">", "</section>");
    assert_eq!(checks.matches("<strong>epoll</strong>").count(), 1);
    assert!(checks.contains("sent 900 of 1000 requests per second (in 1 of 3 rounds)"));
}

#[test]
fn missing_readings_are_explained() {
    let records = rounds("epoll", 9e3, |record| {
        record
            .missing
            .insert("system-calls".to_owned(), "perf <events> need a privilege".to_owned());
    });
    let (_reports, _, page) = render(&environment(), &records);
    let missing = part(&page, "<section id=\"missing\">", "</section>");
    assert!(
        missing.contains("<strong>system-calls</strong>: perf &#60;events&#62; need a privilege")
    );
    assert!(missing.contains("3 measurements of epoll"));
}

#[test]
fn the_list_of_runs_counts_cells_that_are_not_valid() {
    let (reports, _, _) = render(&environment(), &rounds("epoll", 9e3, not_valid));
    let index = c10k_reports::render_index(reports.path()).unwrap();
    let list = fs::read_to_string(index).unwrap();
    let row = part(part(&list, "<nav", "</nav>"), "<tbody>", "</tbody>").to_owned();
    let counts: Vec<&str> =
        row.split("<td class=\"n").skip(1).map(|cell| part(cell, ">", "<")).collect();
    assert_eq!(counts, [">0", ">1", ">0", ">5"]);
}
