//! System calls per request of a model, as the probe of that name counts them.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use c10k::interrupt::Interrupt;
use c10k::probe;
use c10k::subject::RunningSubject;
use c10k_loadgen::Target;
use c10k_loadgen::workload::Until;

use crate::load::closed_loop;
use crate::processors::Processors;
use crate::roster::{C10K, Model};

/// Calls per request by name, those that cost most calls first.
pub fn per_request(
    model: &Model,
    connections: usize,
    processors: &Processors,
    interrupt: &Interrupt,
) -> Result<Vec<(String, f64)>> {
    let launch = |prefix: &[OsString]| {
        let mut command = Command::new(&prefix[0]);
        command.args(&prefix[1..]).args([C10K, "serve", &model.name, "--addr", "127.0.0.1:0"]);
        command.args(model.worker_args(connections));
        processors.start(|| RunningSubject::announced(command))
    };
    let target = |address| Ok(Target::resolve(&format!("http://{address}/"))?);
    let load = closed_loop(connections, Until::Requests(0), Duration::ZERO);
    let readings = probe::system_calls::per_request(launch, target, &load, interrupt)?;
    let by_name = |(key, calls): (String, f64)| Some((key.split_once('.')?.1.to_owned(), calls));
    let mut calls: Vec<_> = readings.into_iter().filter_map(by_name).collect();
    calls.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(calls)
}
