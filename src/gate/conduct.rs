//! A whole gate, from the rehearsal to the verdict. The plan is written before the first block, and
//! each block as soon as it is complete.

use anyhow::Result;
use c10k_ci::gate::Gate;

use super::folder::Folder;
use super::rehearsal::{Lane, rehearse};
use super::{Measuring, run};
use crate::cpus::CpuList;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Measures all blocks of a gate, and judges them.
///
/// # Errors
/// When anything is missing for a verdict, also if the user interrupts the gate.
pub fn conduct(
    measuring: &Measuring<'_>,
    lane: Lane,
    cpus: &CpuList,
    folder: &Folder,
    interrupt: &Interrupt,
) -> Result<Gate> {
    if let Some(generator) = &measuring.placement.generator {
        generator.pin()?;
    }
    let rehearsal = rehearse(measuring, lane, interrupt)?;
    let plan = measuring.plan(&rehearsal, lane, cpus);
    folder.write_plan(&plan)?;
    let mut file = folder.blocks_file()?;
    let mut blocks = Vec::new();
    let mut progress =
        Progress::new(rehearsal.blocks as usize, rehearsal.block_time * rehearsal.blocks);
    let mut histograms = folder.histograms();
    let measured = run(measuring, &rehearsal, interrupt, &mut histograms, |block| {
        file.append(&block)?;
        progress.advance(&format!("block {}", block.number), false);
        blocks.push(block);
        Ok(())
    });
    progress.finish();
    measured?;
    Ok(Gate::judged(plan, blocks))
}
