//! Masters and workers as processes. None of them outlives its value.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::refusal;

pub const LOCUSTFILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/loadgen/locust/locustfile.py");

/// A Python that has Locust.
pub struct Python(pub String);

/// Returns a Python that has Locust; without one, prints that the test is skipped.
pub fn python() -> Option<Python> {
    let python = Python(env::var("PYTHON").unwrap_or_else(|_| "python3".into()));
    let has_packages = Command::new(&python.0)
        .args(["-c", "import hdrh, importlib.util as u; assert u.find_spec('locust')"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if has_packages {
        return Some(python);
    }
    assert!(
        env::var_os("PYTHON").is_none(),
        "PYTHON has no Locust: pip install locust hdrhistogram"
    );
    eprintln!(
        "skipped: no Locust for Python here; `pip install locust hdrhistogram` and set PYTHON"
    );
    None
}

impl Python {
    pub fn locust(&self) -> Command {
        let mut command = Command::new(&self.0);
        // No file is left beside the locustfile.
        command.args(["-B", "-m", "locust"]).stdin(Stdio::null());
        command
    }
}

/// Returns a port that nothing listens on. Locust does not tell which port it has if it chooses.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A master of Locust without a page, which runs one test.
pub struct Master {
    child: Child,
    pub port: u16,
    folder: TempDir,
}

impl Master {
    /// Starts a test of 6 users, which waits for this number of workers.
    pub fn start(python: &Python, url: &str, workers: usize, options: &[&str]) -> Self {
        Self::start_at(free_port(), python, url, workers, options)
    }

    pub fn start_at(
        port: u16,
        python: &Python,
        url: &str,
        workers: usize,
        options: &[&str],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = python.locust();
        command
            .args([
                "-f",
                LOCUSTFILE,
                "--host",
                url,
                "--users=6",
                "--spawn-rate=1000",
                "--warmup=0s",
            ])
            .args(["--output=result.json", "--hdr=result.hlog", "--json-file=statistics"])
            .arg(format!("--expect-workers={workers}"))
            .args(options);
        Self::spawn(command, port, folder)
    }

    /// Starts a test with another locustfile, and one worker.
    pub fn start_plain(python: &Python, file: &Path) -> Self {
        let mut command = python.locust();
        command.arg("-f").arg(file).args(["--host=http://127.0.0.1:1/", "--expect-workers=1"]);
        Self::spawn(command, free_port(), tempfile::tempdir().unwrap())
    }

    fn spawn(mut command: Command, port: u16, folder: TempDir) -> Self {
        let log = fs::File::create(folder.path().join("messages")).unwrap();
        command
            .current_dir(folder.path())
            .args(["--master", "--headless", "--only-summary", "--master-bind-host=127.0.0.1"])
            .args(["--expect-workers-max-wait=60", &format!("--master-bind-port={port}")])
            .stdout(Stdio::null())
            .stderr(log);
        Self { child: command.spawn().unwrap(), port, folder }
    }

    /// Waits for the end of the test. Returns the merged result, Locust's own statistics, the log
    /// and the exit status.
    pub fn finish(mut self) -> (Value, Value, String, i32) {
        let status = self.child.wait().unwrap().code().expect("no signal ended it");
        let read = |name: &str| {
            let path = self.folder.path().join(name);
            fs::read_to_string(path).unwrap_or_else(|error| {
                let messages = fs::read_to_string(self.folder.path().join("messages"));
                panic!("{name}: {error}; {}", messages.unwrap_or_default())
            })
        };
        let json = |name: &str| serde_json::from_str(&read(name)).unwrap();
        (json("result.json"), json("statistics.json"), read("result.hlog"), status)
    }

    /// Kills the master, as a machine that fails would.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `c10k worker`.
pub struct Worker(Option<Child>);

impl Worker {
    /// Starts a worker of the master at this port.
    pub fn start(port: u16, options: &[&str]) -> Self {
        let child = command(&["--master", &format!("127.0.0.1:{port}")])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(Some(child.unwrap()))
    }

    /// Returns the line of a worker that does not start.
    #[track_caller]
    pub fn refused(options: &[&str]) -> String {
        refusal::line_of(command(options).output().unwrap())
    }

    fn output(mut self) -> Output {
        self.0.take().expect("it runs").wait_with_output().unwrap()
    }

    /// Waits for the end, and checks that the master wanted it.
    #[track_caller]
    pub fn assert_done(self) {
        let output = self.output();
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits for the end because of a failure, and returns its line: the last one, after those
    /// about loads.
    #[track_caller]
    pub fn refusal(self) -> String {
        let output = self.output();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        said.lines().last().expect("it says why").to_owned()
    }

    /// Kills the worker, as a machine that fails would.
    pub fn kill(self) {
        drop(self);
    }

    /// Interrupts the worker, and returns its exit status.
    pub fn interrupt(self) -> i32 {
        let child = self.0.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), Signal::TERM).unwrap();
        self.output().status.code().expect("no signal ended it")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn command(options: &[&str]) -> Command {
    let mut command = c10k();
    command.arg("worker").args(options).stdin(Stdio::null());
    command
}

pub fn c10k() -> Command {
    Command::new(env!("CARGO_BIN_EXE_c10k"))
}
