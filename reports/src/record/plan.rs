//! Checks a plan: names must be unique and known, so that all later code can look them up without
//! ambiguity.

use std::collections::HashSet;
use std::hash::Hash;

use super::environment::Environment;

/// Returns the first contradiction in `environment`, in words that follow the name of its file;
/// `None` if there is no contradiction.
pub fn contradiction(environment: &Environment) -> Option<String> {
    let subjects = || environment.subjects.iter().map(|subject| subject.name.as_str());
    let workloads = || environment.workloads.iter().map(|workload| workload.name.as_str());
    let axes = || environment.axes.iter().map(|axis| axis.key.as_str());
    let cell = |cell| format!("the cell of {cell} is twice in it");
    let cells = environment.cells.iter().map(|cell| (&cell.subject, &cell.workload));
    twice(subjects())
        .map(|name| format!("two subjects have the name {name:?}"))
        .or_else(|| twice(workloads()).map(|name| format!("two workloads have the name {name:?}")))
        .or_else(|| twice(axes()).map(|key| format!("two axes have the key {key:?}")))
        .or_else(|| {
            twice(cells).map(|(subject, workload)| cell(format!("{subject:?} and {workload:?}")))
        })
        .or_else(|| stray_cell(environment, &subjects().collect(), &workloads().collect()))
        .or_else(|| stray_question(environment, &workloads().collect()))
}

/// Returns the first of `items` that occurs a second time.
fn twice<T: Eq + Hash + Copy>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = HashSet::new();
    items.find(|item| !seen.insert(*item))
}

fn stray_cell(
    environment: &Environment,
    subjects: &HashSet<&str>,
    workloads: &HashSet<&str>,
) -> Option<String> {
    let mut cells = environment.cells.iter();
    let stray = cells.find(|cell| {
        !subjects.contains(cell.subject.as_str()) || !workloads.contains(cell.workload.as_str())
    });
    stray.map(|cell| {
        format!("the cell of {:?} and {:?} names an unknown one", cell.subject, cell.workload)
    })
}

fn stray_question(environment: &Environment, workloads: &HashSet<&str>) -> Option<String> {
    environment.questions.iter().find_map(|question| {
        let stray = question.workloads.iter().find(|name| !workloads.contains(name.as_str()))?;
        Some(format!("the question {:?} names the unknown workload {stray:?}", question.title))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn after(change: impl FnOnce(&mut Environment)) -> String {
        let mut environment = fixture::environment();
        change(&mut environment);
        contradiction(&environment).unwrap()
    }

    #[test]
    fn a_plan_without_contradiction_is_taken() {
        assert_eq!(contradiction(&fixture::environment()), None);
    }

    #[test]
    fn every_contradiction_is_named() {
        let twin = after(|environment| environment.subjects[1].name = "fork".to_owned());
        assert_eq!(twin, "two subjects have the name \"fork\"");
        let twin = after(|environment| environment.axes[1].key = "lifetime".to_owned());
        assert_eq!(twin, "two axes have the key \"lifetime\"");
        let twin = after(|environment| environment.cells[1] = environment.cells[0].clone());
        assert_eq!(twin, "the cell of \"fork\" and \"short-1\" is twice in it");
        let stray = after(|environment| environment.cells[0].workload = "slow".to_owned());
        assert_eq!(stray, "the cell of \"fork\" and \"slow\" names an unknown one");
        let stray = after(|environment| environment.questions[0].workloads[0] = "slow".to_owned());
        assert!(stray.ends_with("names the unknown workload \"slow\""));
    }
}
