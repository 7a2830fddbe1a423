//! What all parts of a region share.

use crate::arena::Pins;
use crate::error::RegionError;
use crate::layout::Layout;
use crate::memory::Memory;
use crate::participant::{Participant, Record};
use crate::trust::sealed::Sealed;
use crate::trust::{Level, Trust};

/// What a region owns. Rings and slots hold handles, never references to this, so the last clone frees it all.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) memory: Memory,
    pub(crate) layout: Layout,
    pub(crate) level: Level,
    pub(crate) participant: Participant,
    /// Which participant this is: 0 to 15. Threads are one participant.
    pub(crate) me: u8,
    /// This participant's pins of blocks.
    pub(crate) pins: Pins,
}

impl Shared {
    pub(super) fn new(memory: Memory, layout: Layout, level: Level, participant: Participant) -> Self {
        let (me, pins) = (participant.id(), Pins::new(level, &layout));
        Self { memory, layout, level, participant, me, pins }
    }

    /// Says that this participant makes progress. Free of charge among threads, who need no proof of life.
    pub(crate) fn beat(&self) {
        if self.level != Level::Threads {
            self.record().beat();
        }
    }

    /// Notes the request that is being executed, for whoever recovers this participant; `None` when it is done.
    #[cfg(not(inos_loom))]
    pub(crate) fn note_job(&self, id: Option<u64>) {
        if self.level != Level::Threads {
            let word = id.map_or(0, |id| id.wrapping_add(1));
            self.record().job().store(word, crate::sync::Ordering::Release);
        }
    }

    /// Refuses to act in a process that was forked from the one that attached.
    pub(crate) fn check_process(&self) -> Result<(), RegionError> {
        if self.level == Level::Threads { Ok(()) } else { self.participant.check_process() }
    }

    fn record(&self) -> Record<'_> {
        Record::new(&self.memory, &self.layout, self.me)
    }

    /// Copies `source` to the payload bytes at `offset`.
    ///
    /// # Safety
    ///
    /// - Unless `T` is `Hostile`: the caller owns the range; until the call ends nobody else reads or writes it.
    pub(crate) unsafe fn write<T: Trust>(&self, offset: u32, source: &[u8]) {
        match <T as Sealed>::LEVEL {
            Level::Hostile => self.memory.write_words(offset, source),
            // SAFETY:
            // - the contract of this function.
            Level::Threads | Level::Crash => unsafe { self.memory.write(offset, source) },
        }
    }

    /// Copies from the payload bytes at `offset` to `target`.
    ///
    /// # Safety
    ///
    /// - Unless `T` is `Hostile`: nobody writes the range until the call ends.
    pub(crate) unsafe fn read<T: Trust>(&self, offset: u32, target: &mut [u8]) {
        match <T as Sealed>::LEVEL {
            Level::Hostile => self.memory.read_words(offset, target),
            // SAFETY:
            // - the contract of this function.
            Level::Threads | Level::Crash => unsafe { self.memory.read(offset, target) },
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.level != Level::Threads && self.check_process().is_ok() {
            crate::switchboard::vacate(self, self.me);
            self.record().free();
        }
    }
}
