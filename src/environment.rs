//! The machine and the checkout that a run was measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use c10k_reports::record::{Calibration, Machine, VERSION};
use procfs::{CpuInfo, Current, Meminfo};
use rustix::process::{Resource, getrlimit};
use rustix::system::uname;

/// Describes this machine; what can't be read is told as unknown.
pub fn machine(cpus: usize) -> Machine {
    let kernel = uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    Machine {
        cpu: cpu_model().unwrap_or_else(|| "unknown".into()),
        cpus,
        memory_bytes: Meminfo::current().map_or(0, |memory| memory.mem_total),
        kernel: format!("{} {} {}", text(kernel.sysname()), text(kernel.release()), text(kernel.machine())),
        limits: limits(),
    }
}

/// The revision of the checkout that this binary was built from, as it is now; `unknown` where that is not there.
pub fn revision() -> String {
    let git = |args: &[&str]| {
        let output =
            Command::new("git").arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(revision) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    match git(&["status", "--porcelain"]).as_deref() {
        Some("") => revision,
        _ => format!("{revision}-dirty"),
    }
}

/// What `c10k calibrate` left in the folder of the reports; none where it never ran, or left what can't be read.
pub fn calibration(reports_dir: &Path) -> Option<Calibration> {
    let text = fs::read_to_string(reports_dir.join("calibration.json")).ok()?;
    serde_json::from_str(&text).ok().filter(|calibration: &Calibration| calibration.version == VERSION)
}

/// Limits that bear on results, in the order in which they are shown.
fn limits() -> Vec<(String, String)> {
    let open_files = getrlimit(Resource::Nofile);
    let limit = |value: Option<u64>| value.map_or_else(|| "unlimited".into(), |value| value.to_string());
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

/// Model name of the first processor; kernels of some architectures do not tell it.
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
