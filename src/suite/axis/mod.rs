//! Axes: the parameters that may vary between the cells of a suite. Each axis has one file, and one
//! line in [`ALL`].
//!
//! Suites, `--list`, filters, records, tables and charts know an axis only from its entry here.

mod arrivals;
mod backlog;
mod body;
mod capacity_share;
mod close;
mod connect_rate;
mod connections;
mod definition;
mod handler_threads;
mod idle;
mod lifetime;
mod method;
mod path;
mod processors;
mod rate;
mod slow;
mod slow_bytes_per_s;
mod threads;
mod topology;
mod values;
mod workers;

pub use definition::Axis;

/// All axes, in the order in which a workload is named and applied: an axis may rely on the ones
/// before it.
pub const ALL: &[Axis] = &[
    lifetime::AXIS,
    close::AXIS,
    connections::AXIS,
    idle::AXIS,
    slow::AXIS,
    slow_bytes_per_s::AXIS,
    rate::AXIS,
    arrivals::AXIS,
    capacity_share::AXIS,
    connect_rate::AXIS,
    threads::AXIS,
    workers::AXIS,
    handler_threads::AXIS,
    backlog::AXIS,
    processors::AXIS,
    topology::AXIS,
    method::AXIS,
    body::AXIS,
    path::AXIS,
];

/// Key of the first axis that a subject may set for itself, whatever the workload.
pub const WORKERS: &str = workers::AXIS.key;

/// Key of the second axis that a subject may set for itself.
pub const HANDLER_THREADS: &str = handler_threads::AXIS.key;

/// Axes that say most about a workload: they name it if no axis varies.
pub const TELLING: [&Axis; 2] = [&lifetime::AXIS, &connections::AXIS];

/// Returns the axis with that key.
pub fn find(key: &str) -> Option<&'static Axis> {
    ALL.iter().find(|axis| axis.key == key)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use c10k_reports::record::Parameter;
    use toml::Value;

    use super::*;
    use crate::suite::load::Load;

    #[test]
    fn keys_are_unique_and_can_stand_in_a_filter() {
        let keys: HashSet<_> = ALL.iter().map(|axis| axis.key).collect();
        assert_eq!(keys.len(), ALL.len());
        assert!(
            keys.iter()
                .all(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        );
    }

    #[test]
    fn values_that_are_none_are_refused_with_what_is() {
        for (key, value) in [
            ("lifetime", Value::from("shrt")),
            ("lifetime", Value::from(0)),
            ("close", Value::from("both")),
            ("connections", Value::from(0)),
            ("connections", Value::from(-1)),
            ("connections", Value::from(1.5)),
            ("idle", Value::from("many")),
            ("slow", Value::from(-1)),
            ("slow_bytes_per_s", Value::from(0)),
            ("rate", Value::from(0)),
            ("rate", Value::from(f64::NAN)),
            ("rate", Value::from(f64::INFINITY)),
            ("rate", Value::from(1e30)),
            ("capacity_share", Value::from(1.5)),
            ("arrivals", Value::from("bursty")),
            ("method", Value::from("GE T")),
            ("path", Value::from("no slash")),
            ("workers", Value::from(0)),
            ("handler_threads", Value::from(0)),
            ("backlog", Value::from(0)),
            ("topology", Value::from("ring")),
        ] {
            let axis = find(key).unwrap();
            assert!((axis.read)(&value).is_err(), "{key} = {value}");
        }
    }

    #[test]
    fn no_axis_takes_what_is_no_number_or_below_all() {
        let nothing = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.5].map(Value::from);
        for value in nothing.into_iter().chain([-1, i64::MIN].map(Value::from)) {
            for axis in ALL {
                assert!((axis.read)(&value).is_err(), "{} = {value}", axis.key);
            }
        }
    }

    #[test]
    fn an_end_that_closes_needs_connections_that_end() {
        let mut load = Load::default();
        let close = find("close").unwrap();
        let client = Parameter::Text("client".to_owned());
        let refused = (close.apply)(&client, &mut load).unwrap_err().to_string();
        assert!(refused.contains("`lifetime`"), "{refused}");
        load.workload.lifetime = c10k_loadgen::workload::Lifetime::SHORT;
        (close.apply)(&client, &mut load).unwrap();
        assert_eq!(load.workload.close, Some(c10k_loadgen::workload::Closer::Client));
    }

    #[test]
    fn connections_that_take_longer_than_a_day_to_open_are_refused() {
        let mut load = Load::default();
        let axis = find("connect_rate").unwrap();
        let refused = (axis.apply)(&Parameter::Number(1e-7), &mut load).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "64 connections at 0.0000001 per second take longer than 1day"
        );
        (axis.apply)(&Parameter::Number(1.0), &mut load).unwrap();
    }

    #[test]
    fn every_default_is_a_value_that_can_be_applied() {
        let mut load = Load::default();
        for axis in ALL {
            if let Some(default) = axis.default {
                (axis.apply)(&default(), &mut load).unwrap();
            }
        }
        assert_eq!(load, Load::default());
    }
}
