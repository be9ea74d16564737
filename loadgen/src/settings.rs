//! [`Settings`], the workload in its written form, so that a reader of a result can send the same
//! load again.
//!
//! It is the wire type of [`Workload`], whose fields suit the generator and not a reader.

use serde::{Deserialize, Serialize};

use crate::workload::{Arrivals, Pacing, Until, Workload};

/// Workload that the generator was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Settings {
    /// Method of the requests.
    pub method: String,
    /// Names of the header fields that were given; their values may be secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Length of the body of a request.
    pub body_bytes: u64,
    /// Connections that send requests.
    pub connections: u64,
    /// Further connections that are only held.
    pub idle: u64,
    /// Further connections of slow clients; absent in records that are older than this field.
    #[serde(default)]
    pub slow: u64,
    /// Bytes per second of each slow client, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_bytes_per_s: Option<f64>,
    /// Requests per connection: `persistent`, `short` for one, or their number.
    pub lifetime: String,
    /// End that closes a connection after its last request, `server` or `client`, if the workload
    /// sets it; otherwise it is the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<String>,
    /// Requests per second of an open loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_rps: Option<f64>,
    /// Spread of an open loop's requests over time: `constant` or `poisson`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<String>,
    /// Seed of an open loop's random arrivals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Time before a send at which a worker of an open loop begins to spin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spin_s: Option<f64>,
    /// Most connections that are opened per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_rate: Option<f64>,
    /// Length of the measured part, if the run ends after a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Requests of the measured part, if the run ends after a number of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Length of the warm-up.
    pub warmup_s: f64,
    /// Time without a response after which a request is given up.
    pub timeout_s: f64,
    /// Threads that the generator was given; connections are distributed among them, and each
    /// thread has its own queue.
    pub threads: u64,
    /// Length of the intervals after which the generator reports its results.
    pub interval_s: f64,
}

impl From<&Workload> for Settings {
    fn from(workload: &Workload) -> Self {
        let Workload { request, .. } = workload;
        let names = request.headers.iter().map(|(name, _)| name.clone());
        let mut settings = Self {
            method: request.method.clone(),
            headers: names.collect(),
            body_bytes: request.body.len() as u64,
            connections: workload.connections as u64,
            idle: workload.idle as u64,
            slow: workload.slow as u64,
            slow_bytes_per_s: (workload.slow > 0).then_some(workload.slow_bytes_per_s),
            lifetime: workload.lifetime.to_string(),
            close: workload.close.map(|end| end.to_string()),
            rate_rps: None,
            arrivals: None,
            seed: None,
            spin_s: None,
            connect_rate: workload.connect_rate,
            duration_s: None,
            requests: None,
            warmup_s: workload.warmup.as_secs_f64(),
            timeout_s: workload.timeout.as_secs_f64(),
            threads: workload.threads as u64,
            interval_s: workload.interval.as_secs_f64(),
        };
        settings.set_pacing(workload.pacing);
        match workload.until {
            Until::Elapsed(duration) => settings.duration_s = Some(duration.as_secs_f64()),
            Until::Requests(requests) => settings.requests = Some(requests),
            Until::Told => {}
        }
        settings
    }
}

impl Settings {
    fn set_pacing(&mut self, pacing: Pacing) {
        let Pacing::Open { rate, arrivals, seed, spin } = pacing else { return };
        self.rate_rps = Some(rate);
        self.arrivals = Some(arrivals.to_string());
        self.seed = (arrivals == Arrivals::Poisson).then_some(seed);
        self.spin_s = Some(spin.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::target::Request;
    use crate::workload::Lifetime;

    #[test]
    fn an_open_loop_records_its_arrivals_and_their_seed() {
        let pacing = Pacing::Open {
            rate: 500.0,
            arrivals: Arrivals::Poisson,
            seed: 7,
            spin: Duration::from_micros(100),
        };
        let settings = Settings::from(&Workload { pacing, ..Workload::default() });
        assert_eq!(
            (settings.rate_rps, settings.arrivals.as_deref()),
            (Some(500.0), Some("poisson"))
        );
        assert_eq!((settings.seed, settings.duration_s), (Some(7), Some(10.0)));
    }

    #[test]
    fn a_closed_loop_has_neither_and_values_of_headers_are_not_recorded() {
        let headers = vec![("Authorization".to_owned(), "secret".to_owned())];
        let request = Request { headers, body: b"abc".to_vec(), ..Request::default() };
        let lifetime = Lifetime::SHORT;
        let settings = Settings::from(&Workload {
            lifetime,
            request,
            ..Workload::lasting(Until::Requests(10))
        });
        assert_eq!((settings.seed, settings.rate_rps, settings.requests), (None, None, Some(10)));
        let json = serde_json::to_string(&settings).unwrap();
        assert!(
            json.contains(r#""headers":["Authorization"]"#) && !json.contains("secret"),
            "{json}"
        );
        assert_eq!((settings.lifetime.as_str(), settings.body_bytes), ("short", 3));
    }
}
