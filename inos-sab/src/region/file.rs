//! Regions that processes share: memory files and files.

use super::{Region, Shared, superblock};
use crate::error::RegionError;
use crate::layout::Layout;
use crate::memory::Memory;
use crate::participant::Participant;
use crate::recovery;
use crate::trust::sealed::Sealed;
use crate::trust::{Crash, Hostile, Trust};
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

impl Region<Crash> {
    /// Makes a region in an anonymous memory file, sealed against resizing, and joins it. Other processes get it by its
    /// descriptor, [`backing_fd`](Self::backing_fd), and [attach](Self::attach_fd). `name` is for listings of the kernel
    /// only. All pages are committed at once, so that no later access can fail for want of memory.
    ///
    /// # Errors
    ///
    /// [`RegionError::System`] when the kernel refuses; nothing was made then.
    ///
    /// # Safety
    ///
    /// For as long as the region, a clone of it or anything made from it lives:
    ///
    /// - Nobody, this process included, changes the file's bytes but through regions of this crate at level
    ///   [`Crash`] or [`Hostile`], or in a program that keeps to `docs/layout.md` and `docs/memory-model.md` as this crate
    ///   does. Above all, no one writes through [`backing_fd`](Self::backing_fd) or punches holes.
    /// - A process that is forked from this one, and has not called `exec`, uses nothing that was made from the region.
    ///
    /// Who cannot promise that for others has [`Hostile`] regions, which are safe to make.
    ///
    /// # Examples
    ///
    /// A second participant; in another process, `file` would be what it got from this one.
    ///
    /// ```
    /// use inos_sab::{Crash, Layout, Region, RegionError, Wake};
    ///
    /// let layout = Layout::compact(1 << 12, 1 << 20, 1 << 16)?;
    /// // SAFETY:
    /// // - the file has no name, and all who get it attach to it as below;
    /// // - nobody forks.
    /// let region = unsafe { Region::<Crash>::create_memfd(c"demo", &layout) }?;
    /// let file = region.backing_fd().ok_or("a memory file")?.try_clone_to_owned()?;
    /// // SAFETY:
    /// // - a region of this crate made the file, and only regions change it;
    /// // - nobody forks.
    /// let other = unsafe { Region::<Crash>::attach_fd(file, &layout) }?;
    ///
    /// let mut consumer = other.inbox_consumer()?;
    /// region.inbox_producer()?.try_push(1, b"hello")?;
    /// assert_eq!(consumer.wait(None), Wake::Ready);
    /// assert_eq!(region.inbox_consumer().unwrap_err(), RegionError::RoleHeld); // across processes, too
    /// assert_eq!(region.peers()?.len(), 1);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub unsafe fn create_memfd(name: &CStr, layout: &Layout) -> Result<Self, RegionError> {
        // SAFETY:
        // - the contract of this function.
        unsafe { Self::in_memory_file(name, layout) }
    }

    /// Joins the region behind a descriptor, open for reading and writing, as a participant of its own even in the
    /// process that made it. `layout` is the maker's; marks and start apart, which the region says itself.
    ///
    /// The locks that prove deaths need a description of the file that this attachment alone has: it is opened again by
    /// way of `/proc/self/fd`, which has to be mounted and must allow it. A child that is forked without `exec` keeps that
    /// description: as long as such a child lives, its parent's death is not seen.
    ///
    /// # Errors
    ///
    /// [`RegionError::TooShort`] for a file that ends before the layout; [`RegionError::NotReady`],
    /// [`RegionError::Poisoned`], [`RegionError::Mismatch`] and [`RegionError::Unassigned`] by its content;
    /// [`RegionError::Crowded`] when sixteen participants live; [`RegionError::System`]. Nothing changed.
    ///
    /// # Safety
    ///
    /// - The conditions of [`create_memfd`](Self::create_memfd). The first also holds of all that was ever written to the
    ///   file: what is there is zeros, or a region and what its participants made of it.
    /// - Nobody makes the file shorter, unless it is sealed against that: accesses behind its end are SIGBUS.
    pub unsafe fn attach_fd(file: OwnedFd, layout: &Layout) -> Result<Self, RegionError> {
        // SAFETY:
        // - the contract of this function.
        unsafe { Self::behind(file, layout) }
    }

    /// Makes a region in a new file, which appears under `path` when it is ready, and joins it. Every process that can
    /// open the file for writing can join, now or after a restart. The mode is 0600; nobody removes the file but the
    /// caller. On a file system in memory, such as `/dev/shm`, nothing is ever written to a disk.
    ///
    /// A file cannot be sealed: a program that truncates it later ends all participants with SIGBUS at their next
    /// access. It outlives processes, not the machine: after a crash of the system its pages are of different moments, and
    /// nobody may join it any more.
    ///
    /// # Errors
    ///
    /// [`RegionError::System`] when the kernel refuses, with `EEXIST` (17) from `linkat` if there is something at `path`,
    /// with `EOPNOTSUPP` (95) from `open` where the file system has no unnamed files. Nothing was left behind.
    ///
    /// # Safety
    ///
    /// The conditions of [`attach_fd`](Self::attach_fd), for whatever can open the file: programs of the same user.
    ///
    /// # Examples
    ///
    /// ```
    /// use inos_sab::{Crash, Layout, Region};
    ///
    /// let path = std::env::temp_dir().join(format!("inos-sab-{}", std::process::id()));
    /// let layout = Layout::compact(1 << 12, 1 << 20, 1 << 16)?;
    /// // SAFETY:
    /// // - only this program knows the path; it opens it as below, and removes it without changing it;
    /// // - nobody forks.
    /// let region = unsafe { Region::<Crash>::create_file(&path, &layout) }?;
    /// region.inbox_producer()?.try_push(1, b"kept")?;
    /// drop(region);
    ///
    /// // This process, or any other, later.
    /// // SAFETY:
    /// // - as above, and the machine did not crash meanwhile.
    /// let again = unsafe { Region::<Crash>::open_file(&path, &layout) }?;
    /// assert_eq!(again.inbox_flow().count(), 1);
    /// std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub unsafe fn create_file(path: &Path, layout: &Layout) -> Result<Self, RegionError> {
        // Unnamed until it is ready: nobody ever sees half a region, whenever we die.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)
            .map_err(system("open(O_TMPFILE)"))?;
        commit(&file, layout)?;
        // SAFETY:
        // - the contract of this function; the file is new.
        let region = unsafe { Self::made_in(file, layout) }?;
        let file = region.backing_fd().ok_or(RegionError::NoProof)?;
        let own = alloc::format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        rustix::fs::linkat(rustix::fs::CWD, own.as_str(), rustix::fs::CWD, path, rustix::fs::AtFlags::SYMLINK_FOLLOW)
            .map_err(system("linkat"))?;
        Ok(region)
    }

    /// Joins the region in a file that [`create_file`](Self::create_file) made.
    ///
    /// # Errors
    ///
    /// As [`attach_fd`](Self::attach_fd), and [`RegionError::System`] when the file cannot be opened for reading and
    /// writing.
    ///
    /// # Safety
    ///
    /// The conditions of [`attach_fd`](Self::attach_fd); and the system has not crashed since the file was made, unless
    /// it is on a file system in memory.
    pub unsafe fn open_file(path: &Path, layout: &Layout) -> Result<Self, RegionError> {
        let file = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(system("open"))?;
        // SAFETY:
        // - the contract of this function.
        unsafe { Self::behind(file, layout) }
    }
}

impl Region<Hostile> {
    /// Makes a region in an anonymous memory file, sealed against resizing, and joins it. Other processes get it by its
    /// descriptor, [`backing_fd`](Self::backing_fd), and may write there what they like. `name` is for listings of the
    /// kernel only. All pages are committed at once; but no seal keeps a hostile peer from giving pages back (they read as
    /// zeros), and then the system has to find memory again.
    ///
    /// # Errors
    ///
    /// [`RegionError::System`] when the kernel refuses; nothing was made then.
    ///
    /// # Examples
    ///
    /// ```
    /// use inos_sab::{Frame, Hostile, Layout, Region};
    ///
    /// let layout = Layout::compact(1 << 12, 1 << 20, 1 << 16)?;
    /// let region = Region::<Hostile>::create_memfd(c"demo", &layout)?;
    /// let file = region.backing_fd().ok_or("a memory file")?.try_clone_to_owned()?;
    /// let other = Region::<Hostile>::attach_fd(file, &layout)?;
    ///
    /// let mut consumer = other.inbox_consumer()?;
    /// region.inbox_producer()?.try_push(1, b"hello")?;
    /// let mut bytes = [0; 5];
    /// consumer.drain(1, |frame| {
    ///     if let Frame::Inline { payload, .. } = frame {
    ///         payload.copy_to(0, &mut bytes).expect("five bytes");
    ///     }
    ///     inos_sab::Flow::Break
    /// })?;
    /// assert_eq!(&bytes, b"hello");
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn create_memfd(name: &CStr, layout: &Layout) -> Result<Self, RegionError> {
        // SAFETY:
        // - `T` is `Hostile`.
        unsafe { Self::in_memory_file(name, layout) }
    }

    /// Joins the region behind a descriptor, open for reading and writing, as a participant of its own even in the
    /// process that made it. `layout` is the maker's; marks and start apart, which the region says itself.
    ///
    /// It is opened again by way of `/proc/self/fd`, as at level [`Crash`].
    ///
    /// # Errors
    ///
    /// [`RegionError::Unsealed`] when the file could be resized; [`RegionError::TooShort`] for a file that ends before the
    /// layout; [`RegionError::NotReady`], [`RegionError::Poisoned`], [`RegionError::Mismatch`] and
    /// [`RegionError::Unassigned`] by its content; [`RegionError::Crowded`] when sixteen participants live;
    /// [`RegionError::System`]. Nothing changed.
    pub fn attach_fd(file: OwnedFd, layout: &Layout) -> Result<Self, RegionError> {
        // A file that cannot have seals answers with an error: it has none.
        let seals = rustix::fs::fcntl_get_seals(&file).unwrap_or(SealFlags::empty());
        if !seals.contains(SEALS) {
            return Err(RegionError::Unsealed);
        }
        // SAFETY:
        // - `T` is `Hostile`, and the file cannot be made shorter.
        unsafe { Self::behind(file, layout) }
    }
}

impl<T: Trust> Region<T> {
    /// # Safety
    ///
    /// - Unless `T` is `Hostile`: the contract of `Region::<Crash>::create_memfd`.
    unsafe fn in_memory_file(name: &CStr, layout: &Layout) -> Result<Self, RegionError> {
        let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
            .map_err(system("memfd_create"))?;
        commit(&file, layout)?;
        rustix::fs::fcntl_add_seals(&file, SEALS).map_err(system("fcntl(F_ADD_SEALS)"))?;
        // SAFETY:
        // - the contract of this function; the file is new.
        unsafe { Self::made_in(file, layout) }
    }

    /// Makes a region in a new file and joins it.
    ///
    /// # Safety
    ///
    /// - Unless `T` is `Hostile`: the contract of `Region::<Crash>::attach_fd`.
    unsafe fn made_in(file: OwnedFd, layout: &Layout) -> Result<Self, RegionError> {
        let memory = Memory::mapped(layout, file)?;
        superblock::initialise(&memory, layout);
        Self::join(memory, layout)
    }

    /// Joins the region in a file.
    ///
    /// # Safety
    ///
    /// - If `T` is `Hostile`: the file is sealed against resizing. Otherwise: the contract of
    ///   `Region::<Crash>::attach_fd`.
    unsafe fn behind(file: OwnedFd, layout: &Layout) -> Result<Self, RegionError> {
        // A sealed file keeps the size we see.
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
            // Its request is not ours. Last, so that it is still known if we die before.
            shared.note_job(None);
        }
        Ok(Self::from_shared(shared))
    }

    /// The file behind the region, for other processes to attach to; there is none on raw memory.
    ///
    /// Whoever has it can write to the region. At level [`Crash`] nobody may, but by attaching: that is what the maker
    /// promised, see [`create_memfd`](Region::<Crash>::create_memfd).
    ///
    /// It is closed on `exec`. Give a child a duplicate that is not (`dup` clears the flag), send it over a Unix socket, or
    /// let a process of the same user open `/proc/<pid>/fd/<number>` for reading and writing, as
    /// `examples/processes.rs` does.
    #[must_use]
    pub fn backing_fd(&self) -> Option<BorrowedFd<'_>> {
        self.shared.memory.file()
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

/// None of these compiles: what others write is for the caller to promise.
///
/// ```compile_fail,E0133
/// # use inos_sab::{Crash, Layout, Region};
/// let region = Region::<Crash>::create_memfd(c"demo", &Layout::STANDARD);
/// ```
///
/// ```compile_fail,E0133
/// # use inos_sab::{Crash, Hostile, Layout, Region};
/// # let region = Region::<Hostile>::create_memfd(c"demo", &Layout::STANDARD).unwrap();
/// # let file = region.backing_fd().unwrap().try_clone_to_owned().unwrap();
/// let region = Region::<Crash>::attach_fd(file, &Layout::STANDARD);
/// ```
///
/// ```compile_fail,E0133
/// # use inos_sab::{Crash, Layout, Region};
/// let region = Region::<Crash>::create_file("region".as_ref(), &Layout::STANDARD);
/// ```
///
/// ```compile_fail,E0133
/// # use inos_sab::{Crash, Layout, Region};
/// let region = Region::<Crash>::open_file("region".as_ref(), &Layout::STANDARD);
/// ```
#[cfg(doctest)]
struct Unpromised;
