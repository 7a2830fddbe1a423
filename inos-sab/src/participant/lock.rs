//! Locks of one byte that belong to an open file description, not to a process (`F_OFD_SETLK`).

use crate::error::RegionError;
use alloc::format;
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A description of the region's file that this attachment alone has.
#[derive(Debug)]
pub(super) struct LockFile {
    file: OwnedFd,
    threads: Mutex<()>,
}

impl LockFile {
    /// Opens the file again: a descriptor that came from another process, or went to one, shares its description and
    /// with it the locks.
    pub(super) fn reopen(file: BorrowedFd<'_>) -> Result<Self, RegionError> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let file = rustix::fs::open(path.as_str(), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| RegionError::System { call: "open", errno: error.raw_os_error() })?;
        Ok(Self { file, threads: Mutex::new(()) })
    }

    /// Keeps the other threads of this attachment out.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        // The mutex guards no data that a panic could have left half done.
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the byte is now ours; `false` while another description holds it.
    pub(super) fn try_lock(&self, byte: u64) -> Result<bool, RegionError> {
        match self.set(byte, libc::F_WRLCK) {
            Ok(()) => Ok(true),
            Err(libc::EAGAIN | libc::EACCES) => Ok(false),
            Err(errno) => Err(RegionError::System { call: "fcntl(F_OFD_SETLK)", errno }),
        }
    }

    pub(super) fn unlock(&self, byte: u64) -> Result<(), RegionError> {
        self.set(byte, libc::F_UNLCK).map_err(|errno| RegionError::System { call: "fcntl(F_OFD_SETLK)", errno })
    }

    /// Whether no other description holds the byte just now. Takes nothing, so it is in nobody's way.
    pub(super) fn is_free(&self, byte: u64) -> Result<bool, RegionError> {
        let error = |errno| RegionError::System { call: "fcntl(F_OFD_GETLK)", errno };
        let mut request = request(byte, libc::F_WRLCK).map_err(error)?;
        // SAFETY:
        // - the descriptor is open for as long as `self` lives;
        // - the kernel reads and writes one `flock` behind the pointer and keeps nothing of it.
        let outcome = unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut request) };
        if outcome == 0 { Ok(i32::from(request.l_type) == libc::F_UNLCK) } else { Err(error(last_error())) }
    }

    fn set(&self, byte: u64, kind: i32) -> Result<(), i32> {
        let request = request(byte, kind)?;
        // SAFETY:
        // - the descriptor is open for as long as `self` lives;
        // - the kernel reads one `flock` behind the pointer and keeps nothing of it.
        let outcome = unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_OFD_SETLK, &raw const request) };
        if outcome == 0 { Ok(()) } else { Err(last_error()) }
    }
}

fn request(byte: u64, kind: i32) -> Result<libc::flock, i32> {
    // SAFETY:
    // - `flock` is a plain C struct of integers, for which all zeros is a value.
    let mut request: libc::flock = unsafe { core::mem::zeroed() };
    request.l_type = libc::c_short::try_from(kind).map_err(|_| libc::EINVAL)?;
    request.l_whence = libc::c_short::try_from(libc::SEEK_SET).map_err(|_| libc::EINVAL)?;
    request.l_start = libc::off_t::try_from(byte).map_err(|_| libc::EOVERFLOW)?;
    request.l_len = 1;
    Ok(request)
}

fn last_error() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)
}
