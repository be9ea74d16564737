//! Simulated blocks of a gate, for tests: two workloads with the noise of a shared machine.

use std::fs;
use std::path::Path;

use c10k_reports::record::Machine;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::block::{Arm, Block, CellOfBlock, Slice, VERSION};
use crate::block_line;
use crate::gate::{BLOCKS_FILE, PLAN_FILE};
use crate::margin::Margins;
use crate::plan::{self, Plan, Server, Workload};

pub(crate) const CPU: &str = "server_cpu_us_per_request";
pub(crate) const THROUGHPUT: &str = "throughput_rps";
pub(crate) const P50: &str = "latency_p50_us";
pub(crate) const P99: &str = "latency_p99_us";

/// Pairs of slices of a workload within a block.
const PAIRS: u32 = 6;

/// Standard deviation of the effect of a restart on a server, in logarithms.
const OF_A_RESTART: f64 = 0.01;

/// Standard deviation of a slice, in logarithms. The deviation of its 99th percentile is ten times
/// as large.
const OF_A_SLICE: f64 = 0.015;

/// Returns the margins of the project for the simulated metrics.
pub(crate) fn margins() -> Margins {
    let table = |(key, margin, decides): (&str, f64, bool)| {
        format!("[{key}]\nmargin = {margin}\ndecides = {decides}\nreason = \"a test\"\n")
    };
    let tables =
        [(CPU, 0.02, true), (THROUGHPUT, 0.02, true), (P50, 0.03, false), (P99, 0.05, false)];
    Margins::parse(&tables.map(table).concat()).expect("they are valid")
}

/// Returns blocks of identical servers, with `change` applied to each slice of the candidate.
pub(crate) fn blocks(count: u32, seed: u64, change: impl Fn(&mut Slice)) -> Vec<Block> {
    gate(count, seed, &[Arm::Base, Arm::Candidate], |arm, slice| {
        if arm == Arm::Candidate {
            change(slice);
        }
    })
}

/// Returns blocks of identical servers with a copy of the base as a third arm, with `change`
/// applied to each slice.
pub(crate) fn blocks_with_null(
    count: u32,
    seed: u64,
    change: impl Fn(Arm, &mut Slice),
) -> Vec<Block> {
    gate(count, seed, &[Arm::Base, Arm::Candidate, Arm::Null], change)
}

fn gate(count: u32, seed: u64, arms: &[Arm], change: impl Fn(Arm, &mut Slice)) -> Vec<Block> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |deviation: f64| {
        Normal::new(0.0, deviation).expect("a deviation is not negative").sample(&mut random)
    };
    let block = |number| {
        let of_restart: Vec<f64> = arms.iter().map(|_| draw(OF_A_RESTART)).collect();
        let mut cell = |workload: &str| {
            let mut slices = Vec::new();
            for pair in 1..=PAIRS {
                for (arm, of_restart) in arms.iter().zip(&of_restart) {
                    let mut slice =
                        slice(pair, *arm, of_restart + draw(OF_A_SLICE), draw(10.0 * OF_A_SLICE));
                    change(*arm, &mut slice);
                    slices.push(slice);
                }
            }
            CellOfBlock { workload: workload.to_owned(), slices }
        };
        let cells = vec![cell("closed"), cell("open")];
        Block {
            version: VERSION,
            number,
            started_utc: String::new(),
            started: arms.to_vec(),
            cells,
        }
    };
    (1..=count).map(block).collect()
}

/// Creates a slice. Throughput and the median follow the CPU time, as in a closed loop.
fn slice(pair: u32, arm: Arm, cost: f64, tail: f64) -> Slice {
    let metrics = [
        (CPU, 50.0 * cost.exp()),
        (THROUGHPUT, 20_000.0 / cost.exp()),
        (P50, 300.0 * cost.exp()),
        (P99, 900.0 * tail.exp()),
    ];
    let metrics = metrics.map(|(key, value)| (key.to_owned(), value)).into();
    Slice { pair, arm, metrics, failed_share: 0.0, failed_checks: Vec::new() }
}

/// Makes a metric `factor` times as large.
pub(crate) fn scale(slice: &mut Slice, key: &str, factor: f64) {
    *slice.metrics.get_mut(key).expect("it is simulated") *= factor;
}

/// Makes a server cost `factor` times as much.
pub(crate) fn slow_down(slice: &mut Slice, factor: f64) {
    scale(slice, CPU, factor);
    scale(slice, P50, factor);
    scale(slice, THROUGHPUT, 1.0 / factor);
}

/// Returns the slices of the candidate under `workload`.
pub(crate) fn candidate_slices<'a>(
    block: &'a mut Block,
    workload: &'a str,
) -> impl Iterator<Item = &'a mut Slice> {
    let cells = block.cells.iter_mut().filter(move |cell| cell.workload == workload);
    cells.flat_map(|cell| &mut cell.slices).filter(|slice| slice.arm == Arm::Candidate)
}

/// Returns a plan of `blocks` blocks.
pub(crate) fn plan(blocks: u32) -> Plan {
    let server =
        |name: &str| Server { name: Some(name.to_owned()), revision: None, command: String::new() };
    let workload =
        |name: &str| Workload { name: name.to_owned(), description: String::new(), rate_rps: None };
    Plan {
        version: plan::VERSION,
        started_utc: String::new(),
        command: "c10k gate".to_owned(),
        c10k_version: String::new(),
        c10k_revision: String::new(),
        machine: Machine {
            cpu: String::new(),
            cpus: 2,
            memory_bytes: 0,
            kernel: String::new(),
            limits: Vec::new(),
        },
        server_cpus: vec![0],
        generator_cpus: vec![1],
        base: server("base"),
        candidate: server("candidate"),
        null: false,
        suite: "gate".to_owned(),
        workloads: vec![workload("closed"), workload("open")],
        blocks,
        pairs: PAIRS,
        slice_s: 0.2,
        budget_s: Some(300.0),
        seed: 1,
        margins: margins(),
        counts: false,
        uncounted: Vec::new(),
    }
}

/// Writes the folder of a gate.
pub(crate) fn write(folder: &Path, plan: &Plan, blocks: &[Block]) {
    fs::create_dir_all(folder).expect("a folder can be made");
    let json = |line: serde_json::Result<String>| line.expect("it has a JSON form") + "\n";
    fs::write(folder.join(PLAN_FILE), json(serde_json::to_string(plan)))
        .expect("a file can be written");
    let lines: String = blocks.iter().cloned().map(block_line::write).collect();
    fs::write(folder.join(BLOCKS_FILE), lines).expect("a file can be written");
}
