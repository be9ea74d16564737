//! One thread that does not ask which sockets are ready, but asks the kernel to receive and to send
//! (`io_uring`), and hears when that is done. One system call hands over all requests of a turn and
//! waits for results. Until there is a result, the memory of a request belongs to the kernel.
//!
//! Left out: time limits for clients, a server that is out of descriptors, a clean stop.

use std::io::{Error, ErrorKind, Result};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::{env, fs, mem};

use io_uring::{IoUring, opcode, squeue::Entry, types::Fd};
use slab::Slab;

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    ends: bool,
}

fn main() -> anyhow::Result<()> {
    let Some((address, folder)) = env::args().nth(1).zip(env::args().nth(2)) else {
        anyhow::bail!("usage: uring ADDRESS FOLDER");
    };
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build();
    let mut requests = vec![accept.user_data(u64::MAX)];
    let mut clients = Slab::<Connection>::new();
    let mut ring = IoUring::new(256)?;
    loop {
        // SAFETY: the memory of a request stays where it is until its result is there.
        unsafe { ring.submission().push_multiple(&mem::take(&mut requests)) }?;
        // A wait that is interrupted, or for which there is no memory now, is repeated.
        let _ = ring.submit_and_wait(1);
        for done in ring.completion().take(256) {
            let (mut key, mut result) = (done.user_data() as usize, done.result());
            if result <= 0 || clients.get(key).is_some_and(|client| client.ends) {
                clients.try_remove(key).ok_or(Error::from_raw_os_error(-result))?;
                continue;
            }
            if key == usize::MAX {
                // SAFETY: the kernel has made the socket for this thread alone.
                let stream = unsafe { TcpStream::from_raw_fd(result) };
                (key, result) = (clients.vacant_key(), 0);
                clients.insert(Connection { stream, input: vec![], output: vec![], ends: false });
            }
            match go_on(&mut clients[key], result as usize, &folder) {
                Ok(request) => requests.push(request.user_data(key as u64)),
                Err(_) => drop(clients.remove(key)),
            }
        }
    }
}

/// Takes what was received, or that all was sent, and returns the next request of the connection.
fn go_on(client: &mut Connection, count: usize, folder: &str) -> Result<Entry> {
    let received = if client.output.drain(..).len() == 0 { count } else { 0 };
    // SAFETY: the kernel has written these bytes.
    unsafe { client.input.set_len(client.input.len() + received) };
    let fd = Fd(client.stream.as_raw_fd());
    if answer(client, folder)? {
        let (data, length) = (client.output.as_ptr(), client.output.len() as u32);
        return Ok(opcode::Send::new(fd, data, length).flags(libc::MSG_WAITALL).build());
    }
    client.input.reserve(4096);
    let free = client.input.spare_capacity_mut();
    Ok(opcode::Recv::new(fd, free.as_mut_ptr().cast(), free.len() as u32).build())
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
