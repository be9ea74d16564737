//! Names and their addresses: the lookup is timed, addresses that do not answer are left out, and
//! each address that is used has a share of the connections, in either family.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::command::{command, load_url, words};
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

/// Returns the hosts file, if this machine has `::1` and allows names of its own.
fn of_both_families() -> Option<Hosts> {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no ::1");
        return None;
    }
    Hosts::new()
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn server_at(address: SocketAddr) -> Server {
    Server::build(&address.to_string(), answers, |_, _| After::Keep, None)
}

/// Starts a server at one address of `localhost`. Returns also a socket that has its port at the
/// other address, and does not listen: connections there are refused.
fn server_in_one_family(here: IpAddr, other: IpAddr) -> (Server, Socket) {
    loop {
        let server = server_at(SocketAddr::new(here, 0));
        let beside = SocketAddr::new(other, server.address.port());
        let socket = Socket::new(Domain::for_address(beside), Type::STREAM, None)
            .expect("there are sockets");
        // Another process may have that port.
        if socket.bind(&beside.into()).is_ok() {
            return (server, socket);
        }
    }
}

/// Starts two servers on the same port of `localhost`, the first one of IPv4.
fn servers_in_both_families() -> [Server; 2] {
    let (v4, beside) = server_in_one_family(V4, V6);
    drop(beside);
    let v6 = server_at(SocketAddr::new(V6, v4.address.port()));
    [v4, v6]
}

/// Returns the number of `key`, `connections` or `requests`, that an address had.
#[track_caller]
fn share(json: &Value, address: SocketAddr, key: &str) -> u64 {
    let shares = json["addresses"]["shares"].as_array().expect("it has shares");
    let share = shares.iter().find(|share| share["address"] == address.to_string());
    share.and_then(|share| share[key].as_u64()).unwrap_or_else(|| panic!("{address}: {json:#}"))
}

#[test]
fn a_server_in_one_family_gets_every_connection_to_localhost() {
    let Some(hosts) = of_both_families() else { return };
    for (here, other) in [(V4, V6), (V6, V4)] {
        let (server, _beside) = server_in_one_family(here, other);
        let url = format!("http://localhost:{}/", server.address.port());
        let (output, json) = load(&hosts, &url, "--connections 3 --requests 30");
        assert_eq!(output.status.code(), Some(0), "{json:#}");
        let left_out = format!("c10k: address {other} refused, left out\n");
        assert_eq!(String::from_utf8_lossy(&output.stderr), left_out);
        assert_eq!(json["addresses"]["used"], json!([server.address.to_string()]));
        let share =
            json!({ "address": server.address.to_string(), "connections": 3, "requests": 30 });
        assert_eq!(json["addresses"]["shares"], json!([share]));
        assert_eq!(json["errors"]["connect"], 0, "{json:#}");
        assert!(json["dns_us"].as_f64() > Some(0.0), "{json:#}");
    }
}

#[test]
fn a_family_that_leads_nowhere_is_left_out() {
    let Some(hosts) = Hosts::new() else { return };
    let server = Server::start(answers);
    let port = server.address.port();
    let url = format!("http://far.test:{port}/");
    let (output, json) = load(&hosts, &url, "--connections 2 --requests 10");
    assert_eq!(output.status.code(), Some(0), "{json:#}");
    assert_eq!(json["addresses"]["used"], json!([server.address.to_string()]));
    // Without a route, the kernel refuses at once; with one, nothing comes back.
    assert_eq!(json["addresses"]["left_out"][0]["address"], format!("[2001:db8::1]:{port}"));
    assert_eq!(
        (&json["errors"]["connect"], &json["requests"]["completed"]),
        (&json!(0), &json!(10))
    );
}

#[test]
fn servers_in_both_families_share_the_connections_to_localhost() {
    let Some(hosts) = of_both_families() else { return };
    let servers = servers_in_both_families();
    let url = format!("http://localhost:{}/", servers[0].address.port());
    let arguments = "--connections 5 --requests 60 --lifetime 6 --threads 2";
    let (output, json) = load(&hosts, &url, arguments);
    assert!(output.stderr.is_empty(), "{output:?}");
    let sum = |key| servers.iter().map(|server| share(&json, server.address, key)).sum::<u64>();
    assert_eq!(json["connections"]["opened_total"], sum("connections"), "{json:#}");
    assert_eq!(json["requests"]["completed"], sum("requests"), "{json:#}");
    for server in &servers {
        // One more connection, with one request, has found out that the address answers.
        let connections = server.seen().len() as u64 - 1;
        assert_eq!(share(&json, server.address, "connections"), connections, "{json:#}");
        assert_eq!(share(&json, server.address, "requests"), server.answers() - 1, "{json:#}");
        assert!(connections >= 4, "{json:#}");
    }
}

#[test]
fn the_text_has_the_time_of_the_lookup_and_the_share_of_each_address() {
    let Some(hosts) = of_both_families() else { return };
    let servers = servers_in_both_families();
    let url = format!("http://localhost:{}/", servers[0].address.port());
    let mut command = hosts.command(env!("CARGO_BIN_EXE_c10k"));
    command.args(["load", &url, "--warmup", "0s"]);
    command.args(words("--connections 4 --requests 40"));
    let output = command.stdin(Stdio::null()).output().expect("the command can be run");
    let text = String::from_utf8(output.stdout).expect("it speaks text");
    assert!(text.contains("  name looked up in "), "{text}");
    for ip in ["::1", "127.0.0.1"] {
        let line = format!("  address {ip}: 2 of 4 connections opened, ");
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains(" of 40 requests completed\n"), "{text}");
}

#[test]
fn one_connection_goes_to_the_first_address() {
    let Some(hosts) = of_both_families() else { return };
    let servers = servers_in_both_families();
    let url = format!("http://localhost:{}/", servers[0].address.port());
    let (_, json) = load(&hosts, &url, "--connections 1 --requests 5");
    let connections = |at: usize| &json["addresses"]["shares"][at]["connections"];
    assert_eq!((connections(0), connections(1)), (&json!(1), &json!(0)), "{json:#}");
    assert_eq!(json["addresses"]["used"][0], json["addresses"]["shares"][0]["address"]);
}

#[test]
fn an_address_in_a_url_needs_no_lookup_and_has_the_whole_share() {
    let server = Server::start(answers);
    let outcome = load_url(&server.url(), &words("--connections 2 --requests 10"));
    assert_eq!(outcome.json.get("dns_us"), None);
    let share = json!({ "address": server.address.to_string(), "connections": 2, "requests": 10 });
    assert_eq!(outcome.json["addresses"]["shares"], json!([share]));
    let text = command(&server.url(), &words("--connections 2 --requests 10")).output();
    let text = String::from_utf8(text.expect("the command can be run").stdout);
    let text = text.expect("it speaks text");
    assert!(!text.contains("looked up") && !text.contains("address "), "{text}");
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
