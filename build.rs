//! Builds into the binary which revision it was made from: what is measured is this binary, whatever the checkout becomes.

use std::path::Path;
use std::process::Command;

/// What a change of would make another binary, or another revision of the same one. A path that is not there would make
/// cargo run this again every time.
const WATCHED: &[&str] = &[
    "build.rs",
    "Cargo.toml",
    "Cargo.lock",
    "benches/servers",
    "benches/servers.toml",
    "benches/suites",
    "ci/Cargo.toml",
    "ci/src",
    "loadgen/Cargo.toml",
    "loadgen/src",
    "reports/Cargo.toml",
    "reports/src",
    "reports/templates",
    "servers/Cargo.toml",
    "servers/src",
    "src",
];

/// Files of git that change when the revision does, or what is recorded of the sources.
const WATCHED_OF_GIT: &[&str] = &["logs/HEAD", "index"];

fn main() {
    for path in WATCHED.iter().filter(|path| Path::new(path).exists()) {
        println!("cargo:rerun-if-changed={path}");
    }
    for path in WATCHED_OF_GIT.iter().filter_map(|path| git(&folder(), &["rev-parse", "--git-path", path])) {
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rustc-env=C10K_REVISION={}", revision().unwrap_or_else(|| "unknown".into()));
}

/// The folder of this package.
fn folder() -> String {
    std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default()
}

/// The revision of the checkout whose top is this folder, with `-dirty` behind it where tracked files were changed.
fn revision() -> Option<String> {
    let folder = folder();
    let top = git(&folder, &["rev-parse", "--show-toplevel"])?;
    // Sources without a history of their own may lie inside another repository.
    if Path::new(&top).canonicalize().ok()? != Path::new(&folder).canonicalize().ok()? {
        return None;
    }
    let revision = git(&folder, &["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(&folder, &["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changes.is_empty() { revision } else { format!("{revision}-dirty") })
}

fn git(folder: &str, args: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // A hook or a wrapper may point git at another repository.
    command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
    let output = command.args(["--no-optional-locks", "-C"]).arg(folder).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
