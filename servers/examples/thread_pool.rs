//! A fixed number of threads: one accepts connections and puts them into a queue, and each of the
//! others takes one, serves it to its end with calls that wait, and takes the next. No connection
//! pays for a new thread, and a flood of connections can't start too many. The price is that a
//! client keeps its thread for as long as it stays connected, while others wait in the queue.
//!
//! Left out: time limits for clients, a server that is out of descriptors, a clean stop.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, fs, thread};

/// Threads that serve, and connections that may wait for one of them.
const THREADS: usize = 256;

fn main() -> anyhow::Result<()> {
    let Some((address, folder)) = env::args().nth(1).zip(env::args().nth(2)) else {
        anyhow::bail!("usage: thread_pool ADDRESS FOLDER");
    };
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let (queue, waiting) = crossbeam::channel::bounded(THREADS);
    for _ in 0..THREADS {
        let (waiting, folder) = (waiting.clone(), folder.clone());
        thread::spawn(move || {
            for stream in waiting {
                // An error ends its connection and no other.
                let _ = serve(stream, &folder);
            }
        });
    }
    loop {
        let (stream, _) = listener.accept()?;
        queue.send(stream)?;
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
