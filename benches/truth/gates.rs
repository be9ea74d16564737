//! Rates at which gates alarm about identical servers, and at which they find slower ones. Two
//! kinds of gates are counted: gates that were really run, and many gates that are drawn from their
//! blocks ([`c10k_ci::evidence`] says how).
//!
//! This part measures nothing. The gates are in `ci/evidence/`, with the command that repeats them.

use std::path::Path;

use anyhow::{Result, ensure};
use c10k_ci::evidence::{self, Case, Counts, clopper_pearson};

use crate::many;

/// Gates per case in a quick run.
const QUICK_GATES: u64 = 200;

/// Reads the evidence, draws gates, and returns the rates as a table.
///
/// # Errors
///
/// When there is no evidence, it can't be read, or a promise is not kept.
pub fn run(quick: bool) -> Result<String> {
    let gates = if quick { QUICK_GATES } else { many::RUNS };
    let cases = evidence::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/evidence"))?;
    ensure!(
        !cases.is_empty(),
        "There is no evidence in ci/evidence, so that nothing shows what a gate promises; run gates into \
         ci/evidence/<set>/<case>/<number>/ with `c10k gate --output`."
    );
    let mut text = format!(
        "Gates that were run, and {gates} that are drawn from their blocks, each share with its 95 % interval. \
         Promised: of `identical` at most 1 % of drawn gates and none that was run regress, and 90 % clear CPU time \
         and throughput; of `counts-identical` as few regress; of `cpu-5`, `tail` and \
         `other-server-5` 95 % regress, of `cpu-10` and `counts-1` all.\n\n\
         | case | blocks | gates | regressed | not regressed about CPU and throughput | undecided |\n\
         |---|--:|---|--:|--:|--:|\n"
    );
    let mut broken = Vec::new();
    for case in &cases {
        let drawn = many::runs(gates, |seed| Counts::of(&case.drawn(seed)));
        let drawn = drawn.into_iter().fold(Counts::default(), Counts::with);
        text += &row(case, "run", &case.really_run());
        text += &row(case, "drawn", &drawn);
        broken.extend(case.broken(&drawn, |promised| many::allowance(promised, gates)));
    }
    let missing = missing(&cases);
    if !missing.is_empty() {
        text += &format!("\nWithout evidence: {}.\n", missing.join(", "));
    }
    ensure!(broken.is_empty(), "{text}\nPromises that are not kept:\n- {}", broken.join("\n- "));
    Ok(text)
}

fn row(case: &Case, gates: &str, counts: &Counts) -> String {
    let share = |count| {
        let (low, high) = clopper_pearson(count, counts.gates);
        let share = counts.share(count) * 100.0;
        format!("{count} = {share:.1} % ({:.1}–{:.1} %)", low * 100.0, high * 100.0)
    };
    format!(
        "| {}/{} | {} | {} {gates} | {} | {} | {} |\n",
        case.set,
        case.name,
        case.blocks().len(),
        counts.gates,
        share(counts.regressed),
        share(counts.cleared),
        share(counts.undecided)
    )
}

/// Returns the promises that no case is about.
fn missing(cases: &[Case]) -> Vec<&'static str> {
    let told: Vec<&str> = cases.iter().filter_map(Case::promise).map(|(name, _)| name).collect();
    evidence::PROMISES.iter().map(|(name, _)| *name).filter(|name| !told.contains(name)).collect()
}
