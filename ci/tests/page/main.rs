//! The page of a gate, as a reader's browser shows it.

mod simulation;

use std::fs;
use std::path::Path;

use c10k_ci::block::{Arm, Block, Slice};
use c10k_ci::gate::Gate;
use c10k_ci::page;
use c10k_ci::verdict::Verdict;

use simulation::{METRICS, NOT_MEASURED, Simulation, WORKLOADS};

/// Number of charts of a workload: all metrics, two that decide by block, latencies, and their
/// shift.
const CHARTS_OF_WORKLOAD: usize = 5;

fn render(simulation: &Simulation) -> String {
    let (folder, gate) = simulation.gate();
    page_of(&gate, folder.path())
}

fn page_of(gate: &Gate, folder: &Path) -> String {
    fs::read_to_string(page::write(gate, folder).unwrap()).unwrap()
}

/// Returns the part of `page` from `from` up to the next `to`.
fn part<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let start = page.find(from).unwrap_or_else(|| panic!("{from:?} is missing"));
    let length =
        page[start..].find(to).unwrap_or_else(|| panic!("{to:?} is missing after {from:?}"));
    &page[start..start + length]
}

fn section<'a>(page: &'a str, id: &str) -> &'a str {
    part(page, &format!("<section id=\"{id}\""), "</section>")
}

fn charts(page: &str) -> Vec<&str> {
    page.match_indices("<svg")
        .map(|(start, _)| &page[start..start + page[start..].find("</svg>").unwrap() + 6])
        .collect()
}

#[test]
fn the_verdict_comes_first_in_words() {
    let cases = [
        (
            Simulation::REGRESSED,
            Verdict::Regressed,
            "</span> Regressed",
            "became worse than its base: Throughput, Server CPU",
        ),
        (Simulation::UNDECIDED, Verdict::Undecided, "</span> Undecided", "hides whether"),
        (
            Simulation::NEUTRAL,
            Verdict::NotRegressed,
            "</span> Not regressed",
            "is not worse by 2 margins",
        ),
    ];
    for (simulation, verdict, word, sentence) in cases {
        let (folder, gate) = simulation.gate();
        assert_eq!(gate.judgement.verdict, verdict);
        let page = page_of(&gate, folder.path());
        let header = part(&page, "<main>", "</header>");
        assert!(header.find("<h1>").unwrap() < header.find(word).unwrap());
        assert!(header.contains(sentence), "{header}");
        assert!(!header.contains("<h2") && !header.contains("<svg"));
    }
}

#[test]
fn a_regression_is_named_with_its_size_and_the_rate_of_false_alarms() {
    let page = render(&Simulation::REGRESSED);
    let header = part(&page, "<header", "</header>");
    for workload in WORKLOADS {
        assert!(header.contains(&format!("Server CPU under {workload}: +")), "{header}");
    }
    assert!(header.contains("with a margin of 2\u{a0}%"));
    assert!(header.contains("1\u{a0}% of cases at most"));
}

#[test]
fn every_metric_of_every_workload_has_its_numbers_or_the_reason_why_not() {
    let page = render(&Simulation::NEUTRAL);
    for (index, workload) in WORKLOADS.iter().enumerate() {
        let section = section(&page, &format!("workload-{}", index + 1));
        assert!(section.contains(&format!("<h2>{workload}</h2>")));
        for (key, _) in METRICS {
            let row = part(section, &format!("<code>{key}</code>"), "</tr>");
            assert!(row.contains("● not regressed") || row.contains("undecided"), "{row}");
        }
        for key in NOT_MEASURED {
            let row = part(section, &format!("<code>{key}</code>"), "</tr>");
            assert!(row.contains("not judged: 12 of 12 blocks have no value"), "{row}");
        }
    }
}

#[test]
fn every_chart_is_complete_and_has_its_text() {
    for simulation in [Simulation::REGRESSED, Simulation { null: true, ..Simulation::UNDECIDED }] {
        let page = render(&simulation);
        let charts = charts(&page);
        assert_eq!(charts.len(), CHARTS_OF_WORKLOAD * WORKLOADS.len());
        for svg in charts {
            let document = roxmltree::Document::parse(svg).unwrap();
            let root = document.root_element();
            assert_eq!(root.attribute("role"), Some("img"));
            let label = root.attribute("aria-label").unwrap();
            assert!(label.contains("under") && label.contains(':'), "{label}");
            assert_within(&document);
        }
    }
}

/// Asserts that all lines and points lie within the `viewBox`.
fn assert_within(document: &roxmltree::Document) {
    let size = document.root_element().attribute("viewBox").unwrap();
    let size: Vec<f64> = size.split(' ').map(|number| number.parse().unwrap()).collect();
    for node in document.descendants() {
        for point in node.attribute("points").unwrap_or_default().split_whitespace() {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((0.0..=size[2]).contains(&x) && (0.0..=size[3]).contains(&y), "{point}");
        }
    }
}

#[test]
fn the_page_loads_and_runs_nothing_and_escapes_what_it_is_given() {
    let page = render(&Simulation::REGRESSED);
    let addresses = page.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "src=", "<script", "<link", "url(", "@import"] {
        assert!(!addresses.contains(outside), "{outside}");
    }
    assert!(!page.contains("epoll <b>") && page.contains("epoll &#60;b&#62;"));
}

#[test]
fn the_same_gate_gives_the_same_bytes() {
    let (folder, gate) = Simulation::REGRESSED.gate();
    let first = page_of(&gate, folder.path());
    assert_eq!(first, page_of(&Gate::read(folder.path()).unwrap(), folder.path()));
}

#[test]
fn without_histograms_the_page_says_so_and_has_all_the_rest() {
    let (folder, gate) = Simulation::REGRESSED.gate();
    for file in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "hlog") {
            fs::remove_file(file).unwrap();
        }
    }
    let page = page_of(&gate, folder.path());
    assert_eq!(page.matches("No curves of latencies:").count(), WORKLOADS.len());
    assert_eq!(charts(&page).len(), (CHARTS_OF_WORKLOAD - 2) * WORKLOADS.len());
    assert!(page.contains("</span> Regressed"));
}

#[test]
fn failures_come_before_the_metrics() {
    let page = render(&Simulation { failed_share: 0.02, ..Simulation::NEUTRAL });
    let failures = section(&page, "failures");
    let row = part(failures, "Failed requests, share of requests", "</tr>");
    assert!(row.contains("2.00\u{a0}%") && row.contains("■ regressed"), "{row}");
    assert!(failures.contains("Failed check “errors”"));
    assert!(page.find("id=\"failures\"").unwrap() < page.find("<svg").unwrap());
    assert!(part(&page, "<header", "</header>").contains("Failed requests under short-64"));
    assert!(section(&render(&Simulation::NEUTRAL), "failures").contains("No request failed"));
}

/// Returns the header of a gate whose blocks were changed.
fn header_of(simulation: &Simulation, change: impl Fn(&mut [Block])) -> String {
    let (folder, gate) = simulation.gate();
    let mut blocks = gate.blocks;
    change(&mut blocks);
    let page = page_of(&Gate::judged(gate.plan, blocks), folder.path());
    part(&page, "<header", "</header>").to_owned()
}

fn slices<'a>(block: &'a mut Block, workload: &'a str) -> impl Iterator<Item = &'a mut Slice> {
    let cells = block.cells.iter_mut().filter(move |cell| cell.workload == workload);
    cells.flat_map(|cell| &mut cell.slices)
}

#[test]
fn an_undecided_gate_shows_its_reason() {
    let lacking = header_of(&Simulation::NEUTRAL, |blocks| {
        slices(&mut blocks[0], WORKLOADS[0]).for_each(|slice| {
            slice.metrics.remove("server_cpu_us_per_request");
        });
    });
    assert!(
        lacking.contains("Some blocks have no value of Server CPU, which the verdict needs."),
        "{lacking}"
    );
    assert!(
        lacking.contains("1 of 12 blocks have no value") && !lacking.contains("hides"),
        "{lacking}"
    );
    let failing = header_of(&Simulation::NEUTRAL, |blocks| {
        for block in &mut blocks[..2] {
            let candidate = slices(block, WORKLOADS[0]).filter(|slice| slice.arm == Arm::Candidate);
            candidate.for_each(|slice| slice.failed_share = 0.1);
        }
    });
    assert!(failing.contains("fails more often than its base: Failed requests"), "{failing}");
    assert!(failing.contains("in 2 of 12 blocks") && !failing.contains("hides"), "{failing}");
}

#[test]
fn a_gate_that_is_not_regressed_names_what_became_worse_and_what_failed_once() {
    let simulation = Simulation {
        ratio: |key| if key == "server_cpu_us_per_request" { 1.012 } else { 1.0 },
        noise: 0.002,
        ..Simulation::NEUTRAL
    };
    let header = header_of(&simulation, |blocks| {
        let mut slices = slices(&mut blocks[3], WORKLOADS[1]);
        slices.find(|slice| slice.arm == Arm::Candidate).unwrap().failed_share = 0.1;
    });
    assert!(header.contains("Not regressed"), "{header}");
    assert!(
        header.contains("Worse, but not shown to exceed its margin: Server CPU under"),
        "{header}"
    );
    assert!(header.contains("Failed requests under short-64 in 1 of 12 blocks"), "{header}");
}

#[test]
fn a_copy_of_the_base_is_drawn_beside_the_candidate() {
    let page = render(&Simulation { null: true, ..Simulation::NEUTRAL });
    assert!(section(&page, "compared").contains("Copy of the base"));
    let section = section(&page, "workload-1");
    assert!(section.contains("Copy / base"));
    assert!(part(section, "aria-label=\"Change of each metric", ">").contains("copy of the base "));
    let curves = charts(section)[3];
    assert!(curves.contains(">\ncopy of the base\n<"), "{curves}");
    assert!(!render(&Simulation::NEUTRAL).contains("opy of the base"));
}

#[test]
fn the_shift_shows_where_the_candidate_is_slower() {
    let page = render(&Simulation { samples: 5_000, ..Simulation::REGRESSED });
    let label = part(section(&page, "workload-1"), "aria-label=\"Shift of the percentiles", ">");
    let at = |percentile: &str| -> f64 {
        let text =
            part(&label[label.find(percentile).unwrap() + percentile.len()..], "+", "\u{a0}");
        text.parse().unwrap()
    };
    assert!((4.0..8.0).contains(&at("p50 ")), "{label}");
    assert!((20.0..40.0).contains(&at("p99 ")), "{label}");
}

#[test]
fn the_raw_pairs_are_there_and_too_many_are_only_linked_to() {
    let page = render(&Simulation::NEUTRAL);
    let pairs = part(section(&page, "workload-1"), "The raw pairs of persistent-64", "</details>");
    assert_eq!(pairs.matches("<tr><td").count(), 12 * 6);
    let page = render(&Simulation { pairs: 60, samples: 100, ..Simulation::NEUTRAL });
    assert!(
        section(&page, "workload-1").contains("too many for a page: see <a href=\"blocks.jsonl\">")
    );
}

#[test]
fn the_page_says_how_to_repeat_the_gate() {
    let page = render(&Simulation::NEUTRAL);
    let repeat = section(&page, "repeat");
    assert!(
        repeat.contains("c10k gate --base main --seed 4711") && repeat.contains("c10k report DIR")
    );
    assert!(
        section(&page, "sensitivity")
            .contains("<th scope=\"row\">Server CPU<small>decides</small>")
    );
}

#[test]
fn a_gate_of_one_block_has_a_page_without_intervals() {
    let page = render(&Simulation { blocks: 1, ..Simulation::NEUTRAL });
    assert!(page.contains("</span> Undecided") && page.contains("too few blocks for an interval"));
}

#[test]
fn without_several_slices_in_a_block_no_noise_is_claimed() {
    let page = render(&Simulation { pairs: 1, ..Simulation::NEUTRAL });
    assert!(page.contains("by block") && !page.contains("spread of the base"));
    assert!(render(&Simulation::NEUTRAL).contains("spread of the base"));
}
