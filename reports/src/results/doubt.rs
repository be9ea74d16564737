//! Reasons why the numbers of a cell cannot be compared with those of others: a sign for tables and
//! charts, and its meaning in words.

/// A reason why the numbers of a cell cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// A round has no result; the remaining rounds may be the lucky ones.
    LostRound,
    /// A request failed; errors are fast and cheap.
    FailedRequests,
    /// A check failed.
    FailedCheck,
    /// Something other than the server determined the result of a round.
    Disturbed,
    /// Connections had no response; a connection that is not served costs nothing.
    Unserved,
}

/// All doubts, in the order in which their signs are shown.
pub const DOUBTS: [Doubt; 5] = [
    Doubt::LostRound,
    Doubt::FailedRequests,
    Doubt::FailedCheck,
    Doubt::Disturbed,
    Doubt::Unserved,
];

impl Doubt {
    /// Returns the sign that is shown after the name of the cell.
    pub fn sign(self) -> &'static str {
        match self {
            Self::LostRound => "¶",
            Self::FailedRequests => "†",
            Self::FailedCheck => "‡",
            Self::Disturbed => "※",
            Self::Unserved => "§",
        }
    }

    /// Returns the meaning of the doubt, as a phrase that follows the sign and a colon.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::LostRound => "a round has no result",
            Self::FailedRequests => "requests failed",
            Self::FailedCheck => "a check failed",
            Self::Disturbed => "the machine disturbed a round",
            Self::Unserved => "of the served connections only",
        }
    }
}
