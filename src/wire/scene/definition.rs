//! Definition of a scene: what the file of each scene holds.

use anyhow::Result;

use crate::wire::client::Client;
use crate::wire::observation::Observation;

/// An exchange that goes another way than the ordinary one.
#[derive(Debug)]
pub struct Scene {
    /// Name on the command line.
    pub name: &'static str,
    /// Description, as the end of a sentence that begins with the model.
    pub about: &'static str,
    /// Further arguments of `c10k serve`.
    pub serve: &'static [&'static str],
    /// True if the exchange is over when all its connections are; otherwise the capture ends with
    /// the client's part.
    pub ends: bool,
    /// The client's part.
    pub play: fn(&mut Client<'_>) -> Result<()>,
    /// The exchange in words. Each sentence is about what was observed.
    pub tell: fn(&Observation) -> Vec<String>,
}
