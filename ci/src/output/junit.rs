//! The result as JUnit XML: a suite for each workload, a case for each metric. A regression is a
//! failure, and what is undecided or was not judged is skipped.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Format, text};
use crate::gate::Gate;
use crate::verdict::{Judged, Verdict};

/// The result as JUnit XML.
pub(super) const FORMAT: Format = Format { file: "junit.xml", write: |gate| Ok(write(gate)?) };

fn write(gate: &Gate) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("c10k gate");
    for workload in gate.judgement.workloads() {
        let mut suite = TestSuite::new(workload);
        suite.add_test_cases(gate.judgement.judged_of(workload).map(case));
        for one in gate.judgement.unjudged.iter().filter(|one| one.workload == workload) {
            let mut status = TestCaseStatus::skipped();
            status.set_message(&one.reason);
            suite.add_test_case(TestCase::new(&one.key, status));
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn case(judged: &Judged) -> TestCase {
    let mut status = match judged.verdict {
        Verdict::Regressed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Undecided => TestCaseStatus::skipped(),
        _ => TestCaseStatus::success(),
    };
    if judged.verdict == Verdict::Regressed || judged.verdict == Verdict::Undecided {
        status.set_message(text::effect(judged));
    }
    TestCase::new(judged.series.quantity.key(), status)
}
