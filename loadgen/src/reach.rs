//! Finds out, before a run, which addresses of a name answer; the run leaves out the others.
//!
//! `localhost` is `::1` and `127.0.0.1`, and most servers listen on only one of them. Other clients
//! try the addresses for each connection, until one accepts it; a generator that did so would
//! measure the failed attempts. A host with one address is not tried, so that its server sees only
//! the connections of the run.

use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant};

use crate::addresses::LeftOut;
use crate::attempts::{Tried, try_each};
use crate::run::RunError;
use crate::target::{Request, Target};
use crate::worker::FIRST_CONNECTION;

/// Longest time for a response from an address: the kernel sends a lost SYN again after 1 s.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Pause between two attempts, while a server may still be starting.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Sends one request to each address of `target`, staggered and in parallel, and leaves out the
/// addresses that don't answer within `timeout` (2 s at most). If none answers in that time, the
/// addresses that accept a connection stay: their responses may take longer.
///
/// # Errors
/// When no address accepts a connection within the time in which a run looks for its server.
pub fn reach(target: Target, request: &Request, timeout: Duration) -> Result<Target, RunError> {
    if target.addresses.len() == 1 {
        return Ok(target);
    }
    let request = target.render(request, true);
    let begin = Instant::now();
    loop {
        let tried = try_each(&target.addresses, &request, timeout.min(MAX_WAIT));
        if tried.iter().any(|tried| tried.response.is_ok()) {
            return Ok(without_silent(target, tried, |tried| tried.response.is_ok()));
        }
        if tried.iter().any(|tried| tried.accepted) {
            return Ok(without_silent(target, tried, |tried| tried.accepted));
        }
        if begin.elapsed() >= FIRST_CONNECTION {
            return Err(RunError::Unreachable { url: target.url, error: most_telling(tried) });
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn without_silent(mut target: Target, tried: Vec<Tried>, stays: fn(&Tried) -> bool) -> Target {
    target.addresses.clear();
    for tried in tried {
        match &tried.response {
            Err(error) if !stays(&tried) => {
                target.left_out.push(LeftOut::new(tried.address, error));
            }
            _ => target.addresses.push(tried.address),
        }
    }
    target
}

/// Returns the error that is reported for all addresses. A refusal comes from the intended machine;
/// other errors may come from a kind of address for which this machine has no network.
fn most_telling(tried: Vec<Tried>) -> io::Error {
    let mut errors: Vec<_> = tried.into_iter().filter_map(|tried| tried.response.err()).collect();
    let refusal = errors.iter().position(|error| error.kind() == ErrorKind::ConnectionRefused);
    errors.swap_remove(refusal.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// Timeout that is longer than a stall of the machine.
    const STEP: Duration = Duration::from_millis(200);

    fn target(addresses: &[SocketAddr]) -> Target {
        let mut target = Target::resolve("http://127.0.0.1:1/").unwrap();
        target.addresses = addresses.to_vec();
        target
    }

    /// Returns a listener, and two addresses with its port: one of this machine without a listener,
    /// and the listener's own.
    fn one_of_two() -> (TcpListener, [SocketAddr; 2]) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, [SocketAddr::from(([127, 0, 0, 2], address.port())), address])
    }

    #[test]
    fn an_address_that_refuses_is_left_out_and_reported() {
        let (listener, [silent, answering]) = one_of_two();
        let reached = reach(target(&[silent, answering]), &Request::default(), STEP).unwrap();
        assert_eq!(reached.addresses, [answering]);
        assert_eq!(reached.left_out, [LeftOut { address: silent, reason: "refused".into() }]);
        assert_eq!(reached.left_out[0].to_string(), "address 127.0.0.2 refused");
        assert!(listener.accept().is_ok());
    }

    #[test]
    fn a_silent_address_is_waited_for_no_longer_than_the_timeout() {
        let (_listener, [silent, answering]) = one_of_two();
        // When the queue is full, further connections are dropped.
        let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        full.bind(&silent.into()).unwrap();
        full.listen(0).unwrap();
        let _waiting: Vec<_> = (0..2).map(|_| TcpStream::connect_timeout(&silent, STEP)).collect();
        let reached = reach(target(&[silent, answering]), &Request::default(), STEP).unwrap();
        assert_eq!(reached.addresses, [answering]);
        assert_eq!(reached.left_out[0].to_string(), "address 127.0.0.2 did not answer in time");
    }

    #[test]
    fn an_address_that_accepts_and_never_answers_is_left_out() {
        let (listener, [silent, answering]) = one_of_two();
        let _mute = TcpListener::bind(silent).unwrap();
        let server = thread::spawn(move || {
            listener.accept().unwrap().0.write_all(b"HTTP/1.1 200 OK").unwrap();
        });
        let reached = reach(target(&[silent, answering]), &Request::default(), 5 * STEP).unwrap();
        server.join().unwrap();
        assert_eq!(reached.addresses, [answering]);
        assert_eq!(reached.left_out[0].to_string(), "address 127.0.0.2 did not answer in time");
    }

    #[test]
    fn addresses_that_all_accept_and_do_not_answer_yet_stay_and_take_turns() {
        let (_listener, addresses) = one_of_two();
        let _other = TcpListener::bind(addresses[0]).unwrap();
        let reached = reach(target(&addresses), &Request::default(), STEP).unwrap();
        assert_eq!((&reached.addresses[..], reached.left_out.len()), (&addresses[..], 0));
    }

    #[test]
    fn one_address_alone_costs_its_server_no_connection() {
        let (listener, [_, address]) = one_of_two();
        assert!(reach(target(&[address]), &Request::default(), STEP).unwrap().left_out.is_empty());
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn if_no_address_answers_the_refusal_is_reported() {
        // The sockets are bound but do not listen, so that no other test can get their ports.
        let bind = |ip| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from((ip, 0)).into()).unwrap();
            let address = socket.local_addr().unwrap().as_socket().unwrap();
            (socket, address)
        };
        let (_one, silent) = bind([127, 0, 0, 2]);
        let (_other, refusing) = bind([127, 0, 0, 1]);
        let error =
            reach(target(&[silent, refusing]), &Request::default(), STEP).unwrap_err().to_string();
        assert!(error.contains("refused") && error.contains("start the server"), "{error}");
        let error = |kind: ErrorKind| Tried {
            address: silent,
            accepted: false,
            response: Err(kind.into()),
        };
        let errors =
            vec![error(ErrorKind::NetworkUnreachable), error(ErrorKind::ConnectionRefused)];
        assert_eq!(most_telling(errors).kind(), ErrorKind::ConnectionRefused);
    }
}
