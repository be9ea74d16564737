//! One connection, packet by packet: captured, explained, and drawn (`c10k wire`).
//!
//! ```text
//! stage, url     the exchange with a model in a network of its own, or with a running server
//!   observe      plays the client's part (client, exchange, scene/*) while it captures (capture)
//!                and reads states (watch); strace writes down the server's calls (calls)
//!   observation  what was observed: packets (packet, relative), calls, readings
//! state, rows    what follows from it: implied states, the call behind each packet, the ladder
//! hops           the frames of a packet, one in each segment of a network
//! story          the same in words (journey_story for a network)
//! text, json, pcapng, shown    what the user gets; the page is drawn by `c10k_reports::wire`
//! ```

mod calls;
mod capture;
mod client;
mod exchange;
#[cfg(test)]
mod fixture;
mod hops;
mod journey_story;
pub mod json;
mod observation;
mod observe;
mod packet;
pub mod pcapng;
mod place;
mod relative;
mod rows;
pub mod scene;
mod shown;
mod stage;
mod state;
mod story;
pub mod text;
mod told;
mod url;
mod watch;

pub use exchange::{Exchange, Lifetime};
pub use observation::Side;
pub use told::{Capture, Order, Part};
