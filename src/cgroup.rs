//! A cgroup of one server's own: the kernel's account of the CPU time of all its threads and
//! processes, those that have ended included.
//!
//! Clocks of processes lose what a thread used between its last turn of the scheduler and its
//! end, and divide the time of a process that lives for less than a tick wrongly into user mode
//! and kernel. The account of a cgroup has neither error. It only counts: a group with limits or
//! with a share of the processor of its own would change what is measured.
//!
//! This is own code over `std::fs` and `procfs`. The crate `cgroups-rs` takes either version for
//! the whole machine, so that it finds no v2 group beside v1 controllers; it switches controllers
//! on, and takes a process by its number once that runs, when it may have forked already.

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

/// How long processes that were killed may take to end, so that their group can be removed.
const REMOVE_TIME: Duration = Duration::from_secs(1);

/// How often it is tried to remove a group.
const POLL_TIME: Duration = Duration::from_millis(1);

/// Begin of the name of a group, in front of the harness's process id.
const NAME: &str = "c10k-";

/// The file of a group that lists its processes, and takes new ones.
const PROCESSES: &str = "cgroup.procs";

/// Groups that this process has made, so that each has a name of its own.
static MADE: AtomicU64 = AtomicU64::new(0);

/// A cgroup that was made for one server. Dropping it removes it, once its processes have ended.
#[derive(Debug)]
pub struct OwnGroup(Group);

/// A cgroup, to be read.
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
    /// All of it, as the scheduler counts it, in seconds. What a thread uses that runs at this
    /// moment is added when it leaves its processor, and at every tick.
    pub total_s: f64,
    /// The part in user mode, as ticks count it, in any unit: only its ratio to `system` is right.
    pub user: f64,
    /// The part in the kernel, in the same unit.
    pub system: f64,
}

impl OwnGroup {
    /// Makes a group below the one that this process is in, and removes groups that a harness has
    /// left behind which is gone.
    ///
    /// # Errors
    /// When the system has no such groups, or does not let this user make one.
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

    /// The opened file by which a process joins the group: it writes `0` there.
    pub fn entrance(&self) -> io::Result<File> {
        File::options().write(true).open(self.0.folder.join(PROCESSES))
    }

    /// The group, to be read.
    pub fn group(&self) -> &Group {
        &self.0
    }
}

impl Drop for OwnGroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + REMOVE_TIME;
        let is_busy = |error: io::Error| error.kind() == ErrorKind::ResourceBusy;
        // A process that was killed counts until it has ended. One that stays for longer has left
        // its process group; the next harness removes the group then.
        while fs::remove_dir(&self.0.folder).is_err_and(is_busy) && Instant::now() < deadline {
            thread::sleep(POLL_TIME);
        }
    }
}

impl Group {
    /// Reads how much CPU time its processes have used.
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

    /// What its account is called in a record.
    pub fn account(&self) -> CpuAccount {
        match self.version {
            Version::V1 => CpuAccount::CgroupV1,
            Version::V2 => CpuAccount::CgroupV2,
        }
    }

    /// Whether the process `pid` is in it.
    pub fn holds(&self, pid: u32) -> bool {
        let pid = pid.to_string();
        self.read(PROCESSES).is_ok_and(|processes| processes.lines().any(|line| line == pid))
    }

    /// A value in nanoseconds that is alone in its file, in seconds.
    fn nanoseconds(&self, name: &str) -> Result<f64> {
        let text = self.read(name)?;
        let value: u64 = text.trim().parse().with_context(|| format!("{name} says `{}`", text.trim()))?;
        Ok(value as f64 / 1e9)
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Removes groups below this one whose harness is gone. One that still has processes stays.
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

/// A line of `cpu.stat`, such as `usage_usec 1500000`, in seconds.
fn microseconds(stat: &str, wanted: &str) -> Result<f64> {
    let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
    let value = lines.find(|(name, _)| *name == wanted).and_then(|(_, value)| value.parse::<u64>().ok());
    Ok(value.with_context(|| format!("this kernel does not tell {wanted}"))? as f64 / 1e6)
}

/// Why no server of this harness can have a cgroup; nothing where it can.
pub fn why_none() -> Option<String> {
    OwnGroup::create().err().map(|error| format!("{error:#}"))
}

/// The groups of this process, in the order in which a group below them is wanted. The first
/// version tells better how time divides into user mode and kernel.
fn parents() -> Result<Vec<Group>> {
    let (memberships, mounts) = memberships(None)?;
    let first = memberships.iter().filter(|membership| is_account(membership));
    let second = memberships.iter().filter(|membership| membership.hierarchy == 0);
    let first = first.filter_map(|membership| Version::V1.group(membership, &mounts));
    Ok(first.chain(second.filter_map(|membership| Version::V2.group(membership, &mounts))).collect())
}

/// The groups that schedule the process `pid`, or the caller, with all groups above them as far as they can
/// be seen from here: each may have a quota. The files of one are in its folder.
///
/// # Errors
/// When the groups of the process can't be read, or its own group can't be seen from here.
pub(crate) fn scheduling_groups(pid: Option<i32>) -> Result<Vec<(PathBuf, Version)>> {
    let (memberships, mounts) = memberships(pid)?;
    let Some((version, membership)) = scheduling(&memberships) else { return Ok(Vec::new()) };
    let place = version.place(membership, &mounts, "cpu");
    let place = place.filter(|(mount_point, below)| mount_point.join(below).is_dir());
    let (mount_point, below) = place.with_context(|| {
        format!("the cgroup {} that schedules the process can't be seen from here", membership.pathname)
    })?;
    Ok(below.ancestors().map(|path| (mount_point.join(path), version)).collect())
}

/// The membership that schedules: in the hierarchy of the controller `cpu` where the first version has
/// one, which the second version then has not.
fn scheduling(memberships: &[ProcessCGroup]) -> Option<(Version, &ProcessCGroup)> {
    let is_cpu = |membership: &&ProcessCGroup| membership.controllers.iter().any(|name| name == "cpu");
    let first = memberships.iter().find(is_cpu).map(|membership| (Version::V1, membership));
    let second = memberships.iter().find(|membership| membership.hierarchy == 0);
    first.or_else(|| Some((Version::V2, second?)))
}

/// The groups of the process `pid`, or of the caller, and the mounts that the caller sees.
fn memberships(pid: Option<i32>) -> Result<(Vec<ProcessCGroup>, Vec<MountInfo>)> {
    let cgroups = || pid.map_or_else(Process::myself, Process::new)?.cgroups();
    let mounts = || Process::myself()?.mountinfo();
    let memberships = cgroups().context("cannot read the cgroups of a process")?.0;
    Ok((memberships, mounts().context("cannot read the mounts")?.into_iter().collect()))
}

/// A hierarchy of the first version that accounts CPU time and does nothing else. Many systems have
/// it share a hierarchy with the controller `cpu`: there, a group would be scheduled as one.
fn is_account(membership: &ProcessCGroup) -> bool {
    membership.controllers == ["cpuacct"]
}

impl Version {
    /// The folder of a group that this process is in; nothing where it is not mounted here.
    fn group(self, membership: &ProcessCGroup, mounts: &[MountInfo]) -> Option<Group> {
        let (mount_point, below) = self.place(membership, mounts, "cpuacct")?;
        // Collected, because joining an empty path leaves a slash at the end.
        Some(Group { folder: mount_point.components().chain(below.components()).collect(), version: self })
    }

    /// Where the hierarchy of a controller is mounted, and the path of a group below that. `None` where
    /// it is not mounted here, or the group is outside of the part that is: from within a cgroup
    /// namespace, the path of such a group begins with `/..`.
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

    /// A group of each version that can be had here; says of the others why they are left out.
    fn groups() -> Vec<OwnGroup> {
        let made = parents().unwrap().into_iter().map(|parent| OwnGroup::create_below(&[parent]));
        made.filter_map(|made| made.inspect_err(|error| eprintln!("left out: {error:#}")).ok()).collect()
    }

    /// Runs a script in a group. Gives the CPU time in user mode and in the kernel that its shell
    /// tells at the end, that of ended children included.
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

    /// Such as `1m2.500000s`.
    fn seconds(time: &str) -> f64 {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    }

    #[test]
    fn children_that_have_ended_are_in_the_account() {
        let busy = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        for group in groups() {
            let (user_s, system_s) = run(&format!("for n in 1 2 3 4 5 6 7 8; do ({busy}); done"), &group);
            let told = group.group().cpu_time().unwrap().total_s;
            let truth = user_s + system_s;
            // The shell leaves out what is less than 10 ms in each of its four numbers; its start
            // is in them, and not in the account.
            let possible = truth * 0.9..truth * 1.1 + 0.04;
            assert!(possible.contains(&told), "{:?}: {told} of {truth} s", group.group().version);
        }
    }

    #[test]
    fn processes_that_are_shorter_than_a_tick_are_divided_right() {
        // Forks and ends: the kernel's work, which the processes' own account has as user mode.
        let children = "i=0; while [ $i -lt 1500 ]; do (:); i=$((i+1)); done";
        for group in groups() {
            run(children, &group);
            let CpuTime { total_s, user, system } = group.group().cpu_time().unwrap();
            assert!(total_s > 0.02 && system > user, "{:?}: {user}, {system}", group.group().version);
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
    fn what_a_harness_left_behind_that_is_gone_is_removed_by_the_next() {
        for group in groups() {
            let parent = group.0.folder.parent().unwrap();
            // No process has this number: it is above the highest that Linux gives.
            let left = parent.join(format!("{NAME}{}-0", u32::MAX >> 1));
            fs::create_dir(&left).unwrap();
            let parent = Group { folder: parent.to_owned(), version: group.0.version };
            drop(OwnGroup::create_below(&[parent]).unwrap());
            assert!(!left.exists() && group.0.folder.exists());
        }
    }

    #[test]
    fn where_no_group_can_be_made_the_reason_says_where_and_what_to_do() {
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
        // A container that has the hierarchy mounted from its own group on.
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
        assert_eq!(error.to_string(), "this kernel does not tell system_usec");
    }
}
