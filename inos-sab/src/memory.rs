//! The bytes of a region: words that are only ever atomics, and payload bytes that have one owner at a time.
//!
//! The two kinds are apart by address: rings' data and arena payloads are plain, everything else is atomic. So no byte is
//! reached both ways, and the accessors of words are safe to call.

#[cfg(not(inos_loom))]
mod backing;
#[cfg(inos_loom)]
mod model;
#[cfg(not(inos_loom))]
mod native;

#[cfg(inos_loom)]
pub(crate) use model::Memory;
#[cfg(not(inos_loom))]
pub(crate) use native::Memory;

use crate::layout::Layout;

/// Which addresses are plain bytes.
#[derive(Clone, Copy, Debug)]
struct Map {
    start: u32,
    rings: u32,
    rings_end: u32,
    payloads: u32,
    end: u32,
}

impl Map {
    const fn new(layout: &Layout) -> Self {
        Self {
            // What lies in front is reserved for others; a heap region does not allocate it.
            start: layout.switchboard().offset,
            rings: layout.inbox().offset,
            rings_end: layout.outbox().end(),
            payloads: layout.arena_data(),
            end: layout.end(),
        }
    }

    /// Bytes that exist.
    #[cfg(not(inos_loom))]
    const fn len(&self) -> u32 {
        self.end - self.start
    }

    const fn is_word(&self, offset: u32, bytes: u32) -> bool {
        let Some(end) = offset.checked_add(bytes) else { return false };
        offset.is_multiple_of(bytes)
            && ((self.start <= offset && end <= self.rings) || (self.rings_end <= offset && end <= self.payloads))
    }

    const fn is_plain(&self, offset: u32, len: u32) -> bool {
        let Some(end) = offset.checked_add(len) else { return false };
        (self.rings <= offset && end <= self.rings_end) || (self.payloads <= offset && end <= self.end)
    }
}
