//! Section: what was compared, where, and with how many measurements.

use askama::Template;
use c10k_reports::format;

use super::context::Page;
use crate::plan::{Plan, Server};

#[derive(Template)]
#[template(path = "compared.html")]
struct Compared<'a> {
    plan: &'a Plan,
    sides: Vec<(&'a str, &'a Server)>,
    date: String,
    memory: String,
    pinning: String,
    slices: String,
    budget: Option<String>,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let plan = &page.gate.plan;
    let section = Compared {
        plan,
        sides: vec![("Base", &plan.base), ("Candidate", &plan.candidate)],
        date: format::date(&plan.started_utc),
        memory: format::bytes(plan.machine.memory_bytes as f64),
        pinning: format!(
            "servers {}, load generator {}",
            format::cpus(&plan.server_cpus),
            format::cpus(&plan.generator_cpus)
        ),
        slices: format!(
            "{} of slices of {}",
            format::plural(u64::from(plan.pairs), "pair"),
            format::time_tick_ns(plan.slice_s * 1e9)
        ),
        budget: plan
            .budget_s
            .map(|budget_s| format!("{} min", format::number((budget_s / 6.0).round() / 10.0))),
    };
    section.render()
}
