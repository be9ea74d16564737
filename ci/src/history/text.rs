//! A history as a table for a terminal: the steps, newest last, then a line for each remark.

use c10k_reports::format;

use super::series::{FarOut, Group, History, Series, Step};
use crate::change_points::{FEWEST, FEWEST_WITH_STEP};

/// Number of letters of a commit that are shown.
const SHORT: usize = 12;

/// Writes a history.
pub fn write(history: &History) -> String {
    history.groups.iter().map(group).collect::<Vec<_>>().join("\n")
}

fn group(group: &Group) -> String {
    let mut text = heading(group);
    let steps = group.steps();
    if !steps.is_empty() {
        text += &format!(
            "  {:<14}  {:<20}  {:<29}  of\n",
            "first revision", "measured", "after / before (95 %)"
        );
    }
    text.extend(steps.into_iter().map(|(series, step)| step_line(series, step)));
    text += &format!("  {}\n", without_step(group));
    for series in &group.series {
        text.extend(notes(series, group.gates).iter().map(|note| format!("  {note}\n")));
    }
    text
}

/// Returns the heading of a group, which says what its series have in common.
fn heading(group: &Group) -> String {
    let changed = changed(group).map_or(String::new(), |changed| changed + "\n");
    format!("{changed}machine {}\n{}\n", machine(group), gates(group))
}

/// Describes what differs from the group before; `None` for the first group.
pub(super) fn changed(group: &Group) -> Option<String> {
    let changed = group.changed.join(" and another ");
    (!changed.is_empty()).then(|| {
        format!(
            "Another {changed}: new series begin, whose values are never mixed with those above."
        )
    })
}

/// Describes the machine of a group, in a line.
pub(super) fn machine(group: &Group) -> String {
    let machine = &group.key.machine;
    let cpus = format::plural(machine.cpus as u64, "processor");
    format!(
        "{}: {}, {cpus}, {} GiB, {}",
        machine.id, machine.cpu, machine.memory_gib, machine.kernel
    )
}

/// Describes the gates of a group, in a line.
pub(super) fn gates(group: &Group) -> String {
    let (first, last) = &group.times;
    format!(
        "anchor {}, suite {}: {} from {} to {}",
        short(&group.key.anchor),
        group.key.suite,
        format::plural(group.gates as u64, "gate"),
        format::date(first),
        format::date(last)
    )
}

fn step_line(series: &Series, step: &Step) -> String {
    let point = series.point(step.at);
    format!(
        "  {:<14}  {:<20}  {:<29}  {}\n",
        short(&point.revision),
        format::date(&point.time),
        size(step),
        name(series)
    )
}

/// Returns the size of a step, such as `1.041 (1.032–1.050) worse`.
pub(super) fn size(step: &Step) -> String {
    let ends = step.interval.map_or(String::new(), |(low, high)| format!(" ({low:.3}–{high:.3})"));
    let direction = match step.is_worse {
        Some(true) => " worse",
        Some(false) => " better",
        None if step.interval.is_some_and(|(low, high)| low <= 1.0 && high >= 1.0) => {
            " other noise"
        }
        None => "",
    };
    format!("{:.3}{ends}{direction}", step.ratio)
}

/// Describes the series without a step.
pub(super) fn without_step(group: &Group) -> String {
    if group.gates < FEWEST_WITH_STEP {
        let gates = format::plural(group.gates as u64, "gate");
        return format!("{gates}: a step can be told from noise from {FEWEST_WITH_STEP} gates on");
    }
    let without = group.series.iter().filter(|series| series.steps.is_empty()).count();
    match (without, group.series.len()) {
        (0, all) => format!("a step in each of {}", format::plural(all as u64, "metric")),
        (without, all) => {
            format!("no step in {without} of {}", format::plural(all as u64, "metric"))
        }
    }
}

/// Returns the remarks about a series other than its steps, a line each.
pub(super) fn notes(series: &Series, gates: usize) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    if series.missing > 0 {
        notes.push(format!("{}: {} of {gates} gates have no value", name(series), series.missing));
    }
    notes.extend(series.far_out.iter().map(|one| far_out(series, one)));
    notes
}

fn far_out(series: &Series, one: &FarOut) -> String {
    let end = if one.is_newest {
        format!("it may become a step, which takes {FEWEST} gates")
    } else {
        format!("it did not last for {FEWEST} gates, so that it is no step")
    };
    let share = (one.ratio - 1.0) * 100.0;
    let side = if share < 0.0 { "below" } else { "above" };
    let revision = short(&series.point(one.at).revision);
    format!("{}: {revision} is {:.1} % {side} its level; {end}", name(series), share.abs())
}

/// Returns the name of a series.
pub(super) fn name(series: &Series) -> String {
    format!("{}: {}", series.workload, series.metric)
}

/// Shortens a commit for a table. Other names of revisions stay as they are.
pub(super) fn short(revision: &str) -> &str {
    let is_commit = revision.len() >= 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit { &revision[..SHORT] } else { revision }
}
