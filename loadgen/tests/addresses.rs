//! A target with several addresses: the connections of each worker take the addresses in turn, and
//! the shares of the addresses add up to what the whole run counts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use c10k_loadgen::workload::{Lifetime, Until};
use c10k_loadgen::{Measurement, Target, Workload};

/// Answers requests until the client leaves. Each comes in one piece: it is short, and the next one
/// waits for the response.
fn serve(mut client: TcpStream) {
    while client.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
        if client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// Starts a server at each of three addresses of this machine. The threads end with the process.
fn servers() -> Vec<SocketAddr> {
    let start = |ip: [u8; 4]| {
        let listener = TcpListener::bind(SocketAddr::from((ip, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || serve(client));
            }
        });
        address
    };
    [[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]].map(start).to_vec()
}

/// Measures the servers as the addresses of one target.
fn measure(workload: Workload) -> Measurement {
    let mut target = Target::resolve("http://127.0.0.1/").unwrap();
    target.addresses = servers();
    let workload = Workload { warmup: Duration::ZERO, ..workload };
    c10k_loadgen::start(target, workload, Arc::default()).unwrap().finish().unwrap()
}

/// Returns the connections of each address.
fn connections(measured: &Measurement) -> Vec<u64> {
    measured.addresses.shares.iter().map(|share| share.connections).collect()
}

#[test]
fn persistent_connections_take_the_addresses_in_turn() {
    // A run of a given time begins when each connection has had a response.
    let until = Until::Elapsed(Duration::from_millis(20));
    for (count, threads, expected) in
        [(1, 1, [1, 0, 0]), (6, 1, [2, 2, 2]), (7, 1, [3, 2, 2]), (3, 3, [1, 1, 1])]
    {
        let workload = Workload { connections: count, threads, ..Workload::lasting(until) };
        let measured = measure(workload);
        assert_eq!(connections(&measured), expected, "{count} on {threads} threads");
        let told = measured.addresses.shares.iter().map(|share| share.address);
        assert!(told.eq(measured.addresses.used.iter().copied()));
    }
}

#[test]
fn shares_add_up_to_the_counts_of_the_run() {
    for lifetime in ["short", "7", "persistent"] {
        let measured = measure(Workload {
            connections: 5,
            threads: 2,
            lifetime: lifetime.parse::<Lifetime>().unwrap(),
            ..Workload::lasting(Until::Requests(200))
        });
        let shares = &measured.addresses.shares;
        let opened: u64 = connections(&measured).iter().sum();
        assert_eq!(opened, measured.connections.opened_total, "{lifetime}: {shares:?}");
        let completed: u64 = shares.iter().map(|share| share.requests).sum();
        assert_eq!((completed, measured.requests.completed), (200, 200), "{lifetime}: {shares:?}");
    }
}
