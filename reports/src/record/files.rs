//! Names and version of the files of a run, for the writer and the reader alike.

/// The version of both files that this crate writes and reads.
pub const VERSION: u32 = 1;

/// Folder of all runs, relative to the folder of all reports.
pub const RUNS_DIR: &str = "runs";

/// Name of the file that holds the [`Environment`](super::Environment).
pub const ENVIRONMENT_FILE: &str = "environment.json";

/// Name of the file that holds a [`Record`](super::Record) per line.
pub const RECORD_FILE: &str = "record.jsonl";
