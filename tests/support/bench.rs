//! A run of `c10k bench`: a suite in a folder of its own, and the results.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A suite with the given tables in a folder of its own, on which `c10k bench` runs.
pub struct Bench {
    pub folder: TempDir,
}

impl Bench {
    pub fn new(tables: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let head = "name = \"test\"\npurpose = \"A test.\"\nrounds = 1\nwarmup = \"50ms\"\nduration = \"300ms\"\n\
                    timeout = \"2s\"\n";
        fs::write(folder.path().join("suite.toml"), format!("{head}{tables}"))
            .expect("a file can be written");
        Self { folder }
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the command can be run")
    }

    /// Runs `c10k bench` without the suite among its arguments.
    #[allow(dead_code, reason = "not all tests go on with a run")]
    pub fn bench(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
        command.current_dir(self.folder.path()).arg("bench").args(arguments);
        command.output().expect("the command can be run")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
        command.current_dir(self.folder.path()).args(["bench", "suite.toml"]).args(arguments);
        command
    }

    /// Returns the folder of the only run.
    pub fn run_dir(&self) -> PathBuf {
        let runs = fs::read_dir(self.folder.path().join("reports/runs")).expect("there are runs");
        let dirs: Vec<PathBuf> = runs.map(|entry| entry.expect("it can be read").path()).collect();
        assert_eq!(dirs.len(), 1, "{dirs:?}");
        dirs[0].clone()
    }

    /// Returns the measurements that stand. Disturbed measurements are repeated, as often as other
    /// processes keep the machine busy.
    pub fn records(&self) -> Vec<Value> {
        let mut records = self.all_records();
        records.retain(|record| record["superseded"] != true);
        records
    }

    pub fn all_records(&self) -> Vec<Value> {
        let text = read(&self.run_dir().join("record.jsonl"));
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    pub fn page(&self) -> String {
        read(&self.run_dir().join("index.html"))
    }
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn of<'a>(records: &'a [Value], subject: &str) -> &'a Value {
    records
        .iter()
        .find(|record| record["cell"]["subject"] == subject)
        .expect("the subject has a record")
}
