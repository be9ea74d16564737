//! One thread, many connections: the kernel keeps the list and says who is ready, through the `polling` crate.
//!
//! The answer to the C10K problem: a turn costs what the ready connections cost, not what all of them do. Level-triggered,
//! so that one read per event is enough and a connection that has more to say waits for its next turn like the others.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use polling::{Event, Events, PollMode, Poller};
use slab::Slab;

use super::{Accepts, Entry, Runs, Traits, Waits};
use crate::blocking::READ_BYTES;
use crate::http::Service;
use crate::listener::refuse;
use crate::peer::{Drain, Next, Peer};
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site};

/// Connections taken per wake-up; more would keep the others waiting.
const ACCEPTS_PER_WAKE: usize = 64;

/// Keys of what is no connection; connections have their slot in the slab.
const LISTENER: usize = usize::MAX - 1;
const SHUTDOWN: usize = usize::MAX - 2;

pub const ENTRY: Entry = Entry {
    name: "epoll",
    about: "one thread with readiness notification through the `polling` crate",
    traits: Traits { waits: Waits::Epoll, runs: Runs::EventLoop, accepts: Accepts::OneAcceptor },
    build: |options: &Options| Box::new(Epoll { max_connections: options.max_connections.get() }),
};

struct Epoll {
    max_connections: usize,
}

impl ConcurrencyModel for Epoll {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let (mut service, mut buffer) = (Service::new(site), vec![0; READ_BYTES]);
        let mut peers = Peers { poller: Poller::new()?, slots: Slab::new() };
        // SAFETY: both outlive the poller: locals are dropped before parameters.
        unsafe {
            peers.poller.add_with_mode(&listener.as_fd(), Event::readable(LISTENER), PollMode::Level)?;
            peers.poller.add_with_mode(&shutdown.as_fd(), Event::readable(SHUTDOWN), PollMode::Level)?;
        }
        let (mut events, mut listening) = (Events::new(), true);
        while !shutdown.is_signalled() {
            events.clear();
            peers.poller.wait(&mut events, None)?;
            for event in events.iter() {
                match event.key {
                    LISTENER => peers.accept(&listener, self.max_connections)?,
                    SHUTDOWN => {}
                    key => peers.turn(key, &mut service, &mut buffer)?,
                }
            }
            let room = peers.slots.len() < self.max_connections;
            if room != listening {
                listening = room;
                peers.poller.modify_with_mode(
                    &listener,
                    Event::new(LISTENER, room, false),
                    PollMode::Level,
                )?;
            }
        }
        peers.poller.delete(&shutdown)?;
        peers.poller.delete(&listener)?;
        drop(listener);
        peers.drain(&mut service, &mut buffer, &mut events)
    }
}

/// The connections and who tells which of them are ready. Fields drop in order: the poller goes before its sockets.
struct Peers {
    poller: Poller,
    slots: Slab<(Peer, Next)>,
}

impl Peers {
    /// Takes the connections that wait, as far as there is room.
    fn accept(&mut self, listener: &Listener, max_connections: usize) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_WAKE.min(max_connections - self.slots.len()) {
            let stream = match listener.accept() {
                Ok(stream) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            let slot = self.slots.vacant_entry();
            // SAFETY: `turn` deletes it before it drops it, and the poller is dropped before the slots.
            match unsafe { self.poller.add_with_mode(&stream, Event::readable(slot.key()), PollMode::Level) }
            {
                Ok(()) => _ = slot.insert((Peer::new(stream), Next::Readable)),
                // The kernel has a limit of watches too (epoll(7)).
                Err(_) => refuse(&stream),
            }
        }
        Ok(())
    }

    /// Serves a connection that is ready; tells the poller only what has changed.
    fn turn(&mut self, key: usize, service: &mut Service, buffer: &mut [u8]) -> io::Result<()> {
        let (peer, waits_for) = &mut self.slots[key];
        let next = peer.turn(service, buffer);
        if next == *waits_for {
            return Ok(());
        }
        *waits_for = next;
        match next {
            Next::Readable => {
                self.poller.modify_with_mode(&peer.stream, Event::readable(key), PollMode::Level)
            }
            Next::Writable => {
                self.poller.modify_with_mode(&peer.stream, Event::writable(key), PollMode::Level)
            }
            Next::Closed => self.close(key),
        }
    }

    fn close(&mut self, key: usize) -> io::Result<()> {
        let (peer, _) = self.slots.remove(key);
        self.poller.delete(&peer.stream)
    }

    /// Lets the connections finish what they are answering.
    fn drain(mut self, service: &mut Service, buffer: &mut [u8], events: &mut Events) -> io::Result<()> {
        let drain = Drain::begin(service);
        let mut ready: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        loop {
            for key in ready {
                self.turn(key, service, buffer)?;
                if self.slots.get(key).is_some_and(|(peer, _)| peer.is_idle()) {
                    self.close(key)?;
                }
            }
            if self.slots.is_empty() || drain.left().is_zero() {
                return Ok(());
            }
            events.clear();
            self.poller.wait(events, Some(drain.left()))?;
            ready = events.iter().map(|event| event.key).collect();
        }
    }
}
