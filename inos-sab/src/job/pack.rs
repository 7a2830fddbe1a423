//! LZ4 for results: a length and one block, checked on the way back.

use super::error::UnpackError;
use super::wire::HEADER_BYTES;
use crate::arena::ArenaBox;
use crate::trust::{Crash, Threads, Trust};
use alloc::vec::Vec;
use core::any::Any;

/// Bytes in front of the block: its length when unpacked.
#[cfg(feature = "lz4")]
const LEN_BYTES: usize = 4;

/// The bytes of a block, where the level has slices.
fn slice_of<T: Trust>(block: &ArenaBox<T>) -> Option<&[u8]> {
    let block: &dyn Any = block;
    match block.downcast_ref::<ArenaBox<Threads>>() {
        Some(block) => Some(block.as_slice()),
        None => block.downcast_ref::<ArenaBox<Crash>>().map(ArenaBox::as_slice),
    }
}

/// Calls `take` with the `len` bytes behind the header of a block: with the block's own, or where the level has no slices
/// with a copy of them in `buffer`.
pub(super) fn with_payload<T: Trust, R>(
    block: &ArenaBox<T>,
    len: u32,
    buffer: &mut Vec<u8>,
    take: impl FnOnce(&[u8]) -> R,
) -> Option<R> {
    let (start, len) = (HEADER_BYTES as usize, len as usize);
    if let Some(bytes) = slice_of(block) {
        return bytes.get(start..start.checked_add(len)?).map(take);
    }
    if buffer.len() < len {
        buffer.try_reserve(len - buffer.len()).ok()?;
        buffer.resize(len, 0);
    }
    let copy = buffer.get_mut(..len)?;
    block.read_at(HEADER_BYTES, copy).ok()?;
    Some(take(copy))
}

/// Packs results that are long enough, if it pays.
#[cfg(feature = "lz4")]
#[derive(Debug)]
pub(super) struct Packer {
    above: u32,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

#[cfg(feature = "lz4")]
impl Packer {
    pub(super) fn new(above: u32) -> Self {
        Self { above, plain: Vec::new(), packed: Vec::new() }
    }

    /// The packed payload, if it is shorter than the `len` bytes behind the header of `block`.
    pub(super) fn pack<T: Trust>(&mut self, block: &ArenaBox<T>, len: u32) -> Option<&[u8]> {
        if len <= self.above {
            return None;
        }
        let Self { plain, packed, .. } = self;
        let needed = LEN_BYTES + lz4_flex::block::get_maximum_output_size(len as usize);
        if packed.len() < needed {
            packed.try_reserve(needed - packed.len()).ok()?;
            packed.resize(needed, 0);
        }
        let (prefix, target) = packed.split_at_mut(LEN_BYTES);
        let made = with_payload(block, len, plain, |bytes| lz4_flex::block::compress_into(bytes, target).ok())??;
        prefix.copy_from_slice(&len.to_le_bytes());
        let packed = packed.get(..LEN_BYTES + made)?;
        (packed.len() < len as usize).then_some(packed)
    }
}

/// Unpacks to the whole of `target`, which becomes as long as the result.
#[cfg(feature = "lz4")]
pub(super) fn unpack(packed: &[u8], target: &mut Vec<u8>, max_len: u32) -> Result<(), UnpackError> {
    let (prefix, block) = packed.split_at_checked(LEN_BYTES).ok_or(UnpackError::Malformed)?;
    let len = u32::from_le_bytes(prefix.try_into().map_err(|_| UnpackError::Malformed)?);
    if len > max_len {
        return Err(UnpackError::TooLarge { len, max: max_len });
    }
    // A byte of a block makes at most 255: a small block cannot ask for much memory.
    if u64::from(len) > block.len() as u64 * 255 {
        return Err(UnpackError::Malformed);
    }
    resize(target, len)?;
    match lz4_flex::block::decompress_into(block, target) {
        Ok(made) if made == target.len() => Ok(()),
        Ok(_) | Err(_) => Err(UnpackError::Malformed),
    }
}

/// Without the feature nothing is unpacked.
#[cfg(not(feature = "lz4"))]
pub(super) fn unpack(_packed: &[u8], _target: &mut Vec<u8>, _max_len: u32) -> Result<(), UnpackError> {
    Err(UnpackError::Unsupported)
}

/// Makes `target` exactly `len` bytes long.
pub(super) fn resize(target: &mut Vec<u8>, len: u32) -> Result<(), UnpackError> {
    let wanted = len as usize;
    let error = UnpackError::OutOfMemory { len };
    target.try_reserve(wanted.saturating_sub(target.len())).map_err(|_| error)?;
    target.resize(wanted, 0);
    Ok(())
}
