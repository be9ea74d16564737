//! Real programs as clients, rather than clients made for the test. The tests of a program that is
//! not installed are skipped.

use std::fs;
use std::process::{Command, Output, Stdio};

use super::{Behaviour, Outcome, behaviours};
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    answers_ab;
    by_family:
    answers_wrk,
    shows_a_page_to_chromium,
    answers_curl,
];

/// Runs a program. If it is not installed, the error is a skipped outcome that says so.
fn run(program: &str, arguments: &[&str]) -> Result<Output, Outcome> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.map_err(|error| Outcome::Skipped(format!("{program} is not installed: {error}")))
}

/// Runs a program that has to succeed, and returns what it printed.
fn output_of(program: &str, arguments: &[&str]) -> Result<String, Outcome> {
    let output = run(program, arguments)?;
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the page as the browser has it after its scripts have run.
fn dump_dom(arguments: &[&str]) -> Result<String, Outcome> {
    let output = ["chromium-browser", "google-chrome"]
        .iter()
        .fold(run("chromium", arguments), |output, name| output.or_else(|_| run(name, arguments)));
    let output =
        output.map_err(|_| Outcome::Skipped("neither Chromium nor Chrome is installed".into()))?;
    if !output.status.success() {
        // The browser exits with success even if a page can't be loaded. If it fails, it can't run
        // here, for example in a container.
        return Err(Outcome::Skipped(format!(
            "the browser can't run here, it ends with {}",
            output.status
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Turns a check that ends early if a program is missing into its outcome.
fn unless_missing(check: impl FnOnce() -> Result<(), Outcome>) -> Outcome {
    check().err().unwrap_or(Outcome::Shown)
}

fn answers_curl(model: &Model) -> Outcome {
    let server = Server::start(model);
    let url = |path: &str| format!("http://{}{path}", server.address);
    let curl = |arguments: &[&str]| {
        let common = ["-sS", "--noproxy", "*", "--http1.1", "-m", "30", "-o", "/dev/null", "-w"];
        let report = "%{http_code} %{size_download} %{num_connects}\n";
        output_of("curl", &[&common[..], &[report], arguments].concat())
    };
    unless_missing(|| {
        let (page, other) = (url("/"), url("/bytes/100000"));
        // Two transfers on one connection; -o counts for one of them.
        let kept = curl(&[&page, "-o", "/dev/null", &other])?;
        assert_eq!(kept, "200 1024 1\n200 100000 0\n");
        assert_eq!(curl(&["-H", "Connection: close", &page])?, "200 1024 1\n");
        assert_eq!(curl(&["-0", &page])?, "200 1024 1\n");
        assert_eq!(curl(&["-L", &url("/redirect")])?.split(' ').next(), Some("200"));
        assert!(curl(&["-I", &page])?.starts_with("200 "));
        let body = "x".repeat(100_000);
        assert!(curl(&["-d", &body, &page])?.starts_with("405 "));
        assert!(curl(&["-H", "Expect: 100-continue", "-d", &body, &page])?.starts_with("405 "));
        assert!(
            curl(&["-H", "Transfer-Encoding: chunked", "-d", &body, &page])?.starts_with("405 ")
        );
        Ok(())
    })
}

fn answers_ab(model: &Model) -> Outcome {
    let server = Server::start(model);
    let url = format!("http://{}/", server.address);
    let clients = model.at_once(8).to_string();
    unless_missing(|| {
        for keep_alive in [true, false] {
            let more: &[&str] = if keep_alive { &["-k"] } else { &[] };
            let report =
                output_of("ab", &[&["-q", "-n", "400", "-c", &clients], more, &[&url]].concat())?;
            let number = |name: &str| -> Option<u32> {
                let line = report.lines().find_map(|line| line.strip_prefix(name))?;
                line.split_whitespace().next()?.parse().ok()
            };
            assert_eq!(number("Complete requests:"), Some(400), "{report}");
            assert_eq!(number("Failed requests:"), Some(0), "{report}");
            assert_eq!(number("Non-2xx responses:"), None, "{report}");
            assert_eq!(number("Document Length:"), Some(1024), "{report}");
            assert_eq!(number("Keep-Alive requests:"), keep_alive.then_some(400), "{report}");
        }
        Ok(())
    })
}

fn answers_wrk(model: &Model) -> Outcome {
    let server = Server::start(model);
    let url = format!("http://{}/", server.address);
    unless_missing(|| {
        for header in ["X: y", "Connection: close"] {
            let report = output_of("wrk", &["-t", "1", "-c", "8", "-d", "1s", "-H", header, &url])?;
            assert!(report.contains(" requests in "), "{report}");
            assert!(!report.contains("Non-2xx"), "{report}");
            assert!(!report.contains("Socket errors"), "{report}");
        }
        Ok(())
    })
}

fn shows_a_page_to_chromium(model: &Model) -> Outcome {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("a folder can be made");
    let write = |name: &str, content: &str| {
        fs::write(root.join(name), content).expect("a file can be written");
    };
    write(
        "index.html",
        "<!doctype html><link rel=stylesheet href=a.css><p>before</p><script src=a.js></script>",
    );
    write("a.css", "p { width: 77px }");
    write(
        "a.js",
        "let p = document.querySelector('p'); p.textContent = 'script ran, width ' + p.offsetWidth",
    );
    let mut launch = Server::launch(model).arguments(["--root", &root.to_string_lossy()]);
    if !model.serves_several() {
        // A browser opens connections that it may need later, and a server of one connection at a
        // time waits for each of them.
        launch = launch.arguments(["--idle-timeout", "2s"]);
    }
    let server = launch.start();
    let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--timeout=40000",
        &profile,
        "--dump-dom",
        &format!("http://{}/", server.address),
    ];
    unless_missing(|| {
        let document = dump_dom(&arguments)?;
        assert!(document.contains("<p>script ran, width 77</p>"), "{document}");
        Ok(())
    })
}
