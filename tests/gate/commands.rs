//! Whole gates of two commands.

use c10k_ci::output;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{C10K, Folder, bad_server, epoll, interrupted, run_to_verdict, signal, text};
use crate::wait;

/// Returns everything in one block whose order is random.
fn order(block: &Value) -> Vec<&Value> {
    let orders =
        block["cells"].as_array().expect("cells are a list").iter().map(|cell| &cell["order"]);
    [&block["started"]].into_iter().chain(orders).collect()
}

#[test]
fn identical_servers_have_a_verdict_in_all_formats_and_the_seed_repeats_their_orders() {
    let server = epoll();
    let folder = Folder::new();
    let commands = ["--base-command", &server, "--candidate-command", &server, "--seed", "7"];
    let output = run_to_verdict(|| folder.gate(&[&commands[..], &["--json"]].concat()));
    let said = text(&output.stderr);
    let result: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let status = match result["verdict"].as_str().expect("there is a verdict") {
        "regressed" => 1,
        "undecided" => 3,
        _ => 0,
    };
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert_shape(&result);
    for format in output::ALL {
        assert!(folder.has(format.file), "{}", format.file);
    }
    let blocks = folder.blocks();
    assert_eq!(result["blocks"], blocks.len());
    assert!(
        (1..=blocks.len()).all(|number| said.contains(&format!("] block {number}\n"))),
        "{said}"
    );

    // The same seed again, for as long as a few blocks take.
    let again = Folder::new();
    let child = again.start(&[&commands[..], &["--budget", "1h"]].concat());
    wait::until("two blocks are measured", || {
        again.has("blocks.jsonl") && again.blocks().len() >= 2
    });
    interrupted(&signal(child, Signal::INT));
    again.assert_no_verdict();
    for (first, second) in blocks.iter().zip(&again.blocks()) {
        assert_eq!(order(first), order(second));
    }
    assert!(
        blocks.iter().any(|block| order(block) != order(&blocks[0])),
        "all blocks have one order"
    );
}

/// Checks the shape of a result, which scripts rely on.
#[track_caller]
fn assert_shape(result: &Value) {
    assert_eq!(result["version"], 1);
    let cells = result["cells"].as_array().expect("cells are a list");
    assert_eq!(cells.len(), 1);
    assert!(cells[0]["workload"].is_string());
    let metrics = cells[0]["metrics"].as_array().expect("metrics are a list");
    // On a busy machine, slices as short as these may contain no request; memory can always be
    // measured.
    let memory = metrics.iter().find(|metric| metric["key"] == "memory_anonymous_bytes");
    assert!(memory.is_some(), "no memory in {result:#}");
    for metric in metrics.iter().filter(|metric| metric.get("difference").is_none()) {
        for key in ["ratio", "low", "high"] {
            assert!(metric[key].as_f64().is_some_and(|value| value > 0.0), "{key} in {metric}");
        }
        assert!(metric["key"].is_string() && metric["verdict"].is_string(), "{metric}");
        assert!(metric.get("smallest_detectable").is_some(), "{metric}");
    }
}

#[test]
fn a_candidate_that_fails_requests_has_regressed_and_that_is_reported_first() {
    let folder = Folder::new();
    let (base, candidate) = (bad_server("fine"), bad_server("half"));
    let commands = ["--base-command", &base, "--candidate-command", &candidate];
    let output = run_to_verdict(|| folder.gate(&commands));
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}{}", text(&output.stderr));
    let last = said.lines().next_back().expect("there is a sentence");
    assert!(last.starts_with("REGRESSED: failed_requests of "), "{said}");
    let result: Value = serde_json::from_str(&folder.read("out/gate.json")).expect("it is JSON");
    assert_eq!(result["verdict"], "regressed");
    let first = &result["cells"][0]["metrics"][0];
    assert_eq!(first["key"], "failed_requests");
    assert_eq!(first["verdict"], "regressed");
    assert!(
        first["difference"].as_f64().is_some_and(|share| (0.4..=0.6).contains(&share)),
        "{first}"
    );
}

#[test]
fn a_candidate_that_spins_while_it_waits_has_regressed_and_does_not_look_fast() {
    let folder = Folder::new();
    let spinning = format!("{C10K} serve busy-poll --addr 127.0.0.1:{{port}}");
    let commands = ["--base-command", &epoll(), "--candidate-command", &spinning];
    let output = run_to_verdict(|| folder.gate(&[&commands[..], &["--json"]].concat()));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let mut metrics = result["cells"][0]["metrics"].as_array().expect("metrics are a list").iter();
    let idle = metrics.find(|metric| metric["key"] == "idle-cpu").expect("it is told");
    assert_eq!(idle["verdict"], "regressed", "{result:#}");
}
