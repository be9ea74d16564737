//! `topology`: the network between the generator and the server; without it, loopback. Any other
//! topology is made of network namespaces, anew for each measurement.

use c10k_reports::record::{Parameter, Scale};

use super::definition::Axis;
use super::values::{one_of, read_text};
use crate::network::Topology;

pub const AXIS: Axis = Axis {
    key: "topology",
    title: "network in between",
    unit: "",
    scale: Scale::Category,
    default: None,
    schema: || one_of(&Topology::names()),
    read: |value| read_text(value, |text| text.parse::<Topology>().map(|_| ())),
    apply: |value, load| {
        load.topology = Some(value.to_string().parse()?);
        Ok(())
    },
    label: Parameter::to_string,
};
