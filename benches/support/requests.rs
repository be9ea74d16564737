//! Requests that benches of the HTTP core send, and how the core answers them.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use c10k_servers::http::{Connection, HandlerPlacement, Service, Timeouts, Want};
use c10k_servers::site::Site;

/// Request that wrk sends.
pub const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// Request that a browser sends.
pub const BROWSER_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n\
    Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
    */*;q=0.8\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\r\n";

/// The HTTP core with one connection, on which requests follow one another.
#[derive(Debug)]
pub struct Core {
    service: Service,
    connection: Connection,
}

impl Core {
    pub fn new() -> Self {
        let site = Arc::new(Site::embedded());
        Self {
            service: Service::new(site, Timeouts::default(), HandlerPlacement::InPlace),
            connection: Connection::new(Instant::now()),
        }
    }

    /// Feeds bytes to the connection and takes all of its output. Returns the length of the output.
    pub fn answer(&mut self, bytes: &[u8]) -> usize {
        let Self { service, connection } = self;
        connection.receive(bytes, service);
        let mut sent = 0;
        while connection.want() == Want::Write {
            let pieces = connection.pending_output();
            let pending = pieces.iter().map(|piece| black_box(piece).len()).sum();
            connection.advance(pending, service);
            sent += pending;
        }
        sent
    }
}
