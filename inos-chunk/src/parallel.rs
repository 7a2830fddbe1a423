//! Encoding on several threads. Needs the feature `parallel`; absent on wasm32, whose threads are the host's affair.
//!
//! [`Encoder`] here makes the pieces that [`crate::Encoder`] makes: the same bytes and ids in the same order, the same
//! manifest, whatever the number of workers. It starts its threads when it is made and joins them when it is dropped;
//! nothing else in this crate starts any. The calling thread is one of the workers: it works in
//! [`next_piece`](Encoder::next_piece) whenever it would have to wait, and pushes no further ahead than a fixed number
//! of chunks, so that memory is bounded however fast or slow either side is.
//!
//! ```
//! use bytes::Bytes;
//! use inos_chunk::{Config, parallel};
//!
//! let config = Config::default();
//! let resource = Bytes::from(vec![7; 5_000_000]);
//! let workers = parallel::Workers::new(2).expect("two is a number of workers");
//!
//! let mut encoder = parallel::Encoder::new(resource.len() as u64, &config, workers)?;
//! let mut pieces = Vec::new();
//! for part in resource.chunks(1_000_000) {
//!     encoder.push(Bytes::copy_from_slice(part))?;
//!     while let Some(piece) = encoder.next_piece() {
//!         pieces.push(piece);
//!     }
//! }
//! encoder.end()?;
//! pieces.extend(std::iter::from_fn(|| encoder.next_piece()));
//!
//! let alone = inos_chunk::encode(&resource, &config)?;
//! assert_eq!((encoder.finish()?, pieces), (alone.manifest, alone.pieces));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod job;
mod pool;
mod stripe;
#[cfg(test)]
mod tests;

use crate::encoder::Machine;
use crate::layout::StripeShape;
use crate::{Config, EncodeError, Encoded, Manifest, Piece};
use alloc::vec::Vec;
use bytes::Bytes;
use core::num::NonZeroU16;
use pool::Pool;

/// How many threads work, the calling one included: 1..=[`Workers::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workers(NonZeroU16);

impl Workers {
    /// The most workers, 256.
    pub const MAX: u16 = 256;

    /// `count` workers: the calling thread, and `count - 1` that are started. `None` for 0 and above
    /// [`Workers::MAX`].
    #[must_use]
    pub const fn new(count: u16) -> Option<Self> {
        match NonZeroU16::new(count) {
            Some(workers) if count <= Self::MAX => Some(Self(workers)),
            _ => None,
        }
    }

    /// As many workers as the system says can run at the same time; 1 when it does not say.
    #[must_use]
    pub fn available() -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let count = u16::try_from(count).unwrap_or(Self::MAX).min(Self::MAX);
        Self(NonZeroU16::new(count).unwrap_or(NonZeroU16::MIN))
    }

    /// Threads that work.
    #[must_use]
    pub const fn count(self) -> u16 {
        self.0.get()
    }
}

/// Encodes a resource that is in memory, all at once. As [`crate::encode`], on several threads.
///
/// # Errors
///
/// [`ParallelError`]; [`EncodeError::TooManyStripes`] in it before any work is done.
pub fn encode(resource: &Bytes, config: &Config, workers: Workers) -> Result<Encoded, ParallelError> {
    let mut encoder = Encoder::new(resource.len() as u64, config, workers)?;
    encoder.push(resource.clone())?;
    encoder.end()?;
    let pieces: Vec<Piece> = core::iter::from_fn(|| encoder.next_piece()).collect();
    let mut manifest = encoder.finish()?;
    manifest.load_own(&pieces);
    Ok(Encoded { manifest, pieces })
}

/// Encodes a resource as it comes, on several threads: push bytes, poll pieces, end, poll the rest, take the manifest.
///
/// Chunks are named and compressed while the caller reads and sends others. A stripe's parity is computed by all
/// workers together, in columns, while they begin on the next.
///
/// Until the end of the resource, pieces are handed out a fixed number of chunks later than [`crate::Encoder`] would:
/// `4 * workers`, or as many as make up `workers` MiB if chunks are shorter than 256 KiB; with one worker at once.
/// Polled until `None` after each push, the encoder holds the chunks of a group, these chunks and their pieces, the
/// parity of two stripes, manifest pages, and up to 2 MiB per worker: 470 MiB with the default configuration and two
/// workers.
///
/// Dropping it ends the threads; each finishes at most the chunk or column that it has begun.
#[derive(Debug)]
pub struct Encoder {
    machine: Machine<Pool>,
    panicked: bool,
}

impl Encoder {
    /// An encoder for a resource of exactly `len` bytes.
    ///
    /// # Errors
    ///
    /// [`ParallelError::Encode`] as [`crate::Encoder::new`], [`ParallelError::Spawn`] when a thread cannot be started.
    pub fn new(len: u64, config: &Config, workers: Workers) -> Result<Self, ParallelError> {
        Self::with(Some(len), config, workers)
    }

    /// An encoder for a resource of unknown length. Chunks are named and compressed at once; as in
    /// [`crate::Encoder::streaming`], the pieces of a group are ready when it is full or the resource has ended.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn streaming(config: &Config, workers: Workers) -> Result<Self, ParallelError> {
        Self::with(None, config, workers)
    }

    fn with(declared_len: Option<u64>, config: &Config, workers: Workers) -> Result<Self, ParallelError> {
        let start = || Pool::start(config, workers).map_err(|started| ParallelError::Spawn { started });
        Ok(Self { machine: Machine::new(declared_len, config, start)?, panicked: false })
    }

    /// The shape of a stripe. As [`crate::Encoder::stripe`].
    #[must_use]
    pub fn stripe(&self, stripe: u32) -> Option<StripeShape> {
        self.machine.stripe(stripe)
    }

    /// The level of the manifest to come. As [`crate::Encoder::level`].
    #[must_use]
    pub fn level(&self) -> Option<u8> {
        self.machine.level()
    }

    /// All pieces of the resource. As [`crate::Encoder::piece_count`].
    #[must_use]
    pub fn piece_count(&self) -> Option<u64> {
        self.machine.piece_count()
    }

    /// Takes the next bytes of the resource, any number of them. As [`crate::Encoder::push`].
    ///
    /// # Errors
    ///
    /// [`ParallelError::Encode`] as [`crate::Encoder::push`], [`ParallelError::Panicked`]; nothing of `bytes` was taken
    /// then.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), ParallelError> {
        self.check()?;
        Ok(self.machine.push(bytes)?)
    }

    /// Declares that the resource is complete. As [`crate::Encoder::end`].
    ///
    /// # Errors
    ///
    /// [`ParallelError::Encode`] as [`crate::Encoder::end`], [`ParallelError::Panicked`].
    pub fn end(&mut self) -> Result<(), ParallelError> {
        self.check()?;
        Ok(self.machine.end()?)
    }

    /// The next piece; `None` when it takes more input, or [`end`](Self::end), or all pieces are made. Works or waits
    /// until the piece is ready.
    ///
    /// `None` also after a worker has panicked: whatever is called next says so.
    pub fn next_piece(&mut self) -> Option<Piece> {
        if self.panicked {
            return None;
        }
        self.machine.next_piece().unwrap_or_else(|pool::Panicked| {
            self.panicked = true;
            None
        })
    }

    /// The manifest, once the input has ended and all pieces were polled. As [`crate::Encoder::finish`].
    ///
    /// # Errors
    ///
    /// [`ParallelError::Encode`] as [`crate::Encoder::finish`], [`ParallelError::Panicked`].
    pub fn finish(&mut self) -> Result<Manifest, ParallelError> {
        self.check()?;
        Ok(self.machine.finish()?)
    }

    const fn check(&self) -> Result<(), ParallelError> {
        if self.panicked { Err(ParallelError::Panicked) } else { Ok(()) }
    }
}

/// Why a resource cannot be encoded on several threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParallelError {
    /// What [`crate::Encoder`] would say. The caller is at fault; the encoder is as it was before the call.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The system refused to start a thread. Those that were started have ended; fewer workers may do.
    #[error("only {started} threads beside the calling one could be started")]
    Spawn {
        /// Threads that could be started.
        started: u16,
    },
    /// A worker panicked, which is a defect of this crate, and its work is lost. The encoder makes no more pieces;
    /// those that it has handed out are good.
    #[error("a worker panicked")]
    Panicked,
}
