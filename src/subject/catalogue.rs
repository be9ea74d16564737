//! Catalogue of other people's servers, by name, as `benches/servers.toml` describes them.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use nix::sys::signal::Signal as NamedSignal;
use rustix::process::Signal;
use serde::Deserialize;

use super::template::Values;
use super::{CommandLaunch, Find, Launch, Ready, Subject};
use crate::toml_text;

/// Servers that need no file.
const BUILT_IN: &str = include_str!("../../benches/servers.toml");

static SERVERS: LazyLock<Vec<Subject>> =
    LazyLock::new(|| parse(BUILT_IN).expect("the catalogue is valid, as a test checks"));

/// The catalogue file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Texts that several servers share, by the name of their placeholder.
    #[serde(default, rename = "text")]
    texts: BTreeMap<String, String>,
    #[serde(rename = "server")]
    servers: Vec<ServerTable>,
}

/// A server, as it is written. [`CommandLaunch`] lists the placeholders of its texts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTable {
    name: String,
    #[serde(default)]
    profile: ProfileTable,
    program: Vec<String>,
    #[serde(default)]
    find: BTreeMap<String, Find>,
    command: Vec<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    directory: Option<String>,
    ready: Ready,
    #[serde(default = "terminate", deserialize_with = "signal")]
    stop: Signal,
    #[serde(default)]
    version: Vec<String>,
    install: Option<String>,
    #[serde(default)]
    paths: BTreeMap<String, String>,
    serves_page: bool,
}

/// Declared profile of a server, as far as it is known, in the terms of the roster.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileTable {
    waits: Option<String>,
    runs: Option<String>,
    accepts: Option<String>,
    at_once: Option<String>,
    handlers: Option<String>,
}

/// Returns the server of that name.
pub fn find(name: &str) -> Option<Subject> {
    servers().iter().find(|server| server.name == name).cloned()
}

/// Returns the servers of the catalogue.
pub fn servers() -> &'static [Subject] {
    &SERVERS
}

/// Reads a catalogue.
fn parse(text: &str) -> Result<Vec<Subject>> {
    let file: File = toml_text::parse(text)?;
    let mut shared = Values::default();
    for (name, text) in &file.texts {
        shared.set(name, text);
    }
    let share = |mut table: ServerTable| {
        table.files.values_mut().for_each(|text| *text = shared.fill(text));
        table
    };
    file.servers.into_iter().map(share).map(Subject::try_from).collect()
}

impl TryFrom<ServerTable> for Subject {
    type Error = anyhow::Error;

    fn try_from(table: ServerTable) -> Result<Self> {
        let launch = CommandLaunch {
            program: table.program,
            find: table.find,
            command: table.command,
            files: table.files,
            environment: table.environment,
            directory: table.directory,
            ready: table.ready,
            stop: table.stop,
            version: table.version,
            install: table.install,
        };
        launch.check().with_context(|| format!("the server `{}`", table.name))?;
        Ok(Self {
            name: table.name,
            launch: Launch::Command(launch),
            profile: table.profile.named(),
            paths: table.paths,
            serves_page: table.serves_page,
        })
    }
}

impl ProfileTable {
    /// Returns the known declarations by name, in the order of the roster.
    fn named(self) -> Vec<(String, String)> {
        let Self { waits, runs, accepts, at_once, handlers } = self;
        let named = [
            ("waits", waits),
            ("runs", runs),
            ("accepts", accepts),
            ("at_once", at_once),
            ("handlers", handlers),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

fn terminate() -> Signal {
    Signal::TERM
}

fn signal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Signal, D::Error> {
    let name = String::deserialize(deserializer)?;
    let number = NamedSignal::from_str(&name).ok().map(|signal| signal as i32);
    let unknown =
        || serde::de::Error::custom(format!("`{name}` is no signal; write a name like SIGTERM"));
    number.and_then(Signal::from_named_raw).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const GOOD: &str = "[[server]]\nname = \"a\"\nprogram = [\"a\"]\n\
        command = [\"{program}\", \"{port}\"]\nready = \"connect\"\nstop = \"SIGQUIT\"\nserves_page = false\n";

    #[test]
    fn the_built_in_catalogue_is_valid_and_no_name_is_taken() {
        let servers = parse(BUILT_IN).unwrap();
        let models = c10k_servers::ROSTER.iter().map(|entry| entry.name);
        let names: HashSet<&str> =
            servers.iter().map(|server| &*server.name).chain(models).collect();
        assert_eq!(names.len(), servers.len() + c10k_servers::ROSTER.len());
    }

    #[test]
    fn every_server_is_told_at_which_address_it_listens() {
        for server in servers() {
            server.check_address().unwrap_or_else(|error| panic!("{}: {error}", server.name));
        }
    }

    #[test]
    fn finds_servers_by_name() {
        let nginx = find("nginx-return").unwrap();
        assert!(matches!(nginx.launch, Launch::Command(_)));
        assert_eq!(nginx.path("/unlisted"), "/unlisted");
        assert!(find("telepathy").is_none());
    }

    #[test]
    fn what_is_wrong_with_a_catalogue_is_told_in_one_line() {
        assert_eq!(parse(GOOD).unwrap().len(), 1);
        for (from, to, expected) in [
            ("program =", "progarm =", "line 3: unknown field `progarm`; did you mean `program`"),
            ("serves_page = false", "", "missing field `serves_page`"),
            ("{port}", "{prot}", "the server `a`: it has an unknown placeholder {prot}"),
            ("{port}", "80", "{address}"),
            ("\"connect\"", "\"conect\"", "line 5: unknown variant `conect`"),
            ("\"SIGQUIT\"", "\"SIGSTOPP\"", "line 6: `SIGSTOPP` is no signal"),
            ("[\"a\"]", "[]", "no program"),
            (
                "serves_page",
                "profile = { wiats = \"\" }\nserves_page",
                "line 7: unknown field `wiats`",
            ),
            (
                "serves_page",
                "find.modules = { folders = [] }\nserves_page",
                "line 7: missing field `with`",
            ),
        ] {
            let error = format!("{:#}", parse(&GOOD.replacen(from, to, 1)).unwrap_err());
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_find_table_is_a_placeholder_of_its_server() {
        let text = GOOD.replace("{port}", "{modules}{port}")
            + "find.modules = { folders = [\"/\"], with = \"tmp\" }\nready.http = \"/health\"\n";
        let text = text.replace("ready = \"connect\"\n", "");
        let [server] = &parse(&text).unwrap()[..] else { panic!("there is one server") };
        let Launch::Command(launch) = &server.launch else { panic!("it is a command") };
        assert_eq!((&launch.ready, launch.stop), (&Ready::Http("/health".into()), Signal::QUIT));
    }
}
