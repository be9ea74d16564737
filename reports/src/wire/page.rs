//! The page of a capture, and its pictures as files of their own.

use std::path::{Path, PathBuf};

use askama::Template;

use super::definition::{Network, Wire};
use super::{ladder, network};
use crate::error::Error;
use crate::file;
use crate::format;
use crate::page::document;

/// A part of the page that has a picture.
struct Picture {
    svg: String,
    file_name: String,
}

#[derive(Template)]
#[template(path = "wire.html")]
struct Page<'a> {
    wire: &'a Wire,
    date: String,
    ladder: &'a Picture,
    network: Option<(&'a Network, &'a Picture)>,
}

/// Writes the page of a capture, and its pictures, into `folder`, and returns the path of the page.
/// Their names begin with `name`; the same name replaces an older capture.
///
/// # Errors
/// When a file can't be written.
pub fn write(wire: &Wire, folder: &Path, name: &str) -> Result<PathBuf, Error> {
    let picture =
        |part: &str, svg: String| Picture { svg, file_name: format!("{name}-{part}.svg") };
    let ladder = picture("ladder", ladder::draw(&wire.ladder));
    let of_network =
        wire.network.as_ref().map(|network| picture("network", network::draw(network)));
    for picture in [Some(&ladder), of_network.as_ref()].into_iter().flatten() {
        file::replace(&folder.join(&picture.file_name), &picture.svg)?;
    }
    let page = Page {
        wire,
        date: format::date(&wire.date),
        ladder: &ladder,
        network: wire.network.as_ref().zip(of_network.as_ref()),
    };
    let path = folder.join(format!("{name}.html"));
    let title = format!("c10k wire: {}", wire.title);
    file::replace(&path, &document(&title, &[page.render()?])?)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::definition::Ladder;
    use super::*;

    #[test]
    fn a_page_contains_its_pictures_and_loads_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let wire = Wire {
            title: "epoll & <co>".into(),
            date: "2026-01-02T03:04:05Z".into(),
            lead: "One request.".into(),
            notes: vec!["a note".into()],
            story: vec!["The server closed first.".into()],
            ladder: Ladder { client: "client".into(), server: "server".into(), rows: Vec::new() },
            network: None,
        };
        let path = write(&wire, folder.path(), "epoll-short").unwrap();
        let page = fs::read_to_string(&path).unwrap();
        assert!(page.contains("epoll &#38; &#60;co&#62;") && page.contains("<svg"), "{page}");
        assert!(!page.contains("<script") && !page.contains("src="), "{page}");
        assert!(folder.path().join("epoll-short-ladder.svg").is_file());
        assert!(page.contains("href=\"epoll-short-ladder.svg\""), "{page}");
    }
}
