//! The description of a resource: what its pieces are called and how they belong together.

use crate::layout::{Layout, Stripe, StripeShape};
use crate::{ChunkId, ChunkSize, Config, Geometry, Place};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// The most bytes of a manifest page.
pub const PAGE_BYTES: usize = 64 << 10;

/// The most pieces, data and parity, of a resource with a manifest of one page: 2,047.
pub const MAX_PIECES: u64 = ((PAGE_BYTES - HEADER_LEN) / ChunkId::LEN) as u64;

const HEADER_LEN: usize = 32;
const MAGIC: [u8; 4] = *b"INOM";
const VERSION: u16 = 1;

/// What a decoder of foreign manifests accepts. Every limit is checked before anything is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest resource in bytes. Default 1 TiB.
    pub max_plain_len: u64,
    /// Longest encoded manifest in bytes, at most [`PAGE_BYTES`]. Default [`PAGE_BYTES`].
    pub max_manifest_bytes: usize,
    /// Most data and parity pieces. Default [`MAX_PIECES`].
    pub max_pieces: u64,
    /// Most plain bytes of a group: what an assembler may have to hold. Default 8 GiB, enough for
    /// [`Geometry::WIDE`] with the default chunk size and interleave.
    pub max_group_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_plain_len: 1 << 40,
            max_manifest_bytes: PAGE_BYTES,
            max_pieces: MAX_PIECES,
            max_group_bytes: 8 << 30,
        }
    }
}

/// Where a byte of the resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Location {
    /// Number of the chunk in the resource, from 0.
    pub chunk: u64,
    /// Where the chunk belongs.
    pub place: Place,
    /// Position of the byte in the chunk.
    pub within: u32,
}

/// The manifest of a resource: its length and shape, and the ids of all its chunks and parity shards.
///
/// It holds plain facts only. How a piece is compressed travels with the piece, so the root id is the same whatever
/// compressor, engine or target made the pieces. One value has one encoding; [`root`](Self::root) names it. Whoever
/// knows the root id can check a manifest from anyone ([`Manifest::open`]), and with it every piece.
///
/// A clone shares the encoded bytes.
///
/// ```
/// use bytes::Bytes;
/// use inos_chunk::{Config, Limits, Manifest, encode};
///
/// let manifest = encode(&Bytes::from(vec![1; 3 << 20]), &Config::default())?.manifest;
/// assert_eq!((manifest.chunk_count(), manifest.piece_count()), (3, 4));
/// let place = manifest.locate(1_500_000).expect("inside the resource").place;
/// assert!(manifest.id(place).is_some());
///
/// let wire = manifest.to_bytes();
/// assert_eq!(Manifest::open(&wire, manifest.root(), &Limits::default())?, manifest);
/// assert!(Manifest::from_bytes(&wire[..40], &Limits::default()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Manifest {
    layout: Layout,
    root: ChunkId,
    /// The encoded form: header, then the ids.
    page: Bytes,
}

impl Manifest {
    /// `ids.len() == layout.entry_count() <= MAX_PIECES`.
    pub(crate) fn new(layout: Layout, ids: &[ChunkId]) -> Self {
        let count = u32::try_from(ids.len()).expect("a page holds at most 2,047 ids");
        let mut page = Vec::with_capacity(HEADER_LEN + ids.len() * ChunkId::LEN);
        page.extend_from_slice(&MAGIC);
        page.extend_from_slice(&VERSION.to_le_bytes());
        page.extend_from_slice(&[0, layout.chunk_size.log2()]);
        page.extend_from_slice(&layout.plain_len.to_le_bytes());
        page.extend_from_slice(&layout.geometry.data().to_le_bytes());
        page.extend_from_slice(&layout.geometry.parity().to_le_bytes());
        page.extend_from_slice(&layout.interleave.to_le_bytes());
        page.extend_from_slice(&[0; 2]);
        page.extend_from_slice(&count.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        for id in ids {
            page.extend_from_slice(id.as_bytes());
        }
        Self { layout, root: ChunkId::of_page(&page), page: page.into() }
    }

    /// The encoded form, described byte by byte in `docs/format.md`. Shares memory with the manifest.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.page.clone()
    }

    /// Decodes a manifest whose root id is not known yet. Compare [`root`](Self::root) with an id you trust before
    /// believing it, or use [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// [`ManifestError`] unless `bytes` is exactly one canonical manifest within `limits`.
    pub fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, ManifestError> {
        if bytes.len() > limits.max_manifest_bytes.min(PAGE_BYTES) {
            let max = limits.max_manifest_bytes.min(PAGE_BYTES) as u64;
            return Err(ManifestError::Limit { what: Quantity::ManifestBytes, value: bytes.len() as u64, max });
        }
        let layout = decode_header(bytes, limits)?;
        let page = Bytes::copy_from_slice(bytes);
        Ok(Self { layout, root: ChunkId::of_page(bytes), page })
    }

    /// Decodes the manifest with the id `root`.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Root`] when `bytes` has another id, and as [`from_bytes`](Self::from_bytes).
    pub fn open(bytes: &[u8], root: ChunkId, limits: &Limits) -> Result<Self, ManifestError> {
        let manifest = Self::from_bytes(bytes, limits)?;
        if manifest.root != root {
            return Err(ManifestError::Root { expected: root, actual: manifest.root });
        }
        Ok(manifest)
    }

    /// The name of the resource: the id of the encoded manifest.
    #[must_use]
    pub const fn root(&self) -> ChunkId {
        self.root
    }

    /// Length of the resource in bytes.
    #[must_use]
    pub const fn plain_len(&self) -> u64 {
        self.layout.plain_len
    }

    /// Length of every chunk but the last.
    #[must_use]
    pub const fn chunk_size(&self) -> ChunkSize {
        self.layout.chunk_size
    }

    /// Data and parity shards of a full stripe.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.layout.geometry
    }

    /// Stripes of a full group.
    #[must_use]
    pub const fn interleave(&self) -> u16 {
        self.layout.interleave
    }

    /// Data chunks of the resource; 0 when it is empty.
    #[must_use]
    pub const fn chunk_count(&self) -> u64 {
        self.layout.chunk_count()
    }

    /// Data chunks and parity shards of the resource.
    #[must_use]
    pub fn piece_count(&self) -> u64 {
        self.layout.entry_count()
    }

    /// Stripes of the resource; 0 when it is empty.
    #[must_use]
    pub fn stripe_count(&self) -> u32 {
        self.layout.stripe_count()
    }

    /// The shape of a stripe; `None` when there is no such stripe.
    #[must_use]
    pub fn stripe(&self, stripe: u32) -> Option<StripeShape> {
        self.layout.stripe(stripe).map(|stripe| stripe.shape)
    }

    /// The id of the piece at `place`; `None` when the resource has no such place. O(1).
    #[must_use]
    pub fn id(&self, place: Place) -> Option<ChunkId> {
        let Place::Shard { stripe, index } = place;
        self.shard_id(&self.layout.stripe(stripe)?, index)
    }

    /// Plain length of the piece at `place` in bytes: of the chunk, or the shard length for parity.
    #[must_use]
    pub fn piece_len(&self, place: Place) -> Option<u32> {
        let Place::Shard { stripe, index } = place;
        self.shard_len(&self.layout.stripe(stripe)?, index)
    }

    /// The chunk that holds the byte at `offset`; `None` from the end of the resource on.
    #[must_use]
    pub fn locate(&self, offset: u64) -> Option<Location> {
        if offset >= self.layout.plain_len {
            return None;
        }
        let chunk = offset / self.layout.chunk_size.bytes_u64();
        let within = u32::try_from(offset % self.layout.chunk_size.bytes_u64()).ok()?;
        Some(Location { chunk, place: self.place_of_chunk(chunk)?, within })
    }

    /// The place of chunk number `chunk` of the resource; `None` when it has fewer chunks.
    #[must_use]
    pub fn place_of_chunk(&self, chunk: u64) -> Option<Place> {
        if chunk >= self.layout.chunk_count() {
            return None;
        }
        let (stripe, index) = self.layout.place_of_chunk(chunk);
        Some(Place::Shard { stripe, index })
    }

    /// The number in the resource of the chunk at `place`; `None` for parity and for places that do not exist.
    #[must_use]
    pub fn chunk_at(&self, place: Place) -> Option<u64> {
        let Place::Shard { stripe, index } = place;
        self.layout.stripe(stripe)?.chunk(index)
    }

    /// All places of the resource in the order of the manifest: group after group, in each the chunks in order, then
    /// the parity of its stripes.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        (0..self.layout.groups()).flat_map(|group| {
            let (data, parity) = self.places_of_group(group);
            data.chain(parity)
        })
    }

    /// Data places of a group in chunk order, and parity places in stripe order.
    pub(crate) fn places_of_group(
        &self,
        group: u64,
    ) -> (impl Iterator<Item = Place> + '_, impl Iterator<Item = Place> + '_) {
        let first = group * self.layout.group_chunks();
        let chunks = self.layout.group(group).chunks;
        let data = (first..first + chunks).filter_map(|chunk| self.place_of_chunk(chunk));
        let parity = self.stripes_of_group(group).flat_map(|stripe| {
            let shape = self.stripe(stripe);
            let indexes = shape.map_or(0..0, |shape| u32::from(shape.data)..shape.shards());
            indexes.filter_map(move |index| Some(Place::Shard { stripe, index: u16::try_from(index).ok()? }))
        });
        (data, parity)
    }

    pub(crate) fn stripes_of_group(&self, group: u64) -> core::ops::Range<u32> {
        let first = u32::try_from(group * u64::from(self.layout.interleave)).unwrap_or(u32::MAX);
        first..first.saturating_add(u32::from(self.layout.interleave)).min(self.layout.stripe_count())
    }

    pub(crate) const fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn shard_id(&self, stripe: &Stripe, index: u16) -> Option<ChunkId> {
        let entry = usize::try_from(stripe.entry(index)?).ok()?;
        let at = HEADER_LEN + entry * ChunkId::LEN;
        let bytes = self.page.get(at..)?.first_chunk::<{ ChunkId::LEN }>()?;
        Some(ChunkId::from_bytes(*bytes))
    }

    pub(crate) fn shard_len(&self, stripe: &Stripe, index: u16) -> Option<u32> {
        match stripe.chunk(index) {
            Some(chunk) => Some(self.layout.chunk_len(chunk)),
            None => stripe.entry(index).map(|_| stripe.shape.shard_bytes),
        }
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest").field("root", &self.root).field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// Reads and checks everything but the ids, of which every value is possible.
fn decode_header(bytes: &[u8], limits: &Limits) -> Result<Layout, ManifestError> {
    let Some((header, ids)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Err(ManifestError::Truncated { len: bytes.len() });
    };
    let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
    let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
    if header[0..4] != MAGIC {
        return Err(ManifestError::Magic);
    }
    if u16_at(4) != VERSION {
        return Err(ManifestError::Version { version: u16_at(4) });
    }
    if header[6] != 0 {
        return Err(ManifestError::Level { level: header[6] });
    }
    if u16_at(22) != 0 || u32_at(28) != 0 {
        return Err(ManifestError::Reserved);
    }
    let chunk_size = ChunkSize::from_log2(header[7]).ok_or(ManifestError::ChunkSize { log2: header[7] })?;
    let (data, parity, interleave) = (u16_at(16), u16_at(18), u16_at(20));
    let geometry = Geometry::new(data, parity).map_err(|_| ManifestError::Geometry { data, parity, interleave })?;
    let config = Config { chunk_size, geometry, interleave, ..Config::default() };
    config.validate().map_err(|_| ManifestError::Geometry { data, parity, interleave })?;

    let plain_len = u64_at(8);
    check_limit(Quantity::PlainLen, plain_len, limits.max_plain_len)?;
    let layout = Layout::new(plain_len, &config).ok_or(ManifestError::Limit {
        what: Quantity::Stripes,
        value: u64::MAX,
        max: u64::from(u32::MAX),
    })?;
    let expected = layout.entry_count();
    check_limit(Quantity::Pieces, expected, limits.max_pieces.min(MAX_PIECES))?;
    let group_bytes = plain_len.min(layout.group_chunks() * chunk_size.bytes_u64());
    check_limit(Quantity::GroupBytes, group_bytes, limits.max_group_bytes)?;
    let claimed = u32_at(24);
    if u64::from(claimed) != expected {
        return Err(ManifestError::Count { expected, claimed });
    }
    // At most MAX_PIECES, so the product cannot overflow.
    let expected_len = HEADER_LEN as u64 + expected * ChunkId::LEN as u64;
    if (HEADER_LEN + ids.len()) as u64 != expected_len {
        return Err(ManifestError::Len { expected: expected_len, actual: bytes.len() });
    }
    Ok(layout)
}

const fn check_limit(what: Quantity, value: u64, max: u64) -> Result<(), ManifestError> {
    if value > max { Err(ManifestError::Limit { what, value, max }) } else { Ok(()) }
}

/// A quantity that [`Limits`] or the format bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// [`Limits::max_plain_len`].
    PlainLen,
    /// [`Limits::max_manifest_bytes`].
    ManifestBytes,
    /// [`Limits::max_pieces`].
    Pieces,
    /// [`Limits::max_group_bytes`].
    GroupBytes,
    /// Stripes are numbered with 32 bits.
    Stripes,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlainLen => "resource bytes",
            Self::ManifestBytes => "manifest bytes",
            Self::Pieces => "pieces",
            Self::GroupBytes => "bytes of a group",
            Self::Stripes => "stripes",
        })
    }
}

/// Why bytes are not an acceptable [`Manifest`]. Whoever made or sent them is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Shorter than a header.
    #[error("a manifest has a header of 32 bytes, these are {len} bytes")]
    Truncated {
        /// Length of the input.
        len: usize,
    },
    /// The first four bytes are not `INOM`.
    #[error("not a manifest: wrong magic number")]
    Magic,
    /// A version this crate does not know.
    #[error("unknown manifest version {version}")]
    Version {
        /// The version found; this crate knows 1.
        version: u16,
    },
    /// A manifest of several pages, which this crate does not read.
    #[error("the root page has level {level}: a manifest of several pages")]
    Level {
        /// Level of the root page; this crate reads 0.
        level: u8,
    },
    /// A reserved byte is not zero.
    #[error("a reserved byte of the manifest is not zero")]
    Reserved,
    /// A chunk size outside 4 KiB..=16 MiB.
    #[error("a chunk has 2^12..=2^24 bytes, not 2^{log2}")]
    ChunkSize {
        /// Logarithm of the size.
        log2: u8,
    },
    /// A geometry or interleave that does not exist.
    #[error("no stripes of {data} + {parity} shards in groups of {interleave} exist")]
    Geometry {
        /// Data shards.
        data: u16,
        /// Parity shards.
        parity: u16,
        /// Stripes of a group.
        interleave: u16,
    },
    /// More of something than the limits allow.
    #[error("{value} {what} are more than the limit of {max}")]
    Limit {
        /// What there is too much of.
        what: Quantity,
        /// How much.
        value: u64,
        /// The limit.
        max: u64,
    },
    /// The number of ids does not follow from length and geometry.
    #[error("the manifest announces {claimed} ids, its resource has {expected}")]
    Count {
        /// Ids that follow from length and geometry.
        expected: u64,
        /// Ids announced.
        claimed: u32,
    },
    /// The input is shorter or longer than header and ids.
    #[error("the manifest has {actual} bytes instead of {expected}")]
    Len {
        /// Length that follows from the header.
        expected: u64,
        /// Length of the input.
        actual: usize,
    },
    /// Another manifest than the one asked for.
    #[error("the manifest has the root id {actual}, not {expected}")]
    Root {
        /// The id asked for.
        expected: ChunkId,
        /// The id of the input.
        actual: ChunkId,
    },
}
