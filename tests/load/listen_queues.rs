//! Full listen queues: a full queue of the measured server is distinguished from a full queue of
//! another listener.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use crate::command::{Outcome, load, load_url, until_shown, words};
use crate::server::{After, OK, Server};

/// Returns a listener at this address with the shortest queue that there is; nothing is accepted
/// yet.
fn with_a_short_queue(ip: impl Into<IpAddr>) -> (TcpListener, SocketAddr) {
    let any = SocketAddr::new(ip.into(), 0);
    let socket = Socket::new(Domain::for_address(any), Type::STREAM, Some(Protocol::TCP))
        .expect("there are sockets");
    socket.bind(&any.into()).expect("a port is free");
    socket.listen(1).expect("it can listen");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("it has an address");
    (listener, address)
}

/// Makes more connections than the queue holds; on loopback they are dropped before the call
/// returns.
fn flood(address: SocketAddr) -> Vec<Socket> {
    let connect = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP));
        let socket = socket.expect("there are sockets");
        let _ = socket.connect(&address.into());
        socket
    };
    (0..10).map(connect).collect()
}

/// Returns the drops of the server's own listener; `None` where this kernel does not report them.
fn own_drops(outcome: &Outcome) -> Option<u64> {
    let drops = outcome.json.pointer("/kernel/listener_drops").and_then(Value::as_u64);
    if drops.is_none() {
        eprintln!("not shown: this kernel does not report what a listener drops");
    }
    drops
}

#[test]
fn the_full_queue_of_another_listener_is_not_the_measured_servers() {
    let (_other, address) = with_a_short_queue(Ipv4Addr::LOCALHOST);
    let flooding = Arc::new(Mutex::new(Vec::new()));
    let held = Arc::clone(&flooding);
    let server = Server::start(move |request, socket| {
        if request.total == 5 {
            held.lock().expect("nobody panicked").extend(flood(address));
        }
        socket.write_all(OK).map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 2 --requests 50");
    assert_eq!(flooding.lock().expect("nobody panicked").len(), 10);
    assert!(outcome.count("kernel/listen_overflows") > 0, "{:#}", outcome.json);
    let Some(drops) = own_drops(&outcome) else { return };
    assert_eq!(drops, 0);
    let (verdict, detail) = outcome.check("kernel-drops");
    assert_eq!(verdict, "pass", "{detail}");
    assert!(detail.contains("on this machine are of other listeners"), "{detail}");
}

#[test]
fn the_full_queue_of_the_measured_server_is_its_own() {
    assert_own_queue_is_told(Ipv4Addr::LOCALHOST.into());
}

#[test]
fn the_full_queue_of_a_server_of_ipv6_is_its_own() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no ::1");
        return;
    }
    assert_own_queue_is_told(Ipv6Addr::LOCALHOST.into());
}

#[track_caller]
fn assert_own_queue_is_told(ip: IpAddr) {
    let run = || {
        let (listener, address) = with_a_short_queue(ip);
        thread::spawn(move || accept_late(&listener));
        let arguments = words("--connections 8 --requests 40 --warmup 1ms");
        load_url(&format!("http://{address}/"), &arguments)
    };
    let outcome = until_shown("the queue is full", run, |outcome| own_drops(outcome) != Some(0));
    if own_drops(&outcome).is_none() {
        return;
    }
    let (verdict, detail) = outcome.check("kernel-drops");
    assert_eq!(verdict, "warn", "{detail}");
    assert!(detail.starts_with("the server's listen queue dropped "), "{detail}");
}

/// Accepts one connection, and the others when the generator has had time to make them. The kernel
/// repeats, after a second, the handshake of a connection that found the queue full.
fn accept_late(listener: &TcpListener) {
    let mut sockets = listener.incoming().flatten();
    let first = sockets.next();
    thread::sleep(Duration::from_millis(100));
    first.into_iter().chain(sockets).for_each(|socket| drop(thread::spawn(|| answer(socket))));
}

/// Answers requests. Each comes in one piece: it is short, and the next one waits for the response.
fn answer(mut socket: TcpStream) -> std::io::Result<()> {
    while socket.read(&mut [0; 4096])? > 0 {
        socket.write_all(OK)?;
    }
    Ok(())
}
