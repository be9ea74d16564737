//! Names of suites and subjects.

use anyhow::{Result, ensure};

/// Checks a name, which is used in labels, on the command line, and in file names.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let valid = (1..=64).contains(&name.len()) && name.bytes().all(fits);
    ensure!(
        valid,
        "the name of a {what} has 1 to 64 letters, digits, dots, dashes and underscores, unlike {name:?}"
    );
    Ok(())
}
