//! A program that this project did not write reads the `.hlog` files of this crate:
//! `HdrHistogram`'s Python port, where it is installed (`pip install hdrhistogram`; `PYTHON` names
//! the interpreter).

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use c10k_loadgen::measurement::Times;
use c10k_loadgen::{HdrLog, Interval, Recorder};

/// Script that prints tag, count, minimum, maximum, p50, p99 and mean of each tag over all its
/// intervals together, and the milliseconds at which the intervals begin.
const READER: &str = r"
import sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 600_000_000_000, 3))
whole, begins = {}, {}
while histogram := reader.get_next_interval_histogram():
    tag = histogram.get_tag()
    begin = histogram.get_start_time_stamp() - 1000 * reader.get_start_time_sec()
    begins.setdefault(tag, []).append(str(round(begin)))
    whole.setdefault(tag, HdrHistogram(1, 600_000_000_000, 3)).add(histogram)
for tag, histogram in whole.items():
    at = histogram.get_value_at_percentile
    print(tag, histogram.total_count, histogram.get_min_value(), histogram.get_max_value(), at(50), at(99),
          round(histogram.get_mean_value()), ','.join(begins[tag]))
";

/// Length of an interval of a short run.
const LENGTH: Duration = Duration::from_millis(120);

fn interval(number: u64) -> Interval {
    let mut seen = Box::new(Recorder::default());
    for i in 0..1000 {
        seen.times.latency.record(50_000 + (number + 1) * i * i).unwrap();
    }
    // An interval in which no connection was made has no line for connects.
    if number != 1 {
        seen.times.connect.record(123_456).unwrap();
    }
    Interval { number, begin: LENGTH * number as u32, length: LENGTH, seen }
}

/// Returns the text that [`READER`] should print.
fn expected(intervals: &[Interval]) -> String {
    let latency = together(intervals.iter().map(|interval| &interval.seen.times.latency));
    let connect = together(intervals.iter().map(|interval| &interval.seen.times.connect));
    let line = |tag: &str, times: &Times, begins: &str| {
        format!(
            "{tag} {} {} {} {} {} {:.0} {begins}\n",
            times.len(),
            times.min(),
            times.max(),
            times.value_at_quantile(0.5),
            times.value_at_quantile(0.99),
            times.mean()
        )
    };
    line("latency", &latency, "0,120,240,360") + &line("connect", &connect, "0,240")
}

fn together<'a>(parts: impl Iterator<Item = &'a Times>) -> Times {
    let mut whole = Recorder::default().times.latency;
    parts.for_each(|part| whole.add(part).unwrap());
    whole
}

/// Returns the text that a script prints; `None` if the script fails.
fn python(arguments: &[&str]) -> Option<String> {
    let interpreter = env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let output = Command::new(interpreter).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn write(path: &Path, intervals: &[Interval]) {
    let mut log = HdrLog::create(path).unwrap();
    for interval in intervals {
        log.append(interval).unwrap();
    }
}

#[test]
fn another_reader_finds_the_same_numbers_in_our_log() {
    if python(&["-c", "import hdrh.log"]).is_none() {
        // A named interpreter is meant to run this test.
        assert!(
            env::var_os("PYTHON").is_none(),
            "PYTHON has no hdrhistogram: pip install hdrhistogram"
        );
        println!(
            "skipped: no HdrHistogram for Python here; `pip install hdrhistogram` and set PYTHON"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.hlog");
    // Requests without a response at the end follow as an interval of no length.
    let mut unanswered =
        Interval { number: 2, begin: 3 * LENGTH, length: Duration::ZERO, seen: Box::default() };
    unanswered.seen.times.latency.record_n(9_000_000_000, 3).unwrap();
    let intervals = [interval(0), interval(1), interval(2), unanswered];
    write(&path, &intervals);
    let read = python(&["-c", READER, path.to_str().unwrap()]).expect("the reader reads our log");
    assert_eq!(read, expected(&intervals));
}
