//! Notes on the marks of a chart: doubts, bounds, names with signs, and the labels of its legend.

use std::collections::BTreeMap;

use crate::metric::Metric;
use crate::results::{CellResult, DOUBTS, Results};

/// Explains the signs and hollow shapes of `cells`, as text that follows other notes; empty if
/// there are none. A cell without any result has neither sign nor shape.
pub fn doubts_note(cells: &[&CellResult]) -> String {
    let drawn = || cells.iter().filter(|cell| cell.rounds() > 0);
    let present =
        DOUBTS.into_iter().filter(|doubt| drawn().any(|cell| cell.doubts().contains(doubt)));
    let meanings: Vec<String> =
        present.map(|doubt| format!("{}: {}", doubt.sign(), doubt.meaning())).collect();
    if meanings.is_empty() {
        String::new()
    } else {
        format!(", hollow: not comparable, {}", meanings.join(", "))
    }
}

/// Explains `sign`; empty unless one of `cells` has only a lower bound of `metric`.
pub fn bounds_note(cells: &[&CellResult], metric: &Metric, sign: &str) -> String {
    let is_bound = |cell: &&CellResult| cell.value(metric).is_some_and(|value| value.at_least);
    let reason = metric.bound.filter(|_| cells.iter().any(is_bound)).map(|bound| bound.reason);
    reason.map_or_else(String::new, |reason| format!(", {sign}: at least this much, {reason}"))
}

/// Returns the name of the subject of a cell, with the signs of its doubts.
pub fn signed_name(results: &Results, cell: &CellResult) -> String {
    format!("{}{}", results.subject_name(cell), cell.signs())
}

/// Returns index and label of each subject among `cells`, in the order of the suite.
pub fn legend_labels(
    results: &Results,
    cells: &[&CellResult],
) -> impl Iterator<Item = (usize, String)> {
    let mut subjects: BTreeMap<usize, Vec<&CellResult>> = BTreeMap::new();
    for cell in cells {
        subjects.entry(cell.subject).or_default().push(cell);
    }
    subjects.into_iter().map(|(subject, cells)| {
        let name = &results.environment.subjects[subject].name;
        let drawn = || cells.iter().filter(|cell| cell.rounds() > 0);
        let has = |doubt| drawn().any(|cell| cell.doubts().contains(doubt));
        let signs: String =
            DOUBTS.iter().filter(|doubt| has(doubt)).map(|doubt| doubt.sign()).collect();
        let space = if signs.is_empty() { "" } else { "\u{a0}" };
        let nothing = if cells.iter().all(|cell| cell.rounds() == 0) { " (no result)" } else { "" };
        (subject, format!("{name}{space}{signs}{nothing}"))
    })
}
