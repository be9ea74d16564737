//! Pages, plots and `environment.json`: their contents are replaced as a whole, and their names are safe.

use std::path::Path;

use crate::error::Error;
use crate::whole_file::WholeFile;

/// Writes `contents` to `path`, so that no reader ever sees half of it and a crash leaves the old file.
pub fn replace(path: &Path, contents: &str) -> Result<(), Error> {
    WholeFile::open(path)?.write(contents)
}

/// `name` with everything but ASCII letters, digits, `.`, `_` and `-` replaced, for use within a file
/// name.
pub fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect()
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
