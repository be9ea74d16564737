//! The generator on a thread of its own, for as long as one load takes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use c10k_loadgen::{Measurement, Summary, Target};
use crossbeam::channel::Sender;

use super::order::Order;
use super::report::Results;
use crate::measure::measure;

/// Event of the generator.
#[derive(Debug)]
pub enum Progress {
    /// An interval is over.
    Interval(Box<Results>),
    /// The load has ended, with its summary in JSON, or failed for this reason.
    Ended(Result<String, String>),
}

/// A load that is being sent.
#[derive(Debug)]
pub struct Generator(Arc<AtomicBool>);

impl Generator {
    /// Starts to send a load, on this number of threads. `progress` gets the events, wrapped by
    /// `wrap`.
    ///
    /// # Errors
    /// When a thread can't be created.
    pub fn start<E: Send + 'static>(
        order: Order,
        threads: usize,
        progress: Sender<E>,
        wrap: fn(Progress) -> E,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let generator = Self(Arc::clone(&stop));
        let tell = move |event| {
            let _ = progress.send(wrap(event));
        };
        let work = move || {
            let measured = send(&order, threads, stop, &tell);
            let summary = measured.map(|measured| Summary::from(&measured));
            let json = summary.and_then(|summary| Ok(serde_json::to_string(&summary)?));
            tell(Progress::Ended(json.map_err(|error| format!("{error:#}"))));
        };
        thread::Builder::new().name("load".into()).spawn(work)?;
        Ok(generator)
    }

    /// Ends the load when the requests that were sent are answered.
    pub fn finish(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn send(
    order: &Order,
    threads: usize,
    stop: Arc<AtomicBool>,
    tell: &impl Fn(Progress),
) -> Result<Measurement> {
    let target = Target::resolve(&order.url)
        .with_context(|| format!("the master's host is {}", order.url))?;
    let workload = order.workload(threads)?;
    let target = c10k_loadgen::reach(target, &workload.request, workload.timeout)?;
    let (measured, _) = measure(target, workload, None, stop, |interval| {
        tell(Progress::Interval(Box::new(interval.into())));
        Ok(())
    })?;
    Ok(measured)
}
