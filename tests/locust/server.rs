//! A server that counts the requests it receives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Server with one thread per connection.
pub struct Server {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Server {
    /// Starts a server that answers each request after `delay`.
    pub fn start(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                thread::spawn(move || serve(client, &count, delay));
            }
        });
        Self { address, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Returns the number of requests that were received.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Answers requests, which a client sends in one piece and one after the other.
fn serve(mut client: TcpStream, count: &AtomicU64, delay: Duration) {
    let mut bytes = [0; 4096];
    while client.read(&mut bytes).is_ok_and(|length| length > 0) {
        count.fetch_add(1, Ordering::SeqCst);
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        if client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}
