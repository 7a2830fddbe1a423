//! Where every page of a manifest belongs: the arithmetic of levels, page stripes and parents.
//!
//! `docs/format.md`, section 6, states the same in words.

use super::{HEADER_LEN, PAGE_BYTES};
use crate::layout::Layout;
use crate::{ChunkId, Geometry, Place};

/// Ids in a full page of level 0.
pub(crate) const PAGE_ENTRIES: u64 = (PAGE_BYTES / ChunkId::LEN) as u64;

/// Ids in a full root page, and the bound of every page that names pages.
pub(crate) const ROOT_ENTRIES: u64 = ((PAGE_BYTES - HEADER_LEN) / ChunkId::LEN) as u64;

/// Pages of a full page stripe: what an encoder holds for their parity, and what it takes to rebuild a lost page. With
/// the default geometry a page stripe has the odds of a stripe of the resource.
pub(crate) const STRIPE_PAGES: u64 = 100;

/// The least parity of a page stripe. The last stripe of a level may have one page, which 1 + 1 would leave weaker than
/// the 2,048 pieces that it names; four shards of 64 KiB are nothing beside these.
const MIN_PARITY: u64 = 4;

/// The most parity of a page stripe, per page: geometries of many copies must leave room for children in a parent.
const MAX_PARITY_PER_PAGE: u64 = 4;

/// Levels below and with the root: 2^32 stripes of 65,536 pieces under parents of 400 children.
pub(crate) const LEVELS: usize = 6;

/// How many children a page has, and with how much parity. Follows from the geometry of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Branching {
    geometry: Geometry,
}

impl Branching {
    pub(crate) const fn new(geometry: Geometry) -> Self {
        Self { geometry }
    }

    /// Parity shards of a stripe of `pages` pages, 1..=100.
    pub(crate) fn parity(self, pages: u64) -> u64 {
        let like_data = (pages * u64::from(self.geometry.parity())).div_ceil(u64::from(self.geometry.data()));
        like_data.clamp(MIN_PARITY, MAX_PARITY_PER_PAGE * pages)
    }

    /// Entries that a full page stripe takes in its parent.
    pub(crate) fn stripe_entries(self) -> u64 {
        STRIPE_PAGES + self.parity(STRIPE_PAGES)
    }

    /// Page stripes of a full parent.
    pub(crate) fn stripes(self) -> u64 {
        ROOT_ENTRIES / self.stripe_entries()
    }

    /// Children of a full parent, without parity.
    pub(crate) fn children(self) -> u64 {
        self.stripes() * STRIPE_PAGES
    }

    /// Entries of a parent of `children` children: their ids and those of their parity.
    fn entries(self, children: u64) -> u64 {
        let rest = children % STRIPE_PAGES;
        let last = if rest > 0 { rest + self.parity(rest) } else { 0 };
        children / STRIPE_PAGES * self.stripe_entries() + last
    }

    /// The place of page `number` of a level.
    pub(crate) fn page_place(self, level: u8, number: u64) -> Place {
        self.place(level, number / STRIPE_PAGES, number % STRIPE_PAGES)
    }

    /// The place of a shard of a page stripe, pages first, then parity.
    pub(crate) fn place(self, level: u8, stripe: u64, shard: u64) -> Place {
        let parent = u32::try_from(stripe / self.stripes()).expect("2^48 pieces have less than 2^32 pages of level 1");
        let child = stripe % self.stripes() * self.stripe_entries() + shard;
        Place::Page { level, parent, child: u16::try_from(child).expect("a page has at most 2,047 children") }
    }
}

/// A page below the root, by its level and its number there; or one of the shards that protect pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PageStripe {
    pub(crate) level: u8,
    /// Number of the stripe in its level.
    pub(crate) number: u64,
    pub(crate) pages: u64,
    pub(crate) parity: u64,
}

/// The tree of a manifest's pages: everything about it but the ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    branching: Branching,
    /// Piece ids.
    entries: u64,
    /// Level of the root.
    level: u8,
    /// Pages of each level up to the root's, which has one.
    pages: [u64; LEVELS],
}

impl Tree {
    pub(crate) fn new(layout: &Layout) -> Self {
        let branching = Branching::new(layout.geometry);
        let entries = layout.entry_count();
        let mut pages = [0; LEVELS];
        let mut level = 0;
        pages[0] = 1;
        if entries > ROOT_ENTRIES {
            pages[0] = entries.div_ceil(PAGE_ENTRIES);
            level = 1;
            pages[1] = pages[0].div_ceil(branching.children());
            while pages[level] > 1 {
                pages[level + 1] = pages[level].div_ceil(branching.children());
                level += 1;
            }
        }
        Self { branching, entries, level: u8::try_from(level).expect("there are at most 6 levels"), pages }
    }

    pub(crate) const fn branching(&self) -> Branching {
        self.branching
    }

    pub(crate) const fn level(&self) -> u8 {
        self.level
    }

    /// Pages of a level up to the root's.
    pub(crate) fn pages(&self, level: u8) -> u64 {
        self.pages[usize::from(level)]
    }

    /// Pages below the root, without parity.
    pub(crate) fn page_count(&self) -> u64 {
        (0..self.level).map(|level| self.pages(level)).sum()
    }

    /// Pages below the root, and their parity.
    pub(crate) fn piece_count(&self) -> u64 {
        (0..self.level).map(|level| self.below_entries(level)).sum()
    }

    /// Ids in page `number` of a level up to the root's.
    pub(crate) fn page_entries(&self, level: u8, number: u64) -> u64 {
        let Some(below) = level.checked_sub(1) else {
            // The root of level 0 has at most 2,047 entries, so the same minimum holds.
            return (self.entries - number * PAGE_ENTRIES).min(PAGE_ENTRIES);
        };
        let children = self.branching.children();
        self.branching.entries((self.pages(below) - number * children).min(children))
    }

    /// Length in bytes of page `number` of a level below the root's.
    pub(crate) fn page_len(&self, level: u8, number: u64) -> u32 {
        u32::try_from(self.page_entries(level, number) * ChunkId::LEN as u64).expect("a page has at most 64 KiB")
    }

    /// The page of the next level that names page `number`.
    pub(crate) fn parent(&self, level: u8, number: u64) -> (u8, u64) {
        (level + 1, number / self.branching.children())
    }

    /// Page stripes of a level below the root's.
    pub(crate) fn stripes(&self, level: u8) -> u64 {
        self.pages(level).div_ceil(STRIPE_PAGES)
    }

    /// Page stripe `number` of a level below the root's, `number < stripes(level)`.
    pub(crate) fn stripe(&self, level: u8, number: u64) -> PageStripe {
        let pages = (self.pages(level) - number * STRIPE_PAGES).min(STRIPE_PAGES);
        PageStripe { level, number, pages, parity: self.branching.parity(pages) }
    }

    /// The page stripe and the number in it of the shard at a place, pages first; `None` when there is no such place.
    pub(crate) fn find(&self, level: u8, parent: u32, child: u16) -> Option<(PageStripe, u64)> {
        if level >= self.level {
            return None;
        }
        let (slot, shard) =
            (u64::from(child) / self.branching.stripe_entries(), u64::from(child) % self.branching.stripe_entries());
        let number = u64::from(parent) * self.branching.stripes() + slot;
        if slot >= self.branching.stripes() || number >= self.stripes(level) {
            return None;
        }
        let stripe = self.stripe(level, number);
        (shard < stripe.pages + stripe.parity).then_some((stripe, shard))
    }

    /// Length in bytes of a shard of a page stripe: of the page, or of the stripe's longest, its first.
    pub(crate) fn shard_len(&self, stripe: &PageStripe, shard: u64) -> u32 {
        let page = if shard < stripe.pages { shard } else { 0 };
        self.page_len(stripe.level, stripe.first_page() + page)
    }

    /// The root page, all pages, and their parity, in bytes.
    pub(crate) fn total_bytes(&self) -> u64 {
        let entries = (0..=self.level).map(|level| match level {
            0 => self.entries,
            _ => self.below_entries(level - 1),
        });
        let parity = (0..self.level).map(|level| {
            let full = self.pages(level) / STRIPE_PAGES;
            let len = |number: u64| {
                let stripe = self.stripe(level, number);
                stripe.parity * u64::from(self.shard_len(&stripe, stripe.pages))
            };
            let full_bytes = if full > 0 { full * len(0) } else { 0 };
            full_bytes + if full < self.stripes(level) { len(full) } else { 0 }
        });
        HEADER_LEN as u64 + entries.sum::<u64>() * ChunkId::LEN as u64 + parity.sum::<u64>()
    }

    /// Pages of a level and their parity: the entries of the level above.
    fn below_entries(&self, level: u8) -> u64 {
        self.branching.entries(self.pages(level))
    }
}

impl PageStripe {
    /// Number in its level of the first page.
    pub(crate) const fn first_page(&self) -> u64 {
        self.number * STRIPE_PAGES
    }
}
