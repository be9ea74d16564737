//! `close`: the end that closes a connection first, and keeps it in `TIME_WAIT`.

use anyhow::{Result, anyhow};
use c10k_loadgen::workload::End;
use c10k_reports::record::{Parameter, Scale};

use super::{Axis, one_of, read_text};

pub const AXIS: Axis = Axis {
    key: "close",
    title: "end that closes",
    unit: "",
    scale: Scale::Category,
    default: None,
    schema: || one_of(&["server", "client"]),
    read: |value| read_text(value, |text| parse(text).map(|_| ())),
    apply: |value, load| {
        load.workload.close = parse(&value.to_string())?;
        Ok(())
    },
    label: |value| format!("{value}-closes"),
};

fn parse(text: &str) -> Result<End> {
    text.parse().map_err(|error: String| anyhow!(error))
}
