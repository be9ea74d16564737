//! Memory that the kernel receives into: a ring of buffers, of which it takes one when there is something to put into it.
//!
//! So a connection that waits for its client holds no buffer, however many of them there are.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::{NonNull, addr_of_mut};
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// The name of the ring among those of its `io_uring`; there is one.
pub const GROUP: u16 = 0;

/// As many as a turn can fill: the kernel runs out of them only when more connections than that have sent something, and
/// those beyond are asked again a turn later. A power of two.
const COUNT: u16 = 256;

/// Room for one receive. A request of a browser has about 1 KiB; pipelined ones and bodies come in several pieces.
const BUFFER_BYTES: usize = 4096;

/// What is shared with the kernel. It starts at a page, as the kernel demands.
#[repr(C, align(4096))]
struct Memory {
    entries: [BufRingEntry; COUNT as usize],
    octets: [[u8; BUFFER_BYTES]; COUNT as usize],
}

/// The ring and its buffers.
#[derive(Debug)]
pub struct Buffers {
    memory: NonNull<Memory>,
    /// Where the next entry goes; the kernel takes from the other end.
    tail: u16,
}

/// A buffer that the kernel has filled and given away. It is to be given back.
#[derive(Debug)]
pub struct Filled {
    id: u16,
    length: usize,
}

impl Filled {
    /// What the kernel says that it has put into buffer `id`.
    ///
    /// # Safety
    /// The kernel must have said so, and this be the only one made of it.
    pub unsafe fn new(id: u16, length: usize) -> Self {
        assert!(id < COUNT && length <= BUFFER_BYTES, "the kernel filled no buffer of ours");
        Self { id, length }
    }
}

impl Buffers {
    /// Registers them as [`GROUP`].
    ///
    /// # Safety
    /// They must not be dropped while the kernel may receive into them.
    pub unsafe fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let layout = Layout::new::<Memory>();
        // SAFETY: the layout has a size. Only pages that are touched take memory.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) });
        let memory = memory.unwrap_or_else(|| handle_alloc_error(layout)).cast::<Memory>();
        let mut buffers = Self { memory, tail: 0 };
        // SAFETY: the entries stay where they are until they are dropped, and then nobody receives, as the caller says.
        unsafe { submitter.register_buf_ring_with_flags(memory.as_ptr() as u64, COUNT, GROUP, 0)? };
        (0..COUNT).for_each(|id| buffers.give_back(Filled { id, length: 0 }));
        buffers.publish();
        Ok(buffers)
    }

    /// What is in a buffer.
    pub fn octets(&self, filled: &Filled) -> &[u8] {
        // SAFETY: it is within the memory, which was zeroed, and the kernel does not write to what it has given away.
        unsafe { slice::from_raw_parts(self.buffer(filled.id), filled.length) }
    }

    /// Lets the kernel have it again, from the next [`Self::publish`] on.
    pub fn give_back(&mut self, Filled { id, .. }: Filled) {
        let buffer = self.buffer(id);
        // SAFETY: there are as many entries as buffers, so that the place is free; the kernel looks at those only that were
        // published.
        let entry = unsafe { &mut (*self.memory.as_ptr()).entries[usize::from(self.tail % COUNT)] };
        entry.set_addr(buffer as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Tells the kernel of what was given back.
    pub fn publish(&mut self) {
        // SAFETY: the tail lies in a part of the first entry that is used for nothing else, and its address is even.
        let tail = unsafe {
            let first = addr_of_mut!((*self.memory.as_ptr()).entries).cast::<BufRingEntry>();
            AtomicU16::from_ptr(BufRingEntry::tail(first).cast_mut())
        };
        tail.store(self.tail, Ordering::Release);
    }

    fn buffer(&self, id: u16) -> *mut u8 {
        // SAFETY: an address within the memory is computed, nothing is read.
        unsafe { addr_of_mut!((*self.memory.as_ptr()).octets[usize::from(id)]).cast() }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: it was allocated like that, and the kernel has no more to do with it, as the caller of `register` says.
        unsafe { dealloc(self.memory.as_ptr().cast(), Layout::new::<Memory>()) };
    }
}
