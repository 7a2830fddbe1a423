//! The caller's side.

use super::JobId;
use super::error::{JobError, UnpackError};
use super::input::Source;
use super::pack::{resize, unpack, with_payload};
use super::wire::{CODE_RESULT, FLAG_ACCEPTS_LZ4, FLAG_LZ4, HEADER_BYTES, Header, REFUSAL_BYTES, error_of};
use crate::arena::ArenaBox;
use crate::error::{AllocError, Corrupt, OutOfRange, PushError, Rejected};
use crate::flow::Pressure;
use crate::ring::{Consumer, Flow, Frame, Kind, Producer};
use crate::sync::bell::{Patience, Wake};
use crate::trust::{Cooperative, Threads, Trust};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// After so many frames that are no answers a call ends: a peer that sends nothing else must not keep it.
const MAX_SKIPPED: u32 = 64;

/// Sends requests and gets their answers. Numbers requests from 1 on; which are under way is for the caller to know.
///
/// # Examples
///
/// ```
/// use inos_sab::{Input, JobClient, JobOutput, JobRunner, Layout, Region, Threads};
///
/// let region = Region::<Threads>::heap(&Layout::compact(1 << 12, 1 << 20, 1 << 16)?)?;
/// let mut client = JobClient::new(region.inbox_producer()?, region.outbox_consumer()?)?;
/// let mut runner = JobRunner::new(region.inbox_consumer()?, region.outbox_producer()?)?
///     .with(1, |input: Input<'_>, out: &mut JobOutput<'_>| {
///         let sum: u64 = input.bytes().iter().map(|&byte| u64::from(byte)).sum();
///         out.append(&sum.to_le_bytes())
///     });
///
/// let mut request = client.request(100_000)?; // a block, written where the job will read it
/// request.as_mut_slice().fill(2);
/// let id = client.send(1, request)?;
/// runner.run_once(1)?;
///
/// let answer = client.next_completion()?.ok_or("answered above")?;
/// assert_eq!(answer.id, id);
/// assert_eq!(answer.outcome?.as_slice(), 200_000_u64.to_le_bytes());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JobClient<T: Trust = Threads> {
    producer: Producer<T>,
    consumer: Consumer<T>,
    next_id: u64,
}

/// The answer to one request.
#[derive(Debug)]
pub struct Completion<T: Trust = Threads> {
    /// Of the request. The first answer to an id counts: around a runner's death there may be a second.
    pub id: JobId,
    /// Of the request.
    pub kind: Kind,
    /// The result, or why there is none.
    pub outcome: Result<Answer<T>, JobError>,
}

impl<T: Trust> JobClient<T> {
    /// A client whose first request has id 1.
    ///
    /// # Errors
    ///
    /// [`PushError::TooLarge`] if a frame of the inbox cannot carry the header of a request: rings have 128 bytes at
    /// least.
    pub fn new(inbox: Producer<T>, outbox: Consumer<T>) -> Result<Self, PushError> {
        let max = inbox.max_inline_len();
        if max < HEADER_BYTES {
            return Err(PushError::TooLarge { len: u64::from(HEADER_BYTES), max });
        }
        Ok(Self { producer: inbox, consumer: outbox, next_id: 1 })
    }

    /// The next request gets this id; later ones count on. For a client that goes on where another one ended.
    #[must_use]
    pub fn starting_at(mut self, id: JobId) -> Self {
        self.next_id = id.0;
        self
    }

    /// Longest payload that [`submit`](Self::submit) takes, in bytes.
    #[must_use]
    pub fn max_inline_len(&self) -> u32 {
        self.producer.max_inline_len() - HEADER_BYTES
    }

    /// Copies a request into the inbox.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`], [`PushError::Closed`], [`PushError::TooLarge`] (then a [`request`](Self::request) is for
    /// it). Nothing was sent and no id used.
    pub fn submit(&mut self, kind: Kind, payload: &[u8]) -> Result<JobId, PushError> {
        let max = self.max_inline_len();
        let error = PushError::TooLarge { len: payload.len() as u64, max };
        let len = u32::try_from(payload.len()).ok().filter(|&len| len <= max).ok_or(error)?;
        let id = JobId(self.next_id);
        let mut claim = self.producer.claim(kind, HEADER_BYTES + len)?;
        claim.write_at(0, &request_header(id, len)).map_err(|_| error)?;
        claim.write_at(HEADER_BYTES, payload).map_err(|_| error)?;
        claim.commit();
        self.next_id = self.next_id.wrapping_add(1);
        Ok(id)
    }

    /// A block for a request with a payload of `len` bytes, to be written in place.
    ///
    /// # Errors
    ///
    /// As [`Arena::alloc`](crate::Arena::alloc).
    pub fn request(&self, len: u32) -> Result<Request<T>, AllocError> {
        let arena = self.producer.arena();
        let max = arena.max_block_len();
        let with_header = len.checked_add(HEADER_BYTES).filter(|&len| len <= max);
        let block_len = with_header.ok_or(AllocError::TooLarge { requested: u64::from(len), max })?;
        Ok(Request { block: arena.alloc(block_len)? })
    }

    /// Sends a request that was written in place.
    ///
    /// # Errors
    ///
    /// The request with [`PushError::Full`], [`PushError::Closed`], or [`PushError::ForeignBlock`] if it was made by a
    /// client of another region. Nothing was sent and no id used.
    pub fn send(&mut self, kind: Kind, mut request: Request<T>) -> Result<JobId, Rejected<Request<T>>> {
        let id = JobId(self.next_id);
        if request.block.write_at(0, &request_header(id, request.len())).is_err() {
            // A request has room for its header.
            let len = u64::from(request.len());
            return Err(Rejected { value: request, reason: PushError::TooLarge { len, max: 0 } });
        }
        match self.producer.push_object(kind, request.block) {
            Ok(_) => {
                self.next_id = self.next_id.wrapping_add(1);
                Ok(id)
            }
            Err(Rejected { value, reason }) => Err(Rejected { value: Request { block: value }, reason }),
        }
    }

    /// The next answer, if there is one. Frames that are no answers (shorter than a header, or without their block) are
    /// skipped, at most 64 at once.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], now and at every later call.
    pub fn next_completion(&mut self) -> Result<Option<Completion<T>>, Corrupt> {
        let mut next = None;
        for _ in 0..MAX_SKIPPED {
            let frames = self.consumer.drain(1, |frame| {
                next = Completion::of(frame);
                Flow::Continue
            })?;
            if frames == 0 || next.is_some() {
                break;
            }
        }
        Ok(next)
    }

    /// Sleeps until there is an answer: as [`Consumer::wait`].
    pub fn wait(&mut self, timeout: Option<Duration>) -> Wake {
        self.consumer.wait(timeout)
    }

    /// Sleeps until a request of `len` bytes can be [`submit`](Self::submit)ted, or, with 0, one be
    /// [`send`](Self::send)t: as [`Producer::wait_room`].
    pub fn wait_room(&mut self, len: u32, timeout: Option<Duration>) -> Wake {
        self.producer.wait_room(len.saturating_add(HEADER_BYTES), timeout)
    }

    /// How waits pass the time.
    pub fn set_patience(&mut self, patience: Patience) {
        self.consumer.set_patience(patience);
        self.producer.set_patience(patience);
    }

    /// What the caller should do now: as [`Producer::pressure`] of the requests.
    pub fn pressure(&mut self) -> Pressure {
        self.producer.pressure()
    }

    /// Sleeps until the backlog of requests has fallen to the low marks: as [`Producer::wait_low`].
    pub fn wait_low(&mut self, timeout: Option<Duration>) -> Wake {
        self.producer.wait_low(timeout)
    }
}

fn request_header(id: JobId, len: u32) -> [u8; HEADER_BYTES as usize] {
    let flags = if cfg!(feature = "lz4") { FLAG_ACCEPTS_LZ4 } else { 0 };
    Header { id, len, code: 0, flags }.to_bytes()
}

impl<T: Trust> Completion<T> {
    fn of(frame: Frame<'_, T>) -> Option<Self> {
        let (kind, source) = match frame {
            Frame::Inline { kind, payload } => (kind, Source::Inline(payload)),
            Frame::Object { kind, object } => (kind, Source::Block(object)),
            Frame::Gone { .. } => return None,
        };
        let header = source.header()?;
        Some(Self { id: header.id, kind, outcome: Self::outcome(header, source) })
    }

    fn outcome(header: Header, source: Source<'_, T>) -> Result<Answer<T>, JobError> {
        if !header.is_answer_of(source.len()) {
            return Err(JobError::Malformed);
        }
        if header.code != CODE_RESULT {
            let mut payload = [0; REFUSAL_BYTES];
            let len = (header.len as usize).min(REFUSAL_BYTES);
            source.read_at(HEADER_BYTES, &mut payload[..len])?;
            return Err(error_of(header.code, &payload[..len]));
        }
        match source {
            Source::Block(block) => Ok(Answer { block: Some(block), len: header.len, flags: header.flags }),
            // Runners write results of at least one byte into blocks.
            Source::Inline(_) if header.len > 0 => Err(JobError::Malformed),
            Source::Inline(_) => Ok(Answer { block: None, len: 0, flags: header.flags }),
        }
    }
}

/// A block for a request: the header's room, and the payload.
pub struct Request<T: Trust = Threads> {
    block: ArenaBox<T>,
}

impl<T: Trust> Request<T> {
    /// Bytes of the payload.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.block.len().saturating_sub(HEADER_BYTES)
    }

    /// Whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes `bytes` at `offset` of the payload.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if they are not all within it; nothing is written.
    pub fn write_at(&mut self, offset: u32, bytes: &[u8]) -> Result<(), OutOfRange> {
        OutOfRange::check(offset, bytes.len(), self.len())?;
        self.block.write_at(HEADER_BYTES + offset, bytes)
    }
}

impl<T: Cooperative> Request<T> {
    /// The payload, to be written in place.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.block.as_mut_slice().get_mut(HEADER_BYTES as usize..).unwrap_or_default()
    }
}

impl<T: Trust> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A result, in the block that the job wrote it to. Dropping it frees the block.
pub struct Answer<T: Trust = Threads> {
    block: Option<ArenaBox<T>>,
    /// Checked against the block.
    len: u32,
    flags: u16,
}

impl<T: Trust> Answer<T> {
    /// Bytes, as they lie there.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the bytes are an LZ4 block with a length in front, for [`unpack`](Self::unpack).
    #[must_use]
    pub fn is_packed(&self) -> bool {
        self.flags & FLAG_LZ4 != 0
    }

    /// Copies `target.len()` bytes from `offset` on, as they lie there.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if they are not all within the result.
    pub fn read_at(&self, offset: u32, target: &mut [u8]) -> Result<(), OutOfRange> {
        OutOfRange::check(offset, target.len(), self.len)?;
        match &self.block {
            Some(block) => block.read_at(HEADER_BYTES + offset, target),
            // Only nothing fits a result of length 0.
            None => Ok(()),
        }
    }

    /// The bytes as the job wrote them, in `target`, which becomes exactly as long: unpacked, or copied if they are not
    /// packed. `max_len` is the most memory it may ask for; after an error the content of `target` is undefined.
    ///
    /// # Errors
    ///
    /// [`UnpackError`].
    pub fn unpack(&self, target: &mut Vec<u8>, max_len: u32) -> Result<(), UnpackError> {
        if self.is_packed() {
            let block = self.block.as_ref().ok_or(UnpackError::Malformed)?;
            let mut buffer = Vec::new();
            let unpacked = with_payload(block, self.len, &mut buffer, |packed| unpack(packed, target, max_len));
            return unpacked.unwrap_or(Err(UnpackError::OutOfMemory { len: self.len }));
        }
        if self.len > max_len {
            return Err(UnpackError::TooLarge { len: self.len, max: max_len });
        }
        resize(target, self.len)?;
        self.read_at(0, target).map_err(|_| UnpackError::Malformed)
    }
}

impl<T: Cooperative> Answer<T> {
    /// The bytes as they lie there, without a copy.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        let start = HEADER_BYTES as usize;
        let bytes = self.block.as_ref().map(ArenaBox::as_slice);
        bytes.and_then(|bytes| bytes.get(start..start + self.len as usize)).unwrap_or_default()
    }
}

impl<T: Trust> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("len", &self.len).field("is_packed", &self.is_packed()).finish_non_exhaustive()
    }
}
