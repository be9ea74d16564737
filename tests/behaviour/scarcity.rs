//! Limits that are set on a running server, as if other processes, or a leak, had used up a
//! resource.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use c10k_servers::Execution;

use crate::processes::Process;
use crate::server::Server;

/// Shortage of one resource in the processes of a server.
#[derive(Debug)]
pub struct Scarcity {
    limit: Limit,
    user: Option<u32>,
    /// Soft limits before the shortage.
    before: Vec<(Process, String)>,
}

impl Scarcity {
    /// Begins a shortage for a server that runs as `user`; an error says why that is not possible
    /// here.
    pub fn begin(
        server: &Server,
        user: Option<u32>,
        limit: Limit,
        value: impl Fn(&Process) -> u64,
    ) -> Result<Self, String> {
        let set = |process: Process| {
            let before = set_soft_limit(&process, limit, &value(&process).to_string(), user)?;
            Ok((process, before))
        };
        // The processes of a pool accept connections. Processes that come and go with connections
        // inherit the limit from their parent, or have ended already.
        let processes = match server.model.profile.execution {
            Execution::ProcessPool => server.processes(),
            _ => vec![server.process()],
        };
        let before = processes.into_iter().map(set).collect::<Result<_, String>>()?;
        Ok(Self { limit, user, before })
    }

    pub fn end(self) {
        for (process, before) in self.before.iter().filter(|(process, _)| process.is_there()) {
            let result = set_soft_limit(process, self.limit, before, self.user);
            result.expect("a limit can be set twice");
        }
    }
}

/// A limit that a test may set.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    OpenFiles,
    Processes,
    AddressSpace,
}

impl Limit {
    fn option(self) -> &'static str {
        match self {
            Self::OpenFiles => "nofile",
            Self::Processes => "nproc",
            Self::AddressSpace => "as",
        }
    }

    /// First words of the limit's row in /proc/PID/limits.
    fn row(self) -> &'static str {
        match self {
            Self::OpenFiles => "Max open files",
            Self::Processes => "Max processes",
            Self::AddressSpace => "Max address space",
        }
    }
}

/// Returns the number that the next descriptor of a process would have.
pub fn first_free_file(process: &Process) -> u64 {
    let used = process.open_files();
    let count = used.len() as u64;
    (0..count).find(|number| !used.contains(number)).unwrap_or(count)
}

/// Sets a soft limit of a process and returns its previous value; an error says why that can't be
/// done here.
///
/// Runs the program `prlimit`, as `user` if one is given: even the superuser may lack the right to
/// set the limits of another user's process, but every user may set the limits of its own
/// processes.
fn set_soft_limit(
    process: &Process,
    limit: Limit,
    value: &str,
    user: Option<u32>,
) -> Result<String, String> {
    let before = soft_limit(process, limit);
    let mut command = Command::new("prlimit");
    command.args(["--pid", &process.pid.to_string(), &format!("--{}={value}:", limit.option())]);
    if let Some(user) = user {
        command.uid(user).current_dir("/");
    }
    match command.output() {
        Ok(output) if output.status.success() => Ok(before),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("prlimit is not installed: {error}")),
    }
}

fn soft_limit(process: &Process, limit: Limit) -> String {
    let table =
        fs::read_to_string(format!("/proc/{}/limits", process.pid)).expect("the process is there");
    let row = table.lines().find_map(|line| line.strip_prefix(limit.row()));
    let soft = row.and_then(|row| row.split_whitespace().next());
    soft.expect("the table has a row for each limit").to_owned()
}
