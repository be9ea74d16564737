//! Gates for tests: each has a folder of its own and a tiny suite, and leaves nothing behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;

use c10k_ci::output;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::wait;

/// The command under test.
pub const C10K: &str = env!("CARGO_BIN_EXE_c10k");

/// The head of a suite with slices so short that a block takes less than a second.
pub const HEAD: &str = "name = \"tiny\"\npurpose = \"A test.\"\nrounds = 2\nwarmup = \"20ms\"\n\
                        duration = \"20ms\"\ntimeout = \"2s\"\n";

/// Number of attempts to come to a verdict; the first one only finds out which budget the machine
/// needs.
const TRIES: usize = 6;

/// Returns the command of the server that most tests use.
pub fn epoll() -> String {
    format!("{C10K} serve epoll --addr 127.0.0.1:{{port}}")
}

/// Returns the command of a server that misbehaves; its program is compiled once.
pub fn bad_server(mode: &str) -> String {
    static PROGRAM: LazyLock<TempDir> = LazyLock::new(|| {
        let folder =
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be made");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gate/bad_server.rs");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(rustc);
        command.args(["--edition", "2024", "-o"]).arg(folder.path().join("bad-server")).arg(source);
        assert!(command.status().expect("there is a compiler").success());
        folder
    });
    format!("{}/bad-server {mode} 127.0.0.1:{{port}}", PROGRAM.path().display())
}

/// A folder in which gates run. Dropping it checks that no process of these gates is left, unless
/// the test has failed.
pub struct Folder {
    /// Working folder of the gates.
    path: PathBuf,
    dir: TempDir,
}

impl Folder {
    /// Makes a folder with a suite of a single workload.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = Self { path: dir.path().join("work"), dir };
        for path in [folder.path(), &folder.temporary()] {
            fs::create_dir(path).expect("a folder can be made");
        }
        folder.write(
            "suite.toml",
            &format!("{HEAD}models = [\"epoll\"]\n[[workload]]\nconnections = 2\n"),
        );
        folder
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder in which gates make their builds. It is beside their working folder,
    /// which may be a repository.
    pub fn temporary(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    /// Returns the folder of results.
    pub fn output(&self) -> PathBuf {
        self.path().join("out")
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("a file can be written");
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Returns a gate in this folder.
    pub fn gate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(C10K);
        command.current_dir(self.path()).env("TMPDIR", self.temporary());
        command.args(["gate", "--output", "out"]).args(arguments);
        if !arguments.contains(&"--suite") {
            command.args(["--suite", "suite.toml"]);
        }
        // If git runs these tests in a hook, these variables name the repository of that hook.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.gate(arguments).output().expect("the command can be run")
    }

    /// Starts a gate that runs for a while.
    pub fn start(&self, arguments: &[&str]) -> Child {
        start(&mut self.gate(arguments))
    }

    /// Returns true if a file of the output folder exists and is not empty.
    pub fn has(&self, name: &str) -> bool {
        fs::metadata(self.output().join(name)).is_ok_and(|file| file.len() > 0)
    }

    /// Returns the blocks that were measured.
    pub fn blocks(&self) -> Vec<Value> {
        let text = self.read("out/blocks.jsonl");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// Checks that there is no verdict of any kind.
    #[track_caller]
    pub fn assert_no_verdict(&self) {
        for format in output::ALL {
            assert!(!self.output().join(format.file).exists(), "{} is there", format.file);
        }
    }

    /// Returns true if a process has its working folder here, in a build, or below.
    pub fn has_processes(&self) -> bool {
        self.has_processes_of("")
    }

    /// Returns true if a process of the program `name` has its working folder here or below.
    pub fn has_processes_of(&self, name: &str) -> bool {
        let is_one = |process: &Path| {
            let folder = fs::read_link(process.join("cwd"));
            let program = fs::read_to_string(process.join("comm")).unwrap_or_default();
            folder.is_ok_and(|folder| folder.starts_with(self.dir.path()))
                && (name.is_empty() || program.trim_end() == name)
        };
        let processes = fs::read_dir("/proc").expect("/proc can be read").flatten();
        processes.into_iter().any(|process| is_one(&process.path()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !thread::panicking() {
            // Children of a process that was killed may take a moment to end.
            wait::until("no process is left", || !self.has_processes());
            let mut left = fs::read_dir(self.temporary()).expect("it is there").flatten();
            assert!(left.next().is_none(), "a build is left");
        }
    }
}

/// Runs a gate to a verdict. The time for that depends on how busy the machine is: a gate whose
/// budget is too short reports the budget that it needs, and is run again with somewhat more.
pub fn run_to_verdict(gate: impl Fn() -> Command) -> Output {
    let mut budget = 1;
    for _ in 0..TRIES {
        let arguments = ["--budget", &format!("{budget}s")];
        let output = gate().args(arguments).output().expect("the command can be run");
        match needed(&text(&output.stderr)) {
            Some(seconds) => budget = seconds + seconds / 4,
            None => return output,
        }
    }
    panic!("{budget} s are not enough for a verdict");
}

/// Returns the seconds that a gate needs, if its budget was too short.
fn needed(said: &str) -> Option<u64> {
    let (_, advice) = said.split_once("the budget is too short: ")?;
    let (_, budget) = advice.split_once("--budget ")?;
    budget.split_once('s')?.0.parse().ok()
}

/// Starts a command and keeps its output.
pub fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command can be run")
}

/// Sends a signal to a process, as Ctrl-C does, and waits for its end.
pub fn signal(child: Child, signal: Signal) -> Output {
    kill_process(Pid::from_child(&child), signal).expect("it runs");
    child.wait_with_output().expect("it ends")
}

/// Checks that a gate ended as an interrupted one does, and returns its last line.
#[track_caller]
pub fn interrupted(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(output.stdout.is_empty(), "{said}");
    let last = said.lines().next_back().unwrap_or_default();
    assert!(last.starts_with("c10k: interrupted"), "{said}");
    last.to_owned()
}

/// Checks that a gate ended with an error, reported on the last line, and returns that line. The
/// lines before it report the progress.
#[track_caller]
pub fn error(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty(), "{:?}", text(&output.stdout));
    let errors = said.lines().filter(|line| line.starts_with("c10k: ")).count();
    let last = said.lines().next_back().unwrap_or_default();
    assert!(errors == 1 && last.starts_with("c10k: "), "{said}");
    last.to_owned()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
