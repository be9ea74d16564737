//! The captured frames as a pcapng file, which Wireshark opens: an interface for each card, and
//! times in nanoseconds.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Context, Result};
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};

use super::observation::{Observation, Point};
use super::packet::Link;

/// Resolution of times, as a negative power of ten of a second. The library writes nanoseconds.
const NANOSECONDS: u8 = 9;

/// Returns the content of the file: the frames in the order of time.
pub fn bytes(observation: &Observation) -> Result<Vec<u8>> {
    let cannot = "cannot put the packets into a pcapng file";
    let mut writer = PcapNgWriter::new(Vec::new()).context(cannot)?;
    for point in &observation.points {
        writer.write_pcapng_block(interface(point)).context(cannot)?;
    }
    for sighting in &observation.sightings {
        let block = EnhancedPacketBlock {
            interface_id: sighting.point as u32,
            timestamp: Duration::from_nanos(sighting.at_ns),
            original_len: sighting.bytes.len() as u32,
            data: Cow::Borrowed(&sighting.bytes),
            options: Vec::new(),
        };
        writer.write_pcapng_block(block).context(cannot)?;
    }
    Ok(writer.into_inner())
}

fn interface(point: &Point) -> InterfaceDescriptionBlock<'_> {
    let linktype = match point.link {
        Link::Ethernet => DataLink::ETHERNET,
        Link::Ip => DataLink::RAW,
    };
    let mut options = vec![
        InterfaceDescriptionOption::IfName(Cow::Borrowed(&*point.name)),
        InterfaceDescriptionOption::IfDescription(Cow::Borrowed(&*point.interface)),
        InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
    ];
    options.extend(
        point.mac.map(|mac| InterfaceDescriptionOption::IfMacAddr(Cow::Owned(mac.to_vec()))),
    );
    InterfaceDescriptionBlock { linktype, snaplen: 0, options }
}

#[cfg(test)]
mod tests {
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::super::fixture::short_connection;
    use super::*;

    #[test]
    fn frames_are_read_back_with_their_times_to_the_nanosecond() {
        let mut observation = short_connection();
        for (index, sighting) in observation.sightings.iter_mut().enumerate() {
            sighting.at_ns = 1_700_000_000_123_456_789 + index as u64;
            sighting.bytes = vec![index as u8; 61];
        }
        let file = bytes(&observation).unwrap();
        let mut reader = PcapNgReader::new(&file[..]).unwrap();
        let mut read = Vec::new();
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block.unwrap() {
                read.push((packet.timestamp, packet.data.into_owned()));
            }
        }
        let written = observation
            .sightings
            .iter()
            .map(|sighting| (Duration::from_nanos(sighting.at_ns), sighting.bytes.clone()));
        assert!(read.into_iter().eq(written));
    }
}
