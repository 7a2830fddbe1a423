//! What a region says of itself, written once by its maker and checked by everybody who attaches.

use crate::arena;
#[cfg(not(inos_loom))]
use crate::error::RegionError;
use crate::layout::{Layout, table};
use crate::memory::Memory;
use crate::ring;
use crate::switchboard::{self, State};
use crate::sync::Ordering;

/// `INOS-SAB`, little-endian.
#[cfg(not(inos_loom))]
const MAGIC: u64 = u64::from_le_bytes(*b"INOS-SAB");

/// Writes what zeroed memory lacks, the state last. Nobody else knows the region yet.
pub(super) fn initialise(memory: &Memory, layout: &Layout) {
    ring::initialise(memory, layout);
    switchboard::initialise(memory, layout);
    arena::initialise(memory, layout);
    #[cfg(not(inos_loom))]
    {
        let base = layout.superblock().offset;
        memory.u64(base + table::MAGIC.offset).store(MAGIC, Ordering::Relaxed);
        memory.u32(base + table::FORMAT.offset).store(Layout::FORMAT, Ordering::Relaxed);
        memory.u64(base + table::LAYOUT_HASH.offset).store(layout.hash(), Ordering::Relaxed);
        memory.u64(base + table::REGION_BYTES.offset).store(u64::from(layout.end()), Ordering::Relaxed);
    }
    // Release pairs with the Acquire of `state`: who sees the region ready sees all of it.
    memory.u32(layout.switchboard().offset + table::STATE.offset).store(State::READY, Ordering::Release);
}

/// The state word.
pub(super) fn state(memory: &Memory, layout: &Layout) -> State {
    State::from_word(memory.u32(layout.switchboard().offset + table::STATE.offset).load(Ordering::Acquire))
}

/// Whether this is a region of this layout.
#[cfg(not(inos_loom))]
pub(super) fn validate(memory: &Memory, layout: &Layout) -> Result<(), RegionError> {
    match state(memory, layout) {
        State::Initial => return Err(RegionError::NotReady),
        State::Ready => {}
        State::Poisoned => return Err(RegionError::Poisoned),
    }
    let base = layout.superblock().offset;
    let word = |at: u32| memory.u64(base + at).load(Ordering::Relaxed);
    let format = memory.u32(base + table::FORMAT.offset).load(Ordering::Relaxed);
    expect("magic", word(table::MAGIC.offset), MAGIC)?;
    expect("format", u64::from(format), u64::from(Layout::FORMAT))?;
    expect("layout hash", word(table::LAYOUT_HASH.offset), layout.hash())?;
    expect("region bytes", word(table::REGION_BYTES.offset), u64::from(layout.end()))?;
    for cursors in [layout.inbox_cursors(), layout.outbox_cursors()] {
        let mode = memory.u32(cursors.offset + table::MODE.offset).load(Ordering::Relaxed);
        expect("ring mode", u64::from(mode), u64::from(Layout::MODE_ONE_RING))?;
    }
    check_unassigned(memory, layout)
}

/// Whether the bytes that belong to nobody are zero: a program that writes there would be found out here, not when a
/// newer version gives them a meaning.
#[cfg(not(inos_loom))]
pub(super) fn check_unassigned(memory: &Memory, layout: &Layout) -> Result<(), RegionError> {
    let section = layout.unassigned();
    let mut words = (section.offset..section.end()).step_by(8);
    match words.find(|offset| memory.u64(*offset).load(Ordering::Relaxed) != 0) {
        None => Ok(()),
        Some(offset) => Err(RegionError::Unassigned { offset }),
    }
}

#[cfg(not(inos_loom))]
fn expect(word: &'static str, found: u64, expected: u64) -> Result<(), RegionError> {
    if found == expected { Ok(()) } else { Err(RegionError::Mismatch { word, found, expected }) }
}
