//! Folder of a gate's files. Only one gate at a time uses it, and a verdict in it is always that of
//! the blocks in it. Git ignores it, as it ignores the target folder of cargo.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use c10k_ci::block::Block;
use c10k_ci::block_line;
use c10k_ci::gate::{BLOCKS_FILE, Gate, PLAN_FILE};
use c10k_ci::plan::Plan;
use c10k_ci::{histograms, output, page};
use c10k_reports::{PAGE_FILE, WholeFile};

use super::checkout;

/// Link to the folder of the checkouts, by which the next gate finds the checkouts of a killed one.
const BUILDS_LINK: &str = "builds";

/// Prefix of the name of the folder of the checkouts. No folder of a user has such a name, since
/// all that lies in it is removed.
const BUILDS: &str = "c10k-gate-";

/// File that makes git ignore the results: a gate of the working tree must not treat the results of
/// the last gate as changes. The file also marks a folder as one of gates.
const IGNORE_FILE: (&str, &str) = (".gitignore", "# Results of `c10k gate`.\n*\n");

/// The folder, locked for as long as this value lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Lock of the folder; the kernel releases it when the process ends in any way.
    _lock: File,
}

/// The file of blocks, with a line for each block.
#[derive(Debug)]
pub struct BlocksFile {
    path: PathBuf,
    file: File,
    /// Length of the whole lines, in bytes.
    length: u64,
}

impl Folder {
    /// Creates the folder if it does not exist, locks it, and removes the files of an older gate.
    ///
    /// # Errors
    /// When one of these fails, another gate uses the folder, or it has files that are not of a
    /// gate.
    pub fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("cannot use {}", path.display()))?;
        let lock = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // A file system without locks is accepted: a gate can still be measured there.
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            bail!(
                "another gate writes to {}; wait for its end, or give another --output",
                path.display()
            );
        }
        let folder = Self { path, _lock: lock };
        folder.ensure_of_gates()?;
        let (name, text) = IGNORE_FILE;
        WholeFile::open(&folder.path.join(name))?.write(text)?;
        folder.remove_results()?;
        for file in [PLAN_FILE, BLOCKS_FILE] {
            folder.remove(file)?;
        }
        folder.remove_builds()?;
        Ok(folder)
    }

    /// Checks that the folder is empty or of a gate: files of a user may have the names of results,
    /// such as `index.html`.
    fn ensure_of_gates(&self) -> Result<()> {
        let path = self.path.display();
        let mut files = fs::read_dir(&self.path).with_context(|| format!("cannot read {path}"))?;
        let text = |name: &str| fs::read_to_string(self.path.join(name)).unwrap_or_default();
        let (ignore_file, ignored) = IGNORE_FILE;
        ensure!(
            files.next().is_none()
                || text(ignore_file) == ignored
                || text(PLAN_FILE).contains("\"c10k_version\""),
            "{path} has files that are not of a gate; give a new or empty folder as --output"
        );
        Ok(())
    }

    /// Creates a folder for the checkouts of both sides. It is outside of the working tree: cargo
    /// and other tools read settings from all parent folders, and settings in the working tree may
    /// not be committed.
    pub fn builds(&self) -> Result<PathBuf> {
        let temporary = env::temp_dir();
        let folder = temporary.canonicalize().and_then(|folder| {
            let builds = tempfile::Builder::new().prefix(BUILDS).tempdir_in(folder)?;
            symlink(builds.path(), self.path.join(BUILDS_LINK))?;
            Ok(builds.keep())
        });
        folder.with_context(|| {
            format!(
                "cannot make a folder for the builds in {}; set TMPDIR to another one",
                temporary.display()
            )
        })
    }

    /// Removes the checkouts, also those of a gate that was killed.
    pub fn remove_builds(&self) -> Result<()> {
        let link = self.path.join(BUILDS_LINK);
        let Ok(builds) = fs::read_link(&link) else { return Ok(()) };
        let name = builds.file_name().unwrap_or_default().to_string_lossy();
        ensure!(name.starts_with(BUILDS), "{} is no link of a gate; remove it", link.display());
        let left = fs::read_dir(&builds).into_iter().flatten().flatten();
        for folder in left.map(|entry| entry.path()) {
            let removed = checkout::discard(&folder);
            removed.with_context(|| format!("cannot remove the build {}", folder.display()))?;
        }
        match fs::remove_dir(&builds) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", builds.display()))
            }
            _ => self.remove(BUILDS_LINK),
        }
    }

    /// Writes the plan: the decisions that were made before the first block.
    pub fn write_plan(&self, plan: &Plan) -> Result<()> {
        let text = serde_json::to_string_pretty(plan)? + "\n";
        Ok(WholeFile::open(&self.path.join(PLAN_FILE))?.write(&text)?)
    }

    /// Creates the file of blocks.
    pub fn blocks_file(&self) -> Result<BlocksFile> {
        let path = self.path.join(BLOCKS_FILE);
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(BlocksFile { path, file, length: 0 })
    }

    /// Returns the logs of latencies, whose files are created with the first block.
    pub fn histograms(&self) -> histograms::Writer {
        histograms::Writer::new(&self.path)
    }

    /// Writes the result in every format and as a page; if one of them fails, removes all of them.
    pub fn write_results(&self, gate: &Gate) -> Result<()> {
        let formats = output::ALL.iter().try_for_each(|format| {
            let text = (format.write)(gate).map_err(|error| anyhow!("{}: {error}", format.file))?;
            Ok(WholeFile::open(&self.path.join(format.file))?.write(&text)?)
        });
        let written = formats.and_then(|()| Ok(page::write(gate, &self.path).map(drop)?));
        written.inspect_err(|_| {
            let _ = self.remove_results();
        })
    }

    fn remove_results(&self) -> Result<()> {
        let mut files = output::ALL.iter().map(|format| format.file).chain([PAGE_FILE]);
        files.try_for_each(|file| self.remove(file))
    }

    fn remove(&self, file: &str) -> Result<()> {
        let path = self.path.join(file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error)
                .with_context(|| format!("cannot remove {} of an older gate", path.display())),
            _ => Ok(()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = self.remove_builds();
    }
}

impl BlocksFile {
    /// Adds a block.
    ///
    /// # Errors
    /// When the line can't be written; the file then has no part of it.
    pub fn append(&mut self, block: &Block) -> Result<()> {
        let line = block_line::write(block.clone());
        let written = self.file.write_all(line.as_bytes());
        if written.is_err() {
            let _ = self.file.set_len(self.length);
        }
        let path = self.path.display();
        written.with_context(|| format!("cannot write {path}; is there free space?"))?;
        self.length += line.len() as u64;
        Ok(())
    }
}
