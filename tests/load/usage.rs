//! A mistake on the command line is reported in one line, with status 2, before anything is sent.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Stdio;

use crate::command::{command, end_of};
use crate::refusal;
use crate::wait;

/// Runs the command, which has to refuse its arguments, and returns its message.
#[track_caller]
fn refused(url: &str, arguments: &[&str]) -> String {
    let mut child = command(url, &[arguments, &["--json"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be run");
    end_of(&mut child, wait::PATIENCE);
    refusal::line_of(child.wait_with_output().expect("it can be read"))
}

#[test]
fn refuses_https_and_says_what_to_measure_instead() {
    let line = refused("https://127.0.0.1/", &[]);
    assert!(line.contains("http://") && line.contains("TLS"), "{line}");
}

#[test]
fn refuses_malformed_urls() {
    for url in [
        "127.0.0.1:8080",
        "127.0.0.1",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://127.0.0.1:0/",
        "http:/127.0.0.1/",
        "localhost:8080",
        "http://127.0.0.1/\r\nX: y",
        "http://127.0.0.1/a\tb",
        "http://",
        "http://127.0.0.1:/a b",
        "",
    ] {
        let line = refused(url, &[]);
        assert!(line.contains("http://HOST"), "{url}: {line}");
    }
}

#[test]
fn refuses_an_unknown_host_and_names_it() {
    let line = refused("http://no-such-host.invalid/", &[]);
    assert!(line.contains("no-such-host.invalid") && line.contains("/etc/hosts"), "{line}");
}

#[test]
fn refuses_link_local_addresses_with_and_without_a_zone() {
    for host in ["fe80::1", "fe80::1%25lo", "fe80::1%lo"] {
        let line = refused(&format!("http://[{host}]:8080/"), &[]);
        assert!(line.contains("needs a zone"), "{line}");
    }
}

/// URL of a port on which no process listens; no request should be sent to it.
const URL: &str = "http://127.0.0.1:9/";

#[test]
fn refuses_numbers_that_make_no_sense_and_names_their_option() {
    for arguments in [
        ["--connections", "0"],
        ["--connections=-1", "--quiet=no"],
        ["--connections", "many"],
        ["--requests", "0"],
        ["--duration", "0s"],
        ["--duration", "soon"],
        ["--timeout", "0s"],
        ["--threads", "0"],
        ["--rate", "0"],
        ["--rate=-1", "--quiet=no"],
        ["--rate", "nan"],
        ["--rate", "inf"],
        ["--rate", "1e300"],
        ["--connect-rate", "0"],
        ["--lifetime", "0"],
        ["--lifetime", "for ever"],
        ["--method", "GE T"],
        ["--method", ""],
        ["--header", "no colon"],
        ["--header", ": no name"],
        ["--header", "X: y\r\nZ: smuggled"],
        ["--body", "@/no/such/file"],
    ] {
        let line = refused(URL, &arguments);
        let option = arguments[0].split('=').next().unwrap_or_default().trim_start_matches('-');
        assert!(line.contains(option), "{arguments:?}: {line}");
    }
}

#[test]
fn refuses_times_beyond_64_bits_of_nanoseconds() {
    for option in ["--duration", "--warmup", "--timeout"] {
        let line = refused(URL, &[option, "10000years"]);
        assert!(line.contains(option), "{line}");
    }
    refused(URL, &["--rate", "1", "--spin", "10000years"]);
}

#[test]
fn refuses_arrivals_without_a_rate() {
    assert!(refused(URL, &["--arrivals", "poisson"]).contains("--rate"));
}

#[test]
fn refuses_a_time_together_with_a_number() {
    let line = refused(URL, &["--duration", "1s", "--requests", "5"]);
    assert!(line.contains("--requests"), "{line}");
}

#[test]
fn refuses_more_connections_than_files_can_be_opened_and_says_what_would_be_needed() {
    // No system allows as many.
    for arguments in [&["--connections", "4000000000"][..], &["--idle", "4000000000"]] {
        let line = refused(URL, arguments);
        assert!(line.contains("ulimit"), "{line}");
    }
}

#[test]
fn refuses_numbers_that_overflow_when_they_are_added() {
    let most = usize::MAX.to_string();
    refused(URL, &["--connections", &most, "--idle", &most]);
}

#[test]
fn quiet_runs_say_nothing_but_errors() {
    // For short connections to another machine, the command says how many ports there are. An
    // address of this machine other than loopback is enough for that.
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
    let Ok(SocketAddr::V4(own)) = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr())
    else {
        eprintln!("left out: this machine has no address but loopback");
        return;
    };
    let listener = TcpListener::bind((*own.ip(), 0)).expect("a port is free");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    drop(listener);
    let output = command(&url, &["--lifetime", "short", "--quiet"])
        .output()
        .expect("the command can be run");
    let line = refusal::line_of(output);
    assert!(line.contains("cannot connect"), "{line}");
}
