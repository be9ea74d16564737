//! Follows redirections once, before the run, so that the run measures the URL at which they end.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::head::{head_end, with_head};
use crate::protocol_error::{MAX_HEAD_BYTES, Reason};
use crate::reach::reach;
use crate::run::RunError;
use crate::target::{Request, Target, TargetError};

/// Most redirections that are followed, about as many as browsers and curl follow.
const MAX_REDIRECTIONS: usize = 20;

/// Reason why redirections could not be followed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum FollowError {
    #[error("cannot ask {url}: {error}")]
    Io { url: String, error: io::Error },
    #[error("cannot follow {url}: {reason}")]
    NoAnswer { url: String, reason: Reason },
    #[error("{0} redirects, but not to a location that can be followed")]
    NoLocation(String),
    #[error("{0} is still redirected after {MAX_REDIRECTIONS} redirections")]
    TooMany(String),
    #[error(transparent)]
    Unreachable(#[from] RunError),
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Sends `request` to `target` and follows redirections until a response is not a redirection.
///
/// # Errors
/// When a server does not respond within `timeout`, or a redirection cannot be followed.
pub fn follow(target: Target, request: &Request, timeout: Duration) -> Result<Target, FollowError> {
    let first = target.url.clone();
    let mut target = target;
    for _ in 0..=MAX_REDIRECTIONS {
        let url = || target.url.clone();
        let stream = TcpStream::connect_timeout(&target.addresses[0], timeout)
            .map_err(|error| RunError::Unreachable { url: url(), error })?;
        let head = ask(stream, &target.render(request, true), timeout)
            .map_err(|error| FollowError::Io { url: url(), error })?;
        let Some(location) = location(&head, &target.url)? else { return Ok(target) };
        let next = target.redirected(&location)?;
        target = if next.is_same_origin(&target) { next } else { reach(next, request, timeout)? };
    }
    Err(FollowError::TooMany(first))
}

/// Sends the request and returns the head of the response. Interim responses before it are skipped
/// (RFC 9110, section 15.2).
fn ask(mut stream: TcpStream, request: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
    let began = Instant::now();
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(request)?;
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match head_end(&head, 0) {
            Some(end) if is_interim(&head[..end]) => drop(head.drain(..end)),
            Some(end) => {
                head.truncate(end);
                return Ok(head);
            }
            // Too long for a head; the parser refuses it.
            None if head.len() > MAX_HEAD_BYTES => return Ok(head),
            // Each read has its own timeout, which a server that never stops sending does not
            // exceed.
            None if began.elapsed() > timeout => return Err(io::ErrorKind::TimedOut.into()),
            None => match stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => head.extend_from_slice(&buffer[..read]),
            },
        }
    }
}

/// Returns true if this is the head of an interim response, which the final response follows. No
/// response follows an unrequested 101.
fn is_interim(head: &[u8]) -> bool {
    with_head(head, |response| Ok(matches!(response.code, Some(100 | 102..200)))).unwrap_or(false)
}

/// Returns the URL that a response redirects to, if it does.
fn location(head: &[u8], url: &str) -> Result<Option<String>, FollowError> {
    let found = with_head(head, |response| {
        let field =
            response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("location"));
        let value = field.and_then(|header| std::str::from_utf8(header.value.trim_ascii()).ok());
        Ok((response.code, value.map(str::to_owned)))
    });
    match found.map_err(|reason| FollowError::NoAnswer { url: url.into(), reason })? {
        (Some(301 | 302 | 303 | 307 | 308), None) => Err(FollowError::NoLocation(url.into())),
        (Some(301 | 302 | 303 | 307 | 308), location) => Ok(location),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_where_a_redirection_leads() {
        let location =
            |head: &[u8]| super::location(head, "http://a/").map_err(|error| error.to_string());
        assert_eq!(location(b"HTTP/1.1 302 Found\r\nlocation: /x\r\n\r\n"), Ok(Some("/x".into())));
        assert_eq!(location(b"HTTP/1.1 302 Found\nLocation:\n  /x\n\n"), Ok(Some("/x".into())));
        assert_eq!(location(b"HTTP/1.1 200 OK\r\nLocation: /x\r\n\r\n"), Ok(None));
        assert!(
            location(b"HTTP/1.1 301 Moved\r\n\r\n")
                .is_err_and(|error| error.contains("not to a location"))
        );
        assert!(
            location(b"SSH-2.0\r\n")
                .is_err_and(|error| error.starts_with("cannot follow http://a/: "))
        );
    }
}
