//! Servers that do not answer: some connections, all of them, or from the accept on.

use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::command::{Outcome, load, load_to_the_last, load_url, until_shown, words};
use crate::server::{After, OK, Server};

/// Answers on three connections of four.
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
    assert!(outcome.completed() > 0 && outcome.completed() <= server.answers());
}

/// Answers all requests but every fiftieth.
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
        let outcome = load(&deaf_to_every_fiftieth(), "--connections 8 --requests 500 --timeout 1s");
        let timeouts = outcome.only_errors("timeout");
        assert_eq!(outcome.completed() + timeouts, 500);
        assert!(timeouts >= 9, "{timeouts}");
        outcome
    };
    // More of them where the machine stalled for a second.
    until_shown("those alone time out", run, |outcome| outcome.count("errors/timeout") <= 11);
}

#[test]
fn requests_of_an_open_loop_that_are_never_answered_time_out() {
    // Shorter than the time for which an open loop waits for its last answers, and long even for a busy machine.
    let arguments = "--connections 10 --rate 400 --duration 500ms --timeout 700ms";
    let run = || {
        let (_server, outcome) = load_to_the_last(deaf_to_every_fiftieth, arguments);
        let timeouts = outcome.only_errors("timeout");
        assert_eq!(outcome.completed() + timeouts, 200);
        assert!(timeouts >= 4, "{timeouts}");
        outcome
    };
    // More of them where the machine stalled for that long.
    until_shown("those alone time out", run, |outcome| outcome.count("errors/timeout") == 4);
}

#[test]
fn a_server_that_never_answers_anyone_starves_all() {
    let server = Server::start(|_, _| Ok(After::Hold));
    let outcome = load(&server, "--connections 4 --duration 300ms");
    assert_eq!(outcome.count("connections/starved"), 4);
    assert_eq!(outcome.completed(), 0);
    assert_eq!(outcome.in_flight(), 4);
    assert!(outcome.number("latency_us/max") >= 250_000.0, "{:#}", outcome.json);
}

/// Listens with the shortest queue there is and never accepts.
fn never_accepting() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into()).expect("a port");
    socket.listen(0).expect("it can listen");
    socket.into()
}

#[test]
fn connections_that_the_backlog_has_no_room_for_are_connect_errors() {
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
fn a_number_of_requests_ends_although_nobody_accepts() {
    let listener = never_accepting();
    let url = format!("http://{}/", listener.local_addr().expect("it has an address"));
    let outcome = load_url(&url, &words("--connections 4 --requests 4 --timeout 100ms"));
    assert_eq!(outcome.completed(), 0);
    assert!(outcome.count("errors/connect") > 0, "{:#}", outcome.json);
}

/// A port that nobody listens on: it was free a moment ago, and stays bound so that nobody else takes it.
fn dead_port() -> (Socket, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into()).expect("a port");
    let address = socket.local_addr().expect("it has an address").as_socket().expect("of IPv4");
    (socket, format!("http://{address}/"))
}

#[test]
fn refused_connections_are_connect_errors_and_the_run_ends_on_time() {
    let (_bound, url) = dead_port();
    let outcome = load_url(&url, &words("--connections 4 --duration 500ms"));
    outcome.only_errors("connect");
    assert_eq!(outcome.count("connections/established"), 0);
    assert_eq!(outcome.count("requests/sent"), 0);
}

#[test]
fn refused_connections_end_a_run_of_a_number_of_requests_too() {
    let (_bound, url) = dead_port();
    let outcome = load_url(&url, &words("--connections 2 --requests 10"));
    outcome.only_errors("connect");
    assert_eq!(outcome.count("requests/intended"), 10);
    assert_eq!(outcome.count("requests/sent"), 0);
}

#[test]
fn refused_connections_leave_the_requests_of_an_open_loop_unsent() {
    let (_bound, url) = dead_port();
    for arguments in ["--duration 300ms", "--requests 30"] {
        let outcome = load_url(&url, &words(&format!("--connections 2 --rate 100 {arguments}")));
        outcome.only_errors("connect");
        assert_eq!(outcome.count("requests/intended"), 30);
        assert_eq!(outcome.count("requests/sent"), 0);
    }
}

#[test]
fn a_server_that_comes_up_late_is_found() {
    // On a busy machine the client may come even later: then the server is later still.
    let mut delay = Duration::from_millis(50);
    let run = || {
        delay *= 2;
        find_late(delay)
    };
    until_shown("a client that finds nobody at first", run, |outcome| outcome.count("errors/connect") > 0);
}

/// A run with a server that listens after a while.
#[track_caller]
fn find_late(delay: Duration) -> Outcome {
    let (bound, url) = dead_port();
    thread::spawn(move || {
        thread::sleep(delay);
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
    // Waits between tries are doubled: the next one is no later than after as much time again.
    let duration = format!("{}ms", 3 * delay.as_millis() + 600);
    let outcome = load_url(&url, &["--connections", "2", "--duration", &duration]);
    assert_eq!(outcome.count("connections/served"), 2, "{:#}", outcome.json);
    assert!(outcome.completed() > 0);
    outcome.assert_errors(&[("connect", outcome.count("errors/connect"))]);
    outcome
}
