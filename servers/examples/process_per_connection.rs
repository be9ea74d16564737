//! A process for each connection: the server accepts and forks, and the child serves its one
//! connection with calls that wait. Whatever goes wrong in a child ends with it, and a client that
//! is slow holds up nobody else. The price is a fork for each connection, and a task of the kernel
//! for each client, even for one that does nothing.
//!
//! Left out: time limits for clients, a limit of processes, a clean stop.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, fs, process};

use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{ForkResult, fork};

fn main() -> anyhow::Result<()> {
    let Some((address, folder)) = env::args().nth(1).zip(env::args().nth(2)) else {
        anyhow::bail!("usage: process_per_connection ADDRESS FOLDER");
    };
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    // SAFETY: no handler is installed. The kernel itself buries children that have ended.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
    loop {
        let (stream, _) = listener.accept()?;
        // SAFETY: this process has a single thread, so that the child lacks nothing.
        if let ForkResult::Child = unsafe { fork() }? {
            // A child that outlives its parent must not keep the port.
            drop(listener);
            let _ = serve(stream, &folder);
            process::exit(0);
        }
    }
}

/// Serves one connection until a request, the client or an error ends it. Each call waits.
fn serve(mut stream: TcpStream, folder: &str) -> Result<()> {
    let mut input = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while let Some((response, is_last)) = answer(&mut input, folder)? {
            stream.write_all(&response)?;
            if is_last {
                return Ok(());
            }
        }
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            count => input.extend_from_slice(&piece[..count]),
        }
    }
}

/// Takes the first request off the input, which must be a GET. Returns its response, and true if it
/// is the last one; none while the request is incomplete.
fn answer(input: &mut Vec<u8>, folder: &str) -> Result<Option<(Vec<u8>, bool)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(input).map_err(Error::other)?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let Some("GET") = request.method else { return Err(ErrorKind::Unsupported.into()) };
    let path = request.path.filter(|path| *path != "/").unwrap_or("/index.html");
    // A path with a single slash is that of a file in the folder, or of none.
    let is_inside = path.rfind('/') == Some(0);
    let page = if is_inside { fs::read(format!("{folder}{path}")).ok() } else { None };
    let (status, body) = page.map_or(("404 Not Found", vec![]), |page| ("200 OK", page));
    let closes = |field: &httparse::Header| field.value.eq_ignore_ascii_case(b"close");
    let is_last = request.version == Some(0) || request.headers.iter().any(closes);
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    input.drain(..length);
    Ok(Some(([head.as_bytes(), &body].concat(), is_last)))
}
