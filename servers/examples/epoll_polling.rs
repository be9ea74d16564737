//! One thread asks the kernel which of its sockets are ready, here through the `polling` crate. It
//! does for each of them what can be done without waiting, and asks again. A connection that does
//! nothing takes memory but no time, however many there are.
//!
//! Left out: time limits for clients, a server that is out of descriptors, a clean stop.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, fs};

use polling::{Event, Events, PollMode, Poller};
use slab::Slab;

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    ends: bool,
}

fn main() -> anyhow::Result<()> {
    let Some((address, folder)) = env::args().nth(1).zip(env::args().nth(2)) else {
        anyhow::bail!("usage: epoll_polling ADDRESS FOLDER");
    };
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let poller = Poller::new()?;
    // SAFETY: the poller is dropped first.
    unsafe { poller.add_with_mode(&listener, Event::readable(usize::MAX - 1), PollMode::Level)? };
    let mut clients = Slab::new();
    let mut events = Events::new();
    loop {
        events.clear();
        poller.wait(&mut events, None)?;
        for Event { key, .. } in events.iter() {
            let Some(client) = clients.get_mut(key) else {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                // SAFETY: it is deleted before it is dropped.
                unsafe { poller.add(&stream, Event::readable(clients.vacant_key()))? };
                clients.insert(Connection { stream, input: vec![], output: vec![], ends: false });
                continue;
            };
            match go_on(client, &folder) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let reads = client.output.is_empty();
                    poller.modify(&client.stream, Event::new(key, reads, !reads))?;
                }
                _ => poller.delete(&clients.remove(key).stream)?,
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
