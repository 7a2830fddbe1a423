//! The limit: one word in one cache line that both ends write in turn.

use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::Link;
use crate::machine::Pause;

/// A cache line, and the one that is fetched with it.
#[repr(align(128))]
#[derive(Debug, Default)]
pub(crate) struct Line(AtomicU64);

/// One end; `W` is how it reaches the line.
pub(crate) struct PingPong<W> {
    line: W,
    last: u64,
}

/// Both ends, for two threads.
pub(crate) fn threads() -> (PingPong<Arc<Line>>, PingPong<Arc<Line>>) {
    let line = Arc::new(Line::default());
    (PingPong { line: Arc::clone(&line), last: 0 }, PingPong { line, last: 0 })
}

/// Bytes that two processes share.
const PAGE: usize = 4096;

/// A line in memory that two processes share.
pub(crate) struct Mapped(NonNull<Line>);

/// The near end and a descriptor for the far one, for two processes.
pub(crate) fn near() -> io::Result<(PingPong<Mapped>, OwnedFd)> {
    let file = memfd_create(c"inos-sab-compare", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, PAGE as u64)?;
    Ok((PingPong { line: Mapped::new(&file)?, last: 0 }, file))
}

pub(crate) fn far(file: OwnedFd) -> io::Result<PingPong<Mapped>> {
    Ok(PingPong { line: Mapped::new(file)?, last: 0 })
}

impl Mapped {
    fn new(file: impl AsFd) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY:
        // - a null hint: the kernel finds free addresses, so no other mapping is replaced.
        let start = unsafe { mmap(core::ptr::null_mut(), PAGE, access, MapFlags::SHARED, file, 0) }?;
        Ok(Self(NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?))
    }
}

impl core::ops::Deref for Mapped {
    type Target = Line;

    fn deref(&self) -> &Line {
        // SAFETY:
        // - the mapping is a page long, aligned as pages are, and lives as long as `self`;
        // - all zeros are a line, and the other process too uses it as an atomic word only.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY:
        // - the mapping is ours and of this length, and no reference into it outlives `self`.
        let unmapped = unsafe { munmap(self.0.as_ptr().cast(), PAGE) };
        debug_assert!(unmapped.is_ok(), "a mapping that exists can be removed");
    }
}

impl<W: core::ops::Deref<Target = Line>> Link for PingPong<W> {
    fn send(&mut self, number: u64) {
        // Pairs with the Acquire below, as a message would.
        self.line.0.store(number, Ordering::Release);
        self.last = number;
    }

    fn receive(&mut self) -> u64 {
        let mut pause = Pause::short();
        loop {
            let number = self.line.0.load(Ordering::Acquire);
            if number != self.last {
                self.last = number;
                return number;
            }
            pause.wait();
        }
    }
}
