//! Redirections, followed once and before anything is measured: what is measured is where they end.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::reach::reach;
use crate::run::RunError;
use crate::target::{Request, Target, TargetError};

/// As browsers and curl have it, give or take.
const MAX_REDIRECTIONS: usize = 20;

/// Heads are far smaller; one that is not has no place for us to go.
const MAX_HEAD_BYTES: u64 = 64 * 1024;

/// Why redirections could not be followed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum FollowError {
    #[error("cannot ask {url}: {error}")]
    Io { url: String, error: io::Error },
    #[error("{0} redirects without saying where in a way that can be followed")]
    NoLocation(String),
    #[error("{0} is still redirected after {MAX_REDIRECTIONS} redirections")]
    TooMany(String),
    #[error(transparent)]
    Unreachable(#[from] RunError),
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Asks `target` and goes where it redirects to, until there is an answer of another kind.
///
/// # Errors
/// When a server cannot be asked within `timeout`, or the chain leads nowhere.
pub fn follow(target: Target, request: &Request, timeout: Duration) -> Result<Target, FollowError> {
    let first = target.url.clone();
    let mut target = target;
    for _ in 0..=MAX_REDIRECTIONS {
        let url = || target.url.clone();
        let stream = TcpStream::connect_timeout(&target.addresses[0], timeout)
            .map_err(|error| RunError::Unreachable { url: url(), error })?;
        let head = ask(stream, &target.render(request, true), timeout)
            .map_err(|error| FollowError::Io { url: url(), error })?;
        let Some(location) = location(&head).map_err(|()| FollowError::NoLocation(target.url.clone()))?
        else {
            return Ok(target);
        };
        let next = target.redirected(&location)?;
        target = if next.is_same_origin(&target) { next } else { reach(next, timeout)? };
    }
    Err(FollowError::TooMany(first))
}

/// The head of the answer, with whatever came along.
fn ask(mut stream: TcpStream, request: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(request)?;
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while memchr::memmem::find(&head, b"\r\n\r\n").is_none() && (head.len() as u64) < MAX_HEAD_BYTES {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => head.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(head)
}

/// Where an answer redirects to, if it does.
fn location(head: &[u8]) -> Result<Option<String>, ()> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(head).map_err(|_| ())?;
    if !matches!(response.code, Some(301 | 302 | 303 | 307 | 308)) {
        return Ok(None);
    }
    let field = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("location"));
    let value = field.and_then(|header| std::str::from_utf8(header.value).ok());
    value.map(|value| Some(value.to_owned())).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_a_redirection_leads() {
        assert_eq!(location(b"HTTP/1.1 302 Found\r\nlocation: /x\r\n\r\n"), Ok(Some("/x".into())));
        assert_eq!(location(b"HTTP/1.1 200 OK\r\nLocation: /x\r\n\r\n"), Ok(None));
        assert_eq!(location(b"HTTP/1.1 301 Moved\r\n\r\n"), Err(()));
    }
}
