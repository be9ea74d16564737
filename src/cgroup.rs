//! A cgroup for one server: the kernel's account of the CPU time of all its threads and processes,
//! including those that have ended.
//!
//! The clock of a process loses the time that a thread used between its last turn of the scheduler
//! and its end. If a process lives for less than a tick, the clock also divides its time wrongly
//! between user mode and kernel. The account of a cgroup has neither error. The cgroup only counts:
//! a group with limits, or with its own share of the processor, would change the measurement.
//!
//! This module uses `std::fs` and `procfs` directly. The crate `cgroups-rs` assumes one version for
//! the whole machine, so it finds no v2 group beside v1 controllers. It also switches controllers
//! on, and adds a process by its ID only once the process runs, when it may have forked already.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use c10k_reports::record::CpuAccount;
use procfs::ProcessCGroup;
use procfs::process::{MountInfo, Process};

/// Longest wait for killed processes to end, so that their group can be removed.
const REMOVE_TIME: Duration = Duration::from_secs(1);

/// Time between two attempts to remove a group.
const POLL_TIME: Duration = Duration::from_millis(1);

/// First part of a group's name. The process ID of the harness follows.
const NAME: &str = "c10k-";

/// File of a group that lists its processes. Writing a process ID to it adds that process.
const PROCESSES: &str = "cgroup.procs";

/// Number of groups that this process has tried to make, so that each has a name of its own.
static MADE: AtomicU64 = AtomicU64::new(0);

/// A cgroup that was made for one server. Dropping it removes the cgroup, once its processes have
/// ended.
#[derive(Debug)]
pub struct OwnGroup(Group);

/// A cgroup whose account can be read.
#[derive(Debug, Clone)]
pub struct Group {
    folder: PathBuf,
    version: Version,
}

/// The kernel's two kinds of cgroups, which differ in their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// CPU time of a group since it was made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuTime {
    /// Total time as the scheduler counts it, in seconds. The time of a running thread is added
    /// when the thread leaves its processor, and at every tick.
    pub total_s: f64,
    /// Part in user mode as ticks count it, in any unit: only its ratio to `system` is right.
    pub user: f64,
    /// Part in the kernel, in the unit of `user`.
    pub system: f64,
}

impl OwnGroup {
    /// Makes a group below the one that this process is in. Also removes groups that were left
    /// behind by harnesses that no longer run.
    ///
    /// # Errors
    /// When the system has no cgroups that account CPU time alone, or does not let this user make
    /// one.
    pub fn create() -> Result<Self> {
        Self::create_below(&parents()?)
    }

    /// Makes a group below the first of `parents` that allows it.
    fn create_below(parents: &[Group]) -> Result<Self> {
        let mut refused = None;
        for parent in parents {
            parent.remove_leftovers();
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let folder = parent.folder.join(format!("{NAME}{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Self(Group { folder, version: parent.version })),
                Err(error) => refused = Some((&parent.folder, error)),
            }
        }
        match refused {
            None => bail!("this system has no cgroups that account CPU time alone"),
            Some((folder, error)) => Err(error).with_context(|| {
                format!(
                    "no cgroup can be made in {}; root can, and others within \
                     `systemd-run --user --scope -p Delegate=yes`",
                    folder.display()
                )
            }),
        }
    }

    /// Opens the file through which a process joins the group: the process writes `0` to it.
    pub fn entrance(&self) -> io::Result<File> {
        File::options().write(true).open(self.0.folder.join(PROCESSES))
    }

    /// Returns the group, whose account can be read.
    pub fn group(&self) -> &Group {
        &self.0
    }
}

impl Drop for OwnGroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + REMOVE_TIME;
        let is_busy = |error: io::Error| error.kind() == ErrorKind::ResourceBusy;
        // A killed process keeps the group busy until it has ended. A process that stays for longer
        // has left its process group; the next harness removes the cgroup then.
        while fs::remove_dir(&self.0.folder).is_err_and(is_busy) && Instant::now() < deadline {
            thread::sleep(POLL_TIME);
        }
    }
}

impl Group {
    /// Reads the CPU time that the processes of the group have used.
    pub fn cpu_time(&self) -> Result<CpuTime> {
        match self.version {
            Version::V1 => Ok(CpuTime {
                total_s: self.nanoseconds("cpuacct.usage")?,
                user: self.nanoseconds("cpuacct.usage_user")?,
                system: self.nanoseconds("cpuacct.usage_sys")?,
            }),
            Version::V2 => {
                let stat = self.read("cpu.stat")?;
                Ok(CpuTime {
                    total_s: microseconds(&stat, "usage_usec")?,
                    user: microseconds(&stat, "user_usec")?,
                    system: microseconds(&stat, "system_usec")?,
                })
            }
        }
    }

    /// Returns the kind of account that a record names for this group.
    pub fn account(&self) -> CpuAccount {
        match self.version {
            Version::V1 => CpuAccount::CgroupV1,
            Version::V2 => CpuAccount::CgroupV2,
        }
    }

    /// Returns true if the process `pid` is in the group.
    pub fn holds(&self, pid: u32) -> bool {
        let pid = pid.to_string();
        self.read(PROCESSES).is_ok_and(|processes| processes.lines().any(|line| line == pid))
    }

    /// Reads a file that holds only a value in nanoseconds, and returns it in seconds.
    fn nanoseconds(&self, name: &str) -> Result<f64> {
        let text = self.read(name)?;
        let value: u64 =
            text.trim().parse().with_context(|| format!("{name} says `{}`", text.trim()))?;
        Ok(value as f64 / 1e9)
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Removes groups below this one whose harness no longer runs. A group that still has processes
    /// stays.
    fn remove_leftovers(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('-').next());
            let owner = owner.and_then(|pid| pid.parse::<u32>().ok());
            if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

/// Reads a line of `cpu.stat`, such as `usage_usec 1500000`, in seconds.
fn microseconds(stat: &str, wanted: &str) -> Result<f64> {
    let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
    let value =
        lines.find(|(name, _)| *name == wanted).and_then(|(_, value)| value.parse::<u64>().ok());
    Ok(value.with_context(|| format!("this kernel does not report {wanted}"))? as f64 / 1e6)
}

/// Returns the reason why no server of this harness can have a cgroup, or `None` if one can.
pub fn why_none() -> Option<String> {
    OwnGroup::create().err().map(|error| format!("{error:#}"))
}

/// Returns the groups of this process below which a group can be made, in the order of preference.
/// Version 1 comes first, because it divides time into user mode and kernel more accurately.
fn parents() -> Result<Vec<Group>> {
    let (memberships, mounts) = memberships(None)?;
    let first = memberships.iter().filter(|membership| is_account(membership));
    let second = memberships.iter().filter(|membership| membership.hierarchy == 0);
    let first = first.filter_map(|membership| Version::V1.group(membership, &mounts));
    Ok(first
        .chain(second.filter_map(|membership| Version::V2.group(membership, &mounts)))
        .collect())
}

/// Returns the groups that schedule the process `pid`, or the caller if `None`, with all groups
/// above them that are visible from here: each may have a quota. A group is given by the folder of
/// its files.
///
/// # Errors
/// When the groups of the process can't be read, or its own group is not visible from here.
pub(crate) fn scheduling_groups(pid: Option<i32>) -> Result<Vec<(PathBuf, Version)>> {
    let (memberships, mounts) = memberships(pid)?;
    let Some((version, membership)) = scheduling(&memberships) else { return Ok(Vec::new()) };
    let place = version.place(membership, &mounts, "cpu");
    let place = place.filter(|(mount_point, below)| mount_point.join(below).is_dir());
    let (mount_point, below) = place.with_context(|| {
        format!(
            "the cgroup {} that schedules the process can't be seen from here",
            membership.pathname
        )
    })?;
    Ok(below.ancestors().map(|path| (mount_point.join(path), version)).collect())
}

/// Returns the membership by which the kernel schedules the process. This is the one in the
/// hierarchy of the controller `cpu`, if version 1 has that controller (version 2 then does not
/// have it), and the one of version 2 otherwise.
fn scheduling(memberships: &[ProcessCGroup]) -> Option<(Version, &ProcessCGroup)> {
    let is_cpu =
        |membership: &&ProcessCGroup| membership.controllers.iter().any(|name| name == "cpu");
    let first = memberships.iter().find(is_cpu).map(|membership| (Version::V1, membership));
    let second = memberships.iter().find(|membership| membership.hierarchy == 0);
    first.or_else(|| Some((Version::V2, second?)))
}

/// Reads the groups of the process `pid`, or of the caller if `None`, and the mounts that the
/// caller sees.
fn memberships(pid: Option<i32>) -> Result<(Vec<ProcessCGroup>, Vec<MountInfo>)> {
    let cgroups = || pid.map_or_else(Process::myself, Process::new)?.cgroups();
    let mounts = || Process::myself()?.mountinfo();
    let memberships = cgroups().context("cannot read the cgroups of a process")?.0;
    Ok((memberships, mounts().context("cannot read the mounts")?.into_iter().collect()))
}

/// Returns true for a hierarchy of version 1 that accounts CPU time and does nothing else. On many
/// systems it is shared with the controller `cpu`: there, the kernel would also schedule the group
/// as one unit.
fn is_account(membership: &ProcessCGroup) -> bool {
    membership.controllers == ["cpuacct"]
}

impl Version {
    /// Returns the group that this process is in, or `None` if its hierarchy is not mounted here.
    fn group(self, membership: &ProcessCGroup, mounts: &[MountInfo]) -> Option<Group> {
        let (mount_point, below) = self.place(membership, mounts, "cpuacct")?;
        // Collected, because joining an empty path leaves a slash at the end.
        Some(Group {
            folder: mount_point.components().chain(below.components()).collect(),
            version: self,
        })
    }

    /// Returns the mount point of a controller's hierarchy, and the path of a group below that
    /// point. `None` if the hierarchy is not mounted here, or if the group is outside of the
    /// mounted part: from within a cgroup namespace, the path of such a group begins with `/..`.
    fn place<'a>(
        self,
        membership: &'a ProcessCGroup,
        mounts: &'a [MountInfo],
        controller: &str,
    ) -> Option<(&'a Path, &'a Path)> {
        let mount = mounts.iter().find(|mount| match self {
            Self::V1 => mount.fs_type == "cgroup" && mount.super_options.contains_key(controller),
            Self::V2 => mount.fs_type == "cgroup2",
        })?;
        let below = Path::new(&membership.pathname).strip_prefix(&mount.root).ok()?;
        let is_outside = below.components().any(|part| part == Component::ParentDir);
        (!is_outside).then_some((&mount.mount_point, below))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::*;

    /// Makes a group of each version that this system allows, and prints why the others are left
    /// out.
    fn groups() -> Vec<OwnGroup> {
        let made = parents().unwrap().into_iter().map(|parent| OwnGroup::create_below(&[parent]));
        made.filter_map(|made| made.inspect_err(|error| eprintln!("left out: {error:#}")).ok())
            .collect()
    }

    /// Runs a script in a group. Returns the CPU time in user mode and in the kernel that its shell
    /// reports at the end, including that of ended children.
    fn run(script: &str, group: &OwnGroup) -> (f64, f64) {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("read line; {script}; times")]);
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        write!(group.entrance().unwrap(), "{}", shell.id()).unwrap();
        assert!(group.group().holds(shell.id()));
        writeln!(shell.stdin.take().unwrap()).unwrap();
        let mut said = String::new();
        shell.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        shell.wait().unwrap();
        let times: Vec<f64> = said.split_whitespace().map(seconds).collect();
        (times[0] + times[2], times[1] + times[3])
    }

    /// Parses a time such as `1m2.500000s`.
    fn seconds(time: &str) -> f64 {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    }

    #[test]
    fn children_that_have_ended_are_in_the_account() {
        let busy = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        for group in groups() {
            let (user_s, system_s) =
                run(&format!("for n in 1 2 3 4 5 6 7 8; do ({busy}); done"), &group);
            let told = group.group().cpu_time().unwrap().total_s;
            let truth = user_s + system_s;
            // The shell cuts each of its four numbers to 10 ms. The shell's own start is in these
            // numbers, but not in the account.
            let possible = truth * 0.9..truth * 1.1 + 0.04;
            assert!(possible.contains(&told), "{:?}: {told} of {truth} s", group.group().version);
        }
    }

    #[test]
    fn processes_that_are_shorter_than_a_tick_are_divided_right() {
        // The kernel works to fork and to end a process, but the clocks of these processes count
        // that as user mode.
        let children = "i=0; while [ $i -lt 1500 ]; do (:); i=$((i+1)); done";
        for group in groups() {
            run(children, &group);
            let CpuTime { total_s, user, system } = group.group().cpu_time().unwrap();
            assert!(
                total_s > 0.02 && system > user,
                "{:?}: {user}, {system}",
                group.group().version
            );
        }
    }

    #[test]
    fn a_group_is_gone_afterwards_and_two_do_not_share_one() {
        for (first, second) in groups().into_iter().zip(groups()) {
            assert_ne!(first.0.folder, second.0.folder);
            run("for i in 1 2 3 4 5 6 7 8; do (:); done", &first);
            assert!(second.0.cpu_time().unwrap().total_s <= 0.0);
            let folder = first.0.folder.clone();
            assert!(folder.exists());
            drop(first);
            assert!(!folder.exists() && second.0.folder.exists());
        }
    }

    #[test]
    fn leftovers_of_a_harness_that_is_gone_are_removed_by_the_next() {
        for group in groups() {
            let parent = group.0.folder.parent().unwrap();
            // No process has this ID: it is above the highest that Linux assigns.
            let left = parent.join(format!("{NAME}{}-0", u32::MAX >> 1));
            fs::create_dir(&left).unwrap();
            let parent = Group { folder: parent.to_owned(), version: group.0.version };
            drop(OwnGroup::create_below(&[parent]).unwrap());
            assert!(!left.exists() && group.0.folder.exists());
        }
    }

    #[test]
    fn if_no_group_can_be_made_the_reason_says_where_and_what_to_do() {
        let error = OwnGroup::create_below(&[]).unwrap_err();
        assert_eq!(error.to_string(), "this system has no cgroups that account CPU time alone");
        // Not even root can make a folder there.
        let parent = Group { folder: "/proc/self".into(), version: Version::V2 };
        let error = OwnGroup::create_below(&[parent]).unwrap_err().to_string();
        assert!(error.contains("/proc/self;") && error.contains("systemd-run"), "{error}");
    }

    fn mount(line: &str) -> MountInfo {
        MountInfo::from_line(line).unwrap()
    }

    fn membership(hierarchy: u32, controllers: &[&str], pathname: &str) -> ProcessCGroup {
        let controllers = controllers.iter().map(ToString::to_string).collect();
        ProcessCGroup { hierarchy, controllers, pathname: pathname.to_owned() }
    }

    #[test]
    fn a_group_is_found_below_where_its_hierarchy_is_mounted() {
        let mounts = [
            mount("33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct"),
            mount("41 31 0:38 /box /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"),
        ];
        let folder = |version: Version, path: &str| {
            let group = version.group(&membership(0, &[], path), &mounts)?;
            group.folder.to_str().map(str::to_owned)
        };
        assert_eq!(folder(Version::V1, "/a/b").unwrap(), "/sys/fs/cgroup/cpuacct/a/b");
        assert_eq!(folder(Version::V1, "/").unwrap(), "/sys/fs/cgroup/cpuacct");
        // In a container, the mounted hierarchy begins at the container's own group.
        assert_eq!(folder(Version::V2, "/box/a").unwrap(), "/sys/fs/cgroup/unified/a");
        assert_eq!(folder(Version::V2, "/elsewhere"), None);
        // Outside of the cgroup namespace.
        assert_eq!(folder(Version::V1, "/../other"), None);
    }

    #[test]
    fn the_hierarchy_that_schedules_is_of_the_version_that_has_the_controller() {
        let (cpu, account) = (membership(1, &["cpu"], "/a"), membership(2, &["cpuacct"], "/b"));
        let unified = membership(0, &[], "/c");
        let of = |all: &[ProcessCGroup]| {
            scheduling(all).map(|(version, membership)| (version, membership.pathname.clone()))
        };
        assert_eq!(of(&[unified.clone(), account.clone(), cpu]), Some((Version::V1, "/a".into())));
        assert_eq!(of(&[account.clone(), unified]), Some((Version::V2, "/c".into())));
        assert_eq!(of(&[account]), None);
    }

    #[test]
    fn a_hierarchy_that_also_schedules_is_left_out() {
        assert!(is_account(&membership(2, &["cpuacct"], "/")));
        assert!(!is_account(&membership(2, &["cpu", "cpuacct"], "/")));
        assert!(!is_account(&membership(0, &[], "/")));
    }

    #[test]
    fn a_stat_is_read_by_name() {
        let stat = "usage_usec 1500000\nuser_usec 500000\n";
        assert!((microseconds(stat, "user_usec").unwrap() - 0.5).abs() < 1e-9);
        let error = microseconds(stat, "system_usec").unwrap_err();
        assert_eq!(error.to_string(), "this kernel does not report system_usec");
    }
}
