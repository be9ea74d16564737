//! Rows of the ladder: each packet with the call that sent it, the calls between packets, and the
//! states of both sockets after each packet.

use c10k_reports::wire::{Arrow, Beside, Ladder, Row};

use super::observation::{Call, Observation, Sent, Side};
use super::state::{State, States, implied};

/// Calls without a row of their own: they are about more than one connection.
const NOT_SHOWN: [&str; 3] = ["io_uring_enter", "exit", "exit_group"];

/// Returns the call that sent each segment, by their indices; `None` if the kernel sent it by
/// itself, such as the answer to a SYN, an acknowledgement, or a segment that is sent again.
pub fn causes(observation: &Observation) -> Vec<Option<usize>> {
    let sent: Vec<Sent<'_>> = observation.sent().collect();
    let cause = |(index, one): (usize, &Sent<'_>)| {
        let is_again = sent[..index].iter().any(|earlier| is_same_content(earlier, one));
        if is_again { None } else { cause(observation, one) }
    };
    sent.iter().enumerate().map(cause).collect()
}

fn is_same_content(earlier: &Sent<'_>, one: &Sent<'_>) -> bool {
    let content = |sent: &Sent<'_>| (sent.connection, sent.side, sent.tcp.sequence);
    one.tcp.takes() > 0 && earlier.tcp.takes() > 0 && content(earlier) == content(one)
}

fn cause(observation: &Observation, sent: &Sent<'_>) -> Option<usize> {
    let able = able_to_send(sent);
    let is_cause = |(_, call): &(usize, &Call)| {
        call.side == sent.side
            && able.contains(&&*call.name)
            && call.connection.is_none_or(|connection| connection == sent.connection)
            && (call.begin_ns..=call.ended_by_ns).contains(&sent.at_ns)
    };
    // A call that names the connection comes before one that names none.
    let candidates = observation.calls.iter().enumerate().filter(is_cause);
    let nearest = candidates.max_by_key(|(_, call)| (call.connection.is_some(), call.begin_ns));
    nearest.map(|(index, _)| index)
}

/// Returns the names of the calls that can send such a segment.
fn able_to_send(sent: &Sent<'_>) -> &'static [&'static str] {
    let flags = sent.tcp.flags;
    if flags.syn() {
        return if flags.ack() { &[] } else { &["connect"] };
    }
    if flags.fin() || flags.reset() {
        return &["close", "shutdown", "exit", "exit_group", "io_uring_enter"];
    }
    if sent.tcp.length == 0 {
        return &[];
    }
    &["send", "write", "writev", "sendto", "sendmsg", "sendfile", "splice", "io_uring_enter"]
}

/// A row before it is text, with its time.
enum Event<'a> {
    Packet { sent: Sent<'a>, states: States, cause: Option<&'a Call> },
    Call(&'a Call),
}

/// Builds the ladder.
pub fn ladder(observation: &Observation) -> Ladder {
    let causes = causes(observation);
    let states = implied(observation);
    let mut events: Vec<(u64, Event<'_>)> = Vec::new();
    for ((sent, states), cause) in observation.sent().zip(states).zip(&causes) {
        let cause = cause.map(|index| &observation.calls[index]);
        events.push((sent.at_ns, Event::Packet { sent, states, cause }));
    }
    for (index, call) in observation.calls.iter().enumerate() {
        if is_shown(call) && !causes.contains(&Some(index)) {
            events.push((call.end_ns, Event::Call(call)));
        }
    }
    events.sort_by_key(|(at_ns, _)| *at_ns);
    let numbered = observation.connections.len() > 1;
    let rows = events.iter().map(|(at_ns, event)| row(observation, *at_ns, event, numbered));
    let end = |side: Side| match observation.connections.as_slice() {
        [pair] => format!("{} {}", side.name(), pair.of(side)),
        [pair, ..] if side == Side::Server => format!("{} {}", side.name(), pair.server),
        pairs => format!("{} ({} connections)", side.name(), pairs.len()),
    };
    Ladder { client: end(Side::Client), server: end(Side::Server), rows: rows.collect() }
}

/// True if a call has a row of its own: it ended, and is about a connection.
fn is_shown(call: &Call) -> bool {
    call.connection.is_some() && call.end_ns != u64::MAX && !NOT_SHOWN.contains(&&*call.name)
}

fn row(observation: &Observation, at_ns: u64, event: &Event<'_>, numbered: bool) -> Row {
    let number = |connection: usize| {
        if numbered { format!("#{} ", connection + 1) } else { String::new() }
    };
    let mut row = Row {
        at: format!("{:.3}", observation.since_begin_us(at_ns) / 1e3),
        client: Beside::default(),
        server: Beside::default(),
        arrow: None,
    };
    match event {
        Event::Packet { sent, states, cause } => {
            row.arrow = Some(Arrow {
                to_server: sent.side == Side::Client,
                flags: format!("{}{}", number(sent.connection), sent.tcp.flags.letters()),
                detail: sent.tcp.numbers(),
                is_reset: sent.tcp.flags.reset(),
            });
            for side in Side::BOTH {
                let state = states.of(side);
                let is_read = is_read(observation, sent.connection, side, state);
                beside(&mut row, side).state =
                    if is_read { state.to_string() } else { format!("({state})") };
            }
            beside(&mut row, sent.side).call = cause.map(call_text).unwrap_or_default();
        }
        Event::Call(call) => {
            let number = call.connection.map(number).unwrap_or_default();
            beside(&mut row, call.side).call = format!("{number}{}", call_text(call));
        }
    }
    row
}

/// True if this state of this socket was read from the kernel. A connection is in each state once.
pub fn is_read(observation: &Observation, connection: usize, side: Side, state: State) -> bool {
    let mut readings = observation.readings.iter();
    readings.any(|reading| {
        let read = match reading.state {
            Some(number) => State::of_kernel(number),
            // The kernel has forgotten the socket.
            None => Some(State::Closed),
        };
        (reading.connection, reading.side, read) == (connection, side, Some(state))
    })
}

fn beside(row: &mut Row, side: Side) -> &mut Beside {
    match side {
        Side::Client => &mut row.client,
        Side::Server => &mut row.server,
    }
}

/// Returns the call with its result; without one while it has not ended.
fn call_text(call: &Call) -> String {
    if call.result.is_empty() || call.result == "?" {
        return call.name.clone();
    }
    format!("{} = {}", call.name, call.result)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CLIENT, SERVER, call, observation, short_connection, sighting};
    use super::super::observation::Reading;
    use super::*;

    /// Returns the rows as texts: call and state of the client, packet, state and call of the
    /// server.
    fn texts(observation: &Observation) -> Vec<[String; 5]> {
        let rows = ladder(observation).rows.into_iter();
        rows.map(|row| {
            let arrow = row.arrow.map(|arrow| format!("{} {}", arrow.flags, arrow.detail));
            let Row { client, server, .. } = row;
            [client.call, client.state, arrow.unwrap_or_default(), server.state, server.call]
        })
        .collect()
    }

    #[test]
    fn each_packet_has_the_call_that_sent_it_and_other_calls_have_rows_of_their_own() {
        let rows = texts(&short_connection());
        let expected = [
            ["connect = 0", "(SYN-SENT)", "S seq 0", "(LISTEN)", ""],
            ["", "(SYN-SENT)", "S. seq 0 ack 1", "(SYN-RECEIVED)", ""],
            ["", "(ESTABLISHED)", ". seq 1 ack 1", "(ESTABLISHED)", ""],
            ["", "", "", "", "accept4 = 5"],
            ["send = 40", "(ESTABLISHED)", "P. seq 1:41 ack 1", "(ESTABLISHED)", ""],
            ["", "(ESTABLISHED)", ". seq 1 ack 41", "(ESTABLISHED)", ""],
            ["", "", "", "", "recvfrom = 40"],
            ["", "(ESTABLISHED)", "P. seq 1:1001 ack 41", "(ESTABLISHED)", "sendto = 1000"],
            ["", "(ESTABLISHED)", ". seq 41 ack 1001", "(ESTABLISHED)", ""],
            ["recv = 1000", "", "", "", ""],
            ["", "(CLOSE-WAIT)", "F. seq 1001 ack 41", "(FIN-WAIT-1)", "close = 0"],
            ["recv = 0", "", "", "", ""],
            ["close = 0", "(LAST-ACK)", "F. seq 41 ack 1002", "(TIME-WAIT)", ""],
            ["", "(CLOSED)", ". seq 1002 ack 42", "(TIME-WAIT)", ""],
        ];
        assert_eq!(rows, expected.map(|row| row.map(str::to_owned)));
    }

    #[test]
    fn only_a_state_that_was_read_is_without_parentheses() {
        let mut observation = short_connection();
        let reading = |state| Reading { at_ns: 1, side: SERVER, connection: 0, state };
        observation.readings = vec![reading(Some(10)), reading(Some(6))];
        let rows = texts(&observation);
        assert_eq!(rows[0][3], "LISTEN");
        assert_eq!(rows[1][3], "(SYN-RECEIVED)");
        let last = &rows[rows.len() - 1];
        assert_eq!((&*last[1], &*last[3]), ("(CLOSED)", "TIME-WAIT"));
    }

    #[test]
    fn a_syn_that_is_sent_again_is_the_kernels() {
        let mut observation = observation(vec![
            sighting(0, CLIENT, "S", (0, 0), 0),
            sighting(1_000_000, CLIENT, "S", (0, 0), 0),
        ]);
        observation.calls = vec![call(CLIENT, "connect", 0, 2_000_000, "0")];
        assert_eq!(causes(&observation), [Some(0), None]);
    }

    #[test]
    fn a_call_of_the_other_side_or_of_another_time_is_no_cause() {
        let mut observation = observation(vec![sighting(100, SERVER, "P.", (1, 41), 1000)]);
        observation.calls = vec![
            call(CLIENT, "send", 90, 110, "40"),
            call(SERVER, "sendto", 10, 20, "1000"),
            call(SERVER, "recvfrom", 90, 110, "40"),
        ];
        assert_eq!(causes(&observation), [None]);
        observation
            .calls
            .push(Call { connection: None, ..call(SERVER, "io_uring_enter", 90, 110, "1") });
        assert_eq!(causes(&observation), [Some(3)]);
    }

    #[test]
    fn several_connections_are_numbered() {
        let mut observation = short_connection();
        observation.connections.push(observation.connections[0]);
        assert_eq!(texts(&observation)[0][2], "#1 S seq 0");
    }
}
