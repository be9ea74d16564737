//! Judges the claim that a run tests.
//!
//! A predicate holds if the whole interval of its number over the rounds lies within its bounds,
//! and fails if the whole interval lies beyond one bound; otherwise there are too few rounds to
//! decide. A claim is confirmed if all its predicates hold, and refuted if one fails.

use std::fmt;

use super::cell::CellResult;
use super::doubt::Doubt;
use super::gather::Results;
use super::rounds;
use crate::format;
use crate::metric::by_key;
use crate::record::{Claim, Predicate, Selector};
use crate::statistics::interval::Interval;
use crate::statistics::lead::Contender;

/// Finding of a run about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// All predicates hold.
    Confirmed,
    /// At least one predicate fails.
    Refuted,
    /// Neither of the two is certain.
    Undecided,
}

/// A claim with the findings about it.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The claim.
    pub claim: &'a Claim,
    /// Finding about the claim.
    pub finding: Finding,
    /// Finding about each predicate, and the predicate with its number in words.
    pub predicates: Vec<(Finding, String)>,
}

impl Finding {
    /// Returns the finding in words, which say "here": a finding on this machine need not hold on
    /// another.
    pub fn words(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed here",
            Self::Refuted => "refuted here",
            Self::Undecided => "undecided",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl fmt::Display for Judged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} ({})", self.finding, self.claim.says, self.claim.source)?;
        self.predicates.iter().try_for_each(|(finding, text)| writeln!(f, "    {finding}: {text}"))
    }
}

/// Judges the claim that the run tests; `None` if it tests no claim.
pub fn judge(results: &Results) -> Option<Judged<'_>> {
    let claim = results.environment.claim.as_ref()?;
    let predicates: Vec<(Finding, String)> =
        claim.predicate.iter().map(|predicate| judge_predicate(results, predicate)).collect();
    let all = |wanted| predicates.iter().all(|(finding, _)| *finding == wanted);
    let any = |wanted| predicates.iter().any(|(finding, _)| *finding == wanted);
    let finding = if any(Finding::Refuted) {
        Finding::Refuted
    } else if all(Finding::Confirmed) {
        Finding::Confirmed
    } else {
        Finding::Undecided
    };
    Some(Judged { claim, finding, predicates })
}

fn judge_predicate(results: &Results, predicate: &Predicate) -> (Finding, String) {
    let what = describe(results, predicate);
    match interval(results, predicate) {
        Ok(interval) => (within(predicate, interval), format!("{what}: {}", in_words(interval))),
        Err(reason) => (Finding::Undecided, format!("{what}: {reason}")),
    }
}

/// Writes an interval; one of its ends may be open.
fn in_words(Interval { mean, low, high }: Interval) -> String {
    let [number, least, most] = [mean, low, high].map(format::significant);
    match (low.is_finite(), high.is_finite()) {
        (true, true) => format!("{number} ({least} to {most})"),
        (true, false) => format!("at least {number} ({least} or more)"),
        (false, _) => format!("at most {number} ({most} or less)"),
    }
}

/// Returns the interval of a predicate's number over the rounds, or the reason why there is none.
/// If a value is only a lower bound, the end of the interval that it leaves unknown is infinite.
fn interval(results: &Results, predicate: &Predicate) -> Result<Interval, String> {
    let of = values(results, &predicate.of, &predicate.metric)?;
    let few = || "there are too few rounds".to_owned();
    let of_at_least = of.at_least;
    let open_above = |interval| {
        if of_at_least { Interval { high: f64::INFINITY, ..interval } } else { interval }
    };
    let Some(over) = &predicate.over else {
        let values: Vec<f64> = of.rounds.into_values().collect();
        return counted(&values, results)
            .or_else(|| Interval::of(&values))
            .map(open_above)
            .ok_or_else(few);
    };
    let over = values(results, over, &predicate.metric)?;
    if of.at_least && over.at_least {
        return Err("both numbers are only lower bounds".to_owned());
    }
    let ratio = |(round, value): (&u32, &f64)| Some(value / over.rounds.get(round)?);
    let ratios: Vec<f64> = of.rounds.iter().filter_map(ratio).collect();
    let interval = counted(&ratios, results)
        .or_else(|| Interval::of_ratios(&ratios))
        .ok_or_else(|| "there are too few rounds, or a number is zero".to_owned())?;
    let open_below =
        if over.at_least { Interval { low: f64::NEG_INFINITY, ..interval } } else { interval };
    Ok(open_above(open_below))
}

/// Returns the interval of a number that a run of several rounds has only once: a pass counted it
/// in the first round, and would count the same in the other rounds.
fn counted(values: &[f64], results: &Results) -> Option<Interval> {
    match values {
        [value] if results.environment.rounds > 1 && value.is_finite() => {
            Some(Interval { mean: *value, low: *value, high: *value })
        }
        _ => None,
    }
}

/// Returns the values of a metric by round, for the cell that `selector` means.
fn values(results: &Results, selector: &Selector, metric: &str) -> Result<Contender, String> {
    let metric = by_key(metric).ok_or_else(|| format!("there is no metric {metric}"))?;
    let cell =
        cell(results, selector).ok_or_else(|| format!("{} was not measured", selector.subject))?;
    let in_doubt = cell
        .doubts()
        .into_iter()
        .find(|doubt| matches!(doubt, Doubt::LostRound | Doubt::Disturbed));
    if let Some(doubt) = in_doubt {
        return Err(format!("{} has no number: {}", selector.subject, doubt.meaning()));
    }
    let contender = rounds::contender(&cell.records, metric);
    if contender.rounds.is_empty() {
        return Err(format!("{} has no number", selector.subject));
    }
    Ok(contender)
}

fn cell<'a>(results: &'a Results, selector: &Selector) -> Option<&'a CellResult> {
    let workloads = &results.environment.workloads;
    results.cells.iter().find(|cell| {
        // Parameters that a subject sets for itself are only in its records.
        let parameters = cell
            .records
            .first()
            .map_or(&workloads[cell.workload].parameters, |record| &record.parameters);
        selector.means(results.subject_name(cell), parameters)
    })
}

/// Decides if the whole interval lies within the bounds, or beyond one of them.
fn within(predicate: &Predicate, Interval { low, high, .. }: Interval) -> Finding {
    let holds = predicate.above.is_none_or(|above| low > above)
        && predicate.below.is_none_or(|below| high < below);
    let fails = predicate.above.is_some_and(|above| high <= above)
        || predicate.below.is_some_and(|below| low >= below);
    match (holds, fails) {
        (_, true) => Finding::Refuted,
        (true, false) => Finding::Confirmed,
        (false, false) => Finding::Undecided,
    }
}

/// Describes a predicate, such as `Server CPU of epoll (idle: 8000) over that of epoll (idle: 0),
/// below 1.6`.
fn describe(results: &Results, predicate: &Predicate) -> String {
    let title = by_key(&predicate.metric).map_or(predicate.metric.as_str(), |metric| metric.title);
    let mut text = format!("{title} of {}", cell_in_words(results, &predicate.of));
    if let Some(over) = &predicate.over {
        text += &format!(" over that of {}", cell_in_words(results, over));
    }
    for (bound, word) in [(predicate.above, "above"), (predicate.below, "below")] {
        if let Some(bound) = bound {
            text += &format!(", {word} {bound}");
        }
    }
    text
}

fn cell_in_words(results: &Results, selector: &Selector) -> String {
    let title = |key: &str| {
        let axis = results.environment.axes.iter().find(|axis| axis.key == key);
        axis.map_or_else(|| key.to_owned(), |axis| axis.title.clone())
    };
    let parameters =
        selector.parameters.iter().map(|(key, value)| format!("{}: {value}", title(key)));
    match parameters.collect::<Vec<_>>().as_slice() {
        [] => selector.subject.clone(),
        told => format!("{} ({})", selector.subject, told.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::record::{Parameter, Record, Run, Search};

    /// Builds three rounds of two subjects. In each round, `fork` takes the CPU time of `epoll`
    /// times the ratio of the round.
    fn results(ratios: [f64; 3], predicate: Predicate) -> Results {
        let mut environment = fixture::environment();
        let claim = Claim {
            says: "It does.".to_owned(),
            source: "Nobody".to_owned(),
            predicate: vec![predicate],
        };
        environment.claim = Some(claim);
        let record = |subject: &str, round: u32, cpu_us: f64| -> Record {
            let mut record = fixture::measured(subject, "short-1", round);
            record.parameters.insert("connections".to_owned(), Parameter::Count(1));
            record.metrics.insert("server_cpu_us_per_request".to_owned(), cpu_us);
            record
        };
        let rounds = ratios.iter().zip(1..);
        let records = rounds.flat_map(|(ratio, round)| {
            [record("fork", round, 10.0 * ratio), record("epoll", round, 10.0)]
        });
        Results::without_histograms(Run {
            dir: "run".into(),
            records: records.collect(),
            environment,
            notes: Vec::new(),
        })
    }

    fn selector(subject: &str) -> Selector {
        let parameters = [("connections".to_owned(), Parameter::Count(1))].into();
        Selector { subject: subject.to_owned(), parameters }
    }

    fn at_least_twice() -> Predicate {
        Predicate {
            metric: "server_cpu_us_per_request".to_owned(),
            of: selector("fork"),
            over: Some(selector("epoll")),
            above: Some(2.0),
            below: None,
        }
    }

    fn finding(ratios: [f64; 3]) -> Finding {
        judge(&results(ratios, at_least_twice())).unwrap().finding
    }

    #[test]
    fn a_claim_is_decided_by_the_whole_interval() {
        assert_eq!(finding([3.0, 3.1, 2.9]), Finding::Confirmed);
        assert_eq!(finding([1.0, 1.1, 0.9]), Finding::Refuted);
        assert_eq!(finding([3.0, 1.5, 2.2]), Finding::Undecided);
    }

    #[test]
    fn a_finding_is_described_with_its_numbers() {
        let results = results([3.0, 3.1, 2.9], at_least_twice());
        let (_, text) = &judge(&results).unwrap().predicates[0];
        assert!(
            text.contains("fork")
                && text.contains("over that of epoll")
                && text.contains("above 2"),
            "{text}"
        );
    }

    #[test]
    fn a_lower_bound_decides_only_what_a_higher_value_would_decide_as_well() {
        let with_bound = |subject: &str, above, below| {
            let predicate =
                Predicate { metric: "capacity_rps".to_owned(), above, below, ..at_least_twice() };
            let mut results = results([1.0; 3], predicate);
            for cell in 0..results.cells.len() {
                let (name, rps) = match results.subject_name(&results.cells[cell]) {
                    "fork" => ("fork", 3000.0),
                    _ => ("epoll", 1000.0),
                };
                let breaks_rps = (name != subject).then_some(rps * 1.02);
                for record in &mut results.cells[cell].records {
                    record.metrics.insert("capacity_rps".to_owned(), rps);
                    let objective = "p99 < 5ms".to_owned();
                    record.search =
                        Some(Search { objective, holds_rps: rps, breaks_rps, steps: Vec::new() });
                }
            }
            judge(&results).unwrap().finding
        };
        assert_eq!(with_bound("nothing", Some(2.0), Some(4.0)), Finding::Confirmed);
        // The capacity of fork is only known to be 3,000 or more.
        assert_eq!(with_bound("fork", Some(2.0), None), Finding::Confirmed);
        assert_eq!(with_bound("fork", None, Some(4.0)), Finding::Undecided);
        assert_eq!(with_bound("fork", None, Some(2.0)), Finding::Refuted);
        // That of epoll may be higher, so that the ratio may be lower.
        assert_eq!(with_bound("epoll", Some(2.0), None), Finding::Undecided);
        assert_eq!(with_bound("epoll", None, Some(4.0)), Finding::Confirmed);
    }

    #[test]
    fn a_disturbed_round_decides_nothing() {
        let mut results = results([3.0, 3.1, 2.9], at_least_twice());
        for cell in &mut results.cells {
            cell.records
                .iter_mut()
                .for_each(|record| record.disturbed = Some("by a test".to_owned()));
        }
        assert_eq!(judge(&results).unwrap().finding, Finding::Undecided);
    }

    #[test]
    fn a_run_without_a_claim_has_no_finding() {
        let mut results = results([1.0; 3], at_least_twice());
        results.environment.claim = None;
        assert!(judge(&results).is_none());
    }
}
