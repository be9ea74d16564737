//! Suites: a TOML file of subjects and workloads becomes the cells that are measured.

pub mod axis;
mod file;
pub mod filter;
pub mod load;
mod nearest;
mod subject;
mod workload;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use c10k_reports::record::{self, Parameter, Parameters};

use crate::subject::Subject;
use crate::time;
use axis::Axis;
use file::{File, Pace};
use filter::Filter;
pub use subject::SuiteSubject;
pub use workload::SuiteWorkload;

/// Suites that need no file.
const BUILT_IN: &[(&str, &str)] = &[
    ("anatomy", include_str!("../../benches/suites/anatomy.toml")),
    ("counts", include_str!("../../benches/suites/counts.toml")),
    ("default", include_str!("../../benches/suites/default.toml")),
    ("gate", include_str!("../../benches/suites/gate.toml")),
    ("models", include_str!("../../benches/suites/models.toml")),
    ("servers", include_str!("../../benches/suites/servers.toml")),
];

/// What starting and stopping a subject adds to a measurement, for estimates.
const OVERHEAD: Duration = Duration::from_millis(200);

/// Idle connections that are opened per second, for estimates: measured against `epoll` on a shared 2-core machine.
const IDLE_PER_SECOND: f64 = 10_000.0;

/// What is to be measured, and for how long.
#[derive(Debug)]
pub struct Suite {
    pub name: String,
    pub purpose: String,
    pub pace: Pace,
    /// A request without an answer for this long has failed.
    pub timeout: Duration,
    pub subjects: Vec<SuiteSubject>,
    pub workloads: Vec<SuiteWorkload>,
    pub questions: Vec<record::Question>,
}

/// Subject × workload, by their places in the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub subject: usize,
    pub workload: usize,
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
        let (file, tables) = File::parse(text)?;
        let usual = Pace { rounds: file.rounds, warmup: file.warmup, duration: file.duration };
        let pace = if quick { file.quick.unwrap_or(usual) } else { usual };
        ensure!(pace.rounds > 0, "`rounds` must be at least 1");
        ensure!(pace.duration >= time::SHORTEST_MEASURED, "`duration` must be at least 1ms");
        ensure!(!file.timeout.is_zero(), "`timeout` must be longer than nothing");
        check_name("suite", &file.name)?;
        let subjects = subject::subjects(file.models, file.subjects)?;
        let (workloads, questions) = workload::workloads(tables, &file.purpose)?;
        ensure!(
            !subjects.is_empty() && !workloads.is_empty(),
            "it needs at least one subject (`models` or [[subject]]) and one [[workload]]"
        );
        let suite = Self {
            name: file.name,
            purpose: file.purpose,
            pace,
            timeout: file.timeout,
            subjects,
            workloads,
            questions,
        };
        suite.check_names()?;
        Ok(suite)
    }

    /// Adds a subject that the command line brings.
    ///
    /// # Errors
    /// When the suite has one of that name already.
    pub fn add(&mut self, subject: Subject) -> Result<()> {
        check_name("subject", &subject.name)?;
        self.subjects.push(SuiteSubject { subject, workers: None });
        self.check_names()
    }

    fn check_names(&self) -> Result<()> {
        unique("subject", self.subjects.iter().map(|subject| &subject.subject.name))?;
        unique("workload", self.workloads.iter().map(|workload| &workload.name))?;
        let known: Vec<&str> = self.subjects.iter().map(|subject| subject.subject.name.as_str()).collect();
        for name in self.workloads.iter().flat_map(|workload| workload.subjects.iter().flatten()) {
            ensure!(
                known.contains(&name.as_str()),
                "a [[workload]] is for the subject `{name}`, which the suite does not have{}",
                nearest::nearest(name, known.iter().copied())
            );
        }
        Ok(())
    }

    /// The cells, subject by subject within each workload; only those that every filter lets through.
    pub fn cells(&self, filters: &[Filter]) -> Vec<Cell> {
        let takes_part = |cell: &Cell| {
            let names = self.workloads[cell.workload].subjects.as_ref();
            names.is_none_or(|names| names.contains(&self.subjects[cell.subject].subject.name))
        };
        let is_meant = |cell: &Cell| {
            filters.iter().all(|filter| filter.lets_through(&self.label(*cell), &self.parameters(*cell)))
        };
        let all = (0..self.workloads.len())
            .flat_map(|workload| (0..self.subjects.len()).map(move |subject| Cell { subject, workload }));
        all.filter(takes_part).filter(is_meant).collect()
    }

    /// The names of a cell, as records have them.
    pub fn names(&self, cell: Cell) -> record::Cell {
        record::Cell {
            subject: self.subjects[cell.subject].subject.name.clone(),
            workload: self.workloads[cell.workload].name.clone(),
        }
    }

    /// How a cell is called on the command line.
    pub fn label(&self, cell: Cell) -> String {
        let record::Cell { subject, workload } = self.names(cell);
        format!("{subject}/{workload}")
    }

    /// The parameters of a cell: those of its workload, and what its subject sets for itself.
    pub fn parameters(&self, cell: Cell) -> Parameters {
        let mut parameters = self.workloads[cell.workload].parameters.clone();
        if let Some(workers) = self.workers(cell) {
            parameters.insert(axis::WORKERS.to_owned(), Parameter::Count(workers.get() as u64));
        }
        parameters
    }

    /// Workers of the server that the suite asks for: the subject's own, else the workload's.
    pub fn workers(&self, cell: Cell) -> Option<NonZeroUsize> {
        self.subjects[cell.subject].workers.or(self.workloads[cell.workload].load.workers)
    }

    /// The axes that parameters of its cells refer to, in the order in which they are shown.
    pub fn axes(&self) -> Vec<&'static Axis> {
        let named: BTreeSet<&String> =
            self.workloads.iter().flat_map(|workload| workload.parameters.keys()).collect();
        let has_workers = self.subjects.iter().any(|subject| subject.workers.is_some());
        let is_used = |axis: &&Axis| {
            named.iter().any(|key| *key == axis.key) || (has_workers && axis.key == axis::WORKERS)
        };
        axis::ALL.iter().filter(is_used).collect()
    }

    /// About how long some cells take in all rounds, with their passes.
    pub fn estimate(&self, cells: &[Cell]) -> Duration {
        let timed = cells.iter().map(|cell| self.estimate_timed(*cell)).sum::<Duration>();
        let passes = cells.iter().flat_map(|cell| &self.workloads[cell.workload].passes);
        timed.saturating_mul(self.pace.rounds) + passes.map(|pass| pass.estimate).sum::<Duration>()
    }

    fn estimate_timed(&self, cell: Cell) -> Duration {
        let workload = &self.workloads[cell.workload].load.workload;
        let idle_s = workload.idle as f64 / IDLE_PER_SECOND;
        let connecting_s = workload.connect_rate.map_or(0.0, |rate| workload.connections as f64 / rate);
        let setting_up = Duration::try_from_secs_f64(idle_s + connecting_s).unwrap_or(Duration::MAX);
        setting_up.saturating_add(self.pace.warmup + self.pace.duration + OVERHEAD)
    }
}

/// Names stand in labels, on the command line, and in file names.
fn check_name(what: &str, name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
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
            bail!("the {what} `{name}` is there twice; give the second one another value, or remove it");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use c10k_servers::AtOnce;

    use super::*;

    /// A suite with several axes, subjects of each kind, and a table for some subjects only.
    const SEVERAL: &str = r#"
        name = "several"
        purpose = "Two paths, three rates, two idle counts."
        rounds = 2
        warmup = "10ms"
        duration = "100ms"
        timeout = "1s"
        models = ["epoll", "poll"]
        [[subject]]
        model = "prefork"
        name = "prefork-8"
        workers = 8
        [[subject]]
        name = "mine"
        command = "my-server --port {port}"
        [[workload]]
        title = "What do rates cost?"
        along = "rate"
        rate = [100, 200.5, 400]
        path = ["/", "/bytes/65536"]
        idle = [0, 10]
        [[workload]]
        subjects = ["epoll"]
        lifetime = 10
    "#;

    fn parse(text: &str) -> Suite {
        Suite::parse(text, false).unwrap()
    }

    fn names(suite: &Suite) -> Vec<&str> {
        suite.workloads.iter().map(|workload| workload.name.as_str()).collect()
    }

    #[test]
    fn the_built_in_suites_can_be_read() {
        for (name, _) in BUILT_IN {
            let suite = Suite::read(name, false).unwrap();
            assert_eq!(&suite.name, name);
            assert!(Suite::read(name, true).unwrap().pace.duration <= suite.pace.duration);
        }
    }

    #[test]
    fn a_table_makes_every_combination_of_its_values() {
        let suite = parse(SEVERAL);
        assert_eq!(suite.workloads.len(), 3 * 2 * 2 + 1);
        assert_eq!(suite.cells(&[]).len(), 12 * 4 + 1);
        assert_eq!(suite.questions[0].workloads.len(), 12);
        assert_eq!(suite.questions[0].along.as_deref(), Some("rate"));
        assert_eq!(suite.questions[1].title, suite.purpose);
    }

    #[test]
    fn a_workload_is_named_by_what_varies() {
        let suite = parse(SEVERAL);
        let names = names(&suite);
        assert!(names.contains(&"persistent-rate-100") && names.contains(&"10"), "{names:?}");
        assert!(names.contains(&"persistent-idle-10-rate-200.5-/bytes/65536"), "{names:?}");
        let lone = SEVERAL.replace("[100, 200.5, 400]", "100").replace("[\"/\", \"/bytes/65536\"]", "\"/\"");
        let lone = lone
            .replace("idle = [0, 10]", "")
            .replace("along = \"rate\"", "")
            .replace("lifetime = 10", "rate = 100\nconnections = 64");
        assert!(Suite::parse(&lone, false).unwrap_err().to_string().contains("persistent-64"));
    }

    #[test]
    fn a_cell_has_every_axis_that_is_in_play_and_no_other() {
        let suite = parse(SEVERAL);
        let last = *suite.cells(&[]).last().unwrap();
        let parameters = suite.parameters(last);
        assert_eq!(parameters["lifetime"], Parameter::Text("10".into()));
        assert_eq!(parameters["connections"], Parameter::Count(64));
        assert!(!parameters.contains_key("rate") && !parameters.contains_key("workers"));
        let keys: Vec<&str> = suite.axes().iter().map(|axis| axis.key).collect();
        assert_eq!(keys, ["lifetime", "connections", "idle", "rate", "workers", "method", "path"]);
    }

    #[test]
    fn what_a_subject_sets_for_itself_is_a_parameter_of_its_cells() {
        let suite = parse(SEVERAL);
        let cells = suite.cells(&["^prefork-8/".parse().unwrap()]);
        assert!(cells.iter().all(|cell| suite.parameters(*cell)["workers"] == Parameter::Count(8)));
        assert_eq!(cells.len(), 12);
    }

    #[test]
    fn every_filter_has_to_let_a_cell_through() {
        let suite = parse(SEVERAL);
        let count = |filters: &[&str]| {
            let filters: Vec<Filter> = filters.iter().map(|filter| filter.parse().unwrap()).collect();
            suite.cells(&filters).len()
        };
        assert_eq!(count(&["rate=200.5"]), 4 * 4);
        assert_eq!(count(&["rate=200.5", "idle=10", "path=/", "^epoll/"]), 1);
        assert_eq!(count(&["rate=none"]), 1);
    }

    #[test]
    fn a_subject_from_the_command_line_takes_part_in_every_table_that_is_for_all() {
        let mut suite = parse(SEVERAL);
        suite.add(Subject::from_command("yours", "your-server {port}").unwrap()).unwrap();
        assert_eq!(suite.cells(&["^yours/".parse().unwrap()]).len(), 12);
        assert!(suite.add(Subject::from_command("epoll", "x {port}").unwrap()).is_err());
    }

    #[test]
    fn no_model_is_missing_in_the_suites_of_all_models() {
        for name in ["models", "anatomy"] {
            let suite = Suite::read(name, false).unwrap();
            let measured: Vec<_> = suite.subjects.iter().map(|subject| &subject.subject.name).collect();
            let roster: Vec<_> = c10k_servers::ROSTER.iter().map(|entry| entry.name).collect();
            assert_eq!(measured, roster);
        }
    }

    #[test]
    fn every_model_that_serves_several_has_its_idle_memory_measured() {
        let suite = Suite::read("anatomy", false).unwrap();
        for entry in c10k_servers::ROSTER.iter().filter(|entry| entry.traits.at_once != AtOnce::One) {
            let filters = [format!("^{}/.*idle", entry.name).parse().unwrap()];
            assert_eq!(suite.cells(&filters).len(), 1, "{}", entry.name);
        }
    }

    #[test]
    fn what_is_wrong_with_a_suite_is_told_in_one_line() {
        for (from, to, expected) in [
            ("rounds = 2", "rounds = 0", "`rounds`"),
            ("rounds = 2", "rounds = \"x\"", "line 4"),
            ("rounds = 2", "", "missing field `rounds`"),
            ("rounds = 2", "rounds = 2\nround = 3", "unknown field `round`"),
            ("duration = \"100ms\"", "duration = \"2\"", "`2`"),
            ("models = [\"epoll\", \"poll\"]", "models = \"some\"", "`models` is \"all\" or a list"),
            ("model = \"prefork\"", "model = \"preforc\"", "did you mean `prefork`"),
            ("model = \"prefork\"", "server = \"ngix-file\"", "did you mean `nginx-file`"),
            ("name = \"mine\"", "", "needs a `name`"),
            ("name = \"mine\"", "name = \"poll\"", "twice"),
            ("name = \"mine\"", "name = \"a/b\"", "a/b"),
            ("lifetime = 10", "lifetime = \"shrt\"", "line 24"),
            ("lifetime = 10", "lifetme = 10", "did you mean `lifetime`"),
            ("lifetime = 10", "connections = 0", "from 1"),
            ("lifetime = 10", "connections = []", "the list is empty"),
            ("lifetime = 10", "arrivals = \"poisson\"", "need a `rate`"),
            ("subjects = [\"epoll\"]", "subjects = [\"epol\"]", "did you mean `epoll`"),
            ("along = \"rate\"", "along = \"rates\"", "did you mean `rate`"),
            ("along = \"rate\"", "along = \"connections\"", "no two values of `connections`"),
            ("subjects = [\"epoll\"]", "subjects = []", "the list is empty"),
            ("workers = 8", "args = [\"--workers=8\"]", "write `workers = N`"),
            ("timeout = \"1s\"", "timeout = \"0s\"", "`timeout`"),
            ("lifetime = 10", "passes = [\"system_call\"]", "did you mean `system_calls`"),
            ("warmup = \"10ms\"", "warmup = \"100y\"", "from 0s to 1day"),
            ("duration = \"100ms\"", "duration = \"1us\"", "`duration` must be at least 1ms"),
            ("path = [\"/\",", "path = [\"/a b\",", "no spaces"),
            ("path = [\"/\",", "path = [\"/a/../b#c\",", "as it is sent: `/b`"),
        ] {
            assert!(SEVERAL.contains(from), "{from}");
            let error = format!("{:#}", Suite::parse(&SEVERAL.replacen(from, to, 1), false).unwrap_err());
            assert!(error.contains(expected) && !error.contains('\n'), "{expected}: {error}");
        }
    }
}
