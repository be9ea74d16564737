//! Networks of namespaces: what reaches whom in each topology, suites over them as an ordinary
//! user, and what is left of them when the runner ends.

#[path = "support/bench.rs"]
#[expect(dead_code, reason = "other tests run it as the user of the tests")]
mod bench;
#[path = "support/processes.rs"]
#[expect(dead_code, reason = "other tests look at more of a process")]
mod processes;
#[path = "support/refusal.rs"]
mod refusal;
#[path = "support/wait.rs"]
mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use c10k::network::{Host, Network, Topology, enter_user_namespace};
use nix::sched::{CloneFlags, unshare};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use seccompiler::{SeccompAction, SeccompFilter, apply_filter};
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use bench::{Bench, of};

/// Topologies with two hosts or more.
const NETWORKS: [Topology; 3] = [Topology::Bridged, Topology::Routed, Topology::Hub];

/// User and group without any right.
const NOBODY: u32 = 65_534;

/// Types of a frame's content that a request over IPv4 needs.
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;

/// `ETH_P_ALL` of Linux: frames with any content.
const ANY_CONTENT: u16 = 0x0003;

/// Returns true, or prints why not, if this process may make networks. Another user than root can't
/// once there are threads: there, the tests of the program show the same.
fn may_make_networks() -> bool {
    enter_user_namespace().map_err(|error| eprintln!("left out: {error:#}")).is_ok()
}

/// Sends a request from client to server, and returns the addresses that the server saw.
fn request(network: &Network) -> (IpAddr, IpAddr) {
    let address = network.server_address();
    let listen = || TcpListener::bind((address, 0)).unwrap();
    let listener = network.server().within(listen).unwrap();
    let target = listener.local_addr().unwrap();
    let answer = thread::spawn(move || {
        let (mut stream, client) = listener.accept().unwrap();
        let mut asked = [0; 4];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(&asked).unwrap();
        (client.ip(), stream.local_addr().unwrap().ip())
    });
    let ask = || {
        let mut stream = TcpStream::connect(target).unwrap();
        stream.write_all(b"ping").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "ping");
    };
    network.client().within(ask).unwrap();
    answer.join().unwrap()
}

#[test]
fn a_request_gets_from_the_client_to_the_server_in_each_topology() {
    if !may_make_networks() {
        return;
    }
    for topology in NETWORKS.into_iter().chain([Topology::Loopback]) {
        let network = Network::build(topology).unwrap();
        let client = network.client().cards[0].address.unwrap();
        let seen = (client.into(), network.server_address().into());
        assert_eq!(request(&network), seen, "{topology}");
    }
}

#[test]
fn two_networks_of_the_same_addresses_do_not_meet() {
    if !may_make_networks() {
        return;
    }
    let [one, other] = [(); 2].map(|()| Network::build(Topology::Bridged).unwrap());
    let address = one.server_address();
    let listener = one.server().within(|| TcpListener::bind((address, 0)).unwrap()).unwrap();
    let target = listener.local_addr().unwrap();
    let refused = other.client().within(|| TcpStream::connect(target)).unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    one.client().within(|| TcpStream::connect(target)).unwrap().unwrap();
}

/// A capture of all frames that the cards of a host send and receive.
struct Capture(Socket);

/// A frame: the card that it is for, and the type of its content.
#[derive(Debug)]
struct Frame {
    to: [u8; 6],
    content: u16,
    bytes: Vec<u8>,
}

impl Capture {
    fn begin(host: &Host) -> Self {
        let protocol = Protocol::from(i32::from(ANY_CONTENT.to_be()));
        let open = || Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap();
        let socket = host.within(open).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// Returns the next frame that was captured, if there is one.
    fn next(&self) -> Option<Frame> {
        let mut buffer = [0; 2048];
        let bytes = match (&self.0).read(&mut buffer) {
            Ok(length) => buffer[..length].to_vec(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{error}"),
        };
        let content = u16::from_be_bytes([bytes[12], bytes[13]]);
        Some(Frame { to: bytes[..6].try_into().unwrap(), content, bytes })
    }

    /// Returns all frames up to one that contains `mark`.
    fn up_to(&self, mark: &[u8]) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        wait::until("the mark is there", || {
            frames.extend(std::iter::from_fn(|| self.next()));
            frames.iter().any(|frame| frame.bytes.windows(mark.len()).any(|part| part == mark))
        });
        frames
    }
}

/// Returns the names of the interfaces of a host that have an IPv6 address. Such an interface sends
/// by itself, at some time within the next seconds.
fn with_ipv6(host: &Host) -> Vec<String> {
    let read = || fs::read_to_string("/proc/thread-self/net/if_inet6");
    // A kernel without IPv6 has no such file.
    let text = host.within(read).unwrap().unwrap_or_default();
    text.lines().filter_map(|line| Some(line.split_whitespace().last()?.to_owned())).collect()
}

/// Sends a datagram from the client to every card of its network.
fn mark(network: &Network, mark: &[u8]) {
    let broadcast = || {
        let address = network.client().cards[0].address.unwrap();
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_broadcast(true).unwrap();
        socket.send_to(mark, (Ipv4Addr::BROADCAST, 9)).unwrap();
    };
    network.client().within(broadcast).unwrap();
}

#[test]
fn a_bystander_at_a_hub_sees_the_request_and_at_a_switch_only_broadcasts() {
    if !may_make_networks() {
        return;
    }
    for (topology, sees_all) in [(Topology::Hub, true), (Topology::Bridged, false)] {
        let network = Network::build(topology).unwrap();
        let bystander = network.hosts().iter().find(|host| host.name == "bystander").unwrap();
        let capture = Capture::begin(bystander);
        request(&network);
        mark(&network, b"the end");
        let to: BTreeSet<_> = capture.up_to(b"the end").iter().map(|frame| frame.to).collect();
        let cards = [network.client().cards[0].mac, network.server().cards[0].mac];
        let sees = |mac| to.contains(&mac);
        assert!(sees([0xff; 6]), "{topology}: no broadcast among {to:?}");
        assert_eq!(cards.map(sees), [sees_all; 2], "{topology}: {to:?}");
    }
}

#[test]
fn nothing_is_on_the_wire_but_what_a_request_needs() {
    if !may_make_networks() {
        return;
    }
    for topology in NETWORKS {
        let network = Network::build(topology).unwrap();
        for host in network.hosts() {
            let others = with_ipv6(host).into_iter().filter(|interface| interface != "lo");
            assert_eq!(others.count(), 0, "{topology}: {}", host.name);
        }
        let capture = Capture::begin(network.client());
        request(&network);
        mark(&network, b"the end");
        let frames = capture.up_to(b"the end");
        // The first frame asks for the card behind an address.
        assert_eq!((frames[0].content, frames[0].to), (ARP, [0xff; 6]), "{topology}: {frames:?}");
        let others = frames.iter().filter(|frame| ![ARP, IPV4].contains(&frame.content));
        assert_eq!(others.count(), 0, "{topology}: {frames:?}");
    }
}

/// Suite of one model over all topologies, and of servers that are told their address or not.
fn suite(program: &Path) -> String {
    let program = program.display();
    format!(
        r#"
        models = ["epoll"]
        [[subject]]
        name = "told"
        command = "{program} serve poll --addr {{host}}:{{port}}"
        [[subject]]
        name = "not-told"
        command = "{program} serve poll --addr 127.0.0.1:{{port}}"
        [[subject]]
        name = "crowded"
        model = "iterative"
        [[workload]]
        subjects = ["crowded"]
        topology = "bridged"
        backlog = 1
        path = "/sleep/10000"
        lifetime = "short"
        connections = 8
        [[workload]]
        subjects = ["epoll"]
        topology = ["loopback", "bridged", "hub"]
        connections = 4
        [[workload]]
        subjects = ["epoll"]
        topology = "routed"
        passes = ["one_connection"]
        connections = 4
        [[workload]]
        subjects = ["told", "not-told"]
        topology = "routed"
        lifetime = "short"
        connections = 4
        "#
    )
}

/// Returns `c10k bench` as a user without any right, with a copy of the program that this user can
/// run. Another user than root runs it as themselves. `None`, with a line, if such a user can't
/// make networks on this machine.
fn as_ordinary_user(arguments: &[&str]) -> Option<(Bench, Command)> {
    let bench = Bench::new("");
    let program = bench.folder.path().join("c10k");
    // A link takes no time, but not every folder for temporary files can have it.
    let built = env!("CARGO_BIN_EXE_c10k");
    fs::hard_link(built, &program).or_else(|_| fs::copy(built, &program).map(drop)).unwrap();
    fs::write(
        bench.folder.path().join("suite.toml"),
        bench::read(&bench.folder.path().join("suite.toml")) + &suite(&program),
    )
    .unwrap();
    let ordinary = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(bench.folder.path());
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    fs::set_permissions(bench.folder.path(), Permissions::from_mode(0o755)).unwrap();
    if geteuid().is_root() {
        chown(bench.folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut trial = ordinary(Path::new("/bin/true"));
    let both = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET;
    // SAFETY: between fork and exec, it makes one system call.
    unsafe { trial.pre_exec(move || Ok(unshare(both)?)) };
    if let Err(error) = trial.status() {
        eprintln!("left out: an ordinary user may not make networks here: {error}");
        return None;
    }
    let mut command = ordinary(&program);
    command.args(["bench", "suite.toml"]).args(arguments);
    Some((bench, command))
}

/// Returns the measurement of a subject over a topology.
fn over<'a>(records: &'a [Value], subject: &str, topology: &str) -> &'a Value {
    let is_meant = |record: &&Value| {
        record["cell"]["subject"] == subject && record["parameters"]["topology"] == topology
    };
    records.iter().find(is_meant).unwrap_or_else(|| panic!("{subject} over {topology}"))
}

#[test]
fn a_suite_over_all_topologies_runs_as_an_ordinary_user() {
    let Some((bench, mut command)) = as_ordinary_user(&["--seed", "5"]) else { return };
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let line = said.lines().find(|line| line.contains("not-told")).expect("it is left out");
    assert!(line.contains("is left out") && line.contains("{address}"), "{line}");
    let records = bench.records();
    assert_eq!(records.len(), 6, "{said}");
    for (subject, topology, address) in [
        ("epoll", "loopback", "127.0.0.1:0"),
        ("epoll", "bridged", "192.0.2.2:0"),
        ("epoll", "hub", "192.0.2.2:0"),
        ("epoll", "routed", "198.51.100.2:0"),
        ("told", "routed", "198.51.100.2:{port}"),
    ] {
        let record = over(&records, subject, topology);
        let command = record["command"].as_str().unwrap();
        assert!(command.ends_with(&format!("--addr {address}")), "{command}");
        let measured = &record["outcome"]["measured"];
        assert!(measured["requests"]["completed"].as_u64() > Some(0), "{record:#}");
        assert_eq!(measured["requests"]["failed"], 0, "{record:#}");
        // The queue of the server is read on its own host, without socket diagnostics.
        if topology != "loopback" {
            assert_eq!(measured["kernel"]["listener_drops"], 0, "{record:#}");
        }
        let passed = &record["readings"]["memory_anonymous_one_connection_bytes"];
        let has_pass = subject == "epoll" && topology == "routed";
        assert_eq!(passed.is_number(), has_pass, "{record:#}");
    }
    assert_eq!(of(&records, "told")["metrics"]["tcp_listen_drops"], 0.0);
    let crowded = of(&records, "crowded");
    let checks = crowded["checks"].as_array().unwrap();
    let queue = checks.iter().find(|check| check["name"] == "kernel-drops").unwrap();
    let detail = queue["detail"].as_str().unwrap();
    assert!(detail.starts_with("the server's listen queue dropped"), "{crowded:#}");
    assert!(bench.page().contains("a router connects the networks of client and server"));
}

/// Runs `c10k bench` where no namespace can be made; `None`, with a line, without seccomp.
fn where_namespaces_are_refused(mut command: Command) -> Option<Output> {
    let refuse = SeccompAction::Errno(rustix::io::Errno::PERM.raw_os_error().cast_unsigned());
    let rules: BTreeMap<_, _> = [(libc::SYS_unshare, Vec::new())].into();
    let arch = std::env::consts::ARCH.try_into().expect("seccompiler knows this processor");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).unwrap();
    let filter: seccompiler::BpfProgram = filter.try_into().unwrap();
    let run = || match apply_filter(&filter) {
        Ok(()) => Some(command.output().unwrap()),
        Err(error) => {
            eprintln!("left out, no seccomp here: {error}");
            None
        }
    };
    // A filter stays with its thread and with all that the thread starts.
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

#[test]
fn where_networks_are_refused_one_line_says_what_to_do_and_loopback_is_measured() {
    let bench = Bench::new(&suite(Path::new(env!("CARGO_BIN_EXE_c10k"))));
    let Some(output) = where_namespaces_are_refused(bench.command(&[])) else { return };
    let line = refusal::line_of(output);
    for words in ["needs a network", "namespace", "run as root", "--filter topology=loopback"] {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert!(!bench.folder.path().join("reports").exists(), "{line}");
    let loopback = bench.command(&["--filter", "topology=loopback"]);
    let output = where_namespaces_are_refused(loopback).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(bench.records().len(), 1);
    if let Some((_bench, command)) = as_ordinary_user(&[]) {
        let line = refusal::line_of(where_namespaces_are_refused(command).unwrap());
        assert!(line.contains("cannot make a user namespace (Operation not permitted"), "{line}");
    }
}

#[test]
fn a_gate_has_no_network() {
    let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\ntopology = \"routed\"\n");
    let serve = format!("{} serve epoll --addr {{address}}", env!("CARGO_BIN_EXE_c10k"));
    let mut gate = Command::new(env!("CARGO_BIN_EXE_c10k"));
    gate.current_dir(bench.folder.path()).args(["gate", "--suite", "suite.toml"]);
    gate.args(["--base-command", &serve, "--candidate-command", &serve]);
    let line = refusal::line_of(gate.output().unwrap());
    assert!(line.contains("`topology` is for `c10k bench`"), "{line}");
}

/// Returns the network namespaces in which the threads of a process are, and those that it holds.
fn namespaces(pid: i32) -> BTreeSet<PathBuf> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let entries = |folder: &str| {
        fs::read_dir(process.join(folder)).into_iter().flatten().flatten().map(|entry| entry.path())
    };
    let inside = entries("task").map(|task| task.join("ns/net"));
    let links = inside.chain(entries("fd")).filter_map(|link| fs::read_link(link).ok());
    links.filter(|link| link.to_string_lossy().starts_with("net:")).collect()
}

/// Returns the namespaces of all processes.
fn all_namespaces() -> BTreeSet<PathBuf> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.flat_map(namespaces).collect()
}

/// Returns the names of the interfaces of this machine.
fn interfaces() -> Vec<String> {
    let text = bench::read(Path::new("/proc/net/dev"));
    text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

/// Starts a run over a router, waits until its server runs on a host of its own, and returns it
/// with the namespaces that it has made.
fn begin(command: &mut Command) -> (Child, BTreeSet<PathBuf>) {
    let machines = fs::read_link("/proc/self/ns/net").unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id().cast_signed();
    let mut made = BTreeSet::new();
    wait::until("the server is on its own host", || {
        assert_eq!(child.try_wait().unwrap(), None, "the run has ended");
        made = namespaces(pid);
        made.remove(&machines);
        let servers = processes::descendants(pid);
        servers.iter().any(|server| !made.is_disjoint(&namespaces(server.pid)))
    });
    (child, made)
}

/// Ends a run with a signal, and checks that nothing of it is left.
fn end_with(signal: Signal) -> Option<std::process::ExitStatus> {
    let arguments = ["--filter", "^epoll/.*routed", "--rounds", "50"];
    let (_bench, mut command) = as_ordinary_user(&arguments)?;
    let before = interfaces();
    let (mut child, made) = begin(&mut command);
    assert!(made.len() >= 4, "client, server, router, and a switch at least: {made:?}");
    assert_eq!(interfaces(), before);
    let started = processes::descendants(child.id().cast_signed());
    kill_process(Pid::from_child(&child), signal).unwrap();
    let status = child.wait().unwrap();
    wait::until("no process is left", || !started.iter().any(processes::Process::is_there));
    wait::until("no namespace is left", || made.is_disjoint(&all_namespaces()));
    Some(status)
}

#[test]
fn a_killed_runner_leaves_no_process_and_no_namespace() {
    end_with(Signal::KILL);
}

#[test]
fn an_interrupted_runner_leaves_no_process_and_no_namespace() {
    if let Some(status) = end_with(Signal::INT) {
        assert_eq!(status.code(), Some(130));
    }
}
