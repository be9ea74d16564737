//! One thread that tries every socket in turn, for ever and without sleeping.
//!
//! Non-blocking sockets without any help of the kernel give the lowest latency while the list is
//! short. But they occupy a whole processor all the time, and a turn costs more with every
//! connection, idle or not. The model keeps this growth on purpose: it is the reason why readiness
//! notification was invented.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use crate::blocking::connection::READ_BYTES;
use crate::http::Service;
use crate::net::timeout_scan::TimeoutScan;
use crate::readiness::connection::{Next, NonBlockingConnection};
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let mut list = List::new(options.service(site));
    while !shutdown.is_signalled() {
        let capacity = options.max_connections.get() - list.connections.len();
        listener.accept_some(capacity, |stream| list.add(stream))?;
        list.turn();
    }
    for stream in listener.close() {
        list.add(stream);
    }
    list.service.close_after_responses();
    let turn = |list: &mut List| {
        list.turn();
        io::Result::Ok(())
    };
    let close_idle = |list: &mut List| list.connections.retain(|connection| !connection.is_idle());
    shutdown.drain(&mut list, |list| list.connections.is_empty(), turn, close_idle)
}

/// All connections, and the state to serve them.
struct List {
    connections: Vec<NonBlockingConnection>,
    service: Service,
    buffer: Vec<u8>,
    scan: TimeoutScan,
}

impl List {
    fn new(service: Service) -> Self {
        let scan = TimeoutScan::new(service.timeouts(), service.now());
        Self { connections: Vec::new(), service, buffer: vec![0; READ_BYTES], scan }
    }

    fn add(&mut self, stream: TcpStream) {
        self.connections.push(NonBlockingConnection::new(stream, &self.service));
    }

    /// Tries every connection once.
    fn turn(&mut self) {
        let Self { connections, service, buffer, scan } = self;
        service.set_time(Instant::now());
        connections.retain_mut(|connection| connection.turn(service, buffer) != Next::Close);
        if scan.is_due(service.now()) {
            connections.retain_mut(|connection| {
                !connection.is_overdue(service) || connection.time_out(service) != Next::Close
            });
        }
    }
}
