//! Limits that are set while a server runs, as if others on the machine, or a leak, had taken all there is.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::model::Runs;
use crate::processes::Process;
use crate::server::Server;

/// The processes of a server are out of something.
#[derive(Debug)]
pub struct Scarcity {
    limit: Limit,
    user: Option<u32>,
    /// The soft limits that there were before.
    before: Vec<(Process, String)>,
}

impl Scarcity {
    /// Begins one for a server of `user`, or says why that is not possible here.
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
        // Those of a pool accept. Those that come and go with connections get it from their parent, or are no longer there.
        let processes = match server.model.runs {
            Runs::ProcessPool => server.processes(),
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

    /// How its row begins in /proc/PID/limits.
    fn row(self) -> &'static str {
        match self {
            Self::OpenFiles => "Max open files",
            Self::Processes => "Max processes",
            Self::AddressSpace => "Max address space",
        }
    }
}

/// The number that the next descriptor of a process would have.
pub fn first_free_file(process: &Process) -> u64 {
    let used = process.open_files();
    let count = used.len() as u64;
    (0..count).find(|number| !used.contains(number)).unwrap_or(count)
}

/// Sets a soft limit from outside and gives back what it was before; an error says why that can't be done here.
///
/// By the program `prlimit`, run as `user` where one is given: even the superuser may lack the right to set the limits of
/// somebody else's process, while everybody has it for their own.
fn set_soft_limit(process: &Process, limit: Limit, value: &str, user: Option<u32>) -> Result<String, String> {
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
    let table = fs::read_to_string(format!("/proc/{}/limits", process.pid)).expect("the process is there");
    let row = table.lines().find_map(|line| line.strip_prefix(limit.row()));
    let soft = row.and_then(|row| row.split_whitespace().next());
    soft.expect("the table has a row for each limit").to_owned()
}
