//! The comparison as one JSON object: the format of a gate, with `"kind": "compare"`, and rounds in
//! place of blocks.

use serde::Serialize;

use super::{Comparison, Pair};
use crate::output::json::{self, Cell};
use crate::verdict::{Judgement, Verdict};

#[derive(Serialize)]
struct Whole<'a> {
    version: u32,
    kind: &'static str,
    verdict: Verdict,
    a: &'a str,
    b: &'a str,
    /// True if rounds were compared as pairs.
    paired: bool,
    cells: Vec<ComparedCell<'a>>,
    cautions: &'a [String],
}

#[derive(Serialize)]
struct ComparedCell<'a> {
    #[serde(flatten)]
    cell: Cell<'a>,
    subject_a: &'a str,
    subject_b: &'a str,
    rounds_a: usize,
    rounds_b: usize,
}

/// Writes the comparison.
///
/// # Errors
/// When a number has no JSON form.
pub fn write(comparison: &Comparison) -> serde_json::Result<String> {
    let [a, b] = &comparison.names;
    let cells = comparison.pairs.iter().map(|pair| cell(&comparison.judgement, pair)).collect();
    let whole = Whole {
        version: 1,
        kind: "compare",
        verdict: comparison.judgement.verdict,
        a,
        b,
        paired: comparison.paired,
        cells,
        cautions: &comparison.cautions,
    };
    Ok(serde_json::to_string_pretty(&whole)? + "\n")
}

fn cell<'a>(judgement: &'a Judgement, pair: &'a Pair) -> ComparedCell<'a> {
    let mut cell = json::cell(judgement, &pair.label);
    cell.workload = &pair.workload;
    let [subject_a, subject_b] = &pair.subjects;
    let [rounds_a, rounds_b] = pair.rounds;
    ComparedCell { cell, subject_a, subject_b, rounds_a, rounds_b }
}
