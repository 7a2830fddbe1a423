//! Frames written in place, and frames published together.

use super::frame::Kind;
use super::producer::{Producer, Room};
use crate::arena::ArenaBox;
use crate::error::{OutOfRange, PushError, Rejected};
use crate::flow::Pressure;
#[cfg(not(inos_loom))]
use crate::trust::Cooperative;
use crate::trust::{Threads, Trust};

/// Room for one frame, to be written in place. Dropping it, like [`abort`](Self::abort), leaves no trace, and so does
/// forgetting it.
#[derive(Debug)]
pub struct Claim<'a, T: Trust = Threads> {
    pub(super) producer: &'a mut Producer<T>,
    pub(super) room: Room,
    pub(super) kind: Kind,
}

impl<T: Trust> Claim<'_, T> {
    /// Bytes of the payload.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.room.len
    }

    /// Whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.room.len == 0
    }

    /// Writes into the payload. What is never written holds what the ring held before.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if the bytes are not all within the payload.
    pub fn write_at(&mut self, offset: u32, bytes: &[u8]) -> Result<(), OutOfRange> {
        OutOfRange::check(offset, bytes.len(), self.room.len)?;
        self.producer.write(self.room, offset, bytes);
        Ok(())
    }

    /// Publishes the frame.
    #[inline]
    pub fn commit(self) -> Pressure {
        self.producer.seal(self.room, self.kind, 0);
        self.producer.publish()
    }

    /// Gives the room back.
    pub fn abort(self) {}
}

#[cfg(not(inos_loom))]
impl<T: Cooperative> Claim<'_, T> {
    /// The payload in place, to be written. It starts with what the ring held there before.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.producer.payload_mut(self.room)
    }
}

/// Frames that are published together when the batch is dropped or [`publish`](Self::publish)ed. A batch that is
/// forgotten is published by whatever the producer is asked for next, or by its end.
#[derive(Debug)]
pub struct Batch<'a, T: Trust = Threads> {
    pub(super) producer: &'a mut Producer<T>,
}

impl<T: Trust> Batch<'_, T> {
    /// Adds a frame.
    ///
    /// # Errors
    ///
    /// As [`Producer::try_push`]; the frames before it stay in the batch.
    #[inline]
    pub fn push(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), PushError> {
        self.producer.stage(kind, bytes)
    }

    /// Adds an arena block.
    ///
    /// # Errors
    ///
    /// As [`Producer::push_object`]; the frames before it stay in the batch.
    pub fn push_object(&mut self, kind: Kind, object: ArenaBox<T>) -> Result<(), Rejected<ArenaBox<T>>> {
        self.producer.stage_object(kind, object)
    }

    /// Publishes what was added.
    pub fn publish(self) -> Pressure {
        self.producer.publish()
    }
}

impl<T: Trust> Drop for Batch<'_, T> {
    fn drop(&mut self) {
        self.producer.settle();
    }
}
