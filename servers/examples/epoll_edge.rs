//! epoll by hand, edge-triggered: the kernel reports a socket when it becomes ready, and then not
//! again. So the thread reads and writes until a call would have to wait: if it stopped earlier, it
//! would never hear of the rest. In return, each connection is registered once, and for good.
//!
//! Left out: time limits for clients, a server that is out of descriptors, a clean stop.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, fs};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use slab::Slab;

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    ends: bool,
}

fn main() -> anyhow::Result<()> {
    let Some((address, folder)) = env::args().nth(1).zip(env::args().nth(2)) else {
        anyhow::bail!("usage: epoll_edge ADDRESS FOLDER");
    };
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(u64::MAX), EventFlags::IN)?;
    let edges = EventFlags::ET | EventFlags::IN | EventFlags::OUT;
    let mut clients = Slab::new();
    let mut events = Vec::with_capacity(256);
    loop {
        rustix::io::retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), None))?;
        for event in events.drain(..) {
            let key = event.data.u64() as usize;
            let Some(client) = clients.get_mut(key) else {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let data = EventData::new_u64(clients.vacant_key() as u64);
                epoll::add(&epoll, &stream, data, edges)?;
                clients.insert(Connection { stream, input: vec![], output: vec![], ends: false });
                continue;
            };
            let waits = |error: Error| error.kind() == ErrorKind::WouldBlock;
            if !go_on(client, &folder).is_err_and(waits) {
                clients.remove(key);
            }
        }
    }
}

/// Reads, answers and writes until a call would have to wait, or the connection is at its end.
fn go_on(client: &mut Connection, folder: &str) -> Result<()> {
    let mut piece = [0; 4096];
    loop {
        if !client.output.is_empty() {
            let count = client.stream.write(&client.output)?;
            client.output.drain(..count);
        } else if client.ends {
            return Ok(());
        } else if !answer(client, folder)? {
            let count = client.stream.read(&mut piece)?;
            client.input.extend_from_slice(&piece[..count]);
            client.ends = count == 0;
        }
    }
}

/// Answers the first request of the input; false if it is incomplete. What is no GET is an error.
fn answer(client: &mut Connection, folder: &str) -> Result<bool> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(&client.input).map_err(Error::other)?;
    let httparse::Status::Complete(length) = parsed else { return Ok(false) };
    let Some("GET") = request.method else { return Err(ErrorKind::Unsupported.into()) };
    let path = request.path.filter(|path| *path != "/").unwrap_or("/index.html");
    // A path with a single slash is that of a file in the folder, or of none.
    let is_inside = path.rfind('/') == Some(0);
    let page = if is_inside { fs::read(format!("{folder}{path}")).ok() } else { None };
    let (status, body) = page.map_or(("404 Not Found", vec![]), |page| ("200 OK", page));
    let closes = |field: &httparse::Header| field.value.eq_ignore_ascii_case(b"close");
    client.ends = request.version == Some(0) || request.headers.iter().any(closes);
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    client.output = [head.as_bytes(), &body].concat();
    client.input.drain(..length);
    Ok(true)
}
