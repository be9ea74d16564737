//! Statuses of responses, and the lines and headers that go with each.

/// The statuses that this server answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
#[expect(missing_docs, reason = "each is the status of its name in RFC 9110, section 15")]
pub enum Status {
    Ok = 200,
    Found = 302,
    BadRequest = 400,
    NotFound = 404,
    MethodNotAllowed = 405,
    RequestTimeout = 408,
    ContentTooLarge = 413,
    UriTooLong = 414,
    ExpectationFailed = 417,
    RequestHeaderFieldsTooLarge = 431,
    InternalServerError = 500,
    NotImplemented = 501,
    ServiceUnavailable = 503,
    HttpVersionNotSupported = 505,
}

impl Status {
    /// Returns the status line without its line end. It always says `HTTP/1.1`: a server answers in
    /// its own version (RFC 9110, 6.2).
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Ok => "HTTP/1.1 200 OK",
            Self::Found => "HTTP/1.1 302 Found",
            Self::BadRequest => "HTTP/1.1 400 Bad Request",
            Self::NotFound => "HTTP/1.1 404 Not Found",
            Self::MethodNotAllowed => "HTTP/1.1 405 Method Not Allowed",
            Self::RequestTimeout => "HTTP/1.1 408 Request Timeout",
            Self::ContentTooLarge => "HTTP/1.1 413 Content Too Large",
            Self::UriTooLong => "HTTP/1.1 414 URI Too Long",
            Self::ExpectationFailed => "HTTP/1.1 417 Expectation Failed",
            Self::RequestHeaderFieldsTooLarge => "HTTP/1.1 431 Request Header Fields Too Large",
            Self::InternalServerError => "HTTP/1.1 500 Internal Server Error",
            Self::NotImplemented => "HTTP/1.1 501 Not Implemented",
            Self::ServiceUnavailable => "HTTP/1.1 503 Service Unavailable",
            Self::HttpVersionNotSupported => "HTTP/1.1 505 HTTP Version Not Supported",
        }
    }

    /// Returns the status in words, for a person who reads the response.
    pub(super) fn text(self) -> &'static str {
        &self.line()["HTTP/1.1 ".len()..]
    }

    /// Returns the headers that this status needs beside those of every response.
    pub(super) fn headers(self) -> &'static str {
        match self {
            Self::Found => "Location: /\r\n",
            Self::MethodNotAllowed => "Allow: GET, HEAD\r\n",
            Self::ServiceUnavailable => "Retry-After: 1\r\n",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_holds_its_number() {
        for status in
            [Status::Ok, Status::Found, Status::UriTooLong, Status::HttpVersionNotSupported]
        {
            assert!(status.text().starts_with(&(status as u16).to_string()));
        }
    }
}
