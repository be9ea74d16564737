//! Requests whose bytes are split and mutilated in any way: each split of the same bytes gets the
//! same responses, and nothing panics.

use std::sync::Arc;
use std::time::Instant;

use c10k_servers::http::{Connection, HandlerPlacement, Service, Timeouts, Want};
use c10k_servers::site::Site;
use proptest::prelude::*;

/// Requests of every framing and outcome, which follow one another on the same connection.
const REQUESTS: [&str; 11] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /redirect HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET http://a/bytes/20000 HTTP/1.1\r\nHost: a\r\nX-Filler: 0123456789\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nGET / HTTP/",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    "GET /nowhere?at=all HTTP/1.1\r\nHost: a\r\n\r\n",
    "BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
];

const INTERIM: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// Change to the bytes of some requests, at a place that is a share of their length.
#[derive(Debug, Clone)]
enum Mutation {
    Replace(f64, u8),
    Insert(f64, Vec<u8>),
    Remove(f64, usize),
    Repeat(f64, usize),
    Cut(f64),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let place = |share: f64| (share * length as f64) as usize;
        match self {
            Self::Replace(share, byte) => {
                if let Some(old) = bytes.get_mut(place(*share)) {
                    *old = *byte;
                }
            }
            Self::Insert(share, more) => {
                let at = place(*share);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(share, count) => {
                let at = place(*share);
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Self::Repeat(share, count) => {
                let at = place(*share);
                let again = bytes[at..(at + count).min(bytes.len())].to_vec();
                bytes.splice(at..at, again);
            }
            Self::Cut(share) => bytes.truncate(place(*share)),
        }
    }
}

/// Returns a strategy for bytes that have a meaning in HTTP, and for any others.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let telling = prop::sample::select(vec![
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        " ",
        ":",
        ",",
        ";",
        "\0",
        "HTTP/1.0",
        "HTTP/2.0",
        "0",
        "99999999999999999999",
        "chunked",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 0\r\n",
        "Connection: close\r\n",
        "Host: b\r\n",
        "Expect: 100-continue\r\n",
        "\t",
        "é",
        "/../",
    ]);
    prop_oneof![
        4 => telling.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..20),
        1 => (any::<u8>(), 1..20_000usize).prop_map(|(byte, count)| vec![byte; count]),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let share = || 0.0..1.0;
    prop_oneof![
        (share(), any::<u8>()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (share(), bytes()).prop_map(|(at, more)| Mutation::Insert(at, more)),
        (share(), 1..40usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (share(), 1..200usize).prop_map(|(at, count)| Mutation::Repeat(at, count)),
        share().prop_map(Mutation::Cut),
    ]
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    let requests = prop::collection::vec(prop::sample::select(REQUESTS.to_vec()), 1..6);
    (requests, prop::collection::vec(mutation(), 0..5)).prop_map(|(requests, mutations)| {
        let mut bytes = requests.concat().into_bytes();
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        bytes
    })
}

/// Returns the responses to a client that sends `bytes` in pieces, whose lengths are `steps` over
/// and over, and that takes at most `at_most` bytes at a time. The second value is true if the
/// connection then ends.
fn talk(bytes: &[u8], steps: &[usize], at_most: usize) -> (String, bool) {
    let mut service =
        Service::new(Arc::new(Site::embedded()), Timeouts::default(), HandlerPlacement::InPlace);
    let (mut connection, mut output) = (Connection::new(Instant::now()), Vec::new());
    let (mut rest, mut steps) = (bytes, steps.iter().cycle());
    while !rest.is_empty() && connection.want() == Want::Read {
        let step = steps.next().map_or(rest.len(), |&step| step.clamp(1, rest.len()));
        connection.receive(&rest[..step], &mut service);
        rest = &rest[step..];
        while connection.want() == Want::Write {
            let pending: Vec<u8> =
                connection.pending_output().iter().flat_map(|part| part.to_vec()).collect();
            assert!(!pending.is_empty(), "it wants to write and has nothing to");
            let taken = pending.len().min(at_most);
            output.extend_from_slice(&pending[..taken]);
            connection.advance(taken, &mut service);
        }
    }
    (comparable(&String::from_utf8_lossy(&output)), connection.want() != Want::Read)
}

/// Removes the parts that may differ: the time, and interim responses, which depend on the split.
fn comparable(output: &str) -> String {
    let text: String =
        output.split_inclusive('\n').filter(|line| !line.starts_with("Date: ")).collect();
    text.replace(INTERIM, "")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_mutated_requests_gets_the_same_responses(
        bytes in input(), steps in prop::collection::vec(1..3000usize, 1..4), takes in 1..30_000usize,
    ) {
        let whole = talk(&bytes, &[], usize::MAX);
        prop_assert_eq!(&talk(&bytes, &steps, usize::MAX), &whole);
        prop_assert_eq!(&talk(&bytes, &steps, takes), &whole);
    }

    #[test]
    fn requests_sent_byte_by_byte_get_the_same_responses(bytes in input().prop_filter("short", |bytes| bytes.len() < 2000)) {
        prop_assert_eq!(talk(&bytes, &[1], usize::MAX), talk(&bytes, &[], usize::MAX));
    }

    #[test]
    fn a_client_that_leaves_is_let_go(bytes in input()) {
        let mut service = Service::new(Arc::new(Site::embedded()), Timeouts::default(), HandlerPlacement::InPlace);
        let mut connection = Connection::new(Instant::now());
        connection.receive(&bytes, &mut service);
        connection.receive_end();
        while connection.want() == Want::Write {
            let pending = connection.pending_output().iter().map(|part| part.len()).sum();
            connection.advance(pending, &mut service);
        }
        // Either the connection is done, or it has an error to report first and then closes.
        prop_assert!(connection.want() != Want::Read);
    }
}
