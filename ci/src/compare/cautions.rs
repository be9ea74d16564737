//! Cautions: differences between two runs other than their numbers, which may be the reason for
//! these numbers.

use std::collections::BTreeSet;

use c10k_reports::record::{Environment, Machine};
use c10k_reports::results::CellResult;

use super::cells::Pair;
use super::side::Side;

/// Number of cells that are named if only one side has them. Further cells are counted.
const NAMED: usize = 8;

/// Returns all cautions, in sentences.
pub(super) fn of(a: &Side, b: &Side, pairs: &[Pair]) -> Vec<String> {
    let mut cautions = Vec::new();
    if a.folder != b.folder {
        let environments = [&a.results.environment, &b.results.environment];
        cautions.extend(environments_differ(environments));
        cautions.extend(subjects_differ(environments, pairs));
        cautions.extend(side("B", b));
    }
    cautions.extend(accounts_differ(a, b, pairs));
    cautions.splice(0..0, side("A", a));
    cautions.extend(alone("A", a, |cell| pairs.iter().any(|pair| pair.is_of(0, a, cell))));
    cautions.extend(alone("B", b, |cell| pairs.iter().any(|pair| pair.is_of(1, b, cell))));
    cautions
}

/// Returns the command for a gate of the revisions of both runs.
pub(super) fn gate(a: &Side, b: &Side) -> String {
    let [base, candidate] = [a, b].map(|side| side.results.environment.revision.as_str());
    let is_commit =
        |revision: &str| !revision.is_empty() && revision.chars().all(|c| c.is_ascii_hexdigit());
    if base != candidate && is_commit(base) && is_commit(candidate) {
        format!("c10k gate --base {base} --candidate {candidate}")
    } else {
        "c10k gate --base REV --candidate REV".to_owned()
    }
}

/// Returns the cautions about a run as a whole.
fn side(name: &str, side: &Side) -> Vec<String> {
    let (made, planned) = (side.results.measurements(), side.results.planned_measurements());
    let cut = (made < planned)
        .then(|| format!("{name} was interrupted: it has {made} of {planned} measurements."));
    cut.into_iter().chain(side.results.notes.iter().map(|note| format!("{name}: {note}"))).collect()
}

fn environments_differ([a, b]: [&Environment; 2]) -> Vec<String> {
    let cpus = |environment: &Environment| {
        let told = |cpus: &[usize]| {
            if cpus.is_empty() {
                return "any".to_owned();
            }
            cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
        };
        format!("{} and {}", told(&environment.server_cpus), told(&environment.generator_cpus))
    };
    let quota = |environment: &Environment| {
        environment.quota_cpus.map_or("none".to_owned(), |cpus| format!("{cpus} processors"))
    };
    let facts = [
        ("machines", machine(&a.machine), machine(&b.machine)),
        ("revisions of c10k", a.revision.clone(), b.revision.clone()),
        ("versions of c10k", a.c10k_version.clone(), b.c10k_version.clone()),
        ("suites", a.suite.clone(), b.suite.clone()),
        ("processors of server and generator", cpus(a), cpus(b)),
        ("CPU quotas", quota(a), quota(b)),
    ];
    let differing = facts.into_iter().filter(|(_, a, b)| a != b);
    differing.map(|(what, a, b)| format!("The {what} differ: A {a}; B {b}.")).collect()
}

fn machine(machine: &Machine) -> String {
    let Machine { cpu, cpus, memory_bytes, kernel, .. } = machine;
    format!("{cpu}, {cpus} processors, {:.1} GB, {kernel}", *memory_bytes as f64 / 1e9)
}

/// Returns cautions about subjects of the same name that are not the same server, and about
/// workloads of the same name with different descriptions.
fn subjects_differ([a, b]: [&Environment; 2], pairs: &[Pair]) -> Vec<String> {
    let of_a = a
        .subjects
        .iter()
        .filter(|subject| pairs.iter().any(|pair| pair.subjects[0] == subject.name));
    let subjects = of_a.filter_map(|subject| {
        let other = b.subjects.iter().find(|other| other.name == subject.name)?;
        let told = |command: &str, version: &Option<String>| match version {
            Some(version) => format!("{command} ({version})"),
            None => command.to_owned(),
        };
        let (a, b) =
            (told(&subject.command, &subject.version), told(&other.command, &other.version));
        (a != b).then(|| format!("The commands of {} differ: A {a}; B {b}.", subject.name))
    });
    let of_a = a
        .workloads
        .iter()
        .filter(|workload| pairs.iter().any(|pair| pair.workload == workload.name));
    let workloads = of_a.filter_map(|workload| {
        let other = b.workloads.iter().find(|other| other.name == workload.name)?;
        let (a, b) = (&workload.description, &other.description);
        (a != b).then(|| format!("The requests of {} differ: A {a} B {b}", workload.name))
    });
    subjects.chain(workloads).collect()
}

/// Returns a caution if the accounts of CPU time differ: the clocks of processes lose time when
/// threads end.
fn accounts_differ(a: &Side, b: &Side, pairs: &[Pair]) -> Option<String> {
    let accounts = |which: usize| -> String {
        let cells = pairs.iter().map(|pair| pair.cells(a, b)[which]);
        let accounts = cells.flat_map(|cell| &cell.records).filter_map(|record| record.cpu_account);
        let names: BTreeSet<&str> = accounts.map(c10k_reports::record::CpuAccount::name).collect();
        names.into_iter().collect::<Vec<_>>().join(" and ")
    };
    let (a, b) = (accounts(0), accounts(1));
    (a != b).then(|| format!("The accounts of CPU time differ: A {a}; B {b}."))
}

/// Names the cells that the other side lacks.
fn alone(name: &str, side: &Side, is_paired: impl Fn(&CellResult) -> bool) -> Option<String> {
    let is_meant = |cell: &&CellResult| {
        side.subject.as_deref().is_none_or(|only| side.subject_of(cell) == only)
    };
    let alone = side.results.cells.iter().filter(is_meant).filter(|cell| !is_paired(cell));
    let told = |cell| format!("{} under {}", side.subject_of(cell), side.workload_of(cell));
    let cells: Vec<String> = alone.map(told).collect();
    let more = cells.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = cells.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    (!cells.is_empty()).then(|| format!("Only {name} has {named}{more}."))
}

impl Pair {
    /// Returns true if `cell` of `side` is the cell of this pair.
    fn is_of(&self, which: usize, side: &Side, cell: &CellResult) -> bool {
        self.subjects[which] == side.subject_of(cell) && self.workload == side.workload_of(cell)
    }
}
