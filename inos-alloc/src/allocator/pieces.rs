//! Which node of a resource holds which of its pieces.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use super::index::Zone;
use super::nodes::Status;
use super::{Allocator, Member, Resource, count_u32};
use crate::error::PlaceError;
use crate::id::{Id, seeded_hash};
use crate::placement::{ChunkPlacement, Piece, StripePlacement, Tolerance};
use crate::policy::{ALLOCATE_MAX, Policy, ROUTE_MAX};
use crate::spec::NodeRef;
use crate::units::{Capacity, RegionId};

/// Most pieces that one call places: chunks x copies, or data + parity.
pub const MAX_PIECES: u64 = 1 << 18;

/// Holders of the pieces. A holder that is no node of the resource any more marks a piece that is lost and has no new
/// place yet.
#[derive(Clone, Debug)]
pub(super) enum Pieces {
    None,
    Chunks { copies: usize, holders: Vec<NodeRef> },
    Stripes(BTreeMap<u32, Stripe>),
}

impl Pieces {
    /// The holder of every piece.
    pub(super) fn holders(&self) -> impl Iterator<Item = NodeRef> + '_ {
        let (chunks, stripes) = match self {
            Self::None => (None, None),
            Self::Chunks { holders, .. } => (Some(holders), None),
            Self::Stripes(stripes) => (None, Some(stripes)),
        };
        let shards = stripes.into_iter().flat_map(|stripes| stripes.values()).flat_map(|stripe| &stripe.holders);
        chunks.into_iter().flatten().chain(shards).copied()
    }

    pub(super) fn held_by(&self, node: NodeRef) -> u64 {
        u64::try_from(self.holders().filter(|&holder| holder == node).count()).unwrap_or(u64::MAX)
    }

    /// Gives what `from` holds to `to`, and answers what that was.
    pub(super) fn hand_over(&mut self, from: NodeRef, to: NodeRef) -> Vec<Piece> {
        let mut moved = Vec::new();
        let mut give = |holder: &mut NodeRef, piece: Piece| {
            if *holder == from {
                *holder = to;
                moved.push(piece);
            }
        };
        match self {
            Self::None => {}
            Self::Chunks { copies, holders } => {
                for (chunk, holders) in (0u64..).zip(holders.chunks_mut((*copies).max(1))) {
                    holders.iter_mut().for_each(|holder| give(holder, Piece::Chunk { chunk }));
                }
            }
            Self::Stripes(stripes) => {
                for (&stripe, placed) in stripes {
                    for (shard, holder) in (0u32..).zip(&mut placed.holders) {
                        give(holder, Piece::Shard { stripe, shard });
                    }
                }
            }
        }
        moved
    }
}

#[derive(Clone, Debug)]
pub(super) struct Stripe {
    pub(super) data: u32,
    pub(super) holders: Vec<NodeRef>,
}

impl Stripe {
    pub(super) fn parity(&self) -> u32 {
        count_u32(self.holders.len()).saturating_sub(self.data)
    }
}

/// What the pieces that are left survive.
#[derive(Clone, Copy, Debug)]
pub(super) struct PiecesState {
    pub(super) tolerance: Tolerance,
    pub(super) unrecoverable: u64,
}

/// A node of the resource, with what matters for giving it pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) node: NodeRef,
    pub(super) region: usize,
    pub(super) zone: usize,
    /// Pieces of the resource on it.
    pub(super) pieces: u64,
    /// Most pieces it has room for.
    pub(super) room: u64,
    load_permille: u32,
    /// Hash of node and resource.
    tie: u64,
}

/// The nodes of a resource, their zones and regions numbered from 0.
#[derive(Clone, Debug)]
pub(super) struct Board {
    pub(super) seats: Vec<Seat>,
    by_node: BTreeMap<NodeRef, usize>,
    /// Region of each zone.
    zone_regions: Vec<usize>,
    region_count: usize,
}

impl Board {
    pub(super) fn seat_of(&self, node: NodeRef) -> Option<usize> {
        self.by_node.get(&node).copied()
    }

    /// Order among seats that are equal otherwise: the least loaded, then by hash. Were the hash the same for every
    /// resource, the same nodes would get what does not divide evenly of all of them.
    pub(super) fn rank(&self, seat: usize) -> (u32, u64, usize) {
        (self.seats[seat].load_permille, self.seats[seat].tie, seat)
    }

    /// What a seat may hold before others come first: 5 % above the mean when `more` pieces are placed, rounded up.
    fn share(&self, more: u64) -> u64 {
        let total = self.seats.iter().map(|seat| seat.pieces).fold(more, u64::saturating_add);
        let seats = u64::try_from(self.seats.len()).unwrap_or(u64::MAX);
        total.saturating_mul(21).div_ceil(seats.saturating_mul(20).max(1))
    }

    /// Pieces that a seat still has room for.
    fn free(&self, seat: usize) -> u64 {
        self.seats[seat].room.saturating_sub(self.seats[seat].pieces)
    }

    /// Most copies of `chunks` chunks that the seats have room for, one copy of a chunk in each.
    fn room_for_copies(&self, chunks: u64) -> u64 {
        (0..self.seats.len()).map(|seat| self.free(seat).min(chunks)).fold(0, u64::saturating_add)
    }

    /// How many copies of the next of `left` chunks must go to seats with room for all `left`, so that the others have room:
    /// what such a seat does not take now it has no second chance to take.
    fn forced(&self, left: u64, copies: u32) -> u64 {
        let roomy = (0..self.seats.len()).filter(|&seat| self.free(seat) >= left).count();
        let spare = self.room_for_copies(left).saturating_sub(left.saturating_mul(u64::from(copies)));
        u64::try_from(roomy).unwrap_or(u64::MAX).saturating_sub(spare)
    }

    /// How many of the holders are in each seat, zone and region; holders without a seat are left out.
    pub(super) fn tally(&self, holders: &[NodeRef]) -> Tally {
        let mut tally = Tally::new(self);
        for seat in holders.iter().filter_map(|&holder| self.seat_of(holder)) {
            tally.add(self, seat);
        }
        tally
    }
}

/// Pieces of one chunk or one stripe, by where they are.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) seats: Vec<u32>,
    pub(super) zones: Vec<u32>,
    pub(super) regions: Vec<u32>,
    pub(super) total: u32,
}

impl Tally {
    fn new(board: &Board) -> Self {
        Self {
            seats: vec![0; board.seats.len()],
            zones: vec![0; board.zone_regions.len()],
            regions: vec![0; board.region_count],
            total: 0,
        }
    }

    pub(super) fn add(&mut self, board: &Board, seat: usize) {
        self.seats[seat] += 1;
        self.zones[board.seats[seat].zone] += 1;
        self.regions[board.seats[seat].region] += 1;
        self.total += 1;
    }

    /// Copies of a chunk survive while one is left.
    pub(super) fn copies_tolerance(&self) -> Tolerance {
        let domains = |counts: &[u32]| count_u32(counts.iter().filter(|&&count| count > 0).count()).saturating_sub(1);
        Tolerance { nodes: domains(&self.seats), zones: domains(&self.zones), regions: domains(&self.regions) }
    }

    /// Shards of a stripe survive while `data` are left. `None` when fewer are.
    pub(super) fn stripe_tolerance(&self, data: u32) -> Option<Tolerance> {
        let spare = self.total.checked_sub(data)?;
        let on_one_node = self.seats.iter().copied().max().unwrap_or(0).max(1);
        Some(Tolerance {
            nodes: spare / on_one_node,
            zones: largest_lost(&self.zones, spare),
            regions: largest_lost(&self.regions, spare),
        })
    }
}

/// How many domains may be lost, the fullest first, while no more than `spare` pieces are lost with them.
fn largest_lost(counts: &[u32], spare: u32) -> u32 {
    let mut sorted: Vec<u32> = counts.iter().copied().filter(|&count| count > 0).collect();
    sorted.sort_unstable_by_key(|&count| Reverse(count));
    let mut lost = 0u32;
    let survivable = sorted.iter().take_while(|&&count| {
        lost = lost.saturating_add(count);
        lost <= spare
    });
    count_u32(survivable.count())
}

/// How many pieces of one stripe a node, a zone and a region may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct StripeLimits {
    pub(super) node: u32,
    pub(super) zone: u32,
    pub(super) region: u32,
}

impl StripeLimits {
    /// The tightest limits under which the board takes `shards` pieces: as few as possible on a node; then at most
    /// `parity` in a zone, or as few above that as possible; then the same for regions. `capacity` is the most a seat
    /// takes besides. `None` when the board cannot take them at all.
    pub(super) fn tightest(board: &Board, shards: u32, parity: u32, capacity: impl Fn(&Seat) -> u64) -> Option<Self> {
        let shards = u64::from(shards);
        let caps: Vec<u64> = board.seats.iter().map(capacity).collect();
        let fits_node = |node: u32| caps.iter().map(|&cap| cap.min(u64::from(node))).sum::<u64>() >= shards;
        let node = smallest(1, count_u32(usize::try_from(shards).ok()?), fits_node)?;

        let mut in_zone = vec![0u64; board.zone_regions.len()];
        for (seat, &cap) in board.seats.iter().zip(&caps) {
            in_zone[seat.zone] += cap.min(u64::from(node));
        }
        let within = |counts: &[u64], limit: u32| counts.iter().map(|&count| count.min(u64::from(limit))).sum::<u64>();
        let most = count_u32(usize::try_from(shards).ok()?);
        let zone = smallest(parity.clamp(1, most), most, |limit| within(&in_zone, limit) >= shards)?;

        let mut in_region = vec![0u64; board.region_count];
        for (&region, &count) in board.zone_regions.iter().zip(&in_zone) {
            in_region[region] += count.min(u64::from(zone));
        }
        let region = smallest(parity.clamp(1, most), most, |limit| within(&in_region, limit) >= shards)?;
        Some(Self { node, zone, region })
    }
}

/// The smallest value in `low..=high` that passes; once one passes, all above it do.
fn smallest(low: u32, high: u32, passes: impl Fn(u32) -> bool) -> Option<u32> {
    if !passes(high) {
        return None;
    }
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low + (high - low) / 2;
        if passes(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}

impl<N: Id, R: Id> Allocator<N, R> {
    /// Gives every chunk of a placed resource `copies` of its nodes, or all of them when it has fewer.
    ///
    /// Copies of a chunk are on distinct nodes, over as many regions and then zones as the balance allows: no node gets
    /// two pieces more than another while both have room. O(chunks x copies x nodes of the resource).
    ///
    /// # Errors
    ///
    /// [`PlaceError`]: a resource that is not placed, is a hierarchy, or is cut up already, counts out of range, or no room. Nothing
    /// changed.
    pub fn place_chunks(
        &mut self,
        resource: &R,
        chunks: u64,
        copies: u32,
        _policy: &Policy,
        now: Duration,
    ) -> Result<ChunkPlacement, PlaceError> {
        let number = self.numbers.get(resource).copied().ok_or(PlaceError::UnknownResource)?;
        if self.resources[number].roles.is_some() {
            return Err(PlaceError::Hierarchy);
        }
        match self.resources[number].pieces {
            Pieces::None => {}
            Pieces::Chunks { .. } => return Err(PlaceError::AlreadyPlaced),
            Pieces::Stripes(_) => return Err(PlaceError::OtherScheme),
        }
        let asked = chunks.saturating_mul(u64::from(copies));
        if asked == 0 || asked > MAX_PIECES {
            return Err(PlaceError::BadCount { pieces: asked, limit: MAX_PIECES });
        }
        if self.resources[number].members.is_empty() {
            return Err(PlaceError::NoRoom { pieces: asked, room: 0 });
        }
        self.advance(now);
        let placed = &self.resources[number];
        let per_chunk = copies.min(count_u32(placed.members.len()));
        let mut board = self.board(placed);
        let pieces = chunks.saturating_mul(u64::from(per_chunk));
        let room = board.room_for_copies(chunks);
        if room < pieces {
            return Err(PlaceError::NoRoom { pieces, room });
        }
        let mut holders = Vec::new();
        let mut tolerance: Option<Tolerance> = None;
        for left in (1..=chunks).rev() {
            let mut tally = Tally::new(&board);
            let mut forced = board.forced(left, per_chunk);
            for copies_left in (1..=per_chunk).rev() {
                let Some(seat) =
                    next_chunk_seat(&board, &tally, if forced >= u64::from(copies_left) { left } else { 1 })
                else {
                    unreachable!("room for all chunks is room for each of them");
                };
                forced -= u64::from(forced > 0 && board.free(seat) >= left);
                tally.add(&board, seat);
                board.seats[seat].pieces += 1;
                holders.push(board.seats[seat].node);
            }
            let survives = tally.copies_tolerance();
            tolerance = Some(tolerance.map_or(survives, |least| least.min(survives)));
        }
        let pieces =
            Pieces::Chunks { copies: usize::try_from(per_chunk).unwrap_or(usize::MAX), holders: holders.clone() };
        self.seq += 1;
        self.commit(number, &board, |placed| placed.pieces = pieces);
        Ok(ChunkPlacement {
            holders,
            chunks,
            copies: per_chunk,
            shortfall: copies - per_chunk,
            achieved: tolerance.unwrap_or_default(),
            seq: self.seq,
        })
    }

    /// Gives every shard of one stripe of a placed resource a node.
    ///
    /// With `n` nodes that have room, at most ceil((data + parity) / n) shards are on a node; at most `parity` in a zone
    /// and in a region where there are enough of them, otherwise as few as possible. Over several stripes no node holds more
    /// than 5 % above the mean, rounded up, as far as these limits allow; within it the stripe is spread evenly. O((data + parity) x nodes of the resource).
    ///
    /// # Errors
    ///
    /// [`PlaceError`]: a resource that is not placed, is a hierarchy, or is cut into chunks, a stripe that is placed already, counts out of
    /// range, or no room. Nothing changed.
    pub fn place_stripe(
        &mut self,
        resource: &R,
        stripe: u32,
        data: u32,
        parity: u32,
        _policy: &Policy,
        now: Duration,
    ) -> Result<StripePlacement, PlaceError> {
        let number = self.numbers.get(resource).copied().ok_or(PlaceError::UnknownResource)?;
        if self.resources[number].roles.is_some() {
            return Err(PlaceError::Hierarchy);
        }
        match &self.resources[number].pieces {
            Pieces::Stripes(stripes) if stripes.contains_key(&stripe) => return Err(PlaceError::AlreadyPlaced),
            Pieces::None | Pieces::Stripes(_) => {}
            Pieces::Chunks { .. } => return Err(PlaceError::OtherScheme),
        }
        if data == 0 {
            return Err(PlaceError::BadGeometry { data, parity });
        }
        let shards = u64::from(data) + u64::from(parity);
        let too_many = PlaceError::BadCount { pieces: shards, limit: MAX_PIECES };
        let shards = u32::try_from(shards).ok().filter(|&shards| u64::from(shards) <= MAX_PIECES).ok_or(too_many)?;
        self.advance(now);
        let placed = &self.resources[number];
        let mut board = self.board(placed);
        let free = |seat: &Seat| seat.room.saturating_sub(seat.pieces);
        let Some(limits) = StripeLimits::tightest(&board, shards, parity, free) else {
            let room = board.seats.iter().map(free).fold(0, u64::saturating_add);
            return Err(PlaceError::NoRoom { pieces: u64::from(shards), room });
        };
        let share = board.share(u64::from(shards));
        let mut tally = Tally::new(&board);
        let mut holders = Vec::new();
        for _ in 0..shards {
            // The limits nest (nodes in zones in regions), so whatever was taken before, the next piece finds a seat.
            let Some(seat) = next_shard_seat(&board, &tally, limits, share) else {
                unreachable!("limits that fit in the whole fit step by step");
            };
            tally.add(&board, seat);
            board.seats[seat].pieces += 1;
            holders.push(board.seats[seat].node);
        }
        let entry = Stripe { data, holders: holders.clone() };
        self.seq += 1;
        self.commit(number, &board, |placed| {
            if let Pieces::Stripes(stripes) = &mut placed.pieces {
                stripes.insert(stripe, entry);
            } else {
                placed.pieces = Pieces::Stripes(BTreeMap::from([(stripe, entry)]));
            }
        });
        let achieved = tally.stripe_tolerance(data).unwrap_or_default();
        Ok(StripePlacement { nodes: holders, achieved, seq: self.seq })
    }

    /// The nodes that hold a chunk, pieces that lost their node left out; `None` for a chunk that was not placed.
    #[must_use]
    pub fn chunk_holders(&self, resource: &R, chunk: u64) -> Option<Vec<NodeRef>> {
        let placed = self.find(resource)?;
        let Pieces::Chunks { copies, holders } = &placed.pieces else { return None };
        let start = usize::try_from(chunk).ok()?.checked_mul(*copies)?;
        let holders = holders.get(start..start.checked_add(*copies)?)?;
        let members = placed.nodes();
        Some(holders.iter().copied().filter(|holder| members.contains(holder)).collect())
    }

    /// The node of each shard of a stripe, `None` where the shard lost its node and has no other; `None` for a stripe
    /// that was not placed. The length is data + parity.
    #[must_use]
    pub fn shard_holders(&self, resource: &R, stripe: u32) -> Option<Vec<Option<NodeRef>>> {
        let placed = self.find(resource)?;
        let Pieces::Stripes(stripes) = &placed.pieces else { return None };
        let holders = &stripes.get(&stripe)?.holders;
        let members = placed.nodes();
        Some(holders.iter().map(|&holder| Some(holder).filter(|holder| members.contains(holder))).collect())
    }

    /// The nodes of a resource as seats.
    pub(super) fn board(&self, placed: &Resource<R>) -> Board {
        let zones: BTreeSet<Zone> =
            placed.members.iter().filter_map(|m| Some(self.nodes.get(m.node)?.zone())).collect();
        let zones: Vec<Zone> = zones.into_iter().collect();
        let mut regions: Vec<RegionId> = zones.iter().map(|&(region, _)| region).collect();
        regions.dedup();
        let region_of = |region: RegionId| regions.binary_search(&region).expect("every zone has its region");
        let zone_regions = zones.iter().map(|&(region, _)| region_of(region)).collect();
        let mut seats = Vec::with_capacity(placed.members.len());
        for member in &placed.members {
            let Some(node) = self.nodes.get(member.node) else { continue };
            let zone = zones.binary_search(&node.zone()).expect("every node has its zone");
            seats.push(Seat {
                node: member.node,
                region: region_of(node.spec.region),
                zone,
                pieces: member.pieces,
                room: self.room(placed, member),
                load_permille: node.effective_permille(),
                tie: seeded_hash(placed.rotation, &self.nodes.tie(node).to_le_bytes()),
            });
        }
        let by_node = seats.iter().enumerate().map(|(seat, taken)| (taken.node, seat)).collect();
        Board { seats, by_node, zone_regions, region_count: regions.len() }
    }

    /// Most pieces of the resource that a node may hold: what was booked for it, and what fits below the limit besides.
    fn room(&self, placed: &Resource<R>, member: &Member) -> u64 {
        let Some(node) = self.nodes.get(member.node) else { return 0 };
        if node.status() == Status::Draining {
            return member.pieces;
        }
        let piece_bytes = placed.piece_bytes();
        if piece_bytes == 0 {
            return u64::MAX;
        }
        let limit = if member.over_target { ROUTE_MAX } else { ALLOCATE_MAX };
        // ceil(1000 x extra / capacity) <= headroom holds up to this many bytes.
        let headroom = u32::from(limit.value()).saturating_sub(1).saturating_sub(node.effective_permille());
        let extra = u128::from(headroom) * u128::from(node.spec.capacity.bytes) / 1000;
        let extra = u64::try_from(extra).unwrap_or(u64::MAX).min(node.free().bytes);
        member.covered_bytes.saturating_add(extra) / piece_bytes
    }

    /// Writes the new piece counts of the board to the resource, books what they need beyond what was booked, and makes
    /// the change to its pieces, all under the current number.
    pub(super) fn commit(&mut self, number: u32, board: &Board, change: impl FnOnce(&mut Resource<R>)) {
        let term = self.term();
        let placed = &mut self.resources[number];
        let piece_bytes = placed.piece_bytes();
        placed.seq = term.seq;
        for member in &mut placed.members {
            let Some(seat) = board.seat_of(member.node) else { continue };
            member.pieces = board.seats[seat].pieces;
            let bytes = member.pieces.saturating_mul(piece_bytes);
            let extra = bytes.saturating_sub(member.covered_bytes);
            if extra == 0 {
                continue;
            }
            member.covered_bytes = bytes;
            let need = Capacity { bytes: extra, ..Capacity::default() };
            self.nodes.book(member.link, need, term);
        }
        change(placed);
    }

    /// What copies on these nodes survive.
    pub(super) fn copies_tolerance(&self, holders: impl Iterator<Item = NodeRef>) -> Tolerance {
        let mut zones: Vec<Zone> = holders.filter_map(|holder| Some(self.nodes.get_alive(holder)?.zone())).collect();
        let nodes = zones.len();
        zones.sort_unstable();
        zones.dedup();
        let distinct = zones.len();
        zones.dedup_by_key(|zone| zone.0);
        let spare = |count: usize| count_u32(count).saturating_sub(1);
        Tolerance { nodes: spare(nodes), zones: spare(distinct), regions: spare(zones.len()) }
    }

    /// What the pieces that the current nodes hold survive, and how many are lost for good.
    pub(super) fn pieces_state(&self, placed: &Resource<R>) -> PiecesState {
        let board = self.board(placed);
        let mut least: Option<Tolerance> = None;
        let mut unrecoverable = 0;
        let mut take = |tolerance: Option<Tolerance>| {
            unrecoverable += u64::from(tolerance.is_none());
            let tolerance = tolerance.unwrap_or_default();
            least = Some(least.map_or(tolerance, |least| least.min(tolerance)));
        };
        match &placed.pieces {
            Pieces::None => {}
            Pieces::Chunks { copies, holders } => {
                for chunk in holders.chunks((*copies).max(1)) {
                    let tally = board.tally(chunk);
                    take((tally.total > 0).then(|| tally.copies_tolerance()));
                }
            }
            Pieces::Stripes(stripes) => {
                for stripe in stripes.values() {
                    take(board.tally(&stripe.holders).stripe_tolerance(stripe.data));
                }
            }
        }
        PiecesState { tolerance: least.unwrap_or_default(), unrecoverable }
    }
}

/// The seat for the next copy of a chunk: of those with the fewest pieces the one in the region, then the zone, that has
/// the fewest copies of the chunk; among these where the most seats are still at that count, so that none is left over.
/// Only seats with room for `at_least` pieces.
fn next_chunk_seat(board: &Board, tally: &Tally, at_least: u64) -> Option<usize> {
    let open = |seat: usize| tally.seats[seat] == 0 && board.free(seat) >= at_least;
    let level = (0..board.seats.len()).filter(|&seat| open(seat)).map(|seat| board.seats[seat].pieces).min()?;
    let at_level = |seat: &usize| open(*seat) && board.seats[*seat].pieces == level;
    let mut left_in_region = vec![0u32; board.region_count];
    let mut left_in_zone = vec![0u32; board.zone_regions.len()];
    for seat in (0..board.seats.len()).filter(at_level) {
        left_in_region[board.seats[seat].region] += 1;
        left_in_zone[board.seats[seat].zone] += 1;
    }
    (0..board.seats.len()).filter(at_level).min_by_key(|&seat| {
        let Seat { region, zone, .. } = board.seats[seat];
        let left = (Reverse(left_in_region[region]), Reverse(left_in_zone[zone]));
        (tally.regions[region], tally.zones[zone], left, board.rank(seat))
    })
}

/// The seat for the next shard of a stripe: within the limits, of those with the fewest shards of the stripe, one that is
/// below its share before one that is not; in the region, then the zone, with the fewest of the stripe; with the fewest
/// pieces. Were the fewest pieces asked for first, a zone with one node more than the others would be left over at every
/// round, and some stripe would end up there.
fn next_shard_seat(board: &Board, tally: &Tally, limits: StripeLimits, share: u64) -> Option<usize> {
    let within = |seat: &usize| {
        let Seat { region, zone, pieces, room, .. } = board.seats[*seat];
        tally.seats[*seat] < limits.node
            && tally.zones[zone] < limits.zone
            && tally.regions[region] < limits.region
            && pieces < room
    };
    (0..board.seats.len()).filter(within).min_by_key(|&seat| {
        let Seat { region, zone, pieces, .. } = board.seats[seat];
        let spread = (tally.regions[region], tally.zones[zone]);
        (tally.seats[seat], pieces >= share, spread, pieces, board.rank(seat))
    })
}
