//! Behaviour of a worker towards its master, without either.

use std::time::{Duration, Instant};

use super::super::action::{Action, Exit};
use super::super::order::{Order, tests::order};
use super::super::protocol::{Message, Received, Refusal, Spawn, Usage};
use super::{PATIENCE, Session};

const WAIT: Duration = Duration::from_secs(10);

/// A session with a clock that only the test moves.
struct Desk {
    session: Session,
    now: Instant,
    /// Number of spawns so far.
    spawns: u32,
}

impl Desk {
    fn new() -> Self {
        Self::of(false)
    }

    /// A worker that awaits the next master, or does not.
    fn of(stays: bool) -> Self {
        let now = Instant::now();
        Self { session: Session::new("host:5557".into(), WAIT, stays, now), now, spawns: 0 }
    }

    /// A worker that the master knows.
    fn known() -> Self {
        let mut desk = Self::new();
        desk.session.connected(desk.now);
        desk.receive(Received::Acknowledged);
        desk
    }

    /// A worker that sends a load.
    fn running() -> Self {
        let mut desk = Self::known();
        assert!(desk.spawn("r", order("a", None)).contains("Start"));
        desk
    }

    /// Gives the session a message, and returns the names of the actions that follow.
    fn receive(&mut self, message: Received) -> String {
        self.session.received(Ok(message), self.now);
        self.actions()
    }

    fn spawn(&mut self, run: &str, order: Order) -> String {
        self.spawns += 1;
        let users = [("Connection".to_owned(), order.connections)].into();
        let timestamp = f64::from(1000 + self.spawns);
        self.receive(Received::Spawn(Box::new(Spawn { timestamp, users, order, run: run.into() })))
    }

    fn end(&mut self) -> String {
        self.session.ended(Ok("{}".into()), self.now);
        self.actions()
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) -> String {
        self.now += time;
        self.session.tick(Usage::default(), self.now);
        self.actions()
    }

    fn actions(&mut self) -> String {
        let name = |action: &Action| match action {
            Action::Send(Message::Stats(report)) => {
                let json = serde_json::to_value(report).unwrap();
                let part = &json["c10k"];
                let summary = if part["summary"].is_null() { "" } else { "+summary" };
                let finished = if part["finished"] == true { "+finished" } else { "" };
                format!("Stats{summary}{finished}")
            }
            Action::Send(message) => {
                format!("{message:?}").split(['(', ' ']).next().unwrap().into()
            }
            Action::Start(order) => format!("Start{}", order.connections),
            other => format!("{other:?}"),
        };
        self.session.actions().iter().map(name).collect::<Vec<_>>().join(" ")
    }
}

fn of(connections: u64) -> Order {
    let mut order = order("a", None);
    order.connections = connections;
    order
}

#[test]
fn a_worker_registers_until_the_master_knows_it() {
    let mut desk = Desk::new();
    assert_eq!(desk.pass(Duration::from_secs(1)), "");
    desk.session.connected(desk.now);
    assert_eq!(desk.pass(Duration::ZERO), "Ready");
    assert_eq!(desk.pass(Duration::from_secs(4)), "");
    assert_eq!(desk.pass(Duration::from_secs(1)), "Ready");
    desk.receive(Received::Acknowledged);
    assert_eq!(desk.pass(Duration::from_secs(1)), "Heartbeat");
    assert_eq!(desk.pass(Duration::from_millis(999)), "");
    assert_eq!(desk.pass(Duration::from_millis(1)), "Heartbeat");
}

#[test]
fn a_master_that_never_comes_is_waited_for_as_long_as_told() {
    let mut desk = Desk::new();
    desk.session.disconnected("nothing answers there".into());
    assert_eq!(desk.pass(WAIT / 2), "");
    let exit = desk.pass(WAIT / 2);
    assert!(exit.contains("no master at host:5557 within 10s: nothing answers there"), "{exit}");
}

#[test]
fn a_port_that_never_answers_is_named() {
    let mut desk = Desk::new();
    desk.session.connected(desk.now);
    assert!(desk.pass(WAIT).contains("has not taken this worker within 10s"));
}

#[test]
fn users_are_a_load_and_unchanged_ones_let_it_go_on() {
    let mut desk = Desk::known();
    assert_eq!(desk.spawn("r", of(3)), "Spawning Start3 SpawningComplete");
    assert_eq!(desk.spawn("r", of(3)), "Spawning SpawningComplete");
}

#[test]
fn a_load_that_changes_ends_first_and_is_reported() {
    let mut desk = Desk::running();
    assert_eq!(desk.spawn("r", of(5)), "Spawning Finish SpawningComplete");
    assert_eq!(desk.spawn("r", of(4)), "Spawning SpawningComplete");
    assert_eq!(desk.end(), "Stats+summary Start4");
}

#[test]
fn a_worker_without_users_sends_nothing_and_has_nothing_to_finish() {
    let mut desk = Desk::known();
    assert_eq!(desk.spawn("r", of(0)), "Spawning SpawningComplete");
    assert_eq!(desk.receive(Received::Finish), "Stats+finished");
}

#[test]
fn an_old_spawn_is_ignored() {
    let mut desk = Desk::running();
    desk.spawns -= 1;
    assert_eq!(desk.spawn("r", of(9)), "Spawning");
}

#[test]
fn a_test_that_has_finished_gets_no_load_and_the_next_one_does() {
    let mut desk = Desk::running();
    assert_eq!(desk.receive(Received::Finish), "Finish");
    assert_eq!(desk.end(), "Stats+summary+finished");
    assert_eq!(desk.spawn("r", of(9)), "Spawning");
    assert_eq!(desk.spawn("next", of(9)), "Spawning Start9 SpawningComplete");
}

#[test]
fn a_stop_is_reported_after_the_last_results_and_the_worker_is_ready_again() {
    let mut desk = Desk::running();
    assert_eq!(desk.receive(Received::Stop), "Finish");
    assert!(desk.pass(Duration::from_secs(1)).starts_with("Heartbeat"));
    assert_eq!(desk.end(), "Stats+summary+finished Stopped");
    assert_eq!(desk.pass(Duration::ZERO), "Ready");
}

#[test]
fn a_worker_that_is_told_to_quit_reports_and_quits() {
    let mut desk = Desk::running();
    assert_eq!(desk.receive(Received::Quit), "Finish");
    assert_eq!(desk.end(), "Stats+summary+finished Exit(Done)");
    assert_eq!(Desk::known().receive(Received::Quit), "Exit(Done)");
}

#[test]
fn a_worker_that_stays_awaits_the_next_master() {
    let mut desk = Desk::of(true);
    desk.session.connected(desk.now);
    desk.receive(Received::Acknowledged);
    desk.spawn("r", of(2));
    desk.receive(Received::Quit);
    assert_eq!(desk.end(), "Stats+summary+finished");
    assert_eq!(desk.receive(Received::Quit), "");
    desk.session.disconnected("closed".into());
    assert_eq!(desk.pass(WAIT / 2), "");
    desk.session.connected(desk.now);
    assert_eq!(desk.pass(Duration::ZERO), "Ready");
    desk.receive(Received::Acknowledged);
    assert_eq!(desk.spawn("next", of(2)), "Spawning Start2 SpawningComplete");
}

#[test]
fn a_signal_ends_the_load_and_tells_the_master() {
    let mut desk = Desk::running();
    desk.session.interrupt(desk.now);
    assert_eq!(desk.actions(), "Finish");
    assert_eq!(desk.end(), "Stats+summary+finished Quit Exit(Interrupted)");
}

#[test]
fn results_are_reported_every_three_seconds() {
    let mut desk = Desk::running();
    let reports = (0..9).filter(|_| desk.pass(Duration::from_secs(1)).contains("Stats")).count();
    assert_eq!(reports, 3);
}

#[test]
fn a_connection_that_breaks_changes_nothing_if_the_master_still_knows_the_worker() {
    let mut desk = Desk::running();
    desk.session.disconnected("closed".into());
    assert_eq!(desk.pass(Duration::from_secs(5)), "");
    desk.session.connected(desk.now);
    assert!(desk.pass(Duration::ZERO).contains("Heartbeat"));
    desk.receive(Received::Heartbeat);
    assert!(!desk.pass(Duration::from_secs(4)).contains("Finish"));
}

#[test]
fn a_worker_registers_at_a_master_that_has_restarted_and_forgets_the_old_test() {
    let mut desk = Desk::running();
    desk.session.disconnected("closed".into());
    desk.session.connected(desk.now);
    desk.pass(Duration::from_secs(2));
    assert_eq!(desk.pass(Duration::from_secs(1)), "Finish");
    assert_eq!(desk.end(), "");
    assert_eq!(desk.pass(Duration::ZERO), "Ready");
    desk.receive(Received::Acknowledged);
    assert_eq!(desk.spawn("new", of(2)), "Spawning Start2 SpawningComplete");
}

#[test]
fn a_worker_gives_up_a_master_that_is_silent_for_a_minute() {
    let mut desk = Desk::running();
    desk.now += PATIENCE / 2;
    desk.receive(Received::Heartbeat);
    assert!(!desk.pass(PATIENCE / 2).contains("Exit"));
    desk.session.disconnected("closed".into());
    let exit = desk.pass(PATIENCE / 2);
    assert!(exit.contains("no heartbeat of the master at host:5557 for 1m"), "{exit}");
}

#[test]
fn a_failure_is_shown_by_the_master_and_ends_the_worker() {
    let mut desk = Desk::running();
    desk.session.ended(Err("cannot connect".into()), desk.now);
    assert_eq!(desk.actions(), r#"Exception Quit Exit(Failed("cannot connect"))"#);
    let mut desk = Desk::known();
    desk.session.received(Err(Refusal::NoPlan), desk.now);
    assert!(desk.session.actions().iter().any(|action| {
        matches!(action, Action::Exit(Exit::Failed(line)) if line.contains("lacks c10k's part"))
    }));
}

#[test]
fn a_master_that_asks_for_a_new_connection_gets_one() {
    assert_eq!(Desk::known().receive(Received::Reconnect), "Reconnect");
}
