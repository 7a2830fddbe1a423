//! What a job reads.

use super::JobId;
use super::wire::{HEADER_BYTES, Header};
use crate::arena::{Arena, ArenaBox};
use crate::error::OutOfRange;
use crate::ring::{Kind, Payload};
use crate::trust::{Cooperative, Threads, Trust};
use alloc::vec::Vec;
use core::fmt;

/// Where a request is, its header included.
#[derive(Debug)]
pub(super) enum Source<'a, T: Trust> {
    Inline(Payload<'a, T>),
    Block(ArenaBox<T>),
}

impl<T: Trust> Source<'_, T> {
    pub(super) fn len(&self) -> u32 {
        match self {
            Self::Inline(payload) => payload.len(),
            Self::Block(block) => block.len(),
        }
    }

    pub(super) fn read_at(&self, offset: u32, target: &mut [u8]) -> Result<(), OutOfRange> {
        match self {
            Self::Inline(payload) => payload.copy_to(offset, target),
            Self::Block(block) => block.read_at(offset, target),
        }
    }

    /// The header, if there are enough bytes for one. One read: what is checked is what is used.
    pub(super) fn header(&self) -> Option<Header> {
        let mut bytes = Header::ZERO;
        self.read_at(0, &mut bytes).ok()?;
        Some(Header::from_bytes(bytes))
    }
}

/// The payload of a request, where its sender wrote it: in the ring or in a block that the runner owns. It is the job's
/// until `execute` returns.
///
/// Among [`Cooperative`] parties [`bytes`](Self::bytes) is a slice of it. A hostile one may go on writing: then every
/// look may see something else, and a job looks at a copy ([`copied`](Self::copied)), or reads each byte once.
pub struct Input<'a, T: Trust = Threads> {
    pub(super) source: &'a Source<'a, T>,
    pub(super) arena: &'a Arena<T>,
    pub(super) buffer: &'a mut Vec<u8>,
    pub(super) id: JobId,
    pub(super) kind: Kind,
    /// Without the header; checked against the source.
    pub(super) len: u32,
}

impl<T: Trust> Input<'_, T> {
    /// The caller's number.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The kind of the request.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The arena of the request, for handles that the payload names.
    #[must_use]
    pub fn arena(&self) -> &Arena<T> {
        self.arena
    }

    /// Copies `target.len()` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if they are not all within the payload.
    pub fn read_at(&self, offset: u32, target: &mut [u8]) -> Result<(), OutOfRange> {
        OutOfRange::check(offset, target.len(), self.len)?;
        self.source.read_at(HEADER_BYTES + offset, target)
    }

    /// Copies the whole payload once, to the start of `target`, which must be as long at least.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if `target` is shorter; nothing is copied then.
    pub fn copy_to(&self, target: &mut [u8]) -> Result<(), OutOfRange> {
        let limit = u32::try_from(target.len()).unwrap_or(u32::MAX);
        let error = OutOfRange { offset: 0, len: u64::from(self.len), limit };
        let len = usize::try_from(self.len).map_err(|_| error)?;
        self.read_at(0, target.get_mut(..len).ok_or(error)?)
    }

    /// A copy of the whole payload that nobody else can change: one copy, into a buffer that the runner keeps for the
    /// next request.
    pub fn copied(&mut self) -> &[u8] {
        let len = self.len as usize;
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
        let target = &mut self.buffer[..len];
        // The runner has checked the length; with nothing there, nothing is shown.
        if self.source.read_at(HEADER_BYTES, target).is_ok() { target } else { &[] }
    }
}

impl<T: Cooperative> Input<'_, T> {
    /// The bytes, without a copy.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let all = match self.source {
            Source::Inline(payload) => payload.bytes(),
            Source::Block(block) => block.as_slice(),
        };
        let start = HEADER_BYTES as usize;
        // The runner has checked the length; with nothing there, nothing is shown.
        all.get(start..start + self.len as usize).unwrap_or(&[])
    }
}

impl<T: Trust> fmt::Debug for Input<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
