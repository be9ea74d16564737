//! A cgroup with a CPU quota, in which a command can be run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long processes in a group may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where this system may have a group with a quota, and the file that sets one.
const HIERARCHIES: [(&str, &str); 3] = [
    ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"),
    ("/sys/fs/cgroup/cpu,cpuacct", "cpu.cfs_quota_us"),
    ("/sys/fs/cgroup", "cpu.max"),
];

/// The largest weight of a group, in both versions: on a busy machine, it has its quota to itself, so
/// that the quota binds.
const WEIGHTS: [(&str, &str); 2] = [("cpu.shares", "262144"), ("cpu.weight", "10000")];

static MADE: AtomicU64 = AtomicU64::new(0);

/// A group with a quota. Dropping it removes it, once its processes have ended.
pub struct Quota(PathBuf);

impl Quota {
    /// Makes a group with a quota of that many microseconds in 100,000. Nothing, and a note, where none
    /// can be made.
    pub fn of(microseconds: u64) -> Option<Self> {
        let made = HIERARCHIES.into_iter().find_map(|(folder, file)| make(folder, file, microseconds));
        if made.is_none() {
            eprintln!("not tested: no cgroup with a CPU quota can be made here");
        }
        made
    }

    /// The same command, in this group from its first instruction on.
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
    // Removed again where there is no quota in it.
    let group = Quota(group);
    for (file, weight) in WEIGHTS.map(|(file, weight)| (group.0.join(file), weight)) {
        let _ = file.exists().then(|| fs::write(file, weight));
    }
    let value = if file == "cpu.max" { format!("{microseconds} 100000") } else { microseconds.to_string() };
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
