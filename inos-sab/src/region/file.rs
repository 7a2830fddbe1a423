//! Regions that processes share: memory files and files.

use super::{Region, Shared, superblock};
use crate::error::RegionError;
use crate::layout::Layout;
use crate::memory::Memory;
use crate::participant::Participant;
use crate::recovery;
use crate::trust::sealed::Sealed;
use crate::trust::{Crash, Level, Mappable};
use core::ffi::CStr;
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Without these a peer could cut the file short, and our next access would be a SIGBUS.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

fn system(call: &'static str) -> impl Fn(Errno) -> RegionError {
    move |error| RegionError::System { call, errno: error.raw_os_error() }
}

impl<T: Mappable> Region<T> {
    /// Makes a region in an anonymous memory file, sealed against resizing. Other processes get it by its descriptor,
    /// [`backing_fd`](Self::backing_fd): inherited, or sent over a Unix socket. `name` is for listings of the kernel
    /// only. All pages are committed at once, so that no later access can fail for want of memory.
    ///
    /// # Errors
    ///
    /// [`RegionError::System`] when the kernel refuses.
    pub fn create_memfd(name: &CStr, layout: &Layout) -> Result<Self, RegionError> {
        let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
            .map_err(system("memfd_create"))?;
        commit(&file, layout)?;
        rustix::fs::fcntl_add_seals(&file, SEALS).map_err(system("fcntl(F_ADD_SEALS)"))?;
        let memory = Memory::mapped(layout, file)?;
        superblock::initialise(&memory, layout);
        Self::join(memory, layout)
    }

    /// Joins the region behind a descriptor, as a participant of its own even in the process that made it.
    ///
    /// # Errors
    ///
    /// [`RegionError::TooShort`] for a file that ends before the layout; [`RegionError::Unsealed`] when peers are
    /// [`Hostile`](crate::Hostile) and could resize it; [`RegionError::NotReady`], [`RegionError::Poisoned`],
    /// [`RegionError::Mismatch`] and [`RegionError::Unassigned`] by its content; [`RegionError::Crowded`] when sixteen
    /// participants live; [`RegionError::System`].
    pub fn attach_fd(file: OwnedFd, layout: &Layout) -> Result<Self, RegionError> {
        if <T as Sealed>::LEVEL == Level::Hostile {
            // A file that cannot have seals answers with an error: it has none.
            let seals = rustix::fs::fcntl_get_seals(&file).unwrap_or(SealFlags::empty());
            if !seals.contains(SEALS) {
                return Err(RegionError::Unsealed);
            }
        }
        // After the seals: a sealed file keeps the size we see.
        let found = u64::try_from(rustix::fs::fstat(&file).map_err(system("fstat"))?.st_size).unwrap_or(0);
        let needed = u64::from(layout.end());
        if found < needed {
            return Err(RegionError::TooShort { found, needed });
        }
        let memory = Memory::mapped(layout, file)?;
        superblock::validate(&memory, layout)?;
        Self::join(memory, layout)
    }

    fn join(memory: Memory, layout: &Layout) -> Result<Self, RegionError> {
        let file = memory.file().ok_or(RegionError::NoProof)?;
        let participant = Participant::join(&memory, layout, file)?;
        let has_past = participant.has_past();
        let shared = Shared::new(memory, *layout, <T as Sealed>::LEVEL, participant);
        if has_past {
            // Its lock is ours, and nothing was done under this number since.
            recovery::take_back(&shared, shared.me);
        }
        Ok(Self::from_shared(shared))
    }

    /// The file behind the region, for other processes to attach to.
    #[must_use]
    pub fn backing_fd(&self) -> Option<BorrowedFd<'_>> {
        self.shared.memory.file()
    }
}

impl Region<Crash> {
    /// Makes a region in a new file, which appears under `path` when it is ready. Every process that can open the file
    /// for writing can join, now or after a restart.
    ///
    /// A file cannot be sealed: a program that truncates it later ends all participants with SIGBUS at their next
    /// access.
    ///
    /// # Errors
    ///
    /// [`RegionError::System`] when the kernel refuses, with `EEXIST` if there is something at `path`.
    pub fn create_file(path: &Path, layout: &Layout) -> Result<Self, RegionError> {
        // Unnamed until it is ready: nobody ever sees half a region, whenever we die.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)
            .map_err(system("open(O_TMPFILE)"))?;
        commit(&file, layout)?;
        let memory = Memory::mapped(layout, file)?;
        superblock::initialise(&memory, layout);
        let region = Self::join(memory, layout)?;
        let file = region.backing_fd().ok_or(RegionError::NoProof)?;
        let own = alloc::format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        rustix::fs::linkat(rustix::fs::CWD, own.as_str(), rustix::fs::CWD, path, rustix::fs::AtFlags::SYMLINK_FOLLOW)
            .map_err(system("linkat"))?;
        Ok(region)
    }

    /// Joins the region in a file.
    ///
    /// # Errors
    ///
    /// As [`attach_fd`](Self::attach_fd), and [`RegionError::System`] when the file cannot be opened for writing.
    pub fn open_file(path: &Path, layout: &Layout) -> Result<Self, RegionError> {
        let file = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(system("open"))?;
        Self::attach_fd(file, layout)
    }
}

/// Gives the file the size of the layout and commits the pages behind the reserved section.
fn commit(file: impl AsFd, layout: &Layout) -> Result<(), RegionError> {
    rustix::fs::ftruncate(&file, u64::from(layout.end())).map_err(system("ftruncate"))?;
    let start = u64::from(layout.switchboard().offset);
    let len = u64::from(layout.end()) - start;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), start, len) {
        // Some file systems cannot; then a full disk shows later.
        Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(system("fallocate")(error)),
    }
}
