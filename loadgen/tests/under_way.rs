//! A request that is in flight for all of the measured part counts as a request of its connection:
//! a connection whose response comes just after the end is starved, and does not count as never
//! asked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use c10k_loadgen::workload::Until;
use c10k_loadgen::{Target, Workload};

const CONNECTIONS: usize = 8;

/// Length of the warm-up; the second request of a connection is sent when it begins.
const WARMUP: Duration = Duration::from_millis(20);
const MEASURED: Duration = Duration::from_millis(3);

/// Delay of the second response: it comes after the end, and before the worker looks at the clock
/// again, which it does every 10 ms.
const DELAY: Duration = Duration::from_millis(26);

/// Answers the first request at once and the second one late, then waits until the client leaves.
fn serve(mut client: TcpStream) {
    for delay in [Duration::ZERO, DELAY] {
        let mut bytes = [0; 4096];
        if client.read(&mut bytes).is_ok_and(|length| length > 0) {
            thread::sleep(delay);
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    }
    let _ = client.read(&mut [0]);
}

#[test]
fn a_connection_whose_response_comes_just_after_the_end_has_sent_a_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::resolve(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let server = thread::spawn(move || {
        let clients = listener.incoming().take(CONNECTIONS).map(|client| client.unwrap());
        clients.map(|client| thread::spawn(move || serve(client))).collect::<Vec<_>>()
    });
    let workload = Workload {
        connections: CONNECTIONS,
        warmup: WARMUP,
        ..Workload::lasting(Until::Elapsed(MEASURED))
    };
    let measured = c10k_loadgen::start(target, workload, Arc::default()).unwrap().finish().unwrap();
    let connections = measured.connections;
    assert_eq!(connections.never_asked, 0, "{connections:?}");
    assert_eq!(connections.served + connections.starved, CONNECTIONS as u64, "{connections:?}");
    for client in server.join().unwrap() {
        client.join().unwrap();
    }
}
