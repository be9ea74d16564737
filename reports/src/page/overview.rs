//! Section: the whole run in a few charts.

use askama::Template;

use super::{Chart, Page};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    charts: Vec<Chart<'a>>,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let charts = page.charts(&page.figures.overview);
    if charts.is_empty() { Ok(String::new()) } else { Overview { charts }.render() }
}
