//! Fallible allocation for connections: if there is no memory, the server sheds the connection. An
//! ordinary allocation that fails ends the process.
//!
//! All memory whose size depends on clients is allocated here.

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
}
