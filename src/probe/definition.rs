//! Definition of a probe: what the file of each probe holds, and when it looks.

use anyhow::Result;

use super::tree::Tree;

/// A source of numbers about a process tree, or about the machine, over the measured part.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Name in [`Readings::missing`](super::Readings::missing), in snake case like the keys of
    /// readings.
    pub name: &'static str,
    pub(super) read: Read,
}

/// Moments at which a probe looks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Read {
    /// Counters that only grow. They are read at the beginning and at the end, and subtracted.
    Growth(fn(&Tree) -> Result<Values>),
    /// Amounts in use. They are read at the end only.
    AtEnd(fn(&Tree) -> Result<Values>),
    /// Any other kind: the first look returns the second look, which holds the numbers that the
    /// first one read.
    Both(fn(&Tree) -> Result<Finish>),
}

/// The second look of a probe.
pub(super) type Finish = Box<dyn FnOnce(&Tree) -> Result<Values>>;

/// Key → value. A key ends in its unit; one without a unit is a count.
pub(super) type Values = Vec<(&'static str, f64)>;

impl Read {
    /// Takes the first look.
    pub(super) fn begin(self, tree: &Tree) -> Result<Finish> {
        match self {
            Self::Growth(read) => {
                let begin = read(tree)?;
                Ok(Box::new(move |tree| Ok(growth(begin, read(tree)?))))
            }
            Self::AtEnd(read) => Ok(Box::new(read)),
            Self::Both(begin) => begin(tree),
        }
    }
}

/// Returns the growth of counters. Both looks have the counters in the same order.
pub(super) fn growth(begin: Values, end: Values) -> Values {
    let both = begin.into_iter().zip(end);
    // A killed process that no process of the tree waited for takes its counts with it, so that a
    // sum may fall.
    both.map(|((_, begin), (key, end))| (key, (end - begin).max(0.0))).collect()
}
