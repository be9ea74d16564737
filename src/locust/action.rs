//! What a session wants to be done: messages to the master, loads, and the end of the program.

use super::order::Order;
use super::protocol::Message;

/// Step that the session wants to be taken.
#[derive(Debug)]
pub enum Action {
    /// Send a message to the master.
    Send(Message),
    /// Make a new connection to the master.
    Reconnect,
    /// Begin a load. `Session::ended` is called at its end, whatever that is.
    Start(Order),
    /// End the load, when the requests that were sent are answered.
    Finish,
    /// End the program.
    Exit(Exit),
}

/// End of the program.
#[derive(Debug, PartialEq, Eq)]
pub enum Exit {
    /// The master wanted it.
    Done,
    /// A signal did.
    Interrupted,
    /// For this reason.
    Failed(String),
}
