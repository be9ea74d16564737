//! Finds out, before a run, which addresses of a name answer: the others are left out of it.
//!
//! `localhost` is `::1` and `127.0.0.1`, and most servers listen on one of them. Clients in general try one address after
//! the other for each connection; a generator that did so would measure its detours. A host with one address is not
//! tried: its server sees the connections of the run and no other.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::addresses::LeftOut;
use crate::run::RunError;
use crate::target::Target;
use crate::worker::FIRST_CONNECTION;

/// How long an address may take to answer: the kernel sends a lost SYN again after 1 s.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks for a server that is just being started.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An address, and why it does not answer.
type Tried = (SocketAddr, io::Result<()>);

/// Connects once to each address of `target`, all at the same time, and leaves out those that don't accept within
/// `timeout` (2 s at the most).
///
/// # Errors
/// When none of them accepts for as long as a run would look for its server.
pub fn reach(target: Target, timeout: Duration) -> Result<Target, RunError> {
    if target.addresses.len() == 1 {
        return Ok(target);
    }
    let begin = Instant::now();
    loop {
        let tried = try_each(&target.addresses, timeout.min(PATIENCE));
        if tried.iter().any(|(_, result)| result.is_ok()) {
            return Ok(without_silent(target, tried));
        }
        if begin.elapsed() >= FIRST_CONNECTION {
            return Err(RunError::Unreachable { url: target.url, error: most_telling(tried) });
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn try_each(addresses: &[SocketAddr], patience: Duration) -> Vec<Tried> {
    let connect = |address| TcpStream::connect_timeout(&address, patience).map(drop);
    thread::scope(|scope| {
        let spawn = |&address| (address, scope.spawn(move || connect(address)));
        let tries: Vec<_> = addresses.iter().map(spawn).collect();
        let panicked = |_| Err(io::Error::other("the thread that tried it panicked"));
        tries.into_iter().map(|(address, thread)| (address, thread.join().unwrap_or_else(panicked))).collect()
    })
}

fn without_silent(mut target: Target, tried: Vec<Tried>) -> Target {
    target.addresses.clear();
    for (address, result) in tried {
        match result {
            Ok(()) => target.addresses.push(address),
            Err(error) => target.left_out.push(LeftOut::new(address, &error)),
        }
    }
    target
}

/// The error to tell of several. A refusal comes from the machine that was meant; the others may come of a kind of address
/// that this machine has no network for.
fn most_telling(tried: Vec<Tried>) -> io::Error {
    let mut errors: Vec<_> = tried.into_iter().filter_map(|(_, result)| result.err()).collect();
    let refusal = errors.iter().position(|error| error.kind() == ErrorKind::ConnectionRefused);
    errors.swap_remove(refusal.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// Longer than a machine stalls.
    const STEP: Duration = Duration::from_millis(200);

    fn target(addresses: &[SocketAddr]) -> Target {
        let mut target = Target::resolve("http://127.0.0.1:1/").unwrap();
        target.addresses = addresses.to_vec();
        target
    }

    /// A listener, and another address of this machine with the same port, where there is none.
    fn one_of_two() -> (TcpListener, [SocketAddr; 2]) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, [SocketAddr::from(([127, 0, 0, 2], address.port())), address])
    }

    #[test]
    fn an_address_that_refuses_is_left_out_and_told() {
        let (listener, [silent, answering]) = one_of_two();
        let reached = reach(target(&[silent, answering]), Duration::from_secs(5)).unwrap();
        assert_eq!(reached.addresses, [answering]);
        assert_eq!(reached.left_out, [LeftOut { address: silent, reason: "refused".into() }]);
        assert_eq!(reached.left_out[0].to_string(), "address 127.0.0.2 refused");
        assert!(listener.accept().is_ok());
    }

    #[test]
    fn an_address_that_says_nothing_is_waited_for_no_longer_than_asked() {
        let (_listener, [silent, answering]) = one_of_two();
        // A queue that is full drops what comes further.
        let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        full.bind(&silent.into()).unwrap();
        full.listen(0).unwrap();
        let _waiting: Vec<_> = (0..2).map(|_| TcpStream::connect_timeout(&silent, STEP)).collect();
        let reached = reach(target(&[silent, answering]), STEP).unwrap();
        assert_eq!(reached.addresses, [answering]);
        assert_eq!(reached.left_out[0].to_string(), "address 127.0.0.2 did not answer in time");
    }

    #[test]
    fn addresses_that_all_answer_stay_and_take_turns() {
        let (_listener, addresses) = one_of_two();
        let _other = TcpListener::bind(addresses[0]).unwrap();
        let reached = reach(target(&addresses), Duration::from_secs(5)).unwrap();
        assert_eq!((&reached.addresses[..], reached.left_out.len()), (&addresses[..], 0));
    }

    #[test]
    fn one_address_alone_costs_its_server_no_connection() {
        let (listener, [_, address]) = one_of_two();
        assert!(reach(target(&[address]), Duration::from_secs(5)).unwrap().left_out.is_empty());
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn where_none_answers_the_refusal_is_told() {
        // Bound and not listening, so that the ports are no other test's.
        let bind = |ip| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from((ip, 0)).into()).unwrap();
            let address = socket.local_addr().unwrap().as_socket().unwrap();
            (socket, address)
        };
        let (_one, silent) = bind([127, 0, 0, 2]);
        let (_other, refusing) = bind([127, 0, 0, 1]);
        let error = reach(target(&[silent, refusing]), Duration::from_secs(5)).unwrap_err().to_string();
        assert!(error.contains("refused") && error.contains("start the server"), "{error}");
        let error = |kind: ErrorKind| (silent, Err(kind.into()));
        let errors = vec![error(ErrorKind::NetworkUnreachable), error(ErrorKind::ConnectionRefused)];
        assert_eq!(most_telling(errors).kind(), ErrorKind::ConnectionRefused);
    }
}
