//! The result as `JUnit` XML: a suite for each workload, a case for each metric. A regression is a
//! failure; a metric that is undecided or was not judged is skipped. The file follows the schema of
//! Jenkins' xUnit plugin (`junit-10.xsd`), which refuses files that do not follow it.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::format::Format;
use super::text;
use crate::gate::Gate;
use crate::verdict::{Judged, Verdict};

/// The result as `JUnit` XML.
pub(super) const FORMAT: Format = Format { file: "junit.xml", write: |gate| Ok(write(gate)?) };

/// Attribute that the library adds to every suite, but that the schema does not know.
const DISABLED: &str = " disabled=\"0\"";

fn write(gate: &Gate) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("c10k gate");
    for workload in gate.judgement.workloads() {
        report.add_test_suite(suite(gate, workload));
    }
    // Quotation marks within names are escaped, so that no other text matches the attribute.
    Ok(report.to_string()?.replace(DISABLED, ""))
}

fn suite(gate: &Gate, workload: &str) -> TestSuite {
    let mut suite = TestSuite::new(workload);
    for judged in gate.judgement.judged_of(workload) {
        suite.add_test_case(case(workload, judged.series.quantity.key(), status(judged)));
    }
    for one in gate.judgement.unjudged.iter().filter(|one| one.workload == workload) {
        let mut status = TestCaseStatus::skipped();
        status.set_message(&one.reason);
        suite.add_test_case(case(workload, &one.key, status));
    }
    // The library counts skipped cases under a name that only an older schema has.
    let skipped = std::mem::take(&mut suite.disabled);
    suite.extra.insert("skipped".into(), skipped.to_string().into());
    suite
}

/// Creates a case. Its class is named after the workload, because reports group cases by class.
fn case(workload: &str, key: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(key, status);
    case.set_classname(workload);
    case
}

fn status(judged: &Judged) -> TestCaseStatus {
    let mut status = match judged.verdict {
        Verdict::Regressed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Undecided => TestCaseStatus::skipped(),
        _ => return TestCaseStatus::success(),
    };
    status.set_type(judged.verdict.to_string()).set_message(text::effect(judged));
    status
}
