//! When there is no more room: connections beyond a limit wait or are refused, the others are served on, and nothing
//! spins.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Duration;

use rustix::process::geteuid;

use super::{Behaviour, Outcome, behaviours};
use crate::client::{CLOSE, Client, get};
use crate::model::Model;
use crate::processes::{Limit, Process};
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    lets_connections_beyond_the_maximum_wait,
    bounds_its_connections_by_its_open_files,
    survives_running_out_of_open_files,
    survives_being_refused_processes_and_threads,
    takes_no_cpu_time_while_nobody_asks,
];

/// An ordinary user of no name, so that nobody else's processes count.
const ORDINARY_USER: u32 = 57_123;

/// For as long as that, CPU time is measured and silence is listened to. Not a wait for something to happen.
const WINDOW: Duration = Duration::from_millis(400);

/// A share of one processor that nobody takes who waits properly, and everybody who spins.
const SPINNING: f64 = 0.5;

#[track_caller]
fn assert_does_not_spin(model: &Model, server: &Server) {
    let share = server.cpu_share_during(WINDOW);
    assert!(model.spins || share < SPINNING, "takes {share:.2} of a processor");
}

fn served_client(server: &Server) -> Client {
    let mut client = server.connect();
    assert_eq!(client.get("/").status, 200);
    client
}

fn lets_connections_beyond_the_maximum_wait(model: &Model) {
    let mut launch = Server::launch(model).arguments(["--max-connections", "3"]);
    if model.is_sharded {
        // Several loops divide the maximum, and which of them a client comes to is left to chance.
        launch = launch.workers(1);
    }
    let server = launch.start();
    let mut served: VecDeque<Client> = (0..model.at_once(3)).map(|_| served_client(&server)).collect();
    let mut waiting: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(get("/bytes/7"));
    }
    assert!(waiting[0].hears_nothing_for(WINDOW), "served beyond the maximum");
    assert_does_not_spin(model, &server);
    for client in &mut served {
        assert_eq!(client.get("/").status, 200);
    }
    // One leaves, one is served, in the order of their coming; nobody fails.
    for mut client in waiting {
        drop(served.pop_front());
        assert_eq!(client.answer().body.len(), 7);
        served.push_back(client);
    }
}

fn bounds_its_connections_by_its_open_files(model: &Model) {
    // Some for the server itself, some for connections.
    let server = Server::launch(model).open_files(100).pool(200).start();
    let mut clients: Vec<Client> = (0..150).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(CLOSE);
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    assert_does_not_spin(model, &server);
}

fn survives_running_out_of_open_files(model: &Model) -> Outcome {
    let server = Server::start(model);
    let mut established: Vec<Client> = (0..model.at_once(4)).map(|_| served_client(&server)).collect();
    let shortage = match Shortage::begin(&server, None, Limit::OpenFiles, first_free_file) {
        Ok(shortage) => shortage,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let shed: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for client in &mut established {
        assert_eq!(client.get("/bytes/100000").body.len(), 100_000);
    }
    assert_does_not_spin(model, &server);
    shortage.end();
    for client in &mut established {
        assert_eq!(client.get("/").status, 200);
    }
    drop(established);
    shed.into_iter().for_each(assert_is_served_or_told);
    let _more: Vec<Client> = (0..model.at_once(4)).map(|_| served_client(&server)).collect();
    Outcome::Shown
}

/// A connection for which there is no process or thread is answered 503; a model that needs none serves as ever.
fn survives_being_refused_processes_and_threads(model: &Model) -> Outcome {
    // The superuser is bound by no limit of processes, so its server has to be another one's.
    let user = geteuid().is_root().then_some(ORDINARY_USER);
    let launch = Server::launch(model);
    let server = match user.map_or(launch.clone(), |user| launch.user(user)).try_start() {
        Ok(server) => server,
        Err(error) => return Outcome::Skipped(format!("cannot run a server as an ordinary user: {error}")),
    };
    // One place is left for those who come.
    let mut established: Vec<Client> = (1..model.at_once(5)).map(|_| served_client(&server)).collect();
    server.await_pool();
    let shortage = match Shortage::begin(&server, user, Limit::Processes, |_| 0) {
        Ok(shortage) => shortage,
        Err(reason) => return Outcome::Skipped(reason),
    };
    for _ in 0..8 {
        let expected = if model.has_a_task_per_connection() { 503 } else { 200 };
        assert_eq!(server.connect().get("/").status, expected);
    }
    for client in &mut established {
        assert_eq!(client.get("/").status, 200);
    }
    assert_does_not_spin(model, &server);
    shortage.end();
    drop(established);
    let _more: Vec<Client> = (0..model.at_once(4)).map(|_| served_client(&server)).collect();
    Outcome::Shown
}

fn takes_no_cpu_time_while_nobody_asks(model: &Model) {
    let server = Server::start(model);
    let _idle: Vec<Client> = (0..model.at_once(8)).map(|_| served_client(&server)).collect();
    let _silent: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    assert_does_not_spin(model, &server);
}

/// All processes of a server are out of something, as if others on the machine, or a leak, had taken all there is.
struct Shortage {
    limit: Limit,
    user: Option<u32>,
    /// The soft limits that there were before.
    before: Vec<(Process, String)>,
}

impl Shortage {
    /// Begins one, or says why that is not possible here.
    fn begin(
        server: &Server,
        user: Option<u32>,
        limit: Limit,
        value: impl Fn(&Process) -> u64,
    ) -> Result<Self, String> {
        let set = |process: Process| {
            let before = process.set_soft_limit(limit, &value(&process).to_string(), user)?;
            Ok((process, before))
        };
        let before = server.processes().into_iter().map(set).collect::<Result<_, String>>()?;
        Ok(Self { limit, user, before })
    }

    fn end(self) {
        for (process, before) in self.before.iter().filter(|(process, _)| process.is_there()) {
            let result = process.set_soft_limit(self.limit, before, self.user);
            result.expect("a limit can be set twice");
        }
    }
}

/// The number that the next descriptor of a process would have.
fn first_free_file(process: &Process) -> u64 {
    let used = process.open_files();
    let count = used.len() as u64;
    (0..count).find(|number| !used.contains(number)).unwrap_or(count)
}

/// Nobody may be left waiting: who came in a shortage has waited until it was over, is told, or is cut.
#[track_caller]
fn assert_is_served_or_told(mut client: Client) {
    if client.try_send(get("/")) {
        match client.try_answer() {
            Ok(answer) => assert!(matches!(answer.status, 200 | 503), "{answer:?}"),
            Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "neither served nor told"),
        }
    }
}
