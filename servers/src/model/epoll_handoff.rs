//! An event loop per processor, fed by one acceptor: a thread that only accepts gives each
//! connection to the loop that has the fewest.
//!
//! Each loop is the one of `epoll-edge`. Connections are distributed evenly, which the kernel does
//! not do for loops with listeners of their own. This costs a queue and a wake-up per connection,
//! and a thread that all connections pass through.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::net::capacity::Capacity;
use crate::net::shards::run_each;
use crate::readiness::event_loop::EventLoop;
use crate::readiness::mailbox::Mailbox;
use crate::readiness::raw_epoll::{RawEpoll, Trigger};
use crate::thread_limit::start_error;
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let inboxes =
        (0..options.event_loops()).map(|_| Inbox::new()).collect::<io::Result<Vec<_>>>()?;
    let capacity = Capacity::new()?;
    thread::scope(|scope| {
        let accept_all = || {
            let result = accept(options, &listener, &inboxes, &capacity, &shutdown);
            if result.is_err() {
                shutdown.signal();
            }
            // Sent after the last connection; without this message no loop would end.
            for inbox in &inboxes {
                inbox.mailbox.put(Message::End);
            }
            result
        };
        let acceptor = thread::Builder::new().spawn_scoped(scope, accept_all);
        let acceptor = acceptor.map_err(|error| start_error("the acceptor's thread", &error))?;
        let ended = run_each(&inboxes, &shutdown, |inbox| {
            run_loop(options, inbox, &capacity, Arc::clone(&site), &shutdown)
        });
        let accepted = acceptor.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        ended.and(accepted)
    })
}

fn accept(
    options: Options,
    listener: &Listener,
    inboxes: &[Inbox],
    capacity: &Capacity,
    shutdown: &Shutdown,
) -> io::Result<()> {
    let max = options.max_connections.get();
    while !shutdown.is_signalled() {
        capacity.wait(|| inboxes.iter().map(Inbox::count).sum::<usize>() < max, shutdown)?;
        if let Some(stream) = listener.wait_accept_non_blocking(shutdown)? {
            hand_over(stream, inboxes);
        }
    }
    for stream in listener.close() {
        hand_over(stream, inboxes);
    }
    Ok(())
}

fn run_loop(
    options: Options,
    inbox: &Inbox,
    capacity: &Capacity,
    site: Arc<Site>,
    shutdown: &Shutdown,
) -> io::Result<()> {
    // The acceptor enforces the connection limit.
    let mut event_loop =
        EventLoop::new(RawEpoll::new(Trigger::Edge)?, options.service(site), usize::MAX);
    event_loop.watch_wake(inbox.mailbox.as_fd())?;
    let mut is_fed = true;
    while is_fed {
        let mut count = event_loop.connections();
        if event_loop.turn(None)?.wake {
            for message in inbox.mailbox.take() {
                match message {
                    Message::Connection(stream) => {
                        event_loop.add(stream);
                        count += 1;
                    }
                    Message::End => is_fed = false,
                }
            }
        }
        let ended = count - event_loop.connections();
        if ended > 0 {
            inbox.connections.fetch_sub(ended, Ordering::Relaxed);
            capacity.freed();
        }
    }
    event_loop.drain(shutdown, |_, _| {})
}

fn hand_over(stream: TcpStream, inboxes: &[Inbox]) {
    if let Some(inbox) = inboxes.iter().min_by_key(|inbox| inbox.count()) {
        inbox.connections.fetch_add(1, Ordering::Relaxed);
        inbox.mailbox.put(Message::Connection(stream));
    }
}

/// Message from the acceptor to a loop.
#[derive(Debug)]
enum Message {
    Connection(TcpStream),
    End,
}

/// Inbox of a loop, filled by the acceptor.
struct Inbox {
    mailbox: Mailbox<Message>,
    /// Number of connections that the loop has, including those on their way to it.
    connections: AtomicUsize,
}

impl Inbox {
    fn new() -> io::Result<Self> {
        Ok(Self { mailbox: Mailbox::new()?, connections: AtomicUsize::new(0) })
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
