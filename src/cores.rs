//! Physical cores: the processors that are hardware threads of one core, and the split of cores
//! between server and generator.
//!
//! Two hardware threads of a core slow each other down, each by a share that depends on what the
//! other does. So a core belongs to one side. In the usual numbering, siblings are half the list
//! apart, and the two halves of the list would share every core.

use std::fs;

use crate::cpus::CpuList;

/// Processors grouped by core. Cores are in the order of their first processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores(Vec<Vec<usize>>);

impl Cores {
    /// Groups these processors by the siblings that the kernel reports for each. `None` if it does
    /// not report them, as in some virtual machines and containers.
    pub fn of(cpus: &CpuList) -> Option<Self> {
        cpus.numbers()
            .iter()
            .all(|&cpu| siblings(cpu).is_some())
            .then(|| Self::group(cpus, siblings))
    }

    /// Treats every processor as a core of its own.
    fn unknown(cpus: &CpuList) -> Self {
        Self::group(cpus, |_| None)
    }

    /// Groups processors by the siblings of each. Siblings that are not in the list are left out.
    fn group(cpus: &CpuList, siblings: impl Fn(usize) -> Option<CpuList>) -> Self {
        let mut cores: Vec<Vec<usize>> = Vec::new();
        for &cpu in cpus.numbers() {
            let siblings = siblings(cpu);
            let is_sibling = |core: &&mut Vec<usize>| {
                siblings.as_ref().is_some_and(|siblings| siblings.numbers().contains(&core[0]))
            };
            match cores.iter_mut().find(is_sibling) {
                Some(core) => core.push(cpu),
                None => cores.push(vec![cpu]),
            }
        }
        Self(cores)
    }

    /// Returns the processors of each core.
    pub fn lists(&self) -> &[Vec<usize>] {
        &self.0
    }

    /// Returns whole cores for the server, up to half of the processors, and the rest for the
    /// generator. If there is only one core, its processors are split. `None` if there is one
    /// processor.
    fn split(&self) -> Option<(CpuList, CpuList)> {
        let half = self.0.iter().map(Vec::len).sum::<usize>() / 2;
        let is_one = self.0.len() == 1;
        let parts: Vec<&[usize]> = match self.0.as_slice() {
            [core] if is_one => core.chunks(1).collect(),
            cores => cores.iter().map(Vec::as_slice).collect(),
        };
        let (mut server, mut generator) = (Vec::new(), Vec::new());
        for part in parts {
            let side = if server.len() + part.len() <= half { &mut server } else { &mut generator };
            side.extend_from_slice(part);
        }
        Some((CpuList::new(server)?, CpuList::new(generator)?))
    }

    /// Returns the cores that both sides use.
    pub fn shared(&self, server: &CpuList, generator: &CpuList) -> Vec<&[usize]> {
        let has =
            |core: &[usize], side: &CpuList| core.iter().any(|cpu| side.numbers().contains(cpu));
        let cores = self.0.iter().map(Vec::as_slice);
        cores.filter(|core| has(core, server) && has(core, generator)).collect()
    }
}

/// Splits processors between a server and a generator, by whole cores if there are two or more.
/// `None` if there is one processor.
pub fn split(cpus: &CpuList) -> Option<(CpuList, CpuList)> {
    Cores::of(cpus).unwrap_or_else(|| Cores::unknown(cpus)).split()
}

/// Reads the hardware threads of a processor's core, including the processor itself.
fn siblings(cpu: usize) -> Option<CpuList> {
    let folder = format!("/sys/devices/system/cpu/cpu{cpu}/topology");
    // The file is called `core_cpus_list` from Linux 5.3 on; kernels keep the old name as well.
    let read =
        |name: &str| fs::read_to_string(format!("{folder}/{name}")).ok()?.trim().parse().ok();
    read("thread_siblings_list").or_else(|| read("core_cpus_list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Siblings next to each other: 0-1, 2-3, …
    fn adjacent(cpu: usize) -> Option<CpuList> {
        CpuList::new(vec![cpu & !1, cpu | 1])
    }

    /// Siblings half the list apart: 0 and `cores`, 1 and `cores` + 1, …
    fn apart(cores: usize) -> impl Fn(usize) -> Option<CpuList> {
        move |cpu| CpuList::new(vec![cpu % cores, cpu % cores + cores])
    }

    /// Server and generator as lists, and the number of cores that they share.
    fn split(cpus: &str, siblings: impl Fn(usize) -> Option<CpuList>) -> (String, String, usize) {
        let cores = Cores::group(&cpus.parse().unwrap(), siblings);
        let (server, generator) = cores.split().unwrap();
        let shared = cores.shared(&server, &generator).len();
        (server.to_string(), generator.to_string(), shared)
    }

    fn sides(server: &str, generator: &str, shared: usize) -> (String, String, usize) {
        (server.into(), generator.into(), shared)
    }

    #[test]
    fn siblings_next_to_each_other_stay_together() {
        assert_eq!(split("0-3", adjacent), sides("0,1", "2,3", 0));
        assert_eq!(split("0-7", adjacent), sides("0,1,2,3", "4,5,6,7", 0));
    }

    #[test]
    fn siblings_half_the_list_apart_stay_together() {
        assert_eq!(split("0-3", apart(2)), sides("0,2", "1,3", 0));
        assert_eq!(split("0-7", apart(4)), sides("0,1,4,5", "2,3,6,7", 0));
    }

    #[test]
    fn processors_without_siblings_are_split_in_halves() {
        for (cpus, server, generator) in [
            ("0-1", "0", "1"),
            ("0-2", "0", "1,2"),
            ("0-3", "0,1", "2,3"),
            ("0-7", "0,1,2,3", "4,5,6,7"),
        ] {
            assert_eq!(split(cpus, |_| None), sides(server, generator, 0));
            assert_eq!(split(cpus, |cpu| CpuList::new(vec![cpu])), sides(server, generator, 0));
        }
    }

    #[test]
    fn siblings_of_the_only_core_are_shared_and_reported() {
        assert_eq!(split("0-1", adjacent), sides("0", "1", 1));
        assert_eq!(split("0-3", |_| "0-3".parse().ok()), sides("0,1", "2,3", 1));
    }

    #[test]
    fn a_part_of_the_machine_that_cuts_through_cores_is_split_by_what_is_left_of_them() {
        // One thread each of cores 0-1 and 2-3.
        assert_eq!(split("1,2", adjacent), sides("1", "2", 0));
        // One whole core and one thread of another: the whole core is more than half of the
        // processors.
        assert_eq!(split("0,1,3", adjacent), sides("3", "0,1", 0));
        assert_eq!(split("1,2,3,5,7", apart(4)), sides("1,5", "2,3,7", 0));
        assert_eq!(split("0,4", apart(4)), sides("0", "4", 1));
    }

    #[test]
    fn a_core_belongs_to_one_side_if_there_are_two() {
        for threads in 1..=4 {
            for cores in 2..=8 {
                let cpus = format!("0-{}", threads * cores - 1);
                let siblings = |cpu: usize| {
                    CpuList::new((0..threads).map(|n| cpu % cores + n * cores).collect())
                };
                let (server, generator, shared) = split(&cpus, siblings);
                assert_eq!(shared, 0, "{cores} cores of {threads}: {server} and {generator}");
            }
        }
    }

    #[test]
    fn one_processor_is_not_split() {
        assert_eq!(Cores::unknown(&"5".parse().unwrap()).split(), None);
    }

    #[test]
    fn the_cores_of_this_machine_hold_each_of_its_processors_once() {
        let cpus = CpuList::available().unwrap();
        let cores = Cores::of(&cpus).unwrap_or_else(|| Cores::unknown(&cpus));
        let mut all = cores.lists().concat();
        all.sort_unstable();
        assert_eq!(all, cpus.numbers());
    }
}
