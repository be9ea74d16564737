//! Section: how to repeat the gate, and how to judge it again.

use askama::Template;

use super::context::Page;
use crate::gate::{BLOCKS_FILE, PLAN_FILE};

#[derive(Template)]
#[template(path = "repeat.html")]
struct Repeat {
    command: String,
    plan_file: &'static str,
    blocks_file: &'static str,
    has_histograms: bool,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let plan = &page.gate.plan;
    let is_seeded = plan.command.split_whitespace().any(|word| word.starts_with("--seed"));
    let seed = if is_seeded { String::new() } else { format!(" --seed {}", plan.seed) };
    let section = Repeat {
        command: format!("{}{seed}", plan.command),
        plan_file: PLAN_FILE,
        blocks_file: BLOCKS_FILE,
        has_histograms: page.latencies.iter().any(Result::is_ok),
    };
    section.render()
}
