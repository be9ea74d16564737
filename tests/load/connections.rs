//! Patterns of connections: their lifetime, the rate at which they come, and connections that are
//! only held.

use std::cell::Cell;
use std::io::Write;
use std::time::Duration;

use crate::command::{Load, load, load_to_the_last, load_url, until_shown, words};
use crate::server::{After, OK, Request, Server};
use crate::wait;

fn answering() -> Server {
    Server::answering(OK, After::Keep)
}

fn asks_to_close(request: &Request) -> bool {
    request.head.to_ascii_lowercase().contains("\r\nconnection: close\r\n")
}

#[test]
fn a_connection_carries_as_many_requests_as_its_lifetime_says() {
    let server = answering();
    let outcome = load(&server, "--connections 4 --requests 120 --lifetime 3");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 120);
    for seen in server.seen() {
        assert!(seen.requests.len() <= 3, "{}", seen.requests.len());
        for request in &seen.requests {
            assert_eq!(asks_to_close(request), request.number == 2, "{}", request.head);
        }
    }
    // Each of the four may end with a connection that had no time to carry all of its requests.
    let whole = server.seen().iter().filter(|seen| seen.requests.len() == 3).count();
    assert!(server.seen().len() - whole <= 4, "{whole} of {}", server.seen().len());
}

#[test]
fn a_short_connection_carries_one_request() {
    let server = answering();
    let outcome = load(&server, "--connections 4 --requests 100 --lifetime short");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 100);
    assert!(server.seen().iter().all(|seen| seen.requests.len() <= 1));
    assert!(server.requests().iter().all(asks_to_close));
    assert_eq!(outcome.count("connect_us/count"), 100, "every connect was timed");
    assert_eq!(outcome.count("connect_wait_us/count"), 100, "and what it waited for");
}

#[test]
fn the_wait_before_a_connect_is_reported_apart_from_the_time_of_the_server() {
    // Once all connections have their responses, each but the first waits for its turn in the
    // generator.
    let outcome = load(&answering(), "--connections 32 --requests 640 --lifetime short");
    outcome.assert_errors(&[]);
    let mean = |times: &str| outcome.number(&format!("{times}_us/mean"));
    assert!(mean("connect_wait") > 0.0, "{:#}", outcome.json);
    assert_eq!(outcome.count("response_us/count"), 640);
    // Equal to the three digits of histograms.
    let parts = mean("connect_wait") + mean("response");
    assert!((parts / mean("latency") - 1.0).abs() < 0.01, "{:#}", outcome.json);
    assert!(mean("response") >= mean("service") * 0.999, "{:#}", outcome.json);
    assert_eq!(outcome.json.pointer("/response_us/lower_bounds"), None);
}

#[test]
fn on_persistent_connections_the_response_is_the_latency() {
    let outcome = load(&answering(), "--connections 4 --requests 200 --warmup 50ms");
    assert_eq!(outcome.count("connect_wait_us/count"), 0);
    assert_eq!(outcome.json["response_us"]["max"], outcome.json["latency_us"]["max"]);
}

#[test]
fn short_connections_of_an_open_loop_are_made_when_they_are_needed() {
    let arguments = "--connections 8 --rate 200 --duration 400ms --lifetime short";
    let (server, outcome) = load_to_the_last(answering, arguments);
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 80);
    assert_eq!(outcome.count("connections/opened_total"), 80);
    assert!(server.seen().iter().all(|seen| seen.requests.len() == 1));
}

#[test]
fn persistent_connections_are_opened_once() {
    let server = answering();
    let outcome = load(&server, "--connections 7 --duration 300ms --threads 2");
    assert_eq!(server.seen().len(), 7);
    assert_eq!(outcome.count("connections/opened_total"), 7);
    assert_eq!(outcome.count("generator/threads"), 2);
}

#[test]
fn idle_connections_ask_once_are_answered_and_held_to_the_end() {
    let server = answering();
    let outcome = load(&server, "--connections 3 --idle 20 --duration 400ms --threads 2");
    assert_eq!(outcome.count("connections/requested"), 3);
    assert_eq!(outcome.count("connections/idle_established"), 20);
    assert_eq!(outcome.count("connections/idle_answered"), 20);
    assert!(!outcome.check("starvation").1.contains("idle"), "{:#}", outcome.json);
    wait::until("all connections are seen to end", || {
        server.seen().iter().all(|seen| seen.ended.is_some())
    });
    let seen = server.seen();
    // The idle connections come before the others.
    let (idle, busy) = seen.split_at(20);
    assert!(idle.iter().all(|seen| seen.requests.len() == 1));
    assert!(busy.len() == 3 && busy.iter().all(|seen| seen.requests.len() > 1));
    // A request that was followed by another one was answered, so it came before the end of the
    // run. The last requests may be read after the end.
    let answered = busy.iter().filter_map(|seen| seen.requests.iter().nth_back(1));
    let last = answered.map(|request| request.at).max().expect("requests were answered");
    assert!(
        idle.iter().all(|seen| seen.ended.expect("it ended") >= last),
        "one was closed before the end"
    );
}

#[test]
fn idle_connections_send_the_request_of_the_run_and_do_not_count() {
    let server = answering();
    let url = format!("{}sleep/5", server.url());
    let body = "x".repeat(100_000);
    let arguments = "--connections 2 --requests 20 --idle 30 --method POST --body";
    let outcome = load_url(&url, &[&words(arguments)[..], &[&body]].concat());
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 20);
    assert_eq!(outcome.count("latency_us/count"), 20);
    assert_eq!(outcome.count("connections/opened_total"), 2);
    let requests = server.requests();
    assert_eq!(requests.len(), 50);
    assert!(
        requests
            .iter()
            .all(|request| request.head == requests[0].head && request.body.len() == 100_000)
    );
}

#[test]
fn idle_connections_have_their_responses_before_the_measured_part_begins() {
    let server = answering();
    load(&server, "--connections 2 --requests 50 --idle 300 --threads 2");
    let seen = server.seen();
    let (idle, busy) = seen.split_at(300);
    let last = idle.iter().map(|seen| seen.requests[0].at).max().expect("some");
    assert!(busy.iter().flat_map(|seen| &seen.requests).all(|request| request.at >= last));
}

#[test]
fn idle_connections_that_the_server_closes_disturb_no_other() {
    let server =
        Server::greeting(|connection, _| if connection < 5 { After::Close } else { After::Keep });
    let outcome = load(&server, "--connections 2 --idle 5 --duration 300ms");
    outcome.assert_errors(&[]);
    assert!(outcome.completed() > 0);
    assert_eq!(outcome.count("connections/idle_answered"), 0);
}

#[test]
fn idle_connections_that_are_closed_after_their_response_are_not_held() {
    let last = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let server = Server::answering(*last, After::Close);
    let outcome = load(&server, "--connections 2 --idle 5 --duration 300ms");
    assert_eq!(outcome.count("connections/idle_established"), 0);
    assert_eq!(outcome.check("starvation").0, "fail");
}

/// Returns a server that answers only four connections, as a pool does whose four workers stay with
/// their connections.
fn of_four_workers() -> Server {
    Server::start(|request, socket| match request.connection {
        0..4 => socket.write_all(OK).map(|()| After::Keep),
        _ => Ok(After::Hold),
    })
}

#[test]
fn a_server_that_answers_few_idle_connections_does_not_hold_up_the_run() {
    // More connections than the generator opens at the same time.
    let outcome =
        load(&of_four_workers(), "--connections 2 --idle 300 --duration 300ms --timeout 500ms");
    assert_eq!(outcome.count("connections/idle_established"), 300, "{:#}", outcome.json);
    assert_eq!(outcome.count("connections/idle_answered"), 4, "{:#}", outcome.json);
    let (verdict, detail) = outcome.check("starvation");
    assert_eq!(verdict, "fail");
    assert!(detail.contains("4 of 300 idle connections were answered"), "{detail}");
}

#[test]
fn a_run_is_interrupted_while_idle_connections_wait_for_their_responses() {
    let server = of_four_workers();
    let arguments = words("--connections 2 --idle 10 --duration 10m --timeout 10m");
    let run = Load::start(&server.url(), &arguments);
    wait::until("they ask", || server.requests().len() == 10);
    run.interrupt();
    let outcome = run.outcome(Duration::from_secs(10));
    // The generator may not have read all responses of the server yet.
    assert!(outcome.count("connections/idle_answered") <= 4, "{:#}", outcome.json);
    assert_eq!(outcome.count("requests/sent"), 0);
}

#[test]
fn a_connect_rate_bounds_how_fast_connections_come() {
    assert_eleven_come_one_by_one("--connections 11 --connect-rate 20");
}

#[test]
fn a_connect_rate_bounds_idle_connections_too() {
    assert_eleven_come_one_by_one("--connections 1 --idle 10 --connect-rate 20");
}

#[track_caller]
fn assert_eleven_come_one_by_one(arguments: &str) {
    let between_first_and_last = Cell::new(Duration::ZERO);
    let run = || {
        let server = answering();
        let outcome = load(&server, &format!("{arguments} --duration 300ms"));
        let accepted: Vec<_> = server.seen().iter().map(|seen| seen.accepted).collect();
        assert_eq!(accepted.len(), 11);
        let (first, last) =
            (accepted.iter().min().expect("some"), accepted.iter().max().expect("some"));
        between_first_and_last.set(last.duration_since(*first));
        outcome
    };
    // Ten gaps of 50 ms. The server may have accepted the first connection late, and so see a
    // shorter time.
    until_shown("they come one after the other", run, |_| {
        between_first_and_last.get() >= Duration::from_millis(450)
    });
}

#[test]
fn a_connect_rate_bounds_short_connections_too() {
    let run = || {
        let server = answering();
        let outcome =
            load(&server, "--connections 4 --connect-rate 100 --lifetime short --duration 500ms");
        outcome.assert_errors(&[]);
        // Fifty connections, and the first ones, which may be answered late.
        assert!(outcome.completed() <= 60, "{}", outcome.completed());
        outcome
    };
    until_shown("as many connections as the rate allows", run, |outcome| outcome.completed() >= 30);
}

#[test]
fn a_target_of_ipv6_is_reached() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no ::1");
        return;
    }
    let script = |_: &Request, socket: &mut std::net::TcpStream| {
        std::io::Write::write_all(socket, OK).map(|()| After::Keep)
    };
    let server = Server::build("[::1]:0", script, |_, _| After::Keep, None);
    let outcome = load_url(&server.url(), &words("--connections 2 --requests 10"));
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 10);
    assert!(
        server.requests()[0]
            .head
            .contains(&format!("\r\nHost: [::1]:{}\r\n", server.address.port()))
    );
}

/// Returns a server that takes 30 ms to start each connection, one after the other, as a parent
/// that forks does while it gets processor time.
fn starting_one_by_one() -> Server {
    static STARTS: std::sync::Mutex<()> = std::sync::Mutex::new(());
    Server::start(|request, socket| {
        if request.number == 0 {
            let _start = STARTS.lock();
            std::thread::sleep(Duration::from_millis(30));
        }
        socket.write_all(OK).map(|()| After::Keep)
    })
}

#[test]
fn the_measured_part_begins_when_every_connection_has_started() {
    // The starts take 1.2 s, longer than the generator waits for a first response when none comes.
    let server = starting_one_by_one();
    let outcome = load(&server, "--connections 40 --duration 300ms");
    assert_eq!(outcome.count("connections/served"), 40);
    assert_eq!(outcome.count("start_up/unserved"), 0, "{:#}", outcome.json);
    assert_eq!(outcome.check("start-up").0, "pass");
    assert!(outcome.number("start_up/took_s") >= 1.2, "{:#}", outcome.json);
    // A connection that waits for its start does so before the measured part: none of that wait is
    // a latency.
    assert!(outcome.number("latency_us/max") < 1_000_000.0, "{:#}", outcome.json);
}

#[test]
fn connections_ask_once_and_wait_until_all_have_started() {
    let server = starting_one_by_one();
    load(&server, "--connections 10 --duration 100ms");
    let seen = server.seen();
    let started = seen.iter().map(|seen| seen.requests[0].at).max().expect("some");
    let early = seen.iter().flat_map(|seen| &seen.requests).filter(|request| request.number > 0);
    assert!(early.map(|request| request.at).all(|at| at >= started));
}

#[test]
fn a_warm_up_that_ended_without_a_start_says_so() {
    // The last two of ten connections start after 1.2 s without any response.
    let server = Server::start(|request, socket| {
        if request.number == 0 && request.connection >= 8 {
            std::thread::sleep(Duration::from_millis(1200));
        }
        socket.write_all(OK).map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 10 --duration 600ms");
    assert_eq!(outcome.count("start_up/unserved"), 2, "{:#}", outcome.json);
    let (verdict, detail) = outcome.check("start-up");
    assert_eq!(verdict, "fail");
    assert!(
        detail.starts_with("the warm-up ended with 2 of 10 connections never served"),
        "{detail}"
    );
}

#[test]
fn connections_that_were_never_asked_for_anything_are_not_starved() {
    for (arguments, requests) in [
        ("--connections 64 --requests 10", 10),
        ("--connections 64 --requests 10 --warmup 50ms", 10),
        // More than twice as many requests as connections; the case before has fewer.
        ("--connections 64 --requests 150 --warmup 50ms", 150),
        ("--connections 64 --rate 100 --requests 10", 10),
        ("--connections 64 --rate 100 --duration 100ms --lifetime short", 10),
    ] {
        let run = || load(&answering(), arguments);
        // The run is repeated if the machine stalls at the end of an open loop.
        let outcome =
            until_shown("all are answered", run, |outcome| outcome.completed() == requests);
        assert_eq!(outcome.count("connections/starved"), 0, "{arguments}: {:#}", outcome.json);
        let (served, unasked) =
            (outcome.count("connections/served"), outcome.count("connections/never_asked"));
        assert_eq!(served + unasked, 64, "{arguments}: {:#}", outcome.json);
        assert_eq!(outcome.check("starvation").0, "pass", "{arguments}");
    }
}

#[test]
fn a_connection_without_a_response_is_starved_even_if_there_are_few_requests() {
    let run = || {
        let server = Server::start(|request, socket| {
            if request.connection == 0 {
                return Ok(After::Hold);
            }
            socket.write_all(OK).map(|()| After::Keep)
        });
        let outcome = load(&server, "--connections 4 --requests 7 --timeout 300ms");
        assert!(outcome.count("connections/starved") >= 1, "{:#}", outcome.json);
        assert_eq!(outcome.check("starvation").0, "fail");
        outcome
    };
    // Other connections are starved, too, if the machine stalls for as long as the timeout.
    until_shown("one is starved", run, |outcome| outcome.count("connections/starved") == 1);
}
