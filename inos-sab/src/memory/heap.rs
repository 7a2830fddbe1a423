//! Memory from the process's own allocator.

use super::Map;
use crate::error::RegionError;
use crate::layout::Layout;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use alloc::alloc::{alloc_zeroed, dealloc};
use core::ptr::NonNull;

/// Cursors of different writers are 128 bytes apart, so the start has to be at a multiple of it.
const ALIGN: usize = 128;

/// Zeroed bytes from the allocator. The first section of the layout is not allocated: offset `map.start` is at `base`.
#[derive(Debug)]
pub(crate) struct Memory {
    base: NonNull<u8>,
    map: Map,
    block: NonNull<u8>,
    request: core::alloc::Layout,
}

// SAFETY:
// - `base` and `block` point into one allocation that this value alone owns and frees;
// - nothing about it depends on the thread that made it.
unsafe impl Send for Memory {}
// SAFETY:
// - words are reached only as atomics (`u32`, `u64` check that the address is a word's);
// - plain bytes are reached only through unsafe functions whose callers own the range.
unsafe impl Sync for Memory {}

impl Memory {
    pub(crate) fn heap(layout: &Layout) -> Result<Self, RegionError> {
        let map = Map::new(layout);
        let bytes = map.end - map.start;
        let error = RegionError::OutOfMemory { bytes };
        // Aligned by hand: allocators hand out fresh zero pages untouched for small alignments only, and clear 32 MiB
        // for larger ones.
        let size = (bytes as usize).checked_add(ALIGN).ok_or(error)?;
        let request = core::alloc::Layout::from_size_align(size, 16).map_err(|_| error)?;
        // SAFETY:
        // - `request` has a size of at least `ALIGN`, so it is not zero.
        let block = NonNull::new(unsafe { alloc_zeroed(request) }).ok_or(error)?;
        let skip = block.as_ptr().align_offset(ALIGN).min(ALIGN);
        // SAFETY:
        // - `skip <= ALIGN`, and the allocation has `bytes + ALIGN` bytes.
        let base = unsafe { block.add(skip) };
        Ok(Self { base, map, block, request })
    }

    /// The address of `offset`, which the caller has checked against the map.
    fn at(&self, offset: u32) -> *mut u8 {
        debug_assert!(self.map.start <= offset && offset <= self.map.end, "offset {offset} is in the region");
        let index = (offset - self.map.start) as usize;
        // SAFETY:
        // - every caller has checked that `offset` is within `start..=end`, which the allocation covers from `base`.
        unsafe { self.base.as_ptr().add(index) }
    }

    /// The word at `offset`.
    pub(crate) fn u32(&self, offset: u32) -> &AtomicU32 {
        assert!(self.map.is_word(offset, 4), "offset {offset} is a 32-bit word");
        // SAFETY:
        // - valid and aligned to 4 (`ALIGN`, `is_word`): in the zeroed allocation, which outlives the borrow of `self`;
        // - only ever reached as an atomic of this width: the module that owns its section fixes it, and the model
        //   build checks every access.
        unsafe { AtomicU32::from_ptr(self.at(offset).cast()) }
    }

    /// The word at `offset`.
    pub(crate) fn u64(&self, offset: u32) -> &AtomicU64 {
        assert!(self.map.is_word(offset, 8), "offset {offset} is a 64-bit word");
        // SAFETY:
        // - valid and aligned to 8 (`ALIGN`, `is_word`): in the zeroed allocation, which outlives the borrow of `self`;
        // - only ever reached as an atomic of this width: the module that owns its section fixes it, and the model
        //   build checks every access.
        unsafe { AtomicU64::from_ptr(self.at(offset).cast()) }
    }

    /// Copies `source` to `offset`.
    ///
    /// # Safety
    ///
    /// - The caller owns `offset..offset + source.len()`: until the call ends nobody else reads or writes it.
    pub(crate) unsafe fn write(&self, offset: u32, source: &[u8]) {
        assert!(self.is_plain(offset, source.len()), "offset {offset} is payload");
        // SAFETY:
        // - the target is in the allocation (checked above) and the caller's alone (contract);
        // - `source` is a live reference to other bytes: it cannot overlap what the caller owns exclusively.
        unsafe { core::ptr::copy_nonoverlapping(source.as_ptr(), self.at(offset), source.len()) }
    }

    /// Copies from `offset` to `target`.
    ///
    /// # Safety
    ///
    /// - Nobody writes `offset..offset + target.len()` until the call ends.
    pub(crate) unsafe fn read(&self, offset: u32, target: &mut [u8]) {
        assert!(self.is_plain(offset, target.len()), "offset {offset} is payload");
        // SAFETY:
        // - the source is in the allocation (checked above), initialised, and not written meanwhile (contract);
        // - `target` is an exclusive reference, so it does not overlap.
        unsafe { core::ptr::copy_nonoverlapping(self.at(offset), target.as_mut_ptr(), target.len()) }
    }

    /// Copies `source` to `offset` by whole words, each written in one piece, for memory that others may write at any
    /// time. Words at the ends keep their other bytes.
    pub(crate) fn write_words(&self, offset: u32, source: &[u8]) {
        assert!(self.is_plain(offset, source.len()), "offset {offset} is payload");
        let skip = (offset % 8) as usize;
        let mut at = offset - offset % 8;
        let (head, rest) = source.split_at(source.len().min((8 - skip) % 8));
        if !head.is_empty() {
            self.merge(at, skip, head);
            at += 8;
        }
        let mut words = rest.chunks_exact(8);
        for word in words.by_ref() {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(word);
            self.plain_word(at).store(u64::from_le_bytes(bytes), Ordering::Relaxed);
            at += 8;
        }
        if !words.remainder().is_empty() {
            self.merge(at, 0, words.remainder());
        }
    }

    /// Writes `bytes` from byte `skip` of a word on.
    fn merge(&self, at: u32, skip: usize, bytes: &[u8]) {
        let word = self.plain_word(at);
        let mut merged = word.load(Ordering::Relaxed).to_le_bytes();
        merged[skip..skip + bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_le_bytes(merged), Ordering::Relaxed);
    }

    /// Copies from `offset` to `target` by whole words, each read once.
    pub(crate) fn read_words(&self, offset: u32, target: &mut [u8]) {
        assert!(self.is_plain(offset, target.len()), "offset {offset} is payload");
        let skip = (offset % 8) as usize;
        let mut at = offset - offset % 8;
        let split = target.len().min((8 - skip) % 8);
        let (head, rest) = target.split_at_mut(split);
        if !head.is_empty() {
            let bytes = self.plain_word(at).load(Ordering::Relaxed).to_le_bytes();
            head.copy_from_slice(&bytes[skip..skip + head.len()]);
            at += 8;
        }
        for part in rest.chunks_mut(8) {
            let bytes = self.plain_word(at).load(Ordering::Relaxed).to_le_bytes();
            part.copy_from_slice(&bytes[..part.len()]);
            at += 8;
        }
    }

    /// The word of payload at `offset`, a multiple of 8. Sections of payload start and end on words, so all of it is in
    /// the section.
    fn plain_word(&self, offset: u32) -> &AtomicU64 {
        // SAFETY:
        // - valid and aligned to 8: the caller has checked that part of this word is payload, and payload sections
        //   start and end at multiples of 8 within the memory, which outlives the borrow of `self`;
        // - a region whose peers may write at any time reaches payload by whole words only.
        unsafe { AtomicU64::from_ptr(self.at(offset).cast()) }
    }

    /// The bytes at `offset`.
    ///
    /// # Safety
    ///
    /// - Nobody writes `offset..offset + len` while the slice lives.
    pub(crate) unsafe fn slice(&self, offset: u32, len: u32) -> &[u8] {
        assert!(self.map.is_plain(offset, len), "offset {offset} is payload");
        // SAFETY:
        // - in the allocation (checked above), initialised, not written meanwhile (contract), and `u8` has no alignment;
        // - the allocation outlives `self`'s borrow.
        unsafe { core::slice::from_raw_parts(self.at(offset), len as usize) }
    }

    /// The bytes at `offset`, to be written.
    ///
    /// # Safety
    ///
    /// - The caller owns `offset..offset + len`: nobody else reads or writes it while the slice lives.
    #[expect(clippy::mut_from_ref, reason = "exclusivity comes from the owner of the range, as the contract says")]
    pub(crate) unsafe fn slice_mut(&self, offset: u32, len: u32) -> &mut [u8] {
        assert!(self.map.is_plain(offset, len), "offset {offset} is payload");
        // SAFETY:
        // - in the allocation (checked above), initialised, the caller's alone (contract), and `u8` has no alignment;
        // - the allocation outlives `self`'s borrow.
        unsafe { core::slice::from_raw_parts_mut(self.at(offset), len as usize) }
    }

    fn is_plain(&self, offset: u32, len: usize) -> bool {
        u32::try_from(len).is_ok_and(|len| self.map.is_plain(offset, len))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY:
        // - `block` came from `alloc_zeroed(request)` and is freed once, here.
        unsafe { dealloc(self.block.as_ptr(), self.request) }
    }
}
