//! Series of a history, and their steps. A series is a metric of a workload on one machine against
//! one anchor. Values of different machines, anchors or suites are never in the same series,
//! because no revision would be the cause of the step between them.

use c10k_reports::metric;
use c10k_reports::statistics::lead::Better;

use super::entry::{Entry, Fingerprint, Ratio};
use crate::change_points::{self, FEWEST};
use crate::hodges_lehmann;
use crate::shift::{self, Shift};
use crate::verdict::CONFIDENCE;

/// Seed of the random orders that steps are compared with. It is fixed, so that a history always
/// has the same steps.
const SEED: u64 = 1;

/// A history.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Groups of series, in the order in which they begin in the file.
    pub groups: Vec<Group>,
}

/// Properties that all values of a series have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The machine.
    pub machine: Fingerprint,
    /// The anchor.
    pub anchor: String,
    /// The suite.
    pub suite: String,
}

/// All series of one machine, anchor and suite.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Machine, anchor and suite of the group.
    pub key: Key,
    /// Parts of the key that differ from the group before: `machine`, `anchor`, `suite`. Empty for
    /// the first group.
    pub changed: Vec<&'static str>,
    /// Number of gates.
    pub gates: usize,
    /// Times of the first and of the last gate.
    pub times: (String, String),
    /// Series of the group, by workload and metric.
    pub series: Vec<Series>,
}

/// A metric of a workload over the gates of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name of the workload.
    pub workload: String,
    /// Key of the metric.
    pub metric: String,
    /// Values, in the order of the file.
    pub points: Vec<Point>,
    /// Number of gates of the group that have no value.
    pub missing: usize,
    /// Levels between the steps.
    pub levels: Vec<Level>,
    /// Steps, one at the beginning of each level but the first.
    pub steps: Vec<Step>,
    /// Values far outside their level, for fewer gates than a step takes.
    pub far_out: Vec<FarOut>,
}

/// A value of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The revision.
    pub revision: String,
    /// Start time of the gate.
    pub time: String,
    /// Index of the gate in the group, from 0.
    pub gate: usize,
    /// Ratio of the revision to the anchor.
    pub ratio: Ratio,
}

/// Values between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Index of the first point.
    pub begin: usize,
    /// Index after the last point.
    pub end: usize,
    /// Hodges–Lehmann estimate of the ratio of revision to anchor.
    pub middle: f64,
}

/// A change that lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Index of the first point of the new level.
    pub at: usize,
    /// Ratio of the new level to the level before it.
    pub ratio: f64,
    /// Interval of the ratio, with the place of the step taken as known; `None` with too few
    /// values.
    pub interval: Option<(f64, f64)>,
    /// True if the step is for the worse; `None` for a metric without a better direction, and for a
    /// step in the noise alone.
    pub is_worse: Option<bool>,
}

/// A value far outside its level.
#[derive(Debug, Clone, PartialEq)]
pub struct FarOut {
    /// Index of the point.
    pub at: usize,
    /// Ratio of the value to the middle of its level.
    pub ratio: f64,
    /// True if all later points are far out, too, so that the value may become a step.
    pub is_newest: bool,
}

impl History {
    /// Creates the history from the lines of a file.
    pub fn of(entries: &[Entry]) -> Self {
        let mut keys: Vec<Key> = Vec::new();
        for key in entries.iter().map(Key::of) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let before = std::iter::once(None).chain(keys.iter().map(Some));
        let groups = keys.iter().zip(before).map(|(key, before)| {
            let entries = entries.iter().filter(|entry| Key::of(entry) == *key);
            Group::of(key.clone(), before, &entries.collect::<Vec<_>>())
        });
        Self { groups: groups.collect() }
    }
}

impl Key {
    fn of(entry: &Entry) -> Self {
        let Entry { machine, anchor, suite, .. } = entry;
        Self { machine: machine.clone(), anchor: anchor.clone(), suite: suite.clone() }
    }

    fn changed_from(&self, before: &Self) -> Vec<&'static str> {
        let parts = [
            ("machine", self.machine != before.machine),
            ("anchor", self.anchor != before.anchor),
            ("suite", self.suite != before.suite),
        ];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

impl Group {
    fn of(key: Key, before: Option<&Key>, entries: &[&Entry]) -> Self {
        let all = entries.iter().flat_map(|entry| {
            entry
                .workloads
                .iter()
                .flat_map(|(workload, metrics)| metrics.keys().map(move |key| (workload, key)))
        });
        let mut names: Vec<(&String, &String)> = all.collect();
        names.sort_unstable();
        names.dedup();
        let time =
            |entry: Option<&&Entry>| entry.map(|entry| entry.time.clone()).unwrap_or_default();
        Self {
            changed: before.map(|before| key.changed_from(before)).unwrap_or_default(),
            key,
            gates: entries.len(),
            times: (time(entries.first()), time(entries.last())),
            series: names
                .into_iter()
                .map(|(workload, metric)| Series::of(workload, metric, entries))
                .collect(),
        }
    }

    /// Returns all steps, each with its series, in the order of gates.
    pub fn steps(&self) -> Vec<(&Series, &Step)> {
        let steps = self
            .series
            .iter()
            .flat_map(|series| series.steps.iter().map(move |step| (series, step)));
        let mut steps: Vec<_> = steps.collect();
        steps.sort_by_key(|(series, step)| series.point(step.at).gate);
        steps
    }
}

impl Series {
    fn of(workload: &str, metric: &str, entries: &[&Entry]) -> Self {
        let points = entries.iter().enumerate().filter_map(|(gate, entry)| {
            let ratio = *entry.workloads.get(workload)?.get(metric)?;
            Some(Point { revision: entry.revision.clone(), time: entry.time.clone(), gate, ratio })
        });
        let points: Vec<Point> = points.collect();
        // Logarithms, as in a gate: twice as much and half as much are equally far.
        let logs: Vec<f64> = points.iter().map(|point| point.ratio.ratio.ln()).collect();
        let begins = change_points::find(&logs, SEED);
        let levels = levels(&logs, &begins);
        Self {
            workload: workload.to_owned(),
            metric: metric.to_owned(),
            missing: entries.len() - points.len(),
            steps: steps(&logs, &levels, metric),
            far_out: levels.iter().flat_map(|level| far_out(&logs, level)).collect(),
            levels,
            points,
        }
    }

    /// Returns the point at index `at`, such as the place of a step or of a value that is far out.
    pub fn point(&self, at: usize) -> &Point {
        &self.points[at]
    }
}

fn levels(logs: &[f64], begins: &[usize]) -> Vec<Level> {
    let starts = std::iter::once(0).chain(begins.iter().copied());
    let ends = begins.iter().copied().chain(std::iter::once(logs.len()));
    let level = |(begin, end): (usize, usize)| {
        let middle = hodges_lehmann::estimate(&logs[begin..end]).unwrap_or(0.0).exp();
        Level { begin, end, middle }
    };
    starts.zip(ends).map(level).collect()
}

fn steps(logs: &[f64], levels: &[Level], metric: &str) -> Vec<Step> {
    let better = metric::by_key(metric).and_then(|metric| metric.better);
    let step = |pair: &[Level]| {
        let values = |level: &Level| &logs[level.begin..level.end];
        let shift = shift::between(values(&pair[0]), values(&pair[1]), CONFIDENCE)?;
        Some(Step {
            at: pair[1].begin,
            ratio: shift.estimate.exp(),
            interval: shift.interval.map(|(low, high)| (low.exp(), high.exp())),
            is_worse: better.filter(|_| has_direction(&shift)).map(|better| {
                let is_larger = shift.estimate > 0.0;
                is_larger == (better == Better::Lower)
            }),
        })
    };
    levels.windows(2).filter_map(step).collect()
}

/// Returns true if the values went up or down. A step may be a change of the noise alone, because
/// any difference between both levels counts as a step.
fn has_direction(shift: &Shift) -> bool {
    shift.interval.is_none_or(|(low, high)| low > 0.0 || high < 0.0)
}

/// Finds values far outside a level. A run of as many values as a level needs is left out, because
/// the test has already taken it for noise.
fn far_out(logs: &[f64], level: &Level) -> Vec<FarOut> {
    let places = shift::far_out(&logs[level.begin..level.end]);
    let runs =
        places.chunk_by(|before, after| after - before == 1).filter(|run| run.len() < FEWEST);
    let of_run = |run: &[usize]| {
        let is_newest = level.end == logs.len()
            && run.last().is_some_and(|last| level.begin + last + 1 == level.end);
        let of = |place: &usize| {
            let at = level.begin + place;
            FarOut { at, ratio: logs[at].exp() / level.middle, is_newest }
        };
        run.iter().map(of).collect::<Vec<_>>()
    };
    runs.flat_map(of_run).collect()
}
