//! From pieces of strangers back to the resource.

use crate::check::check_claims;
use crate::erasure::Scratch;
use crate::layout::Stripe;
use crate::repair::rebuild;
use crate::{Inserted, LookupError, Manifest, NotEnoughPages, Piece, Place, RejectReason, VerifyError};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::ops::Range;

/// Brings a resource back from any sufficient subset of its pieces.
///
/// Pieces come in any order and from anyone. Each is checked against the manifest before it counts: a bad one is
/// rejected with the reason and changes nothing. Where the manifest has pages these are pieces too: the assembler takes
/// them as they come, asks in [`missing`](Self::missing) for those it needs, and lets go of those it has passed. As
/// soon as a stripe of k data shards has any k pieces its lost chunks are repaired, hashed, and ready.
///
/// # Memory
///
/// The assembler holds the plain bytes of accepted pieces until their chunks are handed out by
/// [`next_ready`](Self::next_ready) *and* their stripe is complete. Fed in the order of [`missing`](Self::missing) and
/// polled after each piece, it holds at most one group, `interleave * data` chunks, and while it repairs a stripe the
/// lost chunks of that stripe, of each level of manifest pages the page stripe that it is in, and a few MiB of working
/// memory: 435 MiB with the default configuration, if as much is lost as can be repaired. Pieces and pages of later
/// groups are held on top. Raw pieces are held as handles, so a piece that is
/// a small slice of a large buffer keeps the whole buffer.
///
/// ```
/// use bytes::Bytes;
/// use inos_chunk::{Assembler, Config, Inserted, encode};
///
/// let resource = Bytes::from((0..9_000_000_u32).map(|i| (i >> 8) as u8).collect::<Vec<u8>>());
/// let encoded = encode(&resource, &Config::default())?;
///
/// let mut assembler = Assembler::new(encoded.manifest);
/// let mut received = Vec::new();
/// for mut piece in encoded.pieces.into_iter().rev() {
///     let mut forged = piece.clone();
///     forged.plain_len ^= 1;
///     assert!(matches!(assembler.insert(forged), Inserted::Rejected(_)));
///     let _ = assembler.insert(piece);
///     while let Some((offset, chunk)) = assembler.next_ready() {
///         assert_eq!(offset, received.len() as u64);
///         received.extend_from_slice(&chunk);
///     }
/// }
/// assert!(assembler.is_complete() && received == resource);
/// # Ok::<(), inos_chunk::EncodeError>(())
/// ```
pub struct Assembler {
    manifest: Manifest,
    /// Stripes with some pieces, but not enough.
    open: BTreeMap<u32, OpenStripe>,
    /// Those of them that have enough, but whose lost chunks have ids in a page that is not loaded.
    waiting: BTreeSet<u32>,
    /// Complete stripes from the first open group on.
    complete: BTreeSet<u32>,
    /// No group before this one has a stripe that is not complete.
    first_open_group: u64,
    /// Chunks of complete stripes that were not handed out, by number.
    chunks: BTreeMap<u64, Bytes>,
    /// The next chunk to hand out.
    cursor: u64,
    scratch: Option<Scratch>,
}

#[derive(Default)]
struct OpenStripe {
    /// Checked data and parity shards by index.
    shards: BTreeMap<u16, Bytes>,
    parity_is_inconsistent: bool,
}

impl Assembler {
    /// An assembler that has nothing yet. The caller has checked the manifest's root id.
    #[must_use]
    pub fn new(manifest: Manifest) -> Self {
        Self {
            manifest,
            open: BTreeMap::new(),
            waiting: BTreeSet::new(),
            complete: BTreeSet::new(),
            first_open_group: 0,
            chunks: BTreeMap::new(),
            cursor: 0,
            scratch: None,
        }
    }

    /// The manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The places of pieces that would help, each once, earliest open group first. Each can be inserted at once: its id
    /// is known. In a group first come the manifest pages that it needs, the uppermost that are not loaded; then data
    /// in chunk order and parity, as far as pages with their ids are loaded; then what would bring the pages back
    /// should they be lost, the other pages of their page stripes and parity.
    ///
    /// So a caller asks for the pages in front first, and once these are inserted asks again. Of a stripe with k data
    /// shards any k pieces will do: it asks for as many of a stripe as [`shortfall`](Self::shortfall) says, and for
    /// others when these fail to come.
    ///
    /// O(1) to make. Between two places it passes over those that are not missing: O(log n) for each shard of an open
    /// group, and for each stripe of a group that is complete. Where pages are missing it also looks at their page
    /// stripes, and it remembers what it has named of these.
    pub fn missing(&self) -> impl Iterator<Item = Place> + '_ {
        let mut named = BTreeSet::new();
        (self.first_open_group..self.manifest.layout().groups()).flat_map(move |group| {
            let is_open = !self.is_group_complete(group);
            let entries = if is_open { self.manifest.layout().entries_of_group(group) } else { 0..0 };
            // Without a page there is no id to look for.
            let is_open = is_open && self.manifest.has_ids(entries.clone());
            let mut pages = self.manifest.needed_for(entries);
            pages.retain(|page| named.insert(*page));
            let mut alternatives = self.manifest.alternatives(&pages);
            alternatives.retain(|page| named.insert(*page));
            let shards = is_open.then(|| {
                let (data, parity) = self.manifest.places_of_group(group);
                data.chain(parity).filter(|place| self.wants(*place))
            });
            pages.into_iter().chain(shards.into_iter().flatten()).chain(alternatives)
        })
    }

    /// The places of pieces that would help to [`read`](Self::read) the bytes `range` of the resource, each once and
    /// insertable at once: for each chunk that is not here the chunk itself, or the uppermost page that is needed for
    /// its id; then what would bring these back, the other shards of the stripes and of the page stripes.
    ///
    /// None for bytes that were handed out, or that the resource does not have. O(log n) for each chunk of the range
    /// and for each shard of the stripes of missing ones.
    pub fn missing_in(&self, range: Range<u64>) -> impl Iterator<Item = Place> + '_ {
        let chunk_bytes = self.manifest.chunk_size().bytes_u64();
        let end = range.end.min(self.manifest.plain_len());
        let first = (range.start / chunk_bytes).max(self.cursor);
        let chunks = if range.start < end { first..end.div_ceil(chunk_bytes) } else { 0..0 };
        let lost = move || {
            let lost = chunks.clone().filter(|chunk| self.chunk(*chunk).is_none());
            lost.filter_map(|chunk| self.manifest.place_of_chunk(chunk))
        };
        let mut named = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let direct = lost().filter_map(|place| self.named_at(place));
        let others = lost().flat_map(move |place| {
            let Place::Shard { stripe, .. } = place else { return Vec::new() };
            if !seen.insert(stripe) || self.is_stripe_complete(stripe) {
                return Vec::new();
            }
            let shards = self.manifest.stripe(stripe).map_or(0, |shape| shape.shards());
            let shards = (0..shards).filter_map(|index| u16::try_from(index).ok());
            let shards = shards.filter_map(|index| self.named_at(Place::Shard { stripe, index }));
            let places: Vec<Place> = shards.filter(|place| self.wants(*place)).collect();
            let mut pages: Vec<Place> =
                places.iter().copied().filter(|place| matches!(place, Place::Page { .. })).collect();
            pages.dedup();
            let alternatives = self.manifest.alternatives(&pages);
            places.into_iter().chain(alternatives).collect()
        });
        direct.chain(others).filter(move |place| named.insert(*place))
    }

    /// The place itself, or the uppermost page that has to be inserted before it.
    fn named_at(&self, place: Place) -> Option<Place> {
        match self.manifest.id(place) {
            Ok(_) => Some(place),
            Err(LookupError::NotLoaded { page }) => Some(page),
            Err(LookupError::NoSuchPlace { .. }) => None,
        }
    }

    /// Whether the piece at a place can be inserted, and helps.
    fn wants(&self, place: Place) -> bool {
        let Place::Shard { stripe, index } = place else { return true };
        if self.is_stripe_complete(stripe) || self.waiting.contains(&stripe) || self.manifest.id(place).is_err() {
            return false;
        }
        let Some(open) = self.open.get(&stripe) else { return true };
        let is_useless = || self.manifest.stripe(stripe).is_some_and(|shape| index >= shape.data);
        !(open.shards.contains_key(&index) || open.parity_is_inconsistent && is_useless())
    }

    fn is_group_complete(&self, group: u64) -> bool {
        self.manifest.stripes_of_group(group).all(|stripe| self.is_stripe_complete(stripe))
    }

    /// How many pieces a stripe lacks; `None` when it is complete, waits for nothing but manifest pages, or does not
    /// exist.
    #[must_use]
    pub fn shortfall(&self, stripe: u32) -> Option<NotEnoughShards> {
        let data = self.manifest.stripe(stripe)?.data;
        if self.is_stripe_complete(stripe) {
            return None;
        }
        NotEnoughShards::check(stripe, data, self.open.get(&stripe).map_or(0, |open| open.shards.len()))
    }

    /// Whether all chunks of a stripe are ready or were handed out.
    #[must_use]
    pub fn is_stripe_complete(&self, stripe: u32) -> bool {
        let group = u64::from(stripe / u32::from(self.manifest.interleave()));
        let passed = group < self.first_open_group && stripe < self.manifest.stripe_count();
        passed || self.complete.contains(&stripe)
    }

    /// Whether all chunks of the resource are ready or were handed out.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.first_open_group == self.manifest.layout().groups()
    }

    /// Bytes of pieces and chunks held: what back-pressure looks at. Manifest pages are counted by
    /// [`Manifest::loaded_bytes`]. O(pieces held).
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        let open = self.open.values().flat_map(|open| open.shards.values());
        open.chain(self.chunks.values()).map(|bytes| bytes.len() as u64).sum()
    }

    /// Hands over a piece of any kind. Repairs its stripe, or page stripe, when it is the last one needed.
    ///
    /// A shard whose page is not loaded comes back as [`Inserted::NeedsPage`]. Pages are let go when the assembler has
    /// passed all that they and their page stripe name; inserted again they are duplicates.
    ///
    /// Before the piece is known to be genuine it allocates at most the plain length in the manifest. O(length of the
    /// piece); with a repair, O(n log n) shard operations for the stripe's n shards.
    pub fn insert(&mut self, piece: Piece) -> Inserted {
        let place = piece.place;
        let Place::Shard { stripe: number, index } = place else { return self.insert_page(piece) };
        let Some(stripe) = self.manifest.layout().stripe(number) else {
            return Inserted::Rejected(RejectReason::UnknownPlace { place });
        };
        let waits = self.waiting.contains(&number);
        let expected = match check_claims(&self.manifest, &stripe, index, &piece) {
            Err(VerifyError::Rejected(reason)) => return Inserted::Rejected(reason),
            _ if self.is_stripe_complete(number) => return Inserted::Duplicate,
            Err(VerifyError::NotLoaded { page }) if !waits => return Inserted::NeedsPage { page, piece },
            // The page may never come: a chunk whose id is known does not wait for it.
            Ok(expected) if !(waits && expected.is_parity()) => expected,
            _ => return Inserted::Duplicate,
        };
        if let Some(open) = self.open.get(&number) {
            if open.shards.contains_key(&index) {
                return Inserted::Duplicate;
            }
            if open.parity_is_inconsistent && expected.is_parity() {
                return Inserted::Rejected(RejectReason::InconsistentParity { stripe: number });
            }
        }
        let plain = match expected.open(&piece) {
            Ok(plain) => plain,
            Err(reason) => return Inserted::Rejected(reason),
        };
        let open = self.open.entry(number).or_default();
        open.shards.insert(index, plain);
        if waits {
            // Parity, as a chunk is lost: the stripe has enough without it, and holds no more than before.
            open.shards.pop_last();
            return Inserted::Accepted;
        }
        if open.shards.len() >= usize::from(stripe.shape.data)
            && !self.complete_stripe(number, &stripe)
            && expected.is_parity()
        {
            return Inserted::Rejected(RejectReason::InconsistentParity { stripe: number });
        }
        Inserted::Accepted
    }

    fn insert_page(&mut self, piece: Piece) -> Inserted {
        if self.manifest.is_passed(piece.place, self.first_open_entry()) {
            return Inserted::Duplicate;
        }
        let inserted = self.manifest.insert_page(piece);
        if inserted == Inserted::Accepted {
            for number in core::mem::take(&mut self.waiting) {
                let stripe = self.manifest.layout().stripe(number).expect("a stripe that waits was checked");
                self.complete_stripe(number, &stripe);
            }
        }
        inserted
    }

    fn first_open_entry(&self) -> u64 {
        if self.is_complete() {
            return self.manifest.piece_count();
        }
        self.manifest.layout().entries_of_group(self.first_open_group).start
    }

    /// Repairs the lost chunks of a stripe that has enough shards, or lets it wait for the page with their ids. `false`
    /// when the manifest's parity is inconsistent.
    fn complete_stripe(&mut self, number: u32, stripe: &Stripe) -> bool {
        let Some(mut open) = self.open.remove(&number) else { return true };
        let lost: Vec<u16> = (0..stripe.shape.data).filter(|index| !open.shards.contains_key(index)).collect();
        if lost.iter().any(|index| self.manifest.shard_id(stripe, *index).is_none()) {
            self.open.insert(number, open);
            self.waiting.insert(number);
            return true;
        }
        let Some(repaired) = rebuild(&self.manifest, stripe, &open.shards, &lost, &mut self.scratch) else {
            open.shards.retain(|index, _| *index < stripe.shape.data);
            open.parity_is_inconsistent = true;
            self.open.insert(number, open);
            return false;
        };
        for (index, plain) in open.shards.into_iter().chain(repaired) {
            let chunk = stripe.chunk(index).filter(|chunk| *chunk >= self.cursor);
            if let Some(chunk) = chunk {
                self.chunks.insert(chunk, plain);
            }
        }
        self.complete.insert(number);
        self.skip_complete_groups();
        true
    }

    fn skip_complete_groups(&mut self) {
        let before = self.first_open_group;
        while !self.is_complete() && self.is_group_complete(self.first_open_group) {
            for stripe in self.manifest.stripes_of_group(self.first_open_group) {
                self.complete.remove(&stripe);
            }
            self.first_open_group += 1;
        }
        if self.first_open_group > before {
            self.manifest.release_before(self.first_open_entry());
        }
    }

    /// The next chunk of the resource with its offset in bytes; `None` until it is there, and after the last.
    ///
    /// Chunks come in order, each once, and as soon as they are known: a genuine chunk does not wait for the rest of
    /// its stripe, but is kept until then for the repair of others.
    pub fn next_ready(&mut self) -> Option<(u64, Bytes)> {
        let chunk = self.chunks.remove(&self.cursor).or_else(|| self.chunk(self.cursor))?;
        let offset = self.cursor * self.manifest.chunk_size().bytes_u64();
        self.cursor += 1;
        Some((offset, chunk))
    }

    /// A handle of a chunk that is held.
    fn chunk(&self, chunk: u64) -> Option<Bytes> {
        if let Some(bytes) = self.chunks.get(&chunk) {
            return Some(bytes.clone());
        }
        self.held(self.manifest.place_of_chunk(chunk)?)
    }

    /// A handle of a shard of an open stripe.
    fn held(&self, place: Place) -> Option<Bytes> {
        let Place::Shard { stripe, index } = place else { return None };
        self.open.get(&stripe)?.shards.get(&index).cloned()
    }

    /// The bytes `range` of the resource as slices of its chunks, in order; nothing is copied or released. Works as
    /// soon as the chunks of the range are there, whatever else is missing.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the range is not inside the resource, not complete, or was handed out by
    /// [`next_ready`](Self::next_ready).
    pub fn read(&self, range: Range<u64>) -> Result<Vec<Bytes>, ReadError> {
        let len = self.manifest.plain_len();
        if range.start > range.end || range.end > len {
            return Err(ReadError::OutOfRange { start: range.start, end: range.end, len });
        }
        let chunk_bytes = self.manifest.chunk_size().bytes_u64();
        let mut slices = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let number = at / chunk_bytes;
            if number < self.cursor {
                return Err(ReadError::Released { offset: at, released: self.cursor * chunk_bytes });
            }
            let chunk = self.chunk(number).ok_or(ReadError::Missing { offset: at, chunk: number })?;
            let start = at - number * chunk_bytes;
            let end = (range.end - number * chunk_bytes).min(chunk.len() as u64);
            let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
                return Err(ReadError::Missing { offset: at, chunk: number });
            };
            slices.push(chunk.slice(from..to));
            at += end - start;
        }
        Ok(slices)
    }

    /// The rest of the resource in one piece: all that [`next_ready`](Self::next_ready) has not handed out. Copies it
    /// unless it is a single chunk, so large resources are better taken chunk by chunk.
    ///
    /// # Errors
    ///
    /// [`FinishError`] for the first stripe that lacks pieces, or the manifest page to tell them by; nothing was
    /// released then, and more can be inserted.
    pub fn finish(&mut self) -> Result<Bytes, FinishError> {
        let mut stripes = 0..self.manifest.stripe_count();
        if let Some(stripe) = stripes.find(|stripe| !self.is_stripe_complete(*stripe)) {
            return Err(self.why_not(stripe));
        }
        if self.chunks.len() == 1 {
            return Ok(self.next_ready().map(|(_, chunk)| chunk).unwrap_or_default());
        }
        let len = self.chunks.values().map(Bytes::len).sum();
        let mut rest = Vec::with_capacity(len);
        while let Some((_, chunk)) = self.next_ready() {
            rest.extend_from_slice(&chunk);
        }
        Ok(rest.into())
    }
}

impl Assembler {
    /// Why a stripe is not complete. Without a page it cannot have its shards, so the page comes first.
    fn why_not(&self, stripe: u32) -> FinishError {
        let page = self.manifest.pages_for_stripe(stripe).find_map(|page| self.manifest.page_shortfall(page));
        match (page, self.shortfall(stripe)) {
            (Some(shortfall), _) => FinishError::NotEnoughPages(shortfall),
            (None, Some(shortfall)) => FinishError::NotEnoughShards(shortfall),
            (None, None) => unreachable!("a stripe with enough shards and all pages is complete"),
        }
    }
}

impl fmt::Debug for Assembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembler")
            .field("manifest", &self.manifest)
            .field("open_stripes", &self.open.len())
            .field("ready_chunks", &self.chunks.len())
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

/// A stripe lacks pieces: too many are lost, or not here yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stripe {stripe} needs {needed} pieces, {present} are present")]
pub struct NotEnoughShards {
    /// Number of the stripe.
    pub stripe: u32,
    /// Pieces it needs: its data shards.
    pub needed: u16,
    /// Genuine pieces present.
    pub present: u16,
}

impl NotEnoughShards {
    pub(crate) fn check(stripe: u32, needed: u16, present: usize) -> Option<Self> {
        let present = u16::try_from(present).ok().filter(|present| *present < needed)?;
        Some(Self { stripe, needed, present })
    }
}

/// Why a resource is not complete. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FinishError {
    /// A stripe lacks pieces.
    #[error(transparent)]
    NotEnoughShards(NotEnoughShards),
    /// A page that names pieces of a stripe is not loaded, and cannot be rebuilt from what is.
    #[error(transparent)]
    NotEnoughPages(NotEnoughPages),
}

/// Why a range cannot be read. The caller is at fault, or too early; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The range is not inside the resource.
    #[error("{start}..{end} is no range of a resource of {len} bytes")]
    OutOfRange {
        /// First byte asked for.
        start: u64,
        /// End of the range.
        end: u64,
        /// Length of the resource.
        len: u64,
    },
    /// A chunk of the range is not there yet.
    #[error("chunk {chunk}, which holds byte {offset}, is not there yet")]
    Missing {
        /// The first byte of the range that is missing.
        offset: u64,
        /// Number of its chunk.
        chunk: u64,
    },
    /// The start of the range was handed out already.
    #[error("byte {offset} was handed out, as all bytes before {released}")]
    Released {
        /// The first byte of the range that is gone.
        offset: u64,
        /// End of what was handed out.
        released: u64,
    },
}
