//! `path`: the path of the requests.

use anyhow::{Result, ensure};
use c10k_reports::record::{Parameter, Scale};
use serde_json::json;
use url::{Position, Url};

use super::definition::Axis;
use super::values::read_text;

pub const AXIS: Axis = Axis {
    key: "path",
    title: "path",
    unit: "",
    scale: Scale::Category,
    default: Some(|| Parameter::Text("/".to_owned())),
    schema: || json!({ "type": "string", "pattern": "^/" }),
    read: |value| read_text(value, check),
    apply: |value, load| {
        load.path = value.to_string();
        Ok(())
    },
    label: |value| if value.to_string() == "/" { String::new() } else { value.to_string() },
};

fn check(text: &str) -> Result<()> {
    let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(is_path, "a path begins with a slash and has no spaces");
    // Records and pages show the path as it is written here, so it must be the one that is sent.
    let url = Url::parse(&format!("http://localhost{text}"))?;
    let asked = &url[Position::BeforePath..];
    ensure!(
        asked == text && url.fragment().is_none(),
        "a path is written as it is sent: `{}`",
        &url[Position::BeforePath..Position::AfterQuery]
    );
    Ok(())
}
