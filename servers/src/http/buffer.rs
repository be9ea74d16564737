//! Buffers whose size depends on the client. If one can't grow for lack of memory, the server sheds
//! only that connection; an ordinary allocation that fails would end the process and all other
//! connections with it.

use std::collections::TryReserveError;

/// Largest buffer that an idle connection keeps: enough for a response with a copied body, and its
/// head.
pub const KEPT_BYTES: usize = 32 * 1024;

/// Appends a copy of `bytes` to `buffer`; without memory for it, leaves `buffer` as it is.
pub fn try_append(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TryReserveError> {
    buffer.try_reserve(bytes.len())?;
    buffer.extend_from_slice(bytes);
    Ok(())
}

/// Empties a buffer, and keeps it for the next request unless it has grown beyond [`KEPT_BYTES`].
pub fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEPT_BYTES {
        *buffer = Vec::new();
    }
}
