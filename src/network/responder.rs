//! A small DNS server on a thread, for machines without `dnsmasq`: it knows one name.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};

use super::dns;
use super::host::Host;

/// A running server. Dropping it ends its thread.
#[derive(Debug)]
pub(super) struct Responder {
    socket: UdpSocket,
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Starts the server inside of a host, at its address `server`.
    pub fn start(host: &Host, server: Ipv4Addr, name: &str, record: Ipv4Addr) -> Result<Self> {
        let listen_on = SocketAddr::from((server, dns::PORT));
        let socket = host.within(|| UdpSocket::bind(listen_on))?;
        let socket = socket.with_context(|| format!("cannot listen on {listen_on}"))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let work = Work {
            socket: socket.try_clone()?,
            is_over: Arc::clone(&is_over),
            name: name.to_owned(),
            record,
        };
        let thread = thread::Builder::new().name("dns".into()).spawn(move || work.serve());
        let thread = Some(thread.context("cannot start a thread that answers for names")?);
        Ok(Self { socket, address: listen_on, is_over, thread })
    }
}

/// The part of a server that its thread has.
struct Work {
    socket: UdpSocket,
    is_over: Arc<AtomicBool>,
    name: String,
    record: Ipv4Addr,
}

impl Work {
    fn serve(self) {
        let mut buffer = [0; dns::LONGEST];
        while !self.is_over.load(Ordering::Relaxed) {
            // An error is of one datagram, such as an answer that nobody took.
            let Ok((length, client)) = self.socket.recv_from(&mut buffer) else { continue };
            if let Some(answer) = dns::answer(&buffer[..length], &self.name, self.record) {
                let _ = self.socket.send_to(&answer, client);
            }
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Any datagram ends the wait. Sent from its own socket, it stays inside of the host.
        let is_woken = self.socket.send_to(&[], self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| is_woken) {
            let _ = thread.join();
        }
    }
}
