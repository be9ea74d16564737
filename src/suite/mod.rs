//! Suites: a TOML file of subjects and workloads becomes the cells that are measured.

pub mod axis;
mod file;
pub mod filter;
pub mod load;
mod name;
mod registry;
mod schema;
mod subject;
mod workload;

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use c10k_reports::metric;
use c10k_reports::record::{self, Parameter, Parameters};

use crate::nearest::nearest;
use crate::procedure;
use crate::subject::Subject;
use crate::time;
use axis::Axis;
pub use file::Generator;
use file::{All, File, Models, Pace};
use filter::Filter;
use name::check_name;
pub use schema::schema;
pub use subject::SuiteSubject;
pub use workload::SuiteWorkload;

/// Time that starting and stopping a subject adds to a measurement, for estimates.
const OVERHEAD: Duration = Duration::from_millis(200);

/// Idle connections that are opened per second, for estimates: measured against `epoll` on a shared
/// 2-core machine.
const IDLE_PER_SECOND: f64 = 10_000.0;

/// The word for all subjects, on the command line.
const ALL: &str = "all";

/// A suite: the cells to be measured, and for how long.
#[derive(Debug)]
pub struct Suite {
    pub name: String,
    pub purpose: String,
    pub pace: Pace,
    /// Time after which a request without a response has failed.
    pub timeout: Duration,
    /// Text that the suite was read from; `quick` tells if its quick pace was asked for.
    pub text: String,
    pub quick: bool,
    pub subjects: Vec<SuiteSubject>,
    /// Models that take part if all subjects are asked for.
    all_models: Vec<String>,
    pub workloads: Vec<SuiteWorkload>,
    pub questions: Vec<record::Question>,
    /// Published statement that the suite tests.
    pub claim: Option<record::Claim>,
    /// Generators on other machines, if the suite has such.
    pub generator: Option<Generator>,
}

/// Subject × workload, by their positions in the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub subject: usize,
    pub workload: usize,
}

impl Suite {
    /// Reads the text of a suite's file.
    pub fn parse(text: &str, quick: bool) -> Result<Self> {
        let (file, tables) = File::parse(text)?;
        let usual = Pace { rounds: file.rounds, warmup: file.warmup, duration: file.duration };
        let pace = if quick { file.quick.unwrap_or(usual) } else { usual };
        ensure!(pace.rounds > 0, "`rounds` must be at least 1");
        ensure!(pace.duration >= time::SHORTEST_MEASURED, "`duration` must be at least 1ms");
        ensure!(!file.timeout.is_zero(), "`timeout` must be longer than nothing");
        check_name("suite", &file.name)?;
        let further = file.all_models.map(subject::names).transpose()?;
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
            text: text.to_owned(),
            quick,
            subjects,
            all_models: further
                .clone()
                .map_or_else(|| subject::names(Models::All(All::All)), Ok)?,
            workloads,
            questions,
            claim: file.claim,
            generator: file.generator,
        };
        suite.check_generator()?;
        suite.check_names()?;
        suite.check_tables(&further.unwrap_or_default())?;
        suite.check_claim()?;
        Ok(suite)
    }

    /// Adds a subject from the command line, which takes part in every table.
    ///
    /// # Errors
    /// When the suite already has a subject of that name.
    pub fn add(&mut self, subject: Subject) -> Result<()> {
        check_name("subject", &subject.name)?;
        for names in self.workloads.iter_mut().filter_map(|workload| workload.subjects.as_mut()) {
            names.push(subject.name.clone());
        }
        self.subjects.push(SuiteSubject::new(subject));
        self.check_names()
    }

    /// Replaces the subjects by those with these names, from the suite, the roster or the
    /// catalogue. The name `all` stands for the models that take part if all subjects are asked
    /// for, and for the suite's own subjects.
    ///
    /// # Errors
    /// When no subject has one of the names.
    pub fn choose(&mut self, names: &[String]) -> Result<()> {
        let mut own = std::mem::take(&mut self.subjects);
        let mut chosen: Vec<SuiteSubject> = Vec::new();
        for name in names {
            let taken = if name == ALL {
                let others = own.iter().map(|subject| subject.subject.name.clone());
                self.all_models.iter().cloned().chain(others).collect()
            } else {
                vec![name.clone()]
            };
            for name in taken {
                if chosen.iter().any(|subject| subject.subject.name == name) {
                    continue;
                }
                let place = own.iter().position(|subject| subject.subject.name == name);
                let subject =
                    place.map_or_else(|| subject::named(&name), |place| Ok(own.remove(place)))?;
                chosen.push(subject);
            }
        }
        self.subjects = chosen;
        Ok(())
    }

    fn check_names(&self) -> Result<()> {
        unique("subject", self.subjects.iter().map(|subject| &subject.subject.name))?;
        unique("workload", self.workloads.iter().map(|workload| &workload.name))?;
        Ok(())
    }

    /// Checks that generators on other machines can send every workload.
    fn check_generator(&self) -> Result<()> {
        let Some(Generator { locust, .. }) = &self.generator else { return Ok(()) };
        let words = shlex::split(locust).unwrap_or_default();
        ensure!(!words.is_empty(), "`locust` of [generator] is no command; write \"locust\"");
        for load in self.workloads.iter().map(|workload| &workload.load) {
            let sent = &load.workload;
            for (axis, is_set) in [
                ("idle", sent.idle > 0),
                ("slow", sent.slow > 0),
                ("close", sent.close.is_some()),
                ("connect_rate", sent.connect_rate.is_some()),
                ("threads", load.threads.is_some()),
                ("topology", load.topology.is_some()),
            ] {
                ensure!(
                    !is_set,
                    "workers of Locust can't send `{axis}`; leave it or [generator] out"
                );
            }
        }
        Ok(())
    }

    /// Checks that tables name only subjects that the suite has, or may get.
    fn check_tables(&self, further: &[String]) -> Result<()> {
        let own = self.subjects.iter().map(|subject| &subject.subject.name);
        let known: Vec<&str> = own.chain(further).map(String::as_str).collect();
        for name in self.workloads.iter().flat_map(|workload| workload.subjects.iter().flatten()) {
            ensure!(
                known.contains(&name.as_str()),
                "a [[workload]] is for the subject `{name}`, which the suite does not have{}",
                nearest(name, known.iter().copied())
            );
        }
        Ok(())
    }

    /// Checks that a claim is about metrics that exist, and that each of its selectors matches one
    /// cell.
    fn check_claim(&self) -> Result<()> {
        let cells = self.cells(&[]);
        for predicate in self.claim.iter().flat_map(|claim| &claim.predicate) {
            let metric = &predicate.metric;
            let known = metric::METRICS.iter().map(|metric| metric.key);
            ensure!(
                metric::by_key(metric).is_some(),
                "a [[claim.predicate]] is about the metric `{metric}`, which there is not{}",
                nearest(metric, known)
            );
            ensure!(
                predicate.above.is_some() || predicate.below.is_some(),
                "a [[claim.predicate]] about `{metric}` has neither `above` nor `below`"
            );
            for selector in [Some(&predicate.of), predicate.over.as_ref()].into_iter().flatten() {
                let means = |cell: &&Cell| {
                    selector.means(&self.names(**cell).subject, &self.parameters(**cell))
                };
                let count = cells.iter().filter(means).count();
                let text = serde_json::to_string(selector)?;
                ensure!(
                    count == 1,
                    "a [[claim.predicate]] means one cell, and {text} means {count}"
                );
            }
        }
        Ok(())
    }

    /// Returns the cells that every filter lets through, subject by subject within each workload.
    pub fn cells(&self, filters: &[Filter]) -> Vec<Cell> {
        let takes_part = |cell: &Cell| {
            let names = self.workloads[cell.workload].subjects.as_ref();
            names.is_none_or(|names| names.contains(&self.subjects[cell.subject].subject.name))
        };
        let is_meant = |cell: &Cell| {
            filters
                .iter()
                .all(|filter| filter.lets_through(&self.label(*cell), &self.parameters(*cell)))
        };
        let all = (0..self.workloads.len()).flat_map(|workload| {
            (0..self.subjects.len()).map(move |subject| Cell { subject, workload })
        });
        all.filter(takes_part).filter(is_meant).collect()
    }

    /// Returns the names of a cell, in the form of records.
    pub fn names(&self, cell: Cell) -> record::Cell {
        record::Cell {
            subject: self.subjects[cell.subject].subject.name.clone(),
            workload: self.workloads[cell.workload].name.clone(),
        }
    }

    /// Returns the name of a cell on the command line.
    pub fn label(&self, cell: Cell) -> String {
        let record::Cell { subject, workload } = self.names(cell);
        format!("{subject}/{workload}")
    }

    /// Returns the parameters of a cell: those of its workload, and those that its subject sets for
    /// itself.
    pub fn parameters(&self, cell: Cell) -> Parameters {
        let mut parameters = self.workloads[cell.workload].parameters.clone();
        for (key, count) in self.subjects[cell.subject].settings() {
            parameters.insert(key.to_owned(), Parameter::Count(count.get() as u64));
        }
        parameters
    }

    /// Returns the number of workers that the suite asks for: the subject's own, else the
    /// workload's.
    pub fn workers(&self, cell: Cell) -> Option<NonZeroUsize> {
        self.subjects[cell.subject].workers.or(self.workloads[cell.workload].load.workers)
    }

    /// Returns the number of threads for handlers that the suite asks for: the subject's own, else
    /// the workload's.
    pub fn handler_threads(&self, cell: Cell) -> Option<NonZeroUsize> {
        let own = self.subjects[cell.subject].handler_threads;
        own.or(self.workloads[cell.workload].load.handler_threads)
    }

    /// Returns the axes that the parameters of cells refer to, in display order.
    pub fn axes(&self) -> Vec<&'static Axis> {
        let of_workloads = self.workloads.iter().flat_map(|workload| workload.parameters.keys());
        let of_subjects = self.subjects.iter().flat_map(SuiteSubject::settings);
        let named: BTreeSet<&str> =
            of_workloads.map(String::as_str).chain(of_subjects.map(|(key, _)| key)).collect();
        axis::ALL.iter().filter(|axis| named.contains(axis.key)).collect()
    }

    /// Estimates the time that some cells take in all rounds, with their passes.
    pub fn estimate(&self, cells: &[Cell]) -> Duration {
        let timed = cells.iter().map(|cell| self.estimate_timed(*cell)).sum::<Duration>();
        let passes = cells.iter().flat_map(|cell| &self.workloads[cell.workload].passes);
        timed.saturating_mul(self.pace.rounds) + passes.map(|pass| pass.estimate).sum::<Duration>()
    }

    fn estimate_timed(&self, cell: Cell) -> Duration {
        let workload = &self.workloads[cell.workload].load.workload;
        let idle_s = workload.idle as f64 / IDLE_PER_SECOND;
        let connecting_s =
            workload.connect_rate.map_or(0.0, |rate| workload.connections as f64 / rate);
        let setting_up =
            Duration::try_from_secs_f64(idle_s + connecting_s).unwrap_or(Duration::MAX);
        let measuring = self.pace.warmup + self.pace.duration;
        let measuring = match self.workloads[cell.workload].objective {
            None => measuring,
            Some(_) => measuring.saturating_mul(procedure::USUAL_STEPS),
        };
        setting_up.saturating_add(measuring + OVERHEAD)
    }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            bail!(
                "the {what} `{name}` is there twice; give the second one another value, or remove it"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
        let lone = SEVERAL
            .replace("[100, 200.5, 400]", "100")
            .replace("[\"/\", \"/bytes/65536\"]", "\"/\"");
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
    fn a_subject_may_set_its_loops_and_its_handler_threads() {
        let suite = parse(
            &SEVERAL
                .replace("model = \"prefork\"", "model = \"tokio-blocking\"")
                .replace("workers = 8", "workers = 2\nhandler_threads = 8"),
        );
        let cell = suite.cells(&["^prefork-8/".parse().unwrap()])[0];
        let parameters = suite.parameters(cell);
        assert_eq!(parameters["workers"], Parameter::Count(2));
        assert_eq!(parameters["handler_threads"], Parameter::Count(8));
        assert_eq!(suite.workers(cell), NonZeroUsize::new(2));
        assert_eq!(suite.handler_threads(cell), NonZeroUsize::new(8));
        assert!(suite.axes().iter().any(|axis| axis.key == "handler_threads"));
    }

    #[test]
    fn every_filter_has_to_let_a_cell_through() {
        let suite = parse(SEVERAL);
        let count = |filters: &[&str]| {
            let filters: Vec<Filter> =
                filters.iter().map(|filter| filter.parse().unwrap()).collect();
            suite.cells(&filters).len()
        };
        assert_eq!(count(&["rate=200.5"]), 4 * 4);
        assert_eq!(count(&["rate=200.5", "idle=10", "path=/", "^epoll/"]), 1);
        assert_eq!(count(&["rate=none"]), 1);
    }

    #[test]
    fn a_subject_from_the_command_line_takes_part_in_every_table() {
        let mut suite = parse(SEVERAL);
        suite.add(Subject::from_command("yours", "your-server {port}").unwrap()).unwrap();
        assert_eq!(suite.cells(&["^yours/".parse().unwrap()]).len(), 13);
        assert!(suite.add(Subject::from_command("epoll", "x {port}").unwrap()).is_err());
    }

    #[test]
    fn other_subjects_can_be_chosen_by_name() {
        let names = |chosen: &[&str]| {
            let mut suite = parse(SEVERAL);
            suite.choose(&chosen.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
            suite.subjects.iter().map(|subject| subject.subject.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            names(&["poll", "mine", "nginx-file", "tokio"]),
            ["poll", "mine", "nginx-file", "tokio"]
        );
        let all = names(&["all"]);
        assert_eq!(all.len(), c10k_servers::ROSTER.len() + 2);
        assert!(all.contains(&"prefork-8".to_owned()) && all.contains(&"mine".to_owned()));
        let error = parse(SEVERAL).choose(&["tokyo".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("did you mean `tokio`"), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_suite_is_told_in_one_line() {
        for (from, to, expected) in [
            ("rounds = 2", "rounds = 0", "`rounds`"),
            ("rounds = 2", "rounds = \"x\"", "line 4"),
            ("rounds = 2", "", "missing field `rounds`"),
            (
                "rounds = 2",
                "rounds = 2\nround = 3",
                "line 5: unknown field `round`; did you mean `rounds`",
            ),
            ("duration = \"100ms\"", "duration = \"2\"", "`2`"),
            ("models = [\"epoll\", \"poll\"]", "models = \"some\"", "it is \"all\" or a list"),
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
            ("workers = 8", "args = [\"--handler-threads=8\"]", "write `handler_threads = N`"),
            ("workers = 8", "handler_threads = 8", "those that have some are epoll-workers"),
            ("name = \"mine\"", "name = \"mine\"\nhandler_threads = 8", "{handler_threads}"),
            ("timeout = \"1s\"", "timeout = \"0s\"", "`timeout`"),
            (
                "[[subject]]",
                "[generator]\nlocust = \"locust\"\n[[subject]]",
                "missing field `workers`",
            ),
            (
                "[[subject]]",
                "[generator]\nlocust = \"locust\"\nworkers = 2\nhost = \"10.0.0.1\"\n[[subject]]",
                "can't send `idle`",
            ),
            ("lifetime = 10", "passes = [\"system_call\"]", "did you mean `system_calls`"),
            ("warmup = \"10ms\"", "warmup = \"100y\"", "from 0s to 1day"),
            ("duration = \"100ms\"", "duration = \"1us\"", "`duration` must be at least 1ms"),
            ("path = [\"/\",", "path = [\"/a b\",", "no spaces"),
            ("path = [\"/\",", "path = [\"/a/../b#c\",", "as it is sent: `/b`"),
        ] {
            assert!(SEVERAL.contains(from), "{from}");
            let error =
                format!("{:#}", Suite::parse(&SEVERAL.replacen(from, to, 1), false).unwrap_err());
            assert!(error.contains(expected) && !error.contains('\n'), "{expected}: {error}");
        }
    }
}
