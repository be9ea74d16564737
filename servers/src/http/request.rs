//! Strict parsing of the head of a request: everything that two parties could frame differently is
//! refused (RFC 9112, sections 2.2, 3, 6 and 11.2).

use std::net::Ipv6Addr;

use memchr::memchr;

use super::status::Status;

/// The longest head, from the request line to the empty line. Servers in the field allow 8 to 32
/// KiB.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The longest request line; RFC 9112, section 3, recommends at least 8000 bytes.
pub const MAX_REQUEST_LINE_BYTES: usize = 8 * 1024;

/// The most header fields; browsers send about 15, a chain of proxies some 30 more.
const MAX_HEADERS: usize = 100;

/// The longest body that is read; it is discarded, so the limit bounds time and not memory.
pub const MAX_BODY_BYTES: u64 = 16 * 1024 * 1024;

/// Supported versions of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// Method of a request, as far as this server distinguishes methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    /// A standard method that no resource here supports.
    Other,
}

/// Framing of the body of a request (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// A complete head, parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    pub method: Method,
    pub target: &'a [u8],
    pub version: Version,
    pub keep_alive: bool,
    pub framing: Framing,
    pub expects_continue: bool,
}

/// Finds the end of the head that `input` begins with, if the head is complete. `scanned` is the
/// number of bytes already searched, so that a head that comes byte by byte is still read in linear
/// time.
///
/// Each limit applies to the position of a byte, never to the number of bytes that came at once, so
/// that every split gets the same response.
pub fn find_end(input: &[u8], scanned: &mut usize) -> Result<Option<usize>, Status> {
    if input.len() > MAX_REQUEST_LINE_BYTES
        && memchr(b'\n', &input[..MAX_REQUEST_LINE_BYTES]).is_none()
    {
        return Err(Status::UriTooLong);
    }
    while let Some(offset) = memchr(b'\n', &input[*scanned..]) {
        let line_end = *scanned + offset;
        if line_end > MAX_HEAD_BYTES {
            return Err(Status::RequestHeaderFieldsTooLarge);
        }
        if line_end == 0 || input[line_end - 1] != b'\r' {
            return Err(Status::BadRequest);
        }
        *scanned = line_end + 1;
        if input[..line_end].ends_with(b"\r\n\r") {
            *scanned = 0;
            return Ok(Some(line_end + 1));
        }
    }
    *scanned = input.len();
    if input.len() > MAX_HEAD_BYTES { Err(Status::RequestHeaderFieldsTooLarge) } else { Ok(None) }
}

/// Parses a complete head that [`find_end`] has found.
pub fn parse(bytes: &[u8]) -> Result<Head<'_>, Status> {
    let mut headers = [const { std::mem::MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Status::RequestHeaderFieldsTooLarge),
        Err(httparse::Error::Version) => return parse_of_other_version(bytes),
        _ => return Err(Status::BadRequest),
    }
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(Status::BadRequest);
    };
    let version = if version == 0 { Version::Http10 } else { Version::Http11 };
    head(method, target.as_bytes(), version, request.headers)
}

/// Builds a head from its parsed parts.
fn head<'a>(
    method: &str,
    target: &'a [u8],
    version: Version,
    headers: &[httparse::Header<'_>],
) -> Result<Head<'a>, Status> {
    let fields = Fields::read(headers)?;
    if fields.hosts > 1 || (fields.hosts == 0 && version == Version::Http11) {
        return Err(Status::BadRequest);
    }
    Ok(Head {
        method: parse_method(method)?,
        target: origin_form(target)?,
        version,
        keep_alive: !fields.close && (version == Version::Http11 || fields.keep_alive),
        framing: fields.framing(version)?,
        expects_continue: fields.expects_continue && version == Version::Http11,
    })
}

/// Parses a head whose version the parser does not know. A later minor version is served as
/// HTTP/1.1 (RFC 9110, section 2.5); another major version is told apart from a line that is not
/// HTTP at all.
#[cold]
fn parse_of_other_version(bytes: &[u8]) -> Result<Head<'_>, Status> {
    let line_end = memchr(b'\r', bytes).unwrap_or(0);
    let (line, fields) = bytes.split_at(line_end);
    match line {
        // The version is supported, so something else is wrong with the line.
        [.., b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1'] => Err(Status::BadRequest),
        [before @ .., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => {
            parse_of_later_minor(bytes, before, fields)
        }
        [.., b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Status::HttpVersionNotSupported)
        }
        _ => Err(Status::BadRequest),
    }
}

/// Parses the line with a version that the parser knows, and the fields after the line separately.
fn parse_of_later_minor<'a>(
    bytes: &'a [u8],
    before: &[u8],
    fields: &[u8],
) -> Result<Head<'a>, Status> {
    let line = [before, b" HTTP/1.1\r\n\r\n"].concat();
    let mut request = httparse::Request::new(&mut []);
    request.parse(&line).map_err(|_| Status::BadRequest)?;
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Err(Status::BadRequest);
    };
    let target_begin = method.len() + 1;
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let fields = fields.strip_prefix(b"\r\n").ok_or(Status::BadRequest)?;
    match httparse::parse_headers(fields, &mut headers) {
        Ok(httparse::Status::Complete((length, headers))) if length == fields.len() => head(
            method,
            &bytes[target_begin..target_begin + target.len()],
            Version::Http11,
            headers,
        ),
        Err(httparse::Error::TooManyHeaders) => Err(Status::RequestHeaderFieldsTooLarge),
        _ => Err(Status::BadRequest),
    }
}

/// Parses a method. Methods are case-sensitive; an unregistered one is answered with 501 (RFC 9110,
/// section 9.1).
fn parse_method(method: &str) -> Result<Method, Status> {
    match method {
        "GET" => Ok(Method::Get),
        "HEAD" => Ok(Method::Head),
        "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => Ok(Method::Other),
        _ => Err(Status::NotImplemented),
    }
}

/// Returns the path and query of a target in any form that a request may have (RFC 9112, section
/// 3.2).
fn origin_form(target: &[u8]) -> Result<&[u8], Status> {
    if target.starts_with(b"/") || target == b"*" {
        return Ok(target);
    }
    match memchr::memmem::find(target, b"://") {
        Some(scheme) if target[..scheme].eq_ignore_ascii_case(b"http") => {
            behind_authority(&target[scheme + 3..])
        }
        // The target of CONNECT is an authority, which no method that is served here takes.
        None if target.contains(&b':') && has_host(target) => Ok(target),
        _ => Err(Status::BadRequest),
    }
}

/// Returns the path and query after the authority of an absolute target. A query without a path
/// belongs to the root, which takes no query.
fn behind_authority(rest: &[u8]) -> Result<&[u8], Status> {
    let (authority, path) = rest.split_at(memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len()));
    match path.first() {
        _ if !has_host(authority) => Err(Status::BadRequest),
        Some(b'/') => Ok(path),
        _ => Ok(b"/"),
    }
}

/// Returns true if `authority` is a host that is not empty, maybe with a port (RFC 9110, section
/// 4.2.1). A user name before it is refused (section 4.2.4).
fn has_host(authority: &[u8]) -> bool {
    !matches!(authority, [] | [b':', ..]) && is_host_and_port(authority)
}

/// Bytes of a registered name that stand for themselves (RFC 3986, section 3.2.2): unreserved ones
/// and sub-delims.
const IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"-._~!$&'()*+,;=";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

/// Returns true if `value` is `uri-host [":" port]` (RFC 9110, section 7.2). Both may be empty.
fn is_host_and_port(value: &[u8]) -> bool {
    if let Some(literal) = value.strip_prefix(b"[") {
        let Some(end) = memchr(b']', literal) else { return false };
        return is_address(&literal[..end]) && is_port(&literal[end + 1..]);
    }
    let mut rest = value;
    loop {
        let end = rest.iter().position(|&byte| !IN_NAME[usize::from(byte)]).unwrap_or(rest.len());
        match &rest[end..] {
            [b'%', high, low, behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest = behind;
            }
            port => return is_port(port),
        }
    }
}

/// Returns true if `text` is empty, or a colon and digits.
fn is_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Returns true if `literal` is an IPv6 address, or an address of a future version (RFC 3986,
/// section 3.2.2).
fn is_address(literal: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = literal {
        let version = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let address = rest[version..].strip_prefix(b".").unwrap_or_default();
        let is_valid = |&byte: &u8| byte == b':' || IN_NAME[usize::from(byte)];
        return version > 0 && !address.is_empty() && address.iter().all(is_valid);
    }
    std::str::from_utf8(literal).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Header fields that determine framing and persistence.
#[derive(Debug, Default)]
struct Fields {
    hosts: u32,
    length: Option<u64>,
    transfer_encoding: Option<Result<(), Status>>,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>]) -> Result<Self, Status> {
        let mut fields = Self::default();
        for header in headers {
            fields.take(header.name, header.value)?;
        }
        Ok(fields)
    }

    fn take(&mut self, name: &str, value: &[u8]) -> Result<(), Status> {
        // The length rules out almost every other header without a look at its letters.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => self.take_host(value),
            6 if name.eq_ignore_ascii_case("expect") => self.take_expect(value),
            10 if name.eq_ignore_ascii_case("connection") => {
                self.take_connection(value);
                Ok(())
            }
            14 if name.eq_ignore_ascii_case("content-length") => self.take_length(value),
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                self.take_transfer_encoding(value)
            }
            _ => Ok(()),
        }
    }

    fn take_host(&mut self, value: &[u8]) -> Result<(), Status> {
        self.hosts += 1;
        if is_host_and_port(value) { Ok(()) } else { Err(Status::BadRequest) }
    }

    fn take_expect(&mut self, value: &[u8]) -> Result<(), Status> {
        self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        if self.expects_continue { Ok(()) } else { Err(Status::ExpectationFailed) }
    }

    fn take_connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Takes the length of a body. A second length is refused even if it is the same: RFC 9112,
    /// section 6.3, allows accepting it too, but refusing is simpler.
    fn take_length(&mut self, value: &[u8]) -> Result<(), Status> {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number =
            std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match (self.length.replace(number.ok_or(Status::BadRequest)?), number) {
            (Some(_), _) => Err(Status::BadRequest),
            (None, Some(length)) if length > MAX_BODY_BYTES => Err(Status::ContentTooLarge),
            _ => Ok(()),
        }
    }

    fn take_transfer_encoding(&mut self, value: &[u8]) -> Result<(), Status> {
        if self.transfer_encoding.is_some() {
            return Err(Status::BadRequest);
        }
        let chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
        let codings = value.split(|&byte| byte == b',').count();
        let last = value.rsplit(|&byte| byte == b',').next().is_some_and(chunked);
        let chunked_codings =
            value.split(|&byte| byte == b',').filter(|coding| chunked(coding)).count();
        self.transfer_encoding = Some(match (codings, chunked_codings, last) {
            (1, 1, _) => Ok(()),
            // An unknown coding, with or without chunks. Any other value leaves the end of the body
            // undefined.
            (_, 1, true) | (1, 0, _) => Err(Status::NotImplemented),
            _ => Err(Status::BadRequest),
        });
        Ok(())
    }

    fn framing(&self, version: Version) -> Result<Framing, Status> {
        match (self.transfer_encoding, self.length) {
            (None, None | Some(0)) => Ok(Framing::None),
            (None, Some(length)) => Ok(Framing::Length(length)),
            // Both fields, or chunks from an HTTP/1.0 client, whose version has no chunks: patterns
            // of request smuggling.
            (Some(_), Some(_)) => Err(Status::BadRequest),
            (Some(_), None) if version == Version::Http10 => Err(Status::BadRequest),
            (Some(coding), None) => coding.map(|()| Framing::Chunked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(head: &str) -> Option<u16> {
        parse(head.as_bytes()).err().map(|status| status as u16)
    }

    #[test]
    fn reads_what_a_browser_sends() {
        let head =
            parse(b"GET /a?b=c HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\n\r\n")
                .unwrap();
        assert_eq!(head.target, b"/a?b=c");
        assert!(head.keep_alive);
        assert_eq!(head.framing, Framing::None);
    }

    #[test]
    fn persistence_follows_the_version_and_the_connection_options() {
        let keep_alive = |head: &str| parse(head.as_bytes()).unwrap().keep_alive;
        assert!(keep_alive("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!keep_alive("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\n\r\n"));
        assert!(!keep_alive("GET / HTTP/1.0\r\n\r\n"));
        assert!(keep_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
    }

    #[test]
    fn refuses_ambiguous_framing() {
        for fields in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999999\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked, gzip\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Content-Length : 1\r\n",
            "X: a\r\n b\r\n",
            "X: a\rb\r\n",
            "X: a\0b\r\n",
        ] {
            assert_eq!(
                status_of(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")),
                Some(400),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn refuses_with_the_status_that_says_why() {
        for (head, status) in [
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("GET / FTP/1.0\r\nHost: a\r\n\r\n", 400),
            ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
            ("get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413),
            ("POST / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n", 417),
        ] {
            assert_eq!(status_of(head), Some(status), "{head:?}");
        }
    }

    #[test]
    fn takes_a_target_in_absolute_form() {
        let target = |line: &str| {
            let head = format!("{line}\r\nHost: a\r\n\r\n");
            parse(head.as_bytes()).unwrap().target.to_vec()
        };
        assert_eq!(target("GET http://a/b?c HTTP/1.1"), b"/b?c");
        assert_eq!(target("GET HTTP://a HTTP/1.1"), b"/");
        assert_eq!(target("GET http://[::1]:80/b HTTP/1.1"), b"/b");
        assert_eq!(target("GET http://a?b=/c HTTP/1.1"), b"/");
    }

    #[test]
    fn takes_hosts_that_the_grammar_allows() {
        for host in [
            "",
            "a",
            "127.0.0.1:8080",
            "a:",
            "a-b.c_d~e:80",
            "a!$&'()*+,;=",
            "%61%2F",
            "xn--bcher-kva.example",
            "[::1]",
            "[::1]:80",
            "[::ffff:1.2.3.4]",
            "[v1.a:b]:80",
            ":80",
            "a:99999",
        ] {
            assert_eq!(
                status_of(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")),
                None,
                "{host}"
            );
        }
    }

    #[test]
    fn refuses_hosts_that_the_grammar_does_not_allow() {
        for host in [
            "a:b",
            "a:80x",
            "a:80:80",
            "a:-1",
            "::1",
            "u@a",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a,b c",
            "%",
            "%4",
            "%zz",
            "[",
            "]",
            "[]",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1]80",
            "[::1]:x",
            "[1.2.3.4]",
            "[::1%25lo]",
            "[:::1]",
            "[v.a]",
            "[v1.]",
            "[v1]",
            "a[::1]",
            "\u{fc}",
            "a\\b",
            "\"a\"",
            "<a>",
            "{a}",
            "a|b",
            "a^b",
            "a`b",
        ] {
            assert_eq!(
                status_of(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")),
                Some(400),
                "{host}"
            );
        }
    }

    #[test]
    fn refuses_absolute_targets_without_a_valid_host() {
        for target in [
            "http://",
            "http:///",
            "http:///a",
            "http://:80/",
            "http://?a",
            "http://u@a/",
            "http://u:p@a/",
            "http://a:b/",
            "http://a:80x",
            "http://[::1/",
            "http://a%zz/",
            "https://a/",
            "ftp://a/",
            "a:b",
            ":80",
        ] {
            assert_eq!(
                status_of(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")),
                Some(400),
                "{target}"
            );
        }
    }

    #[test]
    fn later_minor_versions_are_served_as_the_one_that_is_known() {
        for minor in 2..=9 {
            let text = format!("GET /a?b HTTP/1.{minor}\r\nHost: a\r\nConnection: x\r\n\r\n");
            let head = parse(text.as_bytes()).unwrap();
            assert_eq!(
                (head.target, head.version, head.keep_alive),
                (&b"/a?b"[..], Version::Http11, true)
            );
        }
        for (line, status) in [
            ("GET / HTTP/1.2\r\n", 400),
            ("GET / HTTP/1.2\r\nHost: a:b\r\n", 400),
            ("GET / HTTP/1.2\r\nHost: a\r\nno colon\r\n", 400),
            ("GET  / HTTP/1.2\r\nHost: a\r\n", 400),
            ("GET HTTP/1.2\r\nHost: a\r\n", 400),
            ("BREW / HTTP/1.2\r\nHost: a\r\n", 501),
            ("GET / HTTP/1.20\r\nHost: a\r\n", 400),
            ("GET / HTTP/0.9\r\nHost: a\r\n", 505),
            ("GET / HTTP/3.0\r\nHost: a\r\n", 505),
        ] {
            assert_eq!(status_of(&format!("{line}\r\n")), Some(status), "{line:?}");
        }
        let many = format!("GET / HTTP/1.2\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS));
        assert_eq!(status_of(&many), Some(431));
    }

    #[test]
    fn bounds_the_head_even_before_its_end() {
        let find = |input: &[u8]| find_end(input, &mut 0).map_err(|status| status as u16);
        assert_eq!(find(&vec![b'a'; MAX_REQUEST_LINE_BYTES + 1]), Err(414));
        let mut many = b"GET / HTTP/1.1\r\n".to_vec();
        many.resize(MAX_HEAD_BYTES, b'a');
        assert_eq!(find(&many), Ok(None));
        many.push(b'a');
        assert_eq!(find(&many), Err(431));
        many.extend_from_slice(b"\r\n\r\n");
        assert_eq!(find(&many), Err(431));
    }

    #[test]
    fn refuses_a_bare_line_feed() {
        for head in ["GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "\n"] {
            assert_eq!(find_end(head.as_bytes(), &mut 0), Err(Status::BadRequest), "{head:?}");
        }
    }
}
