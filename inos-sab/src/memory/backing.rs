//! Who provides the bytes, and gives them back.

use super::native::ALIGN;
use crate::error::RegionError;
use alloc::alloc::{alloc_zeroed, dealloc};
use core::ptr::NonNull;

/// Keeps the bytes of a region.
#[derive(Debug)]
pub(super) enum Backing {
    /// The process's allocator.
    Heap { block: NonNull<u8>, request: core::alloc::Layout },
    /// A file, shared with whoever maps it too.
    #[cfg(all(feature = "std", target_os = "linux"))]
    Mapped { address: NonNull<u8>, len: usize, file: std::os::fd::OwnedFd },
    /// The caller, who keeps them longer than we live.
    Raw,
}

impl Backing {
    /// Zeroed memory of `bytes`, and its first byte at a multiple of `ALIGN`.
    pub(super) fn heap(bytes: u32) -> Result<(Self, NonNull<u8>), RegionError> {
        let error = RegionError::OutOfMemory { bytes };
        // Aligned by hand: allocators hand out fresh zero pages untouched for small alignments only, and clear 32 MiB
        // for larger ones.
        let size = (bytes as usize).checked_add(ALIGN).ok_or(error)?;
        let request = core::alloc::Layout::from_size_align(size, 16).map_err(|_| error)?;
        // SAFETY:
        // - `request` has a size of at least `ALIGN`, so it is not zero.
        let block = NonNull::new(unsafe { alloc_zeroed(request) }).ok_or(error)?;
        let skip = block.as_ptr().align_offset(ALIGN).min(ALIGN);
        // SAFETY:
        // - `skip <= ALIGN`, and the allocation has `bytes + ALIGN` bytes.
        let base = unsafe { block.add(skip) };
        Ok((Self::Heap { block, request }, base))
    }

    /// The file's bytes from `offset`, a multiple of the page size.
    #[cfg(all(feature = "std", target_os = "linux"))]
    pub(super) fn mapped(
        file: std::os::fd::OwnedFd,
        offset: u32,
        bytes: u32,
    ) -> Result<(Self, NonNull<u8>), RegionError> {
        use rustix::mm::{MapFlags, ProtFlags, mmap};
        let len = bytes as usize;
        // SAFETY:
        // - a null hint lets the kernel choose a place that nothing else uses.
        let address = unsafe {
            mmap(
                core::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                u64::from(offset),
            )
        };
        let address = address.map_err(|error| RegionError::System { call: "mmap", errno: error.raw_os_error() })?;
        let address = NonNull::new(address.cast()).ok_or(RegionError::OutOfMemory { bytes })?;
        Ok((Self::Mapped { address, len, file }, address))
    }

    #[cfg(all(feature = "std", target_os = "linux"))]
    pub(super) fn file(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        match self {
            Self::Mapped { file, .. } => Some(std::os::fd::AsFd::as_fd(file)),
            Self::Heap { .. } | Self::Raw => None,
        }
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        match self {
            // SAFETY:
            // - `block` came from `alloc_zeroed(request)` and is freed once, here.
            Self::Heap { block, request } => unsafe { dealloc(block.as_ptr(), *request) },
            #[cfg(all(feature = "std", target_os = "linux"))]
            Self::Mapped { address, len, .. } => {
                // SAFETY:
                // - this range was mapped by us and is used by nobody any more: this value is being dropped.
                let unmapped = unsafe { rustix::mm::munmap(address.as_ptr().cast(), *len) };
                debug_assert!(unmapped.is_ok(), "what was mapped can be unmapped");
            }
            Self::Raw => {}
        }
    }
}
