//! `kernel-drops`: checks that the kernel did not keep connections waiting.
//!
//! A dropped SYN is sent again after a second: the latency contains that second but does not
//! explain it. If the kernel reports the drops of the target's own listeners, these decide. The
//! other counters are those of the whole machine, or of the network namespace: they say something
//! only about a server on this machine, and other listeners may have raised them. All counters are
//! of the whole run: most drops happen when connections are made, before the measured part.

use super::definition::{Check, Judgement, Verdict};
use crate::measurement::{KernelCounters, Measurement};

pub(super) const CHECK: Check = Check { name: "kernel-drops", judge };

/// Advice about a full queue.
const RAISE: &str = "the server accepts too slowly for its backlog; raise its --backlog and net.core.somaxconn, or lower \
                     --connect-rate";

/// Advice about SYNs that were sent again although the server's queue was not full.
const LOOK: &str =
    "; look at net.ipv4.tcp_max_syn_backlog, tcp_syncookies, and the way to the server";

fn judge(measured: &Measurement) -> Option<Judgement> {
    let kernel = measured.kernel?;
    let queue = queue(kernel);
    let is_queue_full = queue.as_ref().is_some_and(|(verdict, _)| *verdict != Verdict::Pass);
    let found = [queue, sent_again(kernel, is_queue_full)].into_iter().flatten();
    let (verdicts, details) = found.unzip::<_, _, Vec<_>, Vec<_>>();
    Some(match verdicts.into_iter().max() {
        Some(verdict) => Judgement::new(verdict, details.join("; ")),
        None => Judgement::new(Verdict::Pass, "no listen overflows and no SYN sent again".into()),
    })
}

/// Judges the connections that listeners dropped; `None` if there were none.
fn queue(kernel: KernelCounters) -> Option<(Verdict, String)> {
    let KernelCounters { listen_overflows, listen_drops, listener_drops, .. } = kernel;
    if let Some(drops @ 1..) = listener_drops {
        let detail =
            format!("the server's listen queue dropped {drops} connection attempts: {RAISE}");
        return Some((Verdict::Warn, detail));
    }
    if listen_overflows + listen_drops == 0 {
        return None;
    }
    let counted = format!("{listen_overflows} listen overflows and {listen_drops} listen drops");
    Some(match listener_drops {
        Some(_) => {
            let of_others = format!("{counted} on this machine are of other listeners");
            (Verdict::Pass, format!("the server's own queue dropped nothing; {of_others}"))
        }
        None => {
            (Verdict::Warn, format!("on this machine {counted}: if they are the server's, {RAISE}"))
        }
    })
}

/// Judges the SYNs that were sent again; `None` if there were none. The counter does not say to
/// which connections they belong, so they may be the generator's even if other listeners dropped
/// some.
fn sent_again(kernel: KernelCounters, is_queue_full: bool) -> Option<(Verdict, String)> {
    let count = kernel.syn_retransmits;
    let look = if is_queue_full { "" } else { LOOK };
    let detail = || {
        format!(
            "on this machine {count} SYNs sent again: each costs a connection a second or more{look}"
        )
    };
    (count > 0).then(|| (Verdict::Warn, detail()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;

    const OVERFLOW: KernelCounters = KernelCounters {
        listen_overflows: 7,
        listen_drops: 7,
        syn_retransmits: 5,
        listener_drops: None,
        time_wait: None,
    };

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
        assert!(
            judgement.detail.contains("--backlog and net.core.somaxconn"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn does_not_blame_the_server_for_what_other_listeners_dropped() {
        let of_others = KernelCounters { listener_drops: Some(0), syn_retransmits: 0, ..OVERFLOW };
        let judgement = with(Some(of_others)).unwrap();
        assert_eq!(judgement.verdict, Verdict::Pass);
        let words = "7 listen overflows and 7 listen drops on this machine are of other listeners";
        assert!(judgement.detail.contains(words), "{judgement:?}");
    }

    #[test]
    fn warns_of_syns_sent_again_although_other_listeners_dropped_some() {
        let of_others = KernelCounters { listener_drops: Some(0), ..OVERFLOW };
        let judgement = with(Some(of_others)).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        for words in
            ["are of other listeners", "on this machine 5 SYNs sent again", "tcp_max_syn_backlog"]
        {
            assert!(judgement.detail.contains(words), "{judgement:?}");
        }
        // The server's own full queue explains them.
        let own = with(Some(KernelCounters { listener_drops: Some(7), ..OVERFLOW })).unwrap();
        let words = "on this machine 5 SYNs sent again: each costs a connection a second or more";
        assert!(own.detail.ends_with(words), "{own:?}");
    }

    #[test]
    fn warns_of_drops_without_an_overflow() {
        let drops = KernelCounters { listen_drops: 3, ..KernelCounters::default() };
        let judgement = with(Some(drops)).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(
            judgement.detail.contains("0 listen overflows and 3 listen drops: if"),
            "{judgement:?}"
        );
    }

    #[test]
    fn says_that_the_counters_are_of_the_machine_if_it_knows_no_others() {
        let judgement = with(Some(OVERFLOW)).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(
            judgement.detail.starts_with("on this machine 7 listen overflows and 7 listen drops"),
            "{}",
            judgement.detail
        );
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
