//! Ring of buffers that the kernel receives into; it takes a buffer only when there is data to put
//! into it.
//!
//! Connections that wait for their clients therefore hold no buffers, no matter how many
//! connections there are.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::{NonNull, addr_of_mut};
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// Group number of the buffer ring in its `io_uring`, which has only this one.
pub const GROUP: u16 = 0;

/// Number of buffers, and so the most that one turn can fill. The kernel runs out of them only if
/// more connections than this have sent something; the loop then asks to receive from the others a
/// turn later. A power of two.
const COUNT: u16 = 256;

/// Size of a buffer for one receive. A request of a browser has about 1 KiB; pipelined ones and
/// bodies come in several pieces.
const BUFFER_BYTES: usize = 4096;

/// Memory shared with the kernel, which demands that it starts at the beginning of a page.
#[repr(C, align(4096))]
struct Memory {
    entries: [BufRingEntry; COUNT as usize],
    bytes: [[u8; BUFFER_BYTES]; COUNT as usize],
}

/// The ring and its buffers.
#[derive(Debug)]
pub struct Buffers {
    memory: NonNull<Memory>,
    /// Position of the next entry; the kernel takes entries from the other end.
    tail: u16,
}

/// Buffer that the kernel has filled and handed over. It must be given back.
#[derive(Debug)]
pub struct Filled {
    id: u16,
    length: usize,
}

impl Filled {
    /// Creates the value for `length` bytes that the kernel has put into buffer `id`.
    ///
    /// # Safety
    /// The kernel must have reported them, and this must be the only value created from that
    /// report.
    pub unsafe fn new(id: u16, length: usize) -> Self {
        assert!(id < COUNT && length <= BUFFER_BYTES, "the kernel filled no buffer of ours");
        Self { id, length }
    }
}

impl Buffers {
    /// Allocates the buffers and registers them as [`GROUP`].
    ///
    /// # Safety
    /// The buffers must not be dropped while the kernel may receive into them.
    pub unsafe fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let layout = Layout::new::<Memory>();
        // SAFETY: the size of the layout is not zero. Only pages that are touched take memory.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) });
        let memory = memory.unwrap_or_else(|| handle_alloc_error(layout)).cast::<Memory>();
        let mut buffers = Self { memory, tail: 0 };
        // SAFETY: the entries stay where they are until they are dropped, and the kernel no longer
        // receives then, as the caller guarantees.
        unsafe { submitter.register_buf_ring_with_flags(memory.as_ptr() as u64, COUNT, GROUP, 0)? };
        (0..COUNT).for_each(|id| buffers.give_back(Filled { id, length: 0 }));
        buffers.publish();
        Ok(buffers)
    }

    /// Returns the bytes in a buffer.
    pub fn bytes(&self, filled: &Filled) -> &[u8] {
        // SAFETY: the bytes are within the memory, which was zeroed, and the kernel does not write
        // to a buffer that it has handed over.
        unsafe { slice::from_raw_parts(self.buffer(filled.id), filled.length) }
    }

    /// Gives a buffer back; the kernel may use it after the next [`Self::publish`].
    pub fn give_back(&mut self, Filled { id, .. }: Filled) {
        let buffer = self.buffer(id);
        // SAFETY: there are as many entries as buffers, so the position is free; the kernel reads
        // only entries that were published.
        let entry = unsafe { &mut (*self.memory.as_ptr()).entries[usize::from(self.tail % COUNT)] };
        entry.set_addr(buffer as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Tells the kernel which buffers were given back.
    pub fn publish(&mut self) {
        // SAFETY: the tail lies in a part of the first entry that is used for nothing else, and its
        // address is even.
        let tail = unsafe {
            let first = addr_of_mut!((*self.memory.as_ptr()).entries).cast::<BufRingEntry>();
            AtomicU16::from_ptr(BufRingEntry::tail(first).cast_mut())
        };
        tail.store(self.tail, Ordering::Release);
    }

    fn buffer(&self, id: u16) -> *mut u8 {
        // SAFETY: this computes an address within the memory and reads nothing.
        unsafe { addr_of_mut!((*self.memory.as_ptr()).bytes[usize::from(id)]).cast() }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: the memory was allocated with this layout, and the kernel no longer uses it, as
        // the caller of `register` guarantees.
        unsafe { dealloc(self.memory.as_ptr().cast(), Layout::new::<Memory>()) };
    }
}
