//! The hubs of a region, and which of them hold a piece.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::iter::FusedIterator;

use super::layout::{HubLayout, HubSet};
use super::rendezvous::{BLOCK, block_key, hub_key, pair, piece_key, place_score, place_slope, shuffled};
use super::{HierarchyLimits, LayoutError, MAX_LAYOUT_PIECES};
use crate::spec::NodeRef;
use crate::units::RegionId;

const THOUSAND: u128 = 1000;

/// One whole as a share of a piece: 64 bits behind the point.
const WHOLE: u128 = 1 << 64;

/// The hubs of one region, which together hold every piece [`copies`](Self::copies) times.
///
/// [`assign`](Self::assign) says which hubs hold which piece, one piece after the other; [`layout`](Self::layout) keeps the
/// answer. Both depend on the hash of the resource, the hubs with their weights, and the number of pieces, on nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionHubs {
    region: RegionId,
    resource_hash: u64,
    copies: u32,
    load_bound_permille: u32,
    /// See [`place_slope`], for the copies that are not on hubs that hold everything.
    slope: u64,
    /// In the order of the handles.
    nodes: Vec<NodeRef>,
    seats: Vec<Seat>,
}

/// A hub as far as pieces are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seat {
    key: u64,
    /// The share of the pieces that the hub holds, as a fraction.
    share: (u128, u128),
    /// By what a score is multiplied: the inverse of the hub's rate, 2^32 for the highest one. Zero for a hub that holds
    /// everything, so that it is always the first.
    inverse_rate: u64,
}

/// What the plan knows of a hub.
#[derive(Clone, Copy, Debug)]
pub(super) struct HubSpec {
    pub(super) node: NodeRef,
    pub(super) tie: u64,
    pub(super) weight: u32,
}

impl RegionHubs {
    pub(super) fn new(region: RegionId, resource_hash: u64, mut hubs: Vec<HubSpec>, limits: &HierarchyLimits) -> Self {
        hubs.sort_unstable_by_key(|hub| hub.node);
        let weights: Vec<u32> = hubs.iter().map(|hub| hub.weight.max(1)).collect();
        let count = u32::try_from(hubs.len()).expect("a region has at most 128 hubs");
        let copies = (u64::from(count) * u64::from(limits.hub_share_permille)).div_ceil(1000);
        let copies = u32::try_from(copies).expect("a share is at most the whole");
        let shares = fair_shares(copies, &weights);
        let rates: Vec<Option<u128>> = shares.iter().map(Share::rate).collect();
        let highest = rates.iter().copied().flatten().max().unwrap_or(1);
        let draws = shares.iter().map(|share| share.draws).max().unwrap_or(1);
        let seats = hubs.iter().zip(&shares).zip(&rates).map(|((hub, share), &rate)| Seat {
            key: hub_key(hub.tie),
            share: (share.part, share.whole),
            inverse_rate: match rate {
                Some(rate) => u64::try_from((highest << 32) / rate).unwrap_or(u64::MAX),
                None => 0,
            },
        });
        let seats = seats.collect();
        let nodes = hubs.iter().map(|hub| hub.node).collect();
        let (load_bound_permille, slope) = (limits.load_bound_permille, place_slope(draws));
        Self { region, resource_hash, copies, load_bound_permille, slope, nodes, seats }
    }

    pub(super) fn is_same_resource(&self, other: &Self) -> bool {
        self.resource_hash == other.resource_hash
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> RegionId {
        self.region
    }

    /// The hubs, in the order of their handles. A [`HubSet`] names them by their index here.
    #[must_use]
    pub fn hubs(&self) -> &[NodeRef] {
        &self.nodes
    }

    /// On how many hubs each piece is: ceil(share x hubs).
    #[must_use]
    pub fn copies(&self) -> u32 {
        self.copies
    }

    /// The most pieces that each hub gets of a resource of `pieces`, in the order of [`hubs`](Self::hubs): its fair share
    /// and the load bound, rounded up, but not more than there are.
    ///
    /// The fair share of a hub is `copies x pieces x weight / weights`. A hub for which that would be more than all pieces
    /// holds all, and the others share the rest alike.
    pub fn caps(&self, pieces: u64) -> impl Iterator<Item = u64> + '_ {
        self.seats.iter().map(move |seat| self.cap(seat, pieces))
    }

    fn cap(&self, seat: &Seat, pieces: u64) -> u64 {
        let (part, whole) = seat.share;
        // At most 2^11 x 2^40 x 2^64, below 2^128.
        let bounded = (THOUSAND + u128::from(self.load_bound_permille)) * part * u128::from(pieces);
        u64::try_from(bounded.div_ceil(THOUSAND * whole)).unwrap_or(u64::MAX).min(pieces)
    }

    /// Which hubs hold piece 0, piece 1, and so on up to `pieces`, data and parity in whichever order the caller numbers
    /// them. Memory O(hubs) for any number of pieces; time O(hubs) for each piece taken.
    ///
    /// Every piece is on exactly [`copies`](Self::copies) hubs, and no hub gets more than its [`caps`](Self::caps) says.
    pub fn assign(&self, pieces: u64) -> PieceHubs<'_> {
        let room: Vec<u64> = self.caps(pieces).collect();
        // The caps add up to the copies at least: each is its fair share rounded up, and no share is above all pieces.
        let spare =
            room.iter().map(|&cap| u128::from(cap)).sum::<u128>() - u128::from(self.copies) * u128::from(pieces);
        let shuffles = Vec::with_capacity(self.seats.len());
        let scores = Vec::with_capacity(self.seats.len());
        PieceHubs { hubs: self, next: 0, pieces, room, spare, shuffles, scores }
    }

    /// The hubs of every piece, kept: 16 bytes per piece. O(pieces x hubs); 120,000 pieces on 100 hubs take a fraction of
    /// a second.
    ///
    /// # Errors
    ///
    /// [`LayoutError::TooManyPieces`] above [`MAX_LAYOUT_PIECES`]; [`assign`](Self::assign) has no such limit.
    pub fn layout(&self, pieces: u64) -> Result<HubLayout, LayoutError> {
        let too_many = LayoutError::TooManyPieces { pieces, limit: MAX_LAYOUT_PIECES };
        if pieces > MAX_LAYOUT_PIECES {
            return Err(too_many);
        }
        let mut holders = Vec::with_capacity(usize::try_from(pieces).map_err(|_| too_many)?);
        holders.extend(self.assign(pieces));
        Ok(HubLayout::new(self.clone(), holders))
    }
}

/// A hub's fair share of the pieces, `part / whole`, and of how many draws.
struct Share {
    part: u128,
    whole: u128,
    draws: u32,
}

impl Share {
    /// What the hub's scores are divided by so that its share comes out, in units that are the same for all hubs of the
    /// region; `None` for a hub that holds everything.
    ///
    /// With `p` the share and `R` the draws it is the sum of what the two parts of a score need by themselves. Hubs drawn
    /// again and again with chance `r`, as by `-ln(1 - u)`, miss one with probability `(1 - r)^R`, so `r = 1 - (1 - p)^(1/R)`.
    /// By `u` alone the R-th lowest of the other scores is at `R / (R + p)` of where it would be for a hub of no weight.
    fn rate(&self) -> Option<u128> {
        if self.part >= self.whole {
            return None;
        }
        let (share, draws) = ((self.part << 64) / self.whole, u128::from(self.draws));
        // At most 2^7 x 2^64 x 2^48.
        let even = (((draws - 1) * share) << 48) / ((draws << 48) + (share >> 16));
        Some((even + WHOLE - root(WHOLE - share, self.draws)).max(1))
    }
}

/// The largest `x` with `x^degree <= value`, both of `0..=1` with 64 bits behind the point, powers rounded down.
fn root(value: u128, degree: u32) -> u128 {
    let (mut low, mut high) = (0, WHOLE);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if power(middle, degree) <= value { low = middle } else { high = middle - 1 }
    }
    low
}

/// `base^exponent` by squaring; never falls with the base.
fn power(base: u128, exponent: u32) -> u128 {
    let (mut product, mut square, mut left) = (WHOLE, base, exponent);
    while left > 0 {
        if left % 2 == 1 {
            product = multiply(product, square);
        }
        (square, left) = (multiply(square, square), left / 2);
    }
    product
}

/// The product of two numbers of `0..=1` with 64 bits behind the point, rounded down.
fn multiply(a: u128, b: u128) -> u128 {
    (a * (b >> 1)) >> 63
}

/// Shares in proportion to the weights, each at most the whole, together `copies`.
fn fair_shares(copies: u32, weights: &[u32]) -> Vec<Share> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&hub| Reverse(weights[hub]));
    let mut total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    let mut draws = copies;
    // The heaviest first: once one gets less than the whole, so do all that are lighter.
    let mut full = 0;
    for &hub in &order {
        let weight = u64::from(weights[hub]);
        if u128::from(draws) * u128::from(weight) < u128::from(total) || draws == 0 {
            break;
        }
        (draws, total, full) = (draws - 1, total - weight, full + 1);
    }
    let mut shares: Vec<Share> = Vec::with_capacity(weights.len());
    for &weight in weights {
        shares.push(Share {
            part: u128::from(draws) * u128::from(weight),
            whole: u128::from(total.max(1)),
            draws: draws.max(1),
        });
    }
    for &hub in order.iter().take(full) {
        shares[hub] = Share { part: 1, whole: 1, draws: 1 };
    }
    shares
}

/// The hubs of one piece after the other, made by [`RegionHubs::assign`].
#[derive(Clone, Debug)]
pub struct PieceHubs<'a> {
    hubs: &'a RegionHubs,
    next: u64,
    pieces: u64,
    /// How many more pieces each hub takes.
    room: Vec<u64>,
    /// By how much the rooms exceed the copies to come, each room counted up to the pieces to come.
    spare: u128,
    /// In which order each hub wants the pieces of this block.
    shuffles: Vec<u64>,
    scores: Vec<u128>,
}

impl PieceHubs<'_> {
    /// The hubs with room that have the lowest scores, at most as many as there are copies; and those with room for every
    /// piece to come.
    fn lowest(&mut self) -> (HubSet, HubSet) {
        let to_come = self.pieces - self.next;
        let (block, within) = (self.next / BLOCK, self.next % BLOCK);
        if within == 0 {
            let block = block_key(self.hubs.resource_hash, block);
            self.shuffles.clear();
            self.shuffles.extend(self.hubs.seats.iter().map(|seat| pair(block, seat.key)));
        }
        let piece = piece_key(self.hubs.resource_hash, self.next);
        let mut roomy = HubSet::EMPTY;
        self.scores.clear();
        let hubs = self.hubs.seats.iter().zip(&self.shuffles).zip(&self.room);
        for (((seat, &shuffle), &room), index) in hubs.zip(0u8..) {
            if room >= to_come {
                roomy.insert(index);
            }
            if room > 0 {
                let draw = (shuffled(within, shuffle) << 56) | (pair(piece, seat.key) >> 8);
                let score = u128::from(place_score(draw, self.hubs.slope)) * u128::from(seat.inverse_rate);
                // 52 bits and 64, and the index in 7 more: a score is unique.
                self.scores.push((score << 7) | u128::from(index));
            }
        }
        (self.take_lowest(), roomy)
    }

    fn take_lowest(&mut self) -> HubSet {
        let copies = usize::try_from(self.hubs.copies).expect("there are at most 128 hubs");
        if (1..self.scores.len()).contains(&copies) {
            self.scores.select_nth_unstable(copies - 1);
        }
        self.scores.iter().take(copies).fold(HubSet::EMPTY, |mut set, score| {
            set.insert(u8::try_from(score & 0x7f).expect("seven bits fit a byte"));
            set
        })
    }

    /// Replaces the highest scores outside of `roomy` by the lowest within, until at most `spare` of `roomy` are left out.
    fn spare_room(&mut self, chosen: HubSet, roomy: HubSet) -> HubSet {
        let mut chosen = chosen;
        self.scores.sort_unstable();
        let index = |score: &u128| u8::try_from(score & 0x7f).expect("seven bits fit a byte");
        let mut entering = self.scores.iter().map(index).filter(|&hub| roomy.without(chosen).contains(hub));
        let mut leaving = self.scores.iter().rev().map(index).filter(|&hub| chosen.without(roomy).contains(hub));
        let mut swaps = Vec::new();
        let mut left_out = u128::from(roomy.without(chosen).len());
        while left_out > self.spare {
            let (Some(enters), Some(leaves)) = (entering.next(), leaving.next()) else { break };
            swaps.push((enters, leaves));
            left_out -= 1;
        }
        for (enters, leaves) in swaps {
            chosen.remove(leaves);
            chosen.insert(enters);
        }
        chosen
    }
}

impl Iterator for PieceHubs<'_> {
    type Item = HubSet;

    fn next(&mut self) -> Option<HubSet> {
        if self.next >= self.pieces {
            return None;
        }
        let (mut chosen, roomy) = self.lowest();
        // A hub with room for all pieces to come loses a place for each piece it is left out of. Without this the last
        // pieces would find room on too few different hubs.
        if u128::from(roomy.without(chosen).len()) > self.spare {
            chosen = self.spare_room(chosen, roomy);
        }
        self.spare = self.spare.saturating_sub(u128::from(roomy.without(chosen).len()));
        for hub in chosen {
            self.room[usize::from(hub)] -= 1;
        }
        self.next += 1;
        Some(chosen)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.pieces - self.next);
        (left.unwrap_or(usize::MAX), left.ok())
    }
}

impl FusedIterator for PieceHubs<'_> {}
