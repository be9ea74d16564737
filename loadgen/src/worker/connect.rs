//! Opens connections, opens them again after a failure, and leaves them to the server to close.

use std::io;

use rustix::event::epoll;

use super::Worker;

/// Events that a socket is registered for, once for its whole life.
const EVERYTHING: epoll::EventFlags = epoll::EventFlags::IN
    .union(epoll::EventFlags::OUT)
    .union(epoll::EventFlags::RDHUP)
    .union(epoll::EventFlags::ET);

impl Worker {
    /// Opens queued connections.
    pub(super) fn open_due(&mut self, now: u64) {
        while self.connecting.may_open(self.start_up.is_ready())
            && !self.plan.is_stopped()
            && self.dialer.take_turn(now)
        {
            let Some(key) = self.connecting.begin() else { return };
            self.open(key, now);
        }
    }

    fn open(&mut self, key: usize, now: u64) {
        // Not `now`: other connections may have been opened since.
        let began = self.plan.clock.now();
        let socket = self.dialer.connect(&self.plan.target.addresses).and_then(|socket| {
            self.poller.add(&socket, key as u64, EVERYTHING)?;
            Ok(socket)
        });
        let slot = &mut self.slots[key];
        if let Some(pending) = &mut slot.pending {
            if std::mem::take(&mut pending.lag_is_open) {
                self.recording.note_send(*pending, began);
            }
            // Only for the first try: the time of a failed try is not the generator's doing.
            if let Some(since) = pending.lacks_connection_since.take() {
                pending.connect_wait = Some(began.saturating_sub(since));
            }
        }
        slot.begin_connect(self.dialer.address(), self.plan.workload.lifetime, began);
        match socket {
            Ok(socket) => slot.socket = Some(socket),
            Err(error) => return self.connect_failed(key, error, now),
        }
        if slot.pending.is_some() {
            // On loopback the handshake is over by now and this goes through; elsewhere an event
            // will follow.
            self.send(key, self.plan.clock.now());
        }
    }

    /// Makes epoll report a socket again that was not read empty. Edge-triggered epoll does not do
    /// so by itself.
    pub(super) fn look_again(&self, key: usize) {
        if let Some(socket) = &self.slots[key].socket {
            let _ = self.poller.modify(socket, key as u64, EVERYTHING);
        }
    }

    pub(super) fn connect_failed(&mut self, key: usize, error: io::Error, now: u64) {
        let slot = &mut self.slots[key];
        let failures = slot.connect_failed();
        self.recording.record_connect_failure(&self.plan, slot.address, &error);
        self.connecting.note_failure(key, slot.connect_began, failures, error, now);
    }

    pub(super) fn established(&mut self, key: usize, now: u64) {
        self.slots[key].established(now);
        self.connecting.note_established();
    }

    /// Leaves the connection to the server to close.
    pub(super) fn linger(&mut self, key: usize, now: u64) {
        if let Some(socket) = self.slots[key].socket.take() {
            self.lingering.push(socket, &self.poller, now);
        }
    }
}
