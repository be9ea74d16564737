//! `one_connection`: memory of the server with a single connection that has received one response.
//! The memory of many connections is compared with it.
//!
//! A pool is started with one worker here, and with one for each connection in the timed
//! measurement. So its workers count as part of the price of a connection.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::definition::{Bench, Pass};
use crate::probe;
use crate::subject::client::Client;

pub(super) const PASS: Pass =
    Pass { name: "one_connection", estimate: Duration::from_millis(400), run: measure };

/// Key of the reading of the memory without that of files, in bytes.
const KEY: &str = "memory_anonymous_one_connection_bytes";

/// Longest time for the response to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two looks at the memory. The memory counts as stable when two looks agree.
const LOOK_TIME: Duration = Duration::from_millis(50);

/// Longest wait for the memory to become stable. After that, the last look counts.
const REST_TIME: Duration = Duration::from_secs(1);

fn measure(bench: &Bench<'_>) -> Result<BTreeMap<String, f64>> {
    let running = (bench.launch)(&[], Some(1))?;
    let mut client = Client::connect(running.address(), PATIENCE)?;
    client.send(bench.path)?;
    client.receive().context("it does not answer")?;
    let bytes = at_rest(running.pid())?;
    drop(client);
    running.stop()?;
    Ok(BTreeMap::from([(KEY.to_owned(), bytes)]))
}

/// Returns the memory of the server once it no longer changes.
fn at_rest(pid: u32) -> Result<f64> {
    let deadline = Instant::now() + REST_TIME;
    let mut last = probe::anonymous_memory_now(pid)?;
    loop {
        thread::sleep(LOOK_TIME);
        let now = probe::anonymous_memory_now(pid)?;
        // Compared bit by bit, because both are sums of whole bytes.
        if now.to_bits() == last.to_bits() || Instant::now() > deadline {
            return Ok(now);
        }
        last = now;
    }
}
