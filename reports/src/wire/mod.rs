//! Pages of `c10k wire`: a ladder of the packets between two sockets, and the frames at each card
//! of the network between them. The command captures and explains; this module draws.

mod definition;
mod ladder;
mod network;
mod page;

pub use definition::{Arrow, Beside, Card, Frame, Ladder, Network, Passage, Row, Wire};
pub use page::write;
