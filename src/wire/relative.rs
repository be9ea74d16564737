//! Sequence numbers counted from the SYN of their side, as tcpdump and Wireshark show them. On the
//! wire they begin with a random number.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::observation::Sighting;
use super::packet::Content;

/// Makes the sequence numbers of all segments, which are in the order of time, relative.
pub fn relative(sightings: &mut [Sighting]) {
    let mut first: HashMap<[SocketAddr; 2], u32> = HashMap::new();
    for sighting in sightings {
        let Content::Tcp(tcp) = &mut sighting.packet.content else { continue };
        let way = [tcp.route.source, tcp.route.destination];
        let own = *first.entry(way).or_insert(tcp.sequence);
        tcp.sequence = tcp.sequence.wrapping_sub(own);
        let other = first.get(&[way[1], way[0]]).copied().unwrap_or_default();
        if tcp.flags.ack() {
            tcp.acknowledgement = tcp.acknowledgement.wrapping_sub(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CLIENT, SERVER, sighting};
    use super::*;

    #[test]
    fn numbers_begin_at_the_syn_of_their_side_even_where_they_wrap() {
        let mut sightings = [
            sighting(0, CLIENT, "S", (u32::MAX, 0), 0),
            sighting(1, SERVER, "S.", (500, 0), 0),
            sighting(2, CLIENT, ".", (0, 501), 0),
            sighting(3, CLIENT, "P.", (0, 501), 40),
            sighting(4, SERVER, ".", (501, 40), 0),
        ];
        relative(&mut sightings);
        let numbers =
            sightings.map(|sighting| sighting.packet.tcp().map(super::super::packet::Tcp::numbers));
        let expected = ["seq 0", "seq 0 ack 1", "seq 1 ack 1", "seq 1:41 ack 1", "seq 1 ack 41"];
        assert_eq!(numbers.each_ref().map(|numbers| numbers.as_deref().unwrap()), expected);
    }
}
