//! The capture as it is shown, in text and on a page.

use c10k_reports::wire::Wire;

use super::told::Capture;
use super::{hops, rows};

impl Capture {
    /// Returns the capture as it is shown.
    pub fn shown(&self) -> Wire {
        Wire {
            title: self.subject.clone(),
            date: self.started_utc.clone(),
            lead: self.lead.clone(),
            notes: self.notes.clone(),
            story: self.story.clone(),
            ladder: rows::ladder(&self.observation),
            network: hops::network(&self.observation, self.topology),
        }
    }
}
