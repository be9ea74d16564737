//! Files that are whole or absent: what every page, plot and `environment.json` is written through.

use std::fs;
use std::path::Path;

use crate::error::Error;

/// Writes `contents` to `path` through a temporary file beside it, so that no reader ever sees half
/// of it and a crash leaves the old file.
pub fn replace(path: &Path, contents: &str) -> Result<(), Error> {
    // The process id keeps two renderings of one run, started by two people, from sharing a
    // temporary file.
    let temporary = path.with_added_extension(format!("{}.tmp", std::process::id()));
    let written = fs::write(&temporary, contents).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Best effort: the first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(Error::writing(path))
}

/// `name` with everything but ASCII letters, digits, `.`, `_` and `-` replaced, for use within a file
/// name.
pub fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
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
