//! Servers that do not answer on some or on all connections, or that do not even accept
//! connections.

use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::command::{load, load_to_the_last, load_url, unreachable, until_shown, words};
use crate::server::{After, OK, Server};

/// Returns a server that answers on three connections of four.
fn deaf_on_every_fourth() -> Server {
    Server::start(|request, socket| match request.connection % 4 {
        3 => Ok(After::Hold),
        _ => socket.write_all(OK).map(|()| After::Keep),
    })
}

#[test]
fn connections_that_are_never_answered_are_starved_and_the_others_served() {
    let server = deaf_on_every_fourth();
    let outcome = load(&server, "--connections 16 --duration 400ms --timeout 5s");
    assert_eq!(outcome.count("connections/established"), 16);
    assert_eq!(outcome.count("connections/served"), 12);
    assert_eq!(outcome.count("connections/starved"), 4);
    assert!(outcome.in_flight() >= 4);
    outcome.assert_errors(&[]);
    assert_eq!(outcome.check("starvation"), ("fail", "16 requested, 4 never served"));
    assert_eq!(outcome.json["valid"], false);
    assert!(outcome.completed() > 0 && outcome.completed() <= server.answers());
}

/// Returns a server that answers all requests but every fiftieth.
fn deaf_to_every_fiftieth() -> Server {
    Server::start(|request, socket| match request.total % 50 {
        49 => Ok(After::Hold),
        _ => socket.write_all(OK).map(|()| After::Keep),
    })
}

#[test]
fn requests_that_are_never_answered_time_out() {
    let server = deaf_to_every_fiftieth();
    let outcome = load(&server, "--connections 4 --duration 3s --timeout 1s");
    let timeouts = outcome.only_errors("timeout");
    let held = server.requests().len() as u64 - server.answers();
    assert!(timeouts <= held && held <= timeouts + 8, "{timeouts} of {held}");
    assert!(outcome.completed() > 0);
}

#[test]
fn a_number_of_requests_ends_although_some_are_never_answered() {
    let run = || {
        let outcome =
            load(&deaf_to_every_fiftieth(), "--connections 8 --requests 500 --timeout 1s");
        let timeouts = outcome.only_errors("timeout");
        assert_eq!(outcome.completed() + timeouts, 500);
        assert!(timeouts >= 9, "{timeouts}");
        outcome
    };
    // More requests time out if the machine stalled for a second.
    until_shown("those alone time out", run, |outcome| outcome.count("errors/timeout") <= 11);
}

#[test]
fn requests_of_an_open_loop_that_are_never_answered_time_out() {
    // The timeout is shorter than the time that an open loop waits for its last responses, and long
    // even for a busy machine.
    let arguments = "--connections 10 --rate 400 --duration 500ms --timeout 700ms";
    let run = || {
        let (_server, outcome) = load_to_the_last(deaf_to_every_fiftieth, arguments);
        let timeouts = outcome.only_errors("timeout");
        assert_eq!(outcome.completed() + timeouts, 200);
        assert!(timeouts >= 4, "{timeouts}");
        outcome
    };
    // More requests time out if the machine stalled for that long.
    until_shown("those alone time out", run, |outcome| outcome.count("errors/timeout") == 4);
}

#[test]
fn a_server_that_never_answers_starves_all_connections() {
    let server = Server::start(|_, _| Ok(After::Hold));
    let outcome = load(&server, "--connections 4 --duration 300ms");
    assert_eq!(outcome.count("connections/starved"), 4);
    assert_eq!(outcome.completed(), 0);
    assert_eq!(outcome.in_flight(), 4);
    assert_eq!(outcome.check("starvation"), ("fail", "4 requested, 4 never served"));
    assert!(outcome.stderr.contains("no request completed of 4 sent"), "{}", outcome.stderr);
}

#[test]
fn the_ages_of_requests_that_timed_out_are_no_latencies_where_nothing_completed() {
    let server = Server::start(|_, _| Ok(After::Hold));
    let outcome = load(&server, "--connections 4 --duration 700ms --timeout 200ms");
    outcome.only_errors("timeout");
    assert_eq!(outcome.count("latency_us/count"), 0);
    assert!(outcome.stderr.contains("--timeout"), "{}", outcome.stderr);
}

#[test]
fn connections_without_a_request_are_not_starved() {
    let outcome = load(&Server::answering(OK, After::Keep), "--connections 64 --requests 10");
    assert_eq!(outcome.completed(), 10);
    assert_eq!(outcome.check("starvation").0, "pass");
}

/// Returns a listener with the shortest queue that there is, which never accepts.
fn never_accepting() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
    socket
        .bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into())
        .expect("a port");
    socket.listen(0).expect("it can listen");
    socket.into()
}

#[test]
fn connections_that_do_not_fit_into_the_backlog_are_connect_errors() {
    let listener = never_accepting();
    let url = format!("http://{}/", listener.local_addr().expect("it has an address"));
    let outcome = load_url(&url, &words("--connections 6 --duration 700ms --timeout 200ms"));
    let established = outcome.count("connections/established");
    assert!(established < 6, "{:#}", outcome.json);
    assert!(outcome.count("errors/connect") >= 6 - established, "{:#}", outcome.json);
    assert_eq!(outcome.count("connections/starved"), established);
    assert_eq!(outcome.completed(), 0);
}

#[test]
fn a_number_of_requests_ends_although_no_connection_is_accepted() {
    let listener = never_accepting();
    let url = format!("http://{}/", listener.local_addr().expect("it has an address"));
    let outcome = load_url(&url, &words("--connections 4 --requests 4 --timeout 100ms"));
    assert_eq!(outcome.completed(), 0);
    assert!(outcome.count("errors/connect") > 0, "{:#}", outcome.json);
}

/// Returns the URL of a port on which no process listens. The socket stays bound, so that no other
/// process takes the port.
fn dead_port() -> (Socket, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
    socket
        .bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into())
        .expect("a port");
    let address = socket.local_addr().expect("it has an address").as_socket().expect("of IPv4");
    (socket, format!("http://{address}/"))
}

#[test]
fn a_port_without_a_server_ends_a_run_in_one_line() {
    let (_bound, url) = dead_port();
    let endings = [
        "--connections 4 --duration 300ms",
        // Longer than the patience of this test: the run has to end before that.
        "--connections 4 --duration 10m",
        "--connections 4 --duration 10m --warmup 10m",
        "--connections 4 --duration 10m --threads 2",
        "--connections 2 --requests 10",
        "--connections 2 --rate 100 --duration 10m",
        "--connections 2 --rate 100 --requests 30",
        "--connections 2 --rate 100 --lifetime short --duration 300ms",
        "--connections 2 --rate 100 --lifetime short --duration 10m",
        "--connections 2 --connect-rate 1 --duration 10m",
        "--connections 2 --idle 300 --duration 10m",
    ];
    // Each of them only waits for its end.
    thread::scope(|scope| {
        for arguments in endings {
            let url = &url;
            scope.spawn(move || {
                let line = unreachable(url, arguments);
                assert!(line.contains("Connection refused"), "{arguments}: {line}");
            });
        }
    });
}

#[test]
fn a_server_that_comes_up_a_little_late_is_waited_for() {
    let (bound, url) = dead_port();
    let server = thread::spawn(move || {
        // On most machines, an attempt of the client to connect has failed by then.
        thread::sleep(Duration::from_millis(200));
        bound.listen(16).expect("it can listen");
        let listener = TcpListener::from(bound);
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().expect("the client tries again");
            thread::spawn(move || {
                let mut request = [0; 1024];
                while std::io::Read::read(&mut socket, &mut request).is_ok_and(|read| read > 0) {
                    if socket.write_all(OK).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let outcome = load_url(&url, &words("--connections 2 --duration 1s"));
    assert_eq!(outcome.count("connections/served"), 2, "{:#}", outcome.json);
    // The measured part begins when the first connection is established; the other one may still be
    // late.
    outcome.assert_errors(&[("connect", outcome.count("errors/connect"))]);
    server.join().expect("it served");
}
