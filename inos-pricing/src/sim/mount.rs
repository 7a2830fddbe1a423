//! The disk as one program sees it.

use alloc::{string::String, vec::Vec};
use std::{fs::TryLockError, io, sync::MutexGuard};

use super::disk::{Disk, SimDisk};
use crate::store::Layer;

/// A [`SimDisk`] as a program sees it until the machine crashes.
#[derive(Debug)]
pub struct Mount {
    disk: SimDisk,
    boot: u64,
}

/// An open file of a [`Mount`].
#[derive(Debug)]
pub struct SimFile {
    inode: u64,
}

/// A lock that is held by a program on a [`Mount`].
#[derive(Debug)]
pub struct MountLock {
    disk: SimDisk,
    boot: u64,
    name: String,
}

impl Mount {
    pub(super) fn new(disk: SimDisk) -> Self {
        let boot = disk.lock().boot;
        Self { disk, boot }
    }

    fn running(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk.lock();
        disk.check_running(self.boot)?;
        Ok(disk)
    }
}

impl Drop for MountLock {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.boot == self.boot {
            disk.locks.remove(&self.name);
        }
    }
}

impl Layer for Mount {
    type File = SimFile;
    type Lock = MountLock;

    fn lock(&mut self, name: &str) -> Result<MountLock, TryLockError> {
        let is_free = self.running().map_err(TryLockError::Error)?.locks.insert(name.into());
        if !is_free {
            return Err(TryLockError::WouldBlock);
        }
        Ok(MountLock { disk: self.disk.clone(), boot: self.boot, name: name.into() })
    }

    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.running()?.names())
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        self.running()?.read(name)
    }

    fn create(&mut self, name: &str) -> io::Result<SimFile> {
        let inode = self.running()?.create(name)?;
        Ok(SimFile { inode })
    }

    fn append(&mut self, file: &mut SimFile, bytes: &[u8]) -> io::Result<()> {
        self.running()?.append(file.inode, bytes)
    }

    fn sync_all(&mut self, file: &mut SimFile) -> io::Result<()> {
        self.running()?.sync(file.inode)
    }

    fn sync_data(&mut self, file: &mut SimFile) -> io::Result<()> {
        self.running()?.sync(file.inode)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.running()?.rename(from, to)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.running()?.remove(name)
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        self.running()?.sync_directory()
    }
}
