//! Clients that read slowly: other clients do not notice them.

use std::thread;
use std::time::Duration;

use super::{Behaviour, behaviours};
use crate::client::{Client, get, pattern};
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    sends_10_mib_to_a_client_that_reads_slowly,
    sends_10_mib_to_eight_clients_at_once,
    answers_a_pipelining_client_that_does_not_read,
    answers_a_client_that_has_stopped_sending;
    at_once:
    serves_others_while_a_client_does_not_read,
];

const LENGTH: usize = 10 * 1024 * 1024;

/// Receive buffer, small enough that the kernel never takes more than a fraction of the response
/// from the server.
const SMALL_BUFFER_BYTES: usize = 64 * 1024;

fn slow_client(server: &Server) -> Client {
    Client::connect_with_small_buffer(server.address, SMALL_BUFFER_BYTES)
}

fn sends_10_mib_to_a_client_that_reads_slowly(model: &Model) {
    const PIECE: usize = 4096;
    let server = Server::start(model);
    let mut slow = slow_client(&server);
    slow.send(get(&format!("/bytes/{LENGTH}")));
    assert_eq!(slow.read_head(), LENGTH);
    let expected = pattern(LENGTH);
    for (i, piece) in expected.chunks(PIECE).enumerate() {
        assert!(slow.read_exactly(piece.len()) == piece, "piece {i} is wrong");
        // The pause makes the client slow; the request shows that other clients don't wait.
        if i % 16 == 0 {
            thread::sleep(Duration::from_millis(1));
            server.assert_serves_others();
        }
    }
    assert_eq!(slow.get("/bytes/3").body.len(), 3);
}

fn serves_others_while_a_client_does_not_read(model: &Model) {
    let server = Server::start(model);
    let mut stuck: Vec<Client> = (0..4).map(|_| slow_client(&server)).collect();
    for client in &mut stuck {
        client.send(get(&format!("/bytes/{LENGTH}")));
        assert_eq!(client.read_head(), LENGTH);
    }
    let mut other = server.connect();
    for _ in 0..100 {
        assert_eq!(other.get("/").body.len(), 1024);
        assert_eq!(server.connect().get("/bytes/20000").body.len(), 20_000);
    }
    for client in &mut stuck {
        assert!(client.read_exactly(LENGTH) == pattern(LENGTH));
    }
}

fn sends_10_mib_to_eight_clients_at_once(model: &Model) {
    let server = Server::start(model);
    let expected = pattern(LENGTH);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let answer = server.connect().get(&format!("/bytes/{LENGTH}"));
                assert!(answer.body == expected);
            });
        }
    });
}

fn answers_a_pipelining_client_that_does_not_read(model: &Model) {
    let server = Server::start(model);
    let mut client = slow_client(&server);
    // 64 MiB of responses: a server that wrote them all to memory first would be easy to bring
    // down.
    client.send(get("/bytes/1048576").repeat(64));
    for _ in 0..20 {
        server.assert_serves_others();
    }
    let expected = pattern(1024 * 1024);
    for _ in 0..64 {
        assert!(client.answer().body == expected);
    }
}

fn answers_a_client_that_has_stopped_sending(model: &Model) {
    let server = Server::start(model);
    for length in [0, 1000, 100_000, LENGTH] {
        let mut client = slow_client(&server);
        client.send(get(&format!("/bytes/{length}")).repeat(2));
        client.shut_sending();
        for _ in 0..2 {
            assert!(client.answer().body == pattern(length), "{length}");
        }
        client.assert_ended();
    }
}
