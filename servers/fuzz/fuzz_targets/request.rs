//! Requests of any octets: however they are split, every server answers the same, and comes to an end.

#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use c10k_servers::http::{Connection, Handlers, Service, Timeouts, Want};
use c10k_servers::site::Site;
use libfuzzer_sys::fuzz_target;

static SITE: LazyLock<Arc<Site>> = LazyLock::new(|| Arc::new(Site::embedded()));

/// What a client gets when it sends `octets` in pieces whose lengths are `steps` over and over, and what the server waits
/// for then.
fn talk(octets: &[u8], steps: &[u8]) -> (Vec<u8>, Want) {
    let mut service = Service::new(Arc::clone(&SITE), Timeouts::default(), Handlers::InPlace);
    let (mut connection, mut output, mut at) = (Connection::new(Instant::now()), Vec::new(), 0);
    let mut steps = steps.iter().cycle();
    while at < octets.len() && connection.want() == Want::Read {
        let step = steps.next().map_or(octets.len(), |&step| usize::from(step).max(1));
        let end = octets.len().min(at + step);
        connection.receive(&octets[at..end], &mut service);
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

/// Without what may differ: the time, and the interim answers that only a client that waits is given.
fn comparable(output: &[u8]) -> Vec<u8> {
    let lines = output.split_inclusive(|&octet| octet == b'\n');
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

/// Whether a handler would take its time, or megabytes.
fn is_slow(octets: &[u8]) -> bool {
    [&b"sleep"[..], b"spin", b"bytes", b"%"]
        .iter()
        .any(|name| octets.windows(name.len()).any(|at| at == *name))
}

fuzz_target!(|input: ([u8; 4], &[u8])| {
    let (steps, octets) = input;
    if is_slow(octets) {
        return;
    }
    let (answers, want) = talk(octets, &[]);
    for steps in [&steps[..], &[1]] {
        let (in_pieces, wants) = talk(octets, steps);
        assert_eq!(
            String::from_utf8_lossy(&in_pieces),
            String::from_utf8_lossy(&answers),
            "pieces of {steps:?}"
        );
        assert_eq!(closes(wants), closes(want), "pieces of {steps:?}");
    }
});

/// Whether the conversation is over, in whichever way: whether it lingers first hangs on what the client says behind its
/// last request, and so on the split.
fn closes(want: Want) -> bool {
    want != Want::Read
}
