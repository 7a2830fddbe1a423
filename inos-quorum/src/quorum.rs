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
///
/// In every mode a committed write is held by every electorate, so no election loses it while fewer voters than
/// [`write_quorum`](Self::write_quorum) lose their storage. The modes differ in how long a write waits, how many
/// voters may fail before no primary can be elected, and whether anything is acknowledged before it is committed.
/// Flexible sizes are those of Howard, Malkhi, Spiegelman, *Flexible Paxos: Quorum intersection revisited*, 2016.
///
/// | five voters | a committed write is held by | a primary is elected by | failures until nobody can be elected |
/// | --- | --- | --- | --- |
/// | `Majority`, `Fast` | 3 | 3 | 3 |
/// | `FastSafe` | 2 | 4 | 2 |
/// | `Flex { write: 4 }` | 4 | 3 | 3 (and no writes after 2) |
///
/// ```
/// use inos_quorum::Mode;
///
/// assert_eq!((Mode::Majority.write_quorum(5), Mode::Majority.elect_quorum(5)), (3, 3));
/// // As quick as one other voter's acknowledgement, paid for with elections that four of five must take part in.
/// assert_eq!((Mode::FastSafe.write_quorum(5), Mode::FastSafe.elect_quorum(5)), (2, 4));
/// // Sizes follow the group: of one voter, two cannot be asked.
/// assert_eq!((Mode::FastSafe.write_quorum(1), Mode::FastSafe.elect_quorum(1)), (1, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// A write may be acknowledged as `Fast` when the primary and one other replica hold it; it is committed when a
    /// majority does, and a majority elects. What was acknowledged `Fast` alone may be lost when the primary fails.
    Fast,
    /// A write is acknowledged when two voters hold it, the primary among them, and then it is committed. All voters
    /// but one must take part in an election (a majority of up to three), so that one of them is a holder.
    FastSafe,
    /// A write is acknowledged, and committed, when `write` voters hold it.
    Flex {
        /// From 1. 0 counts as 1, and more than there are voters counts as all of them: so it is for a group with fewer
        /// founders, or one made by force, until it has grown. No change takes the number of voters below it.
        write: u8,
    },
    /// A write is acknowledged, and committed, when a majority of the voters holds it; a majority elects.
    Majority,
}

impl Mode {
    /// How many of `n` voters must hold an entry before it is committed, the primary's own copy included.
    ///
    /// From 1 to `n`. Of no voters it is 1: a group of nobody commits nothing.
    #[must_use]
    pub const fn write_quorum(self, n: usize) -> usize {
        let wanted = match self {
            Self::Fast | Self::Majority => majority(n),
            Self::FastSafe => 2,
            Self::Flex { write } => write as usize,
        };
        let at_most_all = if wanted < n { wanted } else { n };
        if at_most_all > 0 { at_most_all } else { 1 }
    }

    /// How many of `n` voters must vote for a primary, its own vote included: from a majority to `n`, and 1 of nobody.
    ///
    /// It is the least size with `write_quorum(n) + elect_quorum(n) > n` (an electorate contains a holder of every
    /// committed entry) and `2 * elect_quorum(n) > n` (two electorates share a voter).
    #[must_use]
    pub const fn elect_quorum(self, n: usize) -> usize {
        let by_write = n.saturating_sub(self.write_quorum(n)) + 1;
        if by_write > majority(n) { by_write } else { majority(n) }
    }
}
