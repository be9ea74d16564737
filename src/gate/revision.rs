//! Revisions of a git repository. A name is resolved to its commit; the files of the working tree,
//! as they are now, are stored as git objects to which no reference leads.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::git::{self, git};
use crate::interrupt::Interrupt;

/// Name that stands for the working tree in place of a revision.
pub const WORKTREE: &str = "worktree";

/// Prefix of a submodule's entry in a tree.
const SUBMODULE: &[u8] = b"160000 commit ";

/// A git repository with a working tree.
#[derive(Debug)]
pub struct Repository {
    /// Top folder of the working tree.
    folder: PathBuf,
    /// Interrupt that ends commands that may take long.
    interrupt: Interrupt,
}

/// A revision that can be checked out.
#[derive(Debug, Clone)]
pub struct Revision {
    commit: String,
    /// Tree of the files in the working tree, if something is not committed.
    tree: Option<String>,
}

impl Repository {
    /// Finds the repository around the current folder.
    ///
    /// # Errors
    /// When there is no repository, or no git.
    pub fn here(interrupt: &Interrupt) -> Result<Self> {
        let top = git::path(git(Path::new(".")).args(["rev-parse", "--show-toplevel"]));
        let top =
            top.context("--base needs a working tree of git here, and --base-command does not")?;
        Ok(Self { folder: top, interrupt: interrupt.clone() })
    }

    /// Returns the submodule at `path`, if it is initialized.
    pub fn submodule(&self, path: &Path) -> Option<Self> {
        let folder = self.folder.join(path);
        let interrupt = self.interrupt.clone();
        folder.join(".git").exists().then_some(Self { folder, interrupt })
    }

    /// Finds the revision that `name` stands for.
    pub fn find(&self, name: &str) -> Result<Revision> {
        if name == WORKTREE {
            return self.working_tree();
        }
        match self.commit(name) {
            Ok(commit) => Ok(Revision { commit, tree: None }),
            Err(_) => bail!("there is no revision `{name}` {}", self.next_step(name)),
        }
    }

    fn commit(&self, name: &str) -> Result<String> {
        let wanted = format!("{name}^{{commit}}");
        git::line(self.git().args([
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &wanted,
        ]))
    }

    /// Returns the end of the message about a missing revision: where it is missing, and what to
    /// do.
    fn next_step(&self, name: &str) -> String {
        let is_shallow = git::line(self.git().args(["rev-parse", "--is-shallow-repository"]));
        if is_shallow.is_ok_and(|answer| answer == "true") {
            "in this shallow clone; run `git fetch --unshallow`, or set `fetch-depth: 0` of actions/checkout"
                .into()
        } else if self.commit(&format!("origin/{name}")).is_ok() {
            format!("here; did you mean `origin/{name}`?")
        } else {
            "here; `git branch --all` and `git tag` list names".into()
        }
    }

    fn working_tree(&self) -> Result<Revision> {
        let commit = self.commit("HEAD");
        let commit = commit.ok().context("the working tree has no commit yet; make one first")?;
        let status =
            ["status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=none"];
        let is_clean = git::output(self.git().args(status))?.is_empty();
        let tree = if is_clean { None } else { Some(self.files_of_working_tree()?) };
        Ok(Revision { commit, tree })
    }

    /// Stores all files that are not ignored as a tree, and returns its id. The tree is made with a
    /// copy of the index, so that the index itself stays as it is.
    fn files_of_working_tree(&self) -> Result<String> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let index = folder.path().join("index");
        let own_index =
            self.folder.join(git::path(self.git().args(["rev-parse", "--git-path", "index"]))?);
        if own_index.exists() {
            fs::copy(&own_index, &index).context("cannot copy the index of git")?;
        }
        let mut add = self.git();
        add.args(["-c", "advice.addEmbeddedRepo=false", "add", "--all"])
            .env("GIT_INDEX_FILE", &index);
        git::run(&mut add, &self.interrupt).context("cannot read the working tree")?;
        git::line(self.git().arg("write-tree").env("GIT_INDEX_FILE", &index))
    }

    /// Checks `revision` out into a worktree in `folder`.
    pub fn add_worktree(&self, revision: &Revision, folder: &Path) -> Result<()> {
        let mut add = self.git();
        // `--force` twice: a gate that was killed may have left this folder in git's list, locked.
        add.args(["worktree", "add", "--force", "--force", "--detach", "--quiet"]);
        add.arg(folder).arg(&revision.commit);
        git::run(&mut add, &self.interrupt).context("cannot make a worktree")?;
        if let Some(tree) = &revision.tree {
            let mut read = git(folder);
            read.args(["read-tree", "--reset", "-u", tree]);
            git::run(&mut read, &self.interrupt).context("cannot copy changes")?;
        }
        Ok(())
    }

    /// Returns path and commit of each submodule of `revision`.
    pub fn submodules(&self, revision: &Revision) -> Result<Vec<(PathBuf, String)>> {
        let tree = revision.tree.as_ref().unwrap_or(&revision.commit);
        let entries = git::output(self.git().args(["ls-tree", "-r", "-z", "--full-tree", tree]))?;
        let submodule = |entry: &[u8]| {
            let entry = entry.strip_prefix(SUBMODULE)?;
            let tab = entry.iter().position(|byte| *byte == b'\t')?;
            let path = OsStr::from_bytes(&entry[tab + 1..]).into();
            Some((path, String::from_utf8_lossy(&entry[..tab]).into_owned()))
        };
        Ok(entries.split(|byte| *byte == 0).filter_map(submodule).collect())
    }

    fn git(&self) -> Command {
        git(&self.folder)
    }
}

impl Revision {
    /// True if this is the working tree with uncommitted changes.
    pub fn has_changes(&self) -> bool {
        self.tree.is_some()
    }
}

/// Writes the commit, with `+changes` if something is not committed.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.commit)?;
        f.write_str(if self.has_changes() { "+changes" } else { "" })
    }
}
