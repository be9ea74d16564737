//! Suites: a TOML file of subjects and workloads becomes the cells that are measured.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use c10k_loadgen::workload::Lifetime;
use c10k_reports::record::Cell;
use regex::Regex;
use serde::Deserialize;

use crate::subject::Subject;
use crate::toml_text;

/// Suites that need no file.
const BUILT_IN: &[(&str, &str)] = &[
    ("default", include_str!("../benches/suites/default.toml")),
    ("models", include_str!("../benches/suites/models.toml")),
];

/// What is to be measured, and for how long.
#[derive(Debug, Clone)]
pub struct Suite {
    pub name: String,
    pub purpose: String,
    pub pace: Pace,
    /// A request without an answer for this long has failed.
    pub timeout: Duration,
    pub subjects: Vec<Subject>,
    pub workloads: Vec<SuiteWorkload>,
}

/// How often and how long each cell is measured.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    pub rounds: u32,
    #[serde(deserialize_with = "time")]
    pub warmup: Duration,
    #[serde(deserialize_with = "time")]
    pub duration: Duration,
}

/// What the generator sends.
#[derive(Debug, Clone)]
pub struct SuiteWorkload {
    pub name: String,
    pub path: String,
    pub lifetime: Lifetime,
    pub connections: usize,
}

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    purpose: String,
    rounds: u32,
    #[serde(deserialize_with = "time")]
    warmup: Duration,
    #[serde(deserialize_with = "time")]
    duration: Duration,
    #[serde(deserialize_with = "time")]
    timeout: Duration,
    quick: Option<Pace>,
    #[serde(rename = "subject")]
    subjects: Vec<SubjectTable>,
    #[serde(rename = "workload")]
    workloads: Vec<WorkloadTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectTable {
    name: String,
    model: String,
    #[serde(default)]
    args: Vec<String>,
}

/// A table is a whole family: every lifetime with every number of connections.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkloadTable {
    path: String,
    lifetime: Vec<String>,
    connections: Vec<usize>,
}

impl Suite {
    /// Reads a suite by its built-in name or from the file of that path.
    pub fn read(name_or_path: &str, quick: bool) -> Result<Self> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            return Self::parse(text, quick).with_context(|| format!("the built-in suite {name_or_path}"));
        }
        let text = fs::read_to_string(name_or_path).with_context(|| {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            format!(
                "cannot read the suite `{name_or_path}`; it is neither built in ({}) nor a file",
                names.join(", ")
            )
        })?;
        Self::parse(&text, quick).with_context(|| format!("the suite {}", Path::new(name_or_path).display()))
    }

    fn parse(text: &str, quick: bool) -> Result<Self> {
        let file: File = toml_text::parse(text)?;
        let usual = Pace { rounds: file.rounds, warmup: file.warmup, duration: file.duration };
        let pace = if quick { file.quick.unwrap_or(usual) } else { usual };
        ensure!(pace.rounds > 0, "`rounds` must be at least 1");
        ensure!(!pace.duration.is_zero(), "`duration` must be longer than nothing");
        ensure!(!file.timeout.is_zero(), "`timeout` must be longer than nothing");
        check_name("suite", &file.name)?;
        let subjects = file.subjects.into_iter().map(Subject::try_from).collect::<Result<Vec<_>>>()?;
        let mut workloads = Vec::new();
        for table in file.workloads {
            workloads.extend(table.expand()?);
        }
        ensure!(
            !subjects.is_empty() && !workloads.is_empty(),
            "it needs at least one [[subject]] and one [[workload]]"
        );
        unique("subject", subjects.iter().map(|subject| &subject.name))?;
        unique("workload", workloads.iter().map(|workload| &workload.name))?;
        Ok(Self { name: file.name, purpose: file.purpose, pace, timeout: file.timeout, subjects, workloads })
    }

    /// The cells, subject by subject within each workload; only those whose `SUBJECT/WORKLOAD` matches the filter.
    pub fn cells(&self, filter: Option<&Regex>) -> Vec<Cell> {
        let matches = |cell: &Cell| filter.is_none_or(|filter| filter.is_match(&label(cell)));
        let of = |workload: &SuiteWorkload, subject: &Subject| Cell {
            subject: subject.name.clone(),
            workload: workload.name.clone(),
        };
        let all = self
            .workloads
            .iter()
            .flat_map(|workload| self.subjects.iter().map(move |subject| of(workload, subject)));
        all.filter(matches).collect()
    }
}

impl Suite {
    /// The subject of a cell.
    pub fn subject(&self, cell: &Cell) -> Option<&Subject> {
        self.subjects.iter().find(|subject| subject.name == cell.subject)
    }

    /// The workload of a cell.
    pub fn workload(&self, cell: &Cell) -> Option<&SuiteWorkload> {
        self.workloads.iter().find(|workload| workload.name == cell.workload)
    }
}

/// How a cell is called on the command line.
pub fn label(cell: &Cell) -> String {
    format!("{}/{}", cell.subject, cell.workload)
}

impl TryFrom<SubjectTable> for Subject {
    type Error = anyhow::Error;

    fn try_from(table: SubjectTable) -> Result<Self> {
        check_name("subject", &table.name)?;
        let model = c10k_servers::find(&table.model).with_context(|| {
            format!("subject `{}`: there is no model `{}`, see `c10k models`", table.name, table.model)
        })?;
        Ok(Self { name: table.name, ..Self::model(model, table.args) })
    }
}

impl WorkloadTable {
    fn expand(self) -> Result<Vec<SuiteWorkload>> {
        let is_path = self.path.starts_with('/') && self.path.bytes().all(|octet| octet.is_ascii_graphic());
        ensure!(is_path, "the path {:?} of a workload must begin with a slash and have no spaces", self.path);
        let mut workloads = Vec::new();
        for lifetime in &self.lifetime {
            let lifetime: Lifetime =
                lifetime.parse().map_err(anyhow::Error::msg).context("`lifetime` of a workload")?;
            for &connections in &self.connections {
                ensure!(connections > 0, "`connections` of a workload must be at least 1");
                let name = format!("{lifetime}-{connections}");
                workloads.push(SuiteWorkload { name, path: self.path.clone(), lifetime, connections });
            }
        }
        Ok(workloads)
    }
}

impl SuiteWorkload {
    /// What it sends, in a sentence.
    pub fn description(&self) -> String {
        let Self { path, connections, .. } = self;
        let carried = match self.lifetime {
            Lifetime::Persistent => "kept open for the whole measurement".into(),
            Lifetime::SHORT => "with one request each, then closed and opened anew".into(),
            Lifetime::Requests(requests) => {
                format!("with {requests} requests each, then closed and opened anew")
            }
        };
        let plural = if *connections == 1 { "connection" } else { "connections" };
        format!("Closed loop, {connections} {plural} at once, {carried}; every request is GET {path}.")
    }
}

/// Names become parts of file names.
fn check_name(what: &str, name: &str) -> Result<()> {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"._-".contains(&octet);
    let valid = (1..=64).contains(&name.len()) && name.bytes().all(fits);
    ensure!(
        valid,
        "the name of a {what} has 1 to 64 letters, digits, dots, dashes and underscores, unlike {name:?}"
    );
    Ok(())
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            bail!("the {what} `{name}` is there twice");
        }
    }
    Ok(())
}

fn time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    crate::time::parse(&text).map_err(|error| serde::de::Error::custom(format!("`{text}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_suites_can_be_read() {
        for (name, _) in BUILT_IN {
            let suite = Suite::read(name, false).unwrap();
            assert_eq!(&suite.name, name);
            assert!(Suite::read(name, true).unwrap().pace.duration < suite.pace.duration);
        }
    }

    #[test]
    fn a_suite_has_every_subject_with_every_workload() {
        let suite = Suite::read("default", false).unwrap();
        assert_eq!(suite.cells(None).len(), suite.subjects.len() * 6);
        let epoll = Regex::new("^epoll/short").unwrap();
        assert_eq!(suite.cells(Some(&epoll)).len(), 3);
    }

    #[test]
    fn no_model_is_missing_in_the_suite_of_all_models() {
        let suite = Suite::read("models", false).unwrap();
        let measured: Vec<&str> = suite.subjects.iter().map(|subject| &*subject.name).collect();
        let roster: Vec<&str> = c10k_servers::ROSTER.iter().map(|entry| entry.name).collect();
        assert_eq!(measured, roster);
    }

    #[test]
    fn what_is_wrong_with_a_suite_is_told_in_one_line() {
        let good = BUILT_IN[0].1;
        for (from, to, expected) in [
            ("rounds = 3", "rounds = 0", "`rounds`"),
            ("rounds = 3", "rounds = \"x\"", "line 4"),
            ("rounds = 3", "", "missing field `rounds`"),
            ("rounds = 3", "rounds = 3\nround = 3", "unknown field `round`"),
            ("duration = \"1200ms\"", "duration = \"2\"", "`2`"),
            ("model = \"epoll\"", "model = \"kqueue\"", "kqueue"),
            ("name = \"epoll\"", "name = \"fork\"", "twice"),
            ("\"short\"", "\"shrt\"", "shrt"),
            ("[1, 64, 512]", "[0]", "at least 1"),
            ("timeout = \"5s\"", "timeout = \"0s\"", "`timeout`"),
            ("warmup = \"200ms\"", "warmup = \"100y\"", "longer than 1day"),
            ("path = \"/\"", "path = \"/a b\"", "no spaces"),
            ("name = \"fork\"", "name = \"a/b\"", "a/b"),
        ] {
            let error = format!("{:#}", Suite::parse(&good.replacen(from, to, 1), false).unwrap_err());
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
