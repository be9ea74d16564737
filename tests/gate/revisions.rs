//! Gates of revisions: the builds and their folders, and the user's repository, which stays as it
//! is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::repository::{Repository, git};
use crate::support::{C10K, Folder, error, run_to_verdict, text};

/// Build script that links the command under test to where cargo would put it, and logs the commit
/// that git finds in the folder, and the folder.
const LINK: &str = "mkdir -p \"$CARGO_TARGET_DIR/release\" && ln -s \"$C10K\" \"$CARGO_TARGET_DIR/release/c10k\" \
                    && echo \"$(git rev-parse HEAD) $PWD\" >> \"$LOG\"";

/// Build script that copies everything that was checked out, and fails for the candidate.
const COPY: &str = "name=$(basename \"$PWD\") && mkdir -p \"$LOG\" && cp -a . \"$LOG/$name\" && test $name = base && \
                    mkdir -p target/release && touch target/release/c10k";

#[test]
fn two_revisions_are_built_in_folders_of_the_same_length_and_come_to_a_verdict() {
    let Some(repository) = Repository::new(LINK) else { return };
    repository.commit("second");
    let before = repository.state();
    let gate = || {
        let mut gate = repository.gate(&["--base", "first", "--candidate", "main", "--json"]);
        // The gate must not build both sides in a target folder for all projects, and must not use
        // the repository that a git hook names.
        gate.env("CARGO_TARGET_DIR", repository.0.path().join("shared")).env("C10K", C10K);
        gate.env("GIT_DIR", "/nowhere");
        gate
    };
    let output = run_to_verdict(gate);
    let said = text(&output.stderr);
    assert!([Some(0), Some(1), Some(3)].contains(&output.status.code()), "{said}");
    let result: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert!(result["verdict"].is_string());
    let log = repository.0.read("log");
    let folders: Vec<&str> = log.lines().rev().take(2).collect();
    let [candidate, base] = folders[..] else { panic!("two builds: {log}") };
    assert!(base.ends_with("/base") && base.len() == candidate.len() && base != candidate, "{log}");
    let (_, folder) = base.split_once(' ').expect("a commit and a folder");
    // A build below the working tree would get the settings of the folders above it, such as
    // `.cargo/config.toml`.
    assert!(!Path::new(folder).starts_with(repository.0.path()), "{log}");
    let plan: Value =
        serde_json::from_str(&repository.0.read("out/plan.json")).expect("it is JSON");
    for (side, name) in [("base", "first"), ("candidate", "main")] {
        assert_eq!(plan[side]["name"], name);
        let commit = repository.git(&["rev-parse", name]);
        assert_eq!(plan[side]["revision"], commit.trim());
        assert!(if side == "base" { base } else { candidate }.starts_with(commit.trim()), "{log}");
    }
    assert_eq!(repository.state(), before);
}

#[test]
fn a_server_with_a_relative_path_is_that_of_its_own_side() {
    let Some(repository) = Repository::new("true") else { return };
    for (commit, name) in ["one", "two"].into_iter().enumerate() {
        let script = format!(
            "#!/bin/sh\necho {name} in $PWD >> \"$LOG\"\nexec \"$C10K\" serve epoll --addr $1\n"
        );
        repository.0.write("serve.sh", &script);
        let path = repository.0.path().join("serve.sh");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is there");
        repository.commit(name);
        repository.git(&["tag", &format!("v{commit}")]);
    }
    // The rehearsal is enough to see which server is started.
    let serve = ["--serve", "./serve.sh 127.0.0.1:{port}", "--budget", "1s"];
    let mut gate = repository.gate(&[&["--base", "v0", "--candidate", "v1"], &serve[..]].concat());
    let line = error(&gate.env("C10K", C10K).output().expect("the command can be run"));
    assert!(line.contains("too short"), "{line}");
    let log = repository.0.read("log");
    assert!(
        log.lines().any(|line| line.starts_with("one in ") && line.ends_with("/base")),
        "{log}"
    );
    assert!(
        log.lines().any(|line| line.starts_with("two in ") && line.ends_with("/cand")),
        "{log}"
    );
}

/// Returns the files below `folder`, except those of git: path → text, or target of a link, and
/// true if the file is executable.
fn files(folder: &Path) -> BTreeMap<String, (String, bool)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder can be read").flatten() {
            let path = entry.path();
            let name =
                path.strip_prefix(folder).expect("it is below").to_string_lossy().into_owned();
            let kind = entry.file_type().expect("it has a type");
            if path.ends_with(".git") {
            } else if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).expect("it is a link");
                found.insert(name, (target.display().to_string(), false));
            } else {
                let mode = entry.metadata().expect("it is there").permissions().mode();
                found.insert(
                    name,
                    (fs::read_to_string(&path).expect("it is text"), mode & 0o100 != 0),
                );
            }
        }
    }
    found
}

#[test]
fn the_working_tree_is_built_with_its_uncommitted_changes_and_stays_as_it_is() {
    let Some(repository) = Repository::new(COPY) else { return };
    let folder = repository.0.path();
    let write = |name: &str, text: &str| repository.0.write(name, text);
    for name in ["changed", "staged", "deleted", "removed", "renamed", "script", "link"] {
        write(name, "first");
    }
    write(".gitignore", "/log\n*.ignored\n");
    repository.commit("files");
    let committed = files_of_head(&repository);
    write("changed", "second");
    write("staged", "second");
    repository.git(&["add", "staged"]);
    write("staged", "third");
    fs::remove_file(folder.join("deleted")).expect("it is there");
    repository.git(&["rm", "--quiet", "removed"]);
    repository.git(&["mv", "renamed", "other name"]);
    fs::set_permissions(folder.join("script"), fs::Permissions::from_mode(0o755))
        .expect("it is there");
    fs::remove_file(folder.join("link")).expect("it is there");
    symlink("changed", folder.join("link")).expect("a link can be made");
    write("new\nfile \u{fc}\u{1f980}", "new");
    write("kept.ignored", "added by force");
    repository.git(&["add", "--force", "kept.ignored"]);
    let mut expected = files(folder);
    write("left.ignored", "ignored");
    let before = repository.state();
    let line = error(&repository.run(&["--base", "HEAD"]));
    for words in ["the candidate", "worktree", "+changes", "`sh build.sh`", "exit status: 1"] {
        assert!(line.contains(words), "{words:?} is not in {line}");
    }
    assert_eq!(repository.state(), before);
    expected.retain(|name, _| !name.starts_with("log/"));
    assert_eq!(files(&folder.join("log/cand")), expected);
    assert_eq!(files(&folder.join("log/base")), committed);
}

#[test]
fn results_of_a_gate_are_no_changes_of_the_working_tree() {
    let Some(repository) = Repository::new("true") else { return };
    for _ in 0..2 {
        let output = repository.run(&["--base", "worktree"]);
        error(&output);
        assert!(!text(&output.stderr).contains("+changes"), "{output:?}");
        assert!(repository.0.output().exists());
    }
}

/// Returns the files of the last commit, from a checkout of its own.
fn files_of_head(repository: &Repository) -> BTreeMap<String, (String, bool)> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let prefix = format!("--prefix={}/", folder.path().display());
    repository.git(&["checkout-index", "--all", &prefix]);
    files(folder.path())
}

#[test]
fn submodules_are_there_as_far_as_the_working_tree_has_them() {
    let Some(repository) = Repository::new(COPY) else { return };
    let Some(library) = Repository::new("true") else { return };
    library.0.write("library", "first");
    library.commit("library");
    let url = library.0.path().to_str().expect("it is text");
    for path in ["used", "unused"] {
        repository.git(&["submodule", "--quiet", "add", url, path]);
    }
    repository.commit("submodules");
    repository.git(&["submodule", "--quiet", "deinit", "unused"]);
    fs::write(repository.0.path().join("used/library"), "second").expect("a file can be written");
    let before = repository.state();
    let line = error(&repository.run(&["--base", "HEAD"]));
    assert!(line.contains("+changes"), "{line}");
    assert_eq!(repository.state(), before);
    let worktrees = git(&repository.0.path().join("used"), &["worktree", "list"]);
    assert_eq!(worktrees.lines().count(), 1, "{worktrees}");
    assert_eq!(repository.0.read("log/base/used/library"), "first");
    assert_eq!(repository.0.read("log/cand/used/library"), "second");
    assert!(!repository.0.path().join("log/cand/unused/library").exists());
}

#[test]
fn a_missing_revision_is_reported_before_anything_is_built() {
    let Some(repository) = Repository::new(LINK) else { return };
    repository.commit("second");
    for arguments in [["--base", "no-such"], ["--base=first", "--candidate=no-such"]] {
        let output = repository.run(&arguments);
        assert_eq!(text(&output.stderr).lines().count(), 1, "{output:?}");
        let line = error(&output);
        assert!(
            line.contains("no revision `no-such` here") && line.contains("git branch"),
            "{line}"
        );
    }
    let folder = Folder::new();
    let url = format!("file://{}", repository.0.path().display());
    git(folder.path(), &["clone", "--quiet", "--depth", "1", &url, "shallow"]);
    let mut gate = Command::new(C10K);
    gate.current_dir(folder.path().join("shallow")).args(["gate", "--base", "HEAD~1"]);
    let line = error(&gate.output().expect("the command can be run"));
    assert!(line.contains("shallow") && line.contains("git fetch --unshallow"), "{line}");
}

#[test]
fn a_folder_without_a_usable_repository_is_reported() {
    let Some(repository) = Repository::new(LINK) else { return };
    let folder = Folder::new();
    git(folder.path(), &["init", "--quiet", "--bare", "bare"]);
    git(folder.path(), &["init", "--quiet", "unborn"]);
    let in_folder = |name: &str, command: &mut Command| {
        let folder = folder.path().join(name);
        // The temporary folder itself may be in a repository.
        command
            .current_dir(&folder)
            .env("GIT_CEILING_DIRECTORIES", folder.parent().expect("it has one"));
        error(&command.output().expect("the command can be run"))
    };
    for (name, base, words) in [
        ("", "HEAD", "not a git repository"),
        ("bare", "HEAD", "work tree"),
        ("unborn", "worktree", "no commit yet"),
        ("unborn", "HEAD", "no revision `HEAD`"),
    ] {
        let line = in_folder(name, Command::new(C10K).args(["gate", "--base", base]));
        assert!(line.contains(words), "{words:?} is not in {line}");
    }
    let mut without_git = repository.gate(&["--base", "HEAD"]);
    let line =
        error(&without_git.env("PATH", "/nowhere").output().expect("the command can be run"));
    assert!(line.contains("git") && line.contains("installed"), "{line}");
}

#[test]
fn a_build_without_a_server_says_what_to_give() {
    let Some(repository) = Repository::new("true") else { return };
    let line = error(&repository.run(&["--base", "HEAD"]));
    for words in ["the base HEAD", "`sh build.sh`", "target/release/c10k", "--serve"] {
        assert!(line.contains(words), "{words:?} is not in {line}");
    }
    let line = error(&repository.run(&["--base", "HEAD", "--serve", "./serve"]));
    assert!(line.contains("--serve") && line.contains("{port}"), "{line}");
    for (build, words) in [
        ("sh 'x", "--build `sh 'x`"),
        ("", "--build `` is empty"),
        ("no-such-make", "no-such-make"),
    ] {
        let mut gate = repository.0.gate(&["--base", "HEAD", "--build", build]);
        let line = error(&gate.output().expect("the command can be run"));
        assert!(line.contains(words), "{words:?} is not in {line}");
    }
}

#[test]
fn a_build_that_fails_shows_its_output_and_names_side_and_revision() {
    let Some(repository) = Repository::new("echo it is broken; exit 7") else { return };
    let output = repository.run(&["--base", "first"]);
    let line = error(&output);
    let commit = repository.git(&["rev-parse", "first"]);
    for words in ["the base first", commit.trim(), "`sh build.sh`", "exit status: 7"] {
        assert!(line.contains(words), "{words:?} is not in {line}");
    }
    assert!(text(&output.stderr).contains("it is broken\n"), "{output:?}");
}
