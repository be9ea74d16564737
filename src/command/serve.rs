//! `c10k serve MODEL`: runs one server until it is told to stop.

use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use c10k_servers::http::Timeouts;
use c10k_servers::site::Site;
use c10k_servers::{AcceptStrategy, Entry, Listener, Listening, Options, ROSTER, Shutdown, find};
use procfs::net::{TcpNetEntry, TcpState};
use rustix::io::Errno;

use crate::cpus::CpuList;
use crate::limits;
use crate::output::{note, print};
use crate::time;

/// Serve with one concurrency model until SIGTERM or SIGINT
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A model of `c10k models`
    #[arg(value_parser = parse_model)]
    model: &'static Entry,
    /// Address to listen on; port 0 takes a free one. If a name has several addresses, the first
    /// one that this machine has is used
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "HOST:PORT", value_parser = parse_address)]
    addr: Address,
    /// Folder to serve, read once at start; without it, one page of 1 KiB
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Event loops, threads of a runtime or workers of a pool that serve connections, if the model
    /// has several
    #[arg(long, value_name = "N", value_parser = limits::whole(NonZeroUsize::MIN..=NonZeroUsize::MAX))]
    workers: Option<NonZeroUsize>,
    /// Threads that run handlers, for models whose handlers are `offloaded` in `c10k models`
    #[arg(long, value_name = "N", value_parser = limits::whole(NonZeroUsize::MIN..=NonZeroUsize::MAX))]
    handler_threads: Option<NonZeroUsize>,
    /// Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = limits::whole(1..=u32::MAX))]
    backlog: u32,
    /// Listen without `SO_REUSEADDR`, to see what it is for: as long as closed connections of an
    /// earlier server are in TIME_WAIT at the address (60 s), the start fails
    #[arg(long)]
    no_reuse_address: bool,
    /// Processors to run on, such as 0,2-3
    #[arg(long, value_name = "CPUS")]
    pin: Option<CpuList>,
    /// Connections served at once; further ones wait in the backlog. By default, as many as the
    /// limit of open files allows
    #[arg(long, value_name = "N", value_parser = limits::whole(NonZeroUsize::MIN..=NonZeroUsize::MAX))]
    max_connections: Option<NonZeroUsize>,
    /// Time that a client may take to send the head of a request, from its first byte on
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = time::parse_positive)]
    head_timeout: Duration,
    /// Time that a client may do nothing: neither send a further request or body, nor read a
    /// response
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = time::parse_positive)]
    idle_timeout: Duration,
    /// Memory to allocate and write to before serving, in MiB: the page tables of a fork grow with
    /// it
    #[arg(long, default_value_t = 0, value_name = "MIB", value_parser = limits::whole(0..=65_536_usize))]
    ballast: usize,
    /// Serve /panic, a handler that panics, to see what that costs
    #[arg(long)]
    panic_endpoint: bool,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        if self.handler_threads.is_some() {
            limits::check_handler_threads(self.model).context("--handler-threads")?;
        }
        limits::raise_open_files();
        // The harness starts this program by the number of an open file, and `ps` and `pgrep` would
        // show that number as the name of the process.
        let _ = rustix::thread::set_name(c"c10k");
        if let Some(cpus) = &self.pin {
            cpus.pin()?;
        }
        let ballast = self.ballast()?;
        let site = self.site()?;
        let timeouts = Timeouts { head: self.head_timeout, idle: self.idle_timeout };
        let options = Options {
            workers: self.workers,
            handler_threads: self.handler_threads,
            max_connections: self.max_connections()?,
            timeouts,
        };
        let serve = self
            .model
            .check(&options)
            .map_err(|reason| anyhow!("the model {} can't run here: {reason}", self.model.name))?;
        let listener = self.listen()?;
        if listener.backlog() < self.backlog {
            note(&format!(
                "c10k: the kernel cuts the backlog of {} to {} (net.core.somaxconn)\n",
                self.backlog,
                listener.backlog()
            ));
        }
        let shutdown = Shutdown::on_signals().context("cannot handle signals")?;
        print(&format!("listening on {}\n", listener.local_address()?))?;
        serve(options, listener, Arc::new(site), shutdown)
            .with_context(|| format!("the model {} cannot go on", self.model.name))?;
        drop(ballast);
        Ok(ExitCode::SUCCESS)
    }

    fn listen(&self) -> Result<Listener> {
        let Address { name, all } = &self.addr;
        let sharded = self.model.profile.accept_strategy == AcceptStrategy::Shards;
        let bind = |address| {
            Listener::bind(Listening {
                address,
                backlog: self.backlog,
                idle_timeout: self.idle_timeout,
                sharded,
                reuse_address: !self.no_reuse_address,
            })
        };
        let (address, listener) = first_here(all, bind)?;
        if all.len() > 1 {
            let count = all.len();
            let ip = address.ip();
            note(&format!(
                "c10k: {name} has {count} addresses; this server listens on {ip} alone\n"
            ));
        }
        Ok(listener)
    }

    fn ballast(&self) -> Result<Vec<u8>> {
        let bytes = self.ballast << 20;
        let mut ballast = Vec::new();
        ballast
            .try_reserve_exact(bytes)
            .context("there is no memory for --ballast; ask for less")?;
        ballast.resize(bytes, 1);
        Ok(black_box(ballast))
    }

    fn site(&self) -> Result<Site> {
        let site = match &self.root {
            None => Site::embedded(),
            Some(root) => Site::load(root).context("cannot serve the folder of --root")?,
        };
        Ok(if self.panic_endpoint { site.with_panic() } else { site })
    }

    /// Returns the limit of connections. If there were more connections than open files,
    /// connections would fail one by one under load, so a limit that is too high is refused here.
    fn max_connections(&self) -> Result<NonZeroUsize> {
        let possible = limits::max_connections_of(self.model, self.workers)?;
        match self.max_connections {
            Some(wanted) if wanted > possible => {
                bail!(
                    "--max-connections {wanted} needs more open files or threads than allowed: {possible} at most, see `ulimit -Hn`"
                )
            }
            wanted => Ok(wanted.unwrap_or(possible)),
        }
    }
}

/// Address to listen on: a name and its addresses, in the order of the resolver.
#[derive(Debug, Clone)]
struct Address {
    name: String,
    all: Vec<SocketAddr>,
}

fn parse_model(name: &str) -> Result<&'static Entry> {
    let names = || ROSTER.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ");
    find(name).ok_or_else(|| anyhow!("there is no such model; the models are {}", names()))
}

fn parse_address(text: &str) -> Result<Address> {
    let (name, port) = text.rsplit_once(':').context("write HOST:PORT, such as 127.0.0.1:8080")?;
    if port.parse::<u16>().is_err() {
        bail!("port `{port}` is not a number from 0 to 65535");
    }
    let all: Vec<_> = text.to_socket_addrs().context("cannot resolve the host")?.collect();
    ensure!(!all.is_empty(), "the host has no address");
    Ok(Address { name: name.into(), all })
}

/// Binds to the first address that this machine has. An address that is already in use is an error
/// and is not skipped: clients of the name would reach the other server there.
fn first_here<T>(
    addresses: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> io::Result<T>,
) -> Result<(SocketAddr, T)> {
    let mut missing = None;
    for &address in addresses {
        match bind(address) {
            Ok(bound) => return Ok((address, bound)),
            Err(error) if is_not_here(&error) => missing = missing.or(Some((address, error))),
            Err(error) => return Err(bind_error(address, &error)),
        }
    }
    let (address, error) = missing.context("the host has no address")?;
    Err(bind_error(address, &error))
}

/// True if a bind failed because this machine has no such address, or no network of its kind.
fn is_not_here(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

fn bind_error(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        ErrorKind::AddrInUse => in_use_hint(address),
        ErrorKind::AddrNotAvailable => "; it is not an address of this machine".into(),
        ErrorKind::PermissionDenied => "; ports below 1024 belong to the superuser".into(),
        _ => String::new(),
    };
    anyhow!("cannot listen on {address}: {error}{hint}")
}

/// Returns the next step for an address in use: there is a server, or only connections that the
/// last server there closed first.
fn in_use_hint(address: SocketAddr) -> String {
    let sockets = sockets_at(address);
    let count = |state: TcpState| sockets.iter().filter(|socket| socket.state == state).count();
    let closed = count(TcpState::TimeWait);
    if closed == 0 || count(TcpState::Listen) > 0 {
        return "; choose another port with --addr, port 0 takes a free one".into();
    }
    // A listener of the standard library has SO_REUSEADDR. It can't bind either if the closed
    // connections are of a server without the option.
    let way_out = match TcpListener::bind(address) {
        Ok(_) => "leave out --no-reuse-address",
        Err(_) => "choose another port with --addr",
    };
    format!("; connections in TIME_WAIT hold it ({closed}), which lasts 60 s: wait, or {way_out}")
}

/// Returns the TCP sockets whose own address would be in the way of a listener at this one, as far
/// as the kernel lists sockets.
fn sockets_at(address: SocketAddr) -> Vec<TcpNetEntry> {
    let wanted = address.ip().to_canonical();
    let mut sockets = [procfs::net::tcp(), procfs::net::tcp6()]
        .into_iter()
        .flat_map(Result::unwrap_or_default)
        .collect::<Vec<_>>();
    sockets.retain(|socket| {
        let ip = socket.local_address.ip().to_canonical();
        let is_same = ip == wanted || ip.is_unspecified() || wanted.is_unspecified();
        is_same && socket.local_address.port() == address.port()
    });
    sockets
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    /// Address reserved for documentation, so that no machine has it.
    const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 0);
    const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn the_first_address_of_this_machine_among_several_is_used() {
        let (address, listener) = first_here(&[ELSEWHERE, HERE], TcpListener::bind).unwrap();
        assert_eq!((address, listener.local_addr().unwrap().ip()), (HERE, HERE.ip()));
        let error = first_here(&[ELSEWHERE], TcpListener::bind).unwrap_err().to_string();
        assert!(
            error.contains("192.0.2.1:0") && error.contains("not an address of this machine"),
            "{error}"
        );
    }

    #[test]
    fn an_address_in_use_is_not_skipped() {
        let busy = TcpListener::bind(HERE).unwrap();
        let error = first_here(&[busy.local_addr().unwrap(), HERE], TcpListener::bind).unwrap_err();
        assert!(error.to_string().contains("choose another port"), "{error}");
    }
}
