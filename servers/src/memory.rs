//! Fallible allocation for connections: if there is no memory, the server sheds the connection. An
//! ordinary allocation that fails ends the process.
//!
//! All memory whose size depends on clients is allocated here.

use std::hint::black_box;

use slab::Slab;

/// Reserves memory for `additional` items at the end of `list`; returns false if there is none.
pub fn reserve<T>(list: &mut Vec<T>, additional: usize) -> bool {
    list.try_reserve(additional).is_ok()
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
    // A slab has no fallible method for this, so the allocation is tried first and made right
    // after. The trial is twice as large as needed, since other threads may take memory in between.
    let mut block = Vec::<(usize, T)>::new();
    let is_there = block.try_reserve_exact(4 * slab.capacity().max(2)).is_ok();
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
}
