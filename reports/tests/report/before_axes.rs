//! A real run that was written before axes, readings and effects existed is rendered like a run of
//! today.

use std::fs;
use std::path::Path;

use c10k_reports::render_run;

use crate::page::{assert_within, charts_in, part};

#[test]
fn an_old_run_is_shown_with_its_numbers_and_curves() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/before-axes");
    let reports = tempfile::tempdir().unwrap();
    let dir = reports.path().join("runs/old");
    fs::create_dir_all(&dir).unwrap();
    for entry in fs::read_dir(kept).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
    }
    let page = fs::read_to_string(render_run(&dir).unwrap()).unwrap();

    for metric in ["throughput_rps", "server_cpu_us_per_request", "memory_pss_bytes"] {
        let svg = fs::read_to_string(dir.join(format!("question-1-{metric}.svg"))).unwrap();
        for text in [
            "by connections at once",
            "requests per connection: short",
            "requests per connection: persistent",
            "epoll",
            "prefork",
        ] {
            assert!(svg.contains(text), "{metric} lacks {text}");
        }
        assert!(page.contains(&svg), "{metric} is not in the page");
    }
    for path in charts_in(&dir) {
        assert_within(&path);
    }

    let table = part(&page, "<table class=\"summary\">", "</table>");
    let rows = part(table, ">short-16</a>", "</tbody>");
    // Two rounds of 17,232 and 15,560 requests per second, and of 13.9 and 13.5 µs per request.
    assert!(part(rows, ">epoll", "</tr>").contains("15,600–17,200"), "{rows}");
    assert!(part(rows, ">epoll", "</tr>").contains(">13.7<"), "{rows}");
    assert!(part(rows, ">epoll", "</tr>").contains("3.33\u{a0}MiB"), "{rows}");
    let checks = part(&page, "<section id=\"checks\">", "</section>");
    assert!(checks.contains("littles-law") && checks.contains("p99.9 needs"));
    assert!(
        part(&page, "id=\"workload-1\"", "</section>").contains("250\u{a0}ms"),
        "its length is shown"
    );
}
