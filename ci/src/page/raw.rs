//! The raw pairs of a workload, as far as a page can hold them.

use c10k_reports::format::MISSING;
use c10k_reports::metric;

use super::context::Page;
use super::latencies::arms;
use super::words::metric_title;
use crate::block::{Arm, CellOfBlock, Slice};

/// Largest number of values in a table. A browser is slow with more, and `blocks.jsonl` has all of
/// them.
const MOST_NUMBERS: usize = 6_000;

/// Slices of a workload side by side.
pub struct Raw {
    /// Titles of the metrics.
    pub metrics: Vec<String>,
    /// Names of the servers.
    pub arms: Vec<&'static str>,
    /// A row for each pair; empty if there would be too many values.
    pub rows: Vec<Row>,
}

/// One pair.
pub struct Row {
    /// Number of the block.
    pub block: u32,
    /// Number of the pair in the block.
    pub pair: u32,
    /// The server that was measured first.
    pub first: &'static str,
    /// Numbers by metric and server.
    pub numbers: Vec<String>,
}

impl Raw {
    /// Returns the pairs of `workload`.
    pub fn of(page: &Page, workload: &str) -> Self {
        let keys: Vec<&str> =
            page.metrics(workload).iter().map(|judged| judged.series.quantity.key()).collect();
        let arms = arms(page.gate);
        let plan = &page.gate.plan;
        let numbers = plan.blocks as usize * plan.pairs as usize * keys.len() * arms.len();
        let cells = page.cells(workload).filter(|_| numbers <= MOST_NUMBERS);
        let rows = cells.flat_map(|(block, cell)| {
            (1..=plan.pairs)
                .filter_map(|pair| row(cell, (block, pair), &keys, arms))
                .collect::<Vec<_>>()
        });
        Self {
            metrics: keys.iter().map(|key| metric_title(key)).collect(),
            arms: arms.iter().map(|arm| arm.name()).collect(),
            rows: rows.collect(),
        }
    }
}

fn row(cell: &CellOfBlock, (block, pair): (u32, u32), keys: &[&str], arms: &[Arm]) -> Option<Row> {
    let of_pair = || cell.slices.iter().filter(|slice| slice.pair == pair);
    let first = of_pair().next()?.arm.name();
    let number = |key: &&str, arm: &Arm| text(of_pair().find(|slice| slice.arm == *arm), key);
    let numbers =
        keys.iter().flat_map(|key| arms.iter().map(move |arm| number(key, arm))).collect();
    Some(Row { block, pair, first, numbers })
}

fn text(slice: Option<&Slice>, key: &str) -> String {
    let value = slice.and_then(|slice| slice.metrics.get(key).copied());
    let format = metric::by_key(key).map(|metric| metric.format);
    value.zip(format).map_or_else(|| MISSING.to_owned(), |(value, format)| format.text(value))
}
