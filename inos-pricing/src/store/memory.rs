//! A store in memory.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{JournalStore, Listing, Part, SegmentError, check_above};
use crate::Sequence;

/// A store in memory: for tests, and for ledgers that need not outlive their process.
///
/// [`crash`](Self::crash) does what a crash of the machine may do at worst, so that what is built on a store can be
/// tested without files:
///
/// ```
/// use inos_pricing::{JournalStore, MemoryStore, Part};
///
/// # fn main() -> Result<(), inos_pricing::MemoryError> {
/// let mut store = MemoryStore::default();
/// store.start_segment(1)?;
/// store.append(b"synced")?;
/// store.sync()?;
/// store.append(b", lost")?;
/// store.crash();
/// assert_eq!(store.read(Part::Segment(1))?, b"synced");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    segments: BTreeMap<u64, Segment>,
    snapshots: BTreeMap<Sequence, Vec<u8>>,
    begun: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// How many of them survive a crash; `None`: not even the segment does.
    synced_len: Option<usize>,
}

/// Why a call to a [`MemoryStore`] failed. The caller is at fault, and nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// Segments were used out of turn.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// There is no such segment or snapshot.
    #[error("{part} does not exist")]
    NotFound {
        /// What was to be read.
        part: Part,
    },
}

impl MemoryStore {
    /// Forgets everything that was not synced, and which segment was begun. What is left is a store just opened.
    pub fn crash(&mut self) {
        self.begun = None;
        self.segments.retain(|_, segment| match segment.synced_len {
            Some(len) => {
                segment.bytes.truncate(len);
                true
            }
            None => false,
        });
    }

    /// The bytes of a segment or snapshot, to be damaged by a test.
    pub fn part_mut(&mut self, part: Part) -> Option<&mut Vec<u8>> {
        match part {
            Part::Segment(segment) => self.segments.get_mut(&segment).map(|segment| &mut segment.bytes),
            Part::Snapshot(sequence) => self.snapshots.get_mut(&sequence),
        }
    }
}

impl JournalStore for MemoryStore {
    type Error = MemoryError;

    fn list(&mut self) -> Result<Listing, MemoryError> {
        Ok(Listing {
            segments: self.segments.keys().copied().collect(),
            snapshots: self.snapshots.keys().copied().collect(),
        })
    }

    fn read(&mut self, part: Part) -> Result<Vec<u8>, MemoryError> {
        self.part_mut(part).map(|bytes| bytes.clone()).ok_or(MemoryError::NotFound { part })
    }

    fn start_segment(&mut self, segment: u64) -> Result<(), MemoryError> {
        check_above(segment, self.segments.last_key_value().map(|(last, _)| *last))?;
        if self.begun.is_some() {
            self.sync()?;
        }
        self.segments.insert(segment, Segment::default());
        self.begun = Some(segment);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), MemoryError> {
        let segment = self.begun.and_then(|begun| self.segments.get_mut(&begun)).ok_or(SegmentError::NotBegun)?;
        segment.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), MemoryError> {
        if let Some(segment) = self.begun.and_then(|begun| self.segments.get_mut(&begun)) {
            segment.synced_len = Some(segment.bytes.len());
        }
        Ok(())
    }

    fn put_snapshot(&mut self, sequence: Sequence, bytes: &[u8]) -> Result<(), MemoryError> {
        self.snapshots.insert(sequence, bytes.to_vec());
        Ok(())
    }

    fn drop_before(&mut self, segment: u64, snapshot: Sequence) -> Result<(), MemoryError> {
        self.snapshots.retain(|sequence, _| *sequence >= snapshot);
        self.segments.retain(|number, _| *number >= segment || self.begun == Some(*number));
        Ok(())
    }
}
