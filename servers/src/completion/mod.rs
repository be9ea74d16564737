//! Shared by the models that leave the I/O itself to the kernel, through an `io_uring`.

mod buffers;
mod connection;
pub mod event_loop;
pub mod probe;
pub mod ring;
