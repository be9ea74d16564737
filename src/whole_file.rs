//! A file that a measurement ends in: opened before anything is measured, and there as a whole or not at all.
//!
//! A regular file is written beside its place and takes that place at the end, so that a full disk or an interrupt
//! leaves what was there before. Pipes and devices are written to directly.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::{Builder, TempPath};

/// Folders in which names stand for devices and for what is open already, as `/dev/stdout` does.
const NOT_FILES: [&str; 2] = ["/dev", "/proc"];

/// A file that is written once.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    file: File,
    /// Where it is written until it is whole; nothing where it is written directly.
    temporary: Option<TempPath>,
}

impl WholeFile {
    /// Opens it, or the file that a link leads to.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn open(path: &Path) -> Result<Self> {
        Self::try_open(path).with_context(|| cannot_write(path))
    }

    fn try_open(path: &Path) -> io::Result<Self> {
        if NOT_FILES.iter().any(|folder| path.starts_with(folder)) {
            return Self::directly(path);
        }
        match fs::metadata(path) {
            Ok(found) if found.is_file() => Self::replacing(&path.canonicalize()?, found.permissions()),
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => {
                Self::beside(path, &Permissions::from_mode(0o666))
            }
            _ => Self::directly(path),
        }
    }

    fn directly(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: File::create(path)?, temporary: None })
    }

    fn replacing(path: &Path, permissions: Permissions) -> io::Result<Self> {
        // A file that is protected from writing is not replaced either.
        File::options().write(true).open(path)?;
        let Ok(replacing) = Self::beside(path, &permissions) else {
            // The file may be written, and its folder may not.
            return Self::directly(path);
        };
        // Those of a new file are cut by the umask; these have been chosen.
        replacing.file.set_permissions(permissions)?;
        Ok(replacing)
    }

    fn beside(path: &Path, permissions: &Permissions) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
        let mut builder = Builder::new();
        builder.prefix(name).suffix(".tmp").permissions(permissions.clone());
        let (file, temporary) = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?.into_parts();
        Ok(Self { path: path.to_owned(), file, temporary: Some(temporary) })
    }

    /// The file, to be written bit by bit until [`keep`](Self::keep).
    ///
    /// # Errors
    /// When this process has no descriptor left.
    pub fn file(&self) -> Result<File> {
        self.file.try_clone().with_context(|| cannot_write(&self.path))
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When it can't be written; the file is then as it was before.
    pub fn write(mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes()).with_context(|| cannot_write(&self.path))?;
        self.keep()
    }

    /// Puts what was written into its place.
    ///
    /// # Errors
    /// When the folder does not allow that any more.
    pub fn keep(self) -> Result<()> {
        let Some(temporary) = self.temporary else { return Ok(()) };
        temporary.persist(&self.path).map_err(|failed| failed.error).with_context(|| cannot_write(&self.path))
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_keeps_its_text_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        fs::write(&path, "old").unwrap();
        let mut dropped = WholeFile::open(&path).unwrap();
        dropped.file.write_all(b"ne").unwrap();
        drop(dropped);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        WholeFile::open(&path).unwrap().write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["out.json"]);
    }

    #[test]
    fn a_link_stays_one_and_permissions_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o646)).unwrap();
        symlink("file", &link).unwrap();
        WholeFile::open(&link).unwrap().write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o646);
        assert_eq!(names(folder.path()), ["file", "link"]);
        // A link to what is not there yet makes it.
        symlink("later", folder.path().join("ahead")).unwrap();
        WholeFile::open(&folder.path().join("ahead")).unwrap().write("made").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("later")).unwrap(), "made");
    }

    #[test]
    fn devices_are_written_to_directly() {
        WholeFile::open(Path::new("/dev/null")).unwrap().write("gone").unwrap();
        assert!(WholeFile::open(Path::new("/dev/full")).unwrap().write("too much").is_err());
    }
}
