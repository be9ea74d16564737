//! Shared by the models that leave the I/O itself to the kernel, through an `io_uring`.

mod buffers;
pub mod event_loop;
mod peer;
pub mod probe;
pub mod ring;
