//! Networks in between: what each card saw of the same packets.

use serde_json::{Value, json};

use crate::support::{Wire, wire};

const BROADCAST: &str = "ff:ff:ff:ff:ff:ff";

fn at(wire: &Wire, point: &str, kind: &str) -> Vec<Value> {
    let packets = wire.packets(|packet| packet["point"] == point && packet["kind"] == kind);
    packets.into_iter().cloned().collect()
}

/// Returns the address of the card at a point.
fn mac(wire: &Wire, point: &str) -> Value {
    let points = wire.json["points"].as_array().expect("there are cards");
    let found = points.iter().find(|card| card["point"] == point);
    found.unwrap_or_else(|| panic!("no card at {point}"))["mac"].clone()
}

/// Checks that exactly one question of ARP and one answer to it were seen at a card.
fn check_one_arp_exchange(wire: &Wire, point: &str) {
    let seen = at(wire, point, "arp");
    let [request, reply] = &seen[..] else { panic!("{seen:?} at {point}") };
    assert_eq!(request["destination_mac"], BROADCAST, "{request}");
    assert_eq!(reply["destination_mac"], request["source_mac"], "{reply}");
    assert_eq!(reply["source_ip"], request["destination_ip"], "{reply}");
}

#[test]
fn a_router_changes_cards_and_time_to_live_but_no_ip_address() {
    let Some(wire) = wire(&["epoll", "--topology", "routed"]) else { return };
    let points = ["client", "router-client-side", "router-server-side", "server"];
    for point in points {
        check_one_arp_exchange(&wire, point);
    }
    let seen = points.map(|point| at(&wire, point, "tcp"));
    let counts = seen.each_ref().map(Vec::len);
    assert!(counts[0] >= 9 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    let [client, near, far, server] = points.map(|point| mac(&wire, point));
    for index in 0..counts[0] {
        let packets = seen.each_ref().map(|seen| &seen[index]);
        for key in ["source_ip", "destination_ip", "flags", "sequence", "length"] {
            assert!(packets.iter().all(|packet| packet[key] == packets[0][key]), "{packets:?}");
        }
        let to_server = packets[0]["from"] == "client";
        let ttl =
            |near, far| if to_server { [near, near, far, far] } else { [far, far, near, near] };
        assert_eq!(packets.map(|packet| packet["ttl"].clone()), ttl(64, 63).map(|ttl| json!(ttl)));
        let cards =
            packets.map(|packet| [packet["source_mac"].clone(), packet["destination_mac"].clone()]);
        let way = |from: &Value, to: &Value| {
            if to_server { [from.clone(), to.clone()] } else { [to.clone(), from.clone()] }
        };
        let (first, second) = (way(&client, &near), way(&far, &server));
        assert_eq!(cards, [first.clone(), first, second.clone(), second], "{packets:?}");
    }
    let story = wire.story();
    assert!(story.contains("C → R1 and left as R2 → S"), "{story}");
    assert!(story.contains("fell from 64 to 63"), "{story}");
}

#[test]
fn a_name_is_looked_up_over_the_wire_before_the_connection_is_opened() {
    let Some(wire) = wire(&["epoll", "--topology", "bridged"]) else { return };
    let dns = at(&wire, "client", "dns");
    assert_eq!(dns.len(), 2, "{dns:?}");
    assert_eq!((&dns[0]["from"], &dns[1]["from"]), (&json!("client"), &json!("server")));
    assert!(dns[0]["about"].as_str().unwrap().contains("A? server.test"), "{dns:?}");
    let address = dns[1]["source_ip"].as_str().unwrap();
    assert!(dns[1]["about"].as_str().unwrap().ends_with(address), "{dns:?}");
    let syn = &at(&wire, "client", "tcp")[0];
    assert!(syn["at_us"].as_f64() > dns[1]["at_us"].as_f64(), "{syn}");
    assert_eq!(syn["destination_ip"], address);
    // A switch shows a bystander the question for a card, and nothing that is for others.
    let overheard = wire.packets(|packet| packet["point"] == "bystander");
    assert!(!overheard.is_empty());
    for packet in overheard {
        assert_eq!(
            (&packet["kind"], &packet["destination_mac"]),
            (&json!("arp"), &json!(BROADCAST))
        );
    }
    assert!(wire.story().contains("all of them broadcasts"), "{}", wire.story());
    assert_eq!(wire.json["time_wait"], "server");
}

#[test]
fn a_hub_shows_a_bystander_the_request() {
    let Some(wire) = wire(&["epoll", "--topology", "hub"]) else { return };
    let has_content = |packet: &&Value| packet["length"].as_u64() > Some(0);
    let overheard = at(&wire, "bystander", "tcp");
    let request = overheard.iter().find(|packet| has_content(packet)).expect("it is overheard");
    assert_eq!(request["from"], "client");
    assert_eq!(request["destination_mac"], mac(&wire, "server"));
    assert_eq!(overheard.len(), at(&wire, "server", "tcp").len());
    assert!(wire.story().contains("hub sends every frame"), "{}", wire.story());
    let network = wire.file("reports/wire/epoll-short-server-hub-network.svg");
    let picture = std::fs::read_to_string(network).expect("there is a picture of the network");
    assert!(picture.contains("C → S ttl 64") && picture.contains("C → all"), "{picture}");
}
