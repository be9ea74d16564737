//! A line of the history: the ratios of one gate of a revision against the anchor, as they are
//! written to `ci/history/*.jsonl`.

use std::collections::BTreeMap;

use c10k_reports::record::Machine;
use serde::{Deserialize, Serialize};

use crate::gate::Gate;
use crate::plan::Server;
use crate::verdict;

/// Version of [`Entry`].
pub const VERSION: u32 = 1;

/// Character that follows a commit in the plan of a gate, if the build had uncommitted changes.
const CHANGED: char = '+';

/// One gate of a revision against the anchor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the format, [`VERSION`].
    pub version: u32,
    /// Start time of the gate (RFC 3339, UTC).
    pub time: String,
    /// The revision that all revisions are compared with.
    pub anchor: String,
    /// The revision that was measured.
    pub revision: String,
    /// Name of the suite.
    pub suite: String,
    /// The machine that both revisions were measured on.
    pub machine: Fingerprint,
    /// Number of blocks behind the ratios.
    pub blocks: usize,
    /// Workload → key of a metric → ratio.
    pub workloads: BTreeMap<String, BTreeMap<String, Ratio>>,
}

/// Ratio of the revision to its anchor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The estimate.
    pub ratio: f64,
    /// Lower end of the interval; absent if the gate has too few blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the interval; absent if the gate has too few blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// Properties that tell one machine from another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Hash of the other fields, by which values are grouped.
    pub id: String,
    /// Model name of the CPU.
    pub cpu: String,
    /// Logical processors that the gate could use.
    pub cpus: usize,
    /// Memory, in GiB. In bytes, two equal machines differ by the memory that the kernel reserves
    /// at boot.
    pub memory_gib: u64,
    /// Kernel name, version and architecture, without the patch release: rented machines get a new
    /// one every few weeks, and both revisions of a ratio have the same one.
    pub kernel: String,
}

/// Names of the revisions of a gate that compared commands, which have no revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The anchor.
    pub anchor: String,
    /// The revision that was measured.
    pub revision: String,
}

/// Reason why a gate can't be added to a history.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum NotForHistory {
    #[error(
        "this gate compared commands, which have no revisions; name what they served: --anchor NAME --revision NAME"
    )]
    NoRevision,
    #[error("--anchor and --revision need a name each, in one line; is a variable empty?")]
    NoName,
    #[error(
        "this gate compared revisions, so that --anchor and --revision are not needed; leave them out"
    )]
    NamedTwice,
    #[error("the {0} had uncommitted changes; a history is of commits, so commit and gate again")]
    Uncommitted(&'static str),
    #[error("this gate has no ratio of any metric")]
    Empty,
}

impl Entry {
    /// Creates the line of a gate. If the gate compared commands, `names` are its revisions.
    pub fn of(gate: &Gate, names: Option<Names>) -> Result<Self, NotForHistory> {
        let names = revisions(&gate.plan.base, &gate.plan.candidate, names)?;
        let workloads = ratios(gate);
        if workloads.is_empty() {
            return Err(NotForHistory::Empty);
        }
        Ok(Self {
            version: VERSION,
            time: gate.plan.started_utc.clone(),
            anchor: names.anchor,
            revision: names.revision,
            suite: if gate.plan.counts {
                format!("{} --counts", gate.plan.suite)
            } else {
                gate.plan.suite.clone()
            },
            machine: Fingerprint::of(&gate.plan.machine),
            blocks: gate.blocks.len(),
            workloads,
        })
    }

    /// Returns true if both lines are of the same gate, no matter how its servers are named.
    pub fn is_same_gate(&self, other: &Self) -> bool {
        self.time == other.time && self.machine.id == other.machine.id
    }

    /// Describes the first number that can't be a ratio, with its place; `None` if all numbers can.
    pub(super) fn impossible(&self) -> Option<String> {
        let metrics = self.workloads.iter().flat_map(|(workload, metrics)| {
            metrics.iter().map(move |(key, ratio)| (workload, key, ratio))
        });
        let mut impossible = metrics.filter(|(_, _, ratio)| !ratio.is_possible());
        impossible
            .next()
            .map(|(workload, key, _)| format!("{key} of {workload} is no ratio above 0"))
    }
}

fn revisions(
    base: &Server,
    candidate: &Server,
    names: Option<Names>,
) -> Result<Names, NotForHistory> {
    let (anchor, revision) = match (&base.revision, &candidate.revision, names) {
        (None, None, Some(names)) => {
            let is_name = |name: &str| !name.trim().is_empty() && !name.contains(char::is_control);
            let are_names = is_name(&names.anchor) && is_name(&names.revision);
            return if are_names { Ok(names) } else { Err(NotForHistory::NoName) };
        }
        (Some(_), Some(_), Some(_)) => return Err(NotForHistory::NamedTwice),
        (Some(anchor), Some(revision), None) => (anchor.clone(), revision.clone()),
        _ => return Err(NotForHistory::NoRevision),
    };
    for (name, role) in [(&anchor, "anchor"), (&revision, "candidate")] {
        if name.contains(CHANGED) {
            return Err(NotForHistory::Uncommitted(role));
        }
    }
    Ok(Names { anchor, revision })
}

fn ratios(gate: &Gate) -> BTreeMap<String, BTreeMap<String, Ratio>> {
    let mut workloads: BTreeMap<String, BTreeMap<String, Ratio>> = BTreeMap::new();
    for judged in &gate.judgement.judged {
        let Some(ratio) = judged.ratio().map(Ratio::from) else { continue };
        let of_workload = workloads.entry(judged.series.workload.clone()).or_default();
        of_workload.insert(judged.series.quantity.key().to_owned(), ratio);
    }
    workloads
}

impl Ratio {
    fn is_possible(&self) -> bool {
        [Some(self.ratio), self.low, self.high].into_iter().flatten().all(|value| value > 0.0)
    }
}

impl From<verdict::Ratio> for Ratio {
    fn from(ratio: verdict::Ratio) -> Self {
        let (low, high) = ratio.interval.unzip();
        Self { ratio: ratio.ratio, low, high }
    }
}

impl Fingerprint {
    /// Returns the fingerprint of a machine.
    pub fn of(machine: &Machine) -> Self {
        let Machine { cpu, cpus, memory_bytes, kernel, .. } = machine;
        let memory_gib = (*memory_bytes as f64 / 2_f64.powi(30)).round() as u64;
        let kernel = without_patch_release(kernel);
        let text = format!("{cpu}\n{cpus}\n{memory_gib}\n{kernel}");
        let id = format!("{:08x}", crc32fast::hash(text.as_bytes()));
        Self { id, cpu: cpu.clone(), cpus: *cpus, memory_gib, kernel }
    }
}

/// Shortens `Linux 6.8.0-1021-azure x86_64` to `Linux 6.8 x86_64`.
fn without_patch_release(kernel: &str) -> String {
    let mut words: Vec<&str> = kernel.split(' ').collect();
    if let Some(release) = words.get_mut(1) {
        let minor = release.find('.').map_or(0, |dot| dot + 1);
        let digits = release[minor..].chars().take_while(char::is_ascii_digit).count();
        if minor > 0 && digits > 0 {
            *release = &release[..minor + digits];
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(memory_bytes: u64, kernel: &str) -> Machine {
        Machine {
            cpu: "A CPU".into(),
            cpus: 2,
            memory_bytes,
            kernel: kernel.into(),
            limits: Vec::new(),
        }
    }

    #[test]
    fn a_machine_is_the_same_after_a_boot_and_a_patch_release() {
        let one = Fingerprint::of(&machine(8_589_000_000, "Linux 6.8.0-1021-azure x86_64"));
        let later = Fingerprint::of(&machine(8_588_000_000, "Linux 6.8.0-1044-azure x86_64"));
        assert_eq!(one, later);
        assert_eq!((one.kernel.as_str(), one.memory_gib), ("Linux 6.8 x86_64", 8));
        // A hash that changed from one version to the next would split every history.
        assert_eq!(one.id, "97347fc1");
        assert_ne!(one.id, Fingerprint::of(&machine(8_589_000_000, "Linux 6.11.0-1 x86_64")).id);
        assert_ne!(
            one.id,
            Fingerprint::of(&machine(17_179_000_000, "Linux 6.8.0-1021-azure x86_64")).id
        );
    }

    #[test]
    fn an_unusual_kernel_name_stays_as_it_is() {
        for kernel in ["unknown", "Linux next", "Linux x.y z", ""] {
            assert_eq!(without_patch_release(kernel), kernel);
        }
    }

    fn server(revision: Option<&str>) -> Server {
        Server { name: None, revision: revision.map(str::to_owned), command: "serve".to_owned() }
    }

    #[test]
    fn only_commits_have_a_place_in_a_history() {
        let names = || Some(Names { anchor: "v1".into(), revision: "v2".into() });
        let of = |base, candidate, names| revisions(&server(base), &server(candidate), names);
        assert_eq!(of(Some("a"), Some("b"), None).unwrap().revision, "b");
        assert_eq!(of(None, None, names()).unwrap().anchor, "v1");
        assert_eq!(of(None, None, None), Err(NotForHistory::NoRevision));
        assert_eq!(of(Some("a"), Some("b"), names()), Err(NotForHistory::NamedTwice));
        assert_eq!(
            of(Some("a"), Some("b+changes"), None),
            Err(NotForHistory::Uncommitted("candidate"))
        );
    }
}
