//! Evidence: gates that were run on servers whose true difference is known, and gates that are
//! drawn from their blocks to count how often a verdict is wrong.
//!
//! ```text
//! ci/evidence/<set>/<case>/<number>/plan.json, blocks.jsonl or blocks.jsonl.gz
//! ```
//!
//! A set belongs to one machine and one plan, such as `2-cpu-vm`. A case is named after its
//! candidate, such as `identical` or `cpu-5`; [`PROMISES`] lists what a gate promises about each
//! case. Each numbered folder is the folder of a whole gate, as `c10k gate --output` writes it.
//! Other files in it are not read.
//!
//! A drawn gate has as many blocks as a gate of its case. Each of them is a whole block of a real
//! gate, drawn with replacement (Efron, "Bootstrap Methods", 1979). Blocks stay whole, because the
//! metrics and cells of a block belong together. The signs of blocks stay, too: inverting them at
//! random would make identical servers exactly alike, and would hide any effect that makes the
//! first server differ from the second one.

use std::fs;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{Beta, ContinuousCDF};

use crate::block::Block;
use crate::gate::{Gate, GateError, PLAN_FILE};
use crate::verdict::{Judgement, Verdict, judge};

/// Metrics that a gate of identical servers must clear.
const CLEARED: [&str; 2] = ["server_cpu_us_per_request", "throughput_rps"];

/// Gates of servers whose true difference is known.
#[derive(Debug)]
pub struct Case {
    /// Name of the set.
    pub set: String,
    /// Name of the case.
    pub name: String,
    /// Whole gates that were run.
    pub gates: Vec<Gate>,
}

/// Reason why evidence can't be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum EvidenceError {
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(
        "{set}/{case} has gates of different workloads or margins; make them cases of their own"
    )]
    Mixed { set: String, case: String },
}

/// Promise about a case.
///
/// Gates that were run are counted without an interval: with so few gates, the interval would be so
/// wide that a gate passes although it misses a quarter of the changes. At least 95 % means 10 of
/// 10 gates, or 19 of 20.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Promise {
    /// At most this share of drawn gates regresses, and no gate that was run regresses.
    RegressAtMost(f64),
    /// At least this share of gates regresses.
    RegressAtLeast(f64),
}

/// Beginning of the name of a case → promise of a gate. The first entry that matches applies.
pub const PROMISES: &[(&str, Promise)] = &[
    ("identical", Promise::RegressAtMost(0.01)),
    ("cpu-5", Promise::RegressAtLeast(0.95)),
    ("cpu-10", Promise::RegressAtLeast(1.0)),
    ("tail", Promise::RegressAtLeast(0.95)),
    ("other-server-5", Promise::RegressAtLeast(0.95)),
    ("counts-identical", Promise::RegressAtMost(0.01)),
    ("counts-1", Promise::RegressAtLeast(1.0)),
];

/// Smallest allowed share of gates of identical servers that clear CPU time and throughput. Gates
/// of counts have neither metric.
pub const CLEARED_AT_LEAST: f64 = 0.9;

/// Numbers of gates by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All gates.
    pub gates: u64,
    /// Gates that regressed.
    pub regressed: u64,
    /// Gates that say *not regressed* about CPU time and throughput of every workload.
    pub cleared: u64,
    /// Gates that are undecided.
    pub undecided: u64,
}

/// Reads all cases in `folder`, sorted by set and name. Returns no case if the folder does not
/// exist.
///
/// # Errors
/// When a gate can't be read, or the gates of a case do not belong together.
pub fn read(folder: &Path) -> Result<Vec<Case>, EvidenceError> {
    let mut cases = Vec::new();
    for set in folders(folder)? {
        for case in folders(&set)? {
            let numbers =
                folders(&case)?.into_iter().filter(|number| number.join(PLAN_FILE).exists());
            let gates: Vec<Gate> =
                numbers.map(|number| Gate::read(&number)).collect::<Result<_, _>>()?;
            if !gates.is_empty() {
                cases.push(Case::of(name(&set), name(&case), gates)?);
            }
        }
    }
    Ok(cases)
}

/// Returns the folders in `folder`, sorted by name.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, EvidenceError> {
    let unreadable = |cause| EvidenceError::Unreadable { path: folder.to_owned(), cause };
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().map_err(unreadable)?;
    paths.retain(|path| path.is_dir());
    paths.sort_unstable();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
}

impl Case {
    /// Creates a case from gates that belong together.
    ///
    /// # Errors
    /// When the gates have different workloads or margins.
    pub fn of(set: String, name: String, gates: Vec<Gate>) -> Result<Self, EvidenceError> {
        let plan = |gate: &Gate| {
            let workloads: Vec<String> =
                gate.plan.workloads.iter().map(|workload| workload.name.clone()).collect();
            (workloads, gate.plan.margins.clone())
        };
        if gates.windows(2).any(|pair| plan(&pair[0]) != plan(&pair[1])) {
            return Err(EvidenceError::Mixed { set, case: name });
        }
        Ok(Self { set, name, gates })
    }

    /// Returns the blocks of all gates.
    pub fn blocks(&self) -> Vec<&Block> {
        self.gates.iter().flat_map(|gate| &gate.blocks).collect()
    }

    /// Judges one gate whose blocks are drawn from the blocks of all gates.
    pub fn drawn(&self, seed: u64) -> Judgement {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let all = self.blocks();
        let blocks = self.gates.choose(&mut random).map_or(0, |gate| gate.blocks.len());
        let drawn = (0..blocks).filter_map(|_| all.choose(&mut random));
        let drawn: Vec<Block> = drawn.map(|block| (*block).clone()).collect();
        judge(&drawn, &self.gates[0].plan.margins, seed)
    }

    /// Counts the verdicts of the gates that were run.
    pub fn really_run(&self) -> Counts {
        self.gates
            .iter()
            .map(|gate| Counts::of(&gate.judgement))
            .fold(Counts::default(), Counts::with)
    }

    /// Returns the promise about the case, with the matching beginning of its name.
    pub fn promise(&self) -> Option<(&'static str, Promise)> {
        let fits = |(begin, _): &(&str, Promise)| {
            let rest = self.name.strip_prefix(begin);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        PROMISES.iter().copied().find(fits)
    }

    /// Describes the promises that are broken by the `drawn` gates or by the gates that were run.
    /// Shares of drawn gates may be off by `allowance`, because few gates are drawn.
    pub fn broken(&self, drawn: &Counts, allowance: impl Fn(f64) -> f64) -> Vec<String> {
        let Some((_, promise)) = self.promise() else { return Vec::new() };
        let run = self.really_run();
        let kinds = [("drawn", drawn, promise), ("run", &run, promise.of_run())];
        let mut broken = Vec::new();
        for (kind, counts, promise) in kinds {
            let allowance = |share| if kind == "run" { 0.0 } else { allowance(share) };
            let regressed = promise.broken(counts, allowance);
            let cleared = self.must_clear().then(|| broken_clearing(counts, allowance)).flatten();
            let told = regressed.into_iter().chain(cleared);
            broken.extend(
                told.map(|what| format!("{}/{}: {what} of {kind} gates do", self.set, self.name)),
            );
        }
        broken
    }

    /// Returns true if the gates of the case must clear CPU time and throughput.
    fn must_clear(&self) -> bool {
        let is_identical = matches!(self.promise(), Some((_, Promise::RegressAtMost(_))));
        is_identical && !self.gates[0].plan.counts
    }
}

impl Promise {
    /// Returns the promise for gates that were run.
    fn of_run(self) -> Self {
        match self {
            Self::RegressAtMost(_) => Self::RegressAtMost(0.0),
            at_least @ Self::RegressAtLeast(_) => at_least,
        }
    }

    /// Returns the beginning of a sentence that says by how much the promise is broken; `None` if
    /// it is kept.
    fn broken(self, counts: &Counts, allowance: impl Fn(f64) -> f64) -> Option<String> {
        let share = counts.share(counts.regressed);
        let (is_broken, promised) = match self {
            Self::RegressAtMost(most) => {
                (share > most + allowance(most), format!("at most {} % may regress", most * 100.0))
            }
            Self::RegressAtLeast(least) => (
                share < least - allowance(least),
                format!("at least {} % must regress", least * 100.0),
            ),
        };
        is_broken.then(|| format!("{promised}, and {:.1} %", share * 100.0))
    }
}

/// Returns the beginning of a sentence that says how few gates clear CPU time and throughput;
/// `None` if enough of them do.
fn broken_clearing(counts: &Counts, allowance: impl Fn(f64) -> f64) -> Option<String> {
    let share = counts.share(counts.cleared);
    let least = CLEARED_AT_LEAST * 100.0;
    let promised = format!("at least {least} % must clear CPU time and throughput");
    (share < CLEARED_AT_LEAST - allowance(CLEARED_AT_LEAST))
        .then(|| format!("{promised}, and {:.1} %", share * 100.0))
}

impl Counts {
    /// Counts the verdict of one gate.
    pub fn of(judgement: &Judgement) -> Self {
        let mut cleared =
            judgement.judged.iter().filter(|one| CLEARED.contains(&one.series.quantity.key()));
        let is_any = cleared.clone().next().is_some();
        Self {
            gates: 1,
            regressed: u64::from(judgement.verdict == Verdict::Regressed),
            cleared: u64::from(is_any && cleared.all(|one| one.verdict == Verdict::NotRegressed)),
            undecided: u64::from(judgement.verdict == Verdict::Undecided),
        }
    }

    /// Adds the counts of `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            gates: self.gates + other.gates,
            regressed: self.regressed + other.regressed,
            cleared: self.cleared + other.cleared,
            undecided: self.undecided + other.undecided,
        }
    }

    /// Returns `count` as a share of all gates.
    pub fn share(&self, count: u64) -> f64 {
        count as f64 / self.gates.max(1) as f64
    }
}

/// Returns the 95 % interval of a probability, given `hits` in `tries` (Clopper and Pearson, "The
/// Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial", 1934).
pub fn clopper_pearson(hits: u64, tries: u64) -> (f64, f64) {
    let quantile = |above: f64, below: f64, probability: f64| {
        Beta::new(above, below).map_or(f64::NAN, |beta| beta.inverse_cdf(probability))
    };
    let (hits, misses) = (hits as f64, (tries - hits) as f64);
    let low = if hits == 0.0 { 0.0 } else { quantile(hits, misses + 1.0, 0.025) };
    let high = if misses == 0.0 { 1.0 } else { quantile(hits + 1.0, misses, 0.975) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Slice;
    use crate::margin::Margins;
    use crate::plan::Plan;
    use crate::simulated::{self, P99};

    /// Returns a case of five gates of 14 blocks.
    fn case(name: &str, change: impl Fn(&mut Slice)) -> Case {
        let gate = |seed| Gate::judged(simulated::plan(14), simulated::blocks(14, seed, &change));
        Case::of("simulated".to_owned(), name.to_owned(), (0..5).map(gate).collect()).unwrap()
    }

    fn drawn(case: &Case) -> Counts {
        (0..60).map(|seed| Counts::of(&case.drawn(seed))).fold(Counts::default(), Counts::with)
    }

    fn broken(name: &str, change: impl Fn(&mut Slice)) -> String {
        let case = case(name, change);
        case.broken(&drawn(&case), |_| 0.0).join("\n")
    }

    #[test]
    fn promises_that_are_kept_are_not_broken() {
        assert_eq!(broken("identical", |_| {}), "");
        assert_eq!(broken("cpu-10", |slice| simulated::slow_down(slice, 1.1)), "");
        assert_eq!(broken("tail", |slice| simulated::scale(slice, P99, 2.0)), "");
    }

    #[test]
    fn an_alarm_about_identical_servers_breaks_a_promise() {
        let broken = broken("identical-disturbed", |slice| simulated::slow_down(slice, 1.1));
        let begin =
            "simulated/identical-disturbed: at most 1 % may regress, and 100.0 % of drawn gates do";
        assert!(broken.starts_with(begin) && broken.contains("of run gates"), "{broken}");
    }

    #[test]
    fn a_change_that_is_missed_breaks_a_promise() {
        for name in ["cpu-5", "cpu-10", "tail", "other-server-5", "counts-1"] {
            let broken = broken(name, |_| {});
            assert!(broken.contains("must regress, and 0.0 % of drawn gates do"), "{broken}");
        }
    }

    /// Returns the broken promises of a case of `of` gates, the first `slow` of which have a slower
    /// candidate. The drawn gates keep every promise.
    fn run(name: &str, slow: usize, of: usize) -> Vec<String> {
        let gate = |number: usize| {
            let factor = if number < slow { 1.1 } else { 1.0 };
            let blocks =
                simulated::blocks(14, number as u64, |slice| simulated::slow_down(slice, factor));
            Gate::judged(simulated::plan(14), blocks)
        };
        let gates: Vec<Gate> = (0..of).map(gate).collect();
        let case = Case::of("simulated".to_owned(), name.to_owned(), gates).unwrap();
        let kept = Counts { gates: 100, regressed: 100, cleared: 100, undecided: 0 };
        let drawn = if name.contains("identical") { Counts { regressed: 0, ..kept } } else { kept };
        case.broken(&drawn, |_| 0.0)
    }

    #[test]
    fn gates_that_were_run_are_counted_without_an_interval() {
        assert_eq!(run("cpu-5", 19, 20), <[String; 0]>::default());
        let missed = "simulated/cpu-5: at least 95 % must regress, and 90.0 % of run gates do";
        assert_eq!(run("cpu-5", 18, 20), [missed]);
        assert!(
            run("cpu-10", 19, 20)[0]
                .contains("at least 100 % must regress, and 95.0 % of run gates do")
        );
        let alarm = "simulated/identical: at most 0 % may regress, and 5.0 % of run gates do";
        assert_eq!(run("identical", 1, 20), [alarm]);
        assert!(
            run("identical", 3, 20)[1]
                .contains("must clear CPU time and throughput, and 85.0 % of run")
        );
    }

    #[test]
    fn gates_of_identical_servers_that_count_have_no_time_to_clear() {
        let gate = |seed| {
            let plan = Plan { counts: true, margins: counted(), ..simulated::plan(14) };
            Gate::judged(plan, simulated::blocks(14, seed, |_| {}))
        };
        let gates = (0..3).map(gate).collect();
        let case = Case::of("simulated".to_owned(), "counts-identical".to_owned(), gates).unwrap();
        assert_eq!(case.broken(&drawn(&case), |_| 0.0), <[String; 0]>::default());
    }

    /// Returns margins without CPU time and throughput.
    fn counted() -> Margins {
        simulated::margins().only(|key| !CLEARED.contains(&key))
    }

    #[test]
    fn identical_servers_that_are_not_cleared_break_a_promise() {
        let broken = broken("identical", |slice| simulated::slow_down(slice, 1.015));
        assert!(
            broken.contains("must clear CPU time") && !broken.contains("may regress"),
            "{broken}"
        );
    }

    #[test]
    fn a_case_without_a_promise_breaks_nothing() {
        assert_eq!(broken("cpu-50", |_| {}), "");
        assert_eq!(broken("memory", |_| {}), "");
    }

    #[test]
    fn a_drawn_gate_has_whole_blocks_of_all_gates_and_the_same_for_a_seed() {
        let case = case("cpu-5", |slice| simulated::slow_down(slice, 1.05));
        let judgement = case.drawn(3);
        assert_eq!(judgement, case.drawn(3));
        assert_ne!(judgement, case.drawn(4));
        assert!(judgement.judged.iter().all(|one| one.series.values.len() == 14));
        assert_eq!(case.blocks().len(), 70);
        assert_eq!(case.really_run().gates, 5);
    }

    #[test]
    fn evidence_is_read_by_set_and_case() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&folder.path().join("none")).unwrap().is_empty());
        let gate = folder.path().join("vm/cpu-5/01");
        simulated::write(&gate, &simulated::plan(8), &simulated::blocks(8, 1, |_| {}));
        fs::create_dir_all(folder.path().join("vm/notes")).unwrap();
        let cases = read(folder.path()).unwrap();
        assert_eq!(
            (cases.len(), cases[0].set.as_str(), cases[0].name.as_str()),
            (1, "vm", "cpu-5")
        );
        let mut other = simulated::plan(8);
        other.workloads.pop();
        simulated::write(&gate.with_file_name("02"), &other, &simulated::blocks(8, 1, |_| {}));
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("vm/cpu-5 has gates of different"), "{error}");
        simulated::write(
            &gate.with_file_name("02"),
            &simulated::plan(8),
            &simulated::blocks(7, 1, |_| {}),
        );
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("7 of 8 blocks"), "{error}");
    }

    /// Published values: 0 of 20 up to 16.84 %, 19 of 20 from 75.13 to 99.87 %, 10 of 10 from
    /// 69.15 %.
    #[test]
    fn intervals_of_shares_agree_with_the_published_table() {
        for (hits, tries, low, high) in
            [(0, 20, 0.0, 0.1684), (19, 20, 0.7513, 0.9987), (10, 10, 0.6915, 1.0)]
        {
            let found = clopper_pearson(hits, tries);
            assert!((found.0 - low).abs() < 1e-4 && (found.1 - high).abs() < 1e-4, "{found:?}");
        }
    }
}
