//! What is measured: a model of the roster or a peer, found by its name and started the same way.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result};
use c10k::output::note;
use c10k::subject::RunningSubject;

use crate::peer::Peer;
use crate::roster::{C10K, Model, roster};
use crate::sample::CONNECTIONS;
use crate::{PEERS, Pair};

/// One side of a pair.
#[derive(Debug)]
pub enum Subject {
    Model(Model),
    /// A peer, with its version.
    Peer(&'static Peer, String),
}

/// All subjects of the pairs that are there, by name; the others are told.
pub fn find_all(pairs: &[Pair]) -> Result<HashMap<&'static str, Subject>> {
    let roster = roster()?;
    let mut found = HashMap::new();
    for name in names(pairs) {
        match find(name, &roster) {
            Ok(subject) => _ = found.insert(name, subject),
            Err(reason) => note(&format!("peers: {name} is left out: {reason}\n")),
        }
    }
    Ok(found)
}

/// The subjects of some pairs by name, each once.
pub fn names(pairs: &[Pair]) -> BTreeSet<&'static str> {
    pairs.iter().flat_map(|&(model, peer)| [model, peer]).collect()
}

fn find(name: &str, roster: &[Model]) -> Result<Subject, String> {
    if let Some(peer) = PEERS.iter().find(|peer| peer.name == name) {
        let version = (peer.version)().ok_or("it is not installed")?;
        return Ok(Subject::Peer(peer, version));
    }
    match roster.iter().find(|model| model.name == name) {
        None => Err("it is no model of this build".into()),
        Some(Model { unavailable: Some(reason), .. }) => Err(reason.clone()),
        Some(model) => Ok(Subject::Model(model.clone())),
    }
}

impl Subject {
    /// What it is asked for.
    pub fn path(&self) -> &'static str {
        match self {
            Self::Model(_) => "/",
            Self::Peer(peer, _) => peer.path,
        }
    }

    /// What a peer is and its version; models are of this build.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Model(_) => None,
            Self::Peer(_, version) => Some(version),
        }
    }

    /// Starts it; `dir` has the page, and takes what a peer needs.
    pub fn start(&self, dir: &Path) -> Result<RunningSubject> {
        match self {
            Self::Model(model) => {
                RunningSubject::start(Path::new(C10K), &model.name, &model.worker_args(CONNECTIONS))
            }
            Self::Peer(peer, _) => {
                let address = free_address()?;
                RunningSubject::silent((peer.command)(dir, address)?, address)
                    .with_context(|| format!("{} did not start", peer.name))
            }
        }
    }
}

/// An address that nobody listens on: the kernel gave it out just now and gives out others first.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
    Ok(listener.local_addr()?)
}
