//! Writes a run while it is measured: `environment.json` first, then a line of
//! `record.jsonl` per measurement.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::environment::Environment;
use super::files::{ENVIRONMENT_FILE, RECORD_FILE, RUNS_DIR};
use super::line::Record;
use crate::error::Error;
use crate::file;

/// Writer of one run, append-only: after any interruption, the measurements made so far can be
/// rendered.
#[derive(Debug)]
pub struct RunWriter {
    dir: PathBuf,
    record: File,
    /// Length of the complete lines in `record`, in bytes.
    record_bytes: u64,
}

impl RunWriter {
    /// Creates the folder `<reports_dir>/runs/<YYYYMMDDTHHMMSSZ>-<suite>` (with `-2`, `-3` … at the
    /// end if that name is taken) and writes `environment.json` into it.
    ///
    /// # Errors
    ///
    /// Returns an error if `environment.started_utc` is not a time, or if the folder cannot be
    /// created or written.
    pub fn create(reports_dir: &Path, environment: &Environment) -> Result<Self, Error> {
        let dir = make_run_dir(&reports_dir.join(RUNS_DIR), &dir_name(environment)?)?;
        match begin(&dir, environment) {
            Ok(record) => Ok(Self { dir, record, record_bytes: 0 }),
            Err(error) => {
                // A folder without an environment would be listed as a run that can't be read.
                let _ = fs::remove_dir_all(&dir);
                Err(error)
            }
        }
    }

    /// Resumes the run in `dir`. A last line that was cut off by a crash is removed.
    ///
    /// # Errors
    ///
    /// Returns an error if the record cannot be read or written, or if another process is writing
    /// it.
    pub fn resume(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(RECORD_FILE);
        let record =
            File::options().create(true).append(true).open(&path).map_err(Error::writing(&path))?;
        lock(&record, &path)?;
        let lines = fs::read(&path).map_err(Error::reading(&path))?;
        let whole = lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1) as u64;
        record.set_len(whole).map_err(Error::writing(&path))?;
        Ok(Self { dir: dir.to_path_buf(), record, record_bytes: whole })
    }

    /// Returns the run's folder. The histogram logs that records name belong there.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends one measurement. When this function returns, the measurement is in the file, not in
    /// a buffer.
    ///
    /// # Errors
    ///
    /// Returns an error if the line could not be written completely, as on a full disk; the record
    /// then still ends with a complete line.
    pub fn append(&mut self, record: &Record) -> Result<(), Error> {
        let mut line = serde_json::to_vec(record).expect("a record is plain data");
        line.push(b'\n');
        // The line is written in one call, so that a crash can only cut off the last line.
        if let Err(error) = self.record.write_all(&line) {
            // A part of the line may be on the disk. It is removed, or the next line would be
            // joined to it.
            let _ = self.record.set_len(self.record_bytes);
            return Err(Error::writing(&self.dir.join(RECORD_FILE))(error));
        }
        self.record_bytes += line.len() as u64;
        Ok(())
    }
}

/// Writes the environment, and opens the record.
fn begin(dir: &Path, environment: &Environment) -> Result<File, Error> {
    let json = serde_json::to_string_pretty(environment).expect("an environment is plain data");
    file::replace(&dir.join(ENVIRONMENT_FILE), &(json + "\n"))?;
    let path = dir.join(RECORD_FILE);
    let record =
        File::options().create_new(true).append(true).open(&path).map_err(Error::writing(&path))?;
    lock(&record, &path)?;
    Ok(record)
}

/// Prevents other processes from resuming a run that is being measured, for as long as the file is
/// open.
fn lock(record: &File, path: &Path) -> Result<(), Error> {
    match record.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_path_buf() }),
        // On a file system without locks, the run is not protected.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

fn dir_name(environment: &Environment) -> Result<String, Error> {
    let text = &environment.started_utc;
    let started: Timestamp =
        text.parse().map_err(|cause| Error::Time { text: text.clone(), cause })?;
    Ok(format!("{}-{}", started.strftime("%Y%m%dT%H%M%SZ"), file::slug(&environment.suite)))
}

/// Creates a folder that did not exist before. `create_dir` decides if a name is free, so two runs
/// that begin in the same second never share a folder.
fn make_run_dir(runs: &Path, name: &str) -> Result<PathBuf, Error> {
    fs::create_dir_all(runs).map_err(Error::writing(runs))?;
    let mut dir = runs.join(name);
    for copy in 2.. {
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                dir = runs.join(format!("{name}-{copy}"));
            }
            made => return made.map(|()| dir.clone()).map_err(Error::writing(&dir)),
        }
    }
    unreachable!("the loop above only ends by returning")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn two_runs_of_one_second_get_folders_of_their_own() {
        let reports = tempfile::tempdir().unwrap();
        let environment = fixture::environment();
        let names = [(); 3].map(|()| {
            let run = RunWriter::create(reports.path(), &environment).unwrap();
            run.dir().file_name().unwrap().to_str().unwrap().to_owned()
        });
        let expected = [
            "20260301T120000Z-default",
            "20260301T120000Z-default-2",
            "20260301T120000Z-default-3",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn refuses_a_start_time_that_is_malformed() {
        let reports = tempfile::tempdir().unwrap();
        let environment = Environment { started_utc: "noon".to_owned(), ..fixture::environment() };
        let error = RunWriter::create(reports.path(), &environment).unwrap_err().to_string();
        assert!(error.contains("\"noon\"") && error.contains("RFC 3339"), "{error}");
        assert!(!reports.path().join("runs").exists());
    }

    #[test]
    fn a_run_is_resumed_after_its_last_whole_line() {
        let reports = tempfile::tempdir().unwrap();
        let mut run = RunWriter::create(reports.path(), &fixture::environment()).unwrap();
        let record = fixture::measured("epoll", "short-1", 1);
        run.append(&record).unwrap();
        let dir = run.dir().to_owned();
        let path = run.dir().join(RECORD_FILE);
        let error = RunWriter::resume(&dir).unwrap_err().to_string();
        assert!(error.contains("another"), "{error}");
        drop(run);
        let line = fs::read_to_string(&path).unwrap();
        fs::write(&path, line.clone() + &line[..40]).unwrap();
        RunWriter::resume(&dir).unwrap().append(&record).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), line.repeat(2));
    }

    #[test]
    fn a_full_disk_is_an_error_that_says_so() {
        let reports = tempfile::tempdir().unwrap();
        let mut run = RunWriter::create(reports.path(), &fixture::environment()).unwrap();
        run.record = File::options().write(true).open("/dev/full").unwrap();
        let error = run.append(&fixture::measured("epoll", "short-1", 1)).unwrap_err().to_string();
        assert!(
            error.contains("record.jsonl") && error.contains("space") && error.contains("free"),
            "{error}"
        );
    }
}
