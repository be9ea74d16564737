//! Definition of a format: what each file of this folder holds.

use std::error::Error;

use crate::gate::Gate;

/// A file that a gate writes.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Name of the file in the folder of the gate.
    pub file: &'static str,
    /// Function that returns the text of the file.
    pub write: fn(&Gate) -> Result<String, Box<dyn Error + Send + Sync>>,
}
