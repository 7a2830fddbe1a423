//! A store in a redb database.

use alloc::{boxed::Box, vec::Vec};
use std::{
    io,
    path::{Path, absolute},
};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::{
    JournalStore, Listing, Part, SegmentError, check_above,
    file::{parent, sync_path},
};
use crate::Sequence;

/// Number of the segment and of the sync: what each sync added. The first row of a segment is there once it was synced,
/// and may be empty.
const SEGMENTS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("segments");
/// By sequence.
const SNAPSHOTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("snapshots");

/// A store in a database file of its own, for those who have [redb](https://www.redb.org) already.
///
/// Appends wait in memory; a sync is one commit with immediate durability, and so are a snapshot and a
/// [`drop_before`](JournalStore::drop_before). redb locks the file against others.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    begun: Option<Begun>,
    is_poisoned: bool,
}

#[derive(Debug)]
struct Begun {
    segment: u64,
    /// Of the next sync.
    row: u64,
    pending: Vec<u8>,
}

impl Begun {
    const fn is_synced(&self) -> bool {
        self.row > 0 && self.pending.is_empty()
    }
}

/// Why a call to a [`RedbStore`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedbError {
    /// The caller used segments out of turn. Nothing changed.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// There is no such segment or snapshot. The caller is at fault, and nothing changed.
    #[error("{part} does not exist")]
    NotFound {
        /// What was to be read.
        part: Part,
    },
    /// An earlier commit failed, and what the disk holds is not known: this store writes no more. Nothing changed. Drop
    /// it, and open the file again.
    #[error("an earlier commit failed, and what the disk holds is not known")]
    Poisoned,
    /// The path is none, or the directory of the file cannot be synced.
    #[error("the directory of the database cannot be used")]
    Directory(#[source] io::Error),
    /// redb failed: the file is open elsewhere, damaged or not redb's, or the file system failed or is full. A failed
    /// commit may have happened or not.
    #[error("the database failed")]
    Database(#[source] Box<dyn core::error::Error + Send + Sync>),
}

/// Any of redb's errors.
fn failed(error: impl Into<redb::Error>) -> RedbError {
    RedbError::Database(Box::new(error.into()))
}

impl RedbStore {
    /// Opens a database file, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// [`RedbError::Database`], or [`RedbError::Directory`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RedbError> {
        let path = absolute(path).map_err(RedbError::Directory)?;
        let database = Database::create(&path).map_err(failed)?;
        let mut store = Self { database, begun: None, is_poisoned: false };
        // Reading needs the tables.
        store.commit(|_, _| Ok(()))?;
        sync_path(parent(&path)).map_err(RedbError::Directory)?;
        Ok(store)
    }

    fn check_alive(&self) -> Result<(), RedbError> {
        if self.is_poisoned { Err(RedbError::Poisoned) } else { Ok(()) }
    }

    /// One durable transaction.
    fn commit(
        &mut self,
        change: impl FnOnce(&mut Segments<'_>, &mut Snapshots<'_>) -> Result<(), redb::Error>,
    ) -> Result<(), RedbError> {
        let transaction = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            {
                let (mut segments, mut snapshots) =
                    (transaction.open_table(SEGMENTS)?, transaction.open_table(SNAPSHOTS)?);
                change(&mut segments, &mut snapshots)?;
            }
            Ok(transaction.commit()?)
        };
        transaction().map_err(|error| {
            self.is_poisoned = true;
            failed(error)
        })
    }

    fn stored(&self) -> Result<Listing, redb::Error> {
        let mut listing = Listing::default();
        let transaction = self.database.begin_read()?;
        let segments = transaction.open_table(SEGMENTS)?;
        let mut next = Some(0);
        while let Some(from) = next {
            let Some(row) = segments.range((from, 0)..)?.next() else { break };
            let (segment, _) = row?.0.value();
            listing.segments.push(segment);
            next = segment.checked_add(1);
        }
        for row in transaction.open_table(SNAPSHOTS)?.iter()? {
            listing.snapshots.push(Sequence(row?.0.value()));
        }
        Ok(listing)
    }

    fn stored_part(&self, part: Part) -> Result<Option<Vec<u8>>, redb::Error> {
        let transaction = self.database.begin_read()?;
        match part {
            Part::Snapshot(sequence) => {
                let bytes = transaction.open_table(SNAPSHOTS)?.get(sequence.0)?;
                Ok(bytes.map(|bytes| bytes.value().to_vec()))
            }
            Part::Segment(segment) => {
                let mut bytes = None;
                for row in transaction.open_table(SEGMENTS)?.range((segment, 0)..=(segment, u64::MAX))? {
                    bytes.get_or_insert_with(Vec::new).extend_from_slice(row?.1.value());
                }
                Ok(bytes)
            }
        }
    }
}

type Segments<'a> = redb::Table<'a, (u64, u64), &'static [u8]>;
type Snapshots<'a> = redb::Table<'a, u64, &'static [u8]>;

impl JournalStore for RedbStore {
    type Error = RedbError;

    fn list(&mut self) -> Result<Listing, RedbError> {
        let mut listing = self.stored().map_err(failed)?;
        if let Some(begun) = &self.begun
            && begun.row == 0
        {
            // Above all others when it was begun, and nobody else writes.
            listing.segments.push(begun.segment);
        }
        Ok(listing)
    }

    fn read(&mut self, part: Part) -> Result<Vec<u8>, RedbError> {
        let mut bytes = self.stored_part(part).map_err(failed)?;
        if let Some(begun) = &self.begun
            && part == Part::Segment(begun.segment)
        {
            bytes.get_or_insert_with(Vec::new).extend_from_slice(&begun.pending);
        }
        bytes.ok_or(RedbError::NotFound { part })
    }

    fn start_segment(&mut self, segment: u64) -> Result<(), RedbError> {
        self.check_alive()?;
        check_above(segment, self.list()?.segments.last().copied())?;
        self.sync()?;
        self.begun = Some(Begun { segment, row: 0, pending: Vec::new() });
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), RedbError> {
        self.check_alive()?;
        self.begun.as_mut().ok_or(SegmentError::NotBegun)?.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), RedbError> {
        self.check_alive()?;
        let Some(mut begun) = self.begun.take_if(|begun| !begun.is_synced()) else { return Ok(()) };
        let synced = self.commit(|segments, _| {
            segments.insert((begun.segment, begun.row), begun.pending.as_slice())?;
            Ok(())
        });
        if synced.is_ok() {
            begun.row = begun.row.saturating_add(1);
            begun.pending.clear();
        }
        self.begun = Some(begun);
        synced
    }

    fn put_snapshot(&mut self, sequence: Sequence, bytes: &[u8]) -> Result<(), RedbError> {
        self.check_alive()?;
        self.commit(|_, snapshots| {
            snapshots.insert(sequence.0, bytes)?;
            Ok(())
        })
    }

    fn drop_before(&mut self, segment: u64, snapshot: Sequence) -> Result<(), RedbError> {
        self.check_alive()?;
        let begun = self.begun.as_ref().map(|begun| begun.segment);
        self.commit(|segments, snapshots| {
            segments.retain_in(..(segment, 0), |(number, _), _| Some(number) == begun)?;
            snapshots.retain_in(..snapshot.0, |_, _| false)?;
            Ok(())
        })
    }
}
