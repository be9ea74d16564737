//! Reads `HdrHistogram` V2 interval logs: the distributions of one measurement, each with its tag.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use c10k_loadgen::measurement::Times;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, LogEntry,
};

use crate::error::Error;
use crate::statistics::merge;

/// Distributions of times by tag, in nanoseconds.
pub type Tagged = BTreeMap<String, Times>;

/// One line of a log.
#[derive(Debug, Clone)]
pub struct Logged {
    /// Name of the distribution.
    pub tag: String,
    /// Beginning of the interval, measured from the beginning of the log.
    pub begin: Duration,
    /// Times in the interval, in nanoseconds.
    pub times: Times,
}

/// Reads the lines of the log at `path`.
///
/// # Errors
///
/// Returns [`Error::Histograms`] if the file is missing or damaged.
pub fn read_log(path: &Path) -> Result<Vec<Logged>, Error> {
    let damaged = |problem: String| Error::Histograms { path: path.to_path_buf(), problem };
    let bytes = fs::read(path).map_err(|error| damaged(error.to_string()))?;
    let mut lines = Vec::new();
    for entry in IntervalLogIterator::new(&bytes) {
        match entry.map_err(|error| damaged(format!("{error:?}")))? {
            LogEntry::Interval(interval) => lines.push(decode(&interval).map_err(damaged)?),
            LogEntry::StartTime(_) | LogEntry::BaseTime(_) => {}
        }
    }
    Ok(lines)
}

/// Reads the log at `path` and adds its distributions to those in `merged`, interval by interval.
///
/// # Errors
///
/// Returns [`Error::Histograms`] if the file is missing or damaged; `merged` is then left as it
/// was.
pub fn merge_file(path: &Path, merged: &mut Tagged) -> Result<(), Error> {
    for Logged { tag, times, .. } in read_log(path)? {
        merge::add(merged.entry(tag).or_insert_with(merge::empty), &times);
    }
    Ok(())
}

fn decode(interval: &IntervalLogHistogram) -> Result<Logged, String> {
    let tag = interval.tag().map_or_else(String::new, |tag| tag.as_str().to_owned());
    let bytes = STANDARD.decode(interval.encoded_histogram()).map_err(|error| error.to_string())?;
    let times = Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| error.to_string())?;
    Ok(Logged { tag, begin: interval.start_timestamp(), times })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn merges_intervals_by_tag() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.hlog");
        fixture::write_log(
            &path,
            &[("latency", &[1_000, 2_000]), ("connect", &[50]), ("latency", &[3_000])],
        );
        let mut merged = Tagged::new();
        merge_file(&path, &mut merged).unwrap();
        assert_eq!(merged["latency"].len(), 3);
        assert_eq!(merged["latency"].value_at_quantile(0.5), 2_000);
        assert_eq!(merged["connect"].len(), 1);
    }

    #[test]
    fn a_cut_log_changes_nothing_and_says_which_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.hlog");
        fixture::write_log(&path, &[("latency", &[1_000]), ("latency", &[2_000])]);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 20]).unwrap();
        let mut merged = Tagged::new();
        let error = merge_file(&path, &mut merged).unwrap_err().to_string();
        assert!(error.contains("cut.hlog"), "{error}");
        assert!(merged.is_empty());
    }
}
