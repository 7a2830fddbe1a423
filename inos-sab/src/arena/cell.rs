//! One word per granule: whether a block starts here, who may touch it, and how often it was freed.

use crate::error::Stale;
use crate::layout::SLOT_COUNT;

/// Bits of a generation. At 20 million reuses of one granule per second it repeats after ten days.
pub(crate) const GENERATION_BITS: u32 = 44;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
const STATE_BITS: u32 = 4;
const WHO_BITS: u32 = 16;
/// One pin, as added to a cell among threads.
pub(super) const ONE_PIN: u64 = 1 << STATE_BITS;

/// Who may touch a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody; no block starts here. Zeroed memory is free.
    Free,
    /// One `ArenaBox`, which may write. `who` is its participant.
    Owned,
    /// A ring or a manifest slot; nobody reads or writes. `who` is the [`Carrier`].
    InFlight,
    /// Nobody owns it and anybody may pin it to read. `who` is the pins: among threads their count, otherwise a set of
    /// participants.
    Detached,
    /// No participant that keeps to the protocol writes this.
    Corrupt,
}

/// What carries a block that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Inbox,
    Outbox,
    /// Manifest slot 0 to 14.
    Slot(u8),
}

impl Carrier {
    const FIRST_SLOT: u16 = 0x10;
    /// Slots are below this.
    pub(super) const SLOTS: u8 = 15;

    pub(crate) const fn who(self) -> u16 {
        match self {
            Self::Inbox => 1,
            Self::Outbox => 2,
            Self::Slot(index) => Self::FIRST_SLOT + index as u16,
        }
    }

    pub(crate) fn from_who(who: u16) -> Option<Self> {
        match who {
            1 => Some(Self::Inbox),
            2 => Some(Self::Outbox),
            _ => {
                let index = u8::try_from(who.checked_sub(Self::FIRST_SLOT)?).ok()?;
                (index < Self::SLOTS).then_some(Self::Slot(index))
            }
        }
    }
}

const _: () = assert!(Carrier::SLOTS as u32 == SLOT_COUNT);

/// The cell `{ generation: 44, who: 16, state: 4 }`, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) generation: u64,
    pub(crate) who: u16,
    pub(crate) state: State,
}

impl Cell {
    pub(crate) const fn free(generation: u64) -> Self {
        Self { generation, who: 0, state: State::Free }
    }

    /// A free cell whose generation is the low bits of `start`.
    pub(super) const fn starting_at(start: u64) -> Self {
        Self::free(start & GENERATION_MASK)
    }

    #[inline]
    pub(crate) const fn owned(generation: u64, participant: u8) -> Self {
        Self { generation, who: participant as u16, state: State::Owned }
    }

    pub(crate) const fn in_flight(generation: u64, carrier: Carrier) -> Self {
        Self { generation, who: carrier.who(), state: State::InFlight }
    }

    pub(crate) const fn detached(generation: u64) -> Self {
        Self { generation, who: 0, state: State::Detached }
    }

    #[inline]
    pub(crate) const fn to_bits(self) -> u64 {
        let state = match self.state {
            State::Free => 0,
            State::Owned => 1,
            State::InFlight => 2,
            State::Detached => 3,
            State::Corrupt => 0xF,
        };
        self.generation << (STATE_BITS + WHO_BITS) | (self.who as u64) << STATE_BITS | state
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        let state = match bits & 0xF {
            0 => State::Free,
            1 => State::Owned,
            2 => State::InFlight,
            3 => State::Detached,
            _ => State::Corrupt,
        };
        let who = u16::try_from(bits >> STATE_BITS & u64::from(u16::MAX)).unwrap_or(0);
        Self { generation: bits >> (STATE_BITS + WHO_BITS), who, state }
    }

    /// The bit of a participant among those that pin a block. There are 16 bits.
    pub(crate) const fn pin_of(participant: u8) -> u64 {
        1 << (STATE_BITS + (participant & 0xF) as u32)
    }

    /// Whether it is a block of this generation that may be read.
    pub(super) fn pinnable(self, generation: u64) -> Result<(), Stale> {
        match self.state {
            State::Corrupt => Err(Stale::Corrupt),
            _ if self.generation != generation => Err(Stale::Freed),
            State::Free => Err(Stale::Freed),
            State::Owned | State::InFlight => Err(Stale::Owned),
            State::Detached => Ok(()),
        }
    }

    /// The cell after this block was freed.
    #[inline]
    pub(crate) const fn freed(self) -> Self {
        Self::free((self.generation + 1) & GENERATION_MASK)
    }
}
