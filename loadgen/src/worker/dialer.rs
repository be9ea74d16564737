//! Starts connections: to the addresses of the target in turn, from source addresses that have
//! ports left, and no more often than the workload allows.

use std::io;
use std::net::{SocketAddr, TcpStream};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::nanos;
use crate::measurement::GeneratorLimits;
use crate::plan::{Plan, TICK};
use crate::source::Sources;

/// Makes the sockets of a worker, idle ones included.
#[derive(Debug)]
pub(super) struct Dialer {
    sources: Sources,
    /// Number of the next connect: the addresses take turns by it.
    turn: usize,
    /// Index of the address that was used last.
    address: usize,
    /// Earliest time of the next connect, and time between two connects.
    next_open: u64,
    open_every: u64,
    limits: GeneratorLimits,
}

impl Dialer {
    /// Creates the dialer of worker `index`. Workers begin with different addresses, the first one
    /// with the first address, and share the connect rate.
    pub fn new(plan: &Plan, index: usize) -> Self {
        let workload = &plan.workload;
        let period = |rate: f64| (1e9 / rate * plan.workers() as f64) as u64;
        Self {
            sources: Sources::new(&plan.target.addresses, workload.connections + workload.idle),
            turn: index,
            address: 0,
            next_open: 0,
            open_every: workload.connect_rate.map_or(0, period),
            limits: GeneratorLimits::default(),
        }
    }

    /// Returns true if the connect rate allows a connection, idle or not, to be opened now, and
    /// counts it in that case.
    pub fn take_turn(&mut self, now: u64) -> bool {
        if self.next_open > now {
            return false;
        }
        if self.open_every > 0 {
            // Connections that were delayed by a late tick may follow at once. Time in which no
            // connection was needed does not add up.
            self.next_open = self.next_open.max(now.saturating_sub(nanos(TICK))) + self.open_every;
        }
        true
    }

    /// Begins to connect to the next address without waiting for the result.
    pub fn connect(&mut self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        self.try_connect(addresses).inspect_err(|error| self.limits.note(error))
    }

    /// Returns the index of the address that was used last.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Returns the number of connects that failed because the generator lacked a resource.
    pub fn limits(&self) -> GeneratorLimits {
        self.limits
    }

    fn try_connect(&mut self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        self.address = self.turn % addresses.len();
        self.turn = self.turn.wrapping_add(1);
        let address = addresses[self.address];
        loop {
            let socket = Socket::new(
                Domain::for_address(address),
                Type::STREAM.nonblocking(),
                Some(Protocol::TCP),
            )?;
            socket.set_tcp_nodelay(true)?;
            self.sources.bind_next(&socket, address)?;
            match socket.connect(&address.into()) {
                Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
                Err(error)
                    if error.kind() == io::ErrorKind::AddrNotAvailable
                        && self.sources.add(address) =>
                {
                    continue;
                }
                result => result?,
            }
            return Ok(socket.into());
        }
    }
}
