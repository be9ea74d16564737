//! The launch of a server that is no model: a command and the files that it needs, with
//! placeholders for values that each start decides.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::iter;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use c10k_servers::site::DEFAULT_PAGE;
use rand::RngExt;
use rustix::process::Signal;
use serde::Deserialize;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::process::{Ready, RunningSubject, Start, Stop};
use super::settings::Settings;
use super::template::{self, Values};

/// Placeholders that every command and file may have, beside those of its `find` tables.
const PLACEHOLDERS: &[&str] = &[
    "address",
    "backlog",
    "connections",
    "dir",
    "handler_threads",
    "host",
    "page",
    "page_file",
    "port",
    "program",
    "workers",
];

/// Connections that a server must be able to hold beside those of a measurement: those of the check
/// before it, and listeners and channels, which some servers count as connections.
const SPARE_CONNECTIONS: usize = 64;

/// Default length of a listen queue, the same as that of `c10k serve`.
const USUAL_BACKLOG: usize = 4096;

/// First port that a server may be given: services of a machine use those below.
const FIRST_PORT: u16 = 10_000;

/// Number of ports that are tried before the kernel is asked for one.
const PORT_TRIES: usize = 100;

/// Name of the file in a server's folder that holds the page.
const PAGE_FILE: &str = "page.html";

/// Folder of programs for the superuser, which is not in the search path of every user.
const SUPERUSER_PROGRAMS: &str = "/usr/sbin";

/// A command that starts a server. Its texts may have placeholders:
///
/// | placeholder | value |
/// |---|---|
/// | `{program}` | path of the program that was found |
/// | `{dir}` | a folder made for this start, removed after it |
/// | `{page_file}` | path of a file in `{dir}` that holds the embedded page |
/// | `{page}` | the embedded page |
/// | `{port}` | port to listen on: a free one, or 0 for a server that announces it |
/// | `{host}` | address to listen on, 127.0.0.1 unless the workload has a network, or the suite a `[generator]` |
/// | `{address}` | `{host}:{port}` |
/// | `{workers}` | workers that the workload asks for, or one for each connection |
/// | `{handler_threads}` | handler threads that the workload asks for, or one for each connection |
/// | `{connections}` | connections that the server must be able to hold |
/// | `{backlog}` | length of the listen queue, 4096 if the workload does not set it |
/// | any name of `find` | the folder that was found |
#[derive(Debug, Clone)]
pub struct CommandLaunch {
    /// Names or paths of the program; the first one that is found is used.
    pub program: Vec<String>,
    /// Folders that differ between distributions, by the name of their placeholder.
    pub find: BTreeMap<String, Find>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Texts of the files that are written into `{dir}`, by name.
    pub files: BTreeMap<String, String>,
    /// Environment variables beside those of the harness.
    pub environment: BTreeMap<String, String>,
    /// Working folder; without it, the one of the harness.
    pub directory: Option<String>,
    /// Sign that the server accepts connections.
    pub ready: Ready,
    /// Signal that stops the server.
    pub stop: Signal,
    /// Command that prints the version of the server, if there is one.
    pub version: Vec<String>,
    /// Command that installs or builds the program, for the message that it is missing.
    pub install: Option<String>,
}

/// A folder whose path differs between distributions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// Paths where the folder may be.
    pub folders: Vec<PathBuf>,
    /// A file in the folder by which it is recognized.
    pub with: String,
}

impl CommandLaunch {
    /// Parses a command line of the user. The server is ready once it accepts connections.
    pub fn from_command_line(line: &str) -> Result<Self> {
        let words = shlex::split(line)
            .with_context(|| format!("`{line}` has a quote or a backslash without an end"))?;
        let (program, args) =
            words.split_first().context("it is empty; write a program and its arguments")?;
        let launch = Self {
            program: vec![program.clone()],
            find: BTreeMap::new(),
            command: iter::once("{program}".to_owned()).chain(args.iter().cloned()).collect(),
            files: BTreeMap::new(),
            environment: BTreeMap::new(),
            directory: None,
            ready: Ready::Connect,
            stop: Signal::TERM,
            version: Vec::new(),
            install: None,
        };
        launch.check()?;
        Ok(launch)
    }

    /// Checks what can be checked before a start.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            !self.program.is_empty() && !self.command.is_empty(),
            "it has no program or no command"
        );
        for name in self.texts().flat_map(template::names) {
            let known = || PLACEHOLDERS.iter().copied().chain(self.find.keys().map(String::as_str));
            if !known().any(|known| known == name) {
                let known = known().collect::<Vec<_>>().join("}, {");
                bail!("it has an unknown placeholder {{{name}}}; there are {{{known}}}");
            }
        }
        let is_told = self.has_placeholder("port") || self.has_placeholder("address");
        ensure!(
            is_told || self.ready == Ready::Announced,
            "it is not told where to listen; write {{port}} or {{address}} where it expects that"
        );
        Ok(())
    }

    /// True if a text has this placeholder.
    pub(super) fn has_placeholder(&self, placeholder: &str) -> bool {
        self.texts().flat_map(template::names).any(|name| name == placeholder)
    }

    /// Returns all texts that may have placeholders.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let words = self.command.iter().chain(&self.version).chain(&self.directory);
        words.chain(self.files.values()).chain(self.environment.values()).map(String::as_str)
    }

    /// Starts the server on a free port, with its files in a new folder.
    pub(super) fn start(&self, settings: &Settings<'_>) -> Result<RunningSubject> {
        let folder = folder_with_page()?;
        let address = self.choose_address(settings)?;
        let mut values = self.find_all(settings.c10k.path())?;
        set_sizes(&mut values, settings);
        set_address(&mut values, address);
        values.set("dir", folder.path().display());
        values.set("page", DEFAULT_PAGE);
        values.set("page_file", folder.path().join(PAGE_FILE).display());
        self.write_files(folder.path(), &values)?;
        RunningSubject::start(Start {
            command: self.command(settings, &values),
            cpus: settings.cpus,
            address,
            ready: self.ready.clone(),
            patience: settings.start_time(),
            stop: Stop { signal: self.stop, may_end_it: true },
            // Not SIGKILL: the server has to end its own children, which would outlive it.
            death: self.stop,
            folder: Some(folder),
            host: settings.host,
            interrupt: settings.interrupt,
        })
    }

    fn command(&self, settings: &Settings<'_>, values: &Values<'_>) -> Command {
        let words: Vec<String> = self.command.iter().map(|word| values.fill(word)).collect();
        let mut command = settings.command(&words[0], &words[1..]);
        command.envs(self.environment.iter().map(|(name, value)| (name, values.fill(value))));
        if let Some(directory) = &self.directory {
            command.current_dir(values.fill(directory));
        }
        command
    }

    fn write_files(&self, folder: &Path, values: &Values<'_>) -> Result<()> {
        for (name, text) in &self.files {
            let path = folder.join(name);
            fs::write(&path, values.fill(text))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Returns the address to listen on. A server that announces its port takes a free one itself.
    fn choose_address(&self, settings: &Settings<'_>) -> Result<SocketAddr> {
        if self.ready == Ready::Announced {
            return Ok(settings.listen_address());
        }
        let choose = || free_address(settings.address);
        settings.host.map_or_else(choose, |host| host.within(choose).flatten())
    }

    /// Returns the words of the command, with placeholders for values that only a start decides.
    pub(super) fn words(&self, settings: &Settings<'_>) -> Vec<String> {
        // If the program is not found, its placeholders stay: the line is for people.
        let mut values = self.find_all(settings.c10k.path()).unwrap_or_default();
        set_sizes(&mut values, settings);
        values.set("host", settings.address);
        if self.ready == Ready::Announced {
            set_address(&mut values, settings.listen_address());
        }
        self.command.iter().map(|word| values.fill(word)).collect()
    }

    /// Returns the words of the command, with the name of the program; all other placeholders stay.
    pub(super) fn template(&self) -> Vec<String> {
        let mut values = Values::default();
        values.set("program", &self.program[0]);
        self.command.iter().map(|word| values.fill(word)).collect()
    }

    /// Returns the reason why the server can't be started here, if there is one.
    pub(super) fn unavailable(&self, c10k: &Path) -> Option<String> {
        self.find_all(c10k).err().map(|error| format!("{error:#}"))
    }

    /// Returns the first line that the version command prints, on standard output or standard
    /// error.
    pub(super) fn version(&self, c10k: &Path) -> Option<String> {
        let values = self.find_all(c10k).ok()?;
        let mut words = self.version.iter().map(|word| values.fill(word));
        let output = Command::new(words.next()?).args(words).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }

    /// Returns the paths of the program and of the folders of the `find` tables.
    fn find_all(&self, c10k: &Path) -> Result<Values<'_>> {
        let mut values = Values::default();
        values.set("program", self.find_program(c10k)?.display());
        for (name, find) in &self.find {
            values.set(name, find.folder()?.display());
        }
        Ok(values)
    }

    /// Finds the program: beside c10k or in a folder there, where its own programs lie, in the
    /// search path, or in the folder for the superuser.
    fn find_program(&self, c10k: &Path) -> Result<PathBuf> {
        let c10k = std::path::absolute(c10k).context("cannot find the folder of c10k")?;
        let beside = c10k.parent().context("c10k is in no folder")?;
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [beside.to_owned()].into_iter().chain(std::env::split_paths(&search_path));
        let folders = std::env::join_paths(folders.chain([SUPERUSER_PROGRAMS.into()]))?;
        let here = self.folder_of_paths()?;
        let find = |name: &String| {
            // A name with a folder in it is only looked for below the last argument.
            let found = which::which_in(name, Some(&folders), &here);
            found.or_else(|_| which::which_in(name, Some(&folders), beside)).ok()
        };
        self.program.iter().find_map(find).with_context(|| {
            let names = self.program.join(" or ");
            let install = self.install.as_deref().map(|line| format!("; install it with `{line}`"));
            format!(
                "{names} is not installed: not beside c10k, not in PATH, not in {SUPERUSER_PROGRAMS}{}",
                install.unwrap_or_default()
            )
        })
    }

    /// Returns the folder in which a relative path of the program begins: the command's own working
    /// folder if it is the same for every start, else the current one.
    fn folder_of_paths(&self) -> Result<PathBuf> {
        let own = self.directory.as_deref().map(Path::new).filter(|folder| folder.is_absolute());
        own.map_or_else(std::env::current_dir, |folder| Ok(folder.to_owned()))
            .context("cannot find the working folder")
    }
}

impl Find {
    fn folder(&self) -> Result<&Path> {
        let found = self.folders.iter().find(|folder| folder.join(&self.with).exists());
        found.map(PathBuf::as_path).with_context(|| {
            let folders: Vec<_> =
                self.folders.iter().map(|folder| folder.display().to_string()).collect();
            format!("{} is not installed: it is not in {}", self.with, folders.join(" or "))
        })
    }
}

/// Returns an address of this host with a free port.
fn free_address(host: IpAddr) -> Result<SocketAddr> {
    let below_ephemeral = || free_port(host, FIRST_PORT..c10k_loadgen::first_ephemeral_port()?);
    if let Some(address) = below_ephemeral() {
        return Ok(address);
    }
    let listener = TcpListener::bind((host, 0)).context("cannot find a free port")?;
    Ok(listener.local_addr()?)
}

/// Returns an address whose port no socket uses, not even one in `TIME_WAIT`. The kernel gives the
/// ports of this range to no process that asks for any port, so that the port is still free when
/// the server listens.
fn free_port(host: IpAddr, range: Range<u16>) -> Option<SocketAddr> {
    let mut random = rand::rng();
    let ports =
        (0..PORT_TRIES).filter(|_| !range.is_empty()).map(|_| random.random_range(range.clone()));
    let is_free = |address: &SocketAddr| {
        let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None);
        socket.is_ok_and(|socket| socket.bind(&(*address).into()).is_ok())
    };
    ports.map(|port| SocketAddr::from((host, port))).find(is_free)
}

fn set_address(values: &mut Values<'_>, address: SocketAddr) {
    values.set("address", address);
    values.set("host", address.ip());
    values.set("port", address.port());
}

fn set_sizes(values: &mut Values<'_>, settings: &Settings<'_>) {
    values.set("workers", settings.workers_or_connections());
    values.set("handler_threads", settings.handler_threads_or_connections());
    values.set("connections", settings.connections + SPARE_CONNECTIONS);
    values.set("backlog", settings.backlog.map_or(USUAL_BACKLOG, NonZeroUsize::get));
}

/// Creates a folder for the files of one start, with the page in it. Servers that the superuser
/// starts give up that right, so every user may read the folder.
fn folder_with_page() -> Result<TempDir> {
    let everybody_reads = Permissions::from_mode(0o755);
    let folder =
        tempfile::Builder::new().prefix("c10k-server-").permissions(everybody_reads).tempdir();
    let folder = folder.context("cannot make a temporary folder")?;
    fs::write(folder.path().join(PAGE_FILE), DEFAULT_PAGE).context("cannot write the page")?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::LazyLock;
    use std::time::Duration;

    use super::super::Program;
    use super::super::client::check_answers;
    use super::*;

    /// A server that announces itself and answers its first two requests with 503, as if it warmed
    /// up.
    const SERVE: &str = "import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    answers = 0
    def do_GET(self):
        Handler.answers += 1
        self.send_response(200 if Handler.answers > 2 else 503)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler)
print('listening on 127.0.0.1:%d' % server.server_address[1], flush=True)
server.serve_forever()";

    /// Time that one response may take.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn settings() -> Settings<'static> {
        static C10K: LazyLock<Program> = LazyLock::new(|| Program::at(Path::new("c10k")));
        Settings::new(&C10K, 2)
    }

    /// Returns a server in Python; `None` if there is no Python.
    fn python(ready: Ready) -> Option<CommandLaunch> {
        let launch = CommandLaunch {
            command: ["{program}", "{dir}/serve.py", "{port}"].map(str::to_owned).to_vec(),
            files: BTreeMap::from([("serve.py".to_owned(), SERVE.to_owned())]),
            ready,
            ..CommandLaunch::from_command_line("python3 {port}").unwrap()
        };
        launch.check().unwrap();
        launch.unavailable(settings().c10k.path()).is_none().then_some(launch)
    }

    #[test]
    fn a_port_is_free_or_none_is_found() {
        let host = IpAddr::from(Ipv4Addr::LOCALHOST);
        let held = TcpListener::bind((host, 0)).unwrap();
        let taken = held.local_addr().unwrap().port();
        assert_eq!(free_port(host, taken..taken + 1), None);
        assert_eq!(free_port(host, taken..taken), None);
        let free = free_port(host, FIRST_PORT..u16::MAX).unwrap();
        assert!(free.port() >= FIRST_PORT && free.port() != taken, "{free}");
    }

    #[test]
    fn every_sign_of_readiness_is_waited_for() {
        for ready in [Ready::Announced, Ready::Connect, Ready::Http("/health".into())] {
            let Some(launch) = python(ready.clone()) else { return };
            let running = launch.start(&settings()).unwrap();
            assert!(running.address().port() > 0, "{ready:?}");
            let answers = check_answers(running.address(), "/", PATIENCE);
            // Only `Ready::Http` waits for a success, so only it gets past the warm-up.
            assert_eq!(answers.is_ok(), matches!(ready, Ready::Http(_)), "{ready:?}");
            // Python is ended by the signal, which is a clean stop.
            running.stop().unwrap();
        }
    }

    #[test]
    fn environment_and_working_folder_are_its_own() {
        let script = "echo \"$MODE $PWD $(cat {page_file} | wc -c)\" > said; \
                      echo 'listening on 127.0.0.1:1'; sleep 60";
        let launch = CommandLaunch {
            command: ["{program}", "-c", script].map(str::to_owned).to_vec(),
            environment: BTreeMap::from([(
                "MODE".to_owned(),
                "{workers} of {connections}".to_owned(),
            )]),
            directory: Some("{dir}".to_owned()),
            ready: Ready::Announced,
            ..CommandLaunch::from_command_line("sh {port}").unwrap()
        };
        let running = launch.start(&settings()).unwrap();
        let folder = running.folder().unwrap();
        let said = fs::read_to_string(folder.join("said")).unwrap();
        assert_eq!(said.trim(), format!("2 of 66 {} 1024", folder.display()));
    }

    #[test]
    fn a_command_line_of_the_user_is_split_as_a_shell_does() {
        let launch = CommandLaunch::from_command_line("sh -c 'serve on {port}' \"a b\"").unwrap();
        assert_eq!(launch.command, ["{program}", "-c", "serve on {port}", "a b"]);
        assert_eq!(launch.template(), ["sh", "-c", "serve on {port}", "a b"]);
    }

    #[test]
    fn a_command_line_that_cannot_be_a_server_is_refused() {
        for (line, expected) in [
            ("serve 'x {port}", "without an end"),
            ("", "empty"),
            ("serve", "{port} or {address}"),
            ("serve {prot}", "{prot}"),
        ] {
            let error = CommandLaunch::from_command_line(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_program_in_a_folder_beside_c10k_is_found() {
        let folder = folder_with_page().unwrap();
        let program = folder.path().join("examples/server");
        fs::create_dir(folder.path().join("examples")).unwrap();
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let launch = CommandLaunch::from_command_line("examples/server {port}").unwrap();
        let found = launch.find_program(&folder.path().join("c10k")).unwrap();
        assert_eq!(found, program);
    }

    #[test]
    fn what_is_not_installed_is_told() {
        let mut launch = CommandLaunch::from_command_line("no-such-server {port}").unwrap();
        let reason = launch.unavailable(settings().c10k.path()).unwrap();
        assert!(
            reason.contains("no-such-server is not installed") && reason.contains("PATH"),
            "{reason}"
        );
        launch.install = Some("make server".into());
        let reason = launch.unavailable(settings().c10k.path()).unwrap();
        assert!(reason.ends_with("; install it with `make server`"), "{reason}");
        launch.program = vec!["no-such-server".into(), "sh".into()];
        assert_eq!(launch.unavailable(settings().c10k.path()), None);
        let find =
            Find { folders: vec!["/nowhere".into(), "/neither".into()], with: "mod.so".into() };
        launch.find = BTreeMap::from([("modules".into(), find)]);
        let reason = launch.unavailable(settings().c10k.path()).unwrap();
        assert!(reason.contains("mod.so") && reason.contains("/nowhere or /neither"), "{reason}");
    }
}
