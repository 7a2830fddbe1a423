//! Why there is no result.

use crate::error::{AllocError, Corrupt, OutOfRange, PushError};
use crate::ring::Kind;
use core::fmt::{self, Write};
use thiserror::Error;

/// At most 100 bytes of text that travel with an error, so that any error fits a frame of a 1 KiB ring.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message {
    bytes: [u8; Self::MAX_LEN as usize],
    len: u8,
}

impl Message {
    /// Longest text in bytes; what is longer is cut at a character.
    pub const MAX_LEN: u8 = 100;

    const EMPTY: Self = Self { bytes: [0; Self::MAX_LEN as usize], len: 0 };

    /// What `text` shows.
    #[must_use]
    pub fn new(text: impl fmt::Display) -> Self {
        let mut message = Self::EMPTY;
        // An error means that the text is full, or that `text` gave up: what is there is kept.
        let _ = write!(message, "{text}");
        message
    }

    /// The text of bytes that may be none.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let valid = match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                bytes.get(..error.valid_up_to()).and_then(|part| core::str::from_utf8(part).ok()).unwrap_or("")
            }
        };
        Self::new(valid)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.len)).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = usize::from(self.len);
        let free = self.bytes.len() - start;
        let fits = text.floor_char_boundary(free);
        self.bytes[start..start + fits].copy_from_slice(&text.as_bytes()[..fits]);
        // At most `MAX_LEN`.
        self.len = u8::try_from(start + fits).unwrap_or(Self::MAX_LEN);
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Why a request has no result; travels to the caller in its place.
///
/// # Examples
///
/// ```
/// use inos_sab::JobError;
///
/// let error = JobError::failed(7, format_args!("chunk {} is not here", 12));
/// assert_eq!(error.to_string(), "job failed with code 7: chunk 12 is not here");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JobError {
    /// The job's own reason. Make it by [`failed`](Self::failed).
    #[error("job failed with code {code}: {message}")]
    Failed {
        /// In the job's own numbering.
        code: u32,
        /// In words.
        message: Message,
    },
    /// The caller's fault: the runner has no job of this kind. Nothing ran.
    #[error("no job has kind {kind}")]
    UnknownKind {
        /// The kind of the request.
        kind: Kind,
    },
    /// The job's fault: it panicked. What it had written was dropped.
    #[error("the job panicked: {message}")]
    Panicked {
        /// The text of the panic, if it had one.
        message: Message,
    },
    /// Nobody's fault: the arena has no block for the result. Drop some and ask again.
    #[error("no free block of {requested} bytes for the result, the largest is {largest_free}")]
    Exhausted {
        /// Bytes asked for.
        requested: u32,
        /// Longest block that could have been given, in bytes.
        largest_free: u32,
    },
    /// The job's fault, or its runner's limit is too low: the result would be longer than is allowed.
    #[error("a result of {requested} bytes is above the limit of {max}")]
    TooLarge {
        /// Bytes asked for; `u32::MAX` for all that is longer.
        requested: u32,
        /// The runner's limit.
        max: u32,
    },
    /// Nobody's fault: others kept moving the space that was looked at. Ask again.
    #[error("space for a result of {requested} bytes was contended")]
    Contended {
        /// Bytes asked for.
        requested: u32,
    },
    /// The job's fault: it named bytes outside of its input or output.
    #[error("bytes {offset}..{offset}+{len} are outside of {limit}")]
    OutOfRange {
        /// First byte.
        offset: u32,
        /// Bytes; `u32::MAX` for all that is longer.
        len: u32,
        /// Bytes there are.
        limit: u32,
    },
    /// The fault of whoever wrote it: the header of the request, or of this answer, breaks the format.
    #[error("the header does not fit its payload, or has unknown flags")]
    Malformed,
    /// The process that ran the job died while it did. The request may have had effects.
    #[error("the runner died while it ran the job")]
    RunnerDied,
    /// A reason that this version does not know.
    #[error("unknown reason {code}: {message}")]
    Unknown {
        /// As it stands in the answer.
        code: u16,
        /// In words.
        message: Message,
    },
}

impl JobError {
    /// A reason of the job's own. Of what `text` shows, the first 100 bytes travel.
    #[must_use]
    pub fn failed(code: u32, text: impl fmt::Display) -> Self {
        Self::Failed { code, message: Message::new(text) }
    }
}

impl From<OutOfRange> for JobError {
    fn from(error: OutOfRange) -> Self {
        let OutOfRange { offset, len, limit } = error;
        Self::OutOfRange { offset, len: u32::try_from(len).unwrap_or(u32::MAX), limit }
    }
}

impl From<AllocError> for JobError {
    fn from(error: AllocError) -> Self {
        match error {
            AllocError::Exhausted { requested, largest_free } => Self::Exhausted { requested, largest_free },
            AllocError::TooLarge { requested, max } => {
                Self::TooLarge { requested: u32::try_from(requested).unwrap_or(u32::MAX), max }
            }
            AllocError::Contended { requested, .. } => Self::Contended { requested },
        }
    }
}

/// A runner could not be made, or cannot go on. No request and no answer is lost: what was finished is kept and
/// published by the next call that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JobRunnerError {
    /// The layout's fault: the header of an answer does not fit a frame. Nothing was made; rings have 128 bytes at least.
    #[error("frames of at most {max} bytes cannot carry the {needed} of a header")]
    RingTooSmall {
        /// Bytes of a header.
        needed: u32,
        /// Longest inline payload of the ring.
        max: u32,
    },
    /// The reader of the answers has left; another one may come. The finished answer is kept.
    #[error("the reader of the answers has left")]
    Closed,
    /// The ring of the answers refuses a frame that it should take: its room, or its words, are not what they were.
    #[error("the ring of the answers refused a frame: {reason}")]
    Refused {
        /// What the ring said.
        reason: PushError,
    },
    /// A peer's fault: one of the rings cannot be used any more.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

impl From<PushError> for JobRunnerError {
    fn from(reason: PushError) -> Self {
        match reason {
            PushError::Closed => Self::Closed,
            PushError::Corrupt(corrupt) => Self::Corrupt(corrupt),
            reason => Self::Refused { reason },
        }
    }
}

/// A packed result was not unpacked. The answer is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The result is, or says it is, longer than the caller allows.
    #[error("the result unpacks to {len} bytes, above the limit of {max}")]
    TooLarge {
        /// What it says.
        len: u32,
        /// What the caller allows.
        max: u32,
    },
    /// The sender's fault: not an LZ4 block of the length it says.
    #[error("the result is no LZ4 block of the length it says")]
    Malformed,
    /// The result is packed and this build cannot unpack: the sender's fault, who was not told that it could.
    #[error("the result is packed, and this build has no `lz4`")]
    Unsupported,
    /// The allocator has no memory for the unpacked bytes.
    #[error("no memory for {len} bytes")]
    OutOfMemory {
        /// Bytes asked for.
        len: u32,
    },
}
