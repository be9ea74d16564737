//! The environment of a run: what is measured, on which machine, and with which binary.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use c10k_reports::record::{self, Calibration, Environment, Machine, VERSION};
use jiff::Timestamp;
use procfs::{CpuInfo, Current, Meminfo};
use rustix::process::{Resource, getrlimit};
use rustix::system::{sysinfo, uname};

use crate::cgroup;
use crate::cpus::CpuList;
use crate::disturbance;
use crate::plan::Plan;
use crate::quota::Quota;
use crate::suite::axis::Axis;
use crate::suite::{SuiteSubject, SuiteWorkload};

/// Describes this machine. A property that can't be read is reported as unknown.
pub fn machine(cpus: usize) -> Machine {
    let kernel = uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    Machine {
        cpu: cpu_model().unwrap_or_else(|| "unknown".into()),
        cpus,
        memory_bytes: memory_bytes(),
        kernel: format!(
            "{} {} {}",
            text(kernel.sysname()),
            text(kernel.release()),
            text(kernel.machine())
        ),
        limits: limits(),
    }
}

/// Reads the memory of the machine from `/proc/meminfo`; a container may have its own version of
/// this file. If the file can't be read, the kernel is asked.
fn memory_bytes() -> u64 {
    let asked = || sysinfo().totalram * u64::from(sysinfo().mem_unit);
    Meminfo::current().map_or_else(|_| asked(), |memory| memory.mem_total)
}

/// Revision that this binary was built from; `unknown` if it was built outside a checkout.
pub const REVISION: &str = env!("C10K_REVISION");

/// Describes what a run measures, where, and how. A run writes this before its first measurement.
pub fn of(plan: &Plan<'_>) -> Environment {
    let suite = plan.suite;
    Environment {
        version: VERSION,
        suite: suite.name.clone(),
        purpose: suite.purpose.clone(),
        started_utc: Timestamp::now().to_string(),
        command: command_line(),
        c10k_version: env!("CARGO_PKG_VERSION").into(),
        revision: REVISION.into(),
        seed: plan.seed,
        rounds: suite.pace.rounds,
        machine: machine(plan.cpus.numbers().len()),
        server_cpus: CpuList::numbers_of(plan.placement.server.as_ref()),
        generator_cpus: CpuList::numbers_of(plan.placement.generator.as_ref()),
        cores: plan.placement.cores.as_ref().map(|cores| cores.lists().to_vec()),
        quota_cpus: Quota::of(None).ok().and_then(|quota| quota.cpus()),
        no_cgroup: cgroup::why_none(),
        axes: suite.axes().into_iter().map(Axis::describe).collect(),
        subjects: subjects(plan),
        skipped: plan.skipped.clone(),
        workloads: workloads(plan),
        questions: questions(plan),
        cells: plan.cells.iter().map(|cell| suite.names(*cell)).collect(),
        claim: suite.claim.clone(),
        source: Some(plan.source.clone()),
        repeats: disturbance::repeats(plan.measurements()),
        calibration: calibration(plan.reports_dir),
    }
}

/// Returns the command line of this process.
pub fn command_line() -> String {
    let words: Vec<String> =
        std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    // The words are quoted, so that a shell reads the same command line. No argument of a process
    // has a byte that can't be quoted.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

/// Describes the subjects of planned cells.
fn subjects(plan: &Plan<'_>) -> Vec<record::Subject> {
    let is_planned = |index: &usize| plan.cells.iter().any(|cell| cell.subject == *index);
    let planned = (0..plan.suite.subjects.len()).filter(is_planned);
    planned.map(|index| describe_subject(plan, &plan.suite.subjects[index])).collect()
}

/// Describes the workloads of planned cells.
fn workloads(plan: &Plan<'_>) -> Vec<record::WorkloadEntry> {
    let is_planned = |index: &usize| plan.cells.iter().any(|cell| cell.workload == *index);
    let planned = (0..plan.suite.workloads.len()).filter(is_planned);
    planned.map(|index| describe_workload(&plan.suite.workloads[index])).collect()
}

/// Returns the questions that planned cells answer.
fn questions(plan: &Plan<'_>) -> Vec<record::Question> {
    let planned: HashSet<&str> =
        plan.cells.iter().map(|cell| plan.suite.workloads[cell.workload].name.as_str()).collect();
    let mut questions = plan.suite.questions.clone();
    for question in &mut questions {
        question.workloads.retain(|name| planned.contains(name.as_str()));
    }
    questions.retain(|question| !question.workloads.is_empty());
    questions
}

fn describe_subject(plan: &Plan<'_>, subject: &SuiteSubject) -> record::Subject {
    let subject = &subject.subject;
    record::Subject {
        name: subject.name.clone(),
        command: subject.command_template(),
        version: subject.version(plan.c10k.path()),
        traits: subject.profile.clone(),
    }
}

fn describe_workload(workload: &SuiteWorkload) -> record::WorkloadEntry {
    let SuiteWorkload { name, parameters, load, .. } = workload;
    record::WorkloadEntry {
        name: name.clone(),
        description: load.to_string(),
        parameters: parameters.clone(),
        connections: load.workload.connections,
        lifetime: load.workload.lifetime.to_string(),
    }
}

/// Reads the result of `c10k calibrate` from the folder of the reports. `None` if it never ran, or
/// if its result can't be read or has another version.
pub fn calibration(reports_dir: &Path) -> Option<Calibration> {
    let text = fs::read_to_string(reports_dir.join("calibration.json")).ok()?;
    serde_json::from_str(&text)
        .ok()
        .filter(|calibration: &Calibration| calibration.version == VERSION)
}

/// Reads the limits that affect results, in the order in which they are shown.
fn limits() -> Vec<(String, String)> {
    let open_files = getrlimit(Resource::Nofile);
    let limit =
        |value: Option<u64>| value.map_or_else(|| "unlimited".into(), |value| value.to_string());
    let sysctl = |name: &str| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let text = fs::read_to_string(path).ok()?;
        Some((name.to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" to ")))
    };
    let mut limits = vec![
        ("open files (soft)".to_owned(), limit(open_files.current)),
        ("open files (hard)".to_owned(), limit(open_files.maximum)),
    ];
    let names = [
        "net.core.somaxconn",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_tw_reuse",
        "net.ipv4.tcp_max_syn_backlog",
    ];
    limits.extend(names.into_iter().filter_map(sysctl));
    limits
}

/// Returns the model name of the first processor; kernels of some architectures do not report it.
fn cpu_model() -> Option<String> {
    CpuInfo::current().ok()?.model_name(0).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_this_machine() {
        let machine = machine(2);
        assert!(machine.memory_bytes > 1 << 20);
        assert!(machine.kernel.starts_with("Linux "));
        assert!(machine.limits.iter().any(|(name, _)| name == "net.core.somaxconn"));
    }
}
