//! Scenes: each shows the packets that it is about.

use serde_json::{Value, json};

use crate::support::{Wire, told, wire};

/// Returns sender and flags of the packets of a connection, which are counted from 1.
fn of_connection(wire: &Wire, connection: u64) -> Vec<String> {
    told(&wire.packets(|packet| packet["connection"] == connection))
}

fn count(told: &[String], wanted: &str) -> usize {
    told.iter().filter(|told| *told == wanted).count()
}

#[test]
fn a_full_queue_drops_a_syn_which_is_sent_again() {
    let Some(wire) = wire(&["epoll", "--scene", "backlog"]) else { return };
    let connections = wire.json["connections"].as_array().expect("there are connections").len();
    assert!(connections >= 3, "{}", wire.json["connections"]);
    let dropped = of_connection(&wire, connections as u64);
    assert_eq!(dropped[..2], ["client S", "client S"], "{dropped:?}");
    assert_eq!(count(&dropped, "server S."), 1, "{dropped:?}");
    // The queue holds connections whose handshake is complete, and whose request nobody reads.
    let queued = of_connection(&wire, connections as u64 - 1);
    assert_eq!(queued[..3], ["client S", "server S.", "client ."], "{queued:?}");
    let story = wire.story();
    assert!(story.contains("dropped the SYN of connection #"), "{story}");
    assert!(story.contains("connect() took"), "{story}");
    let calls = wire.json["calls"].as_array().expect("there are calls").iter();
    let mut connects = calls.filter(|call| call["call"] == "connect");
    let waited_us = connects.next_back().expect("it connects")["duration_us"].as_f64();
    assert!(waited_us > Some(900e3), "{waited_us:?}");
}

#[test]
fn an_unread_response_ends_in_a_reset_and_leaves_no_time_wait() {
    let Some(wire) = wire(&["epoll", "--scene", "reset"]) else { return };
    let packets = of_connection(&wire, 1);
    assert_eq!(packets.last().map(String::as_str), Some("client R."), "{packets:?}");
    assert!(packets.iter().all(|packet| !packet.contains('F')), "{packets:?}");
    assert_eq!(wire.json["closed_first"], "client");
    assert_eq!(wire.json["time_wait"], Value::Null, "{}", wire.json["states"]);
    assert!(wire.story().contains("Neither side holds TIME-WAIT"), "{}", wire.story());
}

#[test]
fn a_half_closed_connection_still_carries_the_response() {
    let Some(wire) = wire(&["epoll", "--scene", "half-close"]) else { return };
    let packets = wire.packets(|packet| packet["kind"] == "tcp");
    let position = |is_wanted: &dyn Fn(&Value) -> bool| {
        packets.iter().position(|packet| is_wanted(packet)).expect("there is such a packet")
    };
    let is_fin = |packet: &Value| packet["flags"].as_str().unwrap().contains('F');
    let fin = position(&|packet| packet["from"] == "client" && is_fin(packet));
    let response =
        position(&|packet| packet["from"] == "server" && packet["length"].as_u64() > Some(0));
    let answer = position(&|packet| packet["from"] == "server" && is_fin(packet));
    assert!(fin < response && response <= answer, "{:?}", told(&packets));
    assert_eq!(packets[response]["server_state"]["state"], "CLOSE-WAIT", "{}", packets[response]);
    assert_eq!(wire.json["time_wait"], "client");
    assert!(wire.calls("client").contains(&"shutdown = 0".to_owned()));
}

#[test]
fn a_client_that_never_completes_the_handshake_is_answered_again_and_not_accepted() {
    let Some(wire) = wire(&["epoll", "--scene", "syn"]) else { return };
    let packets = of_connection(&wire, 1);
    assert!(count(&packets, "server S.") >= 2, "{packets:?}");
    assert_eq!(count(&packets, "client ."), 0, "{packets:?}");
    let last = wire.packets(|packet| packet["from"] == "server").pop().expect("it answers");
    assert_eq!(last["server_state"], json!({ "state": "SYN-RECEIVED", "read": true }));
    assert!(wire.calls("server").is_empty(), "{:?}", wire.calls("server"));
    assert!(wire.story().contains("never sends the third packet"), "{}", wire.story());
}
