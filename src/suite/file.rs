//! The TOML file of a suite, as it is written; see `benches/suites/default.toml` for an example.
//!
//! An error in a file is reported in one line, with its line number in the file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use c10k_reports::record::{Claim, Parameter, Parameters};
use serde::Deserialize;
use toml::{Spanned, Value};

use super::axis::{self, Axis};
use crate::nearest::nearest;
use crate::procedure::Objective;
use crate::toml_text;

/// Most combinations of one table of workloads: a guard against a typing error that would run for
/// days.
const MAX_COMBINATIONS: usize = 10_000;

/// A whole suite file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub name: String,
    pub purpose: String,
    pub rounds: u32,
    #[serde(deserialize_with = "time")]
    pub warmup: Duration,
    #[serde(deserialize_with = "time")]
    pub duration: Duration,
    #[serde(deserialize_with = "time")]
    pub timeout: Duration,
    pub quick: Option<Pace>,
    /// A published statement that the suite tests.
    pub claim: Option<Claim>,
    /// Generators on other machines; without it, this process is the generator.
    pub generator: Option<Generator>,
    /// Models that are subjects under their own name.
    #[serde(default)]
    pub models: Models,
    /// Models that take part if all subjects are requested; without it, all models.
    pub all_models: Option<Models>,
    #[serde(default, rename = "subject")]
    pub subjects: Vec<SubjectTable>,
    #[serde(rename = "workload")]
    workloads: Vec<BTreeMap<Spanned<String>, Spanned<Value>>>,
}

/// Number and length of the measurements of each cell.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    pub rounds: u32,
    #[serde(deserialize_with = "time")]
    pub warmup: Duration,
    #[serde(deserialize_with = "time")]
    pub duration: Duration,
}

/// Generators on other machines: workers of a Locust master, which runs on this one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// Command of Locust, split into words as a shell does.
    pub locust: String,
    /// Number of workers that a measurement waits for.
    pub workers: NonZeroUsize,
    /// Address of this machine for the workers. Subjects listen on it.
    pub host: IpAddr,
}

/// Models by name, or all of them.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "it is \"all\" or a list of names")]
pub enum Models {
    All(All),
    Some(Vec<String>),
}

/// The word `all`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum All {
    All,
}

impl Default for Models {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

/// A server under test: a model, a server of `benches/servers.toml`, or a command.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectTable {
    /// Name of the subject; without it, the name of the model or server.
    pub name: Option<String>,
    pub model: Option<String>,
    pub server: Option<String>,
    pub command: Option<String>,
    /// Further arguments of `c10k serve`.
    #[serde(default)]
    pub args: Vec<String>,
    /// Number of the server's workers, for every workload.
    pub workers: Option<NonZeroUsize>,
    /// Number of the server's threads for handlers, for every workload.
    pub handler_threads: Option<NonZeroUsize>,
}

/// A table of workloads: every combination of the values of its axes.
#[derive(Debug, Default)]
pub struct WorkloadTable {
    /// Question that the table answers.
    pub title: Option<String>,
    /// The axis that charts draw along.
    pub along: Option<&'static Axis>,
    /// Names of the only subjects that take part; without it, all do.
    pub subjects: Option<Vec<String>>,
    /// Names of the passes that its cells have.
    pub passes: Vec<String>,
    /// Objective; the highest rate that meets it is searched for.
    pub objective: Option<Objective>,
    /// Each combination of values.
    pub combinations: Vec<Parameters>,
}

impl File {
    /// Reads a suite's text, and its tables of workloads.
    pub fn parse(text: &str) -> Result<(Self, Vec<WorkloadTable>)> {
        let mut file: Self = toml_text::parse(text)?;
        let tables = std::mem::take(&mut file.workloads);
        let tables = tables.into_iter().map(|table| WorkloadTable::read(text, table));
        let tables = tables.collect::<Result<_>>()?;
        Ok((file, tables))
    }
}

impl WorkloadTable {
    fn read(text: &str, entries: BTreeMap<Spanned<String>, Spanned<Value>>) -> Result<Self> {
        let mut table = Self::default();
        let mut values: BTreeMap<&str, Vec<Parameter>> = BTreeMap::new();
        for (key, value) in entries {
            let line = toml_text::line_of(text, key.span().start);
            let context = || format!("line {line}: `{}`", key.get_ref());
            match key.get_ref().as_str() {
                "title" => table.title = Some(read_text(value.get_ref()).with_context(context)?),
                "along" => table.along = Some(read_axis(value.get_ref()).with_context(context)?),
                "subjects" => {
                    table.subjects = Some(read_texts(value.get_ref()).with_context(context)?);
                }
                "slo" => {
                    let objective = read_text(value.get_ref()).and_then(|text| text.parse());
                    table.objective = Some(objective.with_context(context)?);
                }
                "passes" => table.passes = read_texts(value.get_ref()).with_context(context)?,
                key => {
                    let axis = find_axis(key).with_context(|| format!("line {line}"))?;
                    values.insert(
                        axis.key,
                        read_values(axis, value.get_ref()).with_context(context)?,
                    );
                }
            }
        }
        if let Some(along) = table.along {
            let several = values.get(along.key).is_some_and(|values| values.len() > 1);
            ensure!(
                several,
                "`along` is `{0}`, but the [[workload]] has no two values of `{0}`",
                along.key
            );
        }
        let has_rate = ["rate", "capacity_share"].iter().any(|key| values.contains_key(key));
        ensure!(
            table.objective.is_none() || !has_rate,
            "the rate of a [[workload]] with an `slo` is searched for; leave `rate` and `capacity_share` out"
        );
        table.combinations = combine(&values)?;
        Ok(table)
    }
}

fn find_axis(key: &str) -> Result<&'static Axis> {
    let known = || {
        ["title", "along", "subjects", "slo", "passes"]
            .into_iter()
            .chain(axis::ALL.iter().map(|axis| axis.key))
    };
    axis::find(key)
        .ok_or_else(|| anyhow!("a workload has no axis `{key}`{}", nearest(key, known())))
}

fn read_axis(value: &Value) -> Result<&'static Axis> {
    find_axis(value.as_str().context("write the key of an axis in quotes")?)
}

fn read_text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("write a text in quotes")?.to_owned())
}

fn read_texts(value: &Value) -> Result<Vec<String>> {
    let texts = value.as_array().context("write a list of texts")?;
    ensure!(!texts.is_empty(), "the list is empty");
    texts.iter().map(read_text).collect()
}

/// Reads one value, or a list of values.
fn read_values(axis: &Axis, value: &Value) -> Result<Vec<Parameter>> {
    let values = match value {
        Value::Array(values) => values.iter().map(axis.read).collect::<Result<Vec<_>>>()?,
        value => vec![(axis.read)(value)?],
    };
    ensure!(!values.is_empty(), "the list is empty");
    Ok(values)
}

/// Returns every combination of one value for each axis; the values of later axes change fastest.
/// An axis that is not named has its default, if there is one.
fn combine(values: &BTreeMap<&str, Vec<Parameter>>) -> Result<Vec<Parameters>> {
    let mut combinations = vec![Parameters::new()];
    for axis in axis::ALL {
        let default = || axis.default.map(|default| vec![default()]);
        let Some(values) = values.get(axis.key).cloned().or_else(default) else { continue };
        ensure!(
            combinations.len() * values.len() <= MAX_COMBINATIONS,
            "a [[workload]] has more than {MAX_COMBINATIONS} combinations; split it, or name fewer values"
        );
        let with = |combination: &Parameters| {
            let one = |value: &Parameter| {
                let mut combination = combination.clone();
                combination.insert(axis.key.to_owned(), value.clone());
                combination
            };
            values.iter().map(one).collect::<Vec<_>>()
        };
        combinations = combinations.iter().flat_map(with).collect();
    }
    Ok(combinations)
}

fn time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    crate::time::parse(&text)
        .map_err(|error| serde::de::Error::custom(format!("`{text}`: {error}")))
}
