//! The client's side of the rings: puts pieces on nodes and asks for them.
//!
//! What to notice: the client allocates a block in the shared arena, writes the piece there once, and passes the handle;
//! the host reads it in place. When the arena or a ring is full, the client turns to the answers that wait for it
//! (back-pressure), so nothing is ever dropped and memory stays bounded by the region.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use inos_sab::{
    AllocError, Consumer, Corrupt, Flow, Frame, Layout, OutOfRange, Producer, PushError, Region, RegionError, Threads,
};

use crate::host::{Address, Conduct, Host, answer, request};

/// The rings or the host failed; a bug or an exhausted machine, not an event of the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The region could not be made.
    #[error("no shared region: {0}")]
    Region(#[from] RegionError),
    /// A frame was not taken for another reason than being full.
    #[error("a frame was refused: {0}")]
    Push(#[from] PushError),
    /// A message does not fit the arena at all.
    #[error("a message does not fit the arena: {0}")]
    Alloc(#[from] AllocError),
    /// A block was addressed outside its length.
    #[error("a block was overrun: {0}")]
    Range(#[from] OutOfRange),
    /// The ring holds no frames any more.
    #[error("a ring is corrupt: {0}")]
    Corrupt(#[from] Corrupt),
    /// A frame that neither side sends.
    #[error("a frame of kind {kind} is malformed")]
    Malformed {
        /// The frame's kind.
        kind: u16,
    },
    /// The host did not answer.
    #[error("the host thread has not answered for {waited:?}")]
    Silent {
        /// How long it was waited for.
        waited: Duration,
    },
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The node stored the piece.
    Stored,
    /// The piece in its wire form, as the node tells it: to be verified.
    Piece(Bytes),
    /// The node lives but does not have it.
    Absent,
    /// The node does not answer.
    Unreachable,
}

/// A sign of life of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Which node.
    pub node: u32,
    /// Bytes it stores.
    pub stored_bytes: u64,
}

/// Requests under way at most: with answers of 1 MiB each they fit the arena twice.
const WINDOW: usize = 12;
/// How long the client sleeps between two looks when nobody wakes it.
const NAP: Duration = Duration::from_millis(20);
/// How long the host may be silent while requests are open.
const PATIENCE: Duration = Duration::from_secs(60);

/// One direction of the link.
#[derive(Debug)]
pub(crate) struct Post {
    ring: Producer,
}

impl Post {
    pub(crate) const fn new(ring: Producer) -> Self {
        Self { ring }
    }

    /// Sends a short frame; `false` when the ring is full.
    pub(crate) fn try_inline(&mut self, kind: u16, bytes: &[u8]) -> Result<bool, LinkError> {
        match self.ring.try_push(kind, bytes) {
            Ok(_) => Ok(true),
            Err(PushError::Full { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a header and a body of any length as one object; `false` when the arena or the ring is full.
    pub(crate) fn try_object(&mut self, kind: u16, header: &[u8], body: &[&[u8]]) -> Result<bool, LinkError> {
        let len = header.len() + body.iter().map(|part| part.len()).sum::<usize>();
        let len = u32::try_from(len).map_err(|_| LinkError::Malformed { kind })?;
        let mut block = match self.ring.arena().alloc(len) {
            Ok(block) => block,
            Err(AllocError::Exhausted { .. } | AllocError::Contended { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let mut at = 0;
        for part in core::iter::once(&header).chain(body) {
            block.write_at(at, part)?;
            at += u32::try_from(part.len()).expect("a part is shorter than the whole, which fits");
        }
        match self.ring.push_object(kind, block) {
            Ok(_) => Ok(true),
            Err(rejected) if matches!(rejected.reason, PushError::Full { .. }) => Ok(false),
            Err(rejected) => Err(rejected.reason.into()),
        }
    }
}

/// A connection to all nodes of the mesh.
#[derive(Debug)]
pub struct Link {
    post: Post,
    outbox: Consumer,
    /// Requests sent and not yet answered.
    open: usize,
    frames: u64,
    object_bytes: u64,
    host: Option<JoinHandle<Result<(), LinkError>>>,
}

impl Link {
    /// Starts a host that plays one node per element of `conducts`, numbered from 0.
    ///
    /// # Errors
    /// [`LinkError::Region`] when there is no memory for the shared region.
    pub fn start(conducts: &[Conduct]) -> Result<Self, LinkError> {
        let region = Region::<Threads>::heap(&Layout::STANDARD)?;
        let post = Post::new(region.inbox_producer()?);
        let outbox = region.outbox_consumer()?;
        let host = Host::new(conducts, region.inbox_consumer()?, Post::new(region.outbox_producer()?));
        let host = std::thread::spawn(move || host.serve());
        Ok(Self { post, outbox, open: 0, frames: 0, object_bytes: 0, host: Some(host) })
    }

    /// Frames sent in both directions, and bytes that crossed in the arena.
    #[must_use]
    pub const fn traffic(&self) -> (u64, u64) {
        (self.frames, self.object_bytes)
    }

    /// Stores the piece of these wire bytes (header and body) on a node, without waiting for its answer unless
    /// many are open. Answers, of this and earlier requests, go to `on_answer`.
    ///
    /// # Errors
    /// [`LinkError`] when the host is gone.
    pub fn put(
        &mut self,
        to: Address,
        header: &[u8],
        body: &[u8],
        on_answer: &mut dyn FnMut(Address, Answer),
    ) -> Result<(), LinkError> {
        let address = to.to_bytes();
        self.object_bytes += (Address::LEN + header.len() + body.len()) as u64;
        self.request(on_answer, |post| post.try_object(request::PUT, &address, &[header, body]))
    }

    /// Asks a node for a piece, as [`put`](Self::put) does.
    ///
    /// # Errors
    /// [`LinkError`] when the host is gone.
    pub fn get(&mut self, from: Address, on_answer: &mut dyn FnMut(Address, Answer)) -> Result<(), LinkError> {
        let address = from.to_bytes();
        self.request(on_answer, |post| post.try_inline(request::GET, &address))
    }

    /// Waits until every request is answered.
    ///
    /// # Errors
    /// [`LinkError`] when the host is gone.
    pub fn finish(&mut self, on_answer: &mut dyn FnMut(Address, Answer)) -> Result<(), LinkError> {
        while self.open > 0 {
            self.collect(on_answer)?;
        }
        Ok(())
    }

    /// Asks all nodes for a sign of life; those that are dead give none.
    ///
    /// # Errors
    /// [`LinkError`] when the host is gone.
    pub fn beat(&mut self) -> Result<Vec<Beat>, LinkError> {
        self.finish(&mut |_, _| {})?;
        self.command(request::BEAT, &[])?;
        let mut beats = Vec::new();
        let mut ended = false;
        let start = Instant::now();
        while !ended {
            let mut malformed = None;
            let mut frames = 0;
            self.outbox.drain(WINDOW, |frame| {
                frames += 1;
                match frame {
                    Frame::Inline { kind: answer::ALIVE, payload } => {
                        ended |= payload.is_empty();
                        beats.extend(payload.bytes().chunks_exact(Beat::LEN).filter_map(Beat::from_bytes));
                    }
                    other => malformed = Some(other.kind()),
                }
                Flow::Continue
            })?;
            self.frames += frames;
            if let Some(kind) = malformed {
                return Err(LinkError::Malformed { kind });
            }
            if frames == 0 {
                self.nap(start)?;
            }
        }
        Ok(beats)
    }

    /// Kills a node: from now on it neither answers nor beats, and what it stored is gone.
    ///
    /// # Errors
    /// [`LinkError`] when the host is gone.
    pub fn kill(&mut self, node: u32) -> Result<(), LinkError> {
        self.command(request::KILL, &node.to_le_bytes())
    }

    /// Sends an unanswered frame while no request is open.
    fn command(&mut self, kind: u16, bytes: &[u8]) -> Result<(), LinkError> {
        let start = Instant::now();
        while !self.post.try_inline(kind, bytes)? {
            self.nap(start)?;
        }
        self.frames += 1;
        Ok(())
    }

    /// Sends a request as soon as there is room, and collects answers meanwhile.
    fn request(
        &mut self,
        on_answer: &mut dyn FnMut(Address, Answer),
        mut attempt: impl FnMut(&mut Post) -> Result<bool, LinkError>,
    ) -> Result<(), LinkError> {
        while self.open >= WINDOW {
            self.collect(on_answer)?;
        }
        let start = Instant::now();
        while !attempt(&mut self.post)? {
            if self.open > 0 {
                self.collect(on_answer)?;
            } else {
                self.nap(start)?;
            }
        }
        self.open += 1;
        self.frames += 1;
        Ok(())
    }

    /// Takes at least one answer, waiting for it.
    fn collect(&mut self, on_answer: &mut dyn FnMut(Address, Answer)) -> Result<(), LinkError> {
        let start = Instant::now();
        loop {
            let mut malformed = None;
            let mut answers = 0;
            let mut object_bytes = 0;
            self.outbox.drain(WINDOW, |frame| {
                match read_answer(frame) {
                    Ok((address, answer)) => {
                        answers += 1;
                        if let Answer::Piece(piece) = &answer {
                            object_bytes += (Address::LEN + piece.len()) as u64;
                        }
                        on_answer(address, answer);
                    }
                    Err(kind) => malformed = Some(kind),
                }
                Flow::Continue
            })?;
            self.object_bytes += object_bytes;
            self.frames += answers as u64;
            self.open = self.open.saturating_sub(answers);
            if let Some(kind) = malformed {
                return Err(LinkError::Malformed { kind });
            }
            if answers > 0 {
                return Ok(());
            }
            self.nap(start)?;
        }
    }

    /// Sleeps until the outbox has something, for [`NAP`] at most; fails after [`PATIENCE`] since `start`.
    fn nap(&mut self, start: Instant) -> Result<(), LinkError> {
        let waited = start.elapsed();
        if waited > PATIENCE || self.host.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err(LinkError::Silent { waited });
        }
        self.outbox.wait(Some(NAP));
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The ring has room: of what the client sent, only the few open requests can still be in it. A host that has
        // failed needs no telling.
        let _ = self.command(request::STOP, &[]);
        if let Some(host) = self.host.take() {
            let _ = host.join();
        }
    }
}

fn read_answer(frame: Frame<'_>) -> Result<(Address, Answer), u16> {
    let kind = frame.kind();
    match frame {
        Frame::Inline { payload, .. } => {
            let address = Address::from_bytes(payload.bytes()).ok_or(kind)?;
            match kind {
                answer::STORED => Ok((address, Answer::Stored)),
                answer::ABSENT => Ok((address, Answer::Absent)),
                answer::UNREACHABLE => Ok((address, Answer::Unreachable)),
                _ => Err(kind),
            }
        }
        Frame::Object { object, .. } if kind == answer::PIECE => {
            let (address, piece) = object.as_slice().split_at_checked(Address::LEN).ok_or(kind)?;
            let address = Address::from_bytes(address).ok_or(kind)?;
            Ok((address, Answer::Piece(Bytes::copy_from_slice(piece))))
        }
        _ => Err(kind),
    }
}

impl Beat {
    /// Bytes of a beat in an `ALIVE` frame.
    pub(crate) const LEN: usize = 12;

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.node.to_le_bytes());
        bytes[4..].copy_from_slice(&self.stored_bytes.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (node, stored_bytes) = bytes.split_first_chunk()?;
        let stored_bytes = u64::from_le_bytes(stored_bytes.try_into().ok()?);
        Some(Self { node: u32::from_le_bytes(*node), stored_bytes })
    }
}
