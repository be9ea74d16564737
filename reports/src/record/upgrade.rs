//! Reads runs that were written before axes, readings and effects of checks existed: converts them
//! to today's shape, so that only the reader knows the old shape.

use c10k_loadgen::Summary;
use c10k_loadgen::check::{CheckOutcome, Effect, Verdict};

use super::environment::{Environment, Question, WorkloadEntry};
use super::line::{Outcome, Record, ServerUsage};
use super::parameters::{Axis, Parameter, Parameters, Scale};

/// Fills in the questions, and the axes that every suite had before axes were declared.
pub fn environment(environment: &mut Environment) {
    let declared = |workload: &WorkloadEntry| !workload.parameters.is_empty();
    if environment.axes.is_empty() && !environment.workloads.iter().any(declared) {
        environment.axes = axes();
        for workload in &mut environment.workloads {
            workload.parameters = parameters(workload);
        }
    }
    ask_about_the_rest(environment);
}

/// Fills in what `record` lacks: the parameters of its workload in `environment`, readings, checks.
pub fn record(record: &mut Record, environment: &Environment) {
    if record.parameters.is_empty() {
        let mut workloads = environment.workloads.iter();
        let entry = workloads.find(|workload| workload.name == record.cell.workload);
        record.parameters = entry.map(|workload| workload.parameters.clone()).unwrap_or_default();
    }
    if let Some(server) = record.server.take() {
        for (key, value) in readings(server) {
            record.readings.entry(key.to_owned()).or_insert(value);
        }
    }
    match &record.outcome {
        Outcome::Measured(summary) if record.checks.is_empty() => {
            record.checks = checks(summary);
            record.valid &= summary.valid;
        }
        Outcome::Measured(_) => {}
        Outcome::Failed(_) => record.valid = false,
    }
}

fn axes() -> Vec<Axis> {
    let axis = |key: &str, title: &str, scale| Axis {
        key: key.to_owned(),
        title: title.to_owned(),
        unit: String::new(),
        scale,
    };
    vec![
        axis("lifetime", "requests per connection", Scale::Category),
        axis("connections", "connections at once", Scale::Log),
    ]
}

fn parameters(workload: &WorkloadEntry) -> Parameters {
    Parameters::from([
        ("lifetime".to_owned(), Parameter::Text(workload.lifetime.clone())),
        ("connections".to_owned(), Parameter::Count(workload.connections as u64)),
    ])
}

/// Adds a question that holds the workloads that no other question names.
fn ask_about_the_rest(environment: &mut Environment) {
    let asked = |name: &String| {
        environment.questions.iter().any(|question| question.workloads.contains(name))
    };
    let names = environment.workloads.iter().map(|workload| workload.name.clone());
    let rest: Vec<String> = names.filter(|name| !asked(name)).collect();
    if rest.is_empty() {
        return;
    }
    let title = if environment.questions.is_empty() { "All workloads" } else { "Other workloads" };
    environment.questions.push(Question { title: title.to_owned(), along: None, workloads: rest });
}

fn readings(server: ServerUsage) -> [(&'static str, f64); 4] {
    [
        ("server_cpu_user_s", server.user_s),
        ("server_cpu_system_s", server.system_s),
        ("memory_pss_bytes", server.memory_bytes as f64),
        ("tasks", server.tasks as f64),
    ]
}

/// Returns the checks in `summary`, with the effects that they had before effects were written.
fn checks(summary: &Summary) -> Vec<CheckOutcome> {
    let mut checks = summary.checks.clone();
    for check in
        checks.iter_mut().filter(|check| check.verdict != Verdict::Pass && check.effect.is_none())
    {
        check.effect = effect_of_old(&check.name, summary);
    }
    checks.extend(unserved(summary).filter(|_| summary.checks.is_empty()));
    checks
}

/// Returns the effect that a check called `name`, which did not pass, had on the numbers. Checks
/// are identified by name only in lines written before effects existed.
fn effect_of_old(name: &str, summary: &Summary) -> Option<Effect> {
    match name {
        "generator-cpu" if summary.r#loop == "closed" => Some(Effect::ThroughputIsABound),
        "starvation" if unserved(summary).is_some() => Some(Effect::ServedConnectionsOnly),
        _ => None,
    }
}

/// Returns a check of served connections, for lines written before checks existed; `None` if all
/// connections were served.
fn unserved(summary: &Summary) -> Option<CheckOutcome> {
    let connections = summary.connections;
    (connections.served < connections.requested).then(|| CheckOutcome {
        name: "starvation".to_owned(),
        verdict: Verdict::Warn,
        detail: format!(
            "{} of {} connections were served",
            connections.served, connections.requested
        ),
        effect: Some(Effect::ServedConnectionsOnly),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    /// Builds an environment as it was before axes existed.
    fn old_environment() -> Environment {
        let mut environment = fixture::environment();
        environment.axes.clear();
        environment.questions.clear();
        environment.workloads.iter_mut().for_each(|workload| workload.parameters.clear());
        environment
    }

    fn upgraded(change: impl FnOnce(&mut Record)) -> Record {
        let mut old = fixture::measured("epoll", "short-64", 1);
        old.checks.clear();
        change(&mut old);
        let mut environment = old_environment();
        super::environment(&mut environment);
        record(&mut old, &environment);
        old
    }

    fn summary(record: &mut Record) -> &mut Summary {
        let Outcome::Measured(summary) = &mut record.outcome else { unreachable!() };
        summary
    }

    fn check(name: &str, verdict: Verdict) -> CheckOutcome {
        CheckOutcome { name: name.to_owned(), verdict, detail: String::new(), effect: None }
    }

    #[test]
    fn an_old_environment_has_the_axes_of_its_time_and_one_question() {
        let mut environment = old_environment();
        super::environment(&mut environment);
        let keys: Vec<&str> = environment.axes.iter().map(|axis| axis.key.as_str()).collect();
        assert_eq!(keys, ["lifetime", "connections"]);
        assert_eq!(environment.workloads[1].parameters["connections"], Parameter::Count(64));
        assert_eq!(environment.questions.len(), 1);
        assert_eq!(environment.questions[0].workloads.len(), 6);
    }

    #[test]
    fn workloads_that_no_question_names_are_in_one_of_their_own() {
        let mut environment = fixture::environment();
        environment.questions[0].workloads.truncate(4);
        super::environment(&mut environment);
        assert_eq!(environment.questions[1].title, "Other workloads");
        assert_eq!(environment.questions[1].workloads, ["persistent-64", "persistent-512"]);
    }

    #[test]
    fn a_line_has_the_parameters_of_its_workload_and_its_usage_as_readings() {
        let server = ServerUsage { user_s: 0.25, system_s: 0.5, memory_bytes: 4096, tasks: 3 };
        let record = upgraded(|record| {
            record.readings.clear();
            record.server = Some(server);
        });
        assert_eq!(record.parameters["lifetime"], Parameter::Text("short".to_owned()));
        let expected = [
            ("memory_pss_bytes", 4096.0),
            ("server_cpu_system_s", 0.5),
            ("server_cpu_user_s", 0.25),
            ("tasks", 3.0),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value));
        assert!(record.server.is_none() && record.readings.into_iter().eq(expected));
    }

    #[test]
    fn old_checks_come_with_the_effects_that_they_had() {
        let record = upgraded(|record| {
            summary(record).connections.served = 0;
            summary(record).checks = vec![
                check("starvation", Verdict::Warn),
                check("generator-cpu", Verdict::Warn),
                check("errors", Verdict::Fail),
            ];
            summary(record).valid = false;
        });
        let effects: Vec<Option<Effect>> = record.checks.iter().map(|check| check.effect).collect();
        assert_eq!(
            effects,
            [Some(Effect::ServedConnectionsOnly), Some(Effect::ThroughputIsABound), None]
        );
        assert!(!record.valid);
    }

    #[test]
    fn a_check_that_passed_has_no_effect() {
        let record =
            upgraded(|record| summary(record).checks = vec![check("generator-cpu", Verdict::Pass)]);
        assert!(record.valid && record.checks[0].effect.is_none());
    }

    #[test]
    fn unserved_connections_are_reported_in_lines_that_are_older_than_checks() {
        let record = upgraded(|record| summary(record).connections.requested = 64);
        assert_eq!(record.checks[0].detail, "1 of 64 connections were served");
        assert_eq!(record.checks[0].effect, Some(Effect::ServedConnectionsOnly));
    }

    #[test]
    fn current_records_stay_as_they_are() {
        let today = fixture::environment();
        let mut read = today.clone();
        super::environment(&mut read);
        assert_eq!(read, today);
    }

    #[test]
    fn a_measurement_that_failed_is_not_valid() {
        let mut failed = fixture::failed("epoll", "short-64", 1, "no response");
        failed.valid = true;
        record(&mut failed, &fixture::environment());
        assert!(!failed.valid);
    }
}
