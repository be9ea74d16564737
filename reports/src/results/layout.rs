//! The workloads of a question along one axis, in panels, as a chart with curves draws them. They
//! are laid out by the declared axes and parameters alone.

use crate::format;
use crate::record::{Axis, Environment, Parameter, Question, Scale, WorkloadEntry};

/// The workloads of a question along one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Title of the axis, with its unit.
    pub title: String,
    /// Scale of its numbers.
    pub scale: Scale,
    /// Values of the axis, from the low end to the high end.
    pub stations: Vec<Station>,
    /// One panel per combination of the other axes that vary, in the order of the suite.
    pub panels: Vec<Panel>,
}

/// A value of the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Station {
    /// Place of the value on the axis.
    pub place: Place,
    /// Text of the value for a reader.
    pub label: String,
}

/// Place of a value on an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// Apart from the numbers, at the low end: a name, no value at all, or zero on a logarithmic
    /// axis.
    Apart,
    /// At this number on the axis.
    At(f64),
}

/// Workloads that differ only in their value of the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Values that distinguish the panel from other panels, in parts; empty if there is only one
    /// panel.
    pub title: Vec<String>,
    /// Index of a station and index of the workload there, from the low end of the axis to the high
    /// end.
    pub points: Vec<(usize, usize)>,
}

/// A value in the form in which values are compared: equal numbers are the same value, no matter
/// how they were written.
#[derive(Debug, Clone, PartialEq)]
enum Value<'a> {
    /// The parameter is not set.
    None,
    /// A name.
    Text(&'a str),
    /// A number.
    Number(f64),
}

impl Station {
    /// Returns the number that the station lies at; `None` if it lies apart from the numbers.
    pub fn number(&self) -> Option<f64> {
        match self.place {
            Place::Apart => None,
            Place::At(number) => Some(number),
        }
    }
}

impl Layout {
    /// Lays out the workloads of `question`; `None` if they lie along no axis, so that only bars
    /// can show them.
    pub fn of(environment: &Environment, question: &Question) -> Option<Self> {
        let workloads = workloads_of(environment, question);
        let axis = choose_axis(environment, question, &workloads)?;
        let values = stations(axis, &workloads);
        let others = environment.axes.iter().filter(|other| other.key != axis.key);
        let others: Vec<&Axis> =
            others.filter(|other| distinct(other, &workloads).len() > 1).collect();
        let unit = if axis.unit.is_empty() { String::new() } else { format!(", {}", axis.unit) };
        Some(Self {
            title: format!("{}{unit}", axis.title),
            scale: axis.scale,
            panels: panels(&workloads, axis, &values, &others),
            stations: values.iter().map(|value| station(axis, value)).collect(),
        })
    }
}

/// Returns index and entry of the workloads of `question`, in the order of the question.
fn workloads_of<'a>(
    environment: &'a Environment,
    question: &Question,
) -> Vec<(usize, &'a WorkloadEntry)> {
    let known = || environment.workloads.iter().enumerate();
    let find = |name: &String| known().find(|(_, workload)| workload.name == *name);
    question.workloads.iter().filter_map(find).collect()
}

/// Chooses the axis that `question` asks for, if it has at least two values; otherwise the numeric
/// axis with the most numbers, if it has at least two.
fn choose_axis<'a>(
    environment: &'a Environment,
    question: &Question,
    workloads: &[(usize, &WorkloadEntry)],
) -> Option<&'a Axis> {
    let asked = environment.axes.iter().find(|axis| Some(&axis.key) == question.along.as_ref());
    if let Some(axis) = asked.filter(|axis| distinct(axis, workloads).len() > 1) {
        return Some(axis);
    }
    let numbers = |axis: &Axis| {
        distinct(axis, workloads).iter().filter(|value| matches!(value, Value::Number(_))).count()
    };
    let numeric = environment.axes.iter().filter(|axis| axis.scale != Scale::Category);
    // The axes are reversed, since `max_by_key` returns the last of several maxima.
    let most = numeric.rev().max_by_key(|axis| numbers(axis))?;
    (numbers(most) > 1).then_some(most)
}

fn value_of<'a>(axis: &Axis, workload: &'a WorkloadEntry) -> Value<'a> {
    match workload.parameters.get(&axis.key) {
        None => Value::None,
        Some(Parameter::Text(text)) => Value::Text(text),
        Some(Parameter::Count(count)) => Value::Number(*count as f64),
        Some(Parameter::Number(number)) => Value::Number(*number),
    }
}

/// Returns the different values of `axis`, in the order of the suite.
fn distinct<'a>(axis: &Axis, workloads: &[(usize, &'a WorkloadEntry)]) -> Vec<Value<'a>> {
    let mut values = Vec::new();
    for value in workloads.iter().map(|(_, workload)| value_of(axis, workload)) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// Returns the different values of `axis` in the order of the axis: first the values that are not
/// numbers, then the numbers in rising order.
fn stations<'a>(axis: &Axis, workloads: &[(usize, &'a WorkloadEntry)]) -> Vec<Value<'a>> {
    let rank = |value: &Value| match value {
        Value::None => (0, 0.0),
        Value::Text(_) => (1, 0.0),
        Value::Number(number) => (2, *number),
    };
    let mut values = distinct(axis, workloads);
    values.sort_by(|a, b| rank(a).0.cmp(&rank(b).0).then(rank(a).1.total_cmp(&rank(b).1)));
    values
}

fn station(axis: &Axis, value: &Value) -> Station {
    let place = match (value, axis.scale) {
        (Value::Number(number), Scale::Log) if *number <= 0.0 => Place::Apart,
        (Value::Number(number), _) => Place::At(*number),
        (Value::None | Value::Text(_), _) => Place::Apart,
    };
    Station { place, label: label(value) }
}

fn label(value: &Value) -> String {
    match value {
        Value::None => "none".to_owned(),
        Value::Text(text) => (*text).to_owned(),
        Value::Number(number) => format::number(*number),
    }
}

/// Creates a panel per combination of the values of `others`. Workloads with the same declared
/// values cannot form a curve, so each of them goes to a separate panel, whose title names it.
fn panels(
    workloads: &[(usize, &WorkloadEntry)],
    axis: &Axis,
    values: &[Value],
    others: &[&Axis],
) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for (index, workload) in workloads {
        let value = value_of(axis, workload);
        let Some(station) = values.iter().position(|known| *known == value) else { continue };
        let title: Vec<String> = others.iter().map(|other| part(other, workload)).collect();
        let is_free = |panel: &Panel| panel.points.iter().all(|(taken, _)| *taken != station);
        match panels.iter_mut().find(|panel| panel.title == title && is_free(panel)) {
            Some(panel) => panel.points.push((station, *index)),
            None => panels.push(Panel { title, points: vec![(station, *index)] }),
        }
    }
    name_twins(&mut panels, workloads);
    for panel in &mut panels {
        panel.points.sort_unstable();
    }
    panels
}

/// Formats one part of a title, such as `path: /bytes/1024`.
fn part(axis: &Axis, workload: &WorkloadEntry) -> String {
    let value = value_of(axis, workload);
    let unit =
        if axis.unit.is_empty() || value == Value::None { "" } else { &format!(" {}", axis.unit) };
    format!("{}: {}{unit}", axis.title, label(&value))
}

/// Adds the names of the workloads to the titles of panels that would otherwise have the same
/// title.
fn name_twins(panels: &mut [Panel], workloads: &[(usize, &WorkloadEntry)]) {
    let titles: Vec<Vec<String>> = panels.iter().map(|panel| panel.title.clone()).collect();
    for panel in panels {
        if titles.iter().filter(|title| **title == panel.title).count() > 1 {
            let is_here =
                |index: &usize| panel.points.iter().any(|(_, workload)| workload == index);
            let here = workloads.iter().filter(|(index, _)| is_here(index));
            let names = here.map(|(_, workload)| workload.name.as_str()).collect::<Vec<_>>();
            panel.title.push(names.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::record::Parameters;

    /// Builds an environment with these axes and workloads, all of one question.
    fn environment(declared: &[(&str, Scale)], workloads: &[&[(&str, Parameter)]]) -> Environment {
        let mut environment = fixture::environment();
        let axis = |(key, scale): &(&str, Scale)| Axis {
            key: (*key).to_owned(),
            title: (*key).to_owned(),
            unit: String::new(),
            scale: *scale,
        };
        environment.axes = declared.iter().map(axis).collect();
        let template = environment.workloads[0].clone();
        let workload = |(index, parameters): (usize, &&[(&str, Parameter)])| {
            let parameters: Parameters =
                parameters.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
            WorkloadEntry { name: format!("w{index}"), parameters, ..template.clone() }
        };
        environment.workloads = workloads.iter().enumerate().map(workload).collect();
        environment.questions = vec![Question {
            title: "What?".to_owned(),
            along: None,
            workloads: environment.workloads.iter().map(|workload| workload.name.clone()).collect(),
        }];
        environment
    }

    fn layout(environment: &Environment) -> Option<Layout> {
        Layout::of(environment, &environment.questions[0])
    }

    fn labels(layout: &Layout) -> Vec<&str> {
        layout.stations.iter().map(|station| station.label.as_str()).collect()
    }

    fn titles(layout: &Layout) -> Vec<String> {
        layout.panels.iter().map(|panel| panel.title.join(" · ")).collect()
    }

    fn count(value: u64) -> Parameter {
        Parameter::Count(value)
    }

    fn text(value: &str) -> Parameter {
        Parameter::Text(value.to_owned())
    }

    #[test]
    fn workloads_lie_along_the_numeric_axis_with_most_values_in_panels_by_the_others() {
        let mut environment = fixture::environment();
        environment.workloads.swap(0, 2);
        let layout = layout(&environment).unwrap();
        assert_eq!(layout.title, "connections");
        assert_eq!(labels(&layout), ["1", "64", "512"]);
        assert_eq!(titles(&layout), ["lifetime: short", "lifetime: persistent"]);
        assert_eq!(layout.panels[0].points, [(0, 2), (1, 1), (2, 0)]);
    }

    #[test]
    fn a_question_may_name_its_axis() {
        let mut environment = fixture::environment();
        environment.questions[0].along = Some("lifetime".to_owned());
        let layout = layout(&environment).unwrap();
        assert_eq!(labels(&layout), ["short", "persistent"]);
        assert_eq!(titles(&layout), ["connections: 1", "connections: 64", "connections: 512"]);
    }

    #[test]
    fn zero_is_apart_on_a_logarithmic_axis_and_only_there() {
        let idle: &[&[_]] =
            &[&[("idle", count(1000))], &[("idle", count(0))], &[("idle", count(8000))]];
        let log = layout(&environment(&[("idle", Scale::Log)], idle)).unwrap();
        assert_eq!(labels(&log), ["0", "1,000", "8,000"]);
        assert_eq!(
            (log.stations[0].place, log.stations[1].place),
            (Place::Apart, Place::At(1000.0))
        );
        let linear = layout(&environment(&[("idle", Scale::Linear)], idle)).unwrap();
        assert_eq!(linear.stations[0].place, Place::At(0.0));
    }

    #[test]
    fn a_parameter_that_is_not_set_is_a_value_of_its_own() {
        let axes = [("connections", Scale::Log), ("rate", Scale::Log)];
        let closed = layout(&environment(
            &axes,
            &[
                &[("connections", count(1))],
                &[("connections", count(64))],
                &[("connections", count(1)), ("rate", count(500))],
                &[("connections", count(64)), ("rate", count(500))],
            ],
        ));
        assert_eq!(titles(&closed.unwrap()), ["rate: none", "rate: 500"]);
        let along = layout(&environment(
            &[("rate", Scale::Log)],
            &[&[], &[("rate", count(500))], &[("rate", count(900))]],
        ));
        assert_eq!(labels(&along.unwrap()), ["none", "500", "900"]);
    }

    #[test]
    fn fewer_than_two_numbers_are_no_axis() {
        let axes = [("path", Scale::Category), ("connections", Scale::Log)];
        let paths: &[&[_]] =
            &[&[("path", text("/a"))], &[("path", text("/b")), ("connections", count(1))]];
        assert_eq!(layout(&environment(&axes, paths)), None);
    }

    #[test]
    fn workloads_with_equal_parameters_are_distinguished_by_name() {
        let layout = layout(&environment(
            &[("connections", Scale::Log)],
            &[
                &[("connections", count(1))],
                &[("connections", count(2))],
                &[("connections", count(1))],
            ],
        ));
        assert_eq!(titles(&layout.unwrap()), ["w0, w1", "w2"]);
    }
}
