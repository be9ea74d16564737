//! A server that misbehaves as its first argument says. It is a program of its own, which the tests
//! compile: a gate starts programs, and this one has to fail in ways that no server of this project
//! does.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Number of requests since the start.
static REQUESTS: AtomicUsize = AtomicUsize::new(0);

/// Number of the request at which a dying server exits.
const LAST_REQUEST: usize = 50;

/// Number of the start that dies: one start is for the rehearsal, and each block has another one.
const LAST_START: u64 = 4;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Answers every second request with 500, but not the first one.
    Half,
    /// Answers all requests with 500.
    Failing,
    /// Ends in the middle of its work.
    Dying,
    /// Answers all requests with 200.
    Fine,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let mode = match arguments[1].as_str() {
        "half" => Mode::Half,
        "failing" => Mode::Failing,
        "dying" if count_start() >= LAST_START => Mode::Dying,
        _ => Mode::Fine,
    };
    let listener = TcpListener::bind(&arguments[2]).expect("it can listen there");
    for stream in listener.incoming().flatten() {
        thread::spawn(move || serve(stream, mode));
    }
}

/// Counts this start and returns its number. The count is the length of a file in the working
/// folder.
fn count_start() -> u64 {
    let file = OpenOptions::new().create(true).append(true).open("starts");
    let mut file = file.expect("a file can be made");
    file.write_all(b".").expect("a file can be written");
    file.metadata().expect("a file has a length").len()
}

fn serve(mut stream: TcpStream, mode: Mode) {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        received.extend_from_slice(&buffer[..read]);
        while let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            received.drain(..end + 4);
            if stream.write_all(answer(mode).as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn answer(mode: Mode) -> String {
    let request = REQUESTS.fetch_add(1, Ordering::Relaxed) + 1;
    if mode == Mode::Dying && request >= LAST_REQUEST {
        eprintln!("the well has run dry");
        std::process::exit(3);
    }
    let fails = mode == Mode::Failing || (mode == Mode::Half && request.is_multiple_of(2));
    let status = if fails { "500 Internal Server Error" } else { "200 OK" };
    format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok")
}
