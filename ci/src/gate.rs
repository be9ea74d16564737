//! A whole gate: its plan, its blocks and its judgement. The folder of a gate holds the plan and
//! the blocks, so that the gate can be judged and drawn again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::block::{self, Block};
use crate::block_line;
use crate::plan::{self, Plan};
use crate::verdict::{Judgement, judge};

/// File of the plan in a gate's folder.
pub const PLAN_FILE: &str = "plan.json";

/// File of the blocks in a gate's folder, with one block per line.
pub const BLOCKS_FILE: &str = "blocks.jsonl";

/// Compressed form of [`BLOCKS_FILE`], which the folder of a kept gate may have instead.
const COMPRESSED_BLOCKS_FILE: &str = "blocks.jsonl.gz";

/// A gate that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Plan, fixed before the first block.
    pub plan: Plan,
    /// The raw measurements.
    pub blocks: Vec<Block>,
    /// The verdict on the candidate.
    pub judgement: Judgement,
}

/// Reason why a gate can't be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum GateError {
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("{}, line {line}: {cause}", path.display())]
    Malformed { path: PathBuf, line: usize, cause: serde_json::Error },
    #[error("{} is of version {found}, and this c10k reads version {known}", path.display())]
    Version { path: PathBuf, found: u32, known: u32 },
    #[error("{} has {found} of {planned} blocks: a gate that was cut short has no verdict", path.display())]
    Incomplete { path: PathBuf, found: usize, planned: u32 },
}

impl Gate {
    /// Judges blocks that were measured as planned.
    pub fn judged(plan: Plan, blocks: Vec<Block>) -> Self {
        let mut judgement = judge(&blocks, &plan.margins, plan.seed);
        judgement.explain(&plan.uncounted);
        Self { plan, blocks, judgement }
    }

    /// Reads the gate in `folder`, and judges it.
    ///
    /// # Errors
    /// When a file is missing, malformed or of another version, or blocks are missing.
    pub fn read(folder: &Path) -> Result<Self, GateError> {
        let plan = read_plan(&folder.join(PLAN_FILE))?;
        let mut path = folder.join(BLOCKS_FILE);
        if !path.exists() && folder.join(COMPRESSED_BLOCKS_FILE).exists() {
            path = folder.join(COMPRESSED_BLOCKS_FILE);
        }
        let blocks = read_blocks(&path)?;
        if blocks.len() != plan.blocks as usize {
            return Err(GateError::Incomplete { path, found: blocks.len(), planned: plan.blocks });
        }
        Ok(Self::judged(plan, blocks))
    }
}

fn read_plan(path: &Path) -> Result<Plan, GateError> {
    let malformed = |cause| GateError::Malformed { path: path.to_owned(), line: 1, cause };
    let plan: Plan = serde_json::from_str(&text(path)?).map_err(malformed)?;
    check_version(path, plan.version, plan::VERSION)?;
    Ok(plan)
}

/// Reads the blocks of a file, which may belong to different gates.
///
/// # Errors
/// When the file can't be read, or a line is not a block of a known version.
pub fn read_blocks(path: &Path) -> Result<Vec<Block>, GateError> {
    let text = text(path)?;
    let lines = text.lines().enumerate().map(|(place, line)| {
        let malformed =
            |cause| GateError::Malformed { path: path.to_owned(), line: place + 1, cause };
        let block = block_line::read(line).map_err(malformed)?;
        check_version(path, block.version, block::VERSION)?;
        Ok(block)
    });
    lines.collect()
}

fn text(path: &Path) -> Result<String, GateError> {
    let read = if path.extension().is_some_and(|extension| extension == "gz") {
        File::open(path).and_then(|file| io::read_to_string(MultiGzDecoder::new(file)))
    } else {
        fs::read_to_string(path)
    };
    read.map_err(|cause| GateError::Unreadable { path: path.to_owned(), cause })
}

fn check_version(path: &Path, found: u32, known: u32) -> Result<(), GateError> {
    if found == known {
        Ok(())
    } else {
        Err(GateError::Version { path: path.to_owned(), found, known })
    }
}
