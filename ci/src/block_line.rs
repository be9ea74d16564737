//! A block as a line of `blocks.jsonl`. Each metric is a column with one value per pair: a gate has
//! thousands of slices, and a row per slice would repeat the names of all metrics.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::block::{Arm, Block, CellOfBlock, Slice};

/// Writes a block as a line, including the line break.
pub fn write(block: Block) -> String {
    serde_json::to_string(&Line::from(block)).expect("a block is plain data") + "\n"
}

/// Reads a line.
///
/// # Errors
/// When the line is not a block.
pub fn read(line: &str) -> serde_json::Result<Block> {
    Ok(serde_json::from_str::<Line>(line)?.into())
}

/// A block whose cells are stored by column.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    version: u32,
    number: u32,
    started_utc: String,
    started: Vec<Arm>,
    cells: Vec<Columns>,
}

/// A cell of a block, stored by column.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Columns {
    workload: String,
    /// Arms of the slices in the order of measurement. The first slice of an arm belongs to the
    /// first pair, the second one to the second pair, and so on.
    order: Vec<Arm>,
    arms: BTreeMap<Arm, ColumnsOfArm>,
}

/// Measurements of one server, by pair.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct ColumnsOfArm {
    /// Metric key → one value per pair; null if the pair has no value.
    metrics: BTreeMap<String, Vec<Option<f64>>>,
    /// Share of failed requests in each pair; absent if no request failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failed_share: Vec<f64>,
    /// Check → one flag per pair, true if the check failed; absent if no check failed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    failed_checks: BTreeMap<String, Vec<bool>>,
}

impl From<Block> for Line {
    fn from(block: Block) -> Self {
        let Block { version, number, started_utc, started, cells } = block;
        Self {
            version,
            number,
            started_utc,
            started,
            cells: cells.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Line> for Block {
    fn from(line: Line) -> Self {
        let Line { version, number, started_utc, started, cells } = line;
        Self {
            version,
            number,
            started_utc,
            started,
            cells: cells.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<CellOfBlock> for Columns {
    fn from(cell: CellOfBlock) -> Self {
        let order: Vec<Arm> = cell.slices.iter().map(|slice| slice.arm).collect();
        let arms: BTreeSet<Arm> = order.iter().copied().collect();
        let of = |arm| cell.slices.iter().filter(move |slice| slice.arm == arm).collect::<Vec<_>>();
        let arms = arms.into_iter().map(|arm| (arm, ColumnsOfArm::of(&of(arm)))).collect();
        Self { workload: cell.workload, order, arms }
    }
}

impl ColumnsOfArm {
    fn of(slices: &[&Slice]) -> Self {
        let keys: BTreeSet<&String> =
            slices.iter().flat_map(|slice| slice.metrics.keys()).collect();
        let column =
            |key: &String| slices.iter().map(|slice| slice.metrics.get(key).copied()).collect();
        let checks: BTreeSet<&String> =
            slices.iter().flat_map(|slice| &slice.failed_checks).collect();
        let failed = |check: &String| {
            slices.iter().map(|slice| slice.failed_checks.contains(check)).collect()
        };
        let has_failures = slices.iter().any(|slice| slice.failed_share > 0.0);
        let shares = slices.iter().filter(|_| has_failures).map(|slice| slice.failed_share);
        Self {
            metrics: keys.into_iter().map(|key| (key.clone(), column(key))).collect(),
            failed_share: shares.collect(),
            failed_checks: checks.into_iter().map(|check| (check.clone(), failed(check))).collect(),
        }
    }

    /// Returns the slice of the pair at `index`.
    fn slice(&self, arm: Arm, index: usize) -> Slice {
        let value = |(key, column): (&String, &Vec<Option<f64>>)| {
            Some((key.clone(), column.get(index).copied().flatten()?))
        };
        let failed =
            self.failed_checks.iter().filter(|(_, failed)| failed.get(index) == Some(&true));
        Slice {
            pair: index as u32 + 1,
            arm,
            metrics: self.metrics.iter().filter_map(value).collect(),
            failed_share: self.failed_share.get(index).copied().unwrap_or(0.0),
            failed_checks: failed.map(|(check, _)| check.clone()).collect(),
        }
    }
}

impl From<Columns> for CellOfBlock {
    fn from(columns: Columns) -> Self {
        let mut next: BTreeMap<Arm, usize> = BTreeMap::new();
        let nothing = ColumnsOfArm::default();
        let slices = columns.order.iter().map(|&arm| {
            let index = next.entry(arm).or_default();
            *index += 1;
            columns.arms.get(&arm).unwrap_or(&nothing).slice(arm, *index - 1)
        });
        Self { slices: slices.collect(), workload: columns.workload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::VERSION;

    fn slice(pair: u32, arm: Arm, value: Option<f64>) -> Slice {
        Slice {
            pair,
            arm,
            metrics: value.map(|value| ("throughput_rps".to_owned(), value)).into_iter().collect(),
            failed_share: if value.is_none() { 1.0 } else { 0.0 },
            failed_checks: value.is_none().then(|| "silence".to_owned()).into_iter().collect(),
        }
    }

    #[test]
    fn a_block_is_read_as_it_was_written() {
        let slices = vec![
            slice(1, Arm::Base, Some(1.5)),
            slice(1, Arm::Candidate, Some(2.0)),
            slice(2, Arm::Candidate, None),
            slice(2, Arm::Base, Some(1.25)),
        ];
        let cell = CellOfBlock { workload: "short".to_owned(), slices };
        let block = Block {
            version: VERSION,
            number: 3,
            started_utc: "2026-11-30T19:00:00Z".to_owned(),
            started: vec![Arm::Candidate, Arm::Base],
            cells: vec![cell],
        };
        let text = write(block.clone());
        assert_eq!(read(&text).unwrap(), block);
        assert!(text.contains(r#""throughput_rps":[2.0,null]"#), "{text}");
    }
}
