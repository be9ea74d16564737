//! Growth of a buffer whose size a client decides: without memory for it, the server sheds that
//! connection. An ordinary allocation that fails ends the process, with all other connections.

use std::collections::TryReserveError;

/// Appends a copy of `bytes` to `buffer`; without memory for it, leaves `buffer` as it is.
pub fn try_append(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TryReserveError> {
    buffer.try_reserve(bytes.len())?;
    buffer.extend_from_slice(bytes);
    Ok(())
}
