//! Messages between a Locust master and its workers, as Locust 2 has them (`locust/runners.py`): an
//! array of a type, its data, and the identity of the worker, in msgpack.
//!
//! c10k adds two things, which Locust passes on: a plan among the options of a `spawn`, and a part
//! of its own in the statistics. `loadgen/locust/locustfile.py` is the other end of both.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::order::{Order, Plan};
use super::report::Report;

/// Version of c10k's own part of the messages.
pub const VERSION: u32 = 1;

/// Version of Locust that a worker names when it registers: of none in particular.
const NO_LOCUST: i64 = -1;

/// Number of users by class.
pub type Users = BTreeMap<String, u64>;

/// Message from the master.
#[derive(Debug)]
pub enum Received {
    /// The master knows this worker now.
    Acknowledged,
    /// The master wants these users to run.
    Spawn(Box<Spawn>),
    /// The load ends; the worker stays.
    Stop,
    /// The load ends, and its results are sent, before Locust stops the test. c10k's own message:
    /// Locust waits half a second for the last statistics, which may be too short.
    Finish,
    /// The worker ends.
    Quit,
    /// The worker makes a new connection.
    Reconnect,
    /// The master is there.
    Heartbeat,
    /// A message that a worker may ignore.
    Other,
}

/// Users that a worker is to run.
#[derive(Debug)]
pub struct Spawn {
    /// Time of the master, in seconds since 1970. Older messages than the last one are ignored.
    pub timestamp: f64,
    /// Users of this worker.
    pub users: Users,
    /// Load that follows from them.
    pub order: Order,
    /// Identity of the test, for all of its spawns.
    pub run: String,
}

/// Reason why a message can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(
        "it sent what is no message of a Locust master ({0}); name the port of its workers, 5557"
    )]
    NotLocust(rmp_serde::decode::Error),
    #[error("it speaks an older protocol than this worker; install a newer Locust there")]
    Older,
    #[error(
        "its locustfile lacks c10k's part; start it with `locust -f loadgen/locust/locustfile.py`"
    )]
    NoPlan,
    #[error(
        "its locustfile has version {0} of c10k's part and this worker has version {VERSION}; take \
         both from the same c10k"
    )]
    Version(u32),
    #[error("c10k's part of its locustfile can't be read ({0}); take both from the same c10k")]
    Plan(rmp_serde::decode::Error),
    #[error("it has no host; give Locust --host http://HOST:PORT/PATH")]
    NoHost,
}

/// Data of a `spawn`, with c10k's part of the options.
#[derive(Deserialize)]
struct SpawnData<P> {
    timestamp: f64,
    user_classes_count: Users,
    host: Option<String>,
    parsed_options: Options<P>,
}

#[derive(Deserialize)]
struct Options<P> {
    c10k: Option<P>,
}

/// The part of a plan that every version of it has.
#[derive(Deserialize)]
struct AnyPlan {
    version: u32,
}

impl Received {
    /// Reads a message for the worker of this identity.
    pub fn read(bytes: &[u8], identity: &str) -> Result<Self, Refusal> {
        let (kind, IgnoredAny, IgnoredAny): (String, _, _) =
            rmp_serde::from_slice(bytes).map_err(Refusal::NotLocust)?;
        Ok(match kind.as_str() {
            "ack" => Self::Acknowledged,
            "spawn" => Self::Spawn(Box::new(Spawn::read(bytes, identity)?)),
            // The name of a spawn in older masters.
            "hatch" => return Err(Refusal::Older),
            "stop" => Self::Stop,
            "c10k_finish" => Self::Finish,
            "quit" => Self::Quit,
            "reconnect" => Self::Reconnect,
            "heartbeat" => Self::Heartbeat,
            _ => Self::Other,
        })
    }
}

impl Spawn {
    fn read(bytes: &[u8], identity: &str) -> Result<Self, Refusal> {
        let any = data::<SpawnData<AnyPlan>>(bytes).map_err(|_| Refusal::Older)?;
        match any.parsed_options.c10k {
            None => return Err(Refusal::NoPlan),
            Some(AnyPlan { version }) if version != VERSION => {
                return Err(Refusal::Version(version));
            }
            Some(_) => {}
        }
        let spawn = data::<SpawnData<Plan>>(bytes).map_err(Refusal::Plan)?;
        let plan = spawn.parsed_options.c10k.ok_or(Refusal::NoPlan)?;
        let host = spawn.host.filter(|host| !host.is_empty()).ok_or(Refusal::NoHost)?;
        let connections = spawn.user_classes_count.values().sum();
        Ok(Self {
            timestamp: spawn.timestamp,
            users: spawn.user_classes_count,
            run: plan.run.clone(),
            order: Order::new(plan, host, connections, identity),
        })
    }
}

/// Reads the data of a message.
fn data<D: DeserializeOwned>(bytes: &[u8]) -> Result<D, rmp_serde::decode::Error> {
    let (IgnoredAny, data, IgnoredAny): (_, D, _) = rmp_serde::from_slice(bytes)?;
    Ok(data)
}

/// State that a worker reports, in Locust's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ready,
    Running,
}

/// Resources that this process uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    /// CPU time of the last second or so, in percent of one processor for each of its threads.
    pub current_cpu_usage: f64,
    /// Resident memory.
    pub current_memory_usage: u64,
}

/// Message to the master.
#[derive(Debug)]
pub enum Message {
    /// This worker is there, and takes spawns.
    Ready,
    /// It has got a spawn.
    Spawning,
    /// Its users run.
    SpawningComplete(Users),
    /// Its state and resources.
    Heartbeat(State, Usage),
    /// Results since the last such message.
    Stats(Box<Report>),
    /// Its load has ended.
    Stopped,
    /// It has a failure, for Locust's page.
    Exception(String),
    /// It leaves.
    Quit,
}

impl Message {
    /// Writes the message as the worker of this identity.
    pub fn write(&self, identity: &str) -> Vec<u8> {
        match self {
            Self::Ready => pack("client_ready", NO_LOCUST, identity),
            Self::Spawning => pack("spawning", (), identity),
            Self::SpawningComplete(users) => {
                pack("spawning_complete", Spawned::from(users), identity)
            }
            &Self::Heartbeat(state, usage) => pack("heartbeat", Beat { state, usage }, identity),
            Self::Stats(report) => pack("stats", report, identity),
            Self::Stopped => pack("client_stopped", (), identity),
            Self::Exception(msg) => pack("exception", Exception { msg, traceback: "" }, identity),
            Self::Quit => pack("quit", (), identity),
        }
    }
}

/// Users that a worker runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Spawned {
    user_classes_count: Users,
    user_count: u64,
}

impl From<&Users> for Spawned {
    fn from(users: &Users) -> Self {
        Self { user_classes_count: users.clone(), user_count: users.values().sum() }
    }
}

#[derive(Serialize)]
struct Beat {
    state: State,
    #[serde(flatten)]
    usage: Usage,
}

#[derive(Serialize)]
struct Exception<'a> {
    msg: &'a str,
    traceback: &'a str,
}

fn pack(kind: &str, data: impl Serialize, identity: &str) -> Vec<u8> {
    rmp_serde::to_vec_named(&(kind, data, identity)).expect("the data has names and numbers alone")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Returns the bytes of a message from the master.
    fn from_master(kind: &str, data: &Value) -> Vec<u8> {
        rmp_serde::to_vec_named(&(kind, data, "me")).unwrap()
    }

    fn plan() -> Value {
        json!({ "version": VERSION, "run": "r", "segment": 0, "workers": ["other", "me"],
                "connect_rate": 5.0, "rate": null, "arrivals": "constant", "seed": 1,
                "lifetime": "persistent", "warmup": "0s", "timeout": "5s", "method": "GET",
                "headers": [], "body": "" })
    }

    fn spawn(c10k: &Value) -> Value {
        json!({ "timestamp": 7.5, "user_classes_count": { "Connection": 3 }, "stop_timeout": 0.0,
                "host": "http://127.0.0.1:1",
                "parsed_options": { "headless": true, "c10k": c10k } })
    }

    fn refusal(bytes: &[u8]) -> String {
        Received::read(bytes, "me").unwrap_err().to_string()
    }

    #[test]
    fn a_spawn_is_read_with_the_plan() {
        let bytes = from_master("spawn", &spawn(&plan()));
        let Received::Spawn(spawn) = Received::read(&bytes, "me").unwrap() else { panic!() };
        assert_eq!((spawn.timestamp, spawn.users["Connection"]), (7.5, 3));
        assert_eq!((spawn.run.as_str(), spawn.order.connections), ("r", 3));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x93, 0xa3], &[], &[0xc1; 40]] {
            assert!(refusal(bytes).contains("no message of a Locust master"), "{bytes:?}");
        }
    }

    #[test]
    fn a_master_of_an_older_protocol_is_refused() {
        let old =
            json!({ "hatch_rate": 1, "num_clients": 4, "host": "http://a", "stop_timeout": null });
        for kind in ["hatch", "spawn"] {
            assert!(refusal(&from_master(kind, &old)).contains("older protocol"), "{kind}");
        }
    }

    #[test]
    fn a_locustfile_of_another_kind_or_version_is_refused() {
        let of = |c10k: &Value| refusal(&from_master("spawn", &spawn(c10k)));
        assert!(of(&Value::Null).contains("lacks c10k's part"));
        assert!(of(&json!({ "version": 9 })).contains("has version 9 of c10k's part"));
        assert!(of(&json!({ "version": VERSION })).contains("can't be read"));
        let mut spawn = spawn(&plan());
        spawn["host"] = Value::Null;
        assert!(refusal(&from_master("spawn", &spawn)).contains("--host"));
    }

    #[test]
    fn a_message_to_the_master_is_an_array_of_type_data_and_identity() {
        let read = |message: Message| -> (String, Value, String) {
            rmp_serde::from_slice(&message.write("me")).unwrap()
        };
        assert_eq!(read(Message::Ready), ("client_ready".into(), json!(-1), "me".into()));
        assert_eq!(read(Message::Quit), ("quit".into(), Value::Null, "me".into()));
        let usage = Usage { current_cpu_usage: 12.5, current_memory_usage: 4096 };
        let (_, data, _) = read(Message::Heartbeat(State::Ready, usage));
        let beat =
            json!({ "state": "ready", "current_cpu_usage": 12.5, "current_memory_usage": 4096 });
        assert_eq!(data, beat);
    }
}
