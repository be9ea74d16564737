//! What there is to know of a server that others have written.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// What every peer serves, byte for byte what the models serve.
pub const PAGE: &str = include_str!("../../servers/src/default_page.html");

/// The media type of [`PAGE`].
pub const PAGE_TYPE: &str = "text/html; charset=utf-8";

/// Name of the file in the peer's folder that holds [`PAGE`].
pub const PAGE_FILE: &str = "page.html";

/// Where programs for the superuser are, which is not in everybody's search path.
const SUPERUSER_PROGRAMS: &str = "/usr/sbin";

/// A server that others have written, set up to be as fast as it can at this one thing.
#[derive(Debug)]
pub struct Peer {
    pub name: &'static str,
    /// What it is asked for.
    pub path: &'static str,
    /// What it is and its version; `None` where it is not installed.
    pub version: fn() -> Option<String>,
    /// Makes the command that serves on an address, with its files in a folder that holds [`PAGE_FILE`] already.
    pub command: fn(&Path, SocketAddr) -> Result<Command>,
}

/// The first of some programs that is there, with what it says when it is called with `args`.
pub fn find_program(names: &[&str], args: &[&str]) -> Option<(PathBuf, String)> {
    let paths = names.iter().flat_map(|name| [PathBuf::from(name), Path::new(SUPERUSER_PROGRAMS).join(name)]);
    paths.into_iter().find_map(|path| {
        let output = Command::new(&path).args(args).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        output.status.success().then(|| (path, String::from_utf8_lossy(&text).into_owned()))
    })
}

/// Writes a configuration into the peer's folder.
pub fn write_configuration(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
