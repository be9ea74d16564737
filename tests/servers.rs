//! The servers of `benches/servers.toml`, as far as they are installed: each starts, serves the
//! page, stops, and leaves nothing behind.

#[path = "support/processes.rs"]
#[expect(dead_code, reason = "other tests look at more of a process")]
mod processes;
#[path = "support/wait.rs"]
mod wait;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use c10k::cpus::CpuList;
use c10k::probe::{Readings, Server, Watch};
use c10k::subject::client::{Client, check_page};
use c10k::subject::{Launch, Program, RunningSubject, Settings, Subject, catalogue};

use processes::{Process, descendants};
use wait::{PATIENCE, until};

/// Connections that are open at once: enough to notice a pool that is too small.
const CONNECTIONS: usize = 8;

fn c10k() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_c10k"))
}

/// Starts a server on the last processor, if it is installed.
fn start(server: &Subject) -> Option<RunningSubject> {
    if let Some(reason) = server.unavailable(c10k()) {
        eprintln!("{} is left out: {reason}", server.name);
        return None;
    }
    let cpus = last_cpu();
    let program = Program::at(c10k());
    let settings = Settings { cpus: Some(&cpus), ..Settings::new(&program, CONNECTIONS) };
    Some(server.start(&settings).unwrap_or_else(|error| panic!("{error:#}")))
}

fn last_cpu() -> CpuList {
    let cpus = CpuList::available().unwrap();
    cpus.numbers().last().unwrap().to_string().parse().unwrap()
}

fn processes(running: &RunningSubject) -> Vec<Process> {
    let pid = running.pid().cast_signed();
    let mut processes = descendants(pid);
    processes.extend(Process::find(pid));
    processes
}

#[track_caller]
fn assert_is_on_last_cpu(process: &Process) {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    assert_eq!(allowed.trim(), last_cpu().to_string());
}

/// Checks that the server holds as many connections as it was started for, and answers every
/// one of them while the others are open.
#[track_caller]
fn assert_holds_all_connections(server: &Subject, running: &RunningSubject) {
    let connect = || Client::connect(running.address(), PATIENCE).unwrap();
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| connect()).collect();
    for client in &mut clients {
        client.send(server.path("/")).unwrap();
        client.receive().unwrap();
    }
}

#[test]
fn every_server_serves_its_page_and_leaves_nothing_behind() {
    for server in catalogue::servers() {
        let Some(running) = start(server) else { continue };
        assert!(server.serves_page, "{}", server.name);
        check_page(running.address(), server.path("/")).unwrap();
        assert_holds_all_connections(server, &running);
        let folder = running.folder().expect("a command has a folder").to_owned();
        let processes = processes(&running);
        assert!(folder.join("page.html").exists() && !processes.is_empty());
        processes.iter().for_each(assert_is_on_last_cpu);
        running.stop().unwrap_or_else(|error| panic!("{}: {error:#}", server.name));
        until("all processes are gone", || !processes.iter().any(Process::is_there));
        assert!(!folder.exists(), "{} left {}", server.name, folder.display());
    }
}

#[test]
fn a_server_that_is_dropped_leaves_nothing_behind() {
    for server in catalogue::servers() {
        let Some(running) = start(server) else { continue };
        let folder = running.folder().expect("a command has a folder").to_owned();
        let processes = processes(&running);
        drop(running);
        // The children are orphans, which another process must reap.
        let is_gone =
            |process: &Process| Process::find(process.pid).is_none_or(|now| now.is_zombie);
        until("all processes are gone", || processes.iter().all(is_gone));
        assert!(!folder.exists(), "{} left {}", server.name, folder.display());
    }
}

#[test]
fn threads_that_have_ended_are_in_the_account_of_a_cgroup() {
    let running =
        start(&Subject::model(c10k_servers::find("thread").unwrap(), Vec::new())).unwrap();
    let clocks = Watch::begin(Server::from(running.pid()));
    let cgroup = Watch::begin(running.server());
    for _ in 0..1000 {
        ask_once(running.address());
    }
    let clocks = clocks.end();
    let cgroup = cgroup.end();
    running.stop().unwrap();
    if clocks.cpu_account == cgroup.cpu_account {
        eprintln!("left out: no cgroup can be made here");
        return;
    }
    // In the account of the processes' clocks, each thread that ended took some of its time
    // with it.
    let lost = 1.0 - used_s(&clocks) / used_s(&cgroup);
    assert!((0.002..0.5).contains(&lost), "{lost} of {} s", used_s(&cgroup));
}

/// Makes one request, for which a thread is started that then ends.
fn ask_once(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: c10k\r\nConnection: close\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

fn used_s(readings: &Readings) -> f64 {
    readings.values["server_cpu_user_s"] + readings.values["server_cpu_system_s"]
}

#[test]
fn every_server_prints_its_version() {
    // The examples of this repository have none beside its own.
    let has_version = |server: &&Subject| match &server.launch {
        Launch::Command(launch) => !launch.version.is_empty(),
        Launch::Model { .. } => false,
    };
    let is_here = |server: &&Subject| server.unavailable(c10k()).is_none();
    for server in catalogue::servers().iter().filter(has_version).filter(is_here) {
        let version = server.version(c10k()).expect("there is a line");
        let product = server.name.split('-').next().unwrap();
        // Some servers print only the number.
        let is_number =
            version.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
        assert!(
            is_number || version.to_lowercase().contains(product),
            "{}: {version}",
            server.name
        );
    }
}

#[test]
#[cfg(feature = "hyper")]
fn a_server_of_this_repository_is_found_beside_c10k() {
    let hyper = catalogue::find("hyper").unwrap();
    assert_eq!(hyper.unavailable(c10k()), None);
    let line = hyper.command_line(&Settings::new(&Program::at(c10k()), 1));
    let program = c10k().with_file_name("c10k-hyper");
    assert_eq!(line, format!("{} 127.0.0.1:0", program.display()));
}

#[test]
fn a_model_runs_on_its_processors() {
    let entry = c10k_servers::find("epoll").unwrap();
    let epoll = Subject::model(entry, Vec::new());
    let running = start(&epoll).unwrap();
    check_page(running.address(), epoll.path("/")).unwrap();
    processes(&running).iter().for_each(assert_is_on_last_cpu);
    running.stop().unwrap();
}
