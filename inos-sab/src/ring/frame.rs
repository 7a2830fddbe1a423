//! Frames as a reader sees them, and their header.

use crate::arena::ArenaBox;
use crate::error::OutOfRange;
use crate::layout::FRAME_HEADER_BYTES;
use crate::region::Shared;
use crate::trust::{Cooperative, Threads, Trust};
use core::fmt;
use core::marker::PhantomData;

/// What a payload is, in the integrator's own numbering; carried, never interpreted.
pub type Kind = u16;

/// Fills the rest of the ring before the wrap; nobody is shown it.
pub(super) const FLAG_PADDING: u16 = 1;
/// The payload is a handle to an arena block the frame owns.
pub(super) const FLAG_OBJECT: u16 = 2;

/// The eight bytes in front of a payload: `u32` length, `u16` kind, `u16` flags, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) len: u32,
    pub(super) kind: Kind,
    pub(super) flags: u16,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; FRAME_HEADER_BYTES as usize] {
        let [a, b, c, d] = self.len.to_le_bytes();
        let [e, f] = self.kind.to_le_bytes();
        let [g, h] = self.flags.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }

    pub(super) fn from_bytes(bytes: [u8; FRAME_HEADER_BYTES as usize]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            len: u32::from_le_bytes([a, b, c, d]),
            kind: u16::from_le_bytes([e, f]),
            flags: u16::from_le_bytes([g, h]),
        }
    }
}

/// Where a frame's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the ring.
    Inline,
    /// In an arena block.
    Object,
}

/// What is known of the next frame without taking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// The sender's number.
    pub kind: Kind,
    /// Where the payload is.
    pub form: Form,
    /// Bytes of an inline payload; 8, the handle's, for an object.
    pub len: u32,
}

/// A frame, taken from the ring.
#[derive(Debug)]
pub enum Frame<'a, T: Trust = Threads> {
    /// Its payload is in the ring until the callback returns.
    Inline {
        /// The sender's number.
        kind: Kind,
        /// The bytes.
        payload: Payload<'a, T>,
    },
    /// Its payload is an arena block, now the receiver's.
    Object {
        /// The sender's number.
        kind: Kind,
        /// The block.
        object: ArenaBox<T>,
    },
}

impl<T: Trust> Frame<'_, T> {
    /// The sender's number.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Inline { kind, .. } | Self::Object { kind, .. } => *kind,
        }
    }
}

/// Bytes of an inline frame, in place.
pub struct Payload<'a, T: Trust = Threads> {
    pub(super) trust: PhantomData<T>,
    pub(super) shared: &'a Shared,
    pub(super) offset: u32,
    pub(super) len: u32,
}

impl<T: Trust> Payload<'_, T> {
    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none; such frames are legal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `target.len()` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if they are not all within the payload.
    pub fn copy_to(&self, offset: u32, target: &mut [u8]) -> Result<(), OutOfRange> {
        OutOfRange::check(offset, target.len(), self.len)?;
        // SAFETY:
        // - as in `bytes`: the producer does not write a frame that is not yet consumed.
        unsafe { self.shared.read::<T>(self.offset + offset, target) };
        Ok(())
    }
}

#[cfg(not(inos_loom))]
impl<T: Cooperative> Payload<'_, T> {
    /// The bytes, without a copy.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY:
        // - the frame was published and the head is still in front of it, so the producer does not write these bytes;
        //   the head moves only after the callback that borrows this payload has returned.
        unsafe { self.shared.memory.slice(self.offset, self.len) }
    }
}

impl<T: Trust> fmt::Debug for Payload<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Whether a drain goes on after this frame. The frame itself is taken either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next one, please.
    Continue,
    /// That is enough.
    Break,
}
