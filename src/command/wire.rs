//! `c10k wire MODEL|URL`: captures one connection, and shows it packet by packet.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use c10k_loadgen::Target;
use c10k_loadgen::workload::Closer;
use c10k_reports::WholeFile;
use c10k_servers::{ROSTER, find};

use crate::interrupt::{self, Interrupt};
use crate::limits;
use crate::network::{self, Topology};
use crate::output::{note, print};
use crate::wire::scene::{self, Scene};
use crate::wire::{Capture, Exchange, Lifetime, Order, Part, Side, json, pcapng, text};

/// Most requests on the connection: more would not be read.
const MOST_REQUESTS: u32 = 100;

/// Requests on a persistent connection, unless they are given: enough to see that the handshake is
/// not repeated.
const PERSISTENT_REQUESTS: u32 = 2;

/// Show one connection packet by packet
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A model of `c10k models`, which is started in a network of its own, or the http:// URL of a
    /// server that runs already, which needs the right to capture here
    #[arg(value_name = "MODEL|URL")]
    subject: String,
    /// Requests on the connection: short (one) or persistent (several)
    #[arg(long, value_enum, default_value = "short")]
    lifetime: LifetimeArg,
    /// Requests on a persistent connection [default: 2]
    #[arg(long, value_name = "N", value_parser = limits::whole(1..=MOST_REQUESTS))]
    requests: Option<u32>,
    /// End that closes the connection first [default: server if short, client if persistent]
    #[arg(long, value_name = "END")]
    close: Option<Closer>,
    /// Network between client and server, made of network namespaces
    #[arg(long, value_enum, default_value = "loopback")]
    topology: Topology,
    /// An exchange that goes another way: backlog (the queue of the listener is full), reset (the
    /// client closes without reading), half-close (the client closes its direction only), syn (the
    /// client never completes the handshake)
    #[arg(long, value_name = "NAME", value_parser = scene::parse,
          conflicts_with_all = ["lifetime", "requests", "close", "topology", "no_reuse_address"])]
    scene: Option<&'static Scene>,
    /// Start the server again after the connection, without `SO_REUSEADDR`: it can't listen while
    /// its port is in TIME_WAIT
    #[arg(long)]
    no_reuse_address: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Write the captured packets to a file for Wireshark
    #[arg(long, value_name = "FILE")]
    pcapng: Option<PathBuf>,
    /// Folder of the page and its pictures
    #[arg(long, default_value = "reports/wire", value_name = "DIR")]
    output: PathBuf,
}

/// [`Lifetime`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LifetimeArg {
    Short,
    Persistent,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        let order = self.order()?;
        let pcapng = self.pcapng.as_deref().map(WholeFile::open).transpose()?;
        fs::create_dir_all(&self.output)
            .with_context(|| format!("cannot make {}", self.output.display()))?;
        if matches!(order, Order::Model { .. }) {
            network::enter_user_namespace()?;
        }
        limits::check_threads()?;
        let interrupt = Interrupt::catch()?;
        let capture = match order.perform(&interrupt) {
            Err(_) if interrupt.happened() => return Ok(ExitCode::from(interrupt::STATUS)),
            captured => captured?,
        };
        if let Some(file) = pcapng {
            file.write(pcapng::bytes(&capture.observation)?)?;
        }
        self.tell(&capture)
    }

    fn tell(&self, capture: &Capture) -> Result<ExitCode> {
        let shown = capture.shown();
        let page = c10k_reports::wire::write(&shown, &self.output, &capture.name)?;
        print(&if self.json { json::write(capture) } else { text::write(&shown) })?;
        note(&format!("the page: {}\n", page.display()));
        Ok(ExitCode::SUCCESS)
    }

    /// Turns the arguments into an order, and refuses combinations without a meaning.
    fn order(&self) -> Result<Order> {
        if self.subject.contains("://") {
            return self.order_of_url();
        }
        let entry = find(&self.subject).ok_or_else(|| {
            let names = ROSTER.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ");
            anyhow!("there is no model `{}`; write a URL or one of {names}", self.subject)
        })?;
        let part = self
            .scene
            .map_or_else(|| self.exchange().map(Part::Exchange), |scene| Ok(Part::Scene(scene)))?;
        let restarts = self.no_reuse_address;
        Ok(Order::Model { entry, topology: self.topology, part, restarts })
    }

    fn order_of_url(&self) -> Result<Order> {
        let needs_model = [
            (self.scene.is_some(), "--scene"),
            (self.no_reuse_address, "--no-reuse-address"),
            (self.topology != Topology::Loopback, "--topology"),
        ];
        for (is_set, option) in needs_model {
            ensure!(
                !is_set,
                "{option} needs a server that c10k starts itself; name a model in place of a URL"
            );
        }
        let exchange = self.exchange()?;
        Ok(Order::Url { target: Target::resolve(&self.subject)?, exchange })
    }

    fn exchange(&self) -> Result<Exchange> {
        let (lifetime, requests) = match self.lifetime {
            LifetimeArg::Persistent => {
                (Lifetime::Persistent, self.requests.unwrap_or(PERSISTENT_REQUESTS))
            }
            LifetimeArg::Short => {
                ensure!(
                    self.requests.unwrap_or(1) == 1,
                    "a short connection carries one request; add --lifetime persistent for --requests"
                );
                (Lifetime::Short, 1)
            }
        };
        let closes = match self.close {
            Some(Closer::Server) => Side::Server,
            None if self.no_reuse_address || lifetime == Lifetime::Short => Side::Server,
            Some(Closer::Client) | None => Side::Client,
        };
        ensure!(
            closes == Side::Server || !self.no_reuse_address,
            "--no-reuse-address shows the TIME_WAIT of the server, which has to close first; \
             leave out --close client"
        );
        Ok(Exchange { lifetime, closes, requests })
    }
}
