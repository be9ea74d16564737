//! Two runs, or two subjects of one run, cell by cell: ratios with intervals over rounds, and
//! verdicts in the words of the gate.
//!
//! A comparison is weaker evidence than a gate. A gate measures both sides alternately in many
//! blocks. A comparison has a few rounds of two runs, which lie hours or days apart, so that a
//! slower machine looks like a slower server. Subjects of one run are measured in the same rounds,
//! which are compared as pairs.
//!
//! There are too few rounds for a test without assumptions. So Student's t is applied to logarithms
//! of ratios, with Holm's correction for the number of metrics and cells. The false-alarm rate
//! equals that of a gate if the noise of the rounds is normal.

mod cautions;
mod cells;
pub mod json;
mod side;
pub mod text;

use c10k_reports::metric;
use c10k_reports::results::CellResult;
use c10k_reports::statistics::lead::{Better, Contender};

use crate::holm;
use crate::margin::{Margin, Margins};
use crate::power::SEEN;
use crate::series::{Quantity, Series, Unjudged};
use crate::students_t::Difference;
use crate::verdict::{CONFIDENCE, FALSE_ALARMS, Judged, Judgement};

pub use cells::Pair;
pub use side::{CompareError, Side};

/// Largest effect that is reported as the smallest detectable one, as a logarithm. A comparison
/// that can't detect a tenfold change is reported as detecting nothing.
const LARGEST_TOLD: f64 = std::f64::consts::LN_10;

/// Result of the comparison of B with A.
#[derive(Debug)]
pub struct Comparison {
    /// Names that the user gave to A and B.
    pub names: [String; 2],
    /// True if A and B are of the same run, so that rounds are compared as pairs.
    pub paired: bool,
    /// Cells that both sides have, in the order of the suite.
    pub pairs: Vec<Pair>,
    /// Verdicts. The workload of a series is the label of its pair.
    pub judgement: Judgement,
    /// Differences other than the numbers, in sentences.
    pub cautions: Vec<String>,
    /// Command for the gate that would be better evidence; `None` for subjects of one run.
    pub gate: Option<String>,
}

/// Compares `b` with `a`.
///
/// # Errors
/// When there is nothing to compare.
pub fn compare(a: &Side, b: &Side, margins: &Margins) -> Result<Comparison, CompareError> {
    let paired = a.folder == b.folder;
    if paired && a.subject == b.subject {
        return Err(CompareError::Same);
    }
    let pairs = cells::pairs(a, b)?;
    let mut found = Vec::new();
    let mut unjudged = Vec::new();
    for pair in &pairs {
        let cells = pair.cells(a, b);
        if let Some(reason) = pair.why_not(a, b) {
            let key = "all metrics".to_owned();
            unjudged.push(Unjudged { workload: pair.label.clone(), key, reason, decides: true });
            continue;
        }
        for of in margins.iter() {
            match one_metric(&pair.label, cells, of, paired) {
                Ok(metric) => found.extend(metric),
                Err(reason) => unjudged.push(reason),
            }
        }
    }
    Ok(Comparison {
        names: [a.name.clone(), b.name.clone()],
        paired,
        cautions: cautions::of(a, b, &pairs),
        gate: (!paired).then(|| cautions::gate(a, b)),
        pairs,
        judgement: Judgement::of(judge_all(found), unjudged, Vec::new()),
    })
}

/// A metric of a pair of cells, with its difference if there are enough rounds for one.
type Found = (Judged, Option<Difference>);

/// Compares one metric; `None` if neither cell has it.
fn one_metric(
    label: &str,
    cells: [&CellResult; 2],
    (key, margin): (&str, &Margin),
    paired: bool,
) -> Result<Option<Found>, Unjudged> {
    let unjudged = |reason: &str| Unjudged {
        workload: label.to_owned(),
        key: key.to_owned(),
        reason: reason.to_owned(),
        decides: margin.decides,
    };
    let metric = metric::by_key(key).ok_or_else(|| unjudged("there is no such metric"))?;
    let (a, b) = match cells.map(|cell| cell.comparable(metric)) {
        [Some(a), Some(b)] => (at_least(a, margin.floor), at_least(b, margin.floor)),
        [None, None] => return Ok(None),
        [Some(_), None] => return Err(unjudged("only A has a value")),
        [None, Some(_)] => return Err(unjudged("only B has a value")),
    };
    if let Some(bound) = metric.bound.filter(|_| a.at_least || b.at_least) {
        let reason = format!("the value is a lower bound: {}", bound.reason);
        return Err(unjudged(&reason));
    }
    if a.rounds.values().chain(b.rounds.values()).any(|value| *value <= 0.0) {
        return Err(Unjudged { decides: false, ..unjudged("there is no ratio of zero") });
    }
    let more_is_better = metric.better == Some(Better::Higher);
    let sign = if more_is_better { -1.0 } else { 1.0 };
    let (values, difference) =
        difference(&a, &b, sign, paired).ok_or_else(|| unjudged("no round has both"))?;
    let series = Series {
        workload: label.to_owned(),
        quantity: Quantity::Metric { key: key.to_owned(), more_is_better },
        margin: margin.log(more_is_better),
        decides: margin.decides,
        values,
    };
    let estimate = difference.map_or_else(|| series.values[0], |difference| difference.mean);
    Ok(Some((Judged::new(series, estimate), difference)))
}

/// Raises the values of a side that are below `floor` to `floor`, as in a gate.
fn at_least(mut side: Contender, floor: Option<f64>) -> Contender {
    side.rounds.values_mut().for_each(|value| *value = value.max(floor.unwrap_or(0.0)));
    side
}

/// Returns the effect of each round, or a single effect of all rounds if they are not pairs. The
/// difference needs two rounds.
fn difference(
    a: &Contender,
    b: &Contender,
    sign: f64,
    paired: bool,
) -> Option<(Vec<f64>, Option<Difference>)> {
    if paired {
        let both =
            a.rounds.iter().filter_map(|(round, a)| Some(sign * (b.rounds.get(round)? / a).ln()));
        let differences: Vec<f64> = both.collect();
        let difference = Difference::paired(&differences);
        return (!differences.is_empty()).then_some((differences, difference));
    }
    let logs = |side: &Contender| -> Vec<f64> {
        side.rounds.values().map(|value| sign * value.ln()).collect()
    };
    let (a, b) = (logs(a), logs(b));
    let mean = |logs: &[f64]| logs.iter().sum::<f64>() / logs.len() as f64;
    Some((vec![mean(&b) - mean(&a)], Difference::between(&a, &b)))
}

/// Judges all metrics together.
fn judge_all(found: Vec<Found>) -> Vec<Judged> {
    let tests: Vec<(f64, Difference)> = found
        .iter()
        .filter_map(|(judged, difference)| Some((judged.series.margin, (*difference)?)))
        .collect();
    let beyond: Vec<f64> =
        tests.iter().map(|(margin, difference)| difference.p_above(*margin)).collect();
    let differs: Vec<f64> = tests.iter().map(|(_, difference)| difference.p_differs()).collect();
    let level = FALSE_ALARMS / tests.len().max(1) as f64;
    let mut probabilities = holm::adjust(&beyond).into_iter().zip(holm::adjust(&differs));
    let judge = |(mut judged, difference): Found| {
        let Some(difference) = difference else { return judged };
        if let Some((beyond, differs)) = probabilities.next() {
            judged.p_beyond_margin = beyond;
            judged.p_no_effect = differs;
        }
        judged.interval = Some(difference.interval(CONFIDENCE));
        let smallest = difference.smallest_detectable(judged.series.margin, level, SEEN);
        judged.smallest_detectable = Some(smallest).filter(|smallest| *smallest < LARGEST_TOLD);
        judged.decide();
        judged
    };
    found.into_iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;
    use crate::verdict::Verdict;

    /// Returns the verdicts on 20 metrics over `rounds` rounds, the first of which is worse by
    /// `effect`.
    fn verdicts(rounds: usize, effect: f64, random: &mut ChaCha8Rng) -> Vec<Judged> {
        let noise = Normal::new(0.0, 0.01).unwrap();
        let found = (0..20).map(|place| {
            let effect = if place == 0 { effect } else { 0.0 };
            let values: Vec<f64> = (0..rounds).map(|_| effect + noise.sample(random)).collect();
            let difference = Difference::paired(&values);
            let quantity = Quantity::Metric { key: place.to_string(), more_is_better: false };
            let workload = "w".to_owned();
            let series = Series { workload, quantity, margin: 0.02, decides: true, values };
            (Judged::new(series, difference.unwrap().mean), difference)
        });
        judge_all(found.collect())
    }

    /// At a rate of 1 %, 500 comparisons have more than 13 alarms in 1 of 1,000 cases.
    #[test]
    fn equals_are_distinguished_as_rarely_as_promised() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for effect in [0.0, 0.02] {
            let alarms = (0..500).filter(|_| {
                let judged = verdicts(3, effect, &mut random);
                judged.iter().any(|one| one.p_beyond_margin <= FALSE_ALARMS)
                    || judged[1..].iter().any(|one| one.p_no_effect <= FALSE_ALARMS)
            });
            let alarms = alarms.count();
            assert!(alarms <= 13, "{alarms} of 500");
        }
    }

    #[test]
    fn changes_of_the_smallest_detectable_size_are_found() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let mut seen: Vec<f64> =
            (0..101).filter_map(|_| verdicts(8, 0.0, &mut random)[0].smallest_detectable).collect();
        seen.sort_unstable_by(f64::total_cmp);
        let smallest = seen[seen.len() / 2];
        let found = (0..200)
            .filter(|_| verdicts(8, smallest, &mut random)[0].verdict == Verdict::Regressed)
            .count();
        assert!(found >= 180, "{found} of 200 found {smallest}");
    }

    #[test]
    fn too_few_rounds_for_many_metrics_detect_nothing() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let blind = verdicts(2, 0.1, &mut random)
            .iter()
            .filter(|one| one.smallest_detectable.is_none())
            .count();
        assert!(blind > 10, "{blind} of 20");
    }
}
