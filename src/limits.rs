//! Limits of this process, and of the values that a user may ask it for.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, ensure};
use c10k_servers::http::Timeouts;
use c10k_servers::{Entry, Execution, Options, ROSTER};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::time;

/// Descriptors that a server or a generator needs in addition to its connections: standard streams,
/// the listener, event queues.
const OWN_DESCRIPTORS: u64 = 64;

/// Highest number of requests or connections per second. It is more than any machine sends, and
/// guards against typing errors.
pub const HIGHEST_RATE: f64 = 1e8;

/// Returns a parser of a whole number within `bounds`. Its error names the bounds.
pub fn whole<T: FromStr + PartialOrd + Display + Clone>(
    bounds: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.with_context(|| {
            format!("write a whole number from {} to {}", bounds.start(), bounds.end())
        })
    }
}

/// Refuses `count` things that, at `per_second` of them, take longer than any run may.
pub fn check_time(count: u64, what: &str, per_second: f64) -> Result<()> {
    let longest = time::LONGEST;
    ensure!(
        count.saturating_sub(1) as f64 / per_second <= longest.as_secs_f64(),
        "{count} {what} at {per_second} per second take longer than {}",
        humantime::format_duration(longest)
    );
    Ok(())
}

/// Refuses a number that can't be a rate per second.
pub fn check_rate(rate: f64) -> Result<f64> {
    ensure!(
        rate > 0.0 && rate <= HIGHEST_RATE,
        "write a number per second, above 0 and up to {HIGHEST_RATE}"
    );
    Ok(rate)
}

/// Parses a rate per second of the command line.
pub fn parse_rate(text: &str) -> Result<f64> {
    // A text that is not a number is not a rate, either.
    check_rate(text.parse().unwrap_or_default())
}

/// Refuses a text that can't be the method of a request, which is a token (RFC 9110, section
/// 5.6.2).
pub fn check_method(text: &str) -> Result<()> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    ensure!(!text.is_empty() && text.bytes().all(is_token), "a method is a word, such as GET");
    Ok(())
}

/// Parses a header field of the requests.
pub fn parse_header(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once(':').context("write NAME: VALUE")?;
    ensure!(
        !name.is_empty() && !text.contains(['\r', '\n', '\0']) && !name.contains([' ', '\t']),
        "a name is one word, and a value one line"
    );
    Ok((name.into(), value.trim().into()))
}

/// Refuses to measure if threads are forbidden: the generator is a thread, and so is the reader of
/// a server's output.
pub fn check_threads() -> Result<()> {
    c10k_servers::why_no_threads()
        .map_or(Ok(()), |reason| Err(anyhow!("nothing can be measured here: {reason}")))
}

/// Raises the soft limit of open files to the hard limit. Connections are files, and the soft limit
/// is often 1024.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // A limit that can't be raised is reported by the checks that fail because of it.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// Refuses more connections than one process may have open.
pub fn check_connections(connections: usize) -> Result<()> {
    let possible = max_connections();
    ensure!(
        connections <= possible,
        "{connections} connections need more open files than allowed: {possible} at most, see `ulimit -Hn`"
    );
    Ok(())
}

/// Returns the number of connections that one process may have open.
pub fn max_connections() -> usize {
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    usize::try_from(open_files.saturating_sub(OWN_DESCRIPTORS)).unwrap_or(usize::MAX)
}

/// Returns the number of connections that a server of `model` may have open with `workers` workers.
///
/// # Errors
/// When the server's own descriptors take the whole limit.
pub fn max_connections_of(model: &Entry, workers: Option<NonZeroUsize>) -> Result<NonZeroUsize> {
    let possible = max_connections().saturating_sub(model.own_descriptors(workers));
    let possible = possible.min(model.most_connections());
    NonZeroUsize::new(possible).context(
        "the limit of open files leaves none for connections; ask for fewer --workers or see `ulimit -Hn`",
    )
}

/// Refuses a number of handler threads for a model that has none.
pub fn check_handler_threads(model: &Entry) -> Result<()> {
    let others = ROSTER.iter().filter(|entry| entry.profile.has_handler_threads());
    ensure!(
        model.profile.has_handler_threads(),
        "the model {} has no threads for handlers; those that have some are {}",
        model.name,
        others.map(|entry| entry.name).collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// Refuses a number of workers for a model with one event loop and a pool for handlers, whose size
/// is another setting: the number would be recorded and ignored.
pub fn check_workers(model: &Entry) -> Result<()> {
    let has_one_loop = model.profile.execution == Execution::EventLoop;
    ensure!(
        !(has_one_loop && model.profile.has_handler_threads()),
        "the model {} has one event loop; its pool is set by `handler_threads`",
        model.name
    );
    Ok(())
}

/// Returns the reason why `c10k serve MODEL` would not start, if there is one.
pub fn why_not_here(entry: &Entry) -> Option<String> {
    let max_connections = match max_connections_of(entry, None) {
        Ok(max_connections) => max_connections,
        Err(error) => return Some(error.to_string()),
    };
    let options = Options {
        workers: None,
        handler_threads: None,
        max_connections,
        timeouts: Timeouts::default(),
    };
    entry.check(&options).err().map(|reason| reason.to_string())
}
