//! Clocks as bytes.

use alloc::vec::Vec;

use thiserror::Error;

use super::{Actor, Dot, VectorClock};
use crate::{
    Id,
    bytes::{Put, Reader},
};

/// No id is shorter than a byte: its length, itself, incarnation, counter.
const MIN_DOT_BYTES: usize = 1 + 1 + 8 + 8;

/// Bytes are not a clock. Whoever made or carried them is at fault; no clock was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClockError {
    /// The bytes end before the clock does.
    #[error("the clock is cut short at actor {index}")]
    Truncated {
        /// From 0. Of the first actor that is not whole.
        index: u32,
    },
    /// More actors are announced than the bytes have room for. Nothing was allocated for them.
    #[error("{claimed} actors are announced in {bytes} bytes")]
    Count {
        /// How many actors are announced.
        claimed: u32,
        /// How many bytes follow the announcement.
        bytes: usize,
    },
    /// [`Id::read_id`] does not know the bytes of a node.
    #[error("the node of actor {index} is not an id")]
    Node {
        /// From 0.
        index: u32,
    },
    /// An actor does not stand after the one before it: the order is wrong, or an actor is there twice.
    #[error("actor {index} is not above the one before it")]
    Order {
        /// From 0.
        index: u32,
    },
    /// An actor has the counter 0, which no clock writes.
    #[error("actor {index} has no event")]
    ZeroCounter {
        /// From 0.
        index: u32,
    },
    /// Something follows the clock.
    #[error("{bytes} bytes follow the clock")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

impl<N: Id> VectorClock<N> {
    /// The clock as bytes, for messages of the integrator's own: O(actors).
    ///
    /// A count of four bytes, then per actor, ascending: the length of the node's id in one byte, the id, the
    /// incarnation and the counter in eight bytes each, all little-endian. A clock has exactly one such form. There is
    /// no checksum and no proof of origin: what carries the bytes supplies both.
    ///
    /// ```
    /// use inos_quorum::{Actor, ClockError, VectorClock};
    ///
    /// let mut clock = VectorClock::new();
    /// clock.increment(Actor { node: 7_u32, incarnation: 1 });
    /// let bytes = clock.to_bytes();
    /// assert_eq!(bytes.len(), 4 + 1 + 4 + 8 + 8);
    /// assert_eq!(VectorClock::from_bytes(&bytes), Ok(clock));
    /// assert_eq!(VectorClock::<u32>::from_bytes(&bytes[..24]), Err(ClockError::Truncated { index: 0 }));
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. O(actors); never panics, and memory is at most a small multiple
    /// of `bytes`.
    ///
    /// # Errors
    ///
    /// [`ClockError`] says what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ClockError> {
        let mut reader = Reader(bytes);
        let clock = Self::decode(&mut reader)?;
        if !reader.0.is_empty() {
            return Err(ClockError::Trailing { bytes: reader.0.len() });
        }
        Ok(clock)
    }

    /// Appends the form of [`to_bytes`](Self::to_bytes) to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        // A clock of 2^32 actors fits no memory that this crate's limits allow; it would be refused when read.
        out.put(&u32::try_from(self.counters.len()).unwrap_or(u32::MAX).to_le_bytes());
        for dot in self.dots() {
            dot.encode(out);
        }
    }

    /// Reads one clock and leaves what follows it.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, ClockError> {
        let claimed = reader.u32().ok_or(ClockError::Truncated { index: 0 })?;
        let bytes = reader.0.len();
        let count = room(claimed, MIN_DOT_BYTES, reader).ok_or(ClockError::Count { claimed, bytes })?;
        let mut counters: Vec<(Actor<N>, u64)> = Vec::with_capacity(count);
        for index in 0..claimed {
            let Dot { actor, counter } = decode_dot(reader, index)?;
            if counters.last().is_some_and(|&(last, _)| last >= actor) {
                return Err(ClockError::Order { index });
            }
            if counter == 0 {
                return Err(ClockError::ZeroCounter { index });
            }
            counters.push((actor, counter));
        }
        Ok(Self { counters })
    }
}

impl<N: Id> Dot<N> {
    /// Appends node, incarnation and counter to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_id(&self.actor.node);
        out.put(&self.actor.incarnation.to_le_bytes());
        out.put(&self.counter.to_le_bytes());
    }

    /// Reads what [`encode`](Self::encode) wrote; a counter of 0 too.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        decode_dot(reader, 0).ok()
    }
}

fn decode_dot<N: Id>(reader: &mut Reader<'_>, index: u32) -> Result<Dot<N>, ClockError> {
    let truncated = ClockError::Truncated { index };
    let node = reader.id_bytes().ok_or(truncated)?;
    let node = N::read_id(node).ok_or(ClockError::Node { index })?;
    let incarnation = reader.u64().ok_or(truncated)?;
    let counter = reader.u64().ok_or(truncated)?;
    Ok(Dot { actor: Actor { node, incarnation }, counter })
}

/// `claimed` when as many items of at least `item_bytes` fit into what is left to read.
pub(super) fn room(claimed: u32, item_bytes: usize, reader: &Reader<'_>) -> Option<usize> {
    let count = usize::try_from(claimed).ok()?;
    (count <= reader.0.len() / item_bytes).then_some(count)
}
