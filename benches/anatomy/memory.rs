//! Memory per idle connection: the PSS of all processes of a server, with many connections that were answered once and say
//! nothing more, less that with one of them.
//!
//! A pool is started with a worker for one connection in the one case, and with a worker for each in the other, so that its
//! workers count as what they are: the price of a connection. Memory of the kernel is not in it, neither the buffers of
//! the sockets nor, for each task, its kernel stack and page tables.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use c10k::resources;
use c10k::subject::client::Client;
use c10k::subject::{RunningSubject, Settings, Subject};

/// Workers at the most, of a model that needs one for each connection.
const MAX_WORKERS: usize = 1000;

/// Connections that are made and asked at once, so that a model that looks at all of them finds many at a look.
const BATCH: usize = 100;

/// How long an answer may take; a connection without one is more than the model can hold.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long connections are added: 5,000 of them take a model that forks or looks at all of them some seconds.
const FILL_TIME: Duration = Duration::from_secs(10);

/// Until what the last answer set in motion has come to rest.
const SETTLE_TIME: Duration = Duration::from_millis(200);

/// What idle connections cost.
#[derive(Debug)]
pub struct Idle {
    pub connections: usize,
    pub bytes_per_connection: f64,
    /// Tasks of the server with all of them.
    pub tasks: u64,
}

/// What a server holds.
struct Held {
    connections: usize,
    bytes: u64,
    tasks: u64,
}

/// Measures it with `connections`, or with as many as the model can hold.
pub fn per_idle_connection(model: &Subject, connections: usize, settings: Settings<'_>) -> Result<Idle> {
    let one = hold(model, 1, settings)?;
    let many = hold(model, connections, settings)?;
    ensure!(many.connections > 1, "it serves one connection at a time");
    Ok(Idle {
        connections: many.connections,
        bytes_per_connection: (many.bytes as f64 - one.bytes as f64) / (many.connections - 1) as f64,
        tasks: many.tasks,
    })
}

fn hold(model: &Subject, connections: usize, settings: Settings<'_>) -> Result<Held> {
    let running = model.start(&Settings { connections: connections.min(MAX_WORKERS), ..settings })?;
    let clients = fill(&running, connections).context("it answers nobody")?;
    thread::sleep(SETTLE_TIME);
    let (bytes, tasks) = resources::held(running.pid());
    let held = Held { connections: clients.len(), bytes, tasks };
    drop(clients);
    running.stop()?;
    Ok(held)
}

/// Makes connections that were answered, until there are so many, or one is not, or the time is over.
fn fill(running: &RunningSubject, connections: usize) -> io::Result<Vec<Client>> {
    let (mut clients, begin) = (Vec::new(), Instant::now());
    while clients.len() < connections && begin.elapsed() < FILL_TIME {
        let batch = BATCH.min(connections - clients.len());
        match add(&mut clients, batch, running) {
            Err(error) if clients.is_empty() => return Err(error),
            Err(_) => break,
            Ok(()) => {}
        }
    }
    Ok(clients)
}

/// Adds connections that were answered, up to the first that is not.
fn add(clients: &mut Vec<Client>, count: usize, running: &RunningSubject) -> io::Result<()> {
    let asked = || {
        let mut client = Client::connect(running.address(), PATIENCE)?;
        client.send("/")?;
        Ok(client)
    };
    for client in (0..count).map(|_| asked()).collect::<Vec<io::Result<Client>>>() {
        let mut client = client?;
        client.receive()?;
        clients.push(client);
    }
    Ok(())
}
