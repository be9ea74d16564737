//! Server and content of the requests: turns a URL into addresses and the bytes of a request.
//!
//! The `url` crate parses URLs and resolves redirections (WHATWG URL, which agrees with RFC 3986,
//! section 5.2): it removes dot segments and percent-encodes some characters, as browsers do;
//! METHODOLOGY.md lists them. A URL that the parser would silently change, by removing tabs or by
//! turning backslashes into slashes, is refused.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use url::{Host, Position, Url};

use crate::addresses::LeftOut;
use crate::lookup::look_up;

/// Fields that are meant for one server and are not sent to another one that it redirects to, as in
/// curl: the first two may be secret, and the third would be wrong.
const OF_ONE_ORIGIN: [&str; 3] = ["authorization", "cookie", "host"];

/// A server, and the URL that is requested from it.
#[derive(Debug, Clone)]
pub struct Target {
    /// URL that is requested, without a password.
    pub url: String,
    /// All addresses of its host, families interleaved; connections use them in turn.
    pub addresses: Vec<SocketAddr>,
    /// Time that the resolver took for the host, and for the hosts that redirected to it; `None` if
    /// all of them are addresses.
    pub lookup: Option<Duration>,
    /// Further addresses that [`reach`](fn@crate::reach) left out.
    pub left_out: Vec<LeftOut>,
    location: Url,
    /// True if another server redirected to it.
    is_foreign: bool,
}

/// Content of a request, apart from its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, as written on the request line.
    pub method: String,
    /// Header fields, sent in this order after `Host`; a `Host` among them takes its place.
    pub headers: Vec<(String, String)>,
    /// The body; it is sent with its `Content-Length`. An empty one has a `Content-Length` if the
    /// method gives a body a meaning (POST, PUT, PATCH).
    pub body: Vec<u8>,
}

impl Default for Request {
    fn default() -> Self {
        Self { method: "GET".into(), headers: Vec::new(), body: Vec::new() }
    }
}

/// Reason why a URL cannot be a target.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum TargetError {
    #[error("`{url}` is not a URL: {reason}; write http://HOST[:PORT]/PATH")]
    Malformed { url: String, reason: String },
    #[error(
        "`{0}` is https, which is not supported; measure the http:// port behind the TLS termination"
    )]
    Https(String),
    #[error(
        "`{0}` has a link-local address, which needs a zone (the name of a network card), and a URL \
         can't have one; use another address of the server"
    )]
    LinkLocal(String),
    #[error(
        "cannot resolve `{host}`: {error}; check the name, /etc/hosts, and the name servers in \
         /etc/resolv.conf"
    )]
    Unresolved { host: String, error: std::io::Error },
}

/// Creates an error that is one line, no matter which characters the URL has.
fn malformed(url: &str, reason: impl Into<String>) -> TargetError {
    let mut escaped = String::new();
    for character in url.chars() {
        if character.is_control() {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    TargetError::Malformed { url: escaped, reason: reason.into() }
}

impl Target {
    /// Reads a URL and resolves its host, once.
    pub fn resolve(url: &str) -> Result<Self, TargetError> {
        check_spelling(url)?;
        Self::at(Url::parse(url).map_err(|error| {
            if has_zone(url) {
                TargetError::LinkLocal(url.into())
            } else {
                malformed(url, error.to_string())
            }
        })?)
    }

    /// Resolves the host of a URL.
    fn at(location: Url) -> Result<Self, TargetError> {
        check_server(&location)?;
        let host = || location.host_str().unwrap_or_default().into();
        let lookup =
            look_up(&location).map_err(|error| TargetError::Unresolved { host: host(), error })?;
        Ok(Self {
            url: String::new(),
            addresses: lookup.addresses,
            lookup: lookup.took,
            left_out: Vec::new(),
            location,
            is_foreign: false,
        }
        .named())
    }

    /// Derives the reported URL from the location: without a fragment or a password.
    fn named(mut self) -> Self {
        self.location.set_fragment(None);
        let mut told = self.location.clone();
        // This fails only for URLs without a host.
        let _ = told.set_password(None);
        Self { url: told.into(), ..self }
    }

    /// Returns the target that a `Location` leads to (RFC 9110, section 10.2.2; RFC 3986, section
    /// 5.2).
    pub(crate) fn redirected(&self, location: &str) -> Result<Self, TargetError> {
        let mut url =
            self.location.join(location).map_err(|error| malformed(location, error.to_string()))?;
        if !is_same_origin(&url, &self.location) {
            let other = Self::at(url)?;
            let lookup = [self.lookup, other.lookup].into_iter().flatten().reduce(|a, b| a + b);
            return Ok(Self { is_foreign: true, lookup, ..other });
        }
        if url.username().is_empty() && url.password().is_none() {
            let _ = url.set_username(self.location.username());
            let _ = url.set_password(self.location.password());
        }
        // The addresses stay the same: a second lookup may fail, or return others.
        Ok(Self { location: url, ..self.clone() }.named())
    }

    /// Returns true if both are on the same host and port.
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        is_same_origin(&self.location, &other.location)
    }

    /// Returns true if the target is on this machine, as far as its addresses show it.
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().is_loopback())
    }

    /// Returns the bytes of a request; the `last` one of a connection asks the server to close it.
    pub fn render(&self, request: &Request, last: bool) -> Vec<u8> {
        let is_sent = |name: &str| {
            !(self.is_foreign && OF_ONE_ORIGIN.iter().any(|field| name.eq_ignore_ascii_case(field)))
        };
        let fields = || request.headers.iter().filter(|(name, _)| is_sent(name));
        let names = |name: &str| fields().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let path = &self.location[Position::BeforePath..Position::AfterQuery];
        let mut head = format!("{} {path} HTTP/1.1\r\n", request.method);
        let mut field = |name: &str, value: &str| head.extend([name, ": ", value, "\r\n"]);
        if !names("host") {
            field("Host", &self.location[Position::BeforeHost..Position::AfterPort]);
        }
        if let Some(credentials) = self.credentials().filter(|_| !names("authorization")) {
            field("Authorization", &credentials);
        }
        for (name, value) in fields() {
            field(name, value);
        }
        // An empty body has a length, too, if the method gives a body a meaning (RFC 9110, section
        // 8.6).
        let has_length =
            !request.body.is_empty() || matches!(&*request.method, "POST" | "PUT" | "PATCH");
        if has_length && !names("content-length") && !names("transfer-encoding") {
            field("Content-Length", &request.body.len().to_string());
        }
        if last && !names("connection") {
            field("Connection", "close");
        }
        head.push_str("\r\n");
        [head.as_bytes(), &request.body].concat()
    }

    /// Returns user and password of the URL as the value of a field (RFC 7617, section 2).
    fn credentials(&self) -> Option<String> {
        let (user, password) = (self.location.username(), self.location.password());
        if user.is_empty() && password.is_none() {
            return None;
        }
        let text = [user, ":", password.unwrap_or_default()].concat();
        Some(format!(
            "Basic {}",
            BASE64_STANDARD.encode(percent_decode_str(&text).collect::<Vec<_>>())
        ))
    }
}

/// Refuses a URL that the parser would shorten or turn into another URL.
fn check_spelling(url: &str) -> Result<(), TargetError> {
    let begins_with =
        |text: &str| url.get(..text.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(text));
    if begins_with("https://") {
        return Err(TargetError::Https(url.into()));
    }
    if !begins_with("http://") {
        return Err(malformed(url, "it does not begin with http://"));
    }
    if begins_with("http:///") {
        return Err(malformed(url, "it has no host"));
    }
    if url.contains(|character: char| character.is_control() || " \\".contains(character)) {
        return Err(malformed(
            url,
            "spaces, backslashes and control characters have to be percent-encoded",
        ));
    }
    Ok(())
}

/// Refuses a URL whose scheme, host or port can't be used.
fn check_server(url: &Url) -> Result<(), TargetError> {
    if matches!(url.host(), Some(Host::Ipv6(ip)) if ip.is_unicast_link_local()) {
        return Err(TargetError::LinkLocal(url.as_str().into()));
    }
    match url.scheme() {
        "http" if url.port() == Some(0) => Err(malformed(url.as_str(), "ports begin with 1")),
        "http" => Ok(()),
        "https" => Err(TargetError::Https(url.as_str().into())),
        _ => Err(malformed(url.as_str(), "it does not begin with http://")),
    }
}

/// Returns true if the host of a URL that the parser refuses is an address with a zone, as in
/// `http://[fe80::1%eth0]/`.
fn has_zone(url: &str) -> bool {
    let host = url.split_once("//[").and_then(|(_, rest)| rest.split_once(']'));
    host.is_some_and(|(host, _)| host.contains('%'))
}

fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(target: &Target, headers: &[(&str, &str)]) -> String {
        let headers =
            headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        String::from_utf8(target.render(&Request { headers, ..Request::default() }, false)).unwrap()
    }

    fn target(url: &str) -> Target {
        Target::resolve(url).unwrap()
    }

    #[test]
    fn renders_what_the_url_asks_for() {
        let target = target("http://127.0.0.1:8080/a?b=c");
        let text = String::from_utf8(target.render(&Request::default(), true)).unwrap();
        assert_eq!(
            text,
            "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_body_is_sent_with_its_length() {
        let target = target("http://[::1]");
        let request = Request {
            method: "POST".into(),
            headers: vec![("host".into(), "example".into())],
            body: b"hello".to_vec(),
        };
        let text = String::from_utf8(target.render(&request, false)).unwrap();
        assert_eq!(text, "POST / HTTP/1.1\r\nhost: example\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(target.addresses, ["[::1]:80".parse().unwrap()]);
    }

    #[test]
    fn the_request_line_has_the_path_that_curl_would_send() {
        for (url, line) in [
            ("http://127.0.0.1?x=1", "/?x=1"),
            ("http://127.0.0.1:8080?x=1#y", "/?x=1"),
            ("http://127.0.0.1/a/../b/./c", "/b/c"),
            ("http://127.0.0.1/../etc", "/etc"),
            ("http://127.0.0.1/%2e%2e/%41", "/%41"),
            ("http://127.0.0.1//a?b=/../c", "//a?b=/../c"),
            ("http://127.0.0.1/\u{fc}?\u{fc}", "/%C3%BC?%C3%BC"),
        ] {
            let text = sent(&target(url), &[]);
            assert!(
                text.starts_with(&format!("GET {line} HTTP/1.1\r\nHost: 127.0.0.1")),
                "{url}: {text}"
            );
        }
        assert!(sent(&target("http://127.0.0.1:80/"), &[]).contains("Host: 127.0.0.1\r\n"));
    }

    #[test]
    fn the_characters_that_are_sent_percent_encoded_are_those_of_the_documentation() {
        let changed = |before: &str| {
            let sent = |graphic: &char| target(&format!("http://127.0.0.1/{before}{graphic}x")).url;
            let graphics = ('!'..='~').filter(|graphic| !"?#\\".contains(*graphic));
            graphics
                .filter(|graphic| !sent(graphic).ends_with(&format!("{graphic}x")))
                .collect::<String>()
        };
        assert_eq!(changed("a"), "\"<>`{}");
        assert_eq!(changed("a?"), "\"'<>");
    }

    #[test]
    fn an_empty_body_has_a_length_where_the_method_gives_it_a_meaning() {
        let target = Target::resolve("http://127.0.0.1/").unwrap();
        let text = |method: &str| {
            let request = Request { method: method.into(), ..Request::default() };
            String::from_utf8(target.render(&request, false)).unwrap()
        };
        for method in ["POST", "PUT", "PATCH"] {
            assert!(text(method).contains("\r\nContent-Length: 0\r\n"), "{method}");
        }
        for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
            assert!(!text(method).contains("Content-Length"), "{method}");
        }
    }

    #[test]
    fn goes_where_a_location_leads() {
        let from = target("http://127.0.0.1:8080/a/b?c");
        for (location, url) in [
            ("/b#c", "http://127.0.0.1:8080/b"),
            ("ok", "http://127.0.0.1:8080/a/ok"),
            ("./ok", "http://127.0.0.1:8080/a/ok"),
            ("../ok/", "http://127.0.0.1:8080/ok/"),
            ("?x", "http://127.0.0.1:8080/a/b?x"),
            ("", "http://127.0.0.1:8080/a/b?c"),
            ("//127.0.0.2/y", "http://127.0.0.2/y"),
            ("http://127.0.0.1:81/", "http://127.0.0.1:81/"),
            ("/a b", "http://127.0.0.1:8080/a%20b"),
        ] {
            assert_eq!(from.redirected(location).unwrap().url, url, "{location}");
        }
        assert!(matches!(from.redirected("https://127.0.0.1/"), Err(TargetError::Https(_))));
        for location in ["ftp://127.0.0.1/", "//127.0.0.1:0/", "mailto:a@b"] {
            assert!(
                matches!(from.redirected(location), Err(TargetError::Malformed { .. })),
                "{location}"
            );
        }
    }

    #[test]
    fn a_redirection_on_the_same_host_needs_no_resolver() {
        let mut from = target("http://127.0.0.1:8080/");
        // The resolver does not know this name (RFC 6761, section 6.4).
        from.location.set_host(Some("c10k.invalid")).unwrap();
        let led = from.redirected("/x").unwrap();
        assert_eq!((&*led.url, led.addresses), ("http://c10k.invalid:8080/x", from.addresses));
    }

    #[test]
    fn user_and_password_become_a_field_and_are_not_shown() {
        let target = target("http://Aladdin:open%20sesame@127.0.0.1/");
        // The example of RFC 7617, section 2.
        assert!(
            sent(&target, &[])
                .contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n")
        );
        assert_eq!(target.url, "http://Aladdin@127.0.0.1/");
        let text = sent(&target, &[("authorization", "Bearer x")]);
        assert_eq!(text.to_lowercase().matches("authorization").count(), 1, "{text}");
    }

    #[test]
    fn fields_for_one_server_are_not_sent_to_another() {
        let from = target("http://a:b@127.0.0.1:8080/");
        let headers =
            [("Cookie", "secret"), ("AUTHORIZATION", "secret"), ("Host", "one"), ("X", "y")];
        for location in ["c", "http://127.0.0.1:8080/c"] {
            let same = from.redirected(location).unwrap();
            assert!(sent(&same, &[]).contains("Authorization: Basic YTpi\r\n"), "{location}");
            assert_eq!(sent(&same, &headers).matches("secret").count(), 2);
        }
        let other = from.redirected("http://127.0.0.1:8081/").unwrap();
        assert_eq!(
            sent(&other, &headers),
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nX: y\r\n\r\n"
        );
        let further = other.redirected("/d").unwrap();
        assert!(!sent(&further, &headers).contains("secret"));
    }

    #[test]
    fn the_unspecified_address_is_this_machine() {
        for (url, address) in [
            ("http://0.0.0.0:81/", "127.0.0.1:81"),
            ("http://[::]:81/", "[::1]:81"),
            ("http://[::ffff:127.0.0.1]:81/", "127.0.0.1:81"),
        ] {
            let target = target(url);
            assert_eq!(target.addresses, [address.parse().unwrap()]);
            assert!(target.is_loopback());
        }
    }

    #[test]
    fn link_local_addresses_are_refused_with_their_reason() {
        for host in ["fe80::1", "fe80::1%25eth0", "fe80::1%eth0"] {
            let url = format!("http://[{host}]:80/");
            assert!(matches!(Target::resolve(&url), Err(TargetError::LinkLocal(_))), "{url}");
        }
        let led = target("http://127.0.0.1/").redirected("http://[fe80::1]/");
        assert!(matches!(led, Err(TargetError::LinkLocal(_))));
    }

    #[test]
    fn lookups_of_redirections_add_up() {
        let literal = target("http://127.0.0.1/");
        let named = Target { lookup: Some(Duration::from_millis(3)), ..literal.clone() };
        let lookup = |from: &Target, location| from.redirected(location).unwrap().lookup;
        assert_eq!(lookup(&literal, "http://127.0.0.1:81/"), None);
        assert_eq!(lookup(&named, "/here"), named.lookup);
        assert_eq!(lookup(&named, "http://127.0.0.1:81/"), named.lookup);
        assert!(lookup(&named, "http://localhost:81/") > named.lookup);
        assert!(lookup(&literal, "http://localhost:81/").is_some());
    }

    #[test]
    fn refuses_urls_that_it_cannot_request() {
        for url in [
            "",
            "127.0.0.1:80",
            "localhost:80",
            "ftp://a/",
            "http:/127.0.0.1/",
            "http://",
            "http:///x",
            "http://?x",
            "http://127.0.0.1:99999/",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:x/",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/a\tb",
            "http://127.0.0.1/\r\nX: y",
            "http://127.0.0.1\\a",
            " http://127.0.0.1/",
            "http://[::1/",
        ] {
            assert!(matches!(Target::resolve(url), Err(TargetError::Malformed { .. })), "{url}");
        }
        assert!(matches!(Target::resolve("https://127.0.0.1/"), Err(TargetError::Https(_))));
    }
}
