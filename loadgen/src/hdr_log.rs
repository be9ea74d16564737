//! Interval logs in the format HdrHistogram V2 (`.hlog`), one line per interval and distribution,
//! for any reader of that format.
//!
//! Values are nanoseconds; the tag of a line names its distribution.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::recorder::Interval;

/// Returns the lines of an interval, for a log that is written elsewhere.
pub fn log_lines(interval: &Interval) -> String {
    let mut lines = Vec::new();
    append_lines(&mut lines, &mut V2DeflateSerializer::new(), interval)
        .expect("memory takes all lines, and every histogram can be written");
    String::from_utf8(lines).expect("lines are ASCII")
}

/// Appends one line per distribution that has values.
fn append_lines(
    lines: &mut Vec<u8>,
    serializer: &mut V2DeflateSerializer,
    interval: &Interval,
) -> io::Result<()> {
    let named = interval.seen.times.named();
    for (name, times) in named.into_iter().filter(|(_, times)| !times.is_empty()) {
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut *lines, &mut *serializer)?
            .write_histogram(times, interval.begin, interval.length, Tag::new(name))
            .map_err(io::Error::other)?;
    }
    Ok(())
}

/// Log that is written during the run.
pub struct HdrLog {
    file: File,
    serializer: V2DeflateSerializer,
    lines: Vec<u8>,
    has_head: bool,
}

impl HdrLog {
    /// Creates the file. Its head is written with the first interval, when the beginning of the
    /// measured part is known.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self::to(File::create(path)?))
    }

    /// Writes to a file that is open already.
    pub fn to(file: File) -> Self {
        Self { file, serializer: V2DeflateSerializer::new(), lines: Vec::new(), has_head: false }
    }

    /// Appends the results of an interval that ends now: one line per distribution that has values.
    pub fn append(&mut self, interval: &Interval) -> io::Result<()> {
        if !self.has_head {
            self.write_head(SystemTime::now() - (interval.begin + interval.length))?;
        }
        append_lines(&mut self.lines, &mut self.serializer, interval)?;
        self.flush()
    }

    fn write_head(&mut self, begun: SystemTime) -> io::Result<()> {
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("[Values are nanoseconds, written by c10k]")
            .with_start_time(begun)
            .with_base_time(begun)
            .begin_log_with(&mut self.lines, &mut self.serializer)?;
        self.lines.extend_from_slice(
            b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
        );
        self.has_head = true;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }
}
