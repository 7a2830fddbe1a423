//! One word per granule: whether a block starts here, who may touch it, and how often it was freed.

/// Bits of a generation. At 20 million reuses of one granule per second it repeats after ten days.
pub(super) const GENERATION_BITS: u32 = 44;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
const STATE_BITS: u32 = 4;
const PIN_BITS: u32 = 16;
pub(super) const PIN_LIMIT: u32 = (1 << PIN_BITS) - 1;
/// One pin, as added to a cell.
pub(super) const ONE_PIN: u64 = 1 << STATE_BITS;

/// Who may touch a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody; no block starts here. Zeroed memory is free.
    Free,
    /// One `ArenaBox`, which may write.
    Owned,
    /// A ring or a manifest slot; nobody reads or writes.
    InFlight,
    /// Nobody owns it and anybody may pin it to read.
    Detached,
}

/// The cell `{ generation: 44, pins: 16, state: 4 }`, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) generation: u64,
    pub(super) pins: u32,
    pub(super) state: State,
}

impl Cell {
    pub(super) const fn new(generation: u64, state: State) -> Self {
        Self { generation, pins: 0, state }
    }

    pub(super) const fn to_bits(self) -> u64 {
        self.generation << (STATE_BITS + PIN_BITS) | (self.pins as u64) << STATE_BITS | self.state as u64
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        let state = match bits & 0xF {
            1 => State::Owned,
            2 => State::InFlight,
            3 => State::Detached,
            _ => State::Free,
        };
        let pins = u32::try_from(bits >> STATE_BITS & u64::from(PIN_LIMIT)).unwrap_or(PIN_LIMIT);
        Self { generation: bits >> (STATE_BITS + PIN_BITS), pins, state }
    }

    /// The generation after this one.
    pub(super) const fn next_generation(self) -> u64 {
        (self.generation + 1) & GENERATION_MASK
    }
}
