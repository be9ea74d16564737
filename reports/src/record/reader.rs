//! Reads the folder of a run: `environment.json` and `record.jsonl`, as [`crate::RunWriter`] left
//! them.
//!
//! An interrupted run is still read. A last line that was cut off by a crash is left out with a
//! note. Any other fault in the files is an error, since a report on half-understood numbers is
//! worse than no report.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::environment::{Cell, Environment};
use super::files::{ENVIRONMENT_FILE, RECORD_FILE, VERSION};
use super::line::{Outcome, Record};
use super::{plan, upgrade};
use crate::error::Error;

/// A run as it was recorded.
#[derive(Debug, Clone)]
pub struct Run {
    /// The folder that it was read from.
    pub dir: PathBuf,
    /// The plan, the machine and the method.
    pub environment: Environment,
    /// The measurements, in the order in which they were made.
    pub records: Vec<Record>,
    /// Problems found while the files were read, in sentences for the reader of the page.
    pub notes: Vec<String>,
}

impl Run {
    /// Reads the run in `dir`, but not its histograms: a list of runs does not need them.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let mut environment = load_environment(&dir.join(ENVIRONMENT_FILE))?;
        upgrade::environment(&mut environment);
        let mut run =
            Self { dir: dir.to_path_buf(), environment, records: Vec::new(), notes: Vec::new() };
        run.load_records()?;
        run.check_plan()?;
        Ok(run)
    }

    fn load_records(&mut self) -> Result<(), Error> {
        let path = self.dir.join(RECORD_FILE);
        let bytes = match fs::read(&path) {
            // The run was interrupted between the creation of the two files: nothing was measured,
            // which is a result to show.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(Error::reading(&path))?,
        };
        for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
            match parse::<Record>(&path, index + 1, line) {
                Ok(record) => self.keep(&path, index + 1, record)?,
                Err(Error::Malformed { .. }) if !line.ends_with(b"\n") => self.notes.push(format!(
                    "The last line of {RECORD_FILE} (line {}) is cut off, as a crash leaves it; \
                     that measurement is left out.",
                    index + 1
                )),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Keeps `record`, upgraded to today's shape. Its summary has a version of its own; returns an
    /// error if this crate does not read that version.
    fn keep(&mut self, path: &Path, line: usize, mut record: Record) -> Result<(), Error> {
        if let Outcome::Measured(summary) = &record.outcome {
            let supported = c10k_loadgen::summary::VERSION;
            check_version(path, line, summary.version.into(), supported)?;
        }
        upgrade::record(&mut record, &self.environment);
        self.records.push(record);
        Ok(())
    }

    /// Refuses a plan that contradicts itself, and notes measurements that were not planned.
    fn check_plan(&mut self) -> Result<(), Error> {
        if let Some(problem) = plan::contradiction(&self.environment) {
            return Err(Error::Inconsistent { path: self.dir.join(ENVIRONMENT_FILE), problem });
        }
        let planned: HashSet<&Cell> = self.environment.cells.iter().collect();
        self.notes.extend(unplanned(&self.records, &planned));
        Ok(())
    }
}

fn load_environment(path: &Path) -> Result<Environment, Error> {
    let bytes = fs::read(path).map_err(Error::reading(path))?;
    parse(path, 1, &bytes)
}

/// Reads one JSON document that declares its version. The version is read first, on its own: a
/// document of another version may have an entirely different shape.
fn parse<T: DeserializeOwned>(path: &Path, line: usize, json: &[u8]) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    // serde_json counts the lines within its document; in a pretty-printed file, that is the line
    // to name.
    let malformed = |cause: serde_json::Error| Error::Malformed {
        path: path.to_path_buf(),
        line: line - 1 + cause.line().max(1),
        cause,
    };
    let versioned: Versioned = serde_json::from_slice(json).map_err(malformed)?;
    check_version(path, line, versioned.version, VERSION)?;
    serde_json::from_slice(json).map_err(malformed)
}

fn check_version(path: &Path, line: usize, found: u64, supported: u32) -> Result<(), Error> {
    if found == u64::from(supported) {
        return Ok(());
    }
    Err(Error::Version { path: path.to_path_buf(), line, found, supported })
}

/// Returns a note for each record of a cell that was never planned.
fn unplanned(records: &[Record], planned: &HashSet<&Cell>) -> Vec<String> {
    let stray = records.iter().filter(|record| !planned.contains(&record.cell));
    stray
        .map(|Record { cell, .. }| {
            format!(
                "A measurement of {} under {} is left out: it was not planned.",
                cell.subject, cell.workload
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::record::RunWriter;

    /// Reads a run whose record holds `lines`.
    fn load(lines: &str) -> Result<Run, Error> {
        let reports = tempfile::tempdir().unwrap();
        let writer = RunWriter::create(reports.path(), &fixture::environment()).unwrap();
        fs::write(writer.dir().join(RECORD_FILE), lines).unwrap();
        Run::load(writer.dir())
    }

    fn line() -> String {
        serde_json::to_string(&fixture::measured("epoll", "short-1", 1)).unwrap()
    }

    #[test]
    fn a_cut_last_line_is_left_out_with_a_note() {
        let run = load(&format!("{}\n{}", line(), &line()[..40])).unwrap();
        assert_eq!(run.records.len(), 1);
        assert!(run.notes[0].contains("line 2"), "{:?}", run.notes);
    }

    #[test]
    fn a_last_line_that_only_lacks_its_newline_counts() {
        let run = load(&format!("{}\n{}", line(), line())).unwrap();
        assert_eq!((run.records.len(), run.notes.len()), (2, 0));
    }

    #[test]
    fn a_damaged_line_elsewhere_is_an_error_that_names_it() {
        let error =
            load(&format!("{}\n{}\n{}\n", line(), &line()[..40], line())).unwrap_err().to_string();
        assert!(error.contains("record.jsonl, line 2"), "{error}");
    }

    #[test]
    fn an_unknown_version_is_refused_whatever_else_the_line_holds() {
        let error = load(&format!("{}\n{{\"version\":7,\"shape\":\"new\"}}\n", line()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("record.jsonl, line 2") && error.contains("version 7"), "{error}");
        assert!(error.contains("reads version 1"), "{error}");
    }

    #[test]
    fn a_missing_run_says_what_to_give() {
        let error = Run::load(Path::new("no-such-run")).unwrap_err().to_string();
        assert!(
            error.contains("no-such-run/environment.json") && error.contains("reports/runs/"),
            "{error}"
        );
    }

    #[test]
    fn a_run_without_a_record_measured_nothing() {
        let reports = tempfile::tempdir().unwrap();
        let writer = RunWriter::create(reports.path(), &fixture::environment()).unwrap();
        fs::remove_file(writer.dir().join(RECORD_FILE)).unwrap();
        assert!(Run::load(writer.dir()).unwrap().records.is_empty());
    }

    #[test]
    fn a_plan_that_contradicts_itself_is_refused() {
        let reports = tempfile::tempdir().unwrap();
        let mut environment = fixture::environment();
        environment.cells[0].subject = "nginx".to_owned();
        let writer = RunWriter::create(reports.path(), &environment).unwrap();
        let error = Run::load(writer.dir()).unwrap_err().to_string();
        assert!(error.contains("\"nginx\"") && error.contains("environment.json"), "{error}");
    }
}
