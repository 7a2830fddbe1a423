//! One word per chunk: how it is used.

use super::class::Class;

/// What a chunk is: `{ count: 32, participant: 16, class: 8, tag: 8 }`, high to low. Zeroed memory is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Free,
    /// Cut into blocks of a class. Which of them are taken, their cells say.
    Cut(Class),
    /// Being made into something or given back, together with the `count - 1` bodies behind it.
    Held {
        participant: u8,
        count: u32,
    },
    /// The first of a run that is one block.
    Run {
        count: u32,
    },
    /// One of the others of a run.
    Body,
    /// Cut, while `participant` looks whether no block lies in it.
    Emptying {
        participant: u8,
        class: Class,
    },
    /// No participant that keeps to the protocol writes this.
    Corrupt,
}

impl Chunk {
    #[inline]
    pub(super) fn to_bits(self) -> u64 {
        match self {
            Self::Free => 0,
            Self::Cut(class) => u64::from(class.form() - 1) << 8 | 1,
            Self::Held { participant, count } => u64::from(count) << 32 | u64::from(participant) << 16 | 2,
            Self::Run { count } => u64::from(count) << 32 | 3,
            Self::Body => 4,
            Self::Emptying { participant, class } => {
                u64::from(participant) << 16 | u64::from(class.form() - 1) << 8 | 5
            }
            Self::Corrupt => 0xFF,
        }
    }

    /// Any word decodes. Fields that are not used have to be 0, so that equal chunks are equal words.
    pub(super) fn from_bits(bits: u64) -> Self {
        let [tag, class, participant, _, ..] = bits.to_le_bytes();
        let count = u32::try_from(bits >> 32).unwrap_or(0);
        let class = Class::from_index(usize::from(class));
        let chunk = match (tag, class) {
            (0, _) => Self::Free,
            (1, Some(class)) => Self::Cut(class),
            (2, _) => Self::Held { participant, count },
            (3, _) => Self::Run { count },
            (4, _) => Self::Body,
            (5, Some(class)) => Self::Emptying { participant, class },
            _ => Self::Corrupt,
        };
        if chunk.to_bits() == bits { chunk } else { Self::Corrupt }
    }
}
