//! Pages from a folder; no file outside of it is ever served.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Behaviour, behaviours};
use crate::client::pattern;
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    serves_the_files_of_a_folder_with_their_types;
    by_family:
    serves_names_that_have_to_be_escaped,
    serves_a_synthetic_endpoint_rather_than_a_file_of_its_name,
    never_serves_what_lies_outside_of_the_folder,
    follows_no_link_out_of_the_folder,
];

const SECRET: &[u8] = b"nobody may read this";

/// A folder to serve, beside a file that must not be served.
struct Folder {
    above: TempDir,
}

impl Folder {
    fn new() -> Self {
        let folder = Self { above: tempfile::tempdir().expect("a temporary folder can be made") };
        fs::write(folder.secret(), SECRET).expect("a file can be written");
        folder.write("index.html", b"<title>home</title>");
        folder
    }

    fn root(&self) -> PathBuf {
        self.above.path().join("root")
    }

    fn secret(&self) -> PathBuf {
        self.above.path().join("secret.txt")
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder"))
            .expect("a folder can be made");
        fs::write(path, content).expect("a file can be written");
    }

    fn serve(&self, model: &Model) -> Server {
        let root = self.root().into_os_string().into_string().expect("its path is text");
        Server::launch(model).arguments(["--root", &root]).start()
    }
}

fn serves_the_files_of_a_folder_with_their_types(model: &Model) {
    let folder = Folder::new();
    let large = pattern(200_000);
    let files: &[(&str, &[u8], &str)] = &[
        ("a.css", b"a {}", "text/css"),
        ("a.txt", b"text", "text/plain"),
        ("empty.txt", b"", "text/plain"),
        ("sub/a.js", b"1", "text/javascript"),
        ("sub/deep/er/a.png", b"\x89PNG", "image/png"),
        ("large.svg", &large, "image/svg+xml"),
        ("binary", &[0, 255, 13, 10], "application/octet-stream"),
    ];
    for (name, content, _) in files {
        folder.write(name, content);
    }
    let server = folder.serve(model);
    let mut client = server.connect();
    for (name, content, content_type) in files {
        let answer = client.get(&format!("/{name}"));
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.header("Content-Type"), Some(*content_type), "{name}");
        assert!(answer.body == *content, "{name}");
    }
    for target in ["/", "/index.html"] {
        let answer = client.get(target);
        assert_eq!(answer.body, b"<title>home</title>", "{target}");
        assert!(answer.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html")));
    }
    // Files are read once, at the start.
    folder.write("late.txt", b"late");
    folder.write("a.txt", b"changed");
    assert_eq!(client.get("/late.txt").status, 404);
    assert_eq!(client.get("/a.txt").body, b"text");
}

fn serves_names_that_have_to_be_escaped(model: &Model) {
    let folder = Folder::new();
    folder.write("a b.txt", b"space");
    folder.write("ü.txt", b"umlaut");
    folder.write("50%.txt", b"percent");
    let server = folder.serve(model);
    let mut client = server.connect();
    for (target, content) in [
        ("/a%20b.txt", "space"),
        ("/a%20b.txt?query", "space"),
        ("/%61%20b.txt", "space"),
        ("/%C3%BC.txt", "umlaut"),
        ("/%c3%bc.txt", "umlaut"),
        ("/50%25.txt", "percent"),
    ] {
        assert_eq!(String::from_utf8_lossy(&client.get(target).body), content, "{target}");
    }
}

fn serves_a_synthetic_endpoint_rather_than_a_file_of_its_name(model: &Model) {
    let folder = Folder::new();
    folder.write("bytes/7", b"a file");
    folder.write("redirect", b"a file");
    let server = folder.serve(model);
    let mut client = server.connect();
    for target in ["/bytes/7", "/bytes/7?x"] {
        assert_eq!(client.get(target).body, pattern(7), "{target}");
    }
    assert_eq!(client.get("/redirect").status, 302);
}

fn never_serves_what_lies_outside_of_the_folder(model: &Model) {
    let folder = Folder::new();
    folder.write("sub/index.html", b"sub");
    let server = folder.serve(model);
    let secret = folder.secret().into_os_string().into_string().expect("its path is text");
    let mut targets: Vec<String> = [
        "/../secret.txt",
        "/./../secret.txt",
        "/sub/../../secret.txt",
        "/sub/../../root/../secret.txt",
        "//../secret.txt",
        "/%2e%2e/secret.txt",
        "/.%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/sub%2f..%2f..%2fsecret.txt",
        "/%252e%252e/secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/%c0%ae%c0%ae%c0%afsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/..;/secret.txt",
        "/%00/../secret.txt",
        "/../secret.txt%00.html",
        "http://localhost/../secret.txt",
        "../secret.txt",
        "..",
        "/..",
        "/%2e%2e",
    ]
    .map(String::from)
    .into();
    targets.extend([secret.clone(), format!("/{secret}"), format!("file://{secret}")]);
    for target in targets {
        let mut client = server.connect();
        let answer = client.get(&target);
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
        assert_ne!(answer.body, SECRET, "{target}");
    }
    assert_eq!(server.connect().get("/sub/").body, b"sub");
}

fn follows_no_link_out_of_the_folder(model: &Model) {
    let folder = Folder::new();
    symlink(folder.secret(), folder.root().join("link.txt")).expect("a link can be made");
    symlink(folder.above.path(), folder.root().join("above")).expect("a link can be made");
    symlink("/", folder.root().join("slash")).expect("a link can be made");
    symlink("index.html", folder.root().join("inside.html")).expect("a link can be made");
    let server = folder.serve(model);
    let mut client = server.connect();
    for target in ["/link.txt", "/above/secret.txt", "/above/root/index.html", "/slash/etc/passwd"]
    {
        assert_eq!(client.get(target).status, 404, "{target}");
    }
    assert_eq!(client.get("/inside.html").body, b"<title>home</title>");
}
