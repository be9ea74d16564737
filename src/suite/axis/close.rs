//! `close`: the end that closes a connection first, and keeps it in `TIME_WAIT`.

use anyhow::{Result, anyhow, ensure};
use c10k_loadgen::workload::{Closer, Lifetime};
use c10k_reports::record::Scale;

use super::definition::Axis;
use super::values::{one_of, read_text};

pub const AXIS: Axis = Axis {
    key: "close",
    title: "end that closes",
    unit: "",
    scale: Scale::Category,
    default: None,
    schema: || one_of(&["server", "client"]),
    read: |value| read_text(value, |text| parse(text).map(|_| ())),
    apply: |value, load| {
        let closes = load.workload.lifetime != Lifetime::Persistent;
        ensure!(
            closes,
            "it needs a `lifetime` in requests: persistent connections are closed with the run"
        );
        load.workload.close = Some(parse(&value.to_string())?);
        Ok(())
    },
    label: |value| format!("{value}-closes"),
};

fn parse(text: &str) -> Result<Closer> {
    text.parse().map_err(|error: String| anyhow!(error))
}
