//! Small git repositories for gates of revisions.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};

use crate::support::{Folder, start, text};

/// A folder with a repository in it, whose state must be the same after every gate.
pub struct Repository(pub Folder);

/// State of a repository in git, apart from its objects.
#[derive(Debug, PartialEq)]
pub struct State {
    references: String,
    worktrees: String,
    status: String,
    index: Vec<u8>,
}

impl Repository {
    /// Makes a repository with a commit of a build script, tagged `first`. Returns `None`, and
    /// prints a note, where git is not installed.
    pub fn new(build: &str) -> Option<Self> {
        if which::which("git").is_err() {
            eprintln!("left out: git is not installed");
            return None;
        }
        let repository = Self(Folder::new());
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository.0.write("build.sh", build);
        repository.0.write(".gitignore", "/log\n");
        repository.commit("first");
        repository.git(&["tag", "first"]);
        Some(repository)
    }

    /// Commits all files.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        git(self.0.path(), arguments)
    }

    /// Returns a gate whose builds run `sh build.sh`.
    pub fn gate(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.gate(&["--build", "sh build.sh"]);
        command.args(arguments).env("LOG", self.0.path().join("log"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.gate(arguments).output().expect("the command can be run")
    }

    /// Starts a gate that runs for a while.
    pub fn start(&self, arguments: &[&str]) -> Child {
        start(&mut self.gate(arguments))
    }

    pub fn state(&self) -> State {
        State {
            references: self.git(&["for-each-ref"]) + &self.git(&["stash", "list"]),
            worktrees: self.git(&["worktree", "list"]),
            index: fs::read(self.0.path().join(".git/index")).expect("there is an index"),
            status: self.git(&["--no-optional-locks", "status", "--porcelain"]),
        }
    }
}

/// Runs git in `folder`, as a user who may commit and may use repositories of this disk.
#[track_caller]
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    let settings = ["user.name=c10k", "user.email=c10k@localhost", "protocol.file.allow=always"];
    git.current_dir(folder)
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .args(arguments);
    let output = git.output().expect("git can be run");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    text(&output.stdout)
}
