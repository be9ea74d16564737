//! Section: links to criterion's pages and to the files of the record.

use askama::Template;

use super::context::Page;

#[derive(Template)]
#[template(path = "more.html")]
struct More<'a> {
    criterion: Option<&'a str>,
    run: Option<&'a str>,
}

pub fn render(page: &Page) -> askama::Result<String> {
    More { criterion: page.place.criterion.as_deref(), run: page.place.run.as_deref() }.render()
}
