//! Single requests and their responses: the status, the headers, the body, to the byte.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use super::{Behaviour, Outcome, behaviours};
use crate::client::{CLOSE, get, pattern};
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    answers_a_get_with_the_page_of_1_kib,
    answers_bytes_of_every_size_with_the_documented_pattern,
    runs_the_handlers_that_spin_and_sleep,
    serves_at_an_address_of_ipv6;
    by_family:
    writes_a_head_that_is_exactly_as_documented,
    answers_head_with_the_headers_of_get_and_no_body,
    redirects,
    answers_404_to_an_unknown_path,
    answers_405_with_what_is_allowed,
    refuses_with_the_status_that_says_why,
    ignores_the_query,
    takes_a_target_in_absolute_form,
    serves_a_later_minor_version_as_the_one_that_it_knows,
];

fn answers_a_get_with_the_page_of_1_kib(model: &Model) {
    let server = Server::start(model);
    let answer = server.connect().get("/");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.len(), 1024);
    assert_eq!(answer.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert!(answer.body.starts_with(b"<!"), "{:?}", String::from_utf8(answer.body));
}

fn serves_at_an_address_of_ipv6(model: &Model) -> Outcome {
    let here = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    if TcpListener::bind(here).is_err() {
        return Outcome::Skipped("this machine has no ::1".into());
    }
    let mut server = Server::launch(model).address(here).start();
    assert_eq!(server.address.ip(), here.ip());
    let mut client = server.connect();
    for length in [5, 100_000] {
        assert!(client.get(&format!("/bytes/{length}")).body == pattern(length), "{length}");
    }
    assert!(client.ask(CLOSE).closes());
    client.assert_ended();
    assert!(client.is_let_go());
    server.stop();
    Outcome::Shown
}

fn writes_a_head_that_is_exactly_as_documented(model: &Model) {
    let server = Server::start(model);
    let answer = server.connect().get("/bytes/5");
    let date = answer.header("Date").expect("a response has a date");
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    let expected = format!(
        "HTTP/1.1 200 OK\r\nServer: c10k\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nDate: {date}\r\n\r\n"
    );
    assert_eq!(answer.head, expected);
}

fn answers_bytes_of_every_size_with_the_documented_pattern(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    // Lengths around the limit between copying a body and sending it in place, around the pattern's
    // period, and the largest length.
    for length in [
        0, 1, 2, 63, 64, 1000, 4096, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 131_072,
        10_485_760, 16_777_216,
    ] {
        let answer = client.get(&format!("/bytes/{length}"));
        assert_eq!(answer.status, 200, "{length}");
        assert!(answer.body == pattern(length), "/bytes/{length} is not the pattern");
    }
    assert_eq!(client.get("/bytes/16777217").status, 404);
}

fn answers_head_with_the_headers_of_get_and_no_body(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for target in
        ["/", "/bytes/0", "/bytes/70000", "/bytes/16777216", "/redirect", "/nothing", "/spin/1"]
    {
        let with_body = client.get(target);
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let without = client.answer_without_body();
        assert_eq!(without_date(&without.head), without_date(&with_body.head));
    }
    // A body after the response to HEAD would be read here as part of the next response.
    assert_eq!(client.get("/").body.len(), 1024);
}

fn without_date(head: &str) -> Vec<&str> {
    head.lines().filter(|line| !line.starts_with("Date: ")).collect()
}

fn redirects(model: &Model) {
    let server = Server::start(model);
    let answer = server.connect().get("/redirect");
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("Location"), Some("/"));
}

fn runs_the_handlers_that_spin_and_sleep(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for target in ["/spin/0", "/spin/2000", "/sleep/0", "/sleep/2000"] {
        let begin = std::time::Instant::now();
        let answer = client.get(target);
        assert_eq!(answer.status, 200, "{target}");
        assert!(answer.body.len() < 100, "{target}");
        let least = if target.ends_with("2000") { 2 } else { 0 };
        assert!(begin.elapsed().as_millis() >= least, "{target} took no time");
    }
}

fn answers_404_to_an_unknown_path(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for target in [
        "/nothing",
        "/index.htm",
        "/bytes",
        "/bytes/",
        "/bytes/x",
        "/bytes/-1",
        "/bytes/99999999999999999999999",
        "/sleep/61000000",
        "/spin/61000000",
        "/redirect/",
        "/%",
        "/%zz",
    ] {
        assert_eq!(client.get(target).status, 404, "{target}");
    }
}

fn answers_405_with_what_is_allowed(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
        let answer = client.ask(format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("Allow"), Some("GET, HEAD"), "{method}");
        assert!(!answer.closes(), "{method}");
    }
}

fn refuses_with_the_status_that_says_why(model: &Model) {
    let server = Server::start(model);
    let long = "a".repeat(9000);
    let many = "X: y\r\n".repeat(101);
    for (request, status) in [
        ("GARBAGE\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), 400),
        (head("POST /", "Content-Length: 16777217"), 413),
        (get(&format!("/{long}")), 414),
        (head("GET /", "Expect: a-miracle"), 417),
        (head("GET /", &format!("A: {long}\r\nB: {long}")), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
        (head("BREW /", "A: b"), 501),
        (head("get /", "A: b"), 501),
        (head("POST /", "Transfer-Encoding: gzip"), 501),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), 505),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n".into(), 505),
    ] {
        let mut client = server.connect();
        let shown: String = request.chars().take(60).collect();
        let answer = client.ask(request);
        assert_eq!(answer.status, status, "{shown:?}");
        assert!(answer.closes(), "{shown:?}: {}", answer.head);
        client.assert_ended();
    }
}

fn head(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n")
}

fn ignores_the_query(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for (target, length) in [("/?", 1024), ("/?a=/b&c", 1024), ("/bytes/7?x=9", 7)] {
        let answer = client.get(target);
        assert_eq!((answer.status, answer.body.len()), (200, length), "{target}");
    }
}

fn serves_a_later_minor_version_as_the_one_that_it_knows(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for minor in [2, 9] {
        let answer = client.ask(format!("GET /bytes/3 HTTP/1.{minor}\r\nHost: [::1]:80\r\n\r\n"));
        assert_eq!((answer.status, answer.body.len()), (200, 3), "{}", answer.head);
        assert!(answer.head.starts_with("HTTP/1.1 ") && !answer.closes(), "{}", answer.head);
    }
}

fn takes_a_target_in_absolute_form(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    assert_eq!(client.get("http://localhost/bytes/7").body.len(), 7);
    assert_eq!(client.get("HTTP://localhost:1234").body.len(), 1024);
}
