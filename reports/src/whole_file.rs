//! Output file that is written as a whole or not at all. Each page, plot and result is written
//! through it.
//!
//! A regular file is written to a temporary file in the same folder, which replaces the old file at
//! the end. If the disk is full, or an interrupt comes before anything was measured, the old file
//! is still there. Pipes and devices are written to directly.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempPath};

use crate::error::Error;

/// Beginning and end of the name of a temporary file. The target's name is not part of it, because
/// the result could exceed the 255 bytes of a file name.
const TEMPORARY: [&str; 2] = [".c10k-", ".tmp"];

/// Folders of devices and of files that are already open, such as `/dev/stdout`.
const NOT_FILES: [&str; 2] = ["/dev", "/proc"];

/// Output file that is written once.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    file: File,
    /// Temporary file that replaces the target when it is complete; `None` if the target is written
    /// to directly.
    temporary: Option<TempPath>,
}

impl WholeFile {
    /// Opens `path`, or the file that it links to.
    ///
    /// # Errors
    /// Returns an error if the file can't be written.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::try_open(path).map_err(Error::writing(path))
    }

    fn try_open(path: &Path) -> io::Result<Self> {
        if NOT_FILES.iter().any(|folder| path.starts_with(folder)) {
            return Self::directly(path);
        }
        match fs::metadata(path) {
            Ok(found) if found.is_file() => {
                Self::replacing(&path.canonicalize()?, found.permissions())
            }
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
        // This fails for a file that is protected from writing, which must not be replaced either.
        File::options().write(true).open(path)?;
        let Ok(replacing) = Self::beside(path, &permissions) else {
            // The file is writable, but its folder is not.
            return Self::directly(path);
        };
        // The umask was applied to the new file, but the old file's permissions must stay as they
        // are.
        replacing.file.set_permissions(permissions)?;
        Ok(replacing)
    }

    fn beside(path: &Path, permissions: &Permissions) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
        let mut builder = Builder::new();
        builder.prefix(TEMPORARY[0]).suffix(TEMPORARY[1]).permissions(permissions.clone());
        let (file, temporary) = builder.tempfile_in(folder)?.into_parts();
        // This path is the same for every spelling of `path`, so that two files can be compared by
        // it.
        Ok(Self { path: folder.canonicalize()?.join(name), file, temporary: Some(temporary) })
    }

    /// Returns true if both are the same file, so that only one of two texts would be left. A
    /// device takes both texts, so the result is then false.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_device = self.file.metadata().is_ok_and(|found| found.file_type().is_char_device());
        let place = |file: &Self| file.path.canonicalize().unwrap_or_else(|_| file.path.clone());
        !is_device && place(self) == place(other)
    }

    /// Returns the file, which can be written in parts until [`keep`](Self::keep).
    ///
    /// # Errors
    /// Returns an error if this process has no file descriptor left.
    pub fn file(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(Error::writing(&self.path))
    }

    /// Writes `content` as the whole content of the file.
    ///
    /// # Errors
    /// Returns an error if it can't be written; the file is then as it was before.
    pub fn write(mut self, content: impl AsRef<[u8]>) -> Result<(), Error> {
        self.file.write_all(content.as_ref()).map_err(Error::writing(&self.path))?;
        self.keep()
    }

    /// Replaces the target with the written file.
    ///
    /// # Errors
    /// Returns an error if the folder does not allow that any more.
    pub fn keep(self) -> Result<(), Error> {
        let Some(temporary) = self.temporary else { return Ok(()) };
        temporary.persist(&self.path).map_err(|failed| Error::writing(&self.path)(failed.error))
    }
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
        // A write through a link to a missing file creates that file.
        symlink("later", folder.path().join("ahead")).unwrap();
        WholeFile::open(&folder.path().join("ahead")).unwrap().write("made").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("later")).unwrap(), "made");
    }

    #[test]
    fn a_name_may_be_as_long_as_the_file_system_allows() {
        let folder = tempfile::tempdir().unwrap();
        let name = "n".repeat(255);
        WholeFile::open(&folder.path().join(&name)).unwrap().write("text").unwrap();
        assert_eq!(names(folder.path()), [name]);
    }

    #[test]
    fn the_same_file_is_recognized_by_every_spelling() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        symlink("file", folder.path().join("link")).unwrap();
        let open = |path: &Path| WholeFile::open(path).unwrap();
        for exists in [false, true] {
            if exists {
                fs::write(&path, "old").unwrap();
                assert!(open(&path).is_same(&open(&folder.path().join("link"))));
            }
            assert!(open(&path).is_same(&open(&folder.path().join("./file"))));
            assert!(!open(&path).is_same(&open(&folder.path().join("other"))));
        }
        let null = Path::new("/dev/null");
        assert!(!open(null).is_same(&open(null)));
    }

    #[test]
    fn devices_are_written_to_directly() {
        WholeFile::open(Path::new("/dev/null")).unwrap().write("gone").unwrap();
        assert!(WholeFile::open(Path::new("/dev/full")).unwrap().write("too much").is_err());
    }
}
