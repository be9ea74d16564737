//! Slow clients beside the measured ones, and responses that name the kind of their request.

use std::io::Write;
use std::time::Duration;

use crate::command::load;
use crate::server::{After, OK, Server};

/// Shortest time that a slow client takes for one request: at 100 bytes per second, its 50 bytes
/// and more go in three turns of 250 ms, and the response takes another two.
const ONE_REQUEST: Duration = Duration::from_millis(750);

#[test]
fn slow_clients_send_the_same_request_in_pieces_and_are_counted_apart() {
    let server = Server::answering(OK, After::Keep);
    let outcome = load(&server, "--connections 1 --duration 3s --slow 3:100");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.count("slow/requested"), 3);
    assert_eq!(outcome.count("slow/established"), 3);
    assert!(outcome.count("slow/completed") > 0, "{:#}", outcome.json);
    assert_eq!(outcome.count("slow/failed"), 0);
    assert_eq!(outcome.count("connections/requested"), 1);
    // A request that was in flight at the end may be among the latencies, with its age; no request
    // of a slow client is.
    let latencies = outcome.count("latency_us/count");
    assert!(
        latencies <= outcome.completed() + outcome.in_flight(),
        "{latencies}: {:#}",
        outcome.json
    );
    let seen = server.seen();
    let (busy, slow): (Vec<_>, Vec<_>) =
        seen.iter().partition(|seen| seen.requests.len() as u64 >= outcome.completed());
    assert_eq!((busy.len(), slow.len()), (1, 3));
    let head = &busy[0].requests[0].head;
    for seen in slow {
        assert!(seen.requests.iter().all(|request| request.head == *head));
        let Some(last) = seen.requests.last() else { continue };
        let time = last.at - seen.accepted;
        assert!(
            time >= ONE_REQUEST * seen.requests.len() as u32,
            "{} in {time:?}",
            seen.requests.len()
        );
    }
}

#[test]
fn slow_clients_that_take_all_workers_keep_the_measured_ones_waiting() {
    // Only four connections are answered, as by a pool of four workers.
    let server = Server::start(|request, socket| match request.connection {
        0..4 => socket.write_all(OK).map(|()| After::Keep),
        _ => Ok(After::Hold),
    });
    let outcome = load(&server, "--connections 2 --slow 4 --duration 300ms --timeout 500ms");
    assert_eq!(outcome.count("slow/established"), 4, "{:#}", outcome.json);
    assert_eq!(outcome.count("connections/served"), 0, "{:#}", outcome.json);
}

#[test]
fn a_slow_client_whose_request_is_not_answered_well_has_failed() {
    let server = Server::start(|request, socket| {
        if request.connection == 0 {
            return socket.write_all(OK).map(|()| After::Keep);
        }
        socket
            .write_all(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            .map(|()| After::Close)
    });
    // The measured connections are made after the slow ones, so the first connection is a slow one.
    let outcome = load(&server, "--connections 1 --duration 4s --slow 2:200");
    assert!(
        outcome.count("slow/failed") > 0 && outcome.count("slow/completed") > 0,
        "{:#}",
        outcome.json
    );
}

#[test]
fn latencies_are_reported_by_the_kind_that_responses_name() {
    let server = Server::start(|request, socket| {
        let (kind, wait) = if request.number % 4 == 0 { ("slow;dur=20", 20) } else { ("quick", 0) };
        std::thread::sleep(Duration::from_millis(wait));
        write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer-Timing: {kind}\r\n\r\n")
            .map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 2 --requests 40 --threads 2");
    outcome.assert_errors(&[]);
    let count = |kind: &str| outcome.count(&format!("latency_us_by_kind/{kind}/count"));
    assert_eq!(count("slow") + count("quick"), 40, "{:#}", outcome.json);
    // The last requests of the two connections may be of either kind.
    assert!((10..=11).contains(&count("slow")), "{}", count("slow"));
    assert!(outcome.number("latency_us_by_kind/slow/min") >= 20_000.0, "{:#}", outcome.json);
}
