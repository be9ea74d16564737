//! A subject: a server under test, and how it is launched, as a model of this build or by a
//! command.

pub mod catalogue;
pub mod client;
mod command;
mod model;
mod process;
mod program;
mod settings;
mod template;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use c10k_servers::{Entry, Readiness};

use crate::limits;

pub use command::{CommandLaunch, Find};
pub use process::{Ready, RunningSubject};
pub use program::Program;
pub use settings::Settings;

/// A server under test: how it is launched, and what is known about it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Name in suites and reports.
    pub name: String,
    /// Way to start and stop its process.
    pub launch: Launch,
    /// Declared profile by name (`waits`, `runs`, `accepts`, …), in display order.
    pub profile: Vec<(String, String)>,
    /// Path on this server by path of the workload, where the two differ.
    pub paths: BTreeMap<String, String>,
    /// True if its response to `/` must be the embedded page, byte for byte.
    pub serves_page: bool,
}

/// Way to start and stop the process of a subject.
#[derive(Debug, Clone)]
pub enum Launch {
    /// `c10k serve MODEL`.
    Model {
        /// The model's entry in the roster.
        entry: &'static Entry,
        /// Further arguments of `c10k serve`.
        args: Vec<String>,
    },
    /// Any other program.
    Command(CommandLaunch),
}

impl Subject {
    /// Creates a subject from a model of the roster, with further arguments of `c10k serve`.
    pub fn model(entry: &'static Entry, args: Vec<String>) -> Self {
        Self {
            name: entry.name.to_owned(),
            launch: Launch::Model { entry, args },
            profile: entry.profile.named().map(|(name, value)| (name.to_owned(), value)).to_vec(),
            paths: BTreeMap::new(),
            serves_page: true,
        }
    }

    /// Creates a subject from a command line of the user such as `./server --port {port}`, split
    /// into words as a shell does. The server is ready once it accepts connections.
    ///
    /// # Errors
    /// When the command line has an open quote, an unknown placeholder, or no placeholder that says
    /// where to listen.
    pub fn from_command(name: &str, command: &str) -> Result<Self> {
        let launch = CommandLaunch::from_command_line(command)
            .with_context(|| format!("the command of the server `{name}`"))?;
        Ok(Self {
            name: name.to_owned(),
            launch: Launch::Command(launch),
            profile: Vec::new(),
            paths: BTreeMap::new(),
            serves_page: false,
        })
    }

    /// Returns the subject with `folder` as its working folder, unless it has one; a model needs
    /// none.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        if let Launch::Command(launch) = &mut self.launch {
            launch.directory.get_or_insert_with(|| folder.to_string_lossy().into_owned());
        }
        self
    }

    /// Starts the server and waits until it is ready.
    pub fn start(&self, settings: &Settings<'_>) -> Result<RunningSubject> {
        let started = match &self.launch {
            Launch::Model { entry, args } => model::start(entry, args, settings),
            Launch::Command(launch) => launch.start(settings),
        };
        started.with_context(|| format!("the server {} did not start", self.name))
    }

    /// Returns the command that [`start`](Self::start) runs, as it would be typed into a shell.
    /// Values that are new in every start stay placeholders: `{dir}` and `{port}`.
    pub fn command_line(&self, settings: &Settings<'_>) -> String {
        settings.shell_line(&match &self.launch {
            Launch::Model { entry, args } => model::words(entry, args, settings),
            Launch::Command(launch) => launch.words(settings),
        })
    }

    /// Returns the command in a form that is the same for every measurement: values that depend on
    /// [`Settings`] stay placeholders, such as `{workers}`.
    pub fn command_template(&self) -> String {
        settings::join(&match &self.launch {
            Launch::Model { entry, args } => model::template(entry, args),
            Launch::Command(launch) => launch.template(),
        })
    }

    /// True if the length of its listen queue can be set.
    pub fn takes_backlog(&self) -> bool {
        match &self.launch {
            Launch::Model { .. } => true,
            Launch::Command(launch) => launch.has_placeholder("backlog"),
        }
    }

    /// Refuses another address than 127.0.0.1 for a server that is not told where to listen.
    pub fn check_address(&self) -> Result<()> {
        match &self.launch {
            Launch::Model { .. } => Ok(()),
            Launch::Command(launch) => {
                ensure!(
                    launch.has_placeholder("address") || launch.has_placeholder("host"),
                    "its command does not say at which address of the network it listens; write \
                     {{address}}, or {{host}} and {{port}}, there"
                );
                Ok(())
            }
        }
    }

    /// Refuses a number of threads for handlers if the server has no such threads, or is not told
    /// their number.
    pub fn check_handler_threads(&self) -> Result<()> {
        match &self.launch {
            Launch::Model { entry, .. } => limits::check_handler_threads(entry),
            Launch::Command(launch) => {
                ensure!(
                    launch.has_placeholder("handler_threads"),
                    "its command does not say how many threads its handlers have; write \
                     {{handler_threads}} there"
                );
                Ok(())
            }
        }
    }

    /// Refuses a number of workers for a model that would ignore it although it has a pool.
    pub fn check_workers(&self) -> Result<()> {
        match &self.launch {
            Launch::Model { entry, .. } => limits::check_workers(entry),
            Launch::Command(_) => Ok(()),
        }
    }

    /// Returns the path to request from this server if a workload requests `workload_path`.
    pub fn path<'a>(&'a self, workload_path: &'a str) -> &'a str {
        self.paths.get(workload_path).map_or(workload_path, String::as_str)
    }

    /// Returns the reason why the server can't be started here, if there is one: a model that this
    /// build or this machine lacks, a program that is not installed.
    pub fn unavailable(&self, c10k: &Path) -> Option<String> {
        match &self.launch {
            Launch::Model { entry, .. } => limits::why_not_here(entry),
            Launch::Command(launch) => launch.unavailable(c10k).or_else(|| self.why_no_io_uring()),
        }
    }

    /// Returns the reason why there is no `io_uring` here, if the server declares that it waits by
    /// one.
    fn why_no_io_uring(&self) -> Option<String> {
        let by_io_uring = ("waits".to_owned(), Readiness::IoUring.to_string());
        let model = c10k_servers::find("io-uring").filter(|_| self.profile.contains(&by_io_uring));
        model.and_then(limits::why_not_here)
    }

    /// Returns the first line that the version command prints; `None` for models, which have the
    /// version of c10k.
    pub fn version(&self, c10k: &Path) -> Option<String> {
        match &self.launch {
            Launch::Model { .. } => None,
            Launch::Command(launch) => launch.version(c10k),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_of_a_model_tells_how_it_ran() {
        let prefork = Subject::model(c10k_servers::find("prefork").unwrap(), Vec::new());
        let cpus = "1".parse().unwrap();
        let prefix = ["strace".into(), "-DD".into()];
        let c10k = Program::at(Path::new("c10k"));
        let settings = Settings { cpus: Some(&cpus), prefix: &prefix, ..Settings::new(&c10k, 64) };
        assert_eq!(
            prefork.command_line(&settings),
            "taskset --cpu-list 1 strace -DD c10k serve prefork --addr 127.0.0.1:0 --workers 64"
        );
        assert_eq!(
            prefork.command_template(),
            "c10k serve prefork --addr 127.0.0.1:0 --workers {workers}"
        );
    }

    #[test]
    fn a_server_of_the_user_runs_until_it_is_stopped() {
        let command = "python3 -m http.server --bind 127.0.0.1 {port}";
        let server = Subject::from_command("python", command).unwrap();
        let c10k = Program::at(Path::new("c10k"));
        let settings = Settings::new(&c10k, 1);
        if server.unavailable(c10k.path()).is_some() {
            return;
        }
        assert_eq!(server.command_template(), command);
        server.start(&settings).unwrap().stop().unwrap();
    }

    #[test]
    fn a_server_that_is_told_only_its_port_serves_no_other_address() {
        let server = |command| Subject::from_command("mine", command).unwrap();
        let error = server("serve {port}").check_address().unwrap_err().to_string();
        assert!(error.contains("{address}"), "{error}");
        for command in ["serve {address}", "serve --host {host} --port {port}"] {
            server(command).check_address().unwrap();
        }
    }

    #[test]
    fn a_mistake_in_a_command_names_its_server() {
        let error = format!("{:#}", Subject::from_command("mine", "./serve").unwrap_err());
        assert!(error.contains("`mine`") && error.contains("{port}"), "{error}");
    }

    #[test]
    fn only_listed_paths_differ_from_those_of_a_workload() {
        let nginx = catalogue::find("nginx-file").unwrap();
        assert_eq!((nginx.path("/"), nginx.path("/other")), ("/page.html", "/other"));
    }
}
