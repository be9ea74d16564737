//! Records in the binary the revision that it was built from: the record of a run describes this
//! binary, even if the checkout changes later.

use std::path::Path;
use std::process::Command;

/// Paths whose change makes another binary, or another revision of the same binary. A path that
/// does not exist would make cargo run this script at every build.
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

/// Files of git that change when the revision changes, or when the recorded state of the sources
/// does.
const WATCHED_OF_GIT: &[&str] = &["logs/HEAD", "index"];

fn main() {
    for path in WATCHED.iter().filter(|path| Path::new(path).exists()) {
        println!("cargo:rerun-if-changed={path}");
    }
    let checkout = Checkout::here();
    let revision = checkout.as_ref().and_then(Checkout::revision);
    println!("cargo:rustc-env=C10K_REVISION={}", revision.unwrap_or_else(|| "unknown".into()));
    let paths = |checkout: Checkout| {
        WATCHED_OF_GIT
            .iter()
            .filter_map(move |path| checkout.git(&["rev-parse", "--git-path", path]))
    };
    for path in checkout.into_iter().flat_map(paths).filter(|path| Path::new(path).exists()) {
        println!("cargo:rerun-if-changed={path}");
    }
}

/// The checkout whose top folder is this package.
struct Checkout {
    folder: String,
    /// Variables by which a hook or a wrapper may point git at another repository.
    variables: String,
}

impl Checkout {
    /// Returns the checkout; `None` if there is none. Sources without their own history may lie
    /// inside another repository, which is not their checkout.
    fn here() -> Option<Self> {
        let folder = std::env::var("CARGO_MANIFEST_DIR").ok()?;
        let mut checkout = Self { folder, variables: String::new() };
        checkout.variables = checkout.git(&["rev-parse", "--local-env-vars"])?;
        let top = checkout.git(&["rev-parse", "--show-toplevel"])?;
        let canonical = |folder: &str| Path::new(folder).canonicalize().ok();
        (canonical(&top)? == canonical(&checkout.folder)?).then_some(checkout)
    }

    /// Returns the revision, followed by `-dirty` if tracked files were changed.
    fn revision(&self) -> Option<String> {
        let revision = self.git(&["rev-parse", "--short=12", "HEAD"])?;
        let changes = self.git(&["status", "--porcelain", "--untracked-files=no"])?;
        Some(if changes.is_empty() { revision } else { format!("{revision}-dirty") })
    }

    fn git(&self, args: &[&str]) -> Option<String> {
        let mut command = Command::new("git");
        for variable in self.variables.lines() {
            command.env_remove(variable);
        }
        let output =
            command.args(["--no-optional-locks", "-C", &self.folder]).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
