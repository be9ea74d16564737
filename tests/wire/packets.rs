//! The packets of one connection: as tshark reads them, with the side that closes first, and with
//! the calls and the files.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::refusal;
use crate::support::{Wire, command, has, told, wire};

/// Keys of every packet, which scripts rely on.
const KEYS: [&str; 13] = [
    "at_us",
    "point",
    "from",
    "flags",
    "sequence",
    "acknowledgement",
    "length",
    "source_mac",
    "destination_mac",
    "source_ip",
    "destination_ip",
    "ttl",
    "kind",
];

/// Largest difference between two times of the same packet, in microseconds: one is rounded.
const ROUNDING_US: f64 = 0.5;

/// Fields of a packet in the reading of tshark, in this order.
const FIELDS: [&str; 9] = [
    "frame.time_relative",
    "ip.src",
    "ip.dst",
    "ip.ttl",
    "tcp.srcport",
    "tcp.seq",
    "tcp.ack",
    "tcp.len",
    "tcp.flags",
];

/// Captures a connection, checks it, and returns it.
fn connection(lifetime: &str, close: &str) -> Option<Wire> {
    let wire = wire(&["epoll", "--lifetime", lifetime, "--close", close])?;
    for packet in wire.packets(|_| true) {
        let object = packet.as_object().expect("a packet is an object");
        assert!(KEYS.iter().all(|key| object.contains_key(*key)), "{packet}");
        assert_eq!((&packet["kind"], &packet["ttl"]), (&json!("tcp"), &json!(64)), "{packet}");
    }
    let packets = wire.packets(|_| true);
    assert_eq!(told(&packets[..3]), ["client S", "server S.", "client ."], "{packets:?}");
    assert_eq!(wire.json["closed_first"], close);
    // The kernel was asked, after the connection was closed on both sides.
    assert_eq!(wire.json["time_wait"], close, "{}", wire.json["states"]);
    let first_fin = packets.iter().find(|packet| packet["flags"].as_str().unwrap().contains('F'));
    assert_eq!(first_fin.expect("there is a FIN")["from"], close);
    Some(wire)
}

/// Compares every packet with the reading of tshark.
fn check_against_tshark(wire: &Wire) {
    if !has("tshark") {
        return;
    }
    let mut command = Command::new("tshark");
    command.arg("-r").arg(wire.file("capture.pcapng")).args(["-T", "fields", "-E", "separator=,"]);
    command.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = command.stderr(Stdio::null()).output().expect("tshark can be run");
    let text = String::from_utf8(output.stdout).expect("tshark prints text");
    let read: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let packets = wire.packets(|_| true);
    assert_eq!(read.len(), packets.len(), "{text}");
    for (packet, read) in packets.into_iter().zip(read) {
        let number = |key: &str| packet[key].as_u64().expect("it is a number").to_string();
        let text = |key: &str| packet[key].as_str().expect("it is a text").to_owned();
        let ours = [
            text("source_ip"),
            text("destination_ip"),
            number("ttl"),
            number("source_port"),
            number("sequence"),
            number("acknowledgement"),
            number("length"),
            text("flags"),
        ];
        let flags = letters(read[8]);
        let theirs = [&read[1..8], &[&*flags]].concat();
        assert_eq!(ours.each_ref().map(String::as_str)[..], theirs, "{packet}");
        let seconds: f64 = read[0].parse().expect("it is a time");
        let at_us = packet["at_us"].as_f64().expect("it is a time");
        assert!((seconds * 1e6 - at_us).abs() < ROUNDING_US, "{seconds} s and {at_us} µs");
    }
}

/// Turns the flags of tshark, a number such as `0x0012`, into the letters of tcpdump.
fn letters(number: &str) -> String {
    let digits = number.trim_start_matches("0x");
    let bits = u32::from_str_radix(digits, 16).expect("flags are a number");
    "FSRP.UEW"
        .chars()
        .enumerate()
        .filter(|(bit, _)| bits & (1 << bit) != 0)
        .map(|(_, c)| c)
        .collect()
}

#[test]
fn a_short_connection_that_the_server_closes_is_as_tshark_reads_it() {
    let Some(wire) = connection("short", "server") else { return };
    check_against_tshark(&wire);
    let story = wire.story();
    assert!(story.contains("Three packets pass before the first byte"), "{story}");
    assert!(story.contains("The server holds the connection in TIME-WAIT"), "{story}");
    assert!(story.contains("port 8080") && story.contains("EADDRINUSE"), "{story}");
}

#[test]
fn a_short_connection_that_the_client_closes_is_as_tshark_reads_it() {
    let Some(wire) = connection("short", "client") else { return };
    check_against_tshark(&wire);
    let story = wire.story();
    assert!(story.contains("The client holds the connection in TIME-WAIT"), "{story}");
    assert!(story.contains("could listen at once"), "{story}");
}

#[test]
fn a_persistent_connection_is_as_tshark_reads_it_whoever_closes() {
    for close in ["client", "server"] {
        let Some(wire) = connection("persistent", close) else { return };
        check_against_tshark(&wire);
        let requests = wire
            .packets(|packet| packet["from"] == "client" && packet["length"].as_u64() > Some(0));
        assert_eq!(requests.len(), 2, "{requests:?}");
        assert!(wire.story().contains("carried 2 requests"), "{}", wire.story());
    }
}

#[test]
fn each_packet_with_content_has_the_call_that_sent_it() {
    if !has("strace") {
        return;
    }
    let Some(wire) = wire(&["epoll"]) else { return };
    let calls = wire.calls("server");
    assert!(calls[0].starts_with("accept4 = "), "{calls:?}");
    assert!(calls.contains(&"close = 0".to_owned()), "{calls:?}");
    let cause = |from: &str, is_wanted: &dyn Fn(&Value) -> bool| {
        let found = wire.packets(|packet| packet["from"] == from && is_wanted(packet));
        found.first().expect("there is such a packet")["call"].clone()
    };
    let has_content = |packet: &Value| packet["length"].as_u64() > Some(0);
    let flags = |wanted: &'static str| move |packet: &Value| packet["flags"] == wanted;
    assert_eq!(cause("client", &flags("S")), "connect");
    assert_eq!(cause("server", &flags("S.")), Value::Null);
    assert_eq!(cause("client", &has_content), "send");
    let response = cause("server", &has_content);
    assert!(
        ["sendto", "write", "sendmsg", "writev"].iter().any(|call| response == *call),
        "{response}"
    );
    assert!(wire.story().contains("accept4() returned"), "{}", wire.story());
}

#[test]
fn states_are_marked_by_whether_they_were_read() {
    let Some(wire) = wire(&["epoll"]) else { return };
    let read: Vec<_> = wire.json["states"].as_array().expect("there are readings").iter().collect();
    let of_packets = wire.packets(|packet| packet["server_state"]["read"] == true);
    assert!(!of_packets.is_empty(), "{}", wire.json);
    for packet in of_packets {
        let is_it = |reading: &&&Value| {
            reading["side"] == "server" && reading["state"] == packet["server_state"]["state"]
        };
        assert!(read.iter().any(|reading| is_it(&reading)), "{packet}");
    }
    // The server listens before the first packet, and waits after the last one.
    let of_server: Vec<_> = read.iter().filter(|reading| reading["side"] == "server").collect();
    assert_eq!(of_server[0]["state"], "LISTEN");
    assert_eq!(of_server[of_server.len() - 1]["state"], "TIME-WAIT");
}

#[test]
fn a_restart_without_reuse_address_fails_while_the_port_waits() {
    let Some(wire) = wire(&["epoll", "--no-reuse-address"]) else { return };
    let restart = &wire.json["restart"];
    let error = restart["without_reuse_address"].as_str().expect("it could not listen");
    assert!(error.contains("Address already in use") && error.contains(":8080"), "{error}");
    assert_eq!(restart["with_reuse_address"], Value::Null);
    assert!(wire.story().contains(error), "{}", wire.story());
}

#[test]
fn the_text_and_the_page_show_every_packet() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    // Without strace, the calls of the server are missing, and the output says so.
    let output = command(&folder, &["epoll"]).env("PATH", "/nowhere").output();
    let output = output.expect("the command can be run");
    if output.status.code() == Some(2) {
        return eprintln!("left out: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout).expect("it prints text");
    let arrows = text.lines().filter(|line| line.contains('▶') || line.contains('◀')).count();
    assert!(arrows >= 9, "{text}");
    assert!(text.contains("Install strace to see the server's calls"), "{text}");
    assert!(text.contains("connect = 0") && !text.contains("accept4"), "{text}");
    let read = |name: &str| {
        let path = folder.path().join("reports/wire").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let svg = read("epoll-short-server-loopback-ladder.svg");
    assert_eq!(svg.matches("<polygon").count(), arrows, "a head for each arrow");
    let page = read("epoll-short-server-loopback.html");
    assert!(page.contains(&svg) && page.contains("TIME-WAIT"), "the page has the picture");
    assert!(!page.contains("<script") && !page.contains(" src="), "the page loads nothing");
}

#[test]
fn refuses_what_can_not_be_shown_in_one_line() {
    let refused = |arguments: &[&str]| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        refusal::line_of(command(&folder, arguments).output().expect("the command can be run"))
    };
    let url = "http://127.0.0.1:9/";
    for (arguments, hint) in [
        (&["telepathy"][..], "epoll"),
        (&["https://example.org/"], "https"),
        (&["epoll", "--requests", "3"], "--lifetime persistent"),
        (&["epoll", "--requests", "0"], "from 1 to 100"),
        (&["epoll", "--close", "both"], "neither `server` nor `client`"),
        (&["epoll", "--close", "client", "--no-reuse-address"], "TIME_WAIT of the server"),
        (&["epoll", "--scene", "flood"], "backlog, reset, half-close, syn"),
        (&["epoll", "--scene", "reset", "--close", "client"], "--close"),
        (&["epoll", "--topology", "ring"], "routed"),
        (&[url, "--scene", "reset"], "--scene needs a server that c10k starts"),
        (&[url, "--no-reuse-address"], "--no-reuse-address needs a server"),
        (&[url, "--topology", "hub"], "--topology needs a server"),
        (&["epoll", "--pcapng", "/nowhere/file"], "/nowhere/file"),
        (&["epoll", "--pcapng", "/dev/full"], "cannot write /dev/full: No space left"),
        (&["epoll", "--output", "/dev/null/folder"], "/dev/null/folder"),
    ] {
        let line = refused(arguments);
        assert!(line.contains(hint), "{arguments:?}: {line}");
    }
}

#[test]
fn a_model_that_does_not_start_says_why_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut shell = Command::new("sh");
    // So few files leave none for connections.
    shell.args(["-c", "ulimit -n 64; exec \"$0\" wire epoll", env!("CARGO_BIN_EXE_c10k")]);
    let output = shell.current_dir(folder.path()).output().expect("the command can be run");
    let line = refusal::line_of(output);
    let refusals = ["limit of open files", "cannot make"];
    assert!(refusals.iter().any(|refusal| line.contains(refusal)), "{line}");
}
