//! Memory for connections: asked for, so that where there is none its connection can be shed, and not taken for granted,
//! which ends the process.
//!
//! What a client makes grow is asked for here. The small things, and those that a library takes without asking, come out
//! of a [`Reserve`] when there is nothing else, as a connection's descriptor does at the [`Listener`](crate::Listener):
//! a server that sheds connections needs some memory to do so.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use slab::Slab;

/// What the reserve is given out in: a task of a runtime takes half of that, an allocation for a call less.
const BLOCK_BYTES: usize = 4096;

/// The largest thing that comes out of it, in blocks that lie side by side: a runtime's table of some hundred tasks. What is
/// asked for gets no more than a block; whoever asks can do without.
const LARGEST_BYTES: usize = 16 * BLOCK_BYTES;

/// Blocks in the reserve, none with more than one thing at a time: a few for each thread that is in the middle of something.
/// No memory is taken by those that were never needed.
const BLOCKS: usize = 64 * WORDS;
const WORDS: usize = 8;

/// With so many blocks in use memory is short, and nothing is begun that would need more, until [`ENOUGH_BYTES`] are there.
const SHORT_FROM: u32 = 16;

/// What the system has to have again for a shortage to be over; what was made in it may keep its blocks for long.
const ENOUGH_BYTES: usize = 64 * 1024;

/// An allocator: that of the system, and what is kept back for the time when that has nothing more to give.
///
/// No large things come out of it. To be the `#[global_allocator]` of a program with servers in it; the feature `reserve`
/// does that.
#[derive(Debug)]
pub struct Reserve;

static RESERVE: Blocks = Blocks::new();

thread_local! {
    /// Whether what this thread allocates is asked for.
    static IS_ASKING: Cell<bool> = const { Cell::new(false) };
}

/// The memory of the reserve. It starts at a page.
#[repr(C, align(4096))]
struct Blocks {
    octets: UnsafeCell<[[u8; BLOCK_BYTES]; BLOCKS]>,
    /// A bit for each block.
    in_use: [AtomicU64; WORDS],
}

// SAFETY: a block is used by whoever has set its bit, and by nobody else.
unsafe impl Sync for Blocks {}

// SAFETY: what is given out is of the system, with its guarantees, or blocks that nobody else has, which are large enough and
// aligned to the size of one. Neither panics.
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
            // SAFETY: there are at least that many octets, and others have used them before.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        match RESERVE.find(memory) {
            Some(block) => RESERVE.give_back(block, blocks(layout.size())),
            // SAFETY: the caller has it from here, and it is none of the blocks, so that it is the system's.
            None => unsafe { System.dealloc(memory, layout) },
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if RESERVE.find(memory).is_none() {
            // SAFETY: as above.
            let moved = unsafe { System.realloc(memory, layout, size) };
            if !moved.is_null() {
                return moved;
            }
        }
        // SAFETY: the caller says that the size is valid with this alignment, and may no longer use what is moved.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(memory, moved, size.min(layout.size()));
                self.dealloc(memory, layout);
                return moved;
            }
        }
        // Nothing is left, but in its blocks there may be room.
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

/// How many blocks a thing of that size takes.
fn blocks(size: usize) -> usize {
    size.div_ceil(BLOCK_BYTES).max(1)
}

/// A word with so many bits set in a row, or none.
fn row_of(bits: usize) -> u64 {
    u64::MAX.checked_shr(u64::BITS - bits as u32).unwrap_or(0)
}

impl Blocks {
    #[expect(clippy::large_stack_arrays, reason = "it is a static, and on no stack")]
    const fn new() -> Self {
        let in_use = [const { AtomicU64::new(0) }; WORDS];
        Self { octets: UnsafeCell::new([[0; BLOCK_BYTES]; BLOCKS]), in_use }
    }

    /// Blocks for `layout`; null if it is too large or they are not left.
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

    /// Takes back so many that were taken together, from `first` on.
    fn give_back(&self, first: usize, count: usize) {
        if count > 0 {
            self.in_use[first / 64].fetch_and(!(row_of(count) << (first % 64)), Ordering::Release);
        }
    }

    /// The number of the block that begins there, if one does.
    fn find(&self, memory: *mut u8) -> Option<usize> {
        let offset = memory.addr().wrapping_sub(self.octets.get().addr());
        (offset < BLOCKS * BLOCK_BYTES).then_some(offset / BLOCK_BYTES)
    }

    fn are_short(&self) -> bool {
        let in_use = self.in_use.iter().map(|word| word.load(Ordering::Relaxed).count_ones());
        in_use.sum::<u32>() >= SHORT_FROM
    }
}

/// Whether memory is so short that nothing new should be begun: the reserve is being spent. Without the reserve as the
/// program's allocator that is not known.
pub fn is_short() -> bool {
    RESERVE.are_short() && !system_has_enough()
}

/// Tries it; whoever fails meanwhile has the reserve.
fn system_has_enough() -> bool {
    let layout = Layout::new::<[u8; ENOUGH_BYTES]>();
    // SAFETY: the layout has a size, and what is taken is given back.
    unsafe {
        // Or the compiler finds out that nobody needs it.
        let memory = black_box(System.alloc(layout));
        if !memory.is_null() {
            System.dealloc(memory, layout);
        }
        !memory.is_null()
    }
}

/// Asks for memory, which may not be there.
fn ask(allocate: impl FnOnce() -> bool) -> bool {
    IS_ASKING.set(true);
    let is_there = allocate();
    IS_ASKING.set(false);
    is_there
}

/// Makes room for `additional` items at the end of `list`, or says that there is no memory for it.
pub fn reserve<T>(list: &mut Vec<T>, additional: usize) -> bool {
    if list.capacity() - list.len() >= additional {
        return true;
    }
    !is_short() && ask(|| list.try_reserve(additional).is_ok())
}

/// Appends a copy of `octets` to `buffer`, or says that there is no memory for it.
pub fn append(buffer: &mut Vec<u8>, octets: &[u8]) -> bool {
    let has_room = reserve(buffer, octets.len());
    if has_room {
        buffer.extend_from_slice(octets);
    }
    has_room
}

/// Makes room for one more in `slab`, or says that there is no memory for it.
pub fn reserve_slot<T>(slab: &mut Slab<T>) -> bool {
    if slab.len() < slab.capacity() {
        return true;
    }
    if is_short() {
        return false;
    }
    // It can't be asked itself: what it takes is tried out, and taken right after. Twice, since others may be faster.
    let mut block = Vec::<(usize, T)>::new();
    let is_there = ask(|| block.try_reserve_exact(4 * slab.capacity().max(2)).is_ok());
    // Or the compiler finds out that nobody needs it.
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
        // None lies across two words.
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
        // SAFETY: it is a block of that layout that nobody else has, and it is given back as what has become of it.
        unsafe {
            let block = RESERVE.take(small);
            block.write_bytes(7, small.size());
            let moved = Reserve.realloc(block, small, large.size());
            assert!(RESERVE.find(moved).is_none() && *moved.add(99) == 7);
            Reserve.dealloc(moved, large);
        }
    }
}
