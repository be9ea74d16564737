//! The result as a table for a terminal, which ends in one sentence that a reviewer can act on.

use crate::gate::Gate;
use crate::series::Quantity;
use crate::verdict::{FALSE_ALARMS, Judged, Verdict};

/// Writes the result.
pub fn write(gate: &Gate) -> String {
    let mut text = String::new();
    for workload in gate.judgement.workloads() {
        text += &format!("{workload}\n");
        for judged in gate.judgement.judged_of(workload) {
            text += &line(judged);
        }
        for one in gate.judgement.unjudged.iter().filter(|one| one.workload == workload) {
            text += &format!("  {:<42} not judged: {}\n", one.key, one.reason);
        }
    }
    text + &sentence(gate) + "\n"
}

fn line(judged: &Judged) -> String {
    let key = judged.series.quantity.key();
    let seen = match (&judged.series.quantity, judged.smallest_detectable) {
        (Quantity::Metric { .. }, Some(effect)) => format!("sees {:.1} %", effect.exp_m1() * 100.0),
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
    let names = |verdict: Verdict, deciding: bool| {
        let of = gate
            .judgement
            .judged
            .iter()
            .filter(|one| one.verdict == verdict && (!deciding || one.series.decides));
        let name = |one: &Judged| format!("{} of {}", one.series.quantity.key(), one.series.workload);
        of.map(name).collect::<Vec<_>>().join(", ")
    };
    let alarms = FALSE_ALARMS * 100.0;
    let blocks = gate.blocks.len();
    match gate.judgement.verdict {
        Verdict::Regressed => format!(
            "REGRESSED: {}. A gate of identical builds says so in {alarms} % of cases at most ({blocks} blocks).",
            names(Verdict::Regressed, false)
        ),
        Verdict::Undecided if gate.plan.counts => format!(
            "UNDECIDED: {} differs between starts of one and the same server; measure time instead, without --counts \
             ({blocks} blocks).",
            names(Verdict::Undecided, true)
        ),
        Verdict::Undecided => format!(
            "UNDECIDED: the noise hides {}; give a longer --budget or a quieter machine ({blocks} blocks).",
            names(Verdict::Undecided, true)
        ),
        _ => {
            let hidden = names(Verdict::Undecided, false);
            let hidden = if hidden.is_empty() { String::new() } else { format!(" Not decided: {hidden}.") };
            format!("Not regressed ({blocks} blocks).{hidden}")
        }
    }
}
