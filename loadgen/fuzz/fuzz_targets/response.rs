//! Responses of any bytes: the client reads the same result no matter how they are split, and no
//! matter which head it has parsed before.

#![no_main]

use c10k_loadgen::connection::{Connection, KnownHead, Progress};
use libfuzzer_sys::fuzz_target;

/// Result of reading: the status of each response, true if the connection stays open, and the place
/// where the response ended; then the outcome of the rest.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    responses: Vec<(u16, bool, usize)>,
    is_refused: bool,
    /// Status of the response that the end of the connection completes.
    at_end: Option<u16>,
}

/// Reads responses from `bytes` in pieces, whose lengths are `steps` over and over.
fn read(bytes: &[u8], to_head: bool, steps: &[u8], remembers: bool) -> Read {
    let mut connection = Connection::default();
    let mut known = KnownHead::default();
    let mut responses = Vec::new();
    let mut at = 0;
    let mut steps = steps.iter().cycle();
    while at < bytes.len() {
        let step = steps.next().map_or(bytes.len(), |&step| usize::from(step).max(1));
        let mut piece = &bytes[at..bytes.len().min(at + step)];
        at += piece.len();
        while !piece.is_empty() {
            if !remembers {
                known = KnownHead::default();
            }
            match connection.receive(piece, to_head, &mut known) {
                Ok(Progress::Partial) => break,
                Ok(Progress::Whole { head, consumed }) => {
                    assert!(consumed <= piece.len() && consumed > 0);
                    piece = &piece[consumed..];
                    responses.push((head.status, head.keep_alive, at - piece.len()));
                }
                Err(_) => return Read { responses, is_refused: true, at_end: None },
            }
        }
    }
    Read { responses, is_refused: false, at_end: connection.receive_end().map(|head| head.status) }
}

fuzz_target!(|input: (bool, [u8; 4], &[u8])| {
    let (to_head, steps, bytes) = input;
    let whole = read(bytes, to_head, &[], true);
    assert_eq!(whole, read(bytes, to_head, &[], false), "a head that was seen before");
    assert_eq!(whole, read(bytes, to_head, &steps, true), "pieces of {steps:?}");
    assert_eq!(whole, read(bytes, to_head, &[1], true), "byte by byte");
});
