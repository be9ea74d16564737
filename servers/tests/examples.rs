//! The programs of `examples/`, asked by curl: what they promise, and no more.
//!
//! Cargo builds them before the tests of this package run, but not for `--test examples` alone.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use c10k_servers::http::Timeouts;
use c10k_servers::{Options, find};
use tempfile::TempDir;

/// Lines that a screen shows.
const SCREEN: usize = 90;

/// Time that an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Exit status of curl if a connection ends without a response.
const EMPTY_REPLY: Option<i32> = Some(52);

/// Bytes of a page that does not fit into the buffers of a socket, so that a server has to wait
/// while it sends it.
const LARGE: u64 = 12 * 1024 * 1024;

/// Returns the names of the examples: every file of their folder is one.
fn examples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 6);
    names
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"))
}

/// Returns the built program, after a check that it is of the present source.
fn program(name: &str) -> PathBuf {
    // The test lies in `deps`, beside the folder of the examples.
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    assert!(
        modified(&program) >= modified(&source(name)),
        "{} is missing or old; build it with `cargo build -p c10k-servers --examples`",
        program.display()
    );
    program
}

/// An example that serves a folder.
struct Server {
    child: Child,
    address: String,
    /// Removed with the server.
    _folder: TempDir,
}

impl Server {
    /// Starts an example that serves `root` of a folder, in which there is a secret beside `root`.
    fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("index.html"), "home").unwrap();
        fs::write(root.join("a.txt"), "a page").unwrap();
        fs::File::create(root.join("large")).unwrap().set_len(LARGE).unwrap();
        fs::write(root.join("sub/deep"), "deep").unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        let mut command = Command::new(program(name));
        command.arg("127.0.0.1:0").arg(&root).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").map(str::to_owned);
        let address = address.unwrap_or_else(|| panic!("{name} said {line:?}"));
        Self { child, address, _folder: folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `check` on each example that this machine can run, if it has curl.
fn each(check: impl Fn(&str, &Server)) {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("left out: curl is not installed");
        return;
    }
    for name in examples() {
        if name == "uring" && !has_io_uring() {
            eprintln!("{name} is left out: there is no io_uring here");
            continue;
        }
        check(&name, &Server::start(&name));
    }
}

fn has_io_uring() -> bool {
    let options = Options {
        workers: None,
        handler_threads: None,
        max_connections: NonZeroUsize::MIN,
        timeouts: Timeouts::default(),
    };
    find("io-uring").unwrap().check(&options).is_ok()
}

/// Runs curl, and returns its exit status and what it printed.
fn curl(arguments: &[&str]) -> (Option<i32>, Vec<u8>) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--path-as-is", "--max-time", "60"]).args(arguments);
    let output = command.output().unwrap();
    (output.status.code(), output.stdout)
}

/// Runs curl, and returns what it printed as text.
fn text(arguments: &[&str]) -> String {
    String::from_utf8(curl(arguments).1).unwrap()
}

#[test]
fn an_example_fits_on_a_screen_and_opens_with_its_idea() {
    for name in examples() {
        let text = fs::read_to_string(source(&name)).unwrap();
        let lines = text.lines().count();
        assert!((40..=SCREEN).contains(&lines), "{name} has {lines} lines");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{name}");
        let (idea, _) = text.split_once("\n//!\n").unwrap();
        assert_eq!(idea.matches('.').count(), 3, "{name} has other than three sentences: {idea}");
        assert!(!text.contains("c10k"), "{name} is not complete by itself");
    }
}

#[test]
fn pages_are_those_of_the_folder_and_others_are_404() {
    const STATUS: [&str; 2] = ["--write-out", "%{http_code}"];
    each(|name, server| {
        let get = |path: &str| text(&[&STATUS[..], &[&server.url(path)]].concat());
        assert_eq!(get("/"), "home200", "{name}");
        assert_eq!(get("/index.html"), "home200", "{name}");
        assert_eq!(get("/a.txt"), "a page200", "{name}");
        for path in ["/b.txt", "/a.txt/", "/sub", "/sub/deep"] {
            assert_eq!(get(path), "404", "{name} {path}");
        }
    });
}

#[test]
fn a_large_page_arrives_whole() {
    each(|name, server| {
        let (status, page) = curl(&[&server.url("/large")]);
        assert_eq!((status, page.len() as u64), (Some(0), LARGE), "{name}");
    });
}

#[test]
fn no_path_leaves_the_folder() {
    each(|name, server| {
        for path in [
            "/../secret",
            "/sub/../../secret",
            "//../secret",
            "/./../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/..",
            "/etc/passwd",
            "//etc/passwd",
        ] {
            let answer = text(&["--write-out", "%{http_code}", &server.url(path)]);
            assert_eq!(answer, "404", "{name} {path}");
        }
    });
}

#[test]
fn connections_are_kept_unless_the_client_wants_them_closed() {
    const CONNECTS: [&str; 2] = ["--write-out", " %{num_connects}\n"];
    each(|name, server| {
        let (page, missing) = (server.url("/a.txt"), server.url("/none"));
        let twice =
            |options: &[&str]| text(&[&CONNECTS[..], options, &[&page, &missing, &page]].concat());
        assert_eq!(twice(&[]), "a page 1\n 0\na page 0\n", "{name}");
        let closing = twice(&["--header", "Connection: close"]);
        assert_eq!(closing, "a page 1\n 1\na page 1\n", "{name}");
        assert_eq!(twice(&["--http1.0"]), closing, "{name}");
    });
}

#[test]
fn a_request_may_come_in_pieces_and_two_may_come_at_once() {
    each(|name, server| {
        let mut stream = server.connect();
        stream.set_nodelay(true).unwrap();
        for piece in ["GET /a.t", "xt HTTP/1.1\r\nHost: a\r\n", "\r\nGET / HTTP/1.1\r\n"] {
            stream.write_all(piece.as_bytes()).unwrap();
        }
        stream.write_all(b"Host: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        let bodies: Vec<&str> = answers.split("\r\n\r\n").skip(1).collect();
        assert!(bodies[0].starts_with("a page") && bodies[1] == "home", "{name}: {answers}");
    });
}

#[test]
fn what_is_no_get_ends_its_connection_and_no_other() {
    each(|name, server| {
        let _idle = server.connect();
        for arguments in [&["--request", "DELETE"][..], &["--head"]] {
            let (status, _) = curl(&[arguments, &[&server.url("/")]].concat());
            assert_eq!(status, EMPTY_REPLY, "{name} {arguments:?}");
        }
        server.connect().write_all(b"GARBAGE\r\n\r\n").unwrap();
        assert_eq!(text(&[&server.url("/")]), "home", "{name}");
    });
}

#[test]
fn a_start_that_fails_says_why_in_a_line() {
    for name in examples() {
        let ran =
            Command::new(program(&name)).arg("0").env("RUST_BACKTRACE", "0").output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(!ran.status.success());
        assert_eq!(said, format!("Error: usage: {name} ADDRESS FOLDER\n"));
    }
}
