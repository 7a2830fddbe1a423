//! From a resource to pieces and a manifest.

mod machine;
mod repeats;
mod work;

pub(crate) use machine::Machine;
pub(crate) use repeats::Repeats;
pub(crate) use work::InPlace;
#[cfg(all(feature = "parallel", not(target_arch = "wasm32")))]
pub(crate) use work::{Packed, Shard, ShardMemory, Tools, Work, code_of};

use crate::layout::StripeShape;
use crate::{Config, ConfigError, Manifest, Piece};
use alloc::vec::Vec;
use bytes::Bytes;

/// All pieces of a resource, and its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The description of the resource, with all pages loaded.
    pub manifest: Manifest,
    /// All pieces as [`Encoder::next_piece`] gives them: in the order of [`Manifest::places`], and among them the pages
    /// of a manifest that has several.
    pub pieces: Vec<Piece>,
}

/// Encodes a resource that is in memory, all at once. Raw pieces are slices of `resource`.
///
/// ```
/// use bytes::Bytes;
/// use inos_chunk::{Assembler, Config, encode};
///
/// let resource = Bytes::from(vec![42; 5_000_000]);
/// let encoded = encode(&resource, &Config::default())?;
/// assert_eq!(encoded.pieces.len(), 5 + 1);
///
/// let mut assembler = Assembler::new(encoded.manifest);
/// for piece in encoded.pieces.into_iter().skip(1) { // one is lost
///     let _ = assembler.insert(piece);
/// }
/// assert_eq!(assembler.finish()?, resource);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`EncodeError::Config`], and [`EncodeError::TooManyStripes`], before any work is done.
pub fn encode(resource: &Bytes, config: &Config) -> Result<Encoded, EncodeError> {
    let mut encoder = Encoder::new(resource.len() as u64, config)?;
    encoder.push(resource.clone())?;
    encoder.end()?;
    let pieces: Vec<Piece> = core::iter::from_fn(|| encoder.next_piece()).collect();
    let mut manifest = encoder.finish()?;
    manifest.load_own(&pieces);
    Ok(Encoded { manifest, pieces })
}

/// Encodes a resource as it comes: push bytes, poll pieces, end, poll the rest, take the manifest.
///
/// The work is done in [`next_piece`](Self::next_piece), one piece at a time, in the order of [`Manifest::places`].
/// Where the manifest has pages, each comes out behind the last piece that it names, and the parity of a page stripe
/// behind its last page; the order does not depend on how the bytes were pushed.
///
/// Between calls the encoder holds what was pushed and not yet polled, and the chunks of one open group until their
/// parity is computed: poll until `None` after each push, and it holds at most `interleave * data` chunks, the parity
/// of one stripe, of each level of manifest pages at most 100 and their parity, ids to find repeats by, and a few MiB
/// of working memory: 435 MiB with the default configuration. A chunk that is a slice of a push keeps the whole push in
/// memory, so this holds for pushes of whole chunks and for short ones; a push of nearly two chunks, say, may stay for
/// the sake of one.
///
/// ```
/// use bytes::Bytes;
/// use inos_chunk::{Config, Encoder};
///
/// let mut encoder = Encoder::streaming(&Config::default())?;
/// let mut sent = 0;
/// for part in [&b"bytes of "[..], b"any length ", b"from anywhere"] {
///     encoder.push(Bytes::from_static(part))?;
///     while let Some(_piece) = encoder.next_piece() {
///         sent += 1;
///     }
/// }
/// encoder.end()?;
/// while let Some(_piece) = encoder.next_piece() {
///     sent += 1;
/// }
/// let manifest = encoder.finish()?;
/// assert_eq!((manifest.plain_len(), sent), (33, 2));
/// # Ok::<(), inos_chunk::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct Encoder {
    machine: Machine<InPlace>,
}

impl Encoder {
    /// An encoder for a resource of exactly `len` bytes. Data pieces are ready as soon as their chunk is full.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Config`] for a wrong configuration, [`EncodeError::TooManyStripes`] when the resource has more
    /// stripes than can be numbered.
    pub fn new(len: u64, config: &Config) -> Result<Self, EncodeError> {
        Self::with(Some(len), config)
    }

    /// An encoder for a resource of unknown length. The pieces of a group are ready when it is full or the resource
    /// has ended, because the shape of the last group depends on its size.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Config`] for a wrong configuration.
    pub fn streaming(config: &Config) -> Result<Self, EncodeError> {
        Self::with(None, config)
    }

    fn with(declared_len: Option<u64>, config: &Config) -> Result<Self, EncodeError> {
        Ok(Self {
            machine: Machine::new(declared_len, config, || Ok::<_, EncodeError>(InPlace::new(config.compression)))?,
        })
    }

    /// The shape of a stripe, before any of its pieces is made: a placement can be asked for in time. `None` for a
    /// stripe that the resource does not have, and for every stripe while the length is unknown.
    #[must_use]
    pub fn stripe(&self, stripe: u32) -> Option<StripeShape> {
        self.machine.stripe(stripe)
    }

    /// [`Manifest::level`] of the manifest to come: above 0 some of the pieces are pages. `None` while the length is
    /// unknown.
    #[must_use]
    pub fn level(&self) -> Option<u8> {
        self.machine.level()
    }

    /// All pieces of the resource, manifest pages and their parity included. `None` while the length is unknown.
    #[must_use]
    pub fn piece_count(&self) -> Option<u64> {
        self.machine.piece_count()
    }

    /// Takes the next bytes of the resource, any number of them. Chunks that lie within one push are kept as slices of
    /// it; only a chunk that straddles pushes is copied.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooManyStripes`], [`EncodeError::TooLong`] and [`EncodeError::Ended`]; nothing of `bytes` was
    /// taken then.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), EncodeError> {
        self.machine.push(bytes)
    }

    /// Declares that the resource is complete. Calling it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooShort`] when fewer bytes were pushed than [`Encoder::new`] was told; more can be pushed then.
    pub fn end(&mut self) -> Result<(), EncodeError> {
        self.machine.end()
    }

    /// Makes the next piece; `None` when it takes more input, or [`end`](Self::end), or all pieces are made.
    pub fn next_piece(&mut self) -> Option<Piece> {
        let Ok(piece) = self.machine.next_piece();
        piece
    }

    /// The manifest, without pages loaded, once the input has ended and all pieces were polled. Implies
    /// [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// [`EncodeError::Undrained`] while pieces are left: poll [`next_piece`](Self::next_piece) until `None` and call
    /// again. [`EncodeError::TooShort`] as [`end`](Self::end).
    pub fn finish(&mut self) -> Result<Manifest, EncodeError> {
        self.machine.finish()
    }
}

/// Why a resource cannot be encoded. The caller is at fault; the encoder is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The resource has more than 2^32 - 1 stripes. Larger chunks or more data shards make fewer.
    #[error("a resource of {len} bytes has too many stripes to be numbered with 32 bits")]
    TooManyStripes {
        /// Length of the resource, with the refused bytes.
        len: u64,
    },
    /// More bytes than [`Encoder::new`] was told.
    #[error("{pushed} bytes were pushed for a resource of {declared}")]
    TooLong {
        /// Length told to [`Encoder::new`].
        declared: u64,
        /// Bytes pushed, with the refused ones.
        pushed: u64,
    },
    /// Fewer bytes than [`Encoder::new`] was told.
    #[error("the resource ended after {pushed} of {declared} bytes")]
    TooShort {
        /// Length told to [`Encoder::new`].
        declared: u64,
        /// Bytes pushed.
        pushed: u64,
    },
    /// A push after [`Encoder::end`], or of more ids than a resource has pieces.
    #[error("something was pushed after the end of the resource")]
    Ended,
    /// [`Encoder::finish`] before all pieces were polled; or a [`ManifestWriter`](crate::ManifestWriter) that lacks
    /// ids.
    #[error("{pieces} pieces are still to be polled, or their ids to be pushed")]
    Undrained {
        /// Pieces left.
        pieces: u64,
    },
}
