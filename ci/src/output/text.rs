//! The result as a table for a terminal, which ends in one sentence that a reviewer can act on.

use crate::gate::Gate;
use crate::power::fewest_blocks;
use crate::series::Quantity;
use crate::verdict::{FALSE_ALARMS, Judged, Judgement, Verdict};

/// Metrics that a sentence names.
const NAMED: usize = 8;

/// What an interval is, and a verdict.
pub(crate) const LEGEND: &str =
    "Intervals (95 %) are of each metric by itself; verdicts are corrected for all of them together.";

/// Writes the result.
pub fn write(gate: &Gate) -> String {
    let workloads = gate.judgement.workloads();
    let tables: String =
        workloads.into_iter().map(|workload| table(&gate.judgement, workload, workload)).collect();
    format!("{tables}{LEGEND}\n{}\n", sentence(gate))
}

/// What is said of one workload, below its title.
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
        (Quantity::Metric { .. }, Some(effect)) => format!("sees {:.1} %", judged.share(effect) * 100.0),
        (Quantity::Metric { .. }, None) => "sees nothing".to_owned(),
        _ => String::new(),
    };
    let verdict = judged.verdict.to_string();
    format!("  {key:<42} {:<24} {verdict:<14} {seen}\n", effect(judged))
}

/// The ratio with its interval, or the difference.
pub(super) fn effect(judged: &Judged) -> String {
    let Some(ratio) = judged.ratio() else {
        return format!("{:+.2} % of requests or slices", judged.estimate * 100.0);
    };
    let ends = ratio.interval.map_or(String::new(), |(low, high)| format!(" ({low:.3}–{high:.3})"));
    format!("{:.3}{ends}", ratio.ratio)
}

/// The verdict, its reason, and what it is worth.
pub fn sentence(gate: &Gate) -> String {
    let judgement = &gate.judgement;
    let alarms = FALSE_ALARMS * 100.0;
    let blocks = gate.blocks.len();
    match judgement.verdict {
        Verdict::Regressed => format!(
            "REGRESSED: {}. A gate of identical builds says so in {alarms} % of cases at most ({blocks} blocks).",
            names(judgement, |one| one.verdict == Verdict::Regressed)
        ),
        Verdict::Undecided if gate.plan.counts => format!(
            "UNDECIDED: {} differs between starts of one and the same server; measure time instead, without --counts \
             ({blocks} blocks).",
            names(judgement, |one| one.series.decides && one.is_open())
        ),
        Verdict::Undecided => format!("UNDECIDED: {} ({blocks} blocks).", open(judgement)),
        _ => {
            let hidden = names(judgement, |one| one.verdict == Verdict::Undecided);
            let hidden = if hidden.is_empty() { String::new() } else { format!(" Not decided: {hidden}.") };
            format!("Not regressed ({blocks} blocks).{hidden}")
        }
    }
}

/// Metrics with their workloads, failures first. The last ones of many are counted.
pub(crate) fn names(judgement: &Judgement, is_meant: impl Fn(&Judged) -> bool) -> String {
    let of: Vec<&Judged> = judgement.judged.iter().filter(|one| is_meant(one)).collect();
    let name = |one: &&Judged| format!("{} of {}", one.series.quantity.key(), one.series.workload);
    let named = of.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
    let more = of.len().saturating_sub(NAMED);
    if more > 0 { format!("{named} and {more} more") } else { named }
}

/// The reason why a gate is undecided, and the next step.
fn open(judgement: &Judgement) -> String {
    let sees = judgement.judged.iter().any(|one| one.smallest_detectable.is_some());
    if !sees && !judgement.judged.is_empty() {
        let needed = fewest_blocks(judgement.judged.len(), FALSE_ALARMS);
        let metrics = judgement.judged.len();
        return format!(
            "too few blocks to see any change in {metrics} metrics; give a --budget for {needed} blocks, or fewer workloads"
        );
    }
    let hidden = names(judgement, |one| one.series.decides && one.is_open());
    let lacking = judgement.unjudged.iter().filter(|one| one.decides);
    let lacking = lacking.map(|one| format!("{} of {}", one.key, one.workload)).collect::<Vec<_>>();
    if !hidden.is_empty() {
        format!("the noise hides {hidden}; give a longer --budget or a quieter machine")
    } else if !lacking.is_empty() {
        format!("some blocks have no {}; see above", lacking.join(", "))
    } else {
        "no metric that decides was measured; give one of them `decides = true` in the margins".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Block, Slice};
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
        assert!(last.contains("identical builds says so in 1 % of cases at most (12 blocks)"), "{last}");
        assert!(text.lines().nth(1).unwrap().contains("failed_requests"), "{text}");
    }

    #[test]
    fn a_gate_that_is_not_regressed_says_what_it_did_not_decide() {
        let mut blocks = simulated::blocks(24, 1, |_| {});
        simulated::candidate_slices(&mut blocks[4], "open").for_each(|slice| slice.failed_share = 0.1);
        let text = text(blocks);
        let last = last_line(&text);
        assert_eq!(last, "Not regressed (24 blocks). Not decided: failed_requests of open.");
        assert!(text.contains("of each metric by itself; verdicts are corrected for all"), "{text}");
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
    fn too_few_blocks_are_said_to_be_too_few() {
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
        assert!(last.contains("some blocks have no server_cpu_us_per_request of open"), "{last}");
    }
}
