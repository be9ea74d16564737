//! The models under test: those of the roster, and what tests conclude from their profiles.

use c10k::limits;
use c10k_servers::http::HandlerPlacement;
use c10k_servers::{AcceptStrategy, ConnectionLimit, Entry, Execution, Profile, ROSTER, Readiness};

/// The command under test.
pub const C10K: &str = env!("CARGO_BIN_EXE_c10k");

/// A concurrency model of the roster. The expectations of the tests follow from its profile, never
/// from its name.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Name on the command line.
    pub name: &'static str,
    /// Declarations of the model about itself.
    pub profile: Profile,
    /// Reason why the model can't run on this machine, if it can't.
    pub unavailable: Option<&'static str>,
}

impl Model {
    fn new(entry: &Entry) -> Self {
        // The few reasons are leaked, so that a test's closure can own a model.
        let unavailable = limits::why_not_here(entry).map(|reason| &*reason.leak());
        Self { name: entry.name, profile: entry.profile, unavailable }
    }

    /// Returns true if the model uses a whole processor by design.
    pub fn spins(&self) -> bool {
        self.profile.readiness == Readiness::Spin
    }

    /// Returns true if each loop has a listener of its own, so that there is no order among all
    /// waiting connections.
    pub fn is_sharded(&self) -> bool {
        self.profile.accept_strategy == AcceptStrategy::Shards
    }

    /// Returns true if a handler that blocks runs where no other connection is served.
    pub fn offloads_handlers(&self) -> bool {
        self.profile.handlers != HandlerPlacement::InPlace
    }

    /// Returns true for a loop or a runtime, with many connections on each thread.
    pub fn is_loop(&self) -> bool {
        match self.profile.execution {
            Execution::Process | Execution::ProcessPool | Execution::Thread | Execution::Pool => {
                false
            }
            Execution::EventLoop
            | Execution::EventLoops
            | Execution::AsyncTasks
            | Execution::GreenThreads => true,
        }
    }

    /// Returns true if the model serves several connections at once.
    pub fn serves_several(&self) -> bool {
        self.profile.connection_limit != ConnectionLimit::One
    }

    /// Returns `wanted`, but at most one for a model that serves one connection at a time.
    pub fn at_once(&self, wanted: usize) -> usize {
        if self.serves_several() { wanted } else { wanted.min(1) }
    }

    /// Returns the part of the profile that decides how bytes get between the sockets and the HTTP
    /// core: how the model waits, and what runs a connection.
    pub fn wire_family(&self) -> (Readiness, Execution) {
        (self.profile.readiness, self.profile.execution)
    }

    /// Returns true if the model has only one thread while no client is connected.
    pub fn begins_with_one_thread(&self) -> bool {
        !self.offloads_handlers()
            && matches!(self.profile.execution, Execution::Process | Execution::EventLoop)
    }

    /// Returns true if the model has as many loops as it is asked for.
    pub fn has_several_loops(&self) -> bool {
        self.is_loop() && self.profile.execution != Execution::EventLoop
    }

    /// Returns true if the model makes a process or a thread for each new connection.
    pub fn has_a_task_per_connection(&self) -> bool {
        self.serves_several()
            && matches!(self.profile.execution, Execution::Process | Execution::Thread)
    }
}

/// Returns all models, in the order of the roster.
pub fn roster() -> Vec<Model> {
    ROSTER.iter().map(Model::new).collect()
}
