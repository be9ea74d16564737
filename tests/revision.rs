//! The revision that a build records: that of its own checkout, and never that of another
//! repository.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The build script, compiled by itself, so that it can be run for other sources than these.
struct BuildScript {
    folder: TempDir,
}

impl BuildScript {
    fn compile() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let mut command = Command::new(rustc);
        command.args(["--edition", "2024", "-o"]).arg(folder.path().join("script")).arg(source);
        assert!(command.status().expect("there is a compiler").success());
        Self { folder }
    }

    /// Returns the revision that the script records for the sources in `folder`, with these
    /// variables set.
    fn revision(&self, folder: &Path, variables: &[(&str, &Path)]) -> String {
        let mut script = Command::new(self.folder.path().join("script"));
        script
            .current_dir(folder)
            .env("CARGO_MANIFEST_DIR", folder)
            .envs(variables.iter().copied());
        let said = script.output().expect("it can be run");
        assert!(said.status.success(), "{said:?}");
        let said = String::from_utf8(said.stdout).expect("it speaks text");
        let line =
            said.lines().find_map(|line| line.strip_prefix("cargo:rustc-env=C10K_REVISION="));
        line.expect("it says a revision").to_owned()
    }
}

/// Makes a repository with one commit and returns its revision.
fn commit(folder: &Path) -> String {
    std::fs::create_dir_all(folder).expect("a folder can be made");
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        // If git runs these tests in a hook, these variables name the repository of that hook.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(name);
        }
        git.current_dir(folder)
            .args(["-c", "user.name=c10k", "-c", "user.email=c10k@localhost"])
            .args(args);
        let said = git.output().expect("git can be run");
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).expect("it speaks text").trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["commit", "--quiet", "--allow-empty", "--message", &folder.display().to_string()]);
    git(&["rev-parse", "--short=12", "HEAD"])
}

#[test]
fn the_revision_is_that_of_the_sources_and_of_no_other_repository() {
    if which::which("git").is_err() {
        eprintln!("left out: git is not installed");
        return;
    }
    let script = BuildScript::compile();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    let revision = commit(&own);
    commit(&other);
    assert_eq!(script.revision(&own, &[]), revision);
    let other_git = other.join(".git");
    for variables in [
        &[("GIT_DIR", &*other_git)][..],
        &[("GIT_DIR", &*other_git), ("GIT_WORK_TREE", &*own)],
        &[("GIT_OBJECT_DIRECTORY", &*other_git.join("objects"))],
        &[("GIT_COMMON_DIR", &*other_git)],
    ] {
        assert_eq!(script.revision(&own, variables), revision, "{variables:?}");
    }
    // Sources that came as an archive, unpacked inside another repository.
    let unpacked = other.join("vendor/c10k");
    std::fs::create_dir_all(&unpacked).expect("a folder can be made");
    assert_eq!(script.revision(&unpacked, &[]), "unknown");
    assert_eq!(script.revision(&unpacked, &[("GIT_WORK_TREE", &unpacked)]), "unknown");
}
