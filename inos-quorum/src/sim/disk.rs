//! Storage that forgets what was not synced.

use alloc::{collections::VecDeque, vec::Vec};

use super::Rng;

/// A member's records: a synced prefix survives a crash, of the rest any prefix does.
///
/// ```
/// use inos_quorum::sim::{Disk, Records, Rng};
///
/// let mut disk = Disk::default();
/// let first = disk.write(b"vote", Records::Kept);
/// disk.write(b"entry", Records::Kept);
/// disk.sync(first);
/// let lost = disk.crash(&mut Rng::new(1));
/// assert!(disk.records().starts_with(&[b"vote".to_vec()]) && disk.records().len() + lost == 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Disk {
    records: VecDeque<Record>,
    /// Number of the record at the front.
    first: u64,
    /// Records with lower numbers are durable.
    synced: u64,
}

#[derive(Clone, Debug)]
struct Record {
    bytes: Vec<u8>,
    before: Records,
}

/// What a record does to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// They are still needed.
    Kept,
    /// Once this one is durable they may go, and they do.
    Replaced,
}

impl Disk {
    /// Writes a record behind the others; returns its number. It is not durable yet.
    pub fn write(&mut self, bytes: &[u8], before: Records) -> u64 {
        self.records.push_back(Record { bytes: bytes.to_vec(), before });
        self.end() - 1
    }

    /// Makes the record `number` and all before it durable, and drops what a durable record replaces.
    pub fn sync(&mut self, number: u64) {
        let before = self.synced;
        self.synced = self.synced.max((number + 1).min(self.end()));
        for number in (before..self.synced).rev() {
            let index = usize::try_from(number - self.first).unwrap_or(usize::MAX);
            if self.records.get(index).is_some_and(|record| record.before == Records::Replaced) {
                self.records.drain(..index);
                self.first = number;
                break;
            }
        }
    }

    /// The process or the machine stops: a prefix of the records that were not synced survives, the rest is gone.
    /// Returns how many are.
    pub fn crash(&mut self, rng: &mut Rng) -> usize {
        let unsynced = self.end() - self.synced;
        let lost = usize::try_from(rng.between(0, unsynced)).unwrap_or(0);
        self.records.truncate(self.records.len() - lost);
        // What survived is durable: it is read at the start, and what is built on it must not lose its ground.
        let end = self.end();
        self.sync(end.saturating_sub(1));
        self.synced = end;
        lost
    }

    /// All is lost.
    pub fn destroy(&mut self) {
        let end = self.end();
        self.records.clear();
        (self.first, self.synced) = (end, end);
    }

    /// What is there, oldest first, synced or not.
    #[must_use]
    pub fn records(&self) -> Vec<Vec<u8>> {
        self.records.iter().map(|record| record.bytes.clone()).collect()
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Number of the next record; all that are there have lower ones.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + u64::try_from(self.records.len()).unwrap_or(u64::MAX)
    }

    /// Records with lower numbers are durable.
    #[must_use]
    pub const fn synced(&self) -> u64 {
        self.synced
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::{Disk, Records};
    use crate::sim::Rng;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn bytes(disk: &Disk) -> Vec<u8> {
        disk.records().concat()
    }

    #[test]
    fn a_crash_keeps_the_synced_records_and_a_prefix_of_the_others() {
        let mut lengths = [0; 5];
        for seed in 0..200 {
            let mut disk = Disk::default();
            for byte in 0..4 {
                disk.write(&[byte], Records::Kept);
            }
            disk.sync(1);
            let lost = disk.crash(&mut Rng::new(seed));
            let left = bytes(&disk);
            assert_eq!(left.len() + lost, 4);
            assert!(left.len() >= 2 && left == [0, 1, 2, 3][..left.len()]);
            assert_eq!(disk.synced(), disk.end());
            lengths[left.len()] += 1;
            assert_eq!(disk.write(&[9], Records::Kept), disk.end() - 1);
            assert_eq!(bytes(&disk), [&left[..], &[9]].concat());
        }
        assert!(lengths[2..].iter().all(|&count| count > 30), "{lengths:?}");
    }

    #[test]
    fn a_replaced_record_stays_until_its_successor_is_durable() {
        let mut disk = Disk::default();
        disk.write(&[0], Records::Kept);
        disk.write(&[1], Records::Kept);
        let snapshot = disk.write(&[2], Records::Replaced);
        let last = disk.write(&[3], Records::Kept);
        disk.sync(1);
        assert_eq!(bytes(&disk), [0, 1, 2, 3]);
        disk.sync(snapshot);
        assert_eq!(bytes(&disk), [2, 3]);
        assert_eq!(disk.crash(&mut Rng::new(2)), 4 - usize::try_from(disk.end()).unwrap());
        disk.sync(last);
        // A report that comes late changes nothing.
        disk.sync(0);
        assert!(bytes(&disk).starts_with(&[2]));
        disk.destroy();
        assert!(disk.is_empty() && disk.records() == Vec::<Vec<u8>>::new());
        disk.write(&[7], Records::Kept);
        assert_eq!(disk.records(), vec![vec![7]]);
    }
}
