//! The description of a resource: what its pieces are called and how they belong together.

mod builder;
mod pages;
mod root;
mod tree;
mod writer;

pub(crate) use builder::ManifestBuilder;
pub use pages::{LookupError, NotEnoughPages};
pub use root::{Limits, ManifestError, Quantity};

use crate::layout::{Layout, Stripe, StripeShape};
use crate::{ChunkId, ChunkSize, Geometry, Place};
use bytes::Bytes;
use core::fmt;
use pages::Pages;
pub(crate) use tree::Tree;
pub use writer::ManifestWriter;

/// The most bytes of a manifest page, the root page included.
pub const PAGE_BYTES: usize = 64 << 10;

/// The most pieces, data and parity, that a root page names itself. With more its level is above 0: it names pages.
pub const MAX_ROOT_PIECES: u64 = tree::ROOT_ENTRIES;

/// Length of the root page's header. Other pages have none.
const HEADER_LEN: usize = 32;

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
/// # Pages
///
/// Up to [`MAX_ROOT_PIECES`] pieces, about 1.6 GiB with the defaults, are named by the root page itself. With more the
/// root page names *pages*, these name the pieces or further pages, and so on: [`level`](Self::level) pages lead from
/// the root to the id of a piece. Pages are pieces with a [`Place::Page`]. Shapes, lengths, offsets and places follow
/// from the root page alone; only [`id`](Self::id) needs the pages of [`pages_for`](Self::pages_for) loaded. A page
/// is accepted by [`insert_page`](Self::insert_page) if its parent names it, and lost ones are rebuilt from parity. A
/// manifest holds the pages that it was given until they are [released](Self::release_page).
///
/// Two manifests are equal when their root ids are, whatever is loaded. A clone shares the bytes of root and pages.
///
/// ```
/// use bytes::Bytes;
/// use inos_chunk::{Config, Limits, Manifest, encode};
///
/// let manifest = encode(&Bytes::from(vec![1; 3 << 20]), &Config::default())?.manifest;
/// assert_eq!((manifest.chunk_count(), manifest.piece_count()), (3, 4));
/// let place = manifest.locate(1_500_000).expect("inside the resource").place;
/// assert!(manifest.id(place).is_ok());
///
/// let wire = manifest.to_bytes();
/// assert_eq!(Manifest::open(&wire, manifest.root(), &Limits::default())?, manifest);
/// assert!(Manifest::from_bytes(&wire[..40], &Limits::default()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One chunk of a large resource, with the pages that lead to it:
///
/// ```
/// use bytes::Bytes;
/// use inos_chunk::{ChunkSize, Config, Geometry, Limits, Manifest, VerifyError, encode};
///
/// let config = Config { chunk_size: ChunkSize::MIN, geometry: Geometry::new(5, 1)?, ..Config::default() };
/// let resource = Bytes::from((0..8_000_000_u32).map(|i| (i >> 8) as u8).collect::<Vec<u8>>());
/// let encoded = encode(&resource, &config)?;
/// let fetch = |place| encoded.pieces.iter().find(|piece| piece.place == place).expect("the mesh has it").clone();
///
/// let (root, wire) = (encoded.manifest.root(), encoded.manifest.to_bytes());
/// let mut manifest = Manifest::open(&wire, root, &Limits::default())?;
/// assert_eq!((manifest.level(), manifest.page_count()), (1, 2));
/// let at = manifest.locate(7_654_321).expect("inside the resource");
/// let piece = fetch(at.place);
/// assert!(matches!(manifest.verify(&piece), Err(VerifyError::NotLoaded { .. })));
/// let pages: Vec<_> = manifest.pages_for(at.place).collect();
/// for page in pages {
///     let _ = manifest.insert_page(fetch(page));
/// }
/// let chunk = manifest.verify(&piece)?;
/// assert_eq!(chunk[at.within as usize], resource[7_654_321]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Manifest {
    layout: Layout,
    tree: Tree,
    root: ChunkId,
    /// The encoded root page: header, then the ids.
    page: Bytes,
    pages: Pages,
}

impl PartialEq for Manifest {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

impl Eq for Manifest {}

impl Manifest {
    /// `entries` are the ids of the root page of `layout`.
    pub(crate) fn new(layout: Layout, entries: &[u8]) -> Self {
        let tree = Tree::new(&layout);
        let page = root::encode(&layout, &tree, entries);
        Self { layout, tree, root: ChunkId::of_page(&page), page, pages: Pages::default() }
    }

    /// The root page, described byte by byte in `docs/format.md`. Shares memory with the manifest.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.page.clone()
    }

    /// Decodes the root page of a manifest whose root id is not known yet. Compare [`root`](Self::root) with an id you
    /// trust before believing it, or use [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// [`ManifestError`] unless `bytes` is exactly one canonical root page of a manifest within `limits`.
    pub fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, ManifestError> {
        let (layout, tree) = root::decode(bytes, limits)?;
        let page = Bytes::copy_from_slice(bytes);
        Ok(Self { layout, tree, root: ChunkId::of_page(bytes), page, pages: Pages::default() })
    }

    /// Decodes the root page with the id `root`.
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

    /// The name of the resource: the id of the root page.
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

    /// Plain length of the piece at `place` in bytes: of the chunk, the shard length for parity, of the page. `None`
    /// when the resource has no such place. O(1).
    #[must_use]
    pub fn piece_len(&self, place: Place) -> Option<u32> {
        match place {
            Place::Shard { stripe, index } => self.shard_len(&self.layout.stripe(stripe)?, index),
            Place::Page { level, parent, child } => {
                let (stripe, shard) = self.tree.find(level, parent, child)?;
                Some(self.tree.shard_len(&stripe, shard))
            }
        }
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

    /// The number in the resource of the chunk at `place`; `None` for parity, for pages, and for places
    /// that do not exist.
    #[must_use]
    pub fn chunk_at(&self, place: Place) -> Option<u64> {
        let Place::Shard { stripe, index } = place else { return None };
        self.layout.stripe(stripe)?.chunk(index)
    }

    /// The places of all pieces in the order of the manifest: group after group, in each the chunks in order, then the
    /// parity of its stripes. Manifest pages are in [`page_places`](Self::page_places).
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

    /// `None` when the stripe has no such shard, or the page with its id is not loaded.
    pub(crate) fn shard_id(&self, stripe: &Stripe, index: u16) -> Option<ChunkId> {
        self.entry_id(stripe.entry(index)?)
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
        f.debug_struct("Manifest")
            .field("root", &self.root)
            .field("layout", &self.layout)
            .field("level", &self.tree.level())
            .finish_non_exhaustive()
    }
}
