//! The file of a history: JSON Lines in the order of revisions, which is the order in which they
//! were added unless a person moves lines.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use c10k_reports::WholeFile;

use super::entry::{Entry, VERSION};

/// Reason why a history can't be read or added to.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum HistoryError {
    #[error("there is no history {}; `c10k history add GATE_DIR` begins one", path.display())]
    Missing { path: PathBuf },
    #[error("the history {} is empty; `c10k history add GATE_DIR` adds a gate", path.display())]
    Empty { path: PathBuf },
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("{}, line {line}: {cause}; correct the line or delete it", path.display())]
    Malformed { path: PathBuf, line: usize, cause: String },
    #[error("{}, line {line}: {found}; correct the line or delete it", path.display())]
    Impossible { path: PathBuf, line: usize, found: String },
    #[error("{}, line {line} is of version {found}, and this c10k reads version {VERSION}", path.display())]
    Version { path: PathBuf, line: usize, found: u32 },
    #[error("{}, line {line} is this gate already", path.display())]
    There { path: PathBuf, line: usize },
    #[error("cannot use the folder of {}: {cause}", path.display())]
    Folder { path: PathBuf, cause: io::Error },
    #[error("{0}")]
    Unwritable(#[from] c10k_reports::Error),
    #[error("{0}")]
    Unserializable(serde_json::Error),
}

/// Field that the lines of every version have.
#[derive(serde::Deserialize)]
struct AnyVersion {
    version: u32,
}

/// Reads a history.
///
/// # Errors
/// When the file can't be read, has no line, or has one that is not a line of a known version.
pub fn read(path: &Path) -> Result<Vec<Entry>, HistoryError> {
    let entries = entries(path, &text(path)?)?;
    if entries.is_empty() {
        return Err(HistoryError::Empty { path: path.to_owned() });
    }
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// Adds a line at the end of a history, and creates the file if there is none. If that fails, the
/// file stays as it was. Returns the number of the line.
///
/// # Errors
/// When the history already has this gate, another line is malformed, or the file can't be written.
pub fn append(path: &Path, entry: &Entry) -> Result<usize, HistoryError> {
    let _lock = lock(path)?;
    let mut text = match text(path) {
        Err(HistoryError::Missing { .. }) => String::new(),
        other => other?,
    };
    let same = entries(path, &text)?.into_iter().find(|(_, other)| other.is_same_gate(entry));
    if let Some((line, _)) = same {
        return Err(HistoryError::There { path: path.to_owned(), line });
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text += "\n";
    }
    text += &serde_json::to_string(entry).map_err(HistoryError::Unserializable)?;
    text += "\n";
    WholeFile::open(path)?.write(&text)?;
    Ok(text.lines().count())
}

/// Creates the folder of a history, and locks it against other processes that add a line at the
/// same time. Without the lock, one of the lines would be lost, because the file is replaced as a
/// whole.
fn lock(path: &Path) -> Result<File, HistoryError> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unusable = |cause| HistoryError::Folder { path: path.to_owned(), cause };
    fs::create_dir_all(folder).map_err(unusable)?;
    let lock = File::open(folder).map_err(unusable)?;
    // On a file system without locks, the line is still added.
    let _ = lock.lock();
    Ok(lock)
}

fn text(path: &Path) -> Result<String, HistoryError> {
    fs::read_to_string(path).map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => HistoryError::Missing { path: path.to_owned() },
        _ => HistoryError::Unreadable { path: path.to_owned(), cause },
    })
}

/// Returns the entries with their lines, counted as an editor does: from 1, with empty lines.
fn entries(path: &Path, text: &str) -> Result<Vec<(usize, Entry)>, HistoryError> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| Ok((number, entry(path, number, line)?))).collect()
}

fn entry(path: &Path, number: usize, line: &str) -> Result<Entry, HistoryError> {
    let path = || path.to_owned();
    // The parser sees only one line, so its line number is not that of the file.
    let said =
        |cause: serde_json::Error| cause.to_string().replace(" at line 1 column ", " at column ");
    let malformed =
        |cause| HistoryError::Malformed { path: path(), line: number, cause: said(cause) };
    // The version is read first, because another version may have other fields.
    let AnyVersion { version } = serde_json::from_str(line).map_err(malformed)?;
    if version != VERSION {
        return Err(HistoryError::Version { path: path(), line: number, found: version });
    }
    let entry: Entry = serde_json::from_str(line).map_err(malformed)?;
    match entry.impossible() {
        Some(found) => Err(HistoryError::Impossible { path: path(), line: number, found }),
        None => Ok(entry),
    }
}
