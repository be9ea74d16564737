//! `tcp`: overflows and drops of listen queues, retransmits, and sockets in `TIME_WAIT`, in this
//! network namespace.
//!
//! The counters include other traffic of the machine. `procfs` reads the one counter that is in
//! `/proc/net/snmp`; it does not know `/proc/net/netstat` and `/proc/net/sockstat`.

use std::fs;

use anyhow::{Context, Result};
use procfs::net::snmp;

use super::definition::{Finish, Probe, Read, Values, growth};
use super::tree::Tree;

pub(super) const PROBE: Probe = Probe { name: "tcp", read: Read::Both(begin) };

fn begin(_: &Tree) -> Result<Finish> {
    let begin = counters()?;
    Ok(Box::new(move |_| {
        let mut values = growth(begin, counters()?);
        values.push(("tcp_time_wait", time_wait(&read("/proc/net/sockstat")?)?));
        Ok(values)
    }))
}

fn counters() -> Result<Values> {
    let netstat = read("/proc/net/netstat")?;
    let retransmits = snmp().context("cannot read /proc/net/snmp")?.tcp_retrans_segs;
    Ok(vec![
        ("tcp_listen_overflows", extension(&netstat, "ListenOverflows")?),
        ("tcp_listen_drops", extension(&netstat, "ListenDrops")?),
        ("tcp_retransmits", retransmits as f64),
    ])
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

/// Returns a value of the `TcpExt` lines of `/proc/net/netstat`: a line of names is followed by a
/// line of values.
fn extension(netstat: &str, wanted: &str) -> Result<f64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let names = lines.next().unwrap_or_default().split(' ');
    let mut pairs = names.zip(lines.next().unwrap_or_default().split(' '));
    let value = pairs.find(|(name, _)| *name == wanted).and_then(|(_, value)| value.parse().ok());
    value.with_context(|| format!("this kernel does not count {wanted}"))
}

/// Returns the number of sockets in `TIME_WAIT`: the number behind `tw` in the line `TCP:` of
/// `/proc/net/sockstat`.
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
        assert_eq!(extension(netstat, "ListenDrops").ok(), Some(3.0));
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
