//! Shared by the models whose connections are tasks or green threads of a runtime.

// Each runtime uses only part of this module, so a build without some of them has dead code.
#[cfg_attr(not(all(feature = "may", feature = "tokio")), allow(dead_code))]
pub mod connection_registry;
#[cfg(any(feature = "compio", feature = "smol", feature = "tokio"))]
pub mod tasks;
