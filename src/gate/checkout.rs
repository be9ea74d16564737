//! Checkout of a revision in a worktree of its own, with those submodules that the user's working
//! tree has. It is removed when it is dropped, and by the next gate if this one was killed.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::git::{self, git};
use super::revision::{Repository, Revision, WORKTREE};

/// A checkout of a revision.
#[derive(Debug)]
pub struct Checkout {
    /// The worktree, and below it the worktrees of submodules. These belong to the user's own
    /// submodules, so that nothing is fetched.
    worktrees: Vec<PathBuf>,
}

impl Checkout {
    /// Checks `revision` out into `folder`, which must be absent or empty.
    pub fn new(repository: &Repository, revision: &Revision, folder: &Path) -> Result<Self> {
        let mut checkout = Self { worktrees: Vec::new() };
        checkout.add(repository, revision, folder)?;
        Ok(checkout)
    }

    fn add(&mut self, repository: &Repository, revision: &Revision, folder: &Path) -> Result<()> {
        // Noted before it is made, because a worktree that is only partly made has to be removed,
        // too.
        self.worktrees.push(folder.to_owned());
        repository.add_worktree(revision, folder)?;
        for (path, commit) in repository.submodules(revision)? {
            let Some(submodule) = repository.submodule(&path) else { continue };
            let name = if revision.has_changes() { WORKTREE } else { &commit };
            let added = submodule.find(name);
            let added =
                added.and_then(|revision| self.add(&submodule, &revision, &folder.join(&path)));
            added.with_context(|| format!("the submodule {}", path.display()))?;
        }
        Ok(())
    }

    /// Returns the folder of the checkout.
    pub fn folder(&self) -> &Path {
        &self.worktrees[0]
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        for folder in self.worktrees.iter().rev() {
            let _ = discard(folder);
        }
    }
}

/// Removes a worktree, complete or not, from the disk and from git's list.
pub fn discard(folder: &Path) -> io::Result<()> {
    let repository = git::path(git(folder).args(["rev-parse", "--git-common-dir"]));
    let repository = repository.ok().and_then(|path| folder.join(path).canonicalize().ok());
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    if let Some(repository) = repository {
        let mut remove = git(Path::new("/"));
        remove.arg("--git-dir").arg(repository).args(["worktree", "remove", "--force", "--force"]);
        // This may fail: git does not know a worktree that was hardly begun.
        let _ = git::output(remove.arg(folder));
    }
    Ok(())
}
