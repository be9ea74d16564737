//! The comparison as a table for a terminal, which ends in one sentence.

use c10k_reports::statistics::apart::FEWEST_ROUNDS;

use super::Comparison;
use crate::output::text::{LEGEND, because, beside, names, table};
use crate::verdict::{FALSE_ALARMS, Verdict};

/// Writes the comparison.
pub fn write(comparison: &Comparison) -> String {
    let [a, b] = &comparison.names;
    let mut text = format!("A  {a}\nB  {b}\n");
    for pair in &comparison.pairs {
        let [of_a, of_b] = pair.rounds;
        let rounds = if of_a == of_b { of_a.to_string() } else { format!("{of_a} and {of_b}") };
        let title = format!("{} (B/A, rounds: {rounds})", pair.label);
        text += &table(&comparison.judgement, &pair.label, &title);
    }
    for caution in &comparison.cautions {
        text += &format!("! {caution}\n");
    }
    if let Some(gate) = &comparison.gate {
        text += &format!(
            "! The runs are of different times, so that a drift of the machine looks like a \
             change: weaker evidence than a gate, which measures both in turns: {gate}\n"
        );
    }
    format!("{text}{LEGEND}\n{}\n", sentence(comparison))
}

/// Returns a sentence with the verdict, its reason, and its false-alarm rate or what it leaves
/// open.
fn sentence(comparison: &Comparison) -> String {
    let judgement = &comparison.judgement;
    match judgement.verdict {
        Verdict::Regressed => format!(
            "REGRESSED, B against A: {}. At most {} % of comparisons of equal servers say so, if \
             the noise of the rounds is normal.",
            names(&judgement.with(Verdict::Regressed)),
            FALSE_ALARMS * 100.0
        ),
        Verdict::Undecided => format!("UNDECIDED: {}.", open(comparison)),
        _ => format!("Not regressed, B against A.{}", beside(judgement)),
    }
}

/// Returns the reason why the comparison is undecided, and the next step.
fn open(comparison: &Comparison) -> String {
    let judgement = &comparison.judgement;
    if !judgement.judged.is_empty() && judgement.judged.iter().all(|one| one.interval.is_none()) {
        return format!(
            "one round says nothing about the noise; measure {FEWEST_ROUNDS} rounds at least, and \
             8 for small differences (c10k bench --rounds 8)"
        );
    }
    because(
        judgement,
        |metrics, _| {
            format!("too few rounds to see any change in {metrics} metrics; measure more --rounds")
        },
        |names| format!("the noise hides {names}; measure more --rounds"),
    )
}
