//! A cgroup with a CPU quota, in which a command can be run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Longest time that the processes in a group may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Folders where this system may have a group with a quota, each with the file that sets one.
const HIERARCHIES: [(&str, &str); 3] = [
    ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"),
    ("/sys/fs/cgroup/cpu,cpuacct", "cpu.cfs_quota_us"),
    ("/sys/fs/cgroup", "cpu.max"),
];

/// Largest weight of a group, in both versions: on a busy machine, the group then gets its whole
/// quota, so that the quota is what limits it.
const WEIGHTS: [(&str, &str); 2] = [("cpu.shares", "262144"), ("cpu.weight", "10000")];

static MADE: AtomicU64 = AtomicU64::new(0);

/// A group with a quota. Dropping it removes the group, once its processes have ended.
pub struct Quota(PathBuf);

impl Quota {
    /// Makes a group with a quota of `microseconds` per 100,000 microseconds. Returns `None`, and
    /// prints a note, where none can be made.
    pub fn of(microseconds: u64) -> Option<Self> {
        let made =
            HIERARCHIES.into_iter().find_map(|(folder, file)| make(folder, file, microseconds));
        if made.is_none() {
            eprintln!("not tested: no cgroup with a CPU quota can be made here");
        }
        made
    }

    /// Returns the same command, in this group from its first instruction on.
    pub fn run(&self, command: &Command) -> Command {
        let mut inside = Command::new("sh");
        let join = format!("echo 0 > {}/cgroup.procs && exec \"$@\"", self.0.display());
        inside.args(["-c", &join, "sh"]).arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }
}

fn make(folder: &str, file: &str, microseconds: u64) -> Option<Quota> {
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let group = Path::new(folder).join(format!("c10k-test-{}-{number}", std::process::id()));
    fs::create_dir(&group).ok()?;
    // The group is removed again if the quota can't be set.
    let group = Quota(group);
    for (file, weight) in WEIGHTS.map(|(file, weight)| (group.0.join(file), weight)) {
        let _ = file.exists().then(|| fs::write(file, weight));
    }
    let value =
        if file == "cpu.max" { format!("{microseconds} 100000") } else { microseconds.to_string() };
    let path = group.0.join(file);
    (path.exists() && fs::write(path, value).is_ok()).then_some(group)
}

impl Drop for Quota {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(3));
        }
    }
}
