//! Section: the command, the revision and the servers of the run, so that anyone can run it again.

use askama::Template;

use super::context::Page;
use crate::record::{Environment, Subject};

#[derive(Template)]
#[template(path = "what_was_run.html")]
struct WhatWasRun<'a> {
    environment: &'a Environment,
    measurements: usize,
    planned: usize,
    traits: Vec<&'a str>,
    subjects: Vec<(&'a Subject, Vec<&'a str>)>,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let environment = &page.results.environment;
    let traits = trait_names(&environment.subjects);
    let subjects =
        environment.subjects.iter().map(|subject| (subject, trait_values(subject, &traits)));
    let section = WhatWasRun {
        environment,
        measurements: page.results.measurements(),
        planned: page.results.planned_measurements(),
        subjects: subjects.collect(),
        traits,
    };
    section.render()
}

/// Collects the names of all fields in the profiles of subjects, in the order of their first
/// appearance.
fn trait_names(subjects: &[Subject]) -> Vec<&str> {
    let mut names = Vec::new();
    for (name, _) in subjects.iter().flat_map(|subject| &subject.traits) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// Returns the subject's value of each profile field in `names`, or a dash. A server that c10k does
/// not know declares no profile.
fn trait_values<'a>(subject: &'a Subject, names: &[&str]) -> Vec<&'a str> {
    let value = |wanted: &&str| subject.traits.iter().find(|(name, _)| name == *wanted);
    names
        .iter()
        .map(|name| value(name).map_or(crate::format::MISSING, |(_, value)| value.as_str()))
        .collect()
}
