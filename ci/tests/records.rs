//! The gate uses records, which can be read without any code that draws.

use std::path::Path;

use c10k_reports::load_run;
use c10k_reports::metric::METRICS;

#[test]
fn a_record_is_read_with_its_metrics() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/tests/records/before-axes");
    let run = load_run(&dir).unwrap();
    assert_eq!(run.records.len(), 16);
    for record in &run.records {
        let cpu_us = record.metrics["server_cpu_us_per_request"];
        assert!(cpu_us > 0.0, "{cpu_us}");
        assert!(record.metrics.keys().all(|key| METRICS.iter().any(|metric| metric.key == key)));
    }
}
