//! `generator-limits`: checks that the generator had what it needs for every connection.
//!
//! A connection that can't be made for lack of a descriptor or a port never reached the server. It
//! counts as a connect error, so the server would seem to be at fault.

use std::net::SocketAddr;

use super::definition::{Check, Judgement, Verdict};
use crate::measurement::{GeneratorLimits, Measurement};

pub(super) const CHECK: Check = Check { name: "generator-limits", judge };

#[expect(clippy::unnecessary_wraps, reason = "the shape of a check; this one always applies")]
fn judge(measured: &Measurement) -> Option<Judgement> {
    let GeneratorLimits { descriptors, ports, memory } = measured.generator_limits;
    let missing = [
        (
            descriptors,
            "file descriptors",
            "EMFILE",
            "raise `ulimit -n`, or ask for fewer connections",
        ),
        (ports, "local ports", "EADDRNOTAVAIL", more_ports(&measured.addresses.used)),
        (
            memory,
            "memory for sockets",
            "ENOBUFS",
            "ask for fewer connections, or raise net.ipv4.tcp_mem",
        ),
    ];
    let told =
        missing.into_iter().filter(|(count, ..)| *count > 0).map(|(count, what, errno, next)| {
            let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
            format!("the generator, not the server, was out of {what} {times} ({errno}): {next}")
        });
    let told = told.collect::<Vec<_>>().join("; ");
    Some(if told.is_empty() {
        Judgement::new(
            Verdict::Pass,
            "the generator had descriptors and ports for every connection".into(),
        )
    } else {
        Judgement::new(Verdict::Fail, told)
    })
}

fn more_ports(addresses: &[SocketAddr]) -> &'static str {
    let is_v6_loopback = |address: &SocketAddr| address.is_ipv6() && address.ip().is_loopback();
    if addresses.iter().any(is_v6_loopback) {
        "::1 is reached from itself alone, so ask 127.0.0.1, which is reached from further addresses, or widen \
         net.ipv4.ip_local_port_range"
    } else {
        "let connections live longer, have the server close first, or widen net.ipv4.ip_local_port_range"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;

    #[test]
    fn passes_if_no_limit_was_reached() {
        assert_eq!(judge(&fixture::closed()).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn fails_with_the_name_of_the_errno_and_the_next_step() {
        let mut measured = fixture::closed();
        measured.generator_limits = GeneratorLimits { descriptors: 1, ports: 12, memory: 0 };
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        let detail = judgement.detail;
        assert!(
            detail.contains("out of file descriptors once (EMFILE): raise `ulimit -n`"),
            "{detail}"
        );
        assert!(detail.contains("out of local ports 12 times (EADDRNOTAVAIL)"), "{detail}");
    }

    #[test]
    fn ports_to_the_one_loopback_address_of_ipv6_have_a_next_step_of_their_own() {
        let v6 = "[::1]:80".parse().unwrap();
        assert!(more_ports(&[v6]).contains("ask 127.0.0.1"));
        assert!(!more_ports(&["127.0.0.1:80".parse().unwrap()]).contains("::1"));
    }
}
