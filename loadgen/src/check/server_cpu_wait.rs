//! `server-cpu-wait`: checks that the server had its processors when it had work.
//!
//! A server that other programs keep from running looks slow, and so does its model. Its threads
//! also wait for each other, which the model itself causes and which does not count: see
//! `processor_time.rs`, which has the thresholds. A quota that holds back only the server may be
//! what a user wants to measure, so it only warns; a quota that holds back the generator, too,
//! fails.

use super::definition::{Check, Effect, Judgement, Verdict, percent};
use super::processor_time::{
    Lost, Side, apart, is_failing, processors, sentence, shared, worst_of_sharing,
};
use crate::measurement::{Measurement, ServerTime};

pub(super) const CHECK: Check = Check { name: "server-cpu-wait", judge };

fn judge(measured: &Measurement) -> Option<Judgement> {
    let server = measured.server.as_ref()?;
    let side = Side {
        cpus: &server.cpus,
        width: server.cpus.len(),
        duration_s: measured.duration.as_secs_f64(),
        ran_s: server.ran_s?,
        wait_s: server.wait_s,
        others_s: server.others_s,
        idle_s: server.idle_s,
        throttled_s: server.throttled_s,
    };
    let lost = side.lost()?;
    let (worst, others) = others(server, measured);
    let verdict = verdict_of_quota(lost, measured).max(lost.verdict_of_others().min(worst));
    let detail = sentence("the server", lost, "by the CPU quota of its cgroup", &others);
    let is_by_programs = worst == Verdict::Fail && lost.verdict_of_others() != Verdict::Pass;
    let judgement = match unknown_wait(&side, &others) {
        Some(used) => Judgement::new(verdict.max(Verdict::Warn), format!("{detail}: {used}")),
        None => Judgement::new(verdict, detail),
    };
    Some(if is_by_programs { judgement.with_effect(Effect::Disturbed) } else { judgement })
}

fn verdict_of_quota(lost: Lost, measured: &Measurement) -> Verdict {
    let is_shared = measured.generator.throttled_s.is_some_and(|throttled_s| throttled_s > 0.0);
    let worst = if is_shared { Verdict::Fail } else { Verdict::Warn };
    lost.verdict_of_quota().min(worst)
}

/// Returns the evidence of a loss if others used much of the server's processors and the server's
/// wait is not known, because tasks that ended took their counters with them.
fn unknown_wait(side: &Side<'_>, others: &str) -> Option<String> {
    let share = side.most_lost_to_others().filter(|share| is_failing(*share))?;
    let share = percent(share);
    Some(format!(
        "tasks that ended took that with them, and up to {share} of its time was taken {others}"
    ))
}

/// Returns the worst verdict about the time that others took, and which programs used the server's
/// processors.
fn others(server: &ServerTime, measured: &Measurement) -> (Verdict, String) {
    let both = shared(&server.cpus, &measured.generator_cpus);
    if both.is_empty() {
        return (Verdict::Fail, format!("by other programs on {}", processors(&server.cpus)));
    }
    let generator_s = measured.generator.user_s + measured.generator.system_s;
    let both = processors(&both);
    if generator_s < server.others_s.unwrap_or(0.0) / 2.0 {
        let rivals = "by other programs and the generator, which may both run";
        (Verdict::Fail, format!("{rivals} on {both}, too"))
    } else {
        let rivals = format!("by the generator, which may run on {both}, too");
        (worst_of_sharing(measured), format!("{rivals} ({})", apart(measured, "pin both apart")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;

    /// Returns a server that ran for four of ten seconds, on a processor that others used for five.
    fn disturbed() -> ServerTime {
        ServerTime {
            cpus: vec![1],
            ran_s: Some(4.0),
            wait_s: Some(6.0),
            others_s: Some(5.0),
            idle_s: Some(0.5),
            throttled_s: Some(0.0),
        }
    }

    fn judged(server: ServerTime) -> Judgement {
        judge(&Measurement { server: Some(server), ..fixture::closed() }).unwrap()
    }

    #[test]
    fn passes_a_crowd_of_threads_that_wait_for_each_other() {
        let crowd = ServerTime {
            ran_s: Some(9.8),
            wait_s: Some(400.0),
            others_s: Some(0.1),
            ..disturbed()
        };
        assert_eq!(judged(crowd).verdict, Verdict::Pass);
    }

    #[test]
    fn names_neighbours_and_the_generator() {
        let judgement = judged(disturbed());
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(
            judgement.detail.ends_with("by other programs on processor 1"),
            "{}",
            judgement.detail
        );
        // The generator of the fixture runs on processor 0, for four seconds.
        let judgement = judged(ServerTime { cpus: vec![0], ..disturbed() });
        assert!(
            judgement.detail.contains("by the generator, which may run on processor 0"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn warns_of_a_generator_that_has_to_share_the_only_processor() {
        let server = Some(ServerTime { cpus: vec![0], ..disturbed() });
        let mut measured = Measurement { server, has_one_processor: true, ..fixture::closed() };
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(
            judgement.detail.ends_with("too (there is no other processor)"),
            "{}",
            judgement.detail
        );
        // Other programs took most of it.
        measured.generator.system_s = 0.0;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn warns_of_a_quota_of_its_own_and_fails_one_that_holds_the_generator_too() {
        let held = ServerTime { others_s: Some(0.0), throttled_s: Some(4.0), ..disturbed() };
        assert_eq!(judged(held.clone()).verdict, Verdict::Warn);
        let mut measured = Measurement { server: Some(held), ..fixture::closed() };
        measured.generator.throttled_s = Some(2.0);
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(
            judgement.detail.contains("50 % by the CPU quota of its cgroup"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn reports_an_unknown_wait_of_a_server_whose_tasks_ended() {
        let judgement = judged(ServerTime { wait_s: None, ..disturbed() });
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(
            judgement.detail.contains("others is not known: tasks that ended took that"),
            "{}",
            judgement.detail
        );
        let quiet = ServerTime { wait_s: None, others_s: Some(0.2), ..disturbed() };
        let judgement = judged(quiet);
        assert_eq!(judgement.verdict, Verdict::Pass);
        assert!(
            judgement.detail.ends_with("waited for others is not known"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn does_not_apply_where_the_server_is_not_known() {
        assert_eq!(judge(&fixture::closed()), None);
    }
}
