//! Names with several addresses: addresses that do not answer are left out, and addresses that fail
//! are reported separately.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::hosts::{Hosts, NAME};
use crate::server::{After, OK, Request, Server};

/// Runs the command to its end, where the name can be resolved.
fn load(hosts: &Hosts, url: &str, arguments: &str) -> (Output, Value) {
    let mut command = hosts.command(env!("CARGO_BIN_EXE_c10k"));
    command.args(["load", url, "--warmup", "0s", "--json"]).args(arguments.split_whitespace());
    let output = command.stdin(Stdio::null()).output().expect("the command can be run");
    let json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output, json)
}

fn answers(_: &Request, socket: &mut std::net::TcpStream) -> std::io::Result<After> {
    socket.write_all(OK).map(|()| After::Keep)
}

/// Returns the other address of the name, with the same port.
fn other(address: SocketAddr) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 2], address.port()))
}

#[test]
fn an_address_without_a_server_is_left_out_and_reported() {
    let Some(hosts) = Hosts::new() else { return };
    let server = Server::start(|request, socket| {
        let to = b"HTTP/1.1 302 Found\r\nLocation: end\r\nContent-Length: 0\r\n\r\n";
        if request.head.starts_with("GET / ") {
            return socket.write_all(to).map(|()| After::Close);
        }
        socket.write_all(OK).map(|()| After::Keep)
    });
    let url = format!("http://{NAME}:{}/", server.address.port());
    let arguments = "--follow --idle 5 --connections 4 --requests 40 --lifetime short";
    let (output, json) = load(&hosts, &url, arguments);
    assert_eq!(output.status.code(), Some(0), "{json:#}");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "c10k: address 127.0.0.2 refused, left out\n"
    );
    let left_out = json!([{ "address": other(server.address).to_string(), "reason": "refused" }]);
    assert_eq!(json["addresses"]["left_out"], left_out);
    assert_eq!(json["addresses"]["used"], json!([server.address.to_string()]));
    assert_eq!(json["target"], format!("{url}end"));
    assert_eq!(
        (&json["errors"]["connect"], &json["requests"]["completed"]),
        (&json!(0), &json!(40))
    );
    assert_eq!(json["connections"]["idle_answered"], 5, "{json:#}");
    let first =
        server.requests().iter().filter(|request| request.head.starts_with("GET / ")).count();
    assert_eq!(first, 2, "each address is tried once, and the redirection followed once");
}

#[test]
fn an_address_of_a_name_that_is_redirected_to_is_left_out() {
    let Some(hosts) = Hosts::new() else { return };
    let end = Server::start(answers);
    let location = format!("http://{NAME}:{}/end", end.address.port());
    let redirection =
        format!("HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let start = Server::answering(redirection, After::Close);
    let (output, json) = load(&hosts, &start.url(), "--follow --connections 2 --requests 10");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "c10k: address 127.0.0.2 refused, left out\n"
    );
    assert_eq!((&json["target"], &json["requests"]["completed"]), (&json!(location), &json!(10)));
}

#[test]
fn quiet_prints_nothing_about_an_address_that_is_left_out() {
    let Some(hosts) = Hosts::new() else { return };
    let server = Server::start(answers);
    let url = format!("http://{NAME}:{}/", server.address.port());
    let mut command = hosts.command(env!("CARGO_BIN_EXE_c10k"));
    command.args([
        "load",
        &url,
        "--warmup",
        "0s",
        "--requests",
        "5",
        "--connections",
        "1",
        "--quiet",
    ]);
    let output = command.stdin(Stdio::null()).output().expect("the command can be run");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn an_address_that_fails_during_the_run_is_reported_separately() {
    let Some(hosts) = Hosts::new() else { return };
    let good = Server::start(answers);
    // The server answers only the first connection, which tries the address.
    let spoils = |connection, _: &mut std::net::TcpStream| match connection {
        0 => After::Keep,
        _ => After::Reset,
    };
    let _bad = Server::build(&other(good.address).to_string(), answers, spoils, None);
    let url = format!("http://{NAME}:{}/", good.address.port());
    let (output, json) = load(&hosts, &url, "--connections 4 --requests 60 --lifetime short");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert_eq!(json["addresses"]["used"].as_array().map(Vec::len), Some(2), "{json:#}");
    let mut all = json["errors"].clone();
    all["address"] = json!(other(good.address).to_string());
    assert!(all["reset"].as_u64() > Some(0), "{json:#}");
    assert_eq!(json["errors_by_address"], json!([all]));
}
