//! Builds of two revisions: each in a git worktree of its own, with the same command, in folders of
//! the same length, since the length of a path moves what lies behind it in memory (Mytkowicz et
//! al., "Producing Wrong Data Without Doing Anything Obviously Wrong", 2009).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Name of the working tree where a revision is expected.
pub const WORKTREE: &str = "worktree";

/// Variables by which git tells its children about a repository, which may be another one.
const OF_GIT: &[&str] = &["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"];

/// A git repository.
#[derive(Debug, Clone)]
pub struct Repository(PathBuf);

/// A checkout of a revision; dropping it removes it.
#[derive(Debug)]
pub struct Checkout {
    repository: Repository,
    folder: PathBuf,
    /// The commit, and `+changes` where it is the working tree with something uncommitted.
    pub revision: String,
}

impl Repository {
    /// The repository around the current folder.
    ///
    /// # Errors
    /// When there is none, or no git.
    pub fn here() -> Result<Self> {
        let top = git(Path::new("."), &["rev-parse", "--show-toplevel"]).context(
            "--base REV needs a git repository around the current folder; give --base-command instead",
        )?;
        Ok(Self(PathBuf::from(top)))
    }

    /// The commit that `name` stands for.
    pub fn commit(&self, name: &str) -> Result<String> {
        let wanted = format!("{name}^{{commit}}");
        git(&self.0, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]).ok().with_context(
            || {
                format!(
                    "there is no revision `{name}` here; a shallow clone may lack it: `git fetch --unshallow`"
                )
            },
        )
    }

    /// Checks `name` out into `folder`, which must not exist.
    pub fn check_out(&self, name: &str, folder: PathBuf) -> Result<Checkout> {
        let is_worktree = name == WORKTREE;
        let commit = self.commit(if is_worktree { "HEAD" } else { name })?;
        let path = folder.to_str().context("the folder of a worktree must be valid UTF-8")?.to_owned();
        git(&self.0, &["worktree", "add", "--force", "--detach", "--quiet", &path, &commit])?;
        let mut checkout = Checkout { repository: self.clone(), folder, revision: commit };
        if is_worktree {
            checkout.copy_changes()?;
        }
        Ok(checkout)
    }
}

impl Checkout {
    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command of the user in it, whose output goes to standard error.
    ///
    /// # Errors
    /// When it fails.
    pub fn build(&self, command: &str) -> Result<()> {
        let words = shlex::split(command).filter(|words| !words.is_empty());
        let words = words.with_context(|| format!("the build command `{command}` is no command line"))?;
        let mut build = Command::new(&words[0]);
        build.args(&words[1..]).current_dir(&self.folder).stdin(Stdio::null()).stdout(std::io::stderr());
        let status = without_git(&mut build).status().with_context(|| format!("cannot run `{command}`"))?;
        ensure!(status.success(), "`{command}` failed for {} ({status})", self.revision);
        Ok(())
    }

    /// Brings what the working tree has beside its commit: changed, new and removed files.
    fn copy_changes(&mut self) -> Result<()> {
        let source = self.repository.0.clone();
        let listed = |args: &[&str]| -> Result<Vec<String>> {
            let text = git(&source, &[&["-c", "core.quotePath=false", "ls-files", "-z"], args].concat())?;
            Ok(text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
        };
        let changed = listed(&["--modified", "--others", "--exclude-standard"])?;
        let staged = git(&source, &["diff", "--cached", "--name-only", "-z", "HEAD"])?;
        let staged = staged.split('\0').filter(|name| !name.is_empty()).map(str::to_owned);
        let mut names: Vec<String> = changed.into_iter().chain(staged).collect();
        names.sort_unstable();
        names.dedup();
        for name in &names {
            copy_or_remove(&source.join(name), &self.folder.join(name))
                .with_context(|| format!("cannot copy {name} of the working tree"))?;
        }
        if !names.is_empty() {
            self.revision += "+changes";
        }
        Ok(())
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let path = self.folder.to_string_lossy().into_owned();
        if git(&self.repository.0, &["worktree", "remove", "--force", &path]).is_err() {
            let _ = fs::remove_dir_all(&self.folder);
            let _ = git(&self.repository.0, &["worktree", "prune"]);
        }
    }
}

fn copy_or_remove(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_file() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(from, to).map(drop)
    } else if to.is_file() {
        fs::remove_file(to)
    } else {
        Ok(())
    }
}

/// Runs git in `folder`, and gives what it prints.
fn git(folder: &Path, args: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(args).stdin(Stdio::null());
    let output = without_git(&mut command).output().context("cannot run git")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("git {}: {}", args[0], said.lines().last().unwrap_or("it failed"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
}

fn without_git(command: &mut Command) -> &mut Command {
    OF_GIT.iter().fold(command, |command, name| command.env_remove(name))
}
