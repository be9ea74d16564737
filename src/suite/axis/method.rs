//! `method`: the method of the requests.

use c10k_reports::record::{Parameter, Scale};

use super::definition::Axis;
use super::values::{any_text, read_text};
use crate::limits;

pub const AXIS: Axis = Axis {
    key: "method",
    title: "method",
    unit: "",
    scale: Scale::Category,
    default: Some(|| Parameter::Text("GET".to_owned())),
    schema: any_text,
    read: |value| read_text(value, limits::check_method),
    apply: |value, load| {
        load.workload.request.method = value.to_string();
        Ok(())
    },
    label: |value| if value.to_string() == "GET" { String::new() } else { value.to_string() },
};
