//! Where the requests go and what they say: a URL becomes addresses and the bytes of a request.

use std::net::{SocketAddr, ToSocketAddrs};

use http::Uri;

/// A server and what is asked of it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The URL as given.
    pub url: String,
    /// All addresses of its host; connections take turns.
    pub addresses: Vec<SocketAddr>,
    host: String,
    path: String,
}

/// What a request says beside its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, as written on the request line.
    pub method: String,
    /// Header fields, sent in this order behind `Host`; a `Host` among them takes its place.
    pub headers: Vec<(String, String)>,
    /// The body; it is sent with its `Content-Length`, an empty one where the method gives a body a
    /// meaning (POST, PUT, PATCH).
    pub body: Vec<u8>,
}

impl Default for Request {
    fn default() -> Self {
        Self { method: "GET".into(), headers: Vec::new(), body: Vec::new() }
    }
}

/// Why a URL cannot be a target.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum TargetError {
    #[error("`{0}` is not a URL; write http://HOST[:PORT]/PATH")]
    Malformed(String),
    #[error("`{0}` is https, which is not supported; measure the http:// port behind the TLS termination")]
    Https(String),
    #[error("cannot resolve `{host}`: {error}")]
    Unresolved { host: String, error: std::io::Error },
}

impl Target {
    /// Reads a URL and resolves its host, once.
    pub fn resolve(url: &str) -> Result<Self, TargetError> {
        let malformed = || TargetError::Malformed(url.into());
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(TargetError::Https(url.into())),
            _ => return Err(malformed()),
        }
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(malformed)?;
        // A port that is no port is left out by the parser, not refused.
        let has_port = authority.as_str().len() > authority.host().len();
        if has_port && authority.port_u16().is_none() {
            return Err(malformed());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<_> = (host, authority.port_u16().unwrap_or(80))
            .to_socket_addrs()
            .map_err(|error| TargetError::Unresolved { host: host.into(), error })?
            .collect();
        if addresses.is_empty() {
            let error = std::io::ErrorKind::AddrNotAvailable.into();
            return Err(TargetError::Unresolved { host: host.into(), error });
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { url: url.into(), addresses, host: authority.as_str().into(), path })
    }

    /// The target that a `Location` leads to: a URL, or a path on the same server (RFC 9110, section 10.2.2).
    pub(crate) fn redirected(&self, location: &str) -> Result<Self, TargetError> {
        let location = location.split('#').next().unwrap_or_default();
        if location.starts_with('/') && !location.starts_with("//") {
            Self::resolve(&format!("http://{}{location}", self.host))
        } else {
            Self::resolve(location)
        }
    }

    /// Whether it is on this machine, as far as its addresses tell.
    pub fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().is_loopback())
    }

    /// The bytes of a request; `last` ones ask for the connection to be closed.
    pub fn render(&self, request: &Request, last: bool) -> Vec<u8> {
        let names = |name: &str| request.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method, self.path);
        let mut field = |name: &str, value: &str| head.extend([name, ": ", value, "\r\n"]);
        if !names("host") {
            field("Host", &self.host);
        }
        for (name, value) in &request.headers {
            field(name, value);
        }
        // RFC 9110, section 8.6: also the length of no body, where the method gives one a meaning.
        let has_length = !request.body.is_empty() || matches!(&*request.method, "POST" | "PUT" | "PATCH");
        if has_length && !names("content-length") && !names("transfer-encoding") {
            field("Content-Length", &request.body.len().to_string());
        }
        if last && !names("connection") {
            field("Connection", "close");
        }
        head.push_str("\r\n");
        [head.as_bytes(), &request.body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_the_url_asks_for() {
        let target = Target::resolve("http://127.0.0.1:8080/a?b=c").unwrap();
        let text = String::from_utf8(target.render(&Request::default(), true)).unwrap();
        assert_eq!(text, "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn a_body_is_sent_with_its_length() {
        let target = Target::resolve("http://[::1]").unwrap();
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
        let target = Target::resolve("http://127.0.0.1:8080/a").unwrap();
        assert_eq!(target.redirected("/b#c").unwrap().url, "http://127.0.0.1:8080/b");
        assert_eq!(target.redirected("http://127.0.0.1:81/").unwrap().url, "http://127.0.0.1:81/");
        assert!(matches!(target.redirected("https://127.0.0.1/"), Err(TargetError::Https(_))));
    }

    #[test]
    fn refuses_what_it_cannot_speak_to() {
        for url in
            ["", "127.0.0.1:80", "ftp://a/", "http://", "http://127.0.0.1:99999/", "http://u@127.0.0.1/"]
        {
            assert!(matches!(Target::resolve(url), Err(TargetError::Malformed(_))), "{url}");
        }
        assert!(matches!(Target::resolve("https://127.0.0.1/"), Err(TargetError::Https(_))));
    }
}
