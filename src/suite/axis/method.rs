//! `method`: the method of the requests.

use anyhow::{Result, ensure};
use c10k_reports::record::{Parameter, Scale};

use super::{Axis, read_text};

pub const AXIS: Axis = Axis {
    key: "method",
    title: "method",
    unit: "",
    scale: Scale::Category,
    default: Some(|| Parameter::Text("GET".to_owned())),
    read: |value| read_text(value, check),
    apply: |value, load| {
        load.workload.request.method = value.to_string();
        Ok(())
    },
    label: |value| if value.to_string() == "GET" { String::new() } else { value.to_string() },
};

/// A token of RFC 9110, section 5.6.2.
fn check(text: &str) -> Result<()> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    ensure!(!text.is_empty() && text.bytes().all(is_token), "a method is a word, such as \"GET\"");
    Ok(())
}
