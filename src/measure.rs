//! One run of the generator against a server that is already running, watched by the probes. The
//! runner and the benches measure with it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result};
use c10k_loadgen::measurement::{Generator, KernelCounters, ServerTime};
use c10k_loadgen::{Event, Interval, Measurement, Target, Workload};
use nix::time::{ClockId, clock_gettime};

use crate::cpus::CpuList;
use crate::probe::{ListenQueues, Readings, Server, Watch};
use crate::processor_time::Look;
use crate::quota::{Quota, Throttling};

/// Runs the generator, and gives every interval of the measured part to `keep`. If the process of
/// the server is known, the probes look at it when the measured part begins and ends. Setting
/// `stop` ends the run early.
///
/// # Errors
/// When the generator can't run, or `keep` fails. Failed requests are counted in the measurement,
/// and a failed probe is a missing reading.
pub fn measure(
    target: Target,
    load: Workload,
    server: Option<Server>,
    stop: Arc<AtomicBool>,
    mut keep: impl FnMut(&Interval) -> Result<()>,
) -> Result<(Measurement, Readings)> {
    // Read before the measurement, because these values do not change in a run.
    let own = Own::of_this_process();
    let server_cpus =
        server.as_ref().and_then(|server| CpuList::of(Some(server.pid.cast_signed())).ok());
    if let Some(server) = &server {
        // The first call starts threads, which must not happen in the measured part.
        server.charge();
    }
    let queues = server.as_ref().and_then(queues_out_of_sight);
    let mut run = c10k_loadgen::start(target, load, stop).context("cannot start the generator")?;
    let mut watch = None;
    let mut begun = None;
    let mut generator = Generator::default();
    let mut readings = None;
    while let Some(event) = run.next_event() {
        match event {
            Event::Begun(at) => {
                watch = server.clone().map(|server| Watch::begin(server).late_for(at));
                begun = Some(own.begin());
            }
            Event::Ended => {
                readings = watch.take().map(Watch::end);
                generator = begun.take().map_or_else(Generator::default, |begun| own.end(begun));
            }
            Event::Interval(interval) => keep(&interval)?,
        }
    }
    let mut measured = run.finish()?;
    if let (Some(kernel), Some(begin)) = (&mut measured.kernel, queues) {
        replace_queues(kernel, begin, server.as_ref().and_then(queues_out_of_sight));
    }
    let readings = match (&server, readings) {
        (None, _) => Readings::default(),
        (Some(_), readings) => {
            readings.unwrap_or_else(|| Readings::none("the measured part did not begin"))
        }
    };
    let Generator { threads, user_s, system_s, cpu_wait_s, .. } = measured.generator;
    measured.generator = Generator { threads, user_s, system_s, cpu_wait_s, ..generator };
    measured.generator_cpus = CpuList::numbers_of(own.cpus.as_ref());
    measured.has_one_processor =
        CpuList::before_pinning().is_ok_and(|cpus| cpus.numbers().len() == 1);
    measured.server = server.map(|_| server_time(server_cpus.as_ref(), &readings));
    Ok((measured, readings))
}

/// Returns the counters of the server's listen queues if the generator, which is on another host,
/// can't read them.
fn queues_out_of_sight(server: &Server) -> Option<ListenQueues> {
    let pid = server.has_own_host.then(|| server.pid.cast_signed())?;
    ListenQueues::of(pid).ok()
}

/// Replaces the listen queues of the generator's host, where no server listens, by those of the
/// server's host, where no other server does.
fn replace_queues(kernel: &mut KernelCounters, begin: ListenQueues, end: Option<ListenQueues>) {
    let grown = end.map(|end| ListenQueues {
        overflows: end.overflows.saturating_sub(begin.overflows),
        drops: end.drops.saturating_sub(begin.drops),
    });
    if let Some(ListenQueues { overflows, drops }) = grown {
        kernel.listen_overflows = overflows;
        kernel.listen_drops = drops;
        kernel.listener_drops = Some(drops);
    }
}

/// Processors and quota of the generator, which do not change in a run.
struct Own {
    cpus: Option<CpuList>,
    quota: Option<Quota>,
}

/// The first look at the generator's time on its processors, when the measured part begins.
struct Begun {
    /// The look at the processors, and the CPU time of this process.
    look: Option<(Look, Duration)>,
    throttling: Option<Throttling>,
}

impl Own {
    fn of_this_process() -> Self {
        Self { cpus: CpuList::available().ok(), quota: Quota::of(None).ok() }
    }

    fn look(&self) -> Option<(Look, Duration)> {
        let used = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).ok()?;
        Some((Look::at(self.cpus.as_ref()?).ok()?, used.into()))
    }

    fn begin(&self) -> Begun {
        Begun {
            look: self.look(),
            throttling: self.quota.clone().and_then(|quota| quota.begin().ok()),
        }
    }

    /// Returns the fields of [`Generator`] that are read from the machine.
    fn end(&self, begun: Begun) -> Generator {
        let spent = self.look().zip(begun.look).map(|((end, used), (begin, used_before))| {
            let own_s = used.saturating_sub(used_before).as_secs_f64();
            let spent = end.since(begin);
            ((spent.by_tasks_s - own_s).max(0.0), spent.idle_s)
        });
        let (others_s, idle_s) = spent.unzip();
        Generator {
            others_s,
            idle_s,
            throttled_s: begun.throttling.and_then(|throttling| throttling.elapsed_s().ok()),
            quota_cpus: self.quota.as_ref().and_then(Quota::cpus),
            ..Generator::default()
        }
    }
}

fn server_time(cpus: Option<&CpuList>, readings: &Readings) -> ServerTime {
    let read = |key: &str| readings.values.get(key).copied();
    ServerTime {
        cpus: CpuList::numbers_of(cpus),
        ran_s: read("server_cpu_user_s")
            .zip(read("server_cpu_system_s"))
            .map(|(user_s, system_s)| user_s + system_s),
        wait_s: read("server_cpu_wait_s"),
        others_s: read("server_neighbours_s"),
        idle_s: read("server_idle_s"),
        throttled_s: read("server_throttled_s"),
    }
}
