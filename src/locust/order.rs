//! Load that a worker is to send: c10k's part of the master's options as the locustfile writes it,
//! and the generator's workload that follows from it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use c10k_loadgen::workload::{Arrivals, Lifetime, Pacing, Share, Until};
use c10k_loadgen::{Request, Workload};
use serde::Deserialize;

use crate::{limits, time};

/// Plan of a test for all of its workers. Texts are those that `c10k load` takes.
#[derive(Debug, Clone, Deserialize)]
pub struct Plan {
    /// Identity of the test.
    pub run: String,
    /// Number of the spawn within the test: users may be moved between workers while it runs.
    segment: u64,
    /// Identities of the workers that have users, in the order of their shares.
    workers: Vec<String>,
    #[serde(flatten)]
    settings: Settings,
}

/// Settings of a load that are the same for all workers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Settings {
    /// Connections that all workers together open per second.
    connect_rate: f64,
    /// Requests per second of an open loop, all workers together.
    rate: Option<f64>,
    arrivals: String,
    seed: u64,
    lifetime: String,
    warmup: String,
    timeout: String,
    method: String,
    headers: Vec<String>,
    body: String,
}

/// Load of one worker.
#[derive(Debug, Clone)]
pub struct Order {
    /// URL to request.
    pub url: String,
    /// Connections of this worker.
    pub connections: u64,
    /// Number of the spawn that this load began with.
    pub segment: u64,
    share: Share,
    settings: Arc<Settings>,
}

impl Order {
    /// Creates the load of the worker of this identity.
    pub fn new(plan: Plan, url: String, connections: u64, identity: &str) -> Self {
        let of = plan.workers.len().max(1);
        let index = plan.workers.iter().position(|worker| worker == identity).unwrap_or_default();
        Self {
            url,
            connections,
            segment: plan.segment,
            share: Share { index, of },
            settings: Arc::new(plan.settings),
        }
    }

    /// Method of the requests.
    pub fn method(&self) -> &str {
        &self.settings.method
    }

    /// Returns true if a generator that sends this load may go on for the other one.
    pub fn is_same_load(&self, other: &Self) -> bool {
        let is_split = self.settings.rate.is_some();
        self.url == other.url
            && self.connections == other.connections
            && self.settings == other.settings
            && (!is_split || self.share == other.share)
    }

    /// Turns the load into a workload of a generator with this number of threads.
    ///
    /// # Errors
    /// When a setting has no such value as `c10k load` takes.
    pub fn workload(&self, threads: usize) -> Result<Workload> {
        let settings = &self.settings;
        let lifetime = settings.lifetime.parse().map_err(anyhow::Error::msg);
        let lifetime = lifetime.context("--lifetime of the locustfile")?;
        let connections = usize::try_from(self.connections)?;
        limits::check_connections(connections)?;
        limits::check_method(&settings.method).context("--method of the locustfile")?;
        let headers = settings.headers.iter().map(|header| limits::parse_header(header));
        let headers = headers.collect::<Result<_>>().context("--header of the locustfile")?;
        let request = Request {
            method: settings.method.clone(),
            headers,
            body: settings.body.clone().into_bytes(),
        };
        Ok(Workload {
            pacing: self.pacing()?,
            connections,
            lifetime,
            connect_rate: self.connect_rate(lifetime)?,
            share: self.share,
            warmup: time::parse(&settings.warmup).context("--warmup of the locustfile")?,
            timeout: self.timeout()?,
            threads,
            request,
            ..Workload::lasting(Until::Told)
        })
    }

    fn timeout(&self) -> Result<Duration> {
        time::parse_positive(&self.settings.timeout).context("--timeout of the locustfile")
    }

    fn pacing(&self) -> Result<Pacing> {
        let Some(rate) = self.settings.rate else { return Ok(Pacing::Closed) };
        let arrivals = match self.settings.arrivals.as_str() {
            "constant" => Arrivals::Constant,
            "poisson" => Arrivals::Poisson,
            other => bail!("--arrivals of the locustfile is `{other}`; write constant or poisson"),
        };
        let rate = limits::check_rate(rate).context("--rate of the locustfile")?;
        Ok(Pacing::Open {
            rate: rate / self.share.of as f64,
            arrivals,
            seed: self.settings.seed,
            spin: time::SPIN,
        })
    }

    /// Returns this worker's part of the spawn rate. Connections that end after some requests are
    /// made again for the next ones, which the rate of users must not hold back.
    fn connect_rate(&self, lifetime: Lifetime) -> Result<Option<f64>> {
        if lifetime != Lifetime::Persistent {
            return Ok(None);
        }
        let rate = limits::check_rate(self.settings.connect_rate / self.share.of as f64);
        let rate = rate.context("the spawn rate")?;
        limits::check_time(self.connections, "users", rate).context("the spawn rate")?;
        Ok(Some(rate))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns the load of one of two workers, `a` and `b`.
    pub fn order(identity: &str, rate: Option<f64>) -> Order {
        let settings = Settings {
            connect_rate: 10.0,
            rate,
            arrivals: "poisson".into(),
            seed: 7,
            lifetime: "persistent".into(),
            warmup: "0s".into(),
            timeout: "5s".into(),
            method: "GET".into(),
            headers: vec!["Accept: */*".into()],
            body: String::new(),
        };
        let plan =
            Plan { run: "r".into(), segment: 0, workers: vec!["a".into(), "b".into()], settings };
        Order::new(plan, "http://127.0.0.1:1/".into(), 3, identity)
    }

    #[test]
    fn users_are_connections_and_the_spawn_rate_is_split() {
        let workload = order("b", None).workload(2).unwrap();
        assert_eq!((workload.connections, workload.threads), (3, 2));
        assert_eq!(workload.connect_rate, Some(5.0));
        assert_eq!((workload.pacing, workload.until), (Pacing::Closed, Until::Told));
    }

    #[test]
    fn a_rate_is_split_and_each_worker_has_its_place() {
        for (identity, index) in [("a", 0), ("b", 1)] {
            let workload = order(identity, Some(1000.0)).workload(1).unwrap();
            assert_eq!(workload.pacing.rate(), Some(500.0));
            assert_eq!(workload.share, Share { index, of: 2 });
        }
    }

    #[test]
    fn short_connections_are_made_as_they_are_needed() {
        let mut order = order("a", None);
        Arc::make_mut(&mut order.settings).lifetime = "short".into();
        assert_eq!(order.workload(1).unwrap().connect_rate, None);
    }

    #[test]
    fn the_place_of_a_worker_matters_to_an_open_loop_alone() {
        let is_same = |rate| order("a", rate).is_same_load(&order("b", rate));
        assert!(is_same(None) && !is_same(Some(10.0)));
    }

    #[test]
    fn a_setting_that_is_none_is_refused_with_its_name() {
        let refusal = |change: fn(&mut Settings)| {
            let mut order = order("a", Some(1.0));
            change(Arc::make_mut(&mut order.settings));
            format!("{:#}", order.workload(1).unwrap_err())
        };
        assert!(refusal(|settings| settings.lifetime = "long".into()).contains("--lifetime"));
        assert!(refusal(|settings| settings.timeout = "0s".into()).contains("--timeout"));
        assert!(refusal(|settings| settings.arrivals = "odd".into()).contains("--arrivals"));
        assert!(refusal(|settings| settings.rate = Some(-1.0)).contains("--rate"));
        assert!(refusal(|settings| settings.headers = vec!["x".into()]).contains("--header"));
        assert!(refusal(|settings| settings.connect_rate = 1e-9).contains("spawn rate"));
    }
}
