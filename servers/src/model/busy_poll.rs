//! One thread that asks every socket in turn whether it has something, forever and without ever sleeping.
//!
//! What non-blocking sockets give without any help of the kernel: the lowest latency while the list is short, a whole
//! processor at any time, and a cost per turn that grows with every connection, idle or not. Faithful on purpose: that
//! growth is what readiness notification was invented for.

use std::io;
use std::sync::Arc;

use super::{Accepts, Entry, Runs, Traits, Waits};
use crate::blocking::READ_BYTES;
use crate::http::Service;
use crate::peer::{Drain, Next, Peer};
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site};

pub const ENTRY: Entry = Entry {
    name: "busy-poll",
    about: "one thread that tries every non-blocking socket in turn, never sleeping",
    traits: Traits { waits: Waits::Spin, runs: Runs::EventLoop, accepts: Accepts::OneAcceptor },
    build: |options: &Options| Box::new(BusyPoll { max_connections: options.max_connections.get() }),
};

struct BusyPoll {
    max_connections: usize,
}

impl ConcurrencyModel for BusyPoll {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let (mut service, mut buffer) = (Service::new(site), vec![0; READ_BYTES]);
        let mut peers: Vec<Peer> = Vec::new();
        while !shutdown.is_signalled() {
            if peers.len() < self.max_connections {
                match listener.accept() {
                    Ok(stream) => peers.push(Peer::new(stream)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            peers.retain_mut(|peer| peer.turn(&mut service, &mut buffer) != Next::Closed);
        }
        drop(listener);
        let drain = Drain::begin(&mut service);
        while !peers.is_empty() && !drain.left().is_zero() {
            peers.retain_mut(|peer| peer.turn(&mut service, &mut buffer) != Next::Closed && !peer.is_idle());
        }
        Ok(())
    }
}
