//! Registry of the standing suites and claims. They are built in, so that `c10k bench NAME` needs
//! no checkout; any other name is the path of a suite's file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Suite;

/// Suites that need no file.
pub(super) const BUILT_IN: &[(&str, &str)] = &[
    ("anatomy", include_str!("../../benches/suites/anatomy.toml")),
    ("burst", include_str!("../../benches/suites/burst.toml")),
    ("capacity", include_str!("../../benches/suites/capacity.toml")),
    ("counts", include_str!("../../benches/suites/counts.toml")),
    ("default", include_str!("../../benches/suites/default.toml")),
    ("examples", include_str!("../../benches/suites/examples.toml")),
    ("gate", include_str!("../../benches/suites/gate.toml")),
    ("handler", include_str!("../../benches/suites/handler.toml")),
    ("idle", include_str!("../../benches/suites/idle.toml")),
    ("lifetime", include_str!("../../benches/suites/lifetime.toml")),
    ("mixed", include_str!("../../benches/suites/mixed.toml")),
    ("models", include_str!("../../benches/suites/models.toml")),
    ("pool", include_str!("../../benches/suites/pool.toml")),
    ("scaling", include_str!("../../benches/suites/scaling.toml")),
    ("servers", include_str!("../../benches/suites/servers.toml")),
    ("sizes", include_str!("../../benches/suites/sizes.toml")),
    ("slow-clients", include_str!("../../benches/suites/slow-clients.toml")),
    ("topologies", include_str!("../../benches/suites/topologies.toml")),
    ("waiting", include_str!("../../benches/suites/waiting.toml")),
];

/// Published statements, each with the cells that test it.
pub(super) const CLAIMS: &[(&str, &str)] = &[
    ("blocked-loop", include_str!("../../benches/claims/blocked-loop.toml")),
    ("edge-and-level", include_str!("../../benches/claims/edge-and-level.toml")),
    ("events-and-threads", include_str!("../../benches/claims/events-and-threads.toml")),
    ("fork-and-memory", include_str!("../../benches/claims/fork-and-memory.toml")),
    ("full-pool", include_str!("../../benches/claims/full-pool.toml")),
    ("green-threads", include_str!("../../benches/claims/green-threads.toml")),
    ("idle-connections", include_str!("../../benches/claims/idle-connections.toml")),
    ("io-uring", include_str!("../../benches/claims/io-uring.toml")),
    ("keep-alive", include_str!("../../benches/claims/keep-alive.toml")),
    ("latency-at-90-percent", include_str!("../../benches/claims/latency-at-90-percent.toml")),
    ("poll-without-idle", include_str!("../../benches/claims/poll-without-idle.toml")),
    ("polling-crate", include_str!("../../benches/claims/polling-crate.toml")),
    ("pool-and-latency", include_str!("../../benches/claims/pool-and-latency.toml")),
    ("processes-and-threads", include_str!("../../benches/claims/processes-and-threads.toml")),
    ("reuseport", include_str!("../../benches/claims/reuseport.toml")),
    ("sharding-and-stealing", include_str!("../../benches/claims/sharding-and-stealing.toml")),
    ("short-backlog", include_str!("../../benches/claims/short-backlog.toml")),
    ("slow-clients-and-pools", include_str!("../../benches/claims/slow-clients-and-pools.toml")),
    ("stealing-tail", include_str!("../../benches/claims/stealing-tail.toml")),
    ("time-wait", include_str!("../../benches/claims/time-wait.toml")),
];

/// Name that stands for all claims.
const ALL_CLAIMS: &str = "claims";

impl Suite {
    /// Reads the suites of a name: one, or all claims.
    ///
    /// # Errors
    /// When a suite can't be read, see [`Suite::read`].
    pub fn read_all(name_or_path: &str, quick: bool) -> Result<Vec<Self>> {
        if name_or_path == ALL_CLAIMS {
            return CLAIMS.iter().map(|(name, _)| Self::read(name, quick)).collect();
        }
        Ok(vec![Self::read(name_or_path, quick)?])
    }

    /// Reads a suite by its built-in name or from the file of that path.
    pub fn read(name_or_path: &str, quick: bool) -> Result<Self> {
        let mut built_in = BUILT_IN.iter().chain(CLAIMS);
        if let Some((_, text)) = built_in.find(|(name, _)| *name == name_or_path) {
            return Self::parse(text, quick)
                .with_context(|| format!("the built-in suite {name_or_path}"));
        }
        let text = fs::read_to_string(name_or_path).with_context(|| {
            let names: Vec<_> =
                BUILT_IN.iter().map(|(name, _)| *name).chain([ALL_CLAIMS]).collect();
            format!(
                "cannot read the suite `{name_or_path}`; it is neither built in ({}) nor a file",
                names.join(", ")
            )
        })?;
        Self::parse(&text, quick)
            .with_context(|| format!("the suite {}", Path::new(name_or_path).display()))
    }
}

#[cfg(test)]
mod tests {
    use c10k_servers::ConnectionLimit;

    use super::*;

    #[test]
    fn the_built_in_suites_can_be_read() {
        for (suites, are_claims) in [(BUILT_IN, false), (CLAIMS, true)] {
            for (name, _) in suites {
                let suite = Suite::read(name, false).unwrap();
                assert_eq!(&suite.name, name);
                assert_eq!(suite.claim.is_some(), are_claims, "{name} names a suite and a claim");
                assert!(Suite::read(name, true).unwrap().pace.duration <= suite.pace.duration);
            }
        }
    }

    #[test]
    fn no_model_is_missing_in_the_suites_of_all_models() {
        for name in ["models", "anatomy"] {
            let suite = Suite::read(name, false).unwrap();
            let measured: Vec<_> =
                suite.subjects.iter().map(|subject| &subject.subject.name).collect();
            let roster: Vec<_> = c10k_servers::ROSTER.iter().map(|entry| entry.name).collect();
            assert_eq!(measured, roster);
        }
    }

    #[test]
    fn every_model_that_serves_several_has_its_idle_memory_measured() {
        let suite = Suite::read("anatomy", false).unwrap();
        for entry in c10k_servers::ROSTER
            .iter()
            .filter(|entry| entry.profile.connection_limit != ConnectionLimit::One)
        {
            let filters = [format!("^{}/.*idle", entry.name).parse().unwrap()];
            assert_eq!(suite.cells(&filters).len(), 1, "{}", entry.name);
        }
    }
}
