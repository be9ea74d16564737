//! System calls of the server, as strace sees them from its first instruction on.
//!
//! The clock of strace is that of the capture, so that a packet can be found within the call that
//! sent it. strace stops the server at each call, which makes a call some tens of microseconds
//! longer; what happens between two calls is as without it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::observation::{Call, Side};
use crate::pass;

/// Calls that are written down: those that take or send packets, close sockets, or end a process,
/// which closes what it has open. Kernels and architectures may lack those with a question mark.
const CALLS: &str = "accept,accept4,read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,\
                     sendfile,shutdown,close,exit,exit_group,?splice,?io_uring_enter";

/// Name of the files that strace writes, one for each thread; a dot and its number follow.
const FILE: &str = "calls";

/// Time that strace may take to write its last line, once the server has ended.
const LAST_LINE_TIME: Duration = Duration::from_secs(5);

/// Result of a call that found nothing to read or to accept, and did not wait for it.
const NOTHING: &str = "-1 EAGAIN";

/// Line of a process that has ended.
const ENDED: &str = "+++ ";

/// A trace of a server.
#[derive(Debug)]
pub struct Trace {
    folder: TempDir,
}

impl Trace {
    /// Prepares a trace.
    ///
    /// # Errors
    /// When strace is not installed or may not trace here.
    pub fn new() -> Result<Self> {
        pass::ensure_strace_works()?;
        Ok(Self { folder: tempfile::tempdir().context("cannot make a temporary folder")? })
    }

    /// Returns the words that come before the command of the server. `-DD` makes the server the
    /// process that is started; `-ff` writes a file for each thread, so that no line is cut by
    /// another thread; `-y` shows the number of a socket beside its descriptor. (`-yy` shows its
    /// addresses, too. But for each new socket it reads a list of all, which takes milliseconds.)
    pub fn prefix(&self) -> Vec<OsString> {
        let words = ["strace", "-DD", "-ff", "-ttt", "-T", "-y", "-s", "0", "-e"];
        let words = words.map(OsString::from).into_iter();
        let output = self.folder.path().join(FILE);
        words.chain([format!("trace={CALLS}").into(), "-o".into(), output.into()]).collect()
    }

    /// Returns the calls of a server that has ended; its first process had the number `pid`.
    ///
    /// # Errors
    /// When strace does not finish its files.
    pub fn read(&self, pid: u32) -> Result<Vec<Call>> {
        let first = self.folder.path().join(format!("{FILE}.{pid}"));
        let is_finished =
            |path: &Path| fs::read_to_string(path).is_ok_and(|text| text.lines().any(is_end));
        pass::within(LAST_LINE_TIME, || Ok(is_finished(&first).then_some(())))?
            .context("strace did not finish its file")?;
        let mut traced = Vec::new();
        for entry in fs::read_dir(self.folder.path()).context("cannot read strace's files")? {
            let text = fs::read_to_string(entry?.path()).context("cannot read strace's files")?;
            traced.extend(parse(&text));
        }
        Ok(with_connections(traced))
    }
}

fn is_end(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(_, rest)| rest.starts_with(ENDED))
}

/// A call with the number of the socket that it is about, if it names one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Traced {
    call: Call,
    socket: Option<u64>,
}

/// Finds the connection of each call. The client opens one connection after the other, and a
/// listener hands them out in this order. Calls that found nothing are left out: a server that polls
/// makes thousands of them.
fn with_connections(mut traced: Vec<Traced>) -> Vec<Call> {
    traced.retain(|traced| traced.call.result != NOTHING);
    traced.sort_by_key(|traced| traced.call.end_ns);
    let is_accept = |traced: &&Traced| traced.call.name.starts_with("accept");
    let accepted: Vec<u64> =
        traced.iter().filter(is_accept).filter_map(|traced| traced.socket).collect();
    traced
        .into_iter()
        .map(|Traced { call, socket }| Call {
            connection: accepted.iter().position(|accepted| Some(*accepted) == socket),
            ..call
        })
        .collect()
}

/// Reads the calls of one thread. A call that ends the thread lasts until the thread has ended.
fn parse(text: &str) -> Vec<Traced> {
    let mut calls: Vec<Traced> = Vec::new();
    for line in text.lines() {
        let Some((time, rest)) = line.split_once(' ') else { continue };
        let Some(at_ns) = nanoseconds(time) else { continue };
        if let Some(Traced { call, .. }) = calls.last_mut() {
            // strace notes a time before it writes a call down, and counts from after that.
            call.ended_by_ns = call.ended_by_ns.min(at_ns);
        }
        if rest.starts_with(ENDED) {
            let last = calls.last_mut().filter(|last| last.call.name.starts_with("exit"));
            if let Some(Traced { call, .. }) = last {
                call.end_ns = at_ns;
            }
        } else {
            calls.extend(parse_call(at_ns, rest));
        }
    }
    calls
}

/// Reads `NAME(ARGUMENTS) = RESULT <SECONDS>`. The time and the result are missing in a call that
/// ends its thread.
fn parse_call(begin_ns: u64, text: &str) -> Option<Traced> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, outcome) = rest.rsplit_once(" = ")?;
    let (outcome, duration) = outcome.rsplit_once(" <").unwrap_or((outcome, ""));
    let duration_ns = duration.strip_suffix('>').and_then(nanoseconds).unwrap_or_default();
    // A descriptor is followed by its socket, and an error by its text.
    let result = outcome.split_once(['<', '(']).map_or(outcome, |(result, _)| result).trim();
    let is_accept = name.starts_with("accept");
    let call = Call {
        side: Side::Server,
        connection: None,
        name: name.to_owned(),
        begin_ns,
        end_ns: begin_ns + duration_ns,
        // The next line of this thread will tell.
        ended_by_ns: u64::MAX,
        result: result.to_owned(),
    };
    // The first argument of an accept is the listener.
    Some(Traced { call, socket: socket_number(if is_accept { outcome } else { arguments }) })
}

/// Reads the number of the socket in a text such as `5<socket:[1234]>, …`.
fn socket_number(text: &str) -> Option<u64> {
    let (_, socket) = text.split_once("<socket:[")?;
    socket.split_once(']')?.0.parse().ok()
}

/// Reads a time in seconds with decimals, exactly.
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, decimals) = text.split_once('.')?;
    let decimals = format!("{decimals:0<9}");
    Some(seconds.parse::<u64>().ok()? * 1_000_000_000 + decimals.get(..9)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"1700000000.000100 close(3</etc/ld.so.cache>) = 0 <0.000003>
1700000000.728447 accept4(3<socket:[70]>, NULL, NULL, SOCK_CLOEXEC) = 5<socket:[72]> <0.000054>
1700000000.789484 recvfrom(5<socket:[72]>, ""..., 100, 0, NULL, NULL) = 40 <0.000013>
1700000000.789500 recvfrom(5<socket:[72]>, ""..., 100, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable) <0.000013>
1700000000.789600 --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=1, si_uid=0} ---
1700000000.836338 exit_group(0)         = ?
1700000000.837679 +++ exited with 0 +++
"#;

    #[test]
    fn calls_are_read_with_their_times_and_their_connection() {
        let calls = with_connections(parse(TRACE));
        let read: Vec<_> = calls
            .iter()
            .map(|call| (&*call.name, &*call.result, call.connection, call.end_ns - call.begin_ns))
            .collect();
        assert_eq!(
            read,
            [
                ("close", "0", None, 3_000),
                ("accept4", "5", Some(0), 54_000),
                ("recvfrom", "40", Some(0), 13_000),
                ("exit_group", "?", None, 1_341_000),
            ]
        );
        assert_eq!(calls[1].begin_ns, 1_700_000_000_728_447_000);
        // At the next line of its thread, a call has ended for sure.
        assert_eq!(calls[1].ended_by_ns, 1_700_000_000_789_484_000);
        assert_eq!(calls[3].ended_by_ns, calls[3].end_ns);
    }

    #[test]
    fn connections_are_numbered_as_they_are_accepted_by_any_thread() {
        let one = "1.000003 accept4(3<socket:[70]>, NULL, NULL, 0) = 6<socket:[81]> <0.000001>
1.000009 close(6<socket:[81]>) = 0 <0.000001>";
        let other = "1.000001 accept4(3<socket:[70]>, NULL, NULL, 0) = 5<socket:[80]> <0.000001>
1.000005 close(5<socket:[80]>) = 0 <0.000001>
1.000007 close(3<socket:[70]>) = 0 <0.000001>";
        let calls = with_connections([parse(one), parse(other)].concat());
        let connections: Vec<_> = calls.iter().map(|call| call.connection).collect();
        assert_eq!(connections, [Some(0), Some(1), Some(0), None, Some(1)]);
    }

    #[test]
    fn a_trace_is_over_when_its_process_has_ended() {
        let lines: Vec<&str> = TRACE.lines().collect();
        assert!(lines.iter().rev().skip(1).all(|line| !is_end(line)) && is_end(lines[6]));
    }
}
