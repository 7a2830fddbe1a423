//! Where a ledger's journal is kept.

#[cfg(feature = "std")]
mod file;
#[cfg(feature = "std")]
mod layer;
mod memory;
#[cfg(feature = "redb")]
mod redb;

use alloc::vec::Vec;

use crate::Sequence;

#[cfg(feature = "std")]
pub use self::file::{FileError, FileName, FileOperation, FileStore};
#[cfg(feature = "sim")]
pub(crate) use self::layer::Layer;
pub use self::memory::{MemoryError, MemoryStore};
#[cfg(feature = "redb")]
pub use self::redb::{RedbError, RedbStore};

/// Keeps segments of a journal, which grow at the end, and snapshots, which are put whole. To it both are bytes; their
/// format is in `docs/journal.md`.
///
/// **Laws.** `list` and `read` tell of everything that was appended and put, synced or not. After a crash of the
/// machine every segment that was synced begins with the bytes that were synced; what follows them, and what was never
/// synced, may be there, or not, or in part, or be zeroes. After a failed `append` or `sync` no call of that store
/// writes or syncs any more: an operating system may drop the pages that it could not write and say of the next sync
/// that it went well.
///
/// A store that is opened over the same place starts afresh. The snapshots that it lists are durable, and the bytes of
/// a segment as far as an earlier sync said so; if a sync failed and the machine was not restarted since, a segment
/// that was never synced may still vanish in a crash, and what was being dropped come back.
///
/// One value writes at a time; a `FileStore` enforces it among processes.
pub trait JournalStore {
    /// Why a call failed.
    type Error: core::error::Error + Send + Sync + 'static;

    /// The segments and snapshots that exist, ascending.
    ///
    /// # Errors
    ///
    /// The place cannot be read.
    fn list(&mut self) -> Result<Listing, Self::Error>;

    /// All bytes of a segment or snapshot.
    ///
    /// # Errors
    ///
    /// It does not exist, or cannot be read.
    fn read(&mut self, part: Part) -> Result<Vec<u8>, Self::Error>;

    /// Begins an empty segment with a number above all others, to which appends go from now on. What was appended to
    /// the segment before is synced first.
    ///
    /// # Errors
    ///
    /// The number is not above all others, or the place cannot be written; then appends go where they went before,
    /// unless the sync failed.
    fn start_segment(&mut self, segment: u64) -> Result<(), Self::Error>;

    /// Appends to the segment that was begun. Not durable before [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// This value has begun no segment; nothing changed. Or the place cannot be written: some of the bytes may be
    /// there.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// When it returns, everything appended so far, and that the begun segment exists, survives a crash of the machine.
    ///
    /// # Errors
    ///
    /// The place cannot be written; what it holds is not known. A sync that failed is never tried again.
    fn sync(&mut self) -> Result<(), Self::Error>;

    /// Puts a snapshot, in place of one with the same sequence. Atomic and durable: after a crash during the call it is
    /// there whole or not at all (the one it replaces is there instead), and after the call it is there.
    ///
    /// # Errors
    ///
    /// The place cannot be written. Before it would have become visible, nothing changed and appends go on; from then
    /// on the store is of no more use, as after a failed sync.
    fn put_snapshot(&mut self, sequence: Sequence, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Drops the snapshots before `snapshot`, then the segments below `segment`, the oldest first, but never the one
    /// that was begun. A crash during the call makes no gap between segments, and leaves no snapshot whose segments are
    /// gone; after it none of them comes back.
    ///
    /// # Errors
    ///
    /// The place cannot be written; some of them may be dropped. If a sync failed, the store is of no more use.
    fn drop_before(&mut self, segment: u64, snapshot: Sequence) -> Result<(), Self::Error>;
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Numbers of segments, ascending.
    pub segments: Vec<u64>,
    /// Sequences of snapshots, ascending.
    pub snapshots: Vec<Sequence>,
}

/// One thing that a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The segment with this number.
    Segment(u64),
    /// The snapshot with this sequence.
    Snapshot(Sequence),
}

impl core::fmt::Display for Part {
    /// As `journal-00000000000000000001`: the name of its file in a `FileStore`.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Segment(segment) => write!(f, "journal-{segment:020}"),
            Self::Snapshot(sequence) => write!(f, "snapshot-{:020}", sequence.0),
        }
    }
}

/// The caller used segments out of turn. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// Bytes were appended before this store began a segment.
    #[error("no segment was begun")]
    NotBegun,
    /// The number of a new segment must be above that of every other.
    #[error("segment {segment} is not above segment {last}")]
    NotAbove {
        /// The number that was asked for.
        segment: u64,
        /// The highest that exists.
        last: u64,
    },
}

/// Whether `segment` may be begun when `last` is the highest that exists.
fn check_above(segment: u64, last: Option<u64>) -> Result<(), SegmentError> {
    match last {
        Some(last) if segment <= last => Err(SegmentError::NotAbove { segment, last }),
        _ => Ok(()),
    }
}
