//! A store in a directory.

mod directory;
mod error;

use alloc::{string::ToString, vec::Vec};
use std::{
    fs::{self, TryLockError},
    io,
    path::{Path, absolute},
};

use super::{JournalStore, Listing, Part, SegmentError, check_above, layer::Layer};
use crate::Sequence;

use self::directory::Directory;
#[cfg(feature = "redb")]
pub(super) use self::directory::{parent, sync_path};
#[cfg(not(feature = "redb"))]
use self::directory::{parent, sync_path};
pub use self::error::{FileError, FileName, FileOperation};

/// A store in a directory: a file for each segment, `journal-` and 20 digits, and for each snapshot, `snapshot-` and 20
/// digits. Other files are left alone.
///
/// `append` is one write, and `sync` one `fdatasync`; the first of a segment is an `fsync` of the file and one of the
/// directory, since until then a crash may lose the file itself. No sync is tried twice. A snapshot is written to
/// `snapshot-….tmp`, synced, renamed, and the directory synced; what a crash leaves of it is removed when the directory
/// is opened. While it is open `journal.lock` is locked against others.
///
/// Outside Unix the standard library cannot sync a directory: there a file's existence is as durable as its file system
/// makes it.
///
/// ```no_run
/// use inos_pricing::{FileStore, JournalStore};
///
/// # fn main() -> Result<(), inos_pricing::FileError> {
/// let mut store = FileStore::open("ledger")?;
/// let newest = store.list()?.segments.last().copied().unwrap_or(0);
/// store.start_segment(newest + 1)?;
/// store.append(b"a group")?;
/// store.sync()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileStore<D: Layer = Directory> {
    layer: D,
    begun: Option<Begun<D::File>>,
    poisoned: Option<FileOperation>,
    /// Released when the store is dropped.
    _lock: D::Lock,
}

#[derive(Debug)]
struct Begun<F> {
    segment: u64,
    file: F,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A crash may lose the file.
    New,
    /// A crash may lose bytes.
    Dirty,
    Synced,
}

impl FileStore {
    /// Opens a directory, and creates it in its parent if it does not exist.
    ///
    /// # Errors
    ///
    /// [`FileError::Locked`], or [`FileError::Io`] when the file system refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let at = |operation| fails(operation, FileName::Directory);
        // Of no consequence if the process changes its working directory.
        let path = absolute(path).map_err(at(FileOperation::OpenDirectory))?;
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(at(FileOperation::OpenDirectory)(error));
            }
            _ => {}
        }
        // No lock file: perhaps nobody synced the entry of the directory yet.
        if !path.join(FileName::Lock.to_string()).exists() {
            sync_path(parent(&path)).map_err(at(FileOperation::SyncDirectory))?;
        }
        Self::open_layer(Directory::open(&path).map_err(at(FileOperation::OpenDirectory))?)
    }
}

#[cfg(feature = "sim")]
impl FileStore<crate::sim::Mount> {
    /// Opens the one directory of a simulated disk.
    ///
    /// # Errors
    ///
    /// [`FileError::Locked`], or [`FileError::Io`] for an injected fault.
    pub fn open_sim(disk: &crate::sim::SimDisk) -> Result<Self, FileError> {
        Self::open_layer(disk.mount())
    }
}

fn fails(operation: FileOperation, name: FileName) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::Io { operation, name, source }
}

impl<D: Layer> FileStore<D> {
    fn open_layer(mut layer: D) -> Result<Self, FileError> {
        let lock = layer.lock(&FileName::Lock.to_string()).map_err(|error| match error {
            TryLockError::WouldBlock => FileError::Locked,
            TryLockError::Error(source) => fails(FileOperation::Lock, FileName::Lock)(source),
        })?;
        let mut store = Self { layer, begun: None, poisoned: None, _lock: lock };
        for name in store.names()? {
            if matches!(name, FileName::Temporary(_)) {
                store.remove(name)?;
            }
        }
        // Entries that a killed process made and did not sync are seen, and must not be lost later.
        store.sync_directory()?;
        Ok(store)
    }

    /// The files that are ours, in no order.
    fn names(&mut self) -> Result<Vec<FileName>, FileError> {
        let names = self.layer.list().map_err(fails(FileOperation::List, FileName::Directory))?;
        Ok(names.iter().filter_map(|name| FileName::parse(name)).collect())
    }

    fn check_alive(&self) -> Result<(), FileError> {
        self.poisoned.map_or(Ok(()), |operation| Err(FileError::Poisoned { operation }))
    }

    /// The error of an operation after which nothing is known of the disk.
    fn poison(&mut self, operation: FileOperation, name: FileName) -> impl FnOnce(io::Error) -> FileError {
        self.poisoned = Some(operation);
        fails(operation, name)
    }

    fn remove(&mut self, name: FileName) -> Result<(), FileError> {
        self.layer.remove(&name.to_string()).map_err(fails(FileOperation::Remove, name))
    }

    fn sync_directory(&mut self) -> Result<(), FileError> {
        match self.layer.sync_directory() {
            Ok(()) => Ok(()),
            Err(error) => Err(self.poison(FileOperation::SyncDirectory, FileName::Directory)(error)),
        }
    }

    /// Writes and syncs a file that nobody reads yet.
    fn write_temporary(&mut self, name: FileName, bytes: &[u8]) -> Result<(), FileError> {
        let path = name.to_string();
        let mut file = match self.layer.create(&path) {
            // A snapshot that failed, and then could not be removed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.remove(name)?;
                self.layer.create(&path)
            }
            created => created,
        }
        .map_err(fails(FileOperation::Create, name))?;
        self.layer.append(&mut file, bytes).map_err(fails(FileOperation::Append, name))?;
        self.layer.sync_all(&mut file).map_err(fails(FileOperation::Sync, name))
    }
}

impl<D: Layer> JournalStore for FileStore<D> {
    type Error = FileError;

    fn list(&mut self) -> Result<Listing, FileError> {
        let mut listing = Listing::default();
        for name in self.names()? {
            match name {
                FileName::Part(Part::Segment(segment)) => listing.segments.push(segment),
                FileName::Part(Part::Snapshot(sequence)) => listing.snapshots.push(sequence),
                _ => {}
            }
        }
        listing.segments.sort_unstable();
        listing.snapshots.sort_unstable();
        Ok(listing)
    }

    fn read(&mut self, part: Part) -> Result<Vec<u8>, FileError> {
        self.layer.read(&part.to_string()).map_err(fails(FileOperation::Read, FileName::Part(part)))
    }

    fn start_segment(&mut self, segment: u64) -> Result<(), FileError> {
        self.check_alive()?;
        check_above(segment, self.list()?.segments.last().copied())?;
        self.sync()?;
        let part = Part::Segment(segment);
        let file = self.layer.create(&part.to_string());
        let file = file.map_err(fails(FileOperation::Create, FileName::Part(part)))?;
        self.begun = Some(Begun { segment, file, state: State::New });
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.check_alive()?;
        let begun = self.begun.as_mut().ok_or(SegmentError::NotBegun)?;
        let segment = begun.segment;
        if begun.state == State::Synced {
            begun.state = State::Dirty;
        }
        match self.layer.append(&mut begun.file, bytes) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.poison(FileOperation::Append, FileName::Part(Part::Segment(segment)))(error)),
        }
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.check_alive()?;
        let Some(begun) = &mut self.begun else { return Ok(()) };
        let (segment, state) = (begun.segment, begun.state);
        let synced = match state {
            State::New => self.layer.sync_all(&mut begun.file),
            State::Dirty => self.layer.sync_data(&mut begun.file),
            State::Synced => return Ok(()),
        };
        // What comes next is known only if everything went well: otherwise the store is poisoned.
        begun.state = State::Synced;
        if let Err(error) = synced {
            return Err(self.poison(FileOperation::Sync, FileName::Part(Part::Segment(segment)))(error));
        }
        if state == State::New { self.sync_directory() } else { Ok(()) }
    }

    fn put_snapshot(&mut self, sequence: Sequence, bytes: &[u8]) -> Result<(), FileError> {
        self.check_alive()?;
        let (temporary, name) = (FileName::Temporary(sequence), FileName::Part(Part::Snapshot(sequence)));
        let is_new = !self.names()?.contains(&name);
        if let Err(error) = self.write_temporary(temporary, bytes) {
            // If it stays, the next attempt or the next opening removes it.
            let _ = self.remove(temporary);
            return Err(error);
        }
        if let Err(error) = self.layer.rename(&temporary.to_string(), &name.to_string()) {
            return Err(self.poison(FileOperation::Rename, name)(error));
        }
        self.sync_directory().inspect_err(|_| {
            // Whoever opens the directory before the machine restarts would see it, drop what is older, and lose it in
            // a crash: the next sync of the directory may say that all is well. One that was replaced is there in any
            // case.
            if is_new {
                let _ = self.layer.remove(&name.to_string());
            }
        })
    }

    fn drop_before(&mut self, segment: u64, snapshot: Sequence) -> Result<(), FileError> {
        self.check_alive()?;
        let Listing { segments, snapshots } = self.list()?;
        let old = snapshots.partition_point(|sequence| *sequence < snapshot);
        for &sequence in snapshots.iter().take(old) {
            self.remove(FileName::Part(Part::Snapshot(sequence)))?;
        }
        if old > 0 {
            self.sync_directory()?;
        }
        let begun = self.begun.as_ref().map(|begun| begun.segment);
        for number in segments.into_iter().filter(|number| *number < segment && Some(*number) != begun) {
            self.remove(FileName::Part(Part::Segment(number)))?;
            // One at a time: a file system may keep the later of two removals and not the earlier.
            self.sync_directory()?;
        }
        Ok(())
    }
}
