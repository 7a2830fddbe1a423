//! Where a job writes.

use super::JobId;
use super::error::JobError;
use super::wire::{CODE_RESULT, FLAG_ANSWER, FLAG_LZ4, HEADER_BYTES, Header};
use crate::arena::{Arena, ArenaBox};
use crate::error::OutOfRange;
use crate::trust::{Cooperative, Threads, Trust};
use core::fmt;

/// Bytes moved at once when an output grows, through the stack.
const MOVE_BYTES: usize = 4096;

/// The result of a job, written straight into the block that travels to the caller.
///
/// [`set_len`](Self::set_len) or [`reserve`](Self::reserve) the length first, if it is known: then the block is
/// allocated once, and no byte is copied again. Bytes of the result that a job never writes hold what the arena held.
///
/// # Examples
///
/// ```
/// use inos_sab::{Input, JobError, JobOutput};
///
/// fn job(input: Input<'_>, out: &mut JobOutput<'_>) -> Result<(), JobError> {
///     out.reserve(input.len() + 8)?;
///     out.append(&u64::from(input.len()).to_le_bytes())?;
///     out.append(input.bytes())
/// }
/// ```
pub struct JobOutput<'a, T: Trust = Threads> {
    arena: &'a Arena<T>,
    block: Option<ArenaBox<T>>,
    len: u32,
    max: u32,
}

impl<'a, T: Trust> JobOutput<'a, T> {
    pub(super) fn new(arena: &'a Arena<T>, max: u32) -> Self {
        // With its header it must be a block.
        let max = max.min(arena.max_block_len().saturating_sub(HEADER_BYTES));
        Self { arena, block: None, len: 0, max }
    }

    /// Bytes of the result so far.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether the result is empty so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes the result can have without moving.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.block.as_ref().map_or(0, |block| block.len() - HEADER_BYTES)
    }

    /// Bytes the result may have at most: the runner's limit, or the largest block's.
    #[must_use]
    pub fn max_len(&self) -> u32 {
        self.max
    }

    /// Makes room for a result of `len` bytes in all. What is written already moves to the new block, if there is one.
    ///
    /// # Errors
    ///
    /// [`JobError::TooLarge`], [`JobError::Exhausted`], [`JobError::Contended`]; the output is as before, and the job
    /// normally returns the error.
    pub fn reserve(&mut self, len: u32) -> Result<(), JobError> {
        if len <= self.capacity() {
            return Ok(());
        }
        if len > self.max {
            return Err(JobError::TooLarge { requested: len, max: self.max });
        }
        // No overflow: `max` leaves room for the header.
        let mut grown = self.arena.alloc(HEADER_BYTES + len)?;
        if let Some(block) = &self.block {
            move_bytes(block, &mut grown, self.len)?;
        }
        self.block = Some(grown);
        Ok(())
    }

    /// Sets the length of the result, making room if necessary. Bytes that come new into it are undefined but
    /// initialised: write them.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    pub fn set_len(&mut self, len: u32) -> Result<(), JobError> {
        self.reserve(len)?;
        self.len = len;
        Ok(())
    }

    /// Writes `bytes` at `offset`, within the present length.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if they are not all within it; nothing is written.
    pub fn write_at(&mut self, offset: u32, bytes: &[u8]) -> Result<(), OutOfRange> {
        OutOfRange::check(offset, bytes.len(), self.len)?;
        match &mut self.block {
            Some(block) => block.write_at(HEADER_BYTES + offset, bytes),
            // Only nothing fits an output of length 0.
            None => Ok(()),
        }
    }

    /// Writes `bytes` at the end. Without room for them the block is replaced by one of twice the capacity, at most
    /// [`max_len`](Self::max_len): `n` bytes in any number of pieces move at most `n` bytes in all.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        let (offset, max) = (self.len, self.max);
        let len = u64::from(offset) + bytes.len() as u64;
        let len = match u32::try_from(len) {
            Ok(len) if len <= max => len,
            Ok(_) | Err(_) => {
                return Err(JobError::TooLarge { requested: u32::try_from(len).unwrap_or(u32::MAX), max });
            }
        };
        if len > self.capacity() {
            let doubled = self.capacity().saturating_mul(2).clamp(len, max);
            // A fragmented arena may have the exact length only.
            self.reserve(doubled).or_else(|_| self.reserve(len))?;
        }
        self.len = len;
        Ok(self.write_at(offset, bytes)?)
    }

    /// The arena that results come from.
    #[must_use]
    pub fn arena(&self) -> &Arena<T> {
        self.arena
    }

    /// The block and the length of the payload in it; `None` for an empty result.
    pub(super) fn finish(self) -> Option<(ArenaBox<T>, u32)> {
        let Self { block, len, .. } = self;
        if len == 0 { None } else { block.map(|block| (block, len)) }
    }
}

impl<T: Cooperative> JobOutput<'_, T> {
    /// The bytes of the result, to be written in place: as many as [`set_len`](Self::set_len) said.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let start = HEADER_BYTES as usize;
        let end = start + self.len as usize;
        let block = self.block.as_mut().map(ArenaBox::as_mut_slice);
        // The block has room for the header and `len` bytes.
        block.and_then(|bytes| bytes.get_mut(start..end)).unwrap_or_default()
    }
}

impl<T: Trust> fmt::Debug for JobOutput<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobOutput").field("len", &self.len).field("max", &self.max).finish_non_exhaustive()
    }
}

/// Whether the payload of a result is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    /// By the compressor; unused without one.
    #[cfg_attr(not(feature = "lz4"), expect(dead_code, reason = "nothing packs without the feature"))]
    Lz4,
}

/// Writes the header in front of a result.
pub(super) fn seal<T: Trust>(block: &mut ArenaBox<T>, id: JobId, len: u32, packing: Packing) -> Result<(), OutOfRange> {
    let packed = match packing {
        Packing::Plain => 0,
        Packing::Lz4 => FLAG_LZ4,
    };
    let header = Header { id, len, code: CODE_RESULT, flags: FLAG_ANSWER | packed };
    block.write_at(0, &header.to_bytes())
}

fn move_bytes<T: Trust>(from: &ArenaBox<T>, to: &mut ArenaBox<T>, len: u32) -> Result<(), OutOfRange> {
    let mut piece = [0; MOVE_BYTES];
    let mut at = HEADER_BYTES;
    let end = HEADER_BYTES + len;
    while at < end {
        let count = ((end - at) as usize).min(MOVE_BYTES);
        let bytes = &mut piece[..count];
        from.read_at(at, bytes)?;
        to.write_at(at, bytes)?;
        // At most `MOVE_BYTES`.
        at += u32::try_from(count).unwrap_or(end - at);
    }
    Ok(())
}
