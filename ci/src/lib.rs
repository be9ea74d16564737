//! The regression gate of c10k: did this change make a server slower, at a known false-alarm rate?
//!
//! It compares records that `c10k-reports` reads and measures nothing itself.
