//! A layout that is kept, and what changes between two.

use alloc::vec::Vec;
use core::iter::FusedIterator;

use super::{LayoutError, RegionHubs};
use crate::spec::NodeRef;

/// Hubs of a region, by their index in [`RegionHubs::hubs`]. At most 128, one bit each. Iterating answers the indexes,
/// ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubSet(u128);

impl HubSet {
    /// No hub.
    pub const EMPTY: Self = Self(0);

    /// Bit `i` is set when hub `i` is in the set.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// How many hubs, `0..=128`.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether hub `index` is in the set; never from 128 upwards.
    #[must_use]
    pub const fn contains(self, index: u8) -> bool {
        index < 128 && self.0 >> index & 1 == 1
    }

    pub(super) const fn insert(&mut self, index: u8) {
        self.0 |= 1 << index;
    }

    pub(super) const fn remove(&mut self, index: u8) {
        self.0 &= !(1 << index);
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl IntoIterator for HubSet {
    type Item = u8;
    type IntoIter = HubIndexes;

    fn into_iter(self) -> HubIndexes {
        HubIndexes(self.0)
    }
}

/// The hubs of a [`HubSet`] by index, ascending.
#[derive(Clone, Debug)]
pub struct HubIndexes(u128);

impl Iterator for HubIndexes {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.0 == 0 {
            return None;
        }
        let index = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        u8::try_from(index).ok()
    }
}

impl FusedIterator for HubIndexes {}

/// Which hubs of a region hold which pieces, made by [`RegionHubs::layout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubLayout {
    hubs: RegionHubs,
    holders: Vec<HubSet>,
}

impl HubLayout {
    pub(super) fn new(hubs: RegionHubs, holders: Vec<HubSet>) -> Self {
        Self { hubs, holders }
    }

    /// The hubs it is for.
    #[must_use]
    pub fn hubs(&self) -> &RegionHubs {
        &self.hubs
    }

    /// How many pieces.
    #[must_use]
    pub fn pieces(&self) -> u64 {
        u64::try_from(self.holders.len()).unwrap_or(u64::MAX)
    }

    /// The hubs of a piece by index; `None` when there is no such piece.
    #[must_use]
    pub fn set(&self, piece: u64) -> Option<HubSet> {
        self.holders.get(usize::try_from(piece).ok()?).copied()
    }

    /// The hubs of a piece; none when there is no such piece.
    pub fn holders(&self, piece: u64) -> impl Iterator<Item = NodeRef> + '_ {
        self.nodes(self.set(piece).unwrap_or_default())
    }

    /// The pieces of a hub, ascending; none when it is no hub here. O(pieces).
    pub fn pieces_of(&self, hub: NodeRef) -> impl Iterator<Item = u64> + '_ {
        let index = self.hubs.hubs().binary_search(&hub).ok().and_then(|index| u8::try_from(index).ok());
        let holds = move |set: &HubSet| index.is_some_and(|index| set.contains(index));
        (0..).zip(&self.holders).filter(move |(_, set)| holds(set)).map(|(piece, _)| piece)
    }

    /// How many pieces each hub holds, in the order of [`RegionHubs::hubs`]. O(pieces x copies).
    #[must_use]
    pub fn loads(&self) -> Vec<u64> {
        let mut loads = alloc::vec![0; self.hubs.hubs().len()];
        for hub in self.holders.iter().copied().flatten() {
            loads[usize::from(hub)] += 1;
        }
        loads
    }

    fn nodes(&self, set: HubSet) -> impl Iterator<Item = NodeRef> + use<'_> {
        set.into_iter().filter_map(|index| self.hubs.hubs().get(usize::from(index)).copied())
    }
}

/// What changes from one layout of a region's pieces to the next, piece by piece, pieces that stay as they are left out.
/// Nothing is computed before it is asked for; all of it is O(pieces x copies).
///
/// # Errors
///
/// [`LayoutError::OtherRegion`] and [`LayoutError::OtherResource`] when the two are not of the same region and resource.
pub fn hub_moves<'a>(before: &'a HubLayout, after: &'a HubLayout) -> Result<HubMoves<'a>, LayoutError> {
    let (old, new) = (&before.hubs, &after.hubs);
    if old.region() != new.region() {
        return Err(LayoutError::OtherRegion { before: old.region(), after: new.region() });
    }
    if before.pieces() != after.pieces() || !old.is_same_resource(new) {
        return Err(LayoutError::OtherResource { before: before.pieces(), after: after.pieces() });
    }
    let place = |node: &NodeRef| new.hubs().binary_search(node).ok().and_then(|index| u8::try_from(index).ok());
    Ok(HubMoves { before, after, new_index: old.hubs().iter().map(place).collect(), next: 0 })
}

/// Changed pieces, made by [`hub_moves`].
#[derive(Clone, Debug)]
pub struct HubMoves<'a> {
    before: &'a HubLayout,
    after: &'a HubLayout,
    /// Of each old hub.
    new_index: Vec<Option<u8>>,
    next: usize,
}

impl HubMoves<'_> {
    /// The sums over all changed pieces that are left.
    #[must_use]
    pub fn total(self) -> MoveCount {
        self.fold(MoveCount::default(), |sum, change| {
            let one = change.count();
            MoveCount { moved: sum.moved + one.moved, grown: sum.grown + one.grown, dropped: sum.dropped + one.dropped }
        })
    }
}

impl<'a> Iterator for HubMoves<'a> {
    type Item = ChangedPiece<'a>;

    fn next(&mut self) -> Option<ChangedPiece<'a>> {
        loop {
            let piece = self.next;
            let (old, new) = (*self.before.holders.get(piece)?, *self.after.holders.get(piece)?);
            self.next += 1;
            let (mut kept, mut left) = (HubSet::EMPTY, HubSet::EMPTY);
            for hub in old {
                match self.new_index.get(usize::from(hub)).copied().flatten() {
                    Some(index) if new.contains(index) => kept.insert(index),
                    _ => left.insert(hub),
                }
            }
            let gained = new.without(kept);
            if gained.is_empty() && left.is_empty() {
                continue;
            }
            let piece = u64::try_from(piece).ok()?;
            return Some(ChangedPiece { piece, before: self.before, after: self.after, kept, gained, left });
        }
    }
}

impl FusedIterator for HubMoves<'_> {}

/// A piece whose hubs change.
///
/// Every hub of [`gained`](Self::gained) fetches it from one of [`kept`](Self::kept), from a hub of
/// [`left`](Self::left) that is still there, or from a seed. When it has arrived everywhere, those of `left` may drop it.
#[derive(Clone, Copy, Debug)]
pub struct ChangedPiece<'a> {
    /// Its number.
    pub piece: u64,
    before: &'a HubLayout,
    after: &'a HubLayout,
    /// Indexes of the new layout.
    kept: HubSet,
    gained: HubSet,
    /// Indexes of the old layout.
    left: HubSet,
}

impl<'a> ChangedPiece<'a> {
    /// Hubs that had it and keep it.
    pub fn kept(&self) -> impl Iterator<Item = NodeRef> + use<'a> {
        self.after.nodes(self.kept)
    }

    /// Hubs that get it.
    pub fn gained(&self) -> impl Iterator<Item = NodeRef> + use<'a> {
        self.after.nodes(self.gained)
    }

    /// Hubs that had it and are to have it no more, some of which may be gone.
    pub fn left(&self) -> impl Iterator<Item = NodeRef> + use<'a> {
        self.before.nodes(self.left)
    }

    /// A copy that one hub gains and another one leaves is moved. What is gained beyond that is growth, what is left
    /// beyond that is dropped: they come from another number of copies.
    #[must_use]
    pub fn count(&self) -> MoveCount {
        let (gained, left) = (u64::from(self.gained.len()), u64::from(self.left.len()));
        let moved = gained.min(left);
        MoveCount { moved, grown: gained - moved, dropped: left - moved }
    }
}

/// Copies of pieces that change their place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveCount {
    /// Copies that another hub holds.
    pub moved: u64,
    /// Copies that are more than before.
    pub grown: u64,
    /// Copies that are fewer than before.
    pub dropped: u64,
}
