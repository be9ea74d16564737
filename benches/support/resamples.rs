//! How thorough criterion's analysis is, for all benches.

/// Resamples of criterion's bootstrap: a tenth of its default, with which the analysis takes longer than the measuring, and
/// five times the 2,000 that are held to be enough for the limits of an interval (Efron and Tibshirani 1993).
pub const RESAMPLES: usize = 10_000;
