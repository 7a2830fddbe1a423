//! The sixteen bytes in front of every request and answer, and errors as bytes.

use super::JobId;
use super::error::{JobError, Message};
use crate::ring::Kind;

/// Bytes of a header.
pub(super) const HEADER_BYTES: u32 = 16;
/// Bytes of the figures of an error.
const FIGURES_BYTES: usize = 12;
/// Longest inline answer: header, figures and text.
pub(super) const REFUSAL_BYTES: usize = HEADER_BYTES as usize + FIGURES_BYTES + Message::MAX_LEN as usize;

/// In a request: the caller can unpack LZ4.
pub(super) const FLAG_ACCEPTS_LZ4: u16 = 1;
/// In an answer: the payload is packed.
pub(super) const FLAG_LZ4: u16 = 2;
/// In every answer.
pub(super) const FLAG_ANSWER: u16 = 0x8000;

/// The code of a result.
pub(super) const CODE_RESULT: u16 = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: JobId,
    pub(super) len: u32,
    pub(super) code: u16,
    pub(super) flags: u16,
}

impl Header {
    pub(super) const ZERO: [u8; HEADER_BYTES as usize] = [0; HEADER_BYTES as usize];

    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = Self::ZERO;
        bytes[..8].copy_from_slice(&self.id.0.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.code.to_le_bytes());
        bytes[14..].copy_from_slice(&self.flags.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; HEADER_BYTES as usize]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self {
            id: JobId(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
            len: u32::from_le_bytes([i, j, k, l]),
            code: u16::from_le_bytes([m, n]),
            flags: u16::from_le_bytes([o, p]),
        }
    }

    fn fits(&self, container_len: u32) -> bool {
        container_len.checked_sub(HEADER_BYTES).is_some_and(|room| self.len <= room)
    }

    /// Whether it keeps the rules of a request that has `container_len` bytes with its header.
    pub(super) fn is_request_of(&self, container_len: u32) -> bool {
        self.fits(container_len) && self.code == 0 && self.flags & !FLAG_ACCEPTS_LZ4 == 0
    }

    /// Whether it keeps the rules of an answer that has `container_len` bytes with its header.
    pub(super) fn is_answer_of(&self, container_len: u32) -> bool {
        let packed = self.flags & FLAG_LZ4 != 0;
        self.fits(container_len)
            && self.flags & !FLAG_LZ4 == FLAG_ANSWER
            // Refusals are never packed.
            && (self.code == CODE_RESULT || !packed)
    }
}

/// An answer without a block, whole: header, figures, text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    bytes: [u8; REFUSAL_BYTES],
    len: usize,
}

impl Refusal {
    /// An empty result.
    pub(super) fn empty_result(id: JobId) -> Self {
        let mut refusal = Self { bytes: [0; REFUSAL_BYTES], len: HEADER_BYTES as usize };
        refusal.seal(id, CODE_RESULT);
        refusal
    }

    /// The error, its text cut so that the frame has at most `max_len` bytes. Below 28 bytes the figures go too.
    pub(super) fn new(id: JobId, error: &JobError, max_len: u32) -> Self {
        let (code, figures, message) = parts(error);
        let mut refusal = Self { bytes: [0; REFUSAL_BYTES], len: HEADER_BYTES as usize };
        let max_len = usize::try_from(max_len).unwrap_or(REFUSAL_BYTES).min(REFUSAL_BYTES);
        if max_len >= refusal.len + FIGURES_BYTES {
            for figure in figures {
                refusal.append(&figure.to_le_bytes());
            }
            let text = message.as_ref().map_or("", Message::as_str);
            let fits = text.floor_char_boundary(max_len - refusal.len);
            refusal.append(text.get(..fits).unwrap_or("").as_bytes());
        }
        refusal.seal(id, code);
        refusal
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    fn seal(&mut self, id: JobId, code: u16) {
        let len = u32::try_from(self.len).unwrap_or(HEADER_BYTES) - HEADER_BYTES;
        let header = Header { id, len, code, flags: FLAG_ANSWER };
        self.bytes[..HEADER_BYTES as usize].copy_from_slice(&header.to_bytes());
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Code, figures and text of an error.
fn parts(error: &JobError) -> (u16, [u32; 3], Option<Message>) {
    match *error {
        JobError::Failed { code, message } => (1, [code, 0, 0], Some(message)),
        JobError::UnknownKind { kind } => (2, [u32::from(kind), 0, 0], None),
        JobError::Panicked { message } => (3, [0; 3], Some(message)),
        JobError::Exhausted { requested, largest_free } => (4, [requested, largest_free, 0], None),
        JobError::TooLarge { requested, max } => (5, [requested, max, 0], None),
        JobError::Contended { requested } => (6, [requested, 0, 0], None),
        JobError::OutOfRange { offset, len, limit } => (7, [offset, len, limit], None),
        JobError::Malformed => (8, [0; 3], None),
        JobError::RunnerDied => (9, [0; 3], None),
        // A job that passes another's reason on; a result it is not.
        JobError::Unknown { code, message } => (code.max(1), [0; 3], Some(message)),
    }
}

/// The error of a refusal's code and payload; what is missing counts as zero and no text.
pub(super) fn error_of(code: u16, payload: &[u8]) -> JobError {
    let figure = |index: usize| {
        let bytes = payload.get(index * 4..index * 4 + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let message = Message::from_bytes(payload.get(FIGURES_BYTES..).unwrap_or(&[]));
    match code {
        1 => JobError::Failed { code: figure(0), message },
        2 => JobError::UnknownKind { kind: Kind::try_from(figure(0) & 0xFFFF).unwrap_or(0) },
        3 => JobError::Panicked { message },
        4 => JobError::Exhausted { requested: figure(0), largest_free: figure(1) },
        5 => JobError::TooLarge { requested: figure(0), max: figure(1) },
        6 => JobError::Contended { requested: figure(0) },
        7 => JobError::OutOfRange { offset: figure(0), len: figure(1), limit: figure(2) },
        8 => JobError::Malformed,
        9 => JobError::RunnerDied,
        code => JobError::Unknown { code, message },
    }
}
