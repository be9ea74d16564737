//! The folder of a simulated gate: blocks with noise, from a seed.

use std::fs;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Blocks of the gate.
const BLOCKS: u32 = 10;

/// Pairs of slices of a workload in a block.
const PAIRS: u32 = 3;

/// A gate to simulate.
pub struct Simulated<'a> {
    /// Names of the workloads.
    pub workloads: &'a [&'a str],
    /// CPU time of the candidate, as a multiple of that of the base; throughput is its inverse.
    pub cost: f64,
    /// Revisions of base and candidate; `None` where commands are compared.
    pub revisions: Option<(&'a str, &'a str)>,
    /// Time when the gate began.
    pub time: &'a str,
    /// Seed of the noise.
    pub seed: u64,
}

impl Simulated<'_> {
    /// Writes the plan and the blocks of the gate into a folder, which is made.
    pub fn write(&self, folder: &Path) {
        let write = |file: &str, text: String| {
            fs::write(folder.join(file), text).expect("a file of a new folder can be written");
        };
        fs::create_dir_all(folder).expect("a folder can be made");
        write("plan.json", self.plan().to_string());
        let lines: Vec<String> = self.blocks().iter().map(Value::to_string).collect();
        write("blocks.jsonl", lines.join("\n") + "\n");
    }

    fn plan(&self) -> Value {
        let server = |revision: Option<&str>| json!({ "name": revision, "revision": revision, "command": "serve" });
        let margin = |margin: f64| json!({ "margin": margin, "decides": true, "reason": "a test" });
        let workload = |name: &&str| json!({ "name": name, "description": "a test" });
        json!({
            "version": 1, "started_utc": self.time, "command": "c10k gate", "c10k_version": "0.1.0",
            "c10k_revision": "unknown",
            "machine": {
                "cpu": "A CPU", "cpus": 2, "memory_bytes": 8_589_934_592_u64,
                "kernel": "Linux 6.8.0-1021-azure x86_64", "limits": [],
            },
            "server_cpus": [0], "generator_cpus": [1],
            "base": server(self.revisions.map(|both| both.0)),
            "candidate": server(self.revisions.map(|both| both.1)),
            "null": false, "suite": "gate",
            "workloads": self.workloads.iter().map(workload).collect::<Vec<_>>(),
            "blocks": BLOCKS, "pairs": PAIRS, "slice_s": 0.2, "budget_s": 300.0, "seed": self.seed,
            "margins": {
                "server_cpu_us_per_request": margin(0.02), "throughput_rps": margin(0.02),
                "latency_p99_us": margin(0.05),
            },
        })
    }

    fn blocks(&self) -> Vec<Value> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let cell = |workload: &&str, random: &mut ChaCha8Rng| {
            let order: Vec<&str> = (0..PAIRS).flat_map(|_| ["base", "candidate"]).collect();
            let arms = json!({ "base": Self::arm(1.0, random), "candidate": Self::arm(self.cost, random) });
            json!({ "workload": workload, "order": order, "arms": arms })
        };
        let block = |number| {
            let cells: Vec<Value> =
                self.workloads.iter().map(|name| cell(name, &mut random)).collect();
            json!({
                "version": 1, "number": number, "started_utc": self.time, "started": ["base", "candidate"],
                "cells": cells,
            })
        };
        (1..=BLOCKS).map(block).collect()
    }

    /// Returns the columns of a server whose requests cost `cost` times as much.
    fn arm(cost: f64, random: &mut ChaCha8Rng) -> Value {
        let mut column = |middle: f64, share: f64| -> Vec<f64> {
            (0..PAIRS).map(|_| middle * (1.0 + random.random_range(-share..share))).collect()
        };
        json!({
            "metrics": {
                "server_cpu_us_per_request": column(50.0 * cost, 0.01),
                "throughput_rps": column(20_000.0 / cost, 0.01),
                "latency_p99_us": column(900.0, 0.1),
            },
        })
    }
}
