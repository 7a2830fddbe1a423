//! The disk: entries of one directory, files, and what goes wrong.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    sync::Arc,
    vec::Vec,
};
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{inode::Inode, mount::Mount, rng::Rng};

/// A simulated disk with one directory. Clones are the same disk.
///
/// What a crash may do to what was not synced:
///
/// - Each sector of 512 bytes is written or not; the file is as long as at the last sync, as it was seen, or between.
/// - Each creation, rename and removal is kept or not, whatever happens to those before and after. Renaming is atomic.
///   A file without an entry is gone.
///
/// After [`Fault::SyncFails`] the disk does as Linux does: what was to be written is seen by every reader, counts as
/// clean, and is lost by the next crash, even if a second sync went well.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<Disk>>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An append writes so many of its bytes, at most, and fails.
    ShortWrite {
        /// How many.
        len: usize,
    },
    /// An append, creation or rename does nothing and fails with `StorageFull`.
    NoSpace,
    /// A sync of a file or of the directory fails, and what it should have made durable counts as clean.
    SyncFails,
    /// This operation and all others fail, and do nothing, until [`SimDisk::crash`] or [`SimDisk::kill`].
    PowerCut,
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// What programs see.
    seen: BTreeMap<String, u64>,
    /// What a crash cannot take.
    durable: BTreeMap<String, u64>,
    /// How `seen` came from `durable`, less what a failed sync forgot.
    changes: Vec<Change>,
    pub(super) locks: BTreeSet<String>,
    /// Counts crashes and kills: who was running before the last is no more.
    pub(super) boot: u64,
    is_off: bool,
    operation_count: u64,
    /// From which operation on each strikes.
    faults: Vec<(u64, Fault)>,
}

#[derive(Clone, Debug)]
enum Change {
    Create { name: String, inode: u64 },
    Rename { from: String, to: String, inode: u64 },
    Remove { name: String },
}

impl Change {
    fn apply(self, entries: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create { name, inode } => {
                entries.insert(name, inode);
            }
            Self::Rename { from, to, inode } => {
                entries.remove(&from);
                entries.insert(to, inode);
            }
            Self::Remove { name } => {
                entries.remove(&name);
            }
        }
    }
}

/// What kind of fault an operation can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Append,
    Entry,
    Removal,
    Sync,
}

impl SimDisk {
    /// The power fails now, and the machine starts again. The seed decides what is left of what was not synced. Locks
    /// are free, stores that were open are of no more use, faults that did not strike are forgotten.
    pub fn crash(&self, seed: u64) {
        let mut disk = self.lock();
        let mut rng = Rng(seed);
        let Disk { inodes, seen, durable, changes, .. } = &mut *disk;
        for change in changes.drain(..) {
            if rng.coin() {
                change.apply(durable);
            }
        }
        seen.clone_from(durable);
        let named: BTreeSet<u64> = durable.values().copied().collect();
        inodes.retain(|inode, _| named.contains(inode));
        for inode in inodes.values_mut() {
            inode.crash(&mut rng);
        }
        disk.end_programs();
    }

    /// The programs are killed, and the machine goes on: what they wrote is seen by those that come after, and as
    /// little durable as before. Locks, stores and faults are as after a crash. After a [`Fault::PowerCut`] it lets the
    /// power cut stand for a kill between two operations.
    pub fn kill(&self) {
        self.lock().end_programs();
    }

    /// Operations that could change something so far: creations, appends, syncs, renames and removals.
    #[must_use]
    pub fn operation_count(&self) -> u64 {
        self.lock().operation_count
    }

    /// Lets a fault strike the first operation that can have it, from the one on before which
    /// [`operation_count`](Self::operation_count) is `operation`.
    pub fn inject(&self, operation: u64, fault: Fault) {
        self.lock().faults.push((operation, fault));
    }

    /// The names of all files, ascending.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.lock().seen.keys().cloned().collect()
    }

    /// What a file holds, as programs see it.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().inode(name).ok().map(|inode| inode.bytes().to_vec())
    }

    /// Puts a file there, synced, in place of what has the name.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut disk = self.lock();
        let number = disk.new_inode();
        disk.durable.insert(name.into(), number);
        disk.seen.insert(name.into(), number);
        disk.inodes.entry(number).or_default().overwrite(bytes.to_vec());
    }

    /// Flips one bit of a file; false if the file has no such bit. What else it holds counts as synced, here and below.
    pub fn flip(&self, name: &str, byte: usize, bit: u32) -> bool {
        let mask = 1_u8.checked_shl(bit).unwrap_or(0);
        mask > 0 && self.damage(name, |bytes| bytes.get_mut(byte).map(|byte| *byte ^= mask).is_some())
    }

    /// Cuts a file off after `len` bytes; false if it has no more than that.
    pub fn truncate(&self, name: &str, len: usize) -> bool {
        self.damage(name, |bytes| {
            let is_longer = bytes.len() > len;
            bytes.truncate(len);
            is_longer
        })
    }

    /// Overwrites a file from `start` on with zeroes; false if it ends there.
    pub fn zero_tail(&self, name: &str, start: usize) -> bool {
        self.damage(name, |bytes| {
            let tail = bytes.get_mut(start..).unwrap_or_default();
            tail.fill(0);
            !tail.is_empty()
        })
    }

    fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let mut disk = self.lock();
        let Ok(inode) = disk.inode(name) else { return false };
        let mut bytes = inode.bytes().to_vec();
        let is_changed = change(&mut bytes);
        inode.overwrite(bytes);
        is_changed
    }

    pub(crate) fn mount(&self) -> Mount {
        Mount::new(self.clone())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Disk> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn machine_is_off() -> io::Error {
    io::Error::other("the machine is off")
}

impl Disk {
    /// Whether a program that was started at `boot` still runs.
    pub(super) fn check_running(&self, boot: u64) -> io::Result<()> {
        if self.is_off || self.boot != boot { Err(machine_is_off()) } else { Ok(()) }
    }

    fn end_programs(&mut self) {
        self.locks.clear();
        self.faults.clear();
        self.is_off = false;
        self.boot = self.boot.saturating_add(1);
    }

    fn new_inode(&mut self) -> u64 {
        let inode = self.next_inode;
        self.next_inode = inode.saturating_add(1);
        self.inodes.insert(inode, Inode::default());
        inode
    }

    fn inode(&mut self, name: &str) -> io::Result<&mut Inode> {
        let inode = self.seen.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.inodes.get_mut(inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Counts an operation, and returns the fault that strikes it.
    fn begin(&mut self, kind: Kind) -> io::Result<Option<Fault>> {
        let operation = self.operation_count;
        self.operation_count = operation.saturating_add(1);
        let strikes = |fault| match fault {
            Fault::ShortWrite { .. } => kind == Kind::Append,
            Fault::NoSpace => matches!(kind, Kind::Append | Kind::Entry),
            Fault::SyncFails => kind == Kind::Sync,
            Fault::PowerCut => true,
        };
        let found = self.faults.iter().position(|(from, fault)| operation >= *from && strikes(*fault));
        match found.map(|index| self.faults.swap_remove(index).1) {
            Some(Fault::PowerCut) => {
                self.is_off = true;
                Err(machine_is_off())
            }
            Some(Fault::NoSpace) => Err(io::ErrorKind::StorageFull.into()),
            fault => Ok(fault),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.seen.keys().cloned().collect()
    }

    pub(super) fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        self.inode(name).map(|inode| inode.bytes().to_vec())
    }

    pub(super) fn create(&mut self, name: &str) -> io::Result<u64> {
        self.begin(Kind::Entry)?;
        if self.seen.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.new_inode();
        self.change(Change::Create { name: name.into(), inode });
        Ok(inode)
    }

    pub(super) fn append(&mut self, inode: u64, bytes: &[u8]) -> io::Result<()> {
        let fault = self.begin(Kind::Append)?;
        let inode = self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?;
        if let Some(Fault::ShortWrite { len }) = fault {
            inode.append(bytes.get(..len).unwrap_or(bytes));
            return Err(io::ErrorKind::WriteZero.into());
        }
        inode.append(bytes);
        Ok(())
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        let fault = self.begin(Kind::Sync)?;
        let inode = self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?;
        if fault.is_some() {
            inode.fail_sync();
            return Err(io::Error::other("EIO"));
        }
        inode.sync();
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.begin(Kind::Entry)?;
        let inode = *self.seen.get(from).ok_or(io::ErrorKind::NotFound)?;
        self.change(Change::Rename { from: from.into(), to: to.into(), inode });
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.begin(Kind::Removal)?;
        self.inode(name)?;
        self.change(Change::Remove { name: name.into() });
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.seen);
        self.changes.push(change);
    }

    pub(super) fn sync_directory(&mut self) -> io::Result<()> {
        let fault = self.begin(Kind::Sync)?;
        let changes = core::mem::take(&mut self.changes);
        if fault.is_some() {
            return Err(io::Error::other("EIO"));
        }
        for change in changes {
            change.apply(&mut self.durable);
        }
        Ok(())
    }
}
