//! From the ids of pieces, in the order of the manifest's entries, to pages, their parity and the root.

use super::Manifest;
use super::tree::{Branching, PAGE_ENTRIES, STRIPE_PAGES};
use crate::erasure::{Codec as ErasureCodec, Scratch};
use crate::layout::Layout;
use crate::{ChunkId, Codec, Geometry, Piece, Place};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

/// Makes a manifest as the ids of its pieces come, in the order of [`Manifest::places`].
///
/// A page is ready with its last entry, and the parity of a page stripe with its last page, so between calls, polled
/// until `None` after each id, the builder holds of each level the entries of one page and the pages of one stripe:
/// at most 6.4 MiB, for 100 GB 3.7 MiB in all.
#[derive(Debug)]
pub(crate) struct ManifestBuilder {
    branching: Branching,
    /// From the pages of piece ids up to what will be the root.
    levels: Vec<OpenLevel>,
    ready: VecDeque<Piece>,
    ids: u64,
    /// Pages and parity handed out.
    handed_out: u64,
    scratch: Option<Scratch>,
    ended: bool,
}

#[derive(Debug, Default)]
struct OpenLevel {
    /// Entries of the page that is not complete.
    entries: Vec<u8>,
    /// Complete pages of the level.
    pages: u64,
    /// Those of the page stripe whose parity is not computed yet.
    stripe: Vec<Bytes>,
}

impl ManifestBuilder {
    /// Pages are protected in the proportion of `geometry`.
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self {
            branching: Branching::new(geometry),
            levels: vec![OpenLevel::default()],
            ready: VecDeque::new(),
            ids: 0,
            handed_out: 0,
            scratch: None,
            ended: false,
        }
    }

    /// The id of the next piece.
    pub(crate) fn push(&mut self, id: ChunkId) {
        self.ids += 1;
        self.levels[0].entries.extend_from_slice(id.as_bytes());
        // One more than the root has room for: there will be a level above.
        if self.levels[0].entries.len() as u64 == PAGE_ENTRIES * ChunkId::LEN as u64 {
            self.close_page(0);
        }
    }

    /// Ids pushed so far.
    pub(crate) const fn ids(&self) -> u64 {
        self.ids
    }

    /// The next page, or parity of pages, that is complete.
    pub(crate) fn next_page(&mut self) -> Option<Piece> {
        let page = self.ready.pop_front()?;
        self.handed_out += 1;
        Some(page)
    }

    /// Ids pushed, and pages and parity handed out.
    pub(crate) const fn pieces(&self) -> u64 {
        self.ids + self.handed_out
    }

    /// Declares that all ids were pushed: completes all pages but the root. Calling it again changes nothing.
    pub(crate) fn end(&mut self) {
        let mut level = 0;
        // Closing a stripe can add a level, so the end is looked for each time.
        while !self.ended && level + 1 < self.levels.len() {
            if !self.levels[level].entries.is_empty() {
                self.close_page(level);
            }
            if !self.levels[level].stripe.is_empty() {
                self.close_stripe(level);
            }
            level += 1;
        }
        self.ended = true;
    }

    /// The manifest, once [`end`](Self::end) was called. `layout` has as many entries as there were ids.
    pub(crate) fn finish(&self, layout: Layout) -> Manifest {
        let root = self.levels.last().map_or(&[][..], |level| &level.entries);
        Manifest::new(layout, root)
    }

    /// The page of a level is complete and not the root.
    fn close_page(&mut self, level: usize) {
        let open = &mut self.levels[level];
        let page = Bytes::from(core::mem::take(&mut open.entries));
        let number = open.pages;
        open.pages += 1;
        open.stripe.push(page.clone());
        let stripe_is_full = open.stripe.len() as u64 == STRIPE_PAGES;
        let id = ChunkId::of_page(&page);
        let place = self.branching.page_place(level_number(level), number);
        self.ready.push_back(page_piece(id, place, page));
        self.name_child(level + 1, id);
        if stripe_is_full {
            self.close_stripe(level);
        }
    }

    /// Adds the id of a page to its parent.
    fn name_child(&mut self, level: usize, id: ChunkId) {
        if level == self.levels.len() {
            self.levels.push(OpenLevel::default());
        }
        // A full parent may be the root; with one more child it is not.
        let full = self.branching.stripes() * self.branching.stripe_entries() * ChunkId::LEN as u64;
        if self.levels[level].entries.len() as u64 == full {
            self.close_page(level);
        }
        self.levels[level].entries.extend_from_slice(id.as_bytes());
    }

    /// Computes the parity of the open stripe of a level.
    fn close_stripe(&mut self, level: usize) {
        let open = &mut self.levels[level];
        let pages = core::mem::take(&mut open.stripe);
        let number = (open.pages - 1) / STRIPE_PAGES;
        let count = self.branching.parity(pages.len() as u64);
        let parity = usize::try_from(count).expect("100 pages have at most 400 parity shards");
        let codec = ErasureCodec::new(pages.len(), parity).expect("there are 1..=100 pages");
        let scratch = self.scratch.get_or_insert_with(|| codec.scratch());
        // The pages of a stripe are equally long but for the last.
        let mut shards = vec![vec![0; pages[0].len()]; parity];
        let data: Vec<&[u8]> = pages.iter().map(AsRef::as_ref).collect();
        let mut out: Vec<&mut [u8]> = shards.iter_mut().map(AsMut::as_mut).collect();
        codec.encode_into(scratch, &data, &mut out).expect("the first page is the longest");
        for (index, shard) in (pages.len() as u64..).zip(shards) {
            let id = ChunkId::of_page_parity(&shard);
            let place = self.branching.place(level_number(level), number, index);
            self.ready.push_back(page_piece(id, place, shard.into()));
            // The ids of parity follow those of their pages, in the same parent.
            self.levels[level + 1].entries.extend_from_slice(id.as_bytes());
        }
    }
}

fn level_number(level: usize) -> u8 {
    u8::try_from(level).expect("there are at most 6 levels")
}

fn page_piece(id: ChunkId, place: Place, bytes: Bytes) -> Piece {
    let plain_len = u32::try_from(bytes.len()).expect("a page has at most 64 KiB");
    Piece { id, place, codec: Codec::Raw, plain_len, bytes, duplicate_of: None }
}
