//! From a resource to pieces and a manifest.

mod repeats;

pub(crate) use repeats::Repeats;

use crate::compress::Packer;
use crate::erasure::{Codec as ErasureCodec, Scratch};
use crate::layout::{Group, Layout, StripeShape};
use crate::manifest::{ManifestBuilder, Tree};
use crate::{ChunkId, Codec, Config, ConfigError, Manifest, Piece, Place};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

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
/// Between calls the encoder holds what was pushed and not yet polled, and the chunks of one open group until their
/// parity is computed: poll until `None` after each push, and it holds at most `interleave * data` chunks, the parity
/// of one stripe, and a few MiB of working memory, 420 MiB with the default configuration. A chunk that is a slice of
/// a push keeps the whole push in memory, so this holds for pushes of whole chunks and for short ones; a push of nearly
/// two chunks, say, may stay for the sake of one.
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
pub struct Encoder {
    config: Config,
    declared_len: Option<u64>,
    pushed_len: u64,
    ended: bool,
    /// The chunk that is not full yet.
    open: OpenChunk,
    /// Full chunks that are not pieces yet.
    queue: VecDeque<Bytes>,
    group: OpenGroup,
    manifest: ManifestBuilder,
    repeats: Repeats,
    packer: Packer,
    scratch: Option<Scratch>,
}

/// The tail of what was pushed. A lone handle is kept as it is; it is copied only when another push continues it.
enum OpenChunk {
    Handle(Bytes),
    Buffer(Vec<u8>),
}

/// The group whose pieces are being made.
#[derive(Default)]
struct OpenGroup {
    number: u64,
    /// Chunks that are pieces already, for the parity; emptied stripe by stripe.
    held: Vec<Bytes>,
    /// The next stripe whose parity is due.
    stripe: u64,
    /// Parity of the stripe before, not yet polled, with the index of the first.
    parity: VecDeque<Vec<u8>>,
    parity_index: u16,
}

impl Encoder {
    /// An encoder for a resource of exactly `len` bytes. Data pieces are ready as soon as their chunk is full.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Config`] for a wrong configuration, [`EncodeError::TooManyStripes`] when the resource has more
    /// stripes than can be numbered.
    pub fn new(len: u64, config: &Config) -> Result<Self, EncodeError> {
        let encoder = Self::with(Some(len), config)?;
        encoder.layout(len)?;
        Ok(encoder)
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
        config.validate()?;
        Ok(Self {
            config: *config,
            declared_len,
            pushed_len: 0,
            ended: false,
            open: OpenChunk::Handle(Bytes::new()),
            queue: VecDeque::new(),
            group: OpenGroup::default(),
            manifest: ManifestBuilder::new(config.geometry),
            repeats: Repeats::default(),
            packer: Packer::new(),
            scratch: None,
        })
    }

    fn layout(&self, len: u64) -> Result<Layout, EncodeError> {
        Layout::new(len, &self.config).ok_or(EncodeError::TooManyStripes { len })
    }

    /// The layout, once the length is known.
    fn known_layout(&self) -> Option<Layout> {
        let len = self.declared_len.or_else(|| self.ended.then_some(self.pushed_len))?;
        self.layout(len).ok()
    }

    /// The shape of a stripe, before any of its pieces is made: a placement can be asked for in time. `None` for a
    /// stripe that the resource does not have, and for every stripe while the length is unknown.
    #[must_use]
    pub fn stripe(&self, stripe: u32) -> Option<StripeShape> {
        Some(self.known_layout()?.stripe(stripe)?.shape)
    }

    /// [`Manifest::level`] of the manifest to come: above 0 some of the pieces are pages. `None` while the length is
    /// unknown.
    #[must_use]
    pub fn level(&self) -> Option<u8> {
        Some(self.tree()?.level())
    }

    /// All pieces of the resource, manifest pages and their parity included. `None` while the length is unknown.
    #[must_use]
    pub fn piece_count(&self) -> Option<u64> {
        Some(self.known_layout()?.entry_count() + self.tree()?.piece_count())
    }

    fn tree(&self) -> Option<Tree> {
        Some(Tree::new(&self.known_layout()?))
    }

    /// Takes the next bytes of the resource, any number of them. Chunks that lie within one push are kept as slices of
    /// it; only a chunk that straddles pushes is copied.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooManyStripes`], [`EncodeError::TooLong`] and [`EncodeError::Ended`]; nothing of `bytes` was taken
    /// then.
    pub fn push(&mut self, mut bytes: Bytes) -> Result<(), EncodeError> {
        let len = self.pushed_len.saturating_add(bytes.len() as u64);
        if bytes.is_empty() {
            return Ok(());
        }
        if self.ended {
            return Err(EncodeError::Ended);
        }
        match self.declared_len {
            Some(declared) if len > declared => return Err(EncodeError::TooLong { declared, pushed: len }),
            Some(_) => {}
            None => {
                self.layout(len)?;
            }
        }
        self.pushed_len = len;
        let chunk_bytes = self.config.chunk_size.bytes();
        if !self.open.is_empty() {
            let missing = chunk_bytes - self.open.len();
            self.open.append(bytes.split_to(missing.min(bytes.len())), chunk_bytes);
            if self.open.len() == chunk_bytes {
                self.queue.push_back(self.open.take());
            }
        }
        while bytes.len() >= chunk_bytes {
            self.queue.push_back(bytes.split_to(chunk_bytes));
        }
        if !bytes.is_empty() {
            self.open = OpenChunk::Handle(bytes);
        }
        Ok(())
    }

    /// Declares that the resource is complete. Calling it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooShort`] when fewer bytes were pushed than [`Encoder::new`] was told; more can be pushed then.
    pub fn end(&mut self) -> Result<(), EncodeError> {
        if let Some(declared) = self.declared_len.filter(|&declared| self.pushed_len < declared) {
            return Err(EncodeError::TooShort { declared, pushed: self.pushed_len });
        }
        if !self.ended {
            self.ended = true;
            if !self.open.is_empty() {
                self.queue.push_back(self.open.take());
            }
        }
        Ok(())
    }

    /// Makes the next piece; `None` when it takes more input, or [`end`](Self::end), or all pieces are made.
    pub fn next_piece(&mut self) -> Option<Piece> {
        loop {
            if let Some(page) = self.manifest.next_page() {
                return Some(page);
            }
            let Some(chunks) = self.group_chunks() else {
                if !self.is_drained() {
                    return None;
                }
                self.manifest.end();
                return self.manifest.next_page();
            };
            let group = Group::new(chunks, self.config.geometry);
            if (self.group.held.len() as u64) < group.chunks {
                let chunk = self.queue.pop_front()?;
                return Some(self.data_piece(group, chunk));
            }
            if let Some(shard) = self.group.parity.pop_front() {
                return Some(self.parity_piece(shard));
            }
            if self.group.stripe < group.stripes() {
                self.compute_parity(group);
            } else {
                self.group = OpenGroup { number: self.group.number + 1, ..OpenGroup::default() };
            }
        }
    }

    /// Whether all data and parity pieces of the resource are made.
    fn is_drained(&self) -> bool {
        self.ended && self.known_layout().is_some_and(|layout| layout.entry_count() == self.manifest.ids())
    }

    /// Chunks of the open group, once that is certain; `None` also when there is no group left.
    fn group_chunks(&self) -> Option<u64> {
        let full = u64::from(self.config.interleave) * u64::from(self.config.geometry.data());
        let available = self.group.held.len() as u64 + self.queue.len() as u64;
        let left = match self.declared_len {
            // What follows from the declared length is certain before the chunks are there.
            Some(len) => len.div_ceil(self.config.chunk_size.bytes_u64()).saturating_sub(self.group.number * full),
            None => available,
        };
        let certain = self.declared_len.is_some() || self.ended || available >= full;
        (certain && left > 0).then(|| left.min(full))
    }

    fn data_piece(&mut self, group: Group, chunk: Bytes) -> Piece {
        let j = self.group.held.len() as u64;
        let index = u16::try_from(j / group.stripes()).expect("a stripe has at most 32,768 data shards");
        let place = self.place(j % group.stripes(), index);
        let id = ChunkId::of_chunk(&chunk);
        let plain_len = u32::try_from(chunk.len()).expect("a chunk has at most 16 MiB");
        let (codec, bytes) = self.packer.pack(&chunk, self.config.compression);
        self.group.held.push(chunk);
        Piece { id, place, codec, plain_len, bytes, duplicate_of: self.register(id, place) }
    }

    fn parity_piece(&mut self, shard: Vec<u8>) -> Piece {
        // `stripe` is already the one after.
        let place = self.place(self.group.stripe - 1, self.group.parity_index);
        self.group.parity_index = self.group.parity_index.wrapping_add(1);
        let id = ChunkId::of_parity(&shard);
        let plain_len = u32::try_from(shard.len()).expect("a shard has at most 16 MiB");
        let duplicate_of = self.register(id, place);
        Piece { id, place, codec: Codec::Raw, plain_len, bytes: shard.into(), duplicate_of }
    }

    fn place(&self, stripe_of_group: u64, index: u16) -> Place {
        let stripe = self.group.number * u64::from(self.config.interleave) + stripe_of_group;
        Place::Shard { stripe: u32::try_from(stripe).expect("checked when the bytes were pushed"), index }
    }

    fn register(&mut self, id: ChunkId, place: Place) -> Option<Place> {
        self.manifest.push(id);
        self.repeats.note(id, place)
    }

    fn compute_parity(&mut self, group: Group) {
        let r = self.group.stripe;
        let (data, parity) = (group.data(r), group.parity(r));
        let step = usize::try_from(group.stripes()).expect("a group has at most 256 stripes");
        let first = usize::try_from(r).expect("a group has at most 256 stripes");
        let chunks: Vec<Bytes> = self.group.held.iter_mut().skip(first).step_by(step).map(core::mem::take).collect();
        let shard_bytes = chunks[0].len().next_multiple_of(2);
        let codec = ErasureCodec::new(data.into(), parity.into()).expect("a geometry has valid counts");
        let scratch = self.scratch.get_or_insert_with(|| codec.scratch());
        let mut shards = vec![vec![0; shard_bytes]; parity.into()];
        let data_slices: Vec<&[u8]> = chunks.iter().map(AsRef::as_ref).collect();
        let mut parity_slices: Vec<&mut [u8]> = shards.iter_mut().map(AsMut::as_mut).collect();
        codec.encode_into(scratch, &data_slices, &mut parity_slices).expect("the first chunk is the longest");
        self.group.parity = shards.into();
        self.group.parity_index = data;
        self.group.stripe += 1;
    }

    /// The manifest, once the input has ended and all pieces were polled. Implies [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// [`EncodeError::Undrained`] while pieces are left: poll [`next_piece`](Self::next_piece) until `None` and call
    /// again. [`EncodeError::TooShort`] as [`end`](Self::end).
    pub fn finish(&mut self) -> Result<Manifest, EncodeError> {
        self.end()?;
        let layout = self.layout(self.pushed_len)?;
        let all = layout.entry_count() + Tree::new(&layout).piece_count();
        let pieces = all - self.manifest.pieces();
        if pieces > 0 {
            return Err(EncodeError::Undrained { pieces });
        }
        // A resource without pages may not have been polled after the end.
        self.manifest.end();
        Ok(self.manifest.finish(layout))
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("config", &self.config)
            .field("declared_len", &self.declared_len)
            .field("pushed_len", &self.pushed_len)
            .field("ended", &self.ended)
            .field("pieces_made", &self.manifest.pieces())
            .finish_non_exhaustive()
    }
}

impl OpenChunk {
    fn len(&self) -> usize {
        match self {
            Self::Handle(bytes) => bytes.len(),
            Self::Buffer(bytes) => bytes.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn append(&mut self, more: Bytes, chunk_bytes: usize) {
        if let Self::Handle(bytes) = self {
            let mut buffer = Vec::with_capacity(chunk_bytes);
            buffer.extend_from_slice(bytes);
            *self = Self::Buffer(buffer);
        }
        if let Self::Buffer(buffer) = self {
            buffer.extend_from_slice(&more);
        }
    }

    fn take(&mut self) -> Bytes {
        match core::mem::replace(self, Self::Handle(Bytes::new())) {
            Self::Handle(bytes) => bytes,
            Self::Buffer(bytes) => bytes.into(),
        }
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
    /// A push after [`Encoder::end`].
    #[error("bytes were pushed after the end of the resource")]
    Ended,
    /// [`Encoder::finish`] before all pieces were polled.
    #[error("{pieces} pieces were not polled yet")]
    Undrained {
        /// Pieces left.
        pieces: u64,
    },
}
