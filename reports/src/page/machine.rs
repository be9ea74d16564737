//! Section: the machine, without which no number here means anything.

use askama::Template;

use super::context::Page;
use crate::format;
use crate::record::Machine;

#[derive(Template)]
#[template(path = "machine.html")]
struct MachineSection<'a> {
    machine: &'a Machine,
    memory: String,
    pinning: String,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let environment = &page.results.environment;
    let machine = &environment.machine;
    let pinning = format!(
        "server {}, load generator {}",
        cpus(&environment.server_cpus),
        cpus(&environment.generator_cpus)
    );
    let memory = match machine.memory_bytes {
        // Written by runs of before the kernel was asked where `/proc/meminfo` can't be read.
        0 => "unknown".to_owned(),
        bytes => format::bytes(bytes as f64),
    };
    MachineSection { machine, memory, pinning }.render()
}

fn cpus(cpus: &[usize]) -> String {
    let list = cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match cpus.len() {
        0 => "not pinned".to_owned(),
        1 => format!("on CPU {list}"),
        _ => format!("on CPUs {list}"),
    }
}
