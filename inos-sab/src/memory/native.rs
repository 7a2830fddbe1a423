//! The bytes themselves, whoever provides them.

use super::Map;
use super::backing::Backing;
use crate::error::RegionError;
use crate::layout::Layout;
use crate::sync::step::{copying, step};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use core::ptr::NonNull;

/// Cursors of different writers are 128 bytes apart, so the start has to be at a multiple of it.
pub(super) const ALIGN: usize = 128;

/// The bytes of a region from the switchboard on: offset `map.start` is at `base`.
#[derive(Debug)]
pub(crate) struct Memory {
    base: NonNull<u8>,
    map: Map,
    #[cfg_attr(
        not(all(feature = "std", target_os = "linux")),
        expect(dead_code, reason = "it only has to live as long as the memory")
    )]
    backing: Backing,
}

// SAFETY:
// - `base` points into memory that `backing` keeps (or the caller of `raw` has promised to keep);
// - nothing about it depends on the thread that made it.
unsafe impl Send for Memory {}
// SAFETY:
// - words are reached only as atomics (`u32`, `u64` check that the address is a word's);
// - plain bytes are reached only through unsafe functions whose callers own the range.
unsafe impl Sync for Memory {}

impl Memory {
    /// Zeroed bytes from the allocator.
    pub(crate) fn heap(layout: &Layout) -> Result<Self, RegionError> {
        let map = Map::new(layout);
        let (backing, base) = Backing::heap(map.len())?;
        Ok(Self { base, map, backing })
    }

    /// Bytes of a file from its offset `map.start` on.
    #[cfg(all(feature = "std", target_os = "linux"))]
    pub(crate) fn mapped(layout: &Layout, file: std::os::fd::OwnedFd) -> Result<Self, RegionError> {
        let map = Map::new(layout);
        let (backing, base) = Backing::mapped(file, map.start, map.len())?;
        Ok(Self { base, map, backing })
    }

    /// Bytes that the caller provides.
    ///
    /// # Safety
    ///
    /// - `start` is valid for reads and writes of the layout's bytes behind its first section, for as long as this
    ///   value lives, and they are reached by nobody except through regions of this layout.
    pub(crate) unsafe fn raw(layout: &Layout, start: NonNull<u8>, len: usize) -> Result<Self, RegionError> {
        let map = Map::new(layout);
        if !start.as_ptr().addr().is_multiple_of(ALIGN) {
            return Err(RegionError::Misaligned { align: 128 });
        }
        if (len as u64) < u64::from(map.len()) {
            return Err(RegionError::TooShort { found: len as u64, needed: u64::from(map.len()) });
        }
        Ok(Self { base: start, map, backing: Backing::Raw })
    }

    /// The file behind the bytes, if there is one.
    #[cfg(all(feature = "std", target_os = "linux"))]
    pub(crate) fn file(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.backing.file()
    }

    /// The address of `offset`, which the caller has checked against the map.
    #[inline]
    fn at(&self, offset: u32) -> *mut u8 {
        debug_assert!(self.map.start <= offset && offset <= self.map.end, "offset {offset} is in the region");
        let index = (offset - self.map.start) as usize;
        // SAFETY:
        // - every caller has checked that `offset` is within `start..=end`, which the memory covers from `base`.
        unsafe { self.base.as_ptr().add(index) }
    }

    /// Where the `len` bytes from `offset` on are, for those who know which of them are words: in the memory, and at a
    /// multiple of 8.
    pub(crate) fn section(&self, offset: u32, len: u32) -> NonNull<u8> {
        let end = offset.checked_add(len);
        assert!(self.map.start <= offset && end.is_some_and(|end| end <= self.map.end), "the section is in the region");
        assert!(offset.is_multiple_of(8), "sections start on words");
        // SAFETY:
        // - within the memory, as checked above.
        unsafe { self.base.add((offset - self.map.start) as usize) }
    }

    /// The word at `offset`.
    pub(crate) fn u32(&self, offset: u32) -> &AtomicU32 {
        assert!(self.map.is_word(offset, 4), "offset {offset} is a 32-bit word");
        // SAFETY:
        // - valid and aligned to 4 (`ALIGN`, `is_word`): in initialised memory, which outlives the borrow of `self`;
        // - only ever reached as an atomic of this width: the module that owns its section fixes it, and the model
        //   build checks every access.
        unsafe { AtomicU32::from_ptr(self.at(offset).cast()) }
    }

    /// The word at `offset`.
    #[inline]
    pub(crate) fn u64(&self, offset: u32) -> &AtomicU64 {
        assert!(self.map.is_word(offset, 8), "offset {offset} is a 64-bit word");
        // SAFETY:
        // - valid and aligned to 8 (`ALIGN`, `is_word`): in initialised memory, which outlives the borrow of `self`;
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
        copying(source.len());
        step();
        // SAFETY:
        // - the target is in the memory (checked above) and the caller's alone (contract);
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
        copying(target.len());
        step();
        // SAFETY:
        // - the source is in the memory (checked above), initialised, and not written meanwhile (contract);
        // - `target` is an exclusive reference, so it does not overlap.
        unsafe { core::ptr::copy_nonoverlapping(self.at(offset), target.as_mut_ptr(), target.len()) }
    }

    /// Copies `source` to `offset` by whole words, each written in one piece, for memory that others may write at any
    /// time. Words at the ends keep their other bytes.
    pub(crate) fn write_words(&self, offset: u32, source: &[u8]) {
        assert!(self.is_plain(offset, source.len()), "offset {offset} is payload");
        copying(source.len());
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
        copying(target.len());
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
        step();
        // SAFETY:
        // - in the memory (checked above), initialised, not written meanwhile (contract), and `u8` has no alignment;
        // - the memory outlives `self`'s borrow.
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
        step();
        // SAFETY:
        // - in the memory (checked above), initialised, the caller's alone (contract), and `u8` has no alignment;
        // - the memory outlives `self`'s borrow.
        unsafe { core::slice::from_raw_parts_mut(self.at(offset), len as usize) }
    }

    fn is_plain(&self, offset: u32, len: usize) -> bool {
        u32::try_from(len).is_ok_and(|len| self.map.is_plain(offset, len))
    }
}
