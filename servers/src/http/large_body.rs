//! Bodies that are sent directly from memory, without a copy into the output buffer.

use std::sync::Arc;

use super::response::UNAVAILABLE;
use crate::site::{self, Page};

/// Body that is sent without a copy.
#[derive(Debug)]
pub enum LargeBody {
    Page {
        page: Arc<Page>,
        sent: usize,
    },
    Pattern {
        length: usize,
        sent: usize,
    },
    /// Not a body, but a whole response that ends the connection.
    Refusal {
        sent: usize,
    },
}

impl LargeBody {
    /// Returns the bytes to be sent next, as many as are contiguous in memory.
    pub fn pending(&self) -> &[u8] {
        match self {
            Self::Page { page, sent } => &page.body[*sent..],
            Self::Pattern { length, sent } => site::pattern(*sent, length - sent),
            Self::Refusal { sent } => &UNAVAILABLE[*sent..],
        }
    }

    /// Notes that `count` more bytes were sent; returns true if these were the last ones.
    pub fn advance(&mut self, count: usize) -> bool {
        let (sent, length) = match self {
            Self::Page { page, sent } => (sent, page.body.len()),
            Self::Pattern { length, sent } => (sent, *length),
            Self::Refusal { sent } => (sent, UNAVAILABLE.len()),
        };
        *sent += count;
        *sent == length
    }
}
