//! URLs and redirections: the target that is requested, the server that is asked, and the
//! credentials that are sent.

use std::io::Write;

use crate::command::{load_url, words};
use crate::server::{After, OK, Server};

const ONCE: &str = "--connections 1 --requests 1";

fn answering() -> Server {
    Server::answering(OK, After::Keep)
}

/// Returns a server that redirects to these locations in turn, and answers the requests after that.
fn redirecting(locations: Vec<String>) -> Server {
    Server::start(move |request, socket| match locations.get(request.total) {
        Some(to) => {
            let head = format!("HTTP/1.1 307 Go On\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            socket.write_all(head.as_bytes()).map(|()| After::Close)
        }
        None => socket.write_all(OK).map(|()| After::Keep),
    })
}

fn lines(server: &Server) -> Vec<String> {
    let line = |head: &str| head.lines().next().unwrap_or_default().to_owned();
    server.requests().iter().map(|request| line(&request.head)).collect()
}

#[test]
fn a_query_without_a_path_asks_for_the_root() {
    let server = answering();
    let outcome = load_url(&format!("http://{}?x=1", server.address), &words(ONCE));
    outcome.assert_errors(&[]);
    assert_eq!(lines(&server)[0], "GET /?x=1 HTTP/1.1");
}

#[test]
fn locations_are_resolved_as_browsers_do() {
    let end = redirecting(vec!["#here".into(), "/end#there".into()]);
    let locations = ["ok", "./deep/er", "../up", "?x"].map(str::to_owned);
    let start =
        redirecting(locations.into_iter().chain([format!("//{}/b c", end.address)]).collect());
    let outcome = load_url(&start.url(), &[&["--follow"][..], &words(ONCE)].concat());
    outcome.assert_errors(&[]);
    assert_eq!(
        lines(&start),
        ["/", "/ok", "/deep/er", "/up", "/up?x"].map(|path| format!("GET {path} HTTP/1.1"))
    );
    assert_eq!(
        lines(&end)[..3],
        ["/b%20c", "/b%20c", "/end"].map(|path| format!("GET {path} HTTP/1.1"))
    );
    assert_eq!(outcome.json["target"], format!("http://{}/end", end.address));
}

#[test]
fn user_and_password_are_sent_to_their_own_server_and_not_shown() {
    let end = answering();
    let start = redirecting(vec!["/again".into(), end.url()]);
    let url = format!("http://user:pa%73s@{}/", start.address);
    let outcome =
        load_url(&url, &[&["--follow", "--header", "Cookie: c"][..], &words(ONCE)].concat());
    outcome.assert_errors(&[]);
    let requests = start.requests();
    assert_eq!(requests.len(), 2);
    // Base64 of `user:pass`.
    assert!(
        requests
            .iter()
            .all(|request| request.head.contains("Authorization: Basic dXNlcjpwYXNz\r\n"))
    );
    assert!(requests.iter().all(|request| request.head.contains("Cookie: c\r\n")));
    for request in end.requests() {
        assert!(
            !request.head.contains("Authorization") && !request.head.contains("Cookie"),
            "{}",
            request.head
        );
    }
    let direct = load_url(&url, &words(ONCE));
    assert_eq!(direct.json["target"], format!("http://user@{}/", start.address));
    assert!(!direct.json.to_string().contains("pa%73s"));
}

#[test]
fn the_unspecified_address_means_this_machine() {
    let server = answering();
    let outcome = load_url(&format!("http://0.0.0.0:{}/", server.address.port()), &words(ONCE));
    outcome.assert_errors(&[]);
    assert_eq!(outcome.json["addresses"]["used"][0], server.address.to_string());
}
