//! A capture from the order to the result: the exchange, with its explanation.

use anyhow::Result;
use c10k_loadgen::Target;
use c10k_servers::Entry;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::exchange::{Exchange, Requests};
use super::observation::Observation;
use super::scene::Scene;
use super::stage::{Restart, Stage};
use super::{journey_story, story, url};
use crate::interrupt::Interrupt;
use crate::network::Topology;

/// Remark of a capture with the calls of the server.
const STRACE: &str = "The server's calls are shown by strace, which stops the server at each of them: \
                      without it, the response leaves earlier.";

/// Remark of a capture of a server whose operations are no calls.
const IO_URING: &str = "The server gives its operations to the kernel by io_uring: they are no system \
                        calls, and of them only io_uring_enter(), which submits them, is seen.";

/// What is to be captured.
#[derive(Debug)]
pub enum Order {
    /// An exchange with a model, in a network of its own.
    Model {
        entry: &'static Entry,
        topology: Topology,
        part: Part,
        /// True if the server is started again afterwards, without `SO_REUSEADDR`.
        restarts: bool,
    },
    /// An exchange with a server that runs already.
    Url { target: Target, exchange: Exchange },
}

/// The client's part.
#[derive(Debug)]
pub enum Part {
    Exchange(Exchange),
    Scene(&'static Scene),
}

/// A capture with its explanation.
#[derive(Debug)]
pub struct Capture {
    /// Model or URL.
    pub subject: String,
    /// Name for files.
    pub name: String,
    /// Time of the start, as RFC 3339.
    pub started_utc: String,
    /// The exchange in a sentence.
    pub lead: String,
    /// The order, as keys of JSON.
    pub settings: Map<String, Value>,
    pub topology: Topology,
    pub observation: Observation,
    pub story: Vec<String>,
    /// Restrictions that a reader must know.
    pub notes: Vec<String>,
    pub restart: Option<Restart>,
}

impl Order {
    /// Performs the exchange, and explains it.
    pub fn perform(&self, interrupt: &Interrupt) -> Result<Capture> {
        let started_utc = Timestamp::now().to_string();
        let (observation, restart) = match self {
            Self::Url { target, exchange } => (url::perform(target, exchange, interrupt)?, None),
            Self::Model { entry, topology, part, restarts } => {
                let play = |client: &mut Client<'_>| part.play(client);
                let stage = Stage {
                    entry,
                    serve: part.serve(),
                    topology: *topology,
                    play: &play,
                    ends: part.ends(),
                    restarts: *restarts,
                    interrupt,
                };
                stage.perform()?
            }
        };
        let mut story = journey_story::tell(&observation);
        story.extend(match self.part() {
            Some(Part::Scene(scene)) => (scene.tell)(&observation),
            _ => story::tell(&observation, restart.as_ref()),
        });
        Ok(Capture {
            subject: self.subject(),
            name: self.name(),
            started_utc,
            lead: self.lead(),
            settings: self.settings(),
            topology: self.topology(),
            notes: notes(&observation),
            observation,
            story,
            restart,
        })
    }

    fn subject(&self) -> String {
        match self {
            Self::Model { entry, .. } => entry.name.to_owned(),
            Self::Url { target, .. } => target.url.clone(),
        }
    }

    fn topology(&self) -> Topology {
        match self {
            Self::Model { topology, .. } => *topology,
            Self::Url { .. } => Topology::Loopback,
        }
    }

    fn part(&self) -> Option<&Part> {
        match self {
            Self::Model { part, .. } => Some(part),
            Self::Url { .. } => None,
        }
    }

    fn exchange(&self) -> Option<&Exchange> {
        match self {
            Self::Url { exchange, .. } | Self::Model { part: Part::Exchange(exchange), .. } => {
                Some(exchange)
            }
            Self::Model { part: Part::Scene(_), .. } => None,
        }
    }

    fn lead(&self) -> String {
        let subject = self.subject();
        let what = match (self.exchange(), self.part()) {
            (Some(exchange), _) => format!("{subject}, {exchange}"),
            (None, Some(Part::Scene(scene))) => format!("{subject}: {}", scene.about),
            (None, _) => subject,
        };
        match self {
            Self::Url { .. } => format!("{what}."),
            Self::Model { topology, .. } => format!("{what}; {}.", topology.describe()),
        }
    }

    fn name(&self) -> String {
        let subject = match self {
            Self::Model { entry, .. } => entry.name,
            Self::Url { .. } => "url",
        };
        let what = match (self.exchange(), self.part()) {
            (Some(exchange), _) => {
                format!("{}-{}", exchange.lifetime.name(), exchange.closes.name())
            }
            (None, Some(Part::Scene(scene))) => scene.name.to_owned(),
            (None, _) => String::new(),
        };
        c10k_reports::slug(&format!("{subject}-{what}-{}", self.topology()))
    }

    fn settings(&self) -> Map<String, Value> {
        let scene = match self.part() {
            Some(Part::Scene(scene)) => Some(scene.name),
            _ => None,
        };
        let topology = matches!(self, Self::Model { .. }).then(|| self.topology().name());
        let exchange = self.exchange();
        Map::from_iter([
            ("lifetime".into(), json!(exchange.map(|exchange| exchange.lifetime.name()))),
            ("close".into(), json!(exchange.map(|exchange| exchange.closes.name()))),
            ("requests".into(), json!(exchange.map(|exchange| exchange.requests))),
            ("topology".into(), json!(topology)),
            ("scene".into(), json!(scene)),
        ])
    }
}

impl Part {
    fn play(&self, client: &mut Client<'_>) -> Result<()> {
        match self {
            Self::Scene(scene) => (scene.play)(client),
            Self::Exchange(exchange) => {
                let requests =
                    Requests { ordinary: client.get("/", false), last: client.get("/", true) };
                exchange.play(client, &requests)
            }
        }
    }

    fn serve(&self) -> Vec<String> {
        match self {
            Self::Scene(scene) => scene.serve.iter().map(|word| (*word).to_owned()).collect(),
            Self::Exchange(_) => Vec::new(),
        }
    }

    fn ends(&self) -> bool {
        match self {
            Self::Scene(scene) => scene.ends,
            Self::Exchange(_) => true,
        }
    }
}

fn notes(observation: &Observation) -> Vec<String> {
    let mut notes = observation.notes.clone();
    match &observation.no_server_calls {
        Some(reason) => notes.push(reason.clone()),
        None => notes.push(STRACE.into()),
    }
    if observation.uses_io_uring() {
        notes.push(IO_URING.into());
    }
    notes.extend(observation.no_states.clone());
    if observation.lost > 0 {
        notes.push(format!(
            "The kernel had no capacity for {} packets of this capture: rows may be missing.",
            observation.lost
        ));
    }
    notes
}
