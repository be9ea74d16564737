//! `answers`: checks that the responses are of the kind that the user intended to measure.
//!
//! A redirection and an empty body are good responses in HTTP, and cheaper than what was asked for:
//! a server that sends them under load looks fast.

use super::definition::{Check, Judgement, Verdict, percent};
use crate::measurement::{Bodies, Measurement};

pub(super) const CHECK: Check = Check { name: "answers", judge };

/// Share of the responses that may be of another kind: above it, p99 mixes two populations.
const MAX_OTHERS: f64 = 0.01;

fn judge(measured: &Measurement) -> Option<Judgement> {
    if measured.requests.completed == 0 {
        return None;
    }
    let found = [redirected(measured), empty(measured)];
    let found = found.into_iter().flatten().collect::<Vec<_>>();
    let Bodies { counted, shortest, longest, .. } = measured.bodies;
    Some(if found.is_empty() {
        let detail = match counted {
            0 => "no response has a body".to_owned(),
            _ if shortest == longest => format!("every body has {longest} bytes"),
            _ => format!("bodies have {shortest} to {longest} bytes"),
        };
        Judgement::new(Verdict::Pass, detail)
    } else {
        Judgement::new(Verdict::Warn, found.join("; "))
    })
}

fn redirected(measured: &Measurement) -> Option<String> {
    let share = measured.requests.redirected as f64 / measured.requests.completed as f64;
    let detail = || {
        format!(
            "{} of responses are redirections: --follow measures where they lead",
            percent(share)
        )
    };
    (share > MAX_OTHERS).then(detail)
}

/// Reports empty bodies. With a method other than GET it is usual that all bodies are empty, but
/// not that only some are.
fn empty(measured: &Measurement) -> Option<String> {
    let Bodies { counted, empty, longest, .. } = measured.bodies;
    let share = empty as f64 / counted.max(1) as f64;
    let is_usual = share >= 1.0 && measured.workload.request.method != "GET";
    let others =
        if longest > 0 { format!(", others have up to {longest} bytes") } else { String::new() };
    (share > MAX_OTHERS && !is_usual).then(|| {
        format!("{} of bodies are empty{others}: look at what the server answers", percent(share))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;

    fn with(bodies: Bodies) -> Judgement {
        judge(&Measurement { bodies, ..fixture::closed() }).unwrap()
    }

    #[test]
    fn passes_bodies_of_any_length() {
        let alike = with(Bodies { counted: 1000, empty: 0, shortest: 1024, longest: 1024 });
        assert_eq!(
            (alike.verdict, alike.detail.as_str()),
            (Verdict::Pass, "every body has 1024 bytes")
        );
        let mixed = with(Bodies { counted: 1000, empty: 0, shortest: 2, longest: 1024 });
        assert_eq!(
            (mixed.verdict, mixed.detail.as_str()),
            (Verdict::Pass, "bodies have 2 to 1024 bytes")
        );
    }

    #[test]
    fn warns_of_empty_bodies() {
        let judgement = with(Bodies { counted: 1000, empty: 900, shortest: 0, longest: 1024 });
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(
            judgement.detail.starts_with("90 % of bodies are empty, others have up to 1024 bytes")
        );
        assert_eq!(
            with(Bodies { counted: 10, empty: 10, shortest: 0, longest: 0 }).verdict,
            Verdict::Warn
        );
    }

    #[test]
    fn the_response_to_a_post_may_be_empty() {
        let mut measured = fixture::closed();
        measured.workload.request.method = "POST".into();
        measured.bodies = Bodies { counted: 10, empty: 10, shortest: 0, longest: 0 };
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn warns_of_redirections() {
        let mut measured = fixture::closed();
        measured.requests.redirected = measured.requests.completed;
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(judgement.detail.starts_with("100 % of responses are redirections: --follow"));
    }
}
