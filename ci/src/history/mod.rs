//! History: how the revisions of a server compare with one fixed revision, its anchor, over months.
//!
//! Every line of the file is a gate of a revision against the anchor, both measured in the same
//! run. A line holds ratios and never a time, because a time of another day comes from another
//! machine, or from the same machine in another state.

#[cfg(feature = "render")]
mod chart;
mod entry;
mod file;
pub mod json;
#[cfg(feature = "render")]
mod page;
mod series;
pub mod text;

pub use entry::{Entry, Fingerprint, Names, NotForHistory, Ratio, VERSION};
pub use file::{HistoryError, append, read};
#[cfg(feature = "render")]
pub use page::page;
pub use series::{FarOut, Group, History, Key, Level, Point, Series, Step};
