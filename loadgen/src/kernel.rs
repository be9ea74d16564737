//! What the kernel counts of connections that it kept waiting, from `/proc/net/netstat` (`TcpExt`, see
//! `Documentation/networking/snmp_counter.rst` of Linux).
//!
//! The crate `procfs` (0.18) reads `/proc/net/snmp`, which has none of these counters, and no
//! `/proc/net/netstat`: hence the parser.

use std::fs;

use crate::measurement::KernelCounters;

impl KernelCounters {
    /// The counters since the machine was started; none where they can't be read.
    pub(crate) fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/net/netstat").ok()?)
    }

    /// What came since `begin`.
    pub(crate) fn since(self, begin: Self) -> Self {
        Self {
            listen_overflows: self.listen_overflows.saturating_sub(begin.listen_overflows),
            listen_drops: self.listen_drops.saturating_sub(begin.listen_drops),
            syn_retransmits: self.syn_retransmits.saturating_sub(begin.syn_retransmits),
        }
    }

    /// The format is a line of names followed by a line of values.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
        let (names, values) = (lines.next()?, lines.next()?);
        let value = |wanted: &str| {
            let mut pairs = names.split(' ').zip(values.split(' '));
            pairs.find(|(name, _)| *name == wanted)?.1.parse().ok()
        };
        Some(Self {
            listen_overflows: value("ListenOverflows")?,
            listen_drops: value("ListenDrops")?,
            syn_retransmits: value("TCPSynRetrans")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_values_by_name() {
        let text =
            "TcpExt: A ListenOverflows ListenDrops TCPSynRetrans\nTcpExt: 1 2 3 4\nIpExt: B\nIpExt: 5\n";
        let counters = KernelCounters::parse(text).unwrap();
        assert_eq!(counters, KernelCounters { listen_overflows: 2, listen_drops: 3, syn_retransmits: 4 });
        assert_eq!(KernelCounters::parse("TcpExt: A\nTcpExt: 1\n"), None);
    }
}
