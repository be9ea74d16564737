//! CPU quotas of the cgroups that a process is in, and the time for which the quotas held back the
//! tasks of these groups.
//!
//! A container's limit of processors is such a quota. When a group has used up its quota, its tasks
//! stop until the next period of 100 ms begins. The file of a group reports only its own quota, so
//! all groups above it are read as well. Some kernels count the stopped time in `schedstat` as a
//! wait for a processor and some do not; the account of the groups is right on all of them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cgroup::{self, Version};

/// Groups with a quota that a process is in; empty if there is no quota.
#[derive(Debug, Clone)]
pub struct Quota(Vec<Limited>);

/// A group with a quota.
#[derive(Debug, Clone)]
struct Limited {
    folder: PathBuf,
    version: Version,
    /// Quota of the group, in processors.
    cpus: f64,
}

/// Quotas of a process, and the time for which they had held back tasks when the observation began.
#[derive(Debug, Clone)]
pub struct Throttling {
    quota: Quota,
    begin_s: f64,
}

impl Quota {
    /// Reads the quotas of the process `pid`, or of the caller if `None`.
    ///
    /// # Errors
    /// When the groups of the process, or their quotas, can't be read.
    pub fn of(pid: Option<i32>) -> Result<Self> {
        let groups = cgroup::scheduling_groups(pid)?.into_iter();
        let limited = groups.filter_map(|(folder, version)| {
            let cpus = cpus(&folder, version).transpose()?;
            Some(cpus.map(|cpus| Limited { folder, version, cpus }))
        });
        Ok(Self(limited.collect::<Result<_>>()?))
    }

    /// Returns the smallest quota, in processors.
    pub fn cpus(&self) -> Option<f64> {
        self.0.iter().map(|group| group.cpus).min_by(f64::total_cmp)
    }

    /// Reads the time for which the quotas have held back tasks so far, over all processors, in
    /// seconds.
    fn throttled_s(&self) -> Result<f64> {
        self.0.iter().map(throttled_s).sum()
    }

    /// Begins to observe the time for which the quotas hold back tasks.
    ///
    /// # Errors
    /// When a group with a quota does not report this time.
    pub fn begin(self) -> Result<Throttling> {
        Ok(Throttling { begin_s: self.throttled_s()?, quota: self })
    }
}

impl Throttling {
    /// Returns the time for which the quotas have held back tasks since [`Quota::begin`], over all
    /// processors, in seconds.
    ///
    /// # Errors
    /// When a group with a quota no longer reports this time.
    pub fn elapsed_s(&self) -> Result<f64> {
        Ok((self.quota.throttled_s()? - self.begin_s).max(0.0))
    }
}

/// Reads the quota of a group, in processors; `None` if it has none. The root group has no file for
/// it.
fn cpus(folder: &Path, version: Version) -> Result<Option<f64>> {
    let read = |name: &str| match fs::read_to_string(folder.join(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("cannot read {name} of {}", folder.display())),
    };
    Ok(match version {
        Version::V1 => ratio(&read("cpu.cfs_quota_us")?, &read("cpu.cfs_period_us")?),
        Version::V2 => {
            read("cpu.max")?.split_once(' ').and_then(|(quota, period)| ratio(quota, period))
        }
    })
}

/// Divides a quota by its period, both in microseconds. Without a quota, the kernel writes −1 in
/// version 1 and `max` in version 2, and the result is `None`.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let quota = quota.trim().parse::<u64>().ok()? as f64;
    let period = period.trim().parse::<u64>().ok().filter(|&period| period > 0)? as f64;
    Some(quota / period)
}

fn throttled_s(group: &Limited) -> Result<f64> {
    let path = group.folder.join("cpu.stat");
    let stat =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    stat_s(&stat, group.version)
        .with_context(|| format!("{} does not report throttling", path.display()))
}

fn stat_s(stat: &str, version: Version) -> Option<f64> {
    let (wanted, per_second) = match version {
        Version::V1 => ("throttled_time ", 1e9),
        Version::V2 => ("throttled_usec ", 1e6),
    };
    let value =
        stat.lines().find_map(|line| line.strip_prefix(wanted)?.trim().parse::<u64>().ok())?;
    Some(value as f64 / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_in_processors_and_no_quota_is_none() {
        assert_eq!(ratio("50000\n", "100000\n"), Some(0.5));
        assert_eq!(ratio("-1\n", "100000\n"), None);
        assert_eq!(ratio("max", "100000\n"), None);
        assert_eq!(ratio("1", "0"), None);
    }

    #[test]
    fn the_files_of_both_versions_are_read_with_their_units() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cpu.max"), "150000 100000\n").unwrap();
        assert_eq!(cpus(folder.path(), Version::V2).unwrap(), Some(1.5));
        assert_eq!(cpus(folder.path(), Version::V1).unwrap(), None);
        fs::write(folder.path().join("cpu.cfs_quota_us"), "20000\n").unwrap();
        fs::write(folder.path().join("cpu.cfs_period_us"), "100000\n").unwrap();
        assert_eq!(cpus(folder.path(), Version::V1).unwrap(), Some(0.2));
        let first = "nr_periods 11\nnr_throttled 10\nthrottled_time 682550868\n";
        assert!((stat_s(first, Version::V1).unwrap() - 0.682_550_868).abs() < 1e-9);
        assert!(
            (stat_s("nr_throttled 1\nthrottled_usec 2500\n", Version::V2).unwrap() - 0.0025).abs()
                < 1e-9
        );
        assert_eq!(stat_s("usage_usec 5\n", Version::V2), None);
    }

    #[test]
    fn the_smallest_quota_binds_and_all_of_them_hold_back() {
        let folder = tempfile::tempdir().unwrap();
        let stat = folder.path().join("cpu.stat");
        let group = |cpus| Limited { folder: folder.path().into(), version: Version::V2, cpus };
        fs::write(&stat, "throttled_usec 1000000\n").unwrap();
        let quota = Quota(vec![group(2.0), group(0.5)]);
        assert_eq!(quota.cpus(), Some(0.5));
        let throttling = quota.begin().unwrap();
        fs::write(&stat, "throttled_usec 1250000\n").unwrap();
        assert!((throttling.elapsed_s().unwrap() - 0.5).abs() < 1e-9);
        // A group that does not report the time is an error, not a time of zero.
        fs::write(&stat, "usage_usec 5\n").unwrap();
        assert!(
            throttling.elapsed_s().unwrap_err().to_string().ends_with("does not report throttling")
        );
        fs::remove_file(&stat).unwrap();
        assert!(throttling.elapsed_s().unwrap_err().to_string().starts_with("cannot read "));
    }

    #[test]
    fn a_quota_that_cannot_be_read_is_not_none() {
        let folder = tempfile::tempdir().unwrap();
        // A folder of that name can't be read as a file, not even by root.
        fs::create_dir(folder.path().join("cpu.max")).unwrap();
        let error = cpus(folder.path(), Version::V2).unwrap_err();
        assert!(error.to_string().starts_with("cannot read cpu.max of"), "{error:#}");
    }

    #[test]
    fn the_quota_of_this_process_is_read_or_there_is_a_reason() {
        match Quota::of(None) {
            Ok(quota) => assert!(quota.cpus().is_none_or(|cpus| cpus > 0.0)),
            Err(error) => eprintln!("not shown: {error:#}"),
        }
    }
}
