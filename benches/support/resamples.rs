//! Thoroughness of criterion's analysis, for all benches.

/// Resamples of criterion's bootstrap. Their number is a tenth of the default, with which the
/// analysis takes longer than the measurement. It is five times the 2,000 that are held to be
/// enough for the limits of an interval (Efron and Tibshirani 1993).
pub const RESAMPLES: usize = 10_000;
