//! The frames of the detector. `docs/detector.md` gives the layout.

use alloc::vec::Vec;

use thiserror::Error;

use crate::{
    Actor, Id,
    bytes::{CHECKSUM_BYTES, Put, Reader, Sealed, seal, unseal},
};

const MAGIC: [u8; 2] = *b"IH";
const VERSION: u8 = 1;
const KIND_HEARTBEAT: u8 = 1;

/// No frame is longer: one to a node whose id has 64 bytes.
const MAX_FRAME: usize = 2 + 1 + 1 + 8 + (1 + 64) + 8 + (8 + 8) + 8 + CHECKSUM_BYTES;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// Of the sender.
    pub(crate) incarnation: u64,
    /// The sender's beat, from 1.
    pub(crate) sequence: u64,
    /// Incarnation and sequence of the last heartbeat that the sender heard from the receiver.
    pub(crate) echo: Option<(u64, u64)>,
    /// Announced silence that is left.
    pub(crate) quiet_us: u64,
}

impl Heartbeat {
    pub(crate) fn write<N: Id>(&self, to: N, out: &mut Vec<u8>) {
        let (echo_incarnation, echo_sequence) = self.echo.unwrap_or_default();
        out.clear();
        out.put(&MAGIC);
        out.put(&[VERSION, KIND_HEARTBEAT]);
        out.put(&self.incarnation.to_le_bytes());
        out.put_id(&to);
        for word in [self.sequence, echo_incarnation, echo_sequence, self.quiet_us] {
            out.put(&word.to_le_bytes());
        }
        seal(out);
    }

    /// Reads a frame that was sent to `me`.
    pub(crate) fn read<N: Id>(me: Actor<N>, frame: &[u8]) -> Result<Self, HeartbeatError> {
        if frame.len() > MAX_FRAME {
            return Err(HeartbeatError::TooLong { len: frame.len(), max: MAX_FRAME });
        }
        let (body, sealed) = unseal(frame).ok_or(HeartbeatError::Malformed)?;
        let mut reader = Reader(body);
        if reader.take(2).ok_or(HeartbeatError::Malformed)? != MAGIC {
            return Err(HeartbeatError::Malformed);
        }
        // Before the checksum: another version may have another one.
        let version = reader.u8().ok_or(HeartbeatError::Malformed)?;
        if version != VERSION {
            return Err(HeartbeatError::Version { found: version });
        }
        if sealed == Sealed::Damaged {
            return Err(HeartbeatError::Checksum);
        }
        let (to, heartbeat) = Self::fields::<N>(reader).ok_or(HeartbeatError::Malformed)?;
        if to == me.node { Ok(heartbeat) } else { Err(HeartbeatError::Misrouted) }
    }

    fn fields<N: Id>(mut reader: Reader<'_>) -> Option<(N, Self)> {
        if reader.u8()? != KIND_HEARTBEAT {
            return None;
        }
        let incarnation = reader.u64()?;
        let to = N::read_id(reader.id_bytes()?)?;
        let sequence = reader.u64()?;
        let echo = match (reader.u64()?, reader.u64()?) {
            (0, 0) => None,
            (_, 0) => return None,
            echo => Some(echo),
        };
        let quiet_us = reader.u64()?;
        reader.end()?;
        (sequence > 0).then_some((to, Self { incarnation, sequence, echo, quiet_us }))
    }
}

/// The frame was refused; nothing changed but [`DetectorCounters::refused`](crate::DetectorCounters::refused).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeartbeatError {
    /// The sender is a stranger, or one of the two nodes watches and the other does not.
    #[error("the sender is not watched")]
    NotWatched,
    /// Longer than any frame of this version: not a heartbeat.
    #[error("a frame of {len} bytes exceeds {max}")]
    TooLong {
        /// Length of the frame in bytes.
        len: usize,
        /// The longest there is.
        max: usize,
    },
    /// The bytes do not have the form of a frame.
    #[error("malformed frame")]
    Malformed,
    /// The sender speaks another version.
    #[error("detector version {found} is not spoken here")]
    Version {
        /// The version of the frame.
        found: u8,
    },
    /// The frame was damaged on its way.
    #[error("checksum mismatch")]
    Checksum,
    /// The frame was meant for another node: an error of the transport.
    #[error("the frame was meant for another node")]
    Misrouted,
}
