//! Fallible allocation for connections: if there is no memory, the server sheds the connection. An
//! ordinary allocation that fails ends the process.
//!
//! All memory whose size depends on clients is allocated here. Small allocations, and those that a
//! library makes by itself, come from a [`Reserve`] when the system has no more memory. It is
//! similar to the spare descriptor of the [`Listener`](crate::Listener): a server needs some memory
//! to shed connections.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use slab::Slab;

/// Size of a block of the reserve: a task of a runtime takes half of it, an allocation for a call
/// less.
const BLOCK_BYTES: usize = 4096;

/// Largest allocation from the reserve, in adjacent blocks: a runtime's table of some hundred
/// tasks. A fallible allocation gets at most one block, because its caller can do without the
/// memory.
const LARGEST_BYTES: usize = 16 * BLOCK_BYTES;

/// Number of blocks in the reserve, each with one allocation at a time: a few for each thread that
/// is at work. Blocks that were never needed take no memory.
const BLOCKS: usize = 64 * WORDS;
const WORDS: usize = 8;

/// Number of blocks in use from which memory counts as short: then nothing is begun that would need
/// more, until the system has [`ENOUGH_BYTES`] again.
const SHORT_FROM: u32 = 16;

/// Memory that the system must have again for a shortage to be over; allocations made during the
/// shortage may keep their blocks for long.
const ENOUGH_BYTES: usize = 64 * 1024;

/// The system's allocator, with a reserve for the time when the system has no more memory.
///
/// The reserve is not for large allocations. `Reserve` is meant as the `#[global_allocator]` of a
/// program with servers in it; the feature `reserve` installs it.
#[derive(Debug)]
pub struct Reserve;

static RESERVE: Blocks = Blocks::new();

thread_local! {
    /// True while this thread makes a fallible allocation.
    static IS_ASKING: Cell<bool> = const { Cell::new(false) };
}

/// Memory of the reserve, aligned to a page.
#[repr(C, align(4096))]
struct Blocks {
    octets: UnsafeCell<[[u8; BLOCK_BYTES]; BLOCKS]>,
    /// One bit per block, set while the block is in use.
    in_use: [AtomicU64; WORDS],
}

// SAFETY: a block is used only by the allocation that has set its bit.
unsafe impl Sync for Blocks {}

// SAFETY: the memory is from the system, with its guarantees, or consists of blocks that no other
// allocation has, which are large enough and aligned to the size of a block. Neither path panics.
unsafe impl GlobalAlloc for Reserve {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the same rules.
        let memory = unsafe { System.alloc(layout) };
        if memory.is_null() { RESERVE.take(layout) } else { memory }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the same rules.
        let memory = unsafe { System.alloc_zeroed(layout) };
        if !memory.is_null() {
            return memory;
        }
        let block = RESERVE.take(layout);
        if !block.is_null() {
            // SAFETY: the blocks have at least that many bytes. They are zeroed because earlier
            // allocations may have used them.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        match RESERVE.find(memory) {
            Some(block) => RESERVE.give_back(block, blocks(layout.size())),
            // SAFETY: the caller got the memory from this allocator, and it is in none of the
            // blocks, so it is the system's.
            None => unsafe { System.dealloc(memory, layout) },
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if RESERVE.find(memory).is_none() {
            // SAFETY: the caller got the memory from this allocator, and it is in none of the
            // blocks, so it is the system's.
            let moved = unsafe { System.realloc(memory, layout, size) };
            if !moved.is_null() {
                return moved;
            }
        }
        // SAFETY: the caller guarantees that the size is valid with this alignment, and no longer
        // uses memory that was moved.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(memory, moved, size.min(layout.size()));
                self.dealloc(memory, layout);
                return moved;
            }
        }
        // No memory is left, but the new size may fit into the blocks of this allocation.
        let (had, needs) = (blocks(layout.size()), blocks(size));
        match RESERVE.find(memory) {
            Some(block) if needs <= had => {
                RESERVE.give_back(block + needs, had - needs);
                memory
            }
            _ => ptr::null_mut(),
        }
    }
}

/// Returns the number of blocks that an allocation of `size` bytes takes.
fn blocks(size: usize) -> usize {
    size.div_ceil(BLOCK_BYTES).max(1)
}

/// Returns a word whose lowest `bits` bits are set.
fn row_of(bits: usize) -> u64 {
    u64::MAX.checked_shr(u64::BITS - bits as u32).unwrap_or(0)
}

impl Blocks {
    #[expect(clippy::large_stack_arrays, reason = "it is a static, and on no stack")]
    const fn new() -> Self {
        let in_use = [const { AtomicU64::new(0) }; WORDS];
        Self { octets: UnsafeCell::new([[0; BLOCK_BYTES]; BLOCKS]), in_use }
    }

    /// Takes blocks for `layout`; returns null if it is too large or too few adjacent blocks are
    /// left.
    #[cold]
    fn take(&self, layout: Layout) -> *mut u8 {
        let largest = if IS_ASKING.get() { BLOCK_BYTES } else { LARGEST_BYTES };
        if layout.size() > largest || layout.align() > BLOCK_BYTES {
            return ptr::null_mut();
        }
        let count = blocks(layout.size());
        for (i, word) in self.in_use.iter().enumerate() {
            let mut first = 0;
            let take = |bits: u64| {
                first = (0..=64 - count).find(|first| bits & (row_of(count) << first) == 0)?;
                Some(bits | (row_of(count) << first))
            };
            if word.try_update(Ordering::Acquire, Ordering::Relaxed, take).is_ok() {
                return self.octets.get().cast::<u8>().wrapping_add((i * 64 + first) * BLOCK_BYTES);
            }
        }
        ptr::null_mut()
    }

    /// Gives back `count` blocks from `first` on, which were taken together.
    fn give_back(&self, first: usize, count: usize) {
        if count > 0 {
            self.in_use[first / 64].fetch_and(!(row_of(count) << (first % 64)), Ordering::Release);
        }
    }

    /// Returns the number of the block that `memory` is in, if it is in one.
    fn find(&self, memory: *mut u8) -> Option<usize> {
        let offset = memory.addr().wrapping_sub(self.octets.get().addr());
        (offset < BLOCKS * BLOCK_BYTES).then_some(offset / BLOCK_BYTES)
    }

    fn are_short(&self) -> bool {
        let in_use = self.in_use.iter().map(|word| word.load(Ordering::Relaxed).count_ones());
        in_use.sum::<u32>() >= SHORT_FROM
    }
}

/// Returns true if memory is so short that nothing new should be begun, because the reserve is
/// being used. A shortage is not noticed if the reserve is not the program's allocator.
pub fn is_short() -> bool {
    RESERVE.are_short() && !system_has_enough()
}

/// Tries to allocate [`ENOUGH_BYTES`]; an allocation that fails meanwhile can use the reserve.
fn system_has_enough() -> bool {
    let layout = Layout::new::<[u8; ENOUGH_BYTES]>();
    // SAFETY: the size of the layout is not zero, and the memory is freed with the same layout.
    unsafe {
        // Without `black_box`, the compiler would remove the unused allocation.
        let memory = black_box(System.alloc(layout));
        if !memory.is_null() {
            System.dealloc(memory, layout);
        }
        !memory.is_null()
    }
}

/// Runs a fallible allocation and returns its result.
fn ask(allocate: impl FnOnce() -> bool) -> bool {
    IS_ASKING.set(true);
    let is_there = allocate();
    IS_ASKING.set(false);
    is_there
}

/// Reserves memory for `additional` items at the end of `list`; returns false if there is none.
pub fn reserve<T>(list: &mut Vec<T>, additional: usize) -> bool {
    if list.capacity() - list.len() >= additional {
        return true;
    }
    !is_short() && ask(|| list.try_reserve(additional).is_ok())
}

/// Appends a copy of `octets` to `buffer`; returns false if there is no memory for it.
pub fn append(buffer: &mut Vec<u8>, octets: &[u8]) -> bool {
    let has_room = reserve(buffer, octets.len());
    if has_room {
        buffer.extend_from_slice(octets);
    }
    has_room
}

/// Reserves memory for one more entry in `slab`; returns false if there is none.
pub fn reserve_slot<T>(slab: &mut Slab<T>) -> bool {
    if slab.len() < slab.capacity() {
        return true;
    }
    if is_short() {
        return false;
    }
    // A slab has no fallible method for this, so the allocation is tried first and made right
    // after. The trial is twice as large as needed, since other threads may take memory in between.
    let mut block = Vec::<(usize, T)>::new();
    let is_there = ask(|| block.try_reserve_exact(4 * slab.capacity().max(2)).is_ok());
    // Without `black_box`, the compiler would remove the unused allocation.
    black_box(&block);
    drop(block);
    if is_there {
        slab.reserve(1);
    }
    is_there
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_had_is_told_and_changes_nothing() {
        let mut buffer = b"abc".to_vec();
        assert!(!reserve(&mut buffer, isize::MAX as usize));
        assert_eq!(buffer, b"abc");
        assert!(append(&mut buffer, b"def"));
        assert_eq!(buffer, b"abcdef");
    }

    #[test]
    fn a_slab_grows_as_it_does_by_itself() {
        let mut slab = Slab::new();
        for i in 0..1000 {
            assert!(reserve_slot(&mut slab) && slab.capacity() > i);
            assert_eq!(slab.insert(i), i);
        }
        assert!(slab.capacity() < 4000);
    }

    #[test]
    fn the_reserve_gives_each_block_to_one_and_takes_it_back() {
        static BLOCKS_OF_TEST: Blocks = Blocks::new();
        let layout = Layout::from_size_align(100, 16).unwrap();
        let taken: Vec<*mut u8> = (0..BLOCKS).map(|_| BLOCKS_OF_TEST.take(layout)).collect();
        assert!(BLOCKS_OF_TEST.are_short());
        assert!(BLOCKS_OF_TEST.take(layout).is_null());
        for (i, &block) in taken.iter().enumerate() {
            assert_eq!((BLOCKS_OF_TEST.find(block), block.addr() % BLOCK_BYTES), (Some(i), 0));
            BLOCKS_OF_TEST.give_back(i, 1);
        }
        assert!(!BLOCKS_OF_TEST.are_short());
        assert_eq!(BLOCKS_OF_TEST.take(layout), taken[0]);
        assert!(BLOCKS_OF_TEST.take(Layout::from_size_align(LARGEST_BYTES + 1, 1).unwrap()).is_null());
    }

    #[test]
    fn a_large_thing_has_blocks_side_by_side_that_nobody_else_has() {
        static BLOCKS_OF_TEST: Blocks = Blocks::new();
        let layout = |blocks: usize| Layout::from_size_align(blocks * BLOCK_BYTES, 16).unwrap();
        let take = |blocks| BLOCKS_OF_TEST.find(BLOCKS_OF_TEST.take(layout(blocks)));
        assert_eq!([take(1), take(16), take(1), take(16)], [0, 1, 17, 18].map(Some));
        BLOCKS_OF_TEST.give_back(1, 16);
        assert_eq!([take(10), take(7), take(6)], [1, 34, 11].map(Some));
        // No allocation lies across two words.
        assert_eq!([take(16), take(16), take(16)], [41, 64, 80].map(Some));
    }

    #[test]
    fn a_shortage_is_over_when_there_is_memory_whoever_still_has_blocks() {
        let layout = Layout::from_size_align(100, 16).unwrap();
        let taken: Vec<*mut u8> = (0..SHORT_FROM).map(|_| RESERVE.take(layout)).collect();
        assert!(RESERVE.are_short() && !is_short());
        for block in taken {
            RESERVE.give_back(RESERVE.find(block).unwrap(), 1);
        }
    }

    #[test]
    fn what_grows_out_of_the_reserve_keeps_what_is_in_it() {
        let [small, large] = [100, 2 * LARGEST_BYTES].map(|size| Layout::from_size_align(size, 16).unwrap());
        // SAFETY: the block has that layout and no other user, and the moved memory is freed with
        // its new layout.
        unsafe {
            let block = RESERVE.take(small);
            block.write_bytes(7, small.size());
            let moved = Reserve.realloc(block, small, large.size());
            assert!(RESERVE.find(moved).is_none() && *moved.add(99) == 7);
            Reserve.dealloc(moved, large);
        }
    }
}
