//! The pages below the root: which are needed for what, checking them in, rebuilding lost ones, letting them go.

use super::Manifest;
use super::tree::{PAGE_ENTRIES, PageStripe, STRIPE_PAGES};
use crate::check::check_page_claims;
use crate::erasure::Codec as ErasureCodec;
use crate::{ChunkId, Inserted, Piece, Place, RejectReason, VerifyError};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

/// Level and number of a page, or of a page stripe.
type Key = (u8, u64);

/// The pages that are loaded. Every one of them hashed to the id that its parent names.
#[derive(Clone, Default)]
pub(super) struct Pages {
    loaded: BTreeMap<Key, Bytes>,
    /// Checked parity of page stripes that lack pages, by number of the shard.
    parity: BTreeMap<Key, BTreeMap<u64, Bytes>>,
    /// Page stripes whose parity gave other pages than their parent names.
    inconsistent: BTreeSet<Key>,
}

impl Manifest {
    /// Level of the root page: how many further pages lead to the id of a piece. 0 when the root page names the pieces
    /// itself; at most 5.
    #[must_use]
    pub const fn level(&self) -> u8 {
        self.tree.level()
    }

    /// Pages below the root, without their parity.
    #[must_use]
    pub fn page_count(&self) -> u64 {
        self.tree.page_count()
    }

    /// The id of the piece or page at `place`. O(log n) for n loaded pages.
    ///
    /// # Errors
    ///
    /// [`LookupError::NoSuchPlace`] when the resource has no such place, [`LookupError::NotLoaded`] when it has, but
    /// the page that names it is not here.
    pub fn id(&self, place: Place) -> Result<ChunkId, LookupError> {
        let no_such_place = LookupError::NoSuchPlace { place };
        let (id, named_by) = match place {
            Place::Shard { stripe, index } => {
                let stripe = self.layout.stripe(stripe).ok_or(no_such_place)?;
                let entry = stripe.entry(index).ok_or(no_such_place)?;
                (self.entry_id(entry), (0, entry / PAGE_ENTRIES))
            }
            Place::Page { level, parent, child } => {
                self.tree.find(level, parent, child).ok_or(no_such_place)?;
                let parent = (level + 1, parent.into());
                (self.id_in(parent, child.into()), parent)
            }
        };
        id.ok_or_else(|| LookupError::NotLoaded { page: self.first_needed(named_by).unwrap_or(place) })
    }

    /// The id of an entry of level 0; `None` while its page is not loaded.
    pub(super) fn entry_id(&self, entry: u64) -> Option<ChunkId> {
        self.id_in((0, entry / PAGE_ENTRIES), entry % PAGE_ENTRIES)
    }

    fn id_in(&self, (level, number): Key, index: u64) -> Option<ChunkId> {
        let entries = if level == self.tree.level() {
            self.page.get(super::HEADER_LEN..)?
        } else {
            self.pages.loaded.get(&(level, number))?
        };
        let at = usize::try_from(index).ok()? * ChunkId::LEN;
        Some(ChunkId::from_bytes(*entries.get(at..)?.first_chunk()?))
    }

    fn is_here(&self, page: Key) -> bool {
        page.0 == self.tree.level() || self.pages.loaded.contains_key(&page)
    }

    /// The uppermost page that has to be loaded for the page with this key to be; `None` when it is.
    fn first_needed(&self, mut page: Key) -> Option<Place> {
        let mut needed = None;
        while !self.is_here(page) {
            needed = Some(page);
            page = self.tree.parent(page.0, page.1);
        }
        needed.map(|(level, number)| self.tree.branching().page_place(level, number))
    }

    /// The pages that lead from the root to the id of the piece or page at `place`, top down, loaded or not: what
    /// [`id`](Self::id) needs. None when the root page names it, or there is no such place.
    pub fn pages_for(&self, place: Place) -> impl Iterator<Item = Place> + use<> {
        let tree = self.tree;
        let named_by = match place {
            Place::Shard { stripe, index } => {
                let entry = self.layout.stripe(stripe).and_then(|stripe| stripe.entry(index));
                entry.map(|entry| (0, entry / PAGE_ENTRIES))
            }
            Place::Page { level, parent, child } => {
                tree.find(level, parent, child).map(|_| (level + 1, u64::from(parent)))
            }
        };
        let lowest = named_by.map_or(tree.level(), |(level, _)| level);
        (lowest..tree.level()).rev().filter_map(move |level| {
            let mut page = named_by?;
            while page.0 < level {
                page = tree.parent(page.0, page.1);
            }
            Some(tree.branching().page_place(page.0, page.1))
        })
    }

    /// The pages with the ids of all shards of a stripe, and those that lead to them, top down, loaded or not: what
    /// [`StripeRepair`](crate::StripeRepair) needs. None when there is no such stripe.
    pub fn pages_for_stripe(&self, stripe: u32) -> impl Iterator<Item = Place> + use<> {
        let entries = self.layout.stripe(stripe).map_or([0..0, 0..0], |stripe| stripe.entries());
        let mut pages = BTreeSet::new();
        for entries in entries.into_iter().filter(|entries| !entries.is_empty()) {
            for number in entries.start / PAGE_ENTRIES..entries.end.div_ceil(PAGE_ENTRIES) {
                let mut page = (0, number);
                while page.0 < self.tree.level() && pages.insert(page) {
                    page = self.tree.parent(page.0, page.1);
                }
            }
        }
        let branching = self.tree.branching();
        // Top down, in each level from the left.
        let mut pages: Vec<Key> = pages.into_iter().collect();
        pages.sort_by_key(|&(level, number)| (u8::MAX - level, number));
        pages.into_iter().map(move |(level, number)| branching.page_place(level, number))
    }

    /// The places of all pages below the root and of their parity, top down: in each level page stripe after page
    /// stripe, its pages and then its parity. Loaded or not.
    pub fn page_places(&self) -> impl Iterator<Item = Place> + use<> {
        let tree = self.tree;
        (0..tree.level()).rev().flat_map(move |level| {
            (0..tree.stripes(level)).flat_map(move |number| places_of(tree.stripe(level, number), tree.branching()))
        })
    }

    /// The pages below the root that are not loaded, top down. Inserted in this order, each finds its parent loaded.
    pub fn missing_pages(&self) -> impl Iterator<Item = Place> + '_ {
        (0..self.tree.level()).rev().flat_map(move |level| {
            let missing = (0..self.tree.pages(level)).filter(move |number| !self.is_here((level, *number)));
            missing.map(move |number| self.tree.branching().page_place(level, number))
        })
    }

    /// The places of the page stripe that `page` is in, at most 100 pages and then their parity: any of them, as many
    /// as there are pages, bring the others back. None when there is no such page.
    pub fn page_stripe(&self, page: Place) -> impl Iterator<Item = Place> + use<> {
        let branching = self.tree.branching();
        self.stripe_of(page).into_iter().flat_map(move |(stripe, _)| places_of(stripe, branching))
    }

    fn stripe_of(&self, page: Place) -> Option<(PageStripe, u64)> {
        let Place::Page { level, parent, child } = page else { return None };
        self.tree.find(level, parent, child)
    }

    /// Whether the page, or parity of pages, at `place` is held.
    #[must_use]
    pub fn is_loaded(&self, page: Place) -> bool {
        let Some((stripe, shard)) = self.stripe_of(page) else { return false };
        if shard < stripe.pages {
            return self.is_here((stripe.level, stripe.first_page() + shard));
        }
        self.pages.parity.get(&stripe.key()).is_some_and(|parity| parity.contains_key(&shard))
    }

    /// How far it is to the rebuilding of a page that is not loaded; `None` when it is, or does not exist.
    #[must_use]
    pub fn page_shortfall(&self, page: Place) -> Option<NotEnoughPages> {
        let (stripe, shard) = self.stripe_of(page)?;
        if shard >= stripe.pages || self.is_loaded(page) {
            return None;
        }
        let parity = self.pages.parity.get(&stripe.key()).map_or(0, BTreeMap::len);
        let present = self.pages_here(&stripe).count() + parity;
        // A page stripe has at most 500 shards.
        let (needed, present) = (u16::try_from(stripe.pages).ok()?, u16::try_from(present).ok()?);
        Some(NotEnoughPages { page, needed, present })
    }

    /// Bytes of the pages, and of the parity of pages, that are held below the root.
    #[must_use]
    pub fn loaded_bytes(&self) -> u64 {
        let parity = self.pages.parity.values().flat_map(BTreeMap::values);
        self.pages.loaded.values().chain(parity).map(|bytes| bytes.len() as u64).sum()
    }

    /// Hands over a page or parity of pages. It counts if its parent names it: insert pages top down. Parity is held as
    /// long as its page stripe lacks pages; as soon as any shards are there, as many as the stripe has pages, the
    /// others are rebuilt, hashed, and loaded.
    ///
    /// Copies the page, so that no larger buffer stays in memory for its sake, and allocates nothing before it is known
    /// to be genuine. A page costs O(its length), rebuilding pages up to that of 500 shards of 64 KiB.
    pub fn insert_page(&mut self, piece: Piece) -> Inserted {
        let Place::Page { level, parent, child } = piece.place else {
            return Inserted::Rejected(RejectReason::NotAPage { place: piece.place });
        };
        let Some((stripe, shard)) = self.tree.find(level, parent, child) else {
            return Inserted::Rejected(RejectReason::UnknownPlace { place: piece.place });
        };
        let expected = match (check_page_claims(self, &piece), self.is_done(&stripe, shard)) {
            (Err(VerifyError::Rejected(reason)), _) => return Inserted::Rejected(reason),
            (_, true) => return Inserted::Duplicate,
            (Err(VerifyError::NotLoaded { page }), _) => return Inserted::NeedsPage { page, piece },
            (Ok(expected), false) => expected,
        };
        let is_parity = shard >= stripe.pages;
        if is_parity && self.pages.inconsistent.contains(&stripe.key()) {
            return Inserted::Rejected(self.inconsistent(&stripe));
        }
        let bytes = match expected.open(&piece) {
            Ok(plain) => Bytes::copy_from_slice(&plain),
            Err(reason) => return Inserted::Rejected(reason),
        };
        if is_parity {
            self.pages.parity.entry(stripe.key()).or_default().insert(shard, bytes);
        } else {
            self.pages.loaded.insert((level, stripe.first_page() + shard), bytes);
        }
        if !self.complete_stripe(&stripe) && is_parity {
            return Inserted::Rejected(self.inconsistent(&stripe));
        }
        Inserted::Accepted
    }

    /// Loads the pages among the pieces that were made with this manifest.
    pub(crate) fn load_own(&mut self, pieces: &[Piece]) {
        let places = pieces.iter().filter_map(|piece| Some((self.stripe_of(piece.place)?, &piece.bytes)));
        let pages = places.filter(|((stripe, shard), _)| *shard < stripe.pages);
        let loaded = pages.map(|((stripe, shard), bytes)| ((stripe.level, stripe.first_page() + shard), bytes.clone()));
        self.pages.loaded = loaded.collect();
    }

    /// Whether there is parity, not a page, at a place of the tree.
    pub(crate) fn is_page_parity(&self, page: Place) -> bool {
        self.stripe_of(page).is_some_and(|(stripe, shard)| shard >= stripe.pages)
    }

    /// Whether a shard of a page stripe is here, or is parity that is not needed.
    fn is_done(&self, stripe: &PageStripe, shard: u64) -> bool {
        if shard < stripe.pages {
            return self.is_here((stripe.level, stripe.first_page() + shard));
        }
        let held = self.pages.parity.get(&stripe.key()).is_some_and(|parity| parity.contains_key(&shard));
        held || self.pages_here(stripe).count() as u64 == stripe.pages
    }

    fn pages_here(&self, stripe: &PageStripe) -> impl Iterator<Item = (u64, &Bytes)> {
        let first = stripe.first_page();
        let keys = (stripe.level, first)..(stripe.level, first + stripe.pages);
        self.pages.loaded.range(keys).map(move |(&(_, number), page)| (number - first, page))
    }

    fn inconsistent(&self, stripe: &PageStripe) -> RejectReason {
        let first_page = self.tree.branching().page_place(stripe.level, stripe.first_page());
        RejectReason::InconsistentPageParity { first_page }
    }

    /// Rebuilds the lost pages of a page stripe that has enough shards. `false` when its parity is inconsistent.
    fn complete_stripe(&mut self, stripe: &PageStripe) -> bool {
        let Some(parity) = self.pages.parity.get(&stripe.key()) else { return true };
        let here = self.pages_here(stripe).count() as u64;
        let consistent = if here == stripe.pages {
            true
        } else if here + (parity.len() as u64) < stripe.pages {
            return true;
        } else if let Some(rebuilt) = self.rebuild(stripe, parity) {
            self.pages.loaded.extend(rebuilt);
            true
        } else {
            self.pages.inconsistent.insert(stripe.key());
            false
        };
        self.pages.parity.remove(&stripe.key());
        consistent
    }

    /// The lost pages of a stripe, each with the id that its parent names; `None` when one has not.
    fn rebuild(&self, stripe: &PageStripe, parity: &BTreeMap<u64, Bytes>) -> Option<Vec<(Key, Bytes)>> {
        let index = |shard: u64| usize::try_from(shard).expect("a page stripe has at most 500 shards");
        let codec =
            ErasureCodec::new(index(stripe.pages), index(stripe.parity)).expect("a page stripe has valid counts");
        let parity = parity.iter().map(|(&shard, bytes)| (shard, bytes));
        let present: Vec<(usize, &[u8])> =
            self.pages_here(stripe).chain(parity).map(|(shard, bytes)| (index(shard), bytes.as_ref())).collect();
        let mut lost: Vec<(u64, Vec<u8>)> = Vec::new();
        for shard in (0..stripe.pages).filter(|shard| !self.is_here((stripe.level, stripe.first_page() + shard))) {
            let len = usize::try_from(self.tree.shard_len(stripe, shard)).ok()?;
            lost.push((shard, vec![0; len]));
        }
        let mut out: Vec<(usize, &mut [u8])> =
            lost.iter_mut().map(|(shard, bytes)| (index(*shard), bytes.as_mut_slice())).collect();
        codec.repair(&mut codec.scratch(), &present, &mut out).expect("enough distinct shards of the right lengths");
        let branching = self.tree.branching();
        let named = |(shard, bytes): &(u64, Vec<u8>)| {
            self.id(branching.place(stripe.level, stripe.number, *shard)) == Ok(ChunkId::of_page(bytes))
        };
        lost.iter().all(named).then(|| {
            let first = stripe.first_page();
            lost.into_iter().map(|(shard, bytes)| ((stripe.level, first + shard), bytes.into())).collect()
        })
    }

    /// Lets a page, or parity of pages, go; it can be inserted again. `false` when it was not held.
    pub fn release_page(&mut self, page: Place) -> bool {
        let Some((stripe, shard)) = self.stripe_of(page) else { return false };
        if shard < stripe.pages {
            return self.pages.loaded.remove(&(stripe.level, stripe.first_page() + shard)).is_some();
        }
        let Some(parity) = self.pages.parity.get_mut(&stripe.key()) else { return false };
        let released = parity.remove(&shard).is_some();
        if parity.is_empty() {
            self.pages.parity.remove(&stripe.key());
        }
        released
    }

    /// Lets all pages go that name only pieces and pages before `entry`, page stripe by page stripe: the pages of one
    /// that is still needed may have to be rebuilt from its others.
    pub(crate) fn release_before(&mut self, entry: u64) {
        let all = entry >= self.layout.entry_count();
        let mut passed = entry / PAGE_ENTRIES;
        for level in 0..self.tree.level() {
            let stripes = if all { self.tree.stripes(level) } else { passed / STRIPE_PAGES };
            remove_range(&mut self.pages.loaded, level, stripes * STRIPE_PAGES);
            remove_range(&mut self.pages.parity, level, stripes);
            passed /= self.tree.branching().children();
        }
    }

    /// Whether [`release_before`](Self::release_before) has let go of all that the page stripe of `page` names.
    pub(crate) fn is_passed(&self, page: Place, entry: u64) -> bool {
        let Some((stripe, _)) = self.stripe_of(page) else { return false };
        let mut passed = entry / PAGE_ENTRIES;
        for _ in 0..stripe.level {
            passed /= self.tree.branching().children();
        }
        entry >= self.layout.entry_count() || stripe.number < passed / STRIPE_PAGES
    }

    /// The uppermost pages that are to be loaded for the ids of these entries, without repetition.
    pub(crate) fn needed_for(&self, entries: core::ops::Range<u64>) -> Vec<Place> {
        let numbers = entries.start / PAGE_ENTRIES..entries.end.div_ceil(PAGE_ENTRIES);
        let mut needed: Vec<Place> = numbers.filter_map(|number| self.first_needed((0, number))).collect();
        needed.dedup();
        needed
    }

    /// Whether a page with ids of these entries is loaded.
    pub(crate) fn has_ids(&self, entries: core::ops::Range<u64>) -> bool {
        (entries.start / PAGE_ENTRIES..entries.end.div_ceil(PAGE_ENTRIES)).any(|number| self.is_here((0, number)))
    }

    /// What brings back the pages `needed`, should they be lost: the rest of their page stripes that is not held.
    pub(crate) fn alternatives(&self, needed: &[Place]) -> Vec<Place> {
        let asked: BTreeSet<Place> = needed.iter().copied().collect();
        let mut seen = BTreeSet::new();
        let mut places = Vec::new();
        for &page in needed {
            let Some((stripe, _)) = self.stripe_of(page) else { continue };
            if !self.pages.inconsistent.contains(&stripe.key()) && seen.insert(stripe.key()) {
                let all = places_of(stripe, self.tree.branching());
                places.extend(all.filter(|place| !asked.contains(place) && !self.is_loaded(*place)));
            }
        }
        places
    }
}

impl PageStripe {
    const fn key(&self) -> Key {
        (self.level, self.number)
    }
}

fn places_of(stripe: PageStripe, branching: super::tree::Branching) -> impl Iterator<Item = Place> {
    (0..stripe.pages + stripe.parity).map(move |shard| branching.place(stripe.level, stripe.number, shard))
}

/// Removes what has a number below `end` in a level.
fn remove_range<T>(map: &mut BTreeMap<Key, T>, level: u8, end: u64) {
    while let Some((&key, _)) = map.range((level, 0)..(level, end)).next() {
        map.remove(&key);
    }
}

/// Why a manifest does not tell an id. Nothing is wrong with the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The resource has no such place. The caller is at fault.
    #[error("the resource has no {place:?}")]
    NoSuchPlace {
        /// The place asked for.
        place: Place,
    },
    /// A page on the way to the id is not loaded.
    #[error("the page at {page:?} is not loaded")]
    NotLoaded {
        /// The uppermost page that is missing. Its own id is known, so it can be inserted.
        page: Place,
    },
}

/// A page is lost, or not here yet, and so are too many others of its page stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("to rebuild the page at {page:?} takes {needed} pages or parity of its stripe, {present} are present")]
pub struct NotEnoughPages {
    /// The page.
    pub page: Place,
    /// Pages of its page stripe: that many of its pages and parity shards bring it back.
    pub needed: u16,
    /// Pages and parity shards of the stripe that are held.
    pub present: u16,
}
