//! Outputs of a run: files that can be parsed, and one line of error if a file can't be written.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;

use crate::command::{command, end_of, load_url, until_shown, words};
use crate::server::{After, OK, Server};
use crate::wait;

/// A histogram of a log, with its tag, and the beginning and length of its interval in seconds.
pub struct Line {
    pub tag: String,
    pub begin_s: f64,
    pub length_s: f64,
    pub times: Histogram<u64>,
}

/// Reads a log as any other program would.
#[track_caller]
pub fn read_log(path: &Path) -> Vec<Line> {
    let bytes = fs::read(path).expect("the log is there");
    let mut deserializer = Deserializer::new();
    let mut line = |entry| match entry {
        LogEntry::Interval(interval) => {
            let histogram = STANDARD.decode(interval.encoded_histogram()).expect("it is base64");
            Some(Line {
                tag: interval.tag().map(|tag| tag.as_str().to_owned()).expect("it has a tag"),
                begin_s: interval.start_timestamp().as_secs_f64(),
                length_s: interval.duration().as_secs_f64(),
                times: deserializer.deserialize(&mut &histogram[..]).expect("it is a histogram"),
            })
        }
        LogEntry::StartTime(_) | LogEntry::BaseTime(_) => None,
    };
    // The reader does not know the legend; other readers skip it, as the documentation of the
    // format tells them to.
    let text = String::from_utf8(bytes).expect("it is text");
    let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with('"')).collect();
    IntervalLogIterator::new(text.as_bytes())
        .filter_map(|entry| line(entry.expect("every line parses")))
        .collect()
}

fn answering() -> Server {
    Server::answering(OK, After::Keep)
}

const SHORT: [&str; 4] = ["--connections", "2", "--duration", "300ms"];

#[test]
fn the_output_file_equals_standard_output() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("out.json");
    let path = file.to_str().expect("it is text");
    let server = answering();
    let outcome = load_url(&server.url(), &[&SHORT[..], &["--output", path]].concat());
    let written: Value =
        serde_json::from_slice(&fs::read(&file).expect("it was written")).expect("it is JSON");
    assert_eq!(written, outcome.json);
}

#[test]
fn the_log_holds_every_latency_and_service_time() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("out.hlog");
    let path = file.to_str().expect("it is text");
    let server = answering();
    let arguments = ["--connections", "2", "--duration", "1200ms", "--rate", "300", "--hdr", path];
    let outcome = load_url(&server.url(), &arguments);
    let lines = read_log(&file);
    for (tag, key) in
        [("latency", "latency_us"), ("service", "service_us"), ("connect", "connect_us")]
    {
        let of_tag: Vec<_> = lines.iter().filter(|line| line.tag == tag).collect();
        let logged: u64 = of_tag.iter().map(|line| line.times.len()).sum();
        assert_eq!(logged, outcome.count(&format!("{key}/count")), "{tag}");
        let max = of_tag.iter().map(|line| line.times.max()).max().unwrap_or_default();
        let told = outcome.number(&format!("{key}/max")) * 1e3;
        assert!((max as f64 - told).abs() <= told * 0.002, "{tag}: {max} and {told}");
    }
    let length: f64 =
        lines.iter().filter(|line| line.tag == "latency").map(|line| line.length_s).sum();
    assert!((1.15..2.5).contains(&length), "{length}");
}

#[test]
fn a_short_run_is_reported_in_twenty_intervals_and_has_no_confidence_intervals() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("out.hlog");
    let path = file.to_str().expect("it is text");
    let run = || {
        let arguments =
            ["--connections", "4", "--duration", "1200ms", "--rate", "500", "--hdr", path];
        load_url(&answering().url(), &arguments)
    };
    // A machine that stalls for a twentieth of the run leaves an interval without a response.
    until_shown("a line for each twentieth", run, |outcome| {
        let lines =
            read_log(&file).into_iter().filter(|line| line.tag == "latency" && line.length_s > 0.0);
        let begins: Vec<_> = lines.map(|line| (line.begin_s * 1e3).round() as u64).collect();
        begins == (0..20).map(|part| part * 60).collect::<Vec<_>>()
            && outcome.json.pointer("/latency_us/ci95").is_none()
    });
}

/// Runs the command to its end with these arguments and this standard output.
#[track_caller]
fn run(url: &str, arguments: &[&str], stdout: Stdio) -> Output {
    let mut child = command(url, arguments)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be run");
    // If standard output is a pipe, its reader goes away at once.
    drop(child.stdout.take());
    let status = end_of(&mut child, wait::PATIENCE);
    let mut stderr = Vec::new();
    child.stderr.take().expect("it is piped").read_to_end(&mut stderr).expect("it can be read");
    Output { status, stdout: Vec::new(), stderr }
}

#[track_caller]
fn one_line(output: &Output) -> String {
    let line = String::from_utf8(output.stderr.clone()).expect("it speaks text");
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("c10k: ") && !line.contains("panicked"), "{line}");
    line
}

#[test]
fn files_that_cannot_be_written_are_reported_in_a_line() {
    let server = answering();
    for option in ["--output", "--hdr"] {
        for path in ["/dev/full", "/no/such/folder/out", "/"] {
            let output = run(
                &server.url(),
                &[&SHORT[..], &["--json", option, path]].concat(),
                Stdio::null(),
            );
            let line = one_line(&output);
            assert!(line.contains(path), "{line}");
        }
    }
}

#[test]
fn one_file_for_two_outputs_is_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("out");
    let other = folder.path().join(".").join("out");
    let [file, other] = [&file, &other].map(|path| path.to_str().expect("it is text"));
    let server = answering();
    let arguments = [&SHORT[..], &["--output", file, "--hdr", other]].concat();
    let line = one_line(&run(&server.url(), &arguments, Stdio::null()));
    assert!(line.contains("--output and --hdr"), "{line}");
    assert_eq!(server.answers(), 0);
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0);
}

#[test]
fn a_file_that_cannot_be_made_is_reported_before_anything_is_measured() {
    let server = answering();
    for option in ["--output", "--hdr"] {
        one_line(&run(
            &server.url(),
            &[&SHORT[..], &[option, "/no/such/folder/out"]].concat(),
            Stdio::null(),
        ));
    }
    // Connections are accepted in their order, so a connection of the run would be seen before this
    // one.
    let _own = TcpStream::connect(server.address).expect("it listens");
    wait::until("a connection is seen", || !server.seen().is_empty());
    assert_eq!(server.seen().len(), 1, "a run was made to be thrown away");
}

/// Shell script that runs the command with a file size limit of zero, so that regular files take no
/// byte, as on a full disk. (25 is SIGXFSZ, which would end the command.)
const ON_A_FULL_DISK: &str = "trap '' 25; ulimit -f 0; exec \"$@\"";

#[test]
fn a_full_disk_leaves_the_old_files_and_nothing_beside_them() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let server = answering();
    for (option, name) in [("--output", "out.json"), ("--hdr", "out.hlog")] {
        let file = folder.path().join(name);
        fs::write(&file, "of before").expect("it can be written");
        let mut shell = Command::new("sh");
        shell.args(["-c", ON_A_FULL_DISK, "sh", env!("CARGO_BIN_EXE_c10k"), "load", &server.url()]);
        let output =
            shell.args(SHORT).args(["--warmup", "0s", "--json", option]).arg(&file).output();
        let output = output.expect("the command can be run");
        let line = one_line(&output);
        assert!(line.contains(name), "{line}");
        // The log is written during the run, so the run ends when that fails.
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).is_ok(), option == "--output");
        assert_eq!(fs::read_to_string(&file).expect("it is there"), "of before");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 2);
}

#[test]
fn pipes_and_links_are_written_to_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (file, link) = (folder.path().join("out.json"), folder.path().join("link"));
    symlink("out.json", &link).expect("a link can be made");
    let server = answering();
    told(&server, &["--quiet", "--output", link.to_str().expect("it is text")]);
    serde_json::from_slice::<Value>(&fs::read(&file).expect("it was written")).expect("it is JSON");
    assert!(link.is_symlink());
    let piped = told(&server, &["--quiet", "--output", "/dev/stdout"]).stdout;
    serde_json::from_slice::<Value>(&piped).expect("it is JSON");
}

#[test]
fn a_standard_output_that_is_full_is_reported_in_a_line() {
    let server = answering();
    let full = File::create("/dev/full").expect("it is there");
    one_line(&run(&server.url(), &[&SHORT[..], &["--json"]].concat(), full.into()));
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let server = answering();
    for format in [&["--json"][..], &[]] {
        let output = run(&server.url(), &[&SHORT[..], format].concat(), Stdio::piped());
        assert_eq!(output.status.code(), Some(0), "{:?}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stderr, b"");
    }
}

/// Runs the command and reads its standard output.
fn told(server: &Server, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_c10k"))
        .args(["load", &server.url(), "--warmup", "0s"])
        .args(SHORT)
        .args(arguments)
        .output()
        .expect("the command can be run");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"", "{:?}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn the_text_has_the_numbers_that_matter() {
    let text = String::from_utf8(told(&answering(), &[]).stdout).expect("it speaks text");
    for word in ["requests/s", "latency", "p99"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

#[test]
fn the_text_says_which_end_keeps_the_closed_connections_if_an_end_is_to_close() {
    let text = |arguments: &str| {
        let arguments = words(arguments);
        String::from_utf8(told(&answering(), &arguments).stdout).expect("it speaks text")
    };
    assert!(text("--lifetime short --close client").contains("  TIME_WAIT: "));
    assert!(!text("--lifetime short").contains("TIME_WAIT"));
}

#[test]
fn the_text_of_an_open_loop_says_how_its_arrivals_can_be_repeated() {
    let text = |arguments: &str| {
        let arguments = words(arguments);
        String::from_utf8(told(&answering(), &arguments).stdout).expect("it speaks text")
    };
    let poisson = text("--rate 200 --arrivals poisson --seed 7 --threads 2");
    assert!(
        poisson.contains("arrivals: poisson, seed 7, in 2 queues, one per thread\n"),
        "{poisson}"
    );
    let constant = text("--rate 200");
    assert!(constant.contains("arrivals: constant\n"), "{constant}");
    assert!(!text("").contains("arrivals:"));
}

/// Runs the command against a server that never answers. Returns its standard output and its
/// standard error.
fn told_of_nothing(arguments: &[&str]) -> (String, String) {
    let server = Server::start(|_, _| Ok(After::Hold));
    let arguments = [&SHORT[..], arguments].concat();
    let output = command(&server.url(), &arguments).output().expect("the command can be run");
    assert_eq!(output.status.code(), Some(1));
    let text = |bytes| String::from_utf8(bytes).expect("it speaks text");
    (text(output.stdout), text(output.stderr))
}

#[test]
fn a_run_in_which_nothing_completed_shows_no_times_and_no_cost_per_request() {
    let (stdout, stderr) = told_of_nothing(&[]);
    assert!(
        stdout.contains("0 completed") && stdout.contains("2 requested, 2 never served"),
        "{stdout}"
    );
    for word in ["p50", "latency", "µs", " ms", "CPU per completed request"] {
        assert!(!stdout.contains(word), "{word} is in {stdout}");
    }
    assert!(stderr.starts_with("c10k: no request completed of 2 sent"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn a_run_in_which_nothing_completed_says_so_although_it_is_quiet() {
    let (stdout, stderr) = told_of_nothing(&["--quiet"]);
    assert_eq!((stdout.as_str(), stderr.lines().count()), ("", 1));
}

#[test]
fn quiet_says_nothing() {
    assert_eq!(told(&answering(), &["--quiet"]).stdout, b"");
}

/// The scripted server is a thread of this process.
#[test]
fn the_servers_resources_are_reported_if_its_process_is_known() {
    let server = answering();
    let pid = std::process::id().to_string();
    let outcome = load_url(&server.url(), &[&SHORT[..], &["--server-pid", &pid]].concat());
    for key in ["server_cpu_us_per_request", "memory_pss_bytes", "tasks"] {
        assert!(outcome.number(&format!("server/metrics/{key}")) > 0.0, "{key}");
    }
    let text = command(&server.url(), &[&SHORT[..], &["--server-pid", &pid]].concat()).output();
    let text =
        String::from_utf8(text.expect("the command can be run").stdout).expect("it prints text");
    assert!(text.contains("  server\n    Server CPU"), "{text}");
}

#[test]
fn a_missing_server_process_is_refused_before_anything_is_sent() {
    let server = answering();
    let output = run(&server.url(), &["--server-pid", "2147483647"], Stdio::null());
    assert!(one_line(&output).contains("2147483647"));
    assert_eq!(server.answers(), 0);
}
