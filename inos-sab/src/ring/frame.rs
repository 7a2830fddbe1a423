//! Frames as a reader sees them, and their header.

use super::cursor::{Span, UNIT_BYTES};
use super::place::Place;
use crate::arena::ArenaBox;
use crate::error::{OutOfRange, Stale};
#[cfg(not(inos_loom))]
use crate::trust::Cooperative;
use crate::trust::{Threads, Trust};
use core::fmt;
use core::marker::PhantomData;

/// What a payload is, in the integrator's own numbering; carried, never interpreted.
pub type Kind = u16;

/// Fills the rest of the ring before the wrap; nobody is shown it.
pub(super) const FLAG_PADDING: u16 = 1;
/// The payload is a handle to an arena block the frame owns.
pub(super) const FLAG_OBJECT: u16 = 2;
/// Bytes of the payload of an object frame.
pub(super) const HANDLE_BYTES: u32 = 8;

/// Units of a frame with `len` bytes of payload. `len` is at most an eighth of the ring.
#[inline]
pub(super) const fn frame_units(len: u32) -> u32 {
    1 + len.div_ceil(UNIT_BYTES)
}

/// The word in front of a payload: `{ flags: 16, kind: 16, len: 32 }`, high to low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) len: u32,
    pub(super) kind: Kind,
    pub(super) flags: u16,
}

impl Header {
    #[inline]
    pub(super) const fn to_bits(self) -> u64 {
        (self.flags as u64) << 48 | (self.kind as u64) << 32 | self.len as u64
    }

    #[inline]
    pub(super) const fn from_bits(bits: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = bits.to_le_bytes();
        Self {
            len: u32::from_le_bytes([a, b, c, d]),
            kind: u16::from_le_bytes([e, f]),
            flags: u16::from_le_bytes([g, h]),
        }
    }

    /// The units of the frame, if a producer that keeps to the protocol can have written this header `to_end` units
    /// before the end of a ring of `ring_units`, with `left` between it and the tail.
    #[inline]
    pub(super) const fn units(self, to_end: u32, left: Span, ring_units: u32) -> Option<u32> {
        if self.len > ring_units {
            // An eighth of the ring in bytes is its units in number.
            return None;
        }
        let units = frame_units(self.len);
        let legal = match self.flags {
            0 => units <= left.units,
            FLAG_OBJECT => self.len == HANDLE_BYTES && units <= left.units,
            // It reaches the end exactly, and the frame that did not fit comes behind it.
            FLAG_PADDING => self.len.is_multiple_of(UNIT_BYTES) && units == to_end && units < left.units,
            _ => false,
        };
        if legal && units <= to_end && left.frames > 0 { Some(units) } else { None }
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
    /// Its payload was an arena block that cannot be had: an earlier reader of the ring took it and died before the
    /// frame left the ring, or the sender lied. Never among threads.
    Gone {
        /// The sender's number.
        kind: Kind,
        /// What became of the block.
        reason: Stale,
    },
}

impl<T: Trust> Frame<'_, T> {
    /// The sender's number.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Inline { kind, .. } | Self::Object { kind, .. } | Self::Gone { kind, .. } => *kind,
        }
    }

    /// Bytes of the payload, wherever it is; 0 when it is [`Gone`](Self::Gone).
    #[must_use]
    #[inline]
    pub fn len(&self) -> u32 {
        match self {
            Self::Inline { payload, .. } => payload.len(),
            Self::Object { object, .. } => object.len(),
            Self::Gone { .. } => 0,
        }
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `target.len()` bytes of the payload from `offset` on, wherever it is.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if they are not all within the payload.
    #[inline]
    pub fn copy_to(&self, offset: u32, target: &mut [u8]) -> Result<(), OutOfRange> {
        match self {
            Self::Inline { payload, .. } => payload.copy_to(offset, target),
            Self::Object { object, .. } => object.read_at(offset, target),
            Self::Gone { .. } => OutOfRange::check(offset, target.len(), 0).map(|_| ()),
        }
    }
}

#[cfg(not(inos_loom))]
impl<T: Cooperative> Frame<'_, T> {
    /// The payload, wherever it is, without a copy; nothing when it is [`Gone`](Self::Gone).
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline { payload, .. } => payload.bytes(),
            Self::Object { object, .. } => object.as_slice(),
            Self::Gone { .. } => &[],
        }
    }
}

/// Bytes of an inline frame, in place.
pub struct Payload<'a, T: Trust = Threads> {
    pub(super) trust: PhantomData<T>,
    pub(super) place: &'a Place,
    /// Where it starts. It ends in front of the end of the ring.
    pub(super) units: u32,
    pub(super) len: u32,
}

impl<T: Trust> Payload<'_, T> {
    /// Bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none; such frames are legal.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `target.len()` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if they are not all within the payload.
    #[inline]
    pub fn copy_to(&self, offset: u32, target: &mut [u8]) -> Result<(), OutOfRange> {
        OutOfRange::check(offset, target.len(), self.len)?;
        // SAFETY:
        // - as in `bytes`: the producer does not write a frame that is not yet consumed.
        unsafe { self.place.read::<T>(self.units, offset, target) };
        Ok(())
    }
}

#[cfg(not(inos_loom))]
impl<T: Cooperative> Payload<'_, T> {
    /// The bytes, without a copy.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY:
        // - the frame's header was checked: it ends in front of the end of the ring;
        // - the frame was published and the head is still in front of it, so the producer does not write these bytes;
        //   the head moves only after the callback that borrows this payload has returned.
        unsafe { self.place.slice(self.units, self.len) }
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

/// Goal: a header that no producer of this crate can have written there is refused, for each of the reasons alone.
/// Method: the largest legal headers, and each with one thing more; all of it is arithmetic.
#[cfg(test)]
mod tests {
    use super::{FLAG_OBJECT, FLAG_PADDING, Header, Span};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Of a ring of 1 KiB.
    const RING_UNITS: u32 = 128;

    /// What a reader makes of the header `flags`, `len`: `to_end` units in front of the end, `left` in front of the tail.
    fn units(flags: u16, len: u32, to_end: u32, left: u32) -> Option<u32> {
        let header = Header { len, kind: 7, flags };
        assert_eq!(Header::from_bits(header.to_bits()), header);
        header.units(to_end, Span { units: left, frames: 1 }, RING_UNITS)
    }

    #[test]
    fn inline_frames_end_in_front_of_the_tail_and_the_end() {
        assert_eq!(units(0, 0, 1, 1), Some(1));
        assert_eq!(units(0, 16, 3, 3), Some(3));
        assert_eq!(units(0, 17, 4, 4), Some(4));
        assert_eq!(units(0, 17, 4, 3), None);
        assert_eq!(units(0, 17, 3, 4), None);
        assert_eq!(units(0, 0, 0, 1), None);
        assert_eq!(units(0, 0, 1, 0), None);
    }

    #[test]
    fn frames_are_no_longer_than_an_eighth_of_the_ring() {
        assert_eq!(units(0, RING_UNITS, RING_UNITS, RING_UNITS), Some(17));
        assert_eq!(units(0, RING_UNITS + 1, RING_UNITS, RING_UNITS), None);
        assert_eq!(units(0, u32::MAX, u32::MAX, u32::MAX), None);
        assert_eq!(units(FLAG_PADDING, RING_UNITS + 8, 18, RING_UNITS), None);
    }

    #[test]
    fn objects_are_a_handle() {
        assert_eq!(units(FLAG_OBJECT, 8, 2, 2), Some(2));
        assert_eq!(units(FLAG_OBJECT, 8, 2, 1), None);
        assert_eq!(units(FLAG_OBJECT, 8, 1, 2), None);
        for len in [0, 7, 9, 16] {
            assert_eq!(units(FLAG_OBJECT, len, 9, 9), None, "{len}");
        }
    }

    #[test]
    fn padding_reaches_the_end_and_a_frame_follows() {
        assert_eq!(units(FLAG_PADDING, 16, 3, 4), Some(3));
        assert_eq!(units(FLAG_PADDING, 0, 1, 2), Some(1));
        // Nothing behind it; not to the end; over it; not whole units.
        assert_eq!(units(FLAG_PADDING, 16, 3, 3), None);
        assert_eq!(units(FLAG_PADDING, 16, 4, 9), None);
        assert_eq!(units(FLAG_PADDING, 16, 2, 9), None);
        assert_eq!(units(FLAG_PADDING, 15, 3, 4), None);
    }

    #[test]
    fn frames_are_counted() {
        for (flags, len) in [(0, 8), (FLAG_OBJECT, 8), (FLAG_PADDING, 8)] {
            let header = Header { len, kind: 0, flags };
            assert_eq!(header.units(2, Span { units: 3, frames: 1 }, RING_UNITS), Some(2));
            assert_eq!(header.units(2, Span { units: 3, frames: 0 }, RING_UNITS), None);
        }
    }

    #[test]
    fn other_flags_mean_nothing() {
        for flags in [FLAG_PADDING | FLAG_OBJECT, 4, 1 << 15, u16::MAX] {
            assert_eq!(units(flags, 8, 2, 3), None, "{flags:#x}");
        }
    }
}
