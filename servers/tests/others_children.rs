//! A program with children of its own that serves with processes: their exit status is its own business.
//!
//! Without the usual harness, which has threads, as a program that forks must not.

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZero;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use c10k_servers::http::Timeouts;
use c10k_servers::site::Site;
use c10k_servers::{Listener, Listening, Options, Shutdown, find};
use rustix::process::{Signal, getppid, kill_process};

/// More connections than children that could be reaped by chance.
const REQUESTS: usize = 20;

fn main() -> ExitCode {
    // Whoever lists tests finds this one when it runs it.
    if env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    if let Ok(address) = env::var("ADDRESS_OF_PARENT") {
        ask(&address);
        return ExitCode::from(7);
    }
    for model in ["fork", "prefork"] {
        leaves_the_children_of_others_alone(model);
    }
    ExitCode::SUCCESS
}

fn leaves_the_children_of_others_alone(model: &str) {
    let timeouts = Timeouts::default();
    let (workers, max_connections) = (NonZero::new(2), NonZero::new(8).unwrap());
    let model = find(model).unwrap().build(Options { workers, max_connections, timeouts }).unwrap();
    let listening = Listening {
        address: ([127, 0, 0, 1], 0).into(),
        backlog: 16,
        idle_timeout: timeouts.idle,
        sharded: false,
    };
    let listener = Listener::bind(listening).unwrap();
    let address = listener.local_address().unwrap().to_string();
    // One is a zombie before the first connection comes, one outlives the last.
    let mut early = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
    let mut client =
        Command::new(env::current_exe().unwrap()).env("ADDRESS_OF_PARENT", address).spawn().unwrap();
    model.serve(listener, Arc::new(Site::embedded()), Shutdown::on_signals().unwrap()).unwrap();
    assert_eq!(early.wait().unwrap().code(), Some(3));
    assert_eq!(client.wait().unwrap().code(), Some(7));
}

/// A client that ends the server when it has had enough.
fn ask(address: &str) {
    for _ in 0..REQUESTS {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    kill_process(getppid().unwrap(), Signal::TERM).unwrap();
}
