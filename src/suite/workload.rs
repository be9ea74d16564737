//! The workloads of a suite: tables of axes become loads, each with a name that follows from the
//! axes that vary.

use anyhow::{Context, Result, anyhow};
use c10k_reports::record::{Parameters, Question};

use super::axis::{self, Axis};
use super::file::WorkloadTable;
use super::load::Load;
use crate::nearest::nearest;
use crate::pass::{self, Pass};
use crate::procedure::Objective;

/// A workload of a suite: the load, and how it is measured.
#[derive(Debug)]
pub struct SuiteWorkload {
    pub name: String,
    pub parameters: Parameters,
    pub load: Load,
    /// Objective; the highest rate that meets it is searched for.
    pub objective: Option<Objective>,
    /// Measurements beside the timed one.
    pub passes: Vec<&'static Pass>,
    /// Names of the only subjects that take part; without it, all do.
    pub subjects: Option<Vec<String>>,
}

/// Returns all workloads, and the questions that they answer, one for each table.
pub fn workloads(
    tables: Vec<WorkloadTable>,
    purpose: &str,
) -> Result<(Vec<SuiteWorkload>, Vec<Question>)> {
    let varying = varying(&tables.iter().flat_map(|table| &table.combinations).collect::<Vec<_>>());
    let mut workloads: Vec<SuiteWorkload> = Vec::new();
    let mut questions = Vec::new();
    for table in tables {
        let passes: Vec<_> =
            table.passes.iter().map(|name| find_pass(name)).collect::<Result<_>>()?;
        let mut names = Vec::new();
        for parameters in table.combinations {
            let name = unused(name(&parameters, &varying), &parameters, &workloads);
            let load = load(&parameters).with_context(|| format!("the workload {name}"))?;
            names.push(name.clone());
            let subjects = table.subjects.clone();
            let objective = table.objective.clone();
            let passes = passes.clone();
            workloads.push(SuiteWorkload { name, parameters, load, objective, passes, subjects });
        }
        questions.push(Question {
            title: table.title.unwrap_or_else(|| purpose.to_owned()),
            along: table.along.map(|axis| axis.key.to_owned()),
            workloads: names,
        });
    }
    Ok((workloads, questions))
}

fn find_pass(name: &str) -> Result<&'static Pass> {
    let known = pass::ALL.iter().map(|pass| pass.name);
    pass::find(name).ok_or_else(|| anyhow!("there is no pass `{name}`{}", nearest(name, known)))
}

/// Returns the axes whose value differs between combinations.
fn varying(combinations: &[&Parameters]) -> Vec<&'static Axis> {
    let differs = |axis: &&Axis| {
        let mut values = combinations.iter().map(|parameters| parameters.get(axis.key));
        values.next().is_some_and(|first| values.any(|value| value != first))
    };
    axis::ALL.iter().filter(differs).collect()
}

/// Returns the name of a workload: the labels of the axes that vary or, if these are empty, of the
/// axes that say the most.
fn name(parameters: &Parameters, varying: &[&Axis]) -> String {
    let varied = join(parameters, varying);
    if varied.is_empty() { join(parameters, &axis::TELLING) } else { varied }
}

fn join(parameters: &Parameters, axes: &[&Axis]) -> String {
    let labels = axes.iter().filter_map(|axis| parameters.get(axis.key).map(axis.label));
    labels.filter(|label| !label.is_empty()).collect::<Vec<_>>().join("-")
}

/// Returns the name, with a number appended if a workload with other parameters already has it.
/// This happens because a label may be shorter than its value, such as the label of a body.
fn unused(name: String, parameters: &Parameters, workloads: &[SuiteWorkload]) -> String {
    let is_taken = |name: &str| {
        workloads.iter().any(|other| other.name == name && other.parameters != *parameters)
    };
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or(name)
}

fn load(parameters: &Parameters) -> Result<Load> {
    let mut load = Load::default();
    for axis in axis::ALL {
        if let Some(value) = parameters.get(axis.key) {
            (axis.apply)(value, &mut load).with_context(|| format!("`{}`", axis.key))?;
        }
    }
    Ok(load)
}
