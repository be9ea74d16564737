//! Simulated gates: blocks and histograms drawn from a seed, with the changes that a test asks for,
//! written as a gate writes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use c10k_ci::block::{self, Arm, Block, CellOfBlock, Slice};
use c10k_ci::block_line;
use c10k_ci::gate::{BLOCKS_FILE, Gate, PLAN_FILE};
use c10k_ci::histograms::Writer;
use c10k_ci::margin::Margins;
use c10k_ci::plan::{self, Plan, Server, Workload};
use c10k_loadgen::Recorder;
use c10k_reports::record::Machine;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

/// Metrics that every slice has, and the value of each for the base.
pub const METRICS: [(&str, f64); 6] = [
    ("latency_p50_us", 410.0),
    ("latency_p999_us", 2_900.0),
    ("latency_p99_us", 1_150.0),
    ("memory_anonymous_bytes", 3.4e6),
    ("server_cpu_us_per_request", 6.4),
    ("throughput_rps", 74_000.0),
];

/// Metrics that have a margin, and that no slice has.
pub const NOT_MEASURED: [&str; 2] =
    ["context_switches_voluntary_per_request", "system_calls_per_request"];

pub const WORKLOADS: [&str; 2] = ["persistent-64", "short-64"];

/// A gate to simulate.
pub struct Simulation {
    pub blocks: u32,
    /// Pairs of slices in a block.
    pub pairs: u32,
    /// Ratio of candidate to base.
    pub ratio: fn(&str) -> f64,
    /// Standard deviation of a block's change, as a share; a slice has three times as much.
    pub noise: f64,
    /// True if there is a copy of the base.
    pub null: bool,
    /// Share of the candidate's requests that fail under the last workload.
    pub failed_share: f64,
    /// Number of latencies of a block in the histograms, for each workload and arm.
    pub samples: u32,
}

impl Simulation {
    /// A gate in which nothing changed.
    pub const NEUTRAL: Self = Self {
        blocks: 12,
        pairs: 6,
        ratio: |_| 1.0,
        noise: 0.005,
        null: false,
        failed_share: 0.0,
        samples: 2_000,
    };

    /// A gate in which CPU per request, and what follows from it, is 6 % worse, and the tail 30 %.
    pub const REGRESSED: Self = Self {
        ratio: |key| match key {
            "throughput_rps" => 0.94,
            "server_cpu_us_per_request" | "latency_p50_us" => 1.06,
            "latency_p99_us" | "latency_p999_us" => 1.3,
            _ => 1.0,
        },
        ..Self::NEUTRAL
    };

    /// A gate in which the noise hides everything.
    pub const UNDECIDED: Self = Self { noise: 0.04, ..Self::NEUTRAL };

    /// Returns the gate in a folder of its own.
    pub fn gate(&self) -> (TempDir, Gate) {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        let gate = Gate::read(folder.path()).unwrap();
        (folder, gate)
    }

    /// Writes the gate as the command does.
    pub fn write(&self, folder: &Path) {
        let mut random = ChaCha8Rng::seed_from_u64(12);
        let mut histograms = Writer::new(folder);
        let blocks: Vec<Block> =
            (1..=self.blocks).map(|number| self.block(number, &mut random)).collect();
        let lines: String = blocks.iter().cloned().map(block_line::write).collect();
        fs::write(folder.join(BLOCKS_FILE), lines).unwrap();
        fs::write(folder.join(PLAN_FILE), serde_json::to_string(&self.plan()).unwrap()).unwrap();
        for block in &blocks {
            for (workload, arm) in
                WORKLOADS.iter().flat_map(|name| self.arms().map(move |arm| (name, arm)))
            {
                let seen = self.seen(arm, &mut random);
                let length = Duration::from_millis(200) * self.pairs;
                histograms.append((workload, arm), block.number, length, seen).unwrap();
            }
        }
    }

    fn arms(&self) -> impl Iterator<Item = Arm> + use<> {
        let copy = self.null.then_some(Arm::Null);
        [Arm::Base, Arm::Candidate].into_iter().chain(copy)
    }

    fn block(&self, number: u32, random: &mut ChaCha8Rng) -> Block {
        let cells = WORKLOADS.iter().map(|workload| self.cell(workload, random)).collect();
        let started = self.arms().collect();
        let started_utc = "2026-03-01T12:00:07Z".to_owned();
        Block { version: block::VERSION, number, started_utc, started, cells }
    }

    fn cell(&self, workload: &str, random: &mut ChaCha8Rng) -> CellOfBlock {
        let restarts: BTreeMap<(Arm, &str), f64> = self
            .arms()
            .flat_map(|arm| METRICS.map(|(key, _)| (arm, key)))
            .map(|place| (place, self.noise * normal(random)))
            .collect();
        let mut slices = Vec::new();
        for pair in 1..=self.pairs {
            for arm in self.arms() {
                let value = |(key, base): (&'static str, f64)| {
                    let ratio = if arm == Arm::Candidate { (self.ratio)(key) } else { 1.0 };
                    let noise = restarts[&(arm, key)] + 3.0 * self.noise * normal(random);
                    (key.to_owned(), base * ratio * noise.exp())
                };
                let metrics = METRICS.map(value).into();
                let fails = arm == Arm::Candidate && workload == WORKLOADS[WORKLOADS.len() - 1];
                let failed_share = if fails { self.failed_share } else { 0.0 };
                let failed_checks =
                    if failed_share > 0.0 { vec!["errors".to_owned()] } else { Vec::new() };
                slices.push(Slice { pair, arm, metrics, failed_share, failed_checks });
            }
        }
        CellOfBlock { workload: workload.to_owned(), slices }
    }

    /// Returns the latencies of a block, whose tail is longer by the ratio of p99.
    fn seen(&self, arm: Arm, random: &mut ChaCha8Rng) -> Recorder {
        let ratio = |key| if arm == Arm::Candidate { (self.ratio)(key) } else { 1.0 };
        let mut seen = Recorder::default();
        for _ in 0..self.samples {
            let is_tail = random.random_bool(0.03);
            let (middle, ratio) = if is_tail {
                (1.1e6, ratio("latency_p99_us"))
            } else {
                (4.1e5, ratio("latency_p50_us"))
            };
            let ns = middle * ratio * (0.3 * normal(random)).exp();
            seen.times.latency.saturating_record(ns as u64);
        }
        seen
    }

    fn plan(&self) -> Plan {
        let server = |name: &str| Server {
            name: Some(name.to_owned()),
            revision: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            command: "c10k serve epoll <b> --addr 127.0.0.1:{port}".to_owned(),
        };
        let workload = |name: &str| Workload {
            name: name.to_owned(),
            description: "GET / on 64 connections that stay".to_owned(),
            rate_rps: (name == "short-64").then_some(12_345.0),
        };
        Plan {
            version: plan::VERSION,
            started_utc: "2026-03-01T12:00:00Z".to_owned(),
            command: "c10k gate --base main".to_owned(),
            c10k_version: "0.1.0".to_owned(),
            c10k_revision: "0123456789ab".to_owned(),
            machine: Machine {
                cpu: "A Processor @ 2.4 GHz".to_owned(),
                cpus: 2,
                memory_bytes: 8 << 30,
                kernel: "Linux 6.1 x86_64".to_owned(),
                limits: Vec::new(),
            },
            server_cpus: vec![0],
            generator_cpus: vec![1],
            base: server("main"),
            candidate: server("worktree"),
            null: self.null,
            suite: "gate".to_owned(),
            workloads: WORKLOADS.map(workload).into(),
            blocks: self.blocks,
            pairs: self.pairs,
            slice_s: 0.2,
            budget_s: Some(300.0),
            seed: 4_711,
            margins: Margins::built_in(),
            counts: false,
            uncounted: Vec::new(),
        }
    }
}

/// Returns a number that is about normal, with a standard deviation of 1: the sum of twelve uniform
/// numbers.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random_range(-0.5..0.5)).sum()
}
