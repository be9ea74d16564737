//! Writes pages, plots and `environment.json`: each file is replaced as a whole, and its name is
//! safe.

use std::path::Path;

use crate::error::Error;
use crate::whole_file::WholeFile;

/// Name of the page in the folder of a run, of a gate, of a history, and of all reports.
pub const PAGE_FILE: &str = "index.html";

/// Writes `contents` to `path`. A reader never sees half of the file, and a crash leaves the old
/// file.
pub fn replace(path: &Path, contents: &str) -> Result<(), Error> {
    WholeFile::open(path)?.write(contents)
}

/// Replaces all characters of `name` except ASCII letters, digits, `.`, `_` and `-`, so that the
/// result can be part of a file name.
pub fn slug(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.html");
        replace(&path, "old").unwrap();
        replace(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn slug_never_leaves_its_folder() {
        assert_eq!(slug("../etc/pass wd"), "..-etc-pass-wd");
    }
}
