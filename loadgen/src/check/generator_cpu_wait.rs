//! `generator-cpu-wait`: checks that the generator had its processor when it had work.
//!
//! While the generator is ready to run but has no processor, it sends no requests to the server: a
//! closed loop loses about the same share of its throughput as the generator loses of its time, and
//! the latency of an open loop contains the wait. Neither says anything about the server. The
//! thresholds and their reasons are in `processor_time.rs`.

use super::definition::{Check, Effect, Judgement, Verdict};
use super::processor_time::{Side, apart, processors, sentence, shared, worst_of_sharing};
use crate::measurement::{Generator, Measurement};
use crate::workload::Pacing;

pub(super) const CHECK: Check = Check { name: "generator-cpu-wait", judge };

fn judge(measured: &Measurement) -> Option<Judgement> {
    let Generator {
        threads,
        user_s,
        system_s,
        cpu_wait_s,
        others_s,
        idle_s,
        throttled_s,
        quota_cpus,
    } = measured.generator;
    let cpus = &measured.generator_cpus;
    let side = Side {
        cpus,
        width: threads.min(cpus.len().max(1)),
        duration_s: measured.duration.as_secs_f64(),
        ran_s: user_s + system_s,
        wait_s: cpu_wait_s,
        others_s,
        idle_s,
        throttled_s,
    };
    let lost = side.lost()?;
    let (worst, others) = others(measured);
    let verdict = lost.verdict_of_quota().max(lost.verdict_of_others().min(worst));
    let mut detail = sentence("the generator", lost, &quota(quota_cpus), &others);
    // If nothing completed, there is no number that the loss affects.
    if verdict != Verdict::Pass && measured.requests.completed > 0 {
        detail += match measured.workload.pacing {
            Pacing::Closed => "; the throughput may be too low by the same share",
            Pacing::Open { .. } => "; latency contains the wait",
        };
    }
    let is_by_programs = worst == Verdict::Fail && lost.verdict_of_others() != Verdict::Pass;
    let judgement = Judgement::new(verdict, detail);
    Some(if is_by_programs { judgement.with_effect(Effect::Disturbed) } else { judgement })
}

/// Returns true if the generator lost so much time that the run says nothing about the server.
pub(super) fn was_kept_from_running(measured: &Measurement) -> bool {
    judge(measured).is_some_and(|judgement| judgement.verdict == Verdict::Fail)
}

fn quota(cpus: Option<f64>) -> String {
    let size = cpus.map_or_else(String::new, |cpus| format!(" of {cpus} processors"));
    format!("by the CPU quota{size} of its cgroup (raise it, or measure outside of that cgroup)")
}

/// Returns the worst verdict about the time that others took, and, where known, which programs used
/// the generator's processors.
fn others(measured: &Measurement) -> (Verdict, String) {
    let own = &measured.generator_cpus;
    let worst = worst_of_sharing(measured);
    let apart = apart(measured, "pin both apart with --pin");
    let Some(server) = &measured.server else {
        let rivals =
            format!("by other programs on {}, or the server if it runs there", processors(own));
        return (worst, format!("{rivals}, too ({apart})"));
    };
    let both = shared(own, &server.cpus);
    if both.is_empty() {
        let rivals = format!("by other programs on {}", processors(own));
        return (Verdict::Fail, format!("{rivals} (end them, or use other processors)"));
    }
    let most_s = measured.generator.others_s.unwrap_or(0.0) / 2.0;
    let both = processors(&both);
    if server.ran_s.is_some_and(|ran_s| ran_s < most_s) {
        let rivals = "by other programs and the server, which may both run";
        (Verdict::Fail, format!("{rivals} on {both}, too ({apart})"))
    } else {
        (worst, format!("by the server, which may run on {both}, too ({apart})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;
    use crate::measurement::ServerTime;
    use crate::workload::Arrivals;

    /// Returns ten seconds in which the generator ran for four, and others used its processor for
    /// five.
    fn disturbed(server: impl Into<Option<ServerTime>>) -> Measurement {
        let mut measured = Measurement { server: server.into(), ..fixture::closed() };
        measured.generator.cpu_wait_s = Some(5.5);
        measured.generator.others_s = Some(5.0);
        measured.generator.idle_s = Some(0.1);
        measured.generator.throttled_s = Some(0.0);
        measured
    }

    fn server(cpus: &[usize], ran_s: f64) -> ServerTime {
        ServerTime { cpus: cpus.to_vec(), ran_s: Some(ran_s), ..ServerTime::default() }
    }

    fn told(measured: &Measurement) -> String {
        let judgement = judge(measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail, "{}", judgement.detail);
        judgement.detail
    }

    #[test]
    fn passes_a_generator_that_waits_for_its_processor_to_wake_up() {
        let mut measured = fixture::closed();
        measured.generator.cpu_wait_s = Some(5.0);
        measured.generator.others_s = Some(0.1);
        measured.generator.idle_s = Some(5.9);
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Pass);
        assert!(
            judgement.detail.starts_with("the generator was kept from running for 1"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn names_neighbours_where_the_server_runs_elsewhere() {
        let detail = told(&disturbed(server(&[1], 4.0)));
        assert!(detail.contains(" by other programs on processor 0 (end them"), "{detail}");
        assert!(detail.ends_with("; the throughput may be too low by the same share"), "{detail}");
    }

    #[test]
    fn names_the_server_where_it_may_use_the_same_processors() {
        let detail = told(&disturbed(server(&[0, 1], 4.8)));
        assert!(
            detail.contains("by the server, which may run on processor 0, too (pin both"),
            "{detail}"
        );
        let detail = told(&disturbed(server(&[0, 1], 1.0)));
        assert!(detail.contains("by other programs and the server"), "{detail}");
    }

    #[test]
    fn warns_of_a_server_that_has_to_share_the_only_processor() {
        let alone = |server| Measurement { has_one_processor: true, ..disturbed(server) };
        for server in [Some(server(&[0], 4.8)), None] {
            let judgement = judge(&alone(server)).unwrap();
            assert_eq!(judgement.verdict, Verdict::Warn, "{}", judgement.detail);
            assert!(
                judgement.detail.contains("too (there is no other processor)"),
                "{}",
                judgement.detail
            );
        }
        // Other programs took more than the server did.
        let detail = told(&alone(Some(server(&[0], 1.0))));
        assert!(detail.contains("by other programs and the server"), "{detail}");
    }

    #[test]
    fn leaves_both_open_if_the_server_is_not_known() {
        let detail = told(&disturbed(None));
        assert!(detail.contains("by other programs on processor 0, or the server"), "{detail}");
    }

    #[test]
    fn names_the_quota_and_its_size() {
        let mut measured = fixture::open(Arrivals::Poisson);
        measured.generator.throttled_s = Some(3.0);
        measured.generator.quota_cpus = Some(0.5);
        let detail = told(&measured);
        assert!(detail.contains("43 % by the CPU quota of 0.5 processors"), "{detail}");
        assert!(detail.ends_with("; latency contains the wait"), "{detail}");
    }

    #[test]
    fn says_nothing_about_numbers_if_nothing_completed() {
        let mut measured = disturbed(None);
        fixture::forget_responses(&mut measured);
        let detail = told(&measured);
        assert!(!detail.contains("throughput"), "{detail}");
    }

    #[test]
    fn does_not_apply_if_the_machine_was_not_observed() {
        assert_eq!(judge(&fixture::closed()), None);
    }
}
