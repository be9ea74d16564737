//! The worker's side of Locust's protocol: what follows from a message, from the end of a load, and
//! from time that passes. It has no I/O and no clock.
//!
//! It differs from Locust's own worker in two ways. A load that changes is a new run of the
//! generator, which begins when the requests of the old one have been answered. And a worker whose
//! master has restarted registers again; Locust's own sends heartbeats to it, which does not know
//! them, until it gives up.

use std::time::{Duration, Instant};

use super::action::{Action, Exit};
use super::order::Order;
use super::protocol::{Message, Received, Refusal, Spawn, State, Usage, Users};
use super::report::{Reporter, Results};

/// Times of Locust (`locust/runners.py`): between heartbeats, between reports, and between attempts
/// to register.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
const REPORT_EVERY: Duration = Duration::from_secs(3);
const REGISTER_EVERY: Duration = Duration::from_secs(5);

/// Time without a heartbeat of the master after which a worker gives it up, as Locust's own does.
const PATIENCE: Duration = Duration::from_mins(1);

/// Time in which the master answers a heartbeat on a new connection, if it still knows this worker.
/// After the same time, a master counts a worker as lost.
const KNOWN_WITHIN: Duration = Duration::from_secs(3);

/// Relation to the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// No master has taken this worker yet.
    New,
    Known,
    /// A master did, and it has to register again.
    Again,
}

/// What the generator does.
#[derive(Debug)]
enum Load {
    None,
    Running(Order),
    /// The last requests are awaited; this follows.
    Ending(Then),
}

/// What follows the end of a load.
#[derive(Debug)]
enum Then {
    Start(Order),
    /// The test is over; the master will say so.
    Finish,
    Stop,
    Quit,
    /// The results are of a test that no master knows; the worker registers again.
    Forget,
    Interrupted,
}

/// State of a worker.
#[derive(Debug)]
pub struct Session {
    /// Address of the master, for messages.
    master: String,
    /// Time for which a first master is awaited, or the next one.
    wait: Duration,
    /// True if the worker awaits the next master when one ends.
    stays: bool,
    is_connected: bool,
    /// The last failure of the connection.
    reason: String,
    standing: Standing,
    /// Time of the last sign of the master.
    last_sign: Instant,
    /// Time by which a master has to know this worker after a new connection.
    proof_by: Option<Instant>,
    register_at: Instant,
    heartbeat_at: Instant,
    report_at: Instant,
    state: State,
    load: Load,
    users: Users,
    /// Identity of the test, and of the last one that has finished: that one gets no load.
    run: String,
    finished: Option<String>,
    /// Timestamp of the last spawn, and the time at which it came: the master's clock.
    spawned: Option<(f64, Instant)>,
    reporter: Reporter,
    actions: Vec<Action>,
}

impl Session {
    /// Creates a worker that awaits its master for this time, and, if it `stays`, the next one.
    pub fn new(master: String, wait: Duration, stays: bool, now: Instant) -> Self {
        Self {
            master,
            wait,
            stays,
            is_connected: false,
            reason: "no connection was made".into(),
            standing: Standing::New,
            last_sign: now,
            proof_by: None,
            register_at: now,
            heartbeat_at: now,
            report_at: now,
            state: State::Ready,
            load: Load::None,
            users: Users::new(),
            run: String::new(),
            finished: None,
            spawned: None,
            reporter: Reporter::default(),
            actions: Vec::new(),
        }
    }

    /// Takes the steps that follow from the calls since the last one.
    pub fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Notes that there is a connection to the master.
    pub fn connected(&mut self, now: Instant) {
        self.is_connected = true;
        self.register_at = now;
        self.heartbeat_at = now;
        self.proof_by = self.is_known().then(|| now + KNOWN_WITHIN);
    }

    /// Notes that there is no connection to the master; another one will be tried.
    pub fn disconnected(&mut self, reason: String) {
        self.is_connected = false;
        self.reason = reason;
    }

    /// Follows a message of the master.
    pub fn received(&mut self, message: Result<Received, Refusal>, now: Instant) {
        match message {
            Err(refusal) => {
                self.fail(&format!("cannot work for the master at {}: {refusal}", self.master));
            }
            Ok(Received::Acknowledged) => {
                self.standing = Standing::Known;
                self.seen(now);
            }
            Ok(Received::Heartbeat) => self.seen(now),
            Ok(Received::Spawn(spawn)) => self.spawn(*spawn, now),
            Ok(Received::Finish) => {
                self.finished = Some(self.run.clone());
                self.end_load(Then::Finish, now);
            }
            Ok(Received::Stop) => self.end_load(Then::Stop, now),
            Ok(Received::Quit) => self.end_load(Then::Quit, now),
            Ok(Received::Reconnect) => self.actions.push(Action::Reconnect),
            Ok(Received::Other) => {}
        }
    }

    /// Takes the results of an interval of the load.
    pub fn results(&mut self, results: Results, now: Instant) {
        let now_s = self.master_s(now);
        self.reporter.add(results, now_s);
    }

    /// Notes that the load has ended, with the summary of its results or with the reason why there
    /// are none.
    pub fn ended(&mut self, summary: Result<String, String>, now: Instant) {
        let load = std::mem::replace(&mut self.load, Load::None);
        match summary {
            Err(reason) => self.fail(&reason),
            Ok(summary) => {
                self.reporter.end(summary);
                if let Load::Ending(then) = load {
                    self.go_on(then, now);
                }
            }
        }
    }

    /// Ends the load, and the program after it.
    pub fn interrupt(&mut self, now: Instant) {
        self.finished = Some(self.run.clone());
        self.end_load(Then::Interrupted, now);
    }

    /// Does what is due.
    pub fn tick(&mut self, usage: Usage, now: Instant) {
        let patience = if self.standing == Standing::New { self.wait } else { PATIENCE };
        if now >= self.last_sign + patience {
            return self.give_up();
        }
        if !self.is_connected {
            return;
        }
        if self.proof_by.is_some_and(|by| now >= by) {
            self.forget(now);
        }
        if !self.is_known() && now >= self.register_at && !matches!(self.load, Load::Ending(_)) {
            self.register_at = now + REGISTER_EVERY;
            self.send(Message::Ready);
        }
        if self.is_known() && now >= self.heartbeat_at {
            self.heartbeat_at = now + HEARTBEAT_EVERY;
            self.send(Message::Heartbeat(self.state, usage));
        }
        if self.is_known() && now >= self.report_at {
            self.report(now);
        }
    }

    fn is_known(&self) -> bool {
        self.standing == Standing::Known
    }

    fn seen(&mut self, now: Instant) {
        self.last_sign = now;
        self.proof_by = None;
    }

    fn send(&mut self, message: Message) {
        self.actions.push(Action::Send(message));
    }

    /// Returns the time of the master, in seconds since 1970. All times of reports are on its
    /// clock, so that the clocks of workers need not be right.
    fn master_s(&self, now: Instant) -> f64 {
        self.spawned.map_or(0.0, |(at_s, since)| at_s + (now - since).as_secs_f64())
    }

    /// Sends what was collected; nothing if there was no test yet, which begins the clock.
    fn report(&mut self, now: Instant) {
        self.report_at = now + REPORT_EVERY;
        if self.spawned.is_some() {
            let report = self.reporter.take(&self.users, self.master_s(now));
            self.send(Message::Stats(Box::new(report)));
        }
    }

    fn spawn(&mut self, spawn: Spawn, now: Instant) {
        self.send(Message::Spawning);
        let Spawn { timestamp, users, order, run } = spawn;
        let is_old = self.spawned.is_some_and(|(last, _)| timestamp <= last);
        let has_finished = self.finished.as_ref() == Some(&run);
        if is_old || has_finished || self.is_leaving() {
            return;
        }
        self.spawned = Some((timestamp, now));
        self.run = run;
        self.users = users;
        match &mut self.load {
            Load::None => self.start(order, now),
            Load::Running(current) if current.is_same_load(&order) => {}
            Load::Running(_) => {
                self.load = Load::Ending(Then::Start(order));
                self.actions.push(Action::Finish);
            }
            Load::Ending(then) => *then = Then::Start(order),
        }
        self.state = State::Running;
        self.send(Message::SpawningComplete(self.users.clone()));
    }

    /// Returns true if this worker leaves the test. If it stays at the master, it registers again.
    fn is_leaving(&self) -> bool {
        let Load::Ending(then) = &self.load else { return false };
        !matches!(then, Then::Start(_) | Then::Finish)
    }

    /// Begins a load, if this worker has users.
    fn start(&mut self, order: Order, now: Instant) {
        let now_s = self.master_s(now);
        self.reporter.begin(&self.run, order.segment, order.method(), &order.url, now_s);
        if order.connections > 0 {
            self.load = Load::Running(order.clone());
            self.actions.push(Action::Start(order));
        }
    }

    /// Ends the load, if there is one; `then` follows.
    fn end_load(&mut self, then: Then, now: Instant) {
        match &mut self.load {
            Load::None => self.go_on(then, now),
            Load::Running(_) => {
                self.load = Load::Ending(then);
                self.actions.push(Action::Finish);
            }
            Load::Ending(next) => *next = then,
        }
    }

    /// Reports a load that has ended, and does what follows.
    fn go_on(&mut self, then: Then, now: Instant) {
        match then {
            Then::Start(order) => {
                self.report(now);
                self.start(order, now);
            }
            Then::Finish => self.report_last(now),
            Then::Stop => {
                self.report_last(now);
                self.users.clear();
                self.state = State::Ready;
                self.send(Message::Stopped);
                self.register(now);
            }
            Then::Quit if self.stays => {
                self.report_last(now);
                self.leave();
                self.standing = Standing::New;
                self.last_sign = now;
                // The master that ends must not get it; the next one does, on a new connection.
                self.register_at = now + REGISTER_EVERY;
            }
            Then::Quit => {
                self.report_last(now);
                self.actions.push(Action::Exit(Exit::Done));
            }
            Then::Interrupted => {
                self.report_last(now);
                self.send(Message::Quit);
                self.actions.push(Action::Exit(Exit::Interrupted));
            }
            Then::Forget => self.register(now),
        }
    }

    fn report_last(&mut self, now: Instant) {
        self.finished = Some(self.run.clone());
        self.reporter.finish();
        self.report(now);
    }

    /// Registers at a master that does not know this worker.
    fn register(&mut self, now: Instant) {
        self.standing = Standing::Again;
        self.register_at = now;
    }

    /// Gives up a test whose master has gone: another one answers at its address.
    fn forget(&mut self, now: Instant) {
        self.leave();
        self.end_load(Then::Forget, now);
    }

    /// Forgets everything about a master.
    fn leave(&mut self) {
        self.proof_by = None;
        self.standing = Standing::Again;
        self.state = State::Ready;
        self.users.clear();
        self.spawned = None;
        self.reporter = Reporter::default();
    }

    fn give_up(&mut self) {
        let (master, wait) = (&self.master, humantime::format_duration(self.wait));
        let line = if self.standing != Standing::New {
            format!(
                "no heartbeat of the master at {master} for {}; see whether it still runs",
                humantime::format_duration(PATIENCE)
            )
        } else if self.is_connected {
            format!(
                "the master at {master} has not taken this worker within {wait}; is it Locust's?"
            )
        } else {
            format!(
                "no master at {master} within {wait}: {}; start `locust --master` there, or wait \
                 longer with --wait",
                self.reason
            )
        };
        self.actions.push(Action::Exit(Exit::Failed(line)));
    }

    /// Ends the program because of a failure, which Locust's page shows.
    fn fail(&mut self, line: &str) {
        if self.is_known() {
            self.send(Message::Exception(line.to_owned()));
            self.send(Message::Quit);
        }
        self.actions.push(Action::Exit(Exit::Failed(line.to_owned())));
    }
}

#[cfg(test)]
mod tests;
