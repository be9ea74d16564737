//! Section: the machine that the run was measured on; the numbers have no meaning without it.

use askama::Template;

use super::context::Page;
use crate::format;
use crate::record::{Environment, Machine};

#[derive(Template)]
#[template(path = "machine.html")]
struct MachineSection<'a> {
    machine: &'a Machine,
    memory: String,
    pinning: String,
    /// Processors by core, and the side that uses each core; `None` if the cores are not known.
    cores: Option<String>,
    quota: Option<String>,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let environment = &page.results.environment;
    let machine = &environment.machine;
    let pinning = format!(
        "server {}, load generator {}",
        format::cpus(&environment.server_cpus),
        format::cpus(&environment.generator_cpus)
    );
    let memory = match machine.memory_bytes {
        // Older runs wrote 0 if `/proc/meminfo` could not be read; newer runs then ask the kernel.
        0 => "unknown".to_owned(),
        bytes => format::bytes(bytes as f64),
    };
    let section = MachineSection {
        machine,
        memory,
        pinning,
        cores: environment.cores.as_deref().map(|cores| whose(cores, environment)),
        quota: environment.quota_cpus.map(quota),
    };
    section.render()
}

/// Lists the cores with the side that uses each, such as `0 + 2: server; 1 + 3: load generator`.
/// For a core that both sides use, it also says what the sharing does.
fn whose(cores: &[Vec<usize>], environment: &Environment) -> String {
    let is_pinned = !environment.server_cpus.is_empty();
    let core = |core: &Vec<usize>| {
        let has = |side: &[usize]| core.iter().any(|cpu| side.contains(cpu));
        let owner = match (has(&environment.server_cpus), has(&environment.generator_cpus)) {
            (true, true) => ": shared by server and load generator, which slow each other",
            (true, false) => ": server",
            (false, true) => ": load generator",
            (false, false) => "",
        };
        let list = core.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ");
        if is_pinned { format!("{list}{owner}") } else { list }
    };
    cores.iter().map(core).collect::<Vec<_>>().join("; ")
}

fn quota(cpus: f64) -> String {
    format!(
        "{cpus} processors, for c10k and the servers that it starts; each measurement says for how long it held \
         them back"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn each_core_is_shown_with_its_side() {
        let mut environment = fixture::environment();
        environment.server_cpus = vec![0, 2];
        environment.generator_cpus = vec![1, 3];
        assert_eq!(
            whose(&[vec![0, 2], vec![1, 3]], &environment),
            "0 + 2: server; 1 + 3: load generator"
        );
        let shared = whose(&[vec![0, 1], vec![2, 3]], &environment);
        assert!(
            shared.starts_with("0 + 1: shared by server and load generator, which slow"),
            "{shared}"
        );
        environment.server_cpus.clear();
        environment.generator_cpus.clear();
        assert_eq!(whose(&[vec![0]], &environment), "0");
    }
}
