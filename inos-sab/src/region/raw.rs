//! Regions in memory that the caller provides.

use super::{Region, Shared, superblock};
use crate::error::RegionError;
use crate::layout::Layout;
use crate::memory::Memory;
use crate::participant::Participant;
use crate::trust::sealed::Sealed;
use crate::trust::{Level, Trust};
use core::ptr::NonNull;

impl<T: Trust> Region<T> {
    /// Makes a region in memory that the caller provides: a shared mapping of its own, or WebAssembly's linear memory.
    /// `start` is where the switchboard will be, behind the layout's reserved section; `len` counts from there.
    ///
    /// Without a file there is no proof of a participant's death: [`recover`](Self::recover) refuses.
    ///
    /// # Errors
    ///
    /// [`RegionError::Misaligned`], [`RegionError::TooShort`], [`RegionError::Unassigned`] if the memory is not zero
    /// where nobody ever writes; elsewhere nobody looks.
    ///
    /// # Safety
    ///
    /// - `start` is valid for reads and writes of `len` bytes for as long as the region, a clone of it or anything made
    ///   from it lives.
    /// - These bytes are reached through regions only; with [`Hostile`](crate::Hostile) also by code outside of this
    ///   program's memory model (other processes, JavaScript), as it likes.
    /// - All who use the region do so at the same level; [`Crash`](crate::Crash) and [`Hostile`](crate::Hostile) may mix.
    ///   At [`Threads`](crate::Threads) they are threads of one process, at [`Crash`](crate::Crash) nobody writes there
    ///   but this crate.
    /// - The memory is zero, or holds no more than what a call with the same layout left that never returned. Nobody else
    ///   makes or attaches a region there until this call has returned.
    pub unsafe fn create_raw(start: NonNull<u8>, len: usize, layout: &Layout) -> Result<Self, RegionError> {
        // SAFETY:
        // - the contract of this function.
        let memory = unsafe { Memory::raw(layout, start, len) }?;
        superblock::check_unassigned(&memory, layout)?;
        superblock::initialise(&memory, layout);
        Self::join_raw(memory, layout)
    }

    /// Joins a region that [`create_raw`](Self::create_raw) made, here or in another process or instance.
    ///
    /// # Errors
    ///
    /// As `create_raw`; [`RegionError::NotReady`], [`RegionError::Poisoned`] and [`RegionError::Mismatch`] by what the
    /// superblock says, [`RegionError::Crowded`] when sixteen participants are there.
    ///
    /// # Safety
    ///
    /// The first three conditions of [`create_raw`](Self::create_raw).
    pub unsafe fn attach_raw(start: NonNull<u8>, len: usize, layout: &Layout) -> Result<Self, RegionError> {
        // SAFETY:
        // - the contract of this function.
        let memory = unsafe { Memory::raw(layout, start, len) }?;
        superblock::validate(&memory, layout)?;
        Self::join_raw(memory, layout)
    }

    fn join_raw(memory: Memory, layout: &Layout) -> Result<Self, RegionError> {
        let level = <T as Sealed>::LEVEL;
        let participant = match level {
            Level::Threads => Participant::threads(),
            Level::Crash | Level::Hostile => Participant::join_unproved(&memory, layout)?,
        };
        Ok(Self::from_shared(Shared::new(memory, *layout, level, participant)))
    }
}
