//! Quorum sizes.

/// The smallest number of `n` members of which any two choices share a member: `n / 2 + 1`.
///
/// `majority(0)` is 1: a group of nobody decides nothing.
///
/// ```
/// use inos_quorum::majority;
///
/// assert_eq!([3, 4, 5, 6, 7].map(majority), [2, 3, 3, 4, 4]);
/// ```
#[must_use]
pub const fn majority(n: usize) -> usize {
    n / 2 + 1
}

/// What a write waits for, and what an election needs. There is no default: the choice is the integrator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// A write is acknowledged when a majority of the voters holds it; a majority elects. No acknowledged write is
    /// lost while fewer than a majority of the voters lose their storage.
    Majority,
}

impl Mode {
    /// How many of `n` voters must hold an entry before it is committed, the primary's own copy included.
    #[must_use]
    pub const fn write_quorum(self, n: usize) -> usize {
        match self {
            Self::Majority => majority(n),
        }
    }

    /// How many of `n` voters must vote for a primary, its own vote included.
    ///
    /// `write_quorum(n) + elect_quorum(n) > n` (an electorate contains a holder of every committed entry) and
    /// `2 * elect_quorum(n) > n` (two electorates share a voter) for every `n`.
    #[must_use]
    pub const fn elect_quorum(self, n: usize) -> usize {
        let by_write = n.saturating_sub(self.write_quorum(n)) + 1;
        if by_write > majority(n) { by_write } else { majority(n) }
    }
}
