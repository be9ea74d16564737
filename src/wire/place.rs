//! Place of a side: a host of a network of its own, or this machine as it is.

use anyhow::Result;

use crate::network::Host;

/// Place in which a side opens its sockets.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    Host(&'a Host),
    Here,
}

impl Place<'_> {
    /// Runs `action` there.
    pub fn within<T: Send>(self, action: impl FnOnce() -> T + Send) -> Result<T> {
        match self {
            Self::Host(host) => host.within(action),
            Self::Here => Ok(action()),
        }
    }

    /// True if both are the same network namespace.
    pub fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Host(one), Self::Host(other)) => one.name == other.name,
            (Self::Here, Self::Here) => true,
            _ => false,
        }
    }
}
