//! Section: the questions of the suite, each with its curves.

use askama::Template;

use super::context::{Chart, Page};

#[derive(Template)]
#[template(path = "questions.html")]
struct Questions<'a> {
    questions: Vec<Question<'a>>,
}

/// A question with its curves.
struct Question<'a> {
    title: &'a str,
    charts: Vec<Chart<'a>>,
    /// Index in the suite and name of each workload, for the links that replace missing curves.
    workloads: Vec<(usize, &'a str)>,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let environment = &page.results.environment;
    let entries = || environment.workloads.iter().enumerate();
    let questions = environment.questions.iter().zip(&page.figures.questions);
    let questions = questions.map(|(question, figures)| Question {
        title: &question.title,
        charts: page.charts(figures),
        workloads: entries()
            .filter(|(_, workload)| question.workloads.contains(&workload.name))
            .map(|(index, workload)| (index, workload.name.as_str()))
            .collect(),
    });
    Questions { questions: questions.collect() }.render()
}
