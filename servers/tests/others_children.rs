//! A program that serves with processes and has children of its own: the server must not take the
//! exit status of those children.
//!
//! It runs without the usual test harness: the harness has threads, and a program that forks must
//! have none.

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZero;
use std::panic::catch_unwind;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use c10k_servers::http::Timeouts;
use c10k_servers::site::Site;
use c10k_servers::{Listener, Listening, Options, Shutdown, find};
use nix::unistd::alarm;
use rustix::process::{Signal, getppid, kill_process};
use signal_hook::consts::SIGALRM;
use signal_hook::low_level;

/// Number of connections: many more than the children that could be reaped by chance.
const REQUESTS: usize = 20;

/// Seconds after which a server that has not ended never will.
const PATIENCE_S: u32 = 120;

fn main() -> ExitCode {
    // A runner that lists tests gets no names; it finds this test when it runs the program.
    if env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    if let Ok(address) = env::var("ADDRESS_OF_PARENT") {
        let asked = catch_unwind(|| ask(&address));
        // Ends the server, which would otherwise wait for ever.
        kill_process(getppid().unwrap(), Signal::TERM).unwrap();
        return if asked.is_ok() { ExitCode::from(7) } else { ExitCode::FAILURE };
    }
    // Registered before the server's own action, which ends it cleanly: actions run in the order in
    // which they were registered.
    // SAFETY: it makes one call, _exit(2), which is async-signal-safe.
    unsafe { low_level::register(SIGALRM, || low_level::exit(1)).unwrap() };
    for model in ["fork", "prefork"] {
        leaves_the_children_of_others_alone(model);
    }
    ExitCode::SUCCESS
}

fn leaves_the_children_of_others_alone(model: &str) {
    let timeouts = Timeouts::default();
    let (workers, max_connections) = (NonZero::new(2), NonZero::new(8).unwrap());
    let options = Options { workers, handler_threads: None, max_connections, timeouts };
    let serve = find(model).unwrap().check(&options).unwrap();
    let listening = Listening {
        address: ([127, 0, 0, 1], 0).into(),
        backlog: 16,
        idle_timeout: timeouts.idle,
        sharded: false,
        reuse_address: true,
    };
    let listener = Listener::bind(listening).unwrap();
    let address = listener.local_address().unwrap().to_string();
    // One child is a zombie before the first connection comes, one outlives the last.
    let mut early = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
    let mut client = Command::new(env::current_exe().unwrap())
        .env("ADDRESS_OF_PARENT", address)
        .spawn()
        .unwrap();
    alarm::set(PATIENCE_S);
    serve(options, listener, Arc::new(Site::embedded()), Shutdown::on_signals().unwrap()).unwrap();
    alarm::cancel();
    assert_eq!(early.wait().unwrap().code(), Some(3));
    assert_eq!(client.wait().unwrap().code(), Some(7));
}

/// Acts as a client that sends a fixed number of requests, each on a connection of its own.
fn ask(address: &str) {
    for _ in 0..REQUESTS {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    }
}
