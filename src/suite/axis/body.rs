//! `body`: the body of the requests.

use c10k_reports::record::{Parameter, Scale};

use super::definition::Axis;
use super::values::{any_text, read_text};

pub const AXIS: Axis = Axis {
    key: "body",
    title: "body of the request",
    unit: "",
    scale: Scale::Category,
    default: None,
    schema: any_text,
    read: |value| read_text(value, |_| Ok(())),
    apply: |value, load| {
        load.workload.request.body = value.to_string().into_bytes();
        Ok(())
    },
    label: |value| match value {
        Parameter::Text(text) => format!("body-{}-bytes", text.len()),
        other => format!("body-{other}"),
    },
};
