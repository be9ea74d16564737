//! `kernel-drops`: whether the kernel kept connections waiting.
//!
//! A SYN that is dropped is sent again after a second, which a latency shows and does not explain.
//! Where the kernel tells what the target's own listeners dropped, that decides. The other counters are of the whole
//! machine, or network namespace: they tell only of a server that is on it, and others may have raised them. All are of
//! the whole run: most drops happen when connections are made, before the measured part.

use super::{Check, Judgement, Verdict};
use crate::measurement::{KernelCounters, Measurement};

pub(super) const CHECK: Check = Check { name: "kernel-drops", judge };

/// What to do about a full queue.
const RAISE: &str = "the server accepts too slowly for its backlog; raise its --backlog and net.core.somaxconn, or lower \
                     --connect-rate";

fn judge(measured: &Measurement) -> Option<Judgement> {
    let kernel = measured.kernel?;
    let KernelCounters { listen_overflows, listen_drops, syn_retransmits, listener_drops } = kernel;
    if kernel.are_of_others() {
        let detail = format!(
            "the server's own queue dropped nothing; {listen_overflows} listen overflows on this machine are of other \
             listeners"
        );
        return Some(Judgement::new(Verdict::Pass, detail));
    }
    if let Some(drops @ 1..) = listener_drops {
        let detail = format!("the server's listen queue dropped {drops} connection attempts: {RAISE}");
        return Some(Judgement::new(Verdict::Warn, detail));
    }
    if listen_overflows + listen_drops + syn_retransmits == 0 {
        return Some(Judgement::new(Verdict::Pass, "no listen overflows and no SYN sent again".into()));
    }
    let mut detail = format!(
        "on this machine {listen_overflows} listen overflows, {listen_drops} listen drops, {syn_retransmits} SYNs sent again"
    );
    if listen_overflows > 0 {
        detail += &format!(": if they are the server's, {RAISE}");
    } else if syn_retransmits > 0 {
        detail += ": each costs a connection a second or more; look at net.ipv4.tcp_max_syn_backlog, \
                   tcp_syncookies and the way to the server";
    }
    Some(Judgement::new(Verdict::Warn, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;

    const OVERFLOW: KernelCounters =
        KernelCounters { listen_overflows: 7, listen_drops: 7, syn_retransmits: 5, listener_drops: None };

    fn with(kernel: Option<KernelCounters>) -> Option<Judgement> {
        judge(&Measurement { kernel, ..fixture::closed() })
    }

    #[test]
    fn passes_when_nothing_was_dropped() {
        assert_eq!(with(Some(KernelCounters::default())).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn warns_of_overflows_and_says_what_to_raise() {
        let overflow = KernelCounters { listener_drops: Some(7), ..OVERFLOW };
        let judgement = with(Some(overflow)).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        let begin = "the server's listen queue dropped 7 connection attempts: ";
        assert!(judgement.detail.starts_with(begin), "{}", judgement.detail);
        assert!(judgement.detail.contains("--backlog and net.core.somaxconn"), "{}", judgement.detail);
    }

    #[test]
    fn does_not_blame_the_server_for_what_other_listeners_dropped() {
        let of_others = KernelCounters { listener_drops: Some(0), ..OVERFLOW };
        let judgement = with(Some(of_others)).unwrap();
        assert_eq!(judgement.verdict, Verdict::Pass);
        assert!(
            judgement.detail.contains("7 listen overflows on this machine are of other"),
            "{judgement:?}"
        );
    }

    #[test]
    fn says_that_the_counters_are_of_the_machine_where_it_knows_no_better() {
        let judgement = with(Some(OVERFLOW)).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(judgement.detail.starts_with("on this machine 7 listen overflows"), "{}", judgement.detail);
        assert!(judgement.detail.contains("if they are the server's"), "{}", judgement.detail);
    }

    #[test]
    fn warns_of_syns_that_were_lost_elsewhere() {
        let lost = KernelCounters { syn_retransmits: 5, ..KernelCounters::default() };
        let judgement = with(Some(lost)).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(judgement.detail.contains("5 SYNs sent again: each costs"), "{}", judgement.detail);
    }

    #[test]
    fn does_not_apply_where_the_counters_cannot_be_read() {
        assert_eq!(with(None), None);
    }
}
