//! `tcp`: overflows and drops of listen queues, retransmits, and sockets in `TIME_WAIT`, in the
//! network namespace of the server.
//!
//! The counters include other traffic of the namespace, which is usually that of the machine.
//! `procfs` reads the one counter that is in `/proc/PID/net/snmp`; it does not know `netstat` and
//! `sockstat` beside it.

use std::fs;

use anyhow::{Context, Result};
use procfs::process::Process;

use super::definition::{Finish, Probe, Read, Values, growth};
use super::tree::Tree;

pub(super) const PROBE: Probe = Probe { name: "tcp", read: Read::Both(begin) };

/// Connections that did not fit into a listen queue of a network namespace, since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenQueues {
    pub overflows: u64,
    pub drops: u64,
}

impl ListenQueues {
    /// Reads the counters in the namespace of the process `pid`.
    pub(crate) fn of(pid: i32) -> Result<Self> {
        let netstat = read(pid, "netstat")?;
        let counter = |name| extension(&netstat, name);
        Ok(Self { overflows: counter("ListenOverflows")?, drops: counter("ListenDrops")? })
    }
}

fn begin(tree: &Tree) -> Result<Finish> {
    let begin = counters(tree)?;
    Ok(Box::new(move |tree| {
        let mut values = growth(begin, counters(tree)?);
        values.push(("tcp_time_wait", time_wait(&read(tree.members[0].pid, "sockstat")?)?));
        Ok(values)
    }))
}

fn counters(tree: &Tree) -> Result<Values> {
    let pid = tree.members[0].pid;
    let ListenQueues { overflows, drops } = ListenQueues::of(pid)?;
    let snmp = Process::new(pid).and_then(|process| process.snmp());
    let retransmits = snmp.context("cannot read net/snmp of the server")?.tcp_retrans_segs;
    Ok(vec![
        ("tcp_listen_overflows", overflows as f64),
        ("tcp_listen_drops", drops as f64),
        ("tcp_retransmits", retransmits as f64),
    ])
}

/// Reads a file about the network namespace of the process `pid`.
fn read(pid: i32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/net/{name}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// Returns a value of the `TcpExt` lines of `netstat`: a line of names is followed by a line of
/// values.
fn extension(netstat: &str, wanted: &str) -> Result<u64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let names = lines.next().unwrap_or_default().split(' ');
    let mut pairs = names.zip(lines.next().unwrap_or_default().split(' '));
    let value = pairs.find(|(name, _)| *name == wanted).and_then(|(_, value)| value.parse().ok());
    value.with_context(|| format!("this kernel does not count {wanted}"))
}

/// Returns the number of sockets in `TIME_WAIT`: the number behind `tw` in the line `TCP:` of
/// `sockstat`.
fn time_wait(sockstat: &str) -> Result<f64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP: "));
    let mut fields = line.unwrap_or_default().split(' ').skip_while(|field| *field != "tw").skip(1);
    let value = fields.next().and_then(|value| value.parse().ok());
    value.context("this kernel does not report how many sockets are in TIME_WAIT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_read_by_name() {
        let netstat = "TcpExt: A ListenOverflows ListenDrops\nTcpExt: 1 2 3\nIpExt: B\nIpExt: 5\n";
        assert_eq!(extension(netstat, "ListenDrops").ok(), Some(3));
        let error = extension(netstat, "B").unwrap_err();
        assert_eq!(error.to_string(), "this kernel does not count B");
    }

    #[test]
    fn sockets_in_time_wait_are_read_by_name() {
        let sockstat =
            "sockets: used 13\nTCP: inuse 1 orphan 0 tw 7 alloc 1 mem 286\nUDP: inuse 0 mem 0\n";
        assert_eq!(time_wait(sockstat).ok(), Some(7.0));
        assert!(time_wait("sockets: used 13\n").is_err());
    }
}
