//! One file: what programs see of it, and what is on the platter.

use alloc::{collections::BTreeSet, vec::Vec};

use super::rng::Rng;

const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What reads return.
    cache: Vec<u8>,
    /// What a crash cannot take.
    platter: Vec<u8>,
    /// Sectors that the next sync writes.
    dirty: BTreeSet<usize>,
}

impl Inode {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.cache
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        let first = self.cache.len() / SECTOR_BYTES;
        self.cache.extend_from_slice(bytes);
        if !bytes.is_empty() {
            self.dirty.extend(first..self.cache.len().div_ceil(SECTOR_BYTES));
        }
    }

    pub(super) fn sync(&mut self) {
        self.platter.resize(self.cache.len(), 0);
        for sector in core::mem::take(&mut self.dirty) {
            self.write_back(sector);
        }
    }

    /// As Linux does it: the pages count as clean, though they were not written.
    pub(super) fn fail_sync(&mut self) {
        self.dirty.clear();
    }

    /// Copies what a sector has in the cache; the platter is as long as the cache.
    fn write_back(&mut self, sector: usize) {
        let start = sector.saturating_mul(SECTOR_BYTES).min(self.cache.len());
        let end = start.saturating_add(SECTOR_BYTES).min(self.cache.len());
        if let (Some(to), Some(from)) = (self.platter.get_mut(start..end), self.cache.get(start..end)) {
            to.copy_from_slice(from);
        }
    }

    /// Nothing dirty is written, or all, or each sector by chance; and the length grows to nothing, all or some of what
    /// was appended, with zeroes where no sector was written.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let (synced_len, len) = (self.platter.len(), self.cache.len());
        self.platter.resize(len, 0);
        let mode = rng.up_to(3);
        for sector in core::mem::take(&mut self.dirty) {
            if mode == 1 || mode > 1 && rng.coin() {
                self.write_back(sector);
            }
        }
        let grown = len.saturating_sub(synced_len);
        let kept = match rng.up_to(2) {
            0 => 0,
            1 => grown,
            _ => rng.up_to(grown),
        };
        self.platter.truncate(synced_len.saturating_add(kept));
        self.cache.clone_from(&self.platter);
    }

    /// Replaces what is seen and what is on the platter.
    pub(super) fn overwrite(&mut self, bytes: Vec<u8>) {
        self.platter.clone_from(&bytes);
        self.cache = bytes;
        self.dirty.clear();
    }
}
