//! Messages of the DNS (RFC 1035): one question for the address of a name, and the answer to it.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail, ensure};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, ResourceRecord, TYPE};

/// Port of a DNS server.
pub(super) const PORT: u16 = 53;

/// Longest message over UDP (RFC 1035, section 4.2.1).
pub(super) const LONGEST: usize = 512;

/// Time for which an answer may be kept, in seconds.
const TTL_S: u32 = 60;

/// Returns a question for the IPv4 address of a name.
pub(super) fn query(id: u16, name: &str) -> Result<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = parse_name(name)?;
    packet.questions.push(Question::new(name, TYPE::A.into(), CLASS::IN.into(), false));
    Ok(packet.build_bytes_vec()?)
}

/// Returns the address that a message gives as the answer to the question `id`.
pub(super) fn address_in(message: &[u8], id: u16) -> Result<Ipv4Addr> {
    let packet = Packet::parse(message).context("it is no message of the DNS")?;
    ensure!(
        packet.id() == id && packet.has_flags(PacketFlag::RESPONSE),
        "it does not answer this question"
    );
    match packet.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => bail!("the server does not know the name"),
        other => bail!("the server answers {other:?}"),
    }
    let address = packet.answers.iter().find_map(|record| match &record.rdata {
        RData::A(address) => Some(Ipv4Addr::from(address.address)),
        _ => None,
    });
    address.context("the name has no IPv4 address")
}

/// Returns the answer of a server that knows one name and its address; `None` if the message is no
/// question.
pub(super) fn answer(message: &[u8], known: &str, address: Ipv4Addr) -> Option<Vec<u8>> {
    let known = parse_name(known).ok()?;
    let query = Packet::parse(message).ok()?;
    if query.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let mut answer = query.into_reply();
    answer.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    answer.additional_records.clear();
    for question in &answer.questions {
        if question.qname != known {
            *answer.rcode_mut() = RCODE::NameError;
            break;
        }
        if question.qtype == QTYPE::TYPE(TYPE::A) {
            let name = question.qname.clone();
            let record = ResourceRecord::new(name, CLASS::IN, TTL_S, RData::A(address.into()));
            answer.answers.push(record);
        }
    }
    answer.build_bytes_vec_compressed().ok()
}

/// Parses a name, and refuses one that no host can have.
pub(super) fn parse_name(name: &str) -> Result<Name<'_>> {
    let parsed = Name::new(name).ok().filter(Name::is_valid_hostname);
    parsed.with_context(|| format!("`{name}` can't be the name of a host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    fn ask(name: &str) -> Result<Ipv4Addr> {
        let answer = answer(&query(7, name)?, "server.example", ADDRESS);
        address_in(&answer.context("no answer")?, 7)
    }

    #[test]
    fn the_known_name_has_its_address_and_no_other_name_has_one() {
        assert_eq!(ask("server.example").unwrap(), ADDRESS);
        assert_eq!(ask("SERVER.example").unwrap(), ADDRESS);
        for unknown in ["example", "a.server.example"] {
            let refused = ask(unknown).unwrap_err().to_string();
            assert!(refused.contains("does not know the name"), "{unknown}: {refused}");
        }
    }

    #[test]
    fn another_type_of_record_is_not_answered_with_an_address() {
        let mut packet = Packet::new_query(7);
        let name = parse_name("server.example").unwrap();
        packet.questions.push(Question::new(name, TYPE::AAAA.into(), CLASS::IN.into(), false));
        let answer = answer(&packet.build_bytes_vec().unwrap(), "server.example", ADDRESS).unwrap();
        let refused = address_in(&answer, 7).unwrap_err().to_string();
        assert!(refused.contains("no IPv4 address"), "{refused}");
    }

    #[test]
    fn messages_that_are_no_answer_are_refused() {
        let query = query(7, "server.example").unwrap();
        let good = answer(&query, "server.example", ADDRESS).unwrap();
        assert!(address_in(&good, 8).unwrap_err().to_string().contains("this question"));
        assert!(address_in(&query, 7).unwrap_err().to_string().contains("this question"));
        assert!(address_in(b"HTTP/1.1", 7).unwrap_err().to_string().contains("no message"));
        assert_eq!(answer(&good, "server.example", ADDRESS), None);
        assert_eq!(answer(b"", "server.example", ADDRESS), None);
    }

    #[test]
    fn a_text_that_is_no_name_is_refused() {
        for text in ["", "a b", "_a.example", &"x".repeat(64)] {
            let refused = query(7, text).unwrap_err().to_string();
            assert!(refused.contains("can't be the name"), "{text}: {refused}");
        }
    }
}
