//! What a regular expression and splitting by hand get wrong about requests. Each test is a row of
//! `docs/PARSERS.md`: it shows what they make of the bytes, and what the HTTP core makes of them.

#[path = "../benches/support/parsers.rs"]
mod parsers;

use std::sync::Arc;

use c10k_servers::http::{Connection, HandlerPlacement, Service, Timeouts};
use c10k_servers::site::Site;

use parsers::{ALL, Request, by_httparse, by_regex, by_splitting};

/// Returns a request that has these lines after its first two.
fn with(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

/// Returns the value of the field with that name; `None` if there is no such field.
#[track_caller]
fn field<'a>(request: Option<Request<'a>>, name: &str) -> Option<&'a str> {
    let fields = request.expect("it takes the bytes for a request").fields;
    let found = fields.into_iter().find(|field| field.0.eq_ignore_ascii_case(name));
    found.map(|field| str::from_utf8(field.1).expect("it is text"))
}

/// Returns the status of the HTTP core's response; `None` if it waits for more.
fn status(bytes: impl AsRef<[u8]>) -> Option<u16> {
    let site = Arc::new(Site::embedded());
    let mut service = Service::new(site, Timeouts::default(), HandlerPlacement::InPlace);
    let mut connection = Connection::new(service.now());
    connection.receive(bytes.as_ref(), &mut service);
    let [output, _] = connection.pending_pieces();
    let digits = str::from_utf8(output.get(9..12)?).expect("a status is text");
    Some(digits.parse().expect("a status is a number"))
}

#[test]
fn all_take_a_plain_request_apart_in_the_same_way() {
    let request = with("Connection: close");
    let expected = Request {
        method: "GET",
        target: "/",
        version: "HTTP/1.1",
        fields: vec![("Host", b"a"), ("Connection", b"close")],
    };
    for (name, parse) in ALL {
        assert_eq!(parse(request.as_bytes()).as_ref(), Some(&expected), "{name}");
    }
    assert_eq!(status(request), Some(200));
}

mod regular_expression {
    use super::{by_httparse, by_regex, field, status, with};

    #[test]
    fn takes_a_part_for_the_whole() {
        let part = "POST / HTTP/1.1\r\nHost: a\r\nContent-Len";
        assert_eq!(by_regex(part.as_bytes()).map(|request| request.fields.len()), Some(1));
        assert_eq!((by_httparse(part.as_bytes()), status(part)), (None, None));
    }

    #[test]
    fn finds_fields_in_the_body() {
        let request = with("Content-Length: 12") + "Admin: yes\r\n";
        assert_eq!(field(by_regex(request.as_bytes()), "Admin"), Some("yes"));
        assert_eq!(field(by_httparse(request.as_bytes()), "Admin"), None);
    }

    #[test]
    fn misses_a_field_without_a_space_behind_its_colon() {
        let request = with("Content-Length:5") + "hello";
        assert_eq!(field(by_regex(request.as_bytes()), "Content-Length"), None);
        assert_eq!(field(by_httparse(request.as_bytes()), "Content-Length"), Some("5"));
        assert_eq!(status(request), Some(200));
    }

    #[test]
    fn passes_over_a_line_that_it_does_not_understand() {
        let request = with("Transfer-Encoding : chunked");
        assert_eq!(by_regex(request.as_bytes()).map(|request| request.fields.len()), Some(1));
        assert_eq!(status(request), Some(400));
    }

    #[test]
    fn keeps_the_spaces_around_a_value() {
        let request = with("Connection:  close ");
        assert_eq!(field(by_regex(request.as_bytes()), "Connection"), Some(" close "));
        assert_eq!(field(by_httparse(request.as_bytes()), "Connection"), Some("close"));
    }

    #[test]
    fn takes_letters_and_digits_of_every_alphabet() {
        let request = "GÈT / HTTP/١.١\r\nHost: a\r\n\r\n";
        let method = by_regex(request.as_bytes()).map(|request| request.method);
        assert_eq!(method, Some("GÈT"));
        assert_eq!(status(request), Some(400));
    }

    #[test]
    fn refuses_a_method_with_a_hyphen() {
        let request = "M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(by_regex(request.as_bytes()), None);
        assert!(by_httparse(request.as_bytes()).is_some());
        // 501: the server understands the request, and has no such method.
        assert_eq!(status(request), Some(501));
    }

    #[test]
    fn refuses_a_value_that_is_not_utf_8() {
        let request =
            [b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: Andr", &[0xe9][..], b"\r\n\r\n"].concat();
        assert_eq!(by_regex(&request), None);
        assert!(by_httparse(&request).is_some());
        assert_eq!(status(request), Some(200));
    }
}

mod splitting {
    use super::{by_httparse, by_splitting, field, status, with};

    #[test]
    fn cannot_tell_an_unfinished_request_from_a_wrong_one() {
        let part = "GET / HTTP/1.1\r\nHost: a\r\nConn";
        let wrong = "GARBAGE\r\n\r\n";
        assert_eq!((by_splitting(part.as_bytes()), by_splitting(wrong.as_bytes())), (None, None));
        assert_eq!((status(part), status(wrong)), (None, Some(400)));
    }

    #[test]
    fn takes_a_space_before_a_colon_for_nothing() {
        let request = with("Content-Length : 5") + "hello";
        assert_eq!(field(by_splitting(request.as_bytes()), "Content-Length"), Some("5"));
        assert_eq!(status(request), Some(400));
    }

    #[test]
    fn leaves_a_line_feed_inside_a_value() {
        let request = with("A: b\nContent-Length: 5");
        assert_eq!(field(by_splitting(request.as_bytes()), "A"), Some("b\nContent-Length: 5"));
        assert_eq!(field(by_splitting(request.as_bytes()), "Content-Length"), None);
        assert_eq!(status(request), Some(400));
    }

    #[test]
    fn takes_a_folded_line_for_a_field() {
        let request = with("A: b\r\n Content-Length: 5");
        assert_eq!(field(by_splitting(request.as_bytes()), "Content-Length"), Some("5"));
        assert_eq!(status(request), Some(400));
    }

    #[test]
    fn drops_all_words_behind_the_third() {
        let request = "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n";
        let parsed = by_splitting(request.as_bytes()).expect("it takes it for a request");
        assert_eq!((parsed.target, parsed.version), ("/a", "b"));
        assert_eq!(status(request), Some(400));
    }

    #[test]
    fn takes_a_method_of_no_letters() {
        let request = " / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(by_splitting(request.as_bytes()).map(|request| request.method), Some(""));
        assert_eq!(status(request), Some(400));
    }

    #[test]
    fn lets_control_characters_pass() {
        let request = with("A: b\0c\rd");
        assert_eq!(field(by_splitting(request.as_bytes()), "A"), Some("b\0c\rd"));
        assert_eq!(status(request), Some(400));
    }

    #[test]
    fn removes_spaces_that_are_a_part_of_the_value() {
        let request = with("Connection: close\u{a0}");
        assert_eq!(field(by_splitting(request.as_bytes()), "Connection"), Some("close"));
        assert_eq!(field(by_httparse(request.as_bytes()), "Connection"), Some("close\u{a0}"));
    }

    #[test]
    fn stumbles_over_an_empty_line_before_the_request() {
        let request = "\r\n".to_owned() + &with("A: b");
        assert_eq!(by_splitting(request.as_bytes()), None);
        assert!(by_httparse(request.as_bytes()).is_some());
        assert_eq!(status(request), Some(200));
    }
}

#[test]
fn the_page_has_every_mistake() {
    let page = include_str!("../docs/PARSERS.md");
    let code = include_str!("parsers.rs");
    let tests: Vec<&str> = code
        .split("    #[test]\n    fn ")
        .skip(1)
        .filter_map(|rest| rest.split_once("()").map(|(name, _)| name))
        .collect();
    assert_eq!(tests.len(), 17);
    for name in tests {
        assert!(page.contains(&format!("`{name}`")), "{name} is not on the page");
    }
}
