//! `arrivals`: how the requests of an open loop are spread over time.

use anyhow::{Result, bail};
use c10k_loadgen::workload::{Arrivals, Pacing};
use c10k_reports::record::{Parameter, Scale};

use super::definition::Axis;
use super::values::{one_of, read_text};

pub const AXIS: Axis = Axis {
    key: "arrivals",
    title: "arrivals",
    unit: "",
    scale: Scale::Category,
    default: None,
    schema: || one_of(&["constant", "poisson"]),
    read: |value| read_text(value, |text| parse(text).map(|_| ())),
    apply: |value, load| match &mut load.workload.pacing {
        Pacing::Open { arrivals, .. } => {
            *arrivals = parse(&value.to_string())?;
            Ok(())
        }
        Pacing::Closed => bail!("`arrivals` need a `rate`: a closed loop has no schedule"),
    },
    label: Parameter::to_string,
};

fn parse(text: &str) -> Result<Arrivals> {
    match text {
        "constant" => Ok(Arrivals::Constant),
        "poisson" => Ok(Arrivals::Poisson),
        _ => bail!("write \"constant\" or \"poisson\""),
    }
}
