//! The launch of a model: `c10k serve`, with a pool as large as its workload needs.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Result;
use c10k_servers::{ConnectionLimit, Entry};
use rustix::process::Signal;

use super::process::{Ready, RunningSubject, Start, Stop};
use super::settings::Settings;

/// Options of `c10k serve` that set the numbers of workers and of threads for handlers, and the
/// length of the listen queue.
const WORKERS: &str = "--workers";
const HANDLER_THREADS: &str = "--handler-threads";
const BACKLOG: &str = "--backlog";

/// Starts the model on a free port.
pub fn start(entry: &Entry, args: &[String], settings: &Settings<'_>) -> Result<RunningSubject> {
    let words = words(entry, args, settings);
    RunningSubject::start(Start {
        command: command(&words, settings),
        cpus: settings.cpus,
        address: settings.listen_address(),
        ready: Ready::Announced,
        patience: settings.start_time(),
        // A model has to exit by itself; one that the signal kills has not stopped as it should.
        stop: Stop { signal: Signal::TERM, may_end_it: false },
        // The model's children ask for a signal when their parent ends, too, so that none outlives
        // it.
        death: Signal::KILL,
        folder: None,
        host: settings.host,
        interrupt: settings.interrupt,
    })
}

fn command(words: &[String], settings: &Settings<'_>) -> Command {
    if !settings.prefix.is_empty() {
        return settings.command(settings.c10k.to_start_behind_a_prefix(), &words[1..]);
    }
    let mut command = settings.command(settings.c10k.to_start(), &words[1..]);
    command.arg0(&words[0]);
    command
}

/// Returns the words of the model's command.
pub fn words(entry: &Entry, args: &[String], settings: &Settings<'_>) -> Vec<String> {
    let workers = match settings.workers {
        None if entry.profile.connection_limit != ConnectionLimit::Workers => None,
        _ => Some(settings.workers_or_connections().to_string()),
    };
    let others = [(HANDLER_THREADS, settings.handler_threads), (BACKLOG, settings.backlog)];
    let others = others
        .into_iter()
        .filter_map(|(option, number)| Some([option.to_owned(), number?.to_string()]));
    let words = serve(entry, args, settings.listen_address(), workers).into_iter();
    words.chain(others.flatten()).collect()
}

/// Returns the words of the model's command, with a placeholder for the size of a pool that depends
/// on the workload.
pub fn template(entry: &Entry, args: &[String]) -> Vec<String> {
    serve(
        entry,
        args,
        (Ipv4Addr::LOCALHOST, 0).into(),
        (entry.profile.connection_limit == ConnectionLimit::Workers)
            .then(|| "{workers}".to_owned()),
    )
}

fn serve(
    entry: &Entry,
    args: &[String],
    address: SocketAddr,
    workers: Option<String>,
) -> Vec<String> {
    let workers = workers.map(|workers| [WORKERS.to_owned(), workers]);
    let serve = ["c10k", "serve", entry.name, "--addr", &address.to_string()].map(str::to_owned);
    serve.into_iter().chain(args.iter().cloned()).chain(workers.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::path::Path;

    use super::super::Program;
    use super::*;

    #[test]
    fn a_listen_queue_is_as_long_as_is_asked_for() {
        let c10k = Program::at(Path::new("c10k"));
        let settings = Settings { backlog: NonZeroUsize::new(10), ..Settings::new(&c10k, 64) };
        let words = words(c10k_servers::find("epoll").unwrap(), &[], &settings);
        assert_eq!(words[5..].join(" "), "--backlog 10");
    }

    #[test]
    fn a_model_listens_on_the_address_of_its_host() {
        let c10k = Program::at(Path::new("c10k"));
        let settings = Settings { address: [192, 0, 2, 2].into(), ..Settings::new(&c10k, 64) };
        let words = words(c10k_servers::find("epoll").unwrap(), &[], &settings);
        assert_eq!(words.join(" "), "c10k serve epoll --addr 192.0.2.2:0");
    }

    fn line(model: &str, args: &[&str], workers: Option<usize>) -> String {
        let entry = c10k_servers::find(model).unwrap();
        let workers = workers.and_then(NonZeroUsize::new);
        let c10k = Program::at(Path::new("c10k"));
        let settings = Settings { workers, ..Settings::new(&c10k, 64) };
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        words(entry, &args, &settings)[5..].join(" ")
    }

    #[test]
    fn a_pool_of_one_connection_each_has_a_worker_for_every_connection() {
        assert_eq!(line("prefork", &[], None), "--workers 64");
        assert_eq!(line("prefork", &[], Some(8)), "--workers 8");
    }

    #[test]
    fn loops_and_handler_threads_are_set_apart_from_each_other() {
        let c10k = Program::at(Path::new("c10k"));
        let number = NonZeroUsize::new;
        let entry = c10k_servers::find("tokio-blocking").unwrap();
        for (workers, handler_threads, expected) in [
            (None, None, ""),
            (None, number(9), "--handler-threads 9"),
            (number(2), None, "--workers 2"),
            (number(2), number(9), "--workers 2 --handler-threads 9"),
        ] {
            let settings = Settings { workers, handler_threads, ..Settings::new(&c10k, 64) };
            assert_eq!(words(entry, &[], &settings)[5..].join(" "), expected);
        }
    }

    #[test]
    fn loops_are_as_many_as_are_asked_for() {
        assert_eq!(line("epoll-sharded", &[], None), "");
        assert_eq!(line("epoll-sharded", &[], Some(2)), "--workers 2");
    }
}
