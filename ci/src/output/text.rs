//! The result as a table for a terminal, which ends in one sentence that a reviewer can act on.

use crate::gate::Gate;
use crate::reason::{self, Reason};
use crate::series::Quantity;
use crate::verdict::{FALSE_ALARMS, Judged, Judgement, Verdict};

/// Number of metrics that a sentence names.
const NAMED: usize = 8;

/// Explanation of intervals and verdicts.
pub(crate) const LEGEND: &str = "Intervals (95 %) are of each metric by itself; verdicts are corrected for all of them together.";

/// Writes the result.
pub fn write(gate: &Gate) -> String {
    let workloads = gate.judgement.workloads();
    let tables: String =
        workloads.into_iter().map(|workload| table(&gate.judgement, workload, workload)).collect();
    format!("{tables}{LEGEND}\n{}\n", sentence(gate))
}

/// Returns the table of one workload, below its title.
pub(crate) fn table(judgement: &Judgement, workload: &str, title: &str) -> String {
    let mut text = format!("{title}\n");
    text.extend(judgement.judged_of(workload).map(line));
    for one in judgement.unjudged.iter().filter(|one| one.workload == workload) {
        text += &format!("  {:<42} not judged: {}\n", one.key, one.reason);
    }
    text
}

fn line(judged: &Judged) -> String {
    let key = judged.series.quantity.key();
    let seen = match (&judged.series.quantity, judged.smallest_detectable) {
        (Quantity::Metric { .. }, Some(effect)) => {
            format!("sees {:.1} %", judged.share(effect) * 100.0)
        }
        (Quantity::Metric { .. }, None) => "sees nothing".to_owned(),
        _ => String::new(),
    };
    let verdict = judged.verdict.to_string();
    format!("  {key:<42} {:<24} {verdict:<14} {seen}\n", effect(judged))
}

/// Returns the ratio with its interval, or the difference.
pub(super) fn effect(judged: &Judged) -> String {
    let Some(ratio) = judged.ratio() else {
        return format!("{:+.2} % of requests or slices", judged.estimate * 100.0);
    };
    let ends = ratio.interval.map_or(String::new(), |(low, high)| format!(" ({low:.3}–{high:.3})"));
    format!("{:.3}{ends}", ratio.ratio)
}

/// Returns a sentence with the verdict, its reason, and its false-alarm rate or what it leaves
/// open.
pub fn sentence(gate: &Gate) -> String {
    let judgement = &gate.judgement;
    let alarms = FALSE_ALARMS * 100.0;
    let blocks = gate.blocks.len();
    match judgement.verdict {
        Verdict::Regressed => format!(
            "REGRESSED: {}. A gate of identical builds says so in {alarms} % of cases at most ({blocks} blocks).",
            names(&judgement.with(Verdict::Regressed))
        ),
        Verdict::Undecided => format!("UNDECIDED: {} ({blocks} blocks).", open(gate)),
        _ => format!("Not regressed ({blocks} blocks).{}", beside(judgement)),
    }
}

/// Names the metrics that are worse and those that are undecided, for a gate without a regression.
pub(crate) fn beside(judgement: &Judgement) -> String {
    let told = [
        ("Worse, but not shown to exceed the margin", Verdict::Changed),
        ("Not decided", Verdict::Undecided),
    ];
    let told = told.map(|(what, verdict)| (what, names(&judgement.with(verdict))));
    let told = told.iter().filter(|(_, names)| !names.is_empty());
    told.map(|(what, names)| [" ", what, ": ", names, "."].concat()).collect()
}

/// Names metrics with their workloads, failures first.
pub(crate) fn names(of: &[&Judged]) -> String {
    counted(of.iter().map(|one| name(one)))
}

/// Lists the first names, and counts the others.
fn counted(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let named = all.take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

/// Names a metric with its workload. An undecided failure also has its number of blocks, on which
/// it depends.
fn name(judged: &Judged) -> String {
    let name = format!("{} of {}", judged.series.quantity.key(), judged.series.workload);
    let blocks = judged.failing_blocks().filter(|_| judged.verdict == Verdict::Undecided);
    blocks.map_or_else(|| name.clone(), |blocks| format!("{name} {blocks}"))
}

/// Returns the reasons why a gate is undecided, and the next steps.
fn open(gate: &Gate) -> String {
    because(
        &gate.judgement,
        |metrics, needed| {
            format!(
                "too few blocks to see any change in {metrics} metrics; give a --budget for {needed} blocks, or fewer \
                 workloads"
            )
        },
        |names| {
            if gate.plan.counts {
                format!(
                    "starts of one and the same server differ in {names}; measure time instead, without \
                     --counts"
                )
            } else {
                format!("the noise hides {names}; give a longer --budget or a quieter machine")
            }
        },
    )
}

/// Returns the reasons why a judgement is undecided. The advice about too few measurements
/// (`too_few`) and about noise (`noise`) depends on what was measured.
pub(crate) fn because(
    judgement: &Judgement,
    too_few: impl Fn(usize, u32) -> String,
    noise: impl Fn(&str) -> String,
) -> String {
    let reasons = reason::all(judgement).into_iter().map(|reason| match reason {
        Reason::Failures(of) => {
            format!("the candidate fails more often than its base, {}; find out why", names(&of))
        }
        Reason::TooFewBlocks { metrics, needed } => too_few(metrics, needed),
        Reason::CopyAlarms(of) => {
            format!(
                "the copy of the base raises an alarm about {}, too; give it a quieter machine",
                names(&of)
            )
        }
        Reason::Noise(of) => noise(&names(&of)),
        Reason::Lacking(of) => {
            let names = counted(of.iter().map(|one| format!("{} of {}", one.key, one.workload)));
            format!("not judged, for the reasons above: {names}")
        }
        Reason::NothingDecides => {
            "no metric that decides was measured; give another one `decides = true` in the margins"
                .to_owned()
        }
    });
    reasons.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Block, Slice};
    use crate::plan::Plan;
    use crate::simulated::{self, CPU};

    fn text(blocks: Vec<Block>) -> String {
        write(&Gate::judged(simulated::plan(blocks.len() as u32), blocks))
    }

    fn last_line(text: &str) -> &str {
        text.lines().last().unwrap()
    }

    #[test]
    fn a_regression_ends_in_its_reasons_failures_first_and_its_false_alarms() {
        let worse = |slice: &mut Slice| {
            simulated::slow_down(slice, 1.2);
            slice.failed_share = 0.1;
        };
        let text = text(simulated::blocks(12, 1, worse));
        let last = last_line(&text);
        let begin = "REGRESSED: failed_requests of closed, failed_requests of open, latency_p50_us of closed";
        assert!(last.starts_with(begin), "{last}");
        assert!(
            last.contains("identical builds says so in 1 % of cases at most (12 blocks)"),
            "{last}"
        );
        assert!(text.lines().nth(1).unwrap().contains("failed_requests"), "{text}");
    }

    #[test]
    fn a_gate_that_is_not_regressed_says_what_it_did_not_decide() {
        let mut blocks = simulated::blocks(24, 1, |_| {});
        simulated::candidate_slices(&mut blocks[4], "open")
            .for_each(|slice| slice.failed_share = 0.1);
        let text = text(blocks);
        let last = last_line(&text);
        assert_eq!(
            last,
            "Not regressed (24 blocks). Not decided: failed_requests of open in 1 of 24 blocks."
        );
        assert!(
            text.contains("of each metric by itself; verdicts are corrected for all"),
            "{text}"
        );
    }

    #[test]
    fn an_undecided_gate_names_what_is_open_and_the_next_step() {
        let noisy = simulated::blocks(12, 1, |slice| simulated::slow_down(slice, 1.03));
        let text_of_noisy = text(noisy);
        let last = last_line(&text_of_noisy);
        assert!(
            last.starts_with("UNDECIDED: the noise hides ") && last.contains("longer --budget"),
            "{last}"
        );
        assert!(last.contains(CPU), "{last}");
    }

    #[test]
    fn a_gate_that_is_not_regressed_names_what_became_worse() {
        let text = text(simulated::blocks(24, 1, |slice| simulated::slow_down(slice, 1.015)));
        let last = last_line(&text);
        assert!(
            last.starts_with(
                "Not regressed (24 blocks). Worse, but not shown to exceed the margin: "
            ),
            "{last}"
        );
        assert!(last.contains(CPU), "{last}");
    }

    #[test]
    fn failures_are_reported_with_their_blocks_and_not_as_noise() {
        let mut blocks = simulated::blocks(24, 1, |_| {});
        for block in &mut blocks[..3] {
            simulated::candidate_slices(block, "open").for_each(|slice| slice.failed_share = 0.1);
        }
        let text = text(blocks);
        let last = last_line(&text);
        let begin = "UNDECIDED: the candidate fails more often than its base, failed_requests of open in 3 of 24 blocks;";
        assert!(last.starts_with(begin) && !last.contains("noise"), "{last}");
    }

    #[test]
    fn an_undecided_gate_of_counts_says_why_and_never_an_empty_name() {
        let mut blocks = simulated::blocks(24, 1, |_| {});
        simulated::candidate_slices(&mut blocks[0], "open").for_each(|slice| {
            slice.metrics.remove(CPU);
        });
        let counts = |blocks: Vec<Block>| {
            let plan = Plan { counts: true, ..simulated::plan(blocks.len() as u32) };
            sentence(&Gate::judged(plan, blocks))
        };
        let lacking = counts(blocks);
        assert!(
            lacking.starts_with("UNDECIDED: not judged") && !lacking.contains("differ"),
            "{lacking}"
        );
        let noisy = counts(simulated::blocks(12, 1, |slice| simulated::slow_down(slice, 1.03)));
        assert!(
            noisy.contains("server differ in ") && noisy.contains("without --counts"),
            "{noisy}"
        );
    }

    #[test]
    fn too_few_blocks_are_reported() {
        let text = text(simulated::blocks(6, 1, |slice| simulated::slow_down(slice, 1.5)));
        let last = last_line(&text);
        assert!(last.contains("too few blocks to see any change in 8 metrics"), "{last}");
        assert!(last.contains("a --budget for 10") && text.contains("sees nothing"), "{text}");
    }

    #[test]
    fn a_deciding_metric_that_is_missing_is_the_reason() {
        let mut blocks = simulated::blocks(24, 1, |_| {});
        simulated::candidate_slices(&mut blocks[0], "open").for_each(|slice| {
            slice.metrics.remove(CPU);
        });
        let text = text(blocks);
        let last = last_line(&text);
        assert!(
            last.contains("not judged, for the reasons above: server_cpu_us_per_request of open"),
            "{last}"
        );
        assert!(!last.contains("noise"), "{last}");
    }
}
