//! The subjects of a suite: models, servers of the catalogue, and commands become subjects that the
//! runner can launch.

use std::num::NonZeroUsize;

use anyhow::{Context, Result, bail, ensure};

use c10k_servers::Entry;

use super::axis;
use super::file::{Models, SubjectTable};
use super::name::check_name;
use crate::nearest::nearest;
use crate::subject::{Subject, catalogue};

/// Options of `c10k serve` that the runner decides, each with what to write instead.
const OF_THE_RUNNER: &[(&str, &str)] = &[
    ("--workers", "write `workers = N`"),
    ("--handler-threads", "write `handler_threads = N`"),
    ("--addr", "a free port is taken"),
    ("--pin", "use `processors`"),
];

/// A server under test, as a suite has it.
#[derive(Debug)]
pub struct SuiteSubject {
    pub subject: Subject,
    /// Number of the server's workers, for every workload.
    pub workers: Option<NonZeroUsize>,
    /// Number of the server's threads for handlers, for every workload.
    pub handler_threads: Option<NonZeroUsize>,
}

impl SuiteSubject {
    /// Creates a subject that leaves all settings to the workloads.
    pub fn new(subject: Subject) -> Self {
        Self { subject, workers: None, handler_threads: None }
    }

    /// Returns the settings that the subject makes for every workload, by the keys of the axes.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, NonZeroUsize)> {
        let all = [(axis::WORKERS, self.workers), (axis::HANDLER_THREADS, self.handler_threads)];
        all.into_iter().filter_map(|(key, count)| Some((key, count?)))
    }
}

/// Returns all subjects: the models that are named, and then the tables.
pub fn subjects(models: Models, tables: Vec<SubjectTable>) -> Result<Vec<SuiteSubject>> {
    let models = names(models)?.into_iter();
    let models = models.map(|name| Ok(SuiteSubject::new(model(&name, &[])?)));
    models.chain(tables.into_iter().map(subject)).collect()
}

/// Returns the names of models, after a check that each of these models exists.
pub fn names(models: Models) -> Result<Vec<String>> {
    let names = match models {
        Models::All(_) => c10k_servers::ROSTER.iter().map(|entry| entry.name.to_owned()).collect(),
        Models::Some(names) => names,
    };
    for name in &names {
        entry(name)?;
    }
    Ok(names)
}

/// Returns the model or the server of the catalogue with that name.
pub fn named(name: &str) -> Result<SuiteSubject> {
    let found = c10k_servers::find(name).map(|entry| Subject::model(entry, Vec::new()));
    let subject = found.or_else(|| catalogue::find(name)).with_context(|| {
        let models = c10k_servers::ROSTER.iter().map(|entry| entry.name);
        let servers = catalogue::servers().iter().map(|server| server.name.as_str());
        format!("there is no subject `{name}`{}", nearest(name, models.chain(servers)))
    })?;
    Ok(SuiteSubject::new(subject))
}

fn entry(name: &str) -> Result<&'static Entry> {
    c10k_servers::find(name).with_context(|| {
        let known = c10k_servers::ROSTER.iter().map(|entry| entry.name);
        format!("there is no model `{name}`{}", nearest(name, known))
    })
}

fn subject(table: SubjectTable) -> Result<SuiteSubject> {
    let SubjectTable {
        name,
        model: model_name,
        server: server_name,
        command,
        args,
        workers,
        handler_threads,
    } = table;
    ensure!(
        args.is_empty() || model_name.is_some(),
        "`args` of a subject are arguments of `c10k serve MODEL`; a command contains its own"
    );
    let mut subject = match (model_name, server_name, command) {
        (Some(model_name), None, None) => model(&model_name, &args)?,
        (None, Some(server_name), None) => server(&server_name)?,
        (None, None, Some(command)) => {
            let name = name.as_deref().context("a subject with a `command` needs a `name`")?;
            Subject::from_command(name, &command)?
        }
        _ => bail!("a [[subject]] has one of `model`, `server` and `command`"),
    };
    subject.name = name.unwrap_or(subject.name);
    check_name("subject", &subject.name)?;
    if workers.is_some() {
        let setting = || format!("`workers` of the subject {}", subject.name);
        subject.check_workers().with_context(setting)?;
    }
    if handler_threads.is_some() {
        let setting = || format!("`handler_threads` of the subject {}", subject.name);
        subject.check_handler_threads().with_context(setting)?;
    }
    Ok(SuiteSubject { subject, workers, handler_threads })
}

fn model(name: &str, args: &[String]) -> Result<Subject> {
    let entry = entry(name)?;
    for (option, instead) in OF_THE_RUNNER {
        let is_given = args.iter().any(|arg| arg.split('=').next() == Some(option));
        ensure!(
            !is_given,
            "`args` of the subject {name} have {option}, which the runner decides; {instead}"
        );
    }
    Ok(Subject::model(entry, args.to_vec()))
}

fn server(name: &str) -> Result<Subject> {
    catalogue::find(name).with_context(|| {
        let known = catalogue::servers().iter().map(|server| server.name.as_str());
        format!("there is no server `{name}`{}", nearest(name, known))
    })
}
