//! Kernel counters of connections that the kernel kept waiting, from `/proc/net/netstat` (`TcpExt`,
//! see `Documentation/networking/snmp_counter.rst` of Linux).
//!
//! The crate `procfs` (0.18) reads `/proc/net/snmp`, which has none of these counters, and does not
//! read `/proc/net/netstat`: hence the parser.

use std::fs;

use crate::listener_drops;
use crate::measurement::KernelCounters;
use crate::target::Target;

/// Counters of the calling thread's network namespace, in which its connections are. `/proc/net`
/// would be the namespace of the process, which a thread may have left.
const COUNTERS: &str = "/proc/thread-self/net/netstat";

impl KernelCounters {
    /// Returns the counters since the machine was started; `None` if they can't be read. The
    /// counters of the target's own listeners are known only on loopback: any other address may
    /// belong to another machine.
    pub(crate) fn now(target: &Target) -> Option<Self> {
        let counters = Self::parse(&fs::read_to_string(COUNTERS).ok()?)?;
        let own = target.is_loopback().then(|| listener_drops::of(&target.addresses)).flatten();
        Some(Self { listener_drops: own, ..counters })
    }

    /// Returns the increase since `begin`.
    pub(crate) fn since(self, begin: Self) -> Self {
        let listen_drops = self.listen_drops.saturating_sub(begin.listen_drops);
        // A listener that was created in between counts from zero. A listener with
        // `TCP_DEFER_ACCEPT`, as Apache has it, also counts the end of every handshake; the
        // machine's counter, which includes every dropped connection, is therefore the upper limit.
        let own = self.listener_drops.zip(begin.listener_drops);
        let own = own.map(|(now, begin)| if now < begin { now } else { now - begin });
        Self {
            listen_overflows: self.listen_overflows.saturating_sub(begin.listen_overflows),
            listen_drops,
            syn_retransmits: self.syn_retransmits.saturating_sub(begin.syn_retransmits),
            listener_drops: own.map(|own| own.min(listen_drops)),
            time_wait: None,
        }
    }

    /// Parses a line of names followed by a line of values.
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
            listener_drops: None,
            time_wait: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_the_listener_are_distinguished_from_drops_of_others() {
        let counters = |drops, own| KernelCounters {
            listen_drops: drops,
            listener_drops: own,
            ..KernelCounters::default()
        };
        let since = counters(9, Some(5)).since(counters(2, Some(5)));
        assert_eq!(since, counters(7, Some(0)));
        assert_eq!(counters(9, Some(5)).since(counters(2, None)).listener_drops, None);
        assert_eq!(counters(9, Some(1)).since(counters(2, Some(5))).listener_drops, Some(1));
    }

    #[test]
    fn handshakes_that_a_listener_defers_are_no_dropped_connections() {
        let counters = |drops, own| KernelCounters {
            listen_drops: drops,
            listener_drops: own,
            ..KernelCounters::default()
        };
        assert_eq!(counters(2, Some(200)).since(counters(2, Some(5))).listener_drops, Some(0));
        assert_eq!(counters(5, Some(200)).since(counters(2, Some(5))).listener_drops, Some(3));
    }

    #[test]
    fn reads_values_by_name() {
        let text = "TcpExt: A ListenOverflows ListenDrops TCPSynRetrans\nTcpExt: 1 2 3 4\nIpExt: B\nIpExt: 5\n";
        let counters = KernelCounters::parse(text).unwrap();
        let expected = KernelCounters {
            listen_overflows: 2,
            listen_drops: 3,
            syn_retransmits: 4,
            ..KernelCounters::default()
        };
        assert_eq!(counters, expected);
        assert_eq!(KernelCounters::parse("TcpExt: A\nTcpExt: 1\n"), None);
    }
}
