//! Requests of any bytes: every split of the same bytes gets the same responses, and the connection
//! comes to an end.

#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use c10k_servers::http::{Connection, HandlerPlacement, Service, Timeouts, Want};
use c10k_servers::site::Site;
use libfuzzer_sys::fuzz_target;

static SITE: LazyLock<Arc<Site>> = LazyLock::new(|| Arc::new(Site::embedded()));

/// Returns the responses to a client that sends `bytes` in pieces, whose lengths are `steps` over
/// and over, and the next action that the connection then needs.
fn talk(bytes: &[u8], steps: &[u8]) -> (Vec<u8>, Want) {
    let mut service = Service::new(Arc::clone(&SITE), Timeouts::default(), HandlerPlacement::InPlace);
    let (mut connection, mut output, mut at) = (Connection::new(Instant::now()), Vec::new(), 0);
    let mut steps = steps.iter().cycle();
    while at < bytes.len() && connection.want() == Want::Read {
        let step = steps.next().map_or(bytes.len(), |&step| usize::from(step).max(1));
        let end = bytes.len().min(at + step);
        connection.receive(&bytes[at..end], &mut service);
        at = end;
        while connection.want() == Want::Write {
            let before = output.len();
            connection.pending_output().iter().for_each(|part| output.extend_from_slice(part));
            assert!(output.len() > before, "it wants to write and has nothing to");
            connection.advance(output.len() - before, &mut service);
        }
    }
    (comparable(&output), connection.want())
}

/// Removes the parts that may differ: the time, and interim responses, which depend on the split.
fn comparable(output: &[u8]) -> Vec<u8> {
    let lines = output.split_inclusive(|&byte| byte == b'\n');
    let text: Vec<u8> = lines.filter(|line| !line.starts_with(b"Date: ")).flatten().copied().collect();
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut rest = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(interim) {
            at += interim.len();
        } else {
            rest.push(text[at]);
            at += 1;
        }
    }
    rest
}

/// Returns true if a handler may take long, or if its response may have megabytes.
fn is_slow(bytes: &[u8]) -> bool {
    [&b"sleep"[..], b"spin", b"bytes", b"%"]
        .iter()
        .any(|name| bytes.windows(name.len()).any(|at| at == *name))
}

fuzz_target!(|input: ([u8; 4], &[u8])| {
    let (steps, bytes) = input;
    if is_slow(bytes) {
        return;
    }
    let (responses, want) = talk(bytes, &[]);
    for steps in [&steps[..], &[1]] {
        let (in_pieces, wants) = talk(bytes, steps);
        assert_eq!(
            String::from_utf8_lossy(&in_pieces),
            String::from_utf8_lossy(&responses),
            "pieces of {steps:?}"
        );
        assert_eq!(closes(wants), closes(want), "pieces of {steps:?}");
    }
});

/// Returns true if the connection ends. It may linger first: that depends on the bytes after the
/// last request, and so on the split.
fn closes(want: Want) -> bool {
    want != Want::Read
}
