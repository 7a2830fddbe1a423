//! Pins of one process, counted in its own memory.
//!
//! Between processes a cell holds the set of participants that pin a block, so that recovery can take a dead one's pins
//! away. How many times each of them pins it, only that participant knows: one count per granule, here.

use super::cell::{Cell, State};
use crate::error::Stale;
use crate::layout::{GRANULE_BYTES, Layout};
use crate::sync::hint::pause;
use crate::sync::order::{self, Pair};
use crate::sync::{AtomicU64, Ordering};
use crate::trust::Level;
use alloc::boxed::Box;
// Not in shared memory: no step that others could see.
#[cfg(inos_loom)]
use crate::sync::AtomicU32;
#[cfg(not(inos_loom))]
use core::sync::atomic::AtomicU32;

/// The count while a thread changes the participant's bit in the cell, so that the two change together.
const BUSY: u32 = u32::MAX;
const LIMIT: u32 = u32::MAX - 1;

/// Compare-exchanges and looks at a busy count before a pin is given up.
pub(super) const TRIES: u32 = if cfg!(inos_loom) { 4 } else { 64 };

/// How often this attachment pins each block.
#[derive(Debug)]
pub(crate) struct Pins {
    counts: Box<[AtomicU32]>,
}

impl Pins {
    /// Four bytes per granule, or none among threads, whose cells have room for the count.
    pub(crate) fn new(level: Level, layout: &Layout) -> Self {
        let granules = match level {
            Level::Threads => 0,
            Level::Crash | Level::Hostile => layout.max_block_len() / GRANULE_BYTES,
        };
        Self { counts: (0..granules).map(|_| AtomicU32::new(0)).collect() }
    }

    /// Adds a pin of the block whose cell is `word`.
    pub(super) fn pin(&self, granule: u32, word: &AtomicU64, generation: u64, me: u8) -> Result<(), Stale> {
        let Some(count) = self.counts.get(granule as usize) else { return Err(Stale::Freed) };
        for _ in 0..TRIES {
            match count.load(Ordering::Relaxed) {
                BUSY => pause(),
                LIMIT => return Err(Stale::PinLimit),
                0 => {
                    let busy = count.compare_exchange(0, BUSY, order::acquire(Pair::LocalPin), Ordering::Relaxed);
                    if busy.is_ok() {
                        let set = set_bit(word, generation, me);
                        count.store(u32::from(set.is_ok()), order::release(Pair::LocalPin));
                        return set;
                    }
                }
                // Acquire: the thread that set the bit saw the block let go.
                n => {
                    let more = count.compare_exchange(n, n + 1, order::acquire(Pair::LocalPin), Ordering::Relaxed);
                    if more.is_ok() {
                        // The pins counted before ours keep the cell as it is; but they may be of a later block.
                        let pinned = Cell::from_bits(word.load(Ordering::Relaxed)).pinnable(generation);
                        if pinned.is_err() {
                            self.unpin(granule, word, me);
                        }
                        return pinned;
                    }
                }
            }
        }
        Err(Stale::Contended { tries: TRIES })
    }

    /// Takes a pin away. Waits for no other process: a busy count is a thread of this one, about to change a cell.
    pub(super) fn unpin(&self, granule: u32, word: &AtomicU64, me: u8) {
        let Some(count) = self.counts.get(granule as usize) else { return };
        loop {
            let n = count.load(Ordering::Relaxed);
            let less = match n {
                BUSY | 0 => {
                    pause();
                    continue;
                }
                1 => BUSY,
                n => n - 1,
            };
            // Release: our reads are over for the thread that takes the last pin away, which acquires.
            if count.compare_exchange(n, less, order::acq_rel(Pair::LocalPin), Ordering::Relaxed).is_ok() {
                if less == BUSY {
                    word.fetch_and(!Cell::pin_of(me), order::release(Pair::Unpin));
                    count.store(0, order::release(Pair::LocalPin));
                }
                return;
            }
        }
    }
}

/// Adds `me` to the participants that pin the block.
fn set_bit(word: &AtomicU64, generation: u64, me: u8) -> Result<(), Stale> {
    let mut bits = word.load(Ordering::Relaxed);
    for _ in 0..TRIES {
        Cell::from_bits(bits).pinnable(generation)?;
        let new = bits | Cell::pin_of(me);
        // Acquire pairs with the Release that let the block go; other pins continue its release sequence.
        match word.compare_exchange(bits, new, order::acquire(Pair::LetGo), Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(now) => bits = now,
        }
    }
    Err(Stale::Contended { tries: TRIES })
}

/// Adds a pin to the count in a cell, among threads.
pub(super) fn count_up(word: &AtomicU64, generation: u64) -> Result<(), Stale> {
    let mut bits = word.load(Ordering::Relaxed);
    for _ in 0..TRIES {
        let cell = Cell::from_bits(bits);
        cell.pinnable(generation)?;
        let Some(more) = cell.who.checked_add(1) else { return Err(Stale::PinLimit) };
        let new = Cell { who: more, state: State::Detached, generation }.to_bits();
        // Acquire pairs with the Release that let the block go; other pins continue its release sequence.
        match word.compare_exchange(bits, new, order::acquire(Pair::LetGo), Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(now) => bits = now,
        }
    }
    Err(Stale::Contended { tries: TRIES })
}
