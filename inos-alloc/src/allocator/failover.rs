//! What a failure changes.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::pieces::{Board, Pieces, StripeLimits, Tally};
use super::select::Request;
use super::{Allocator, Resource, count_u32};
use crate::id::Id;
use crate::placement::{FailoverPlan, Piece, PieceMove, Repair, Tolerance};
use crate::scheme::{Scheme, scheme_of};
use crate::spec::NodeRef;

impl<N: Id, R: Id> Allocator<N, R> {
    /// [`Allocator::nodes_failed`] for one node.
    pub fn node_failed(&mut self, node: NodeRef, now: Duration) -> FailoverPlan<R> {
        self.nodes_failed(&[node], now)
    }

    /// Nodes failed together. Every resource they carried loses them, gets another primary if it lost that, recruits up
    /// to the count it deserves, and each lost piece gets a new node under the limits of
    /// [`Allocator::place_chunks`] and [`Allocator::place_stripe`]. The decisions are made and booked when this returns.
    ///
    /// Nothing is sent to a node of this call or of an earlier one; tell of nodes that fail together in one call, so that
    /// nothing is planned onto one that is about to be told. Resources without a failed node do not change. A node
    /// that has failed stays out until [`Allocator::upsert`] brings it back, empty.
    pub fn nodes_failed(&mut self, nodes: &[NodeRef], now: Duration) -> FailoverPlan<R> {
        self.advance(now);
        let mut failed = Vec::new();
        let mut failed_set = BTreeSet::new();
        let mut affected = BTreeSet::new();
        for &node in nodes {
            if let Some(carried) = self.nodes.fail(node) {
                failed.push(node);
                failed_set.insert(node);
                affected.extend(carried);
            }
        }
        let mut urgent = Vec::new();
        for resource in affected {
            let Some(placed) = self.resources.get_mut(&resource) else { continue };
            let primary = placed.members.first().map(|member| member.node);
            let lost =
                placed.members.iter().map(|member| member.node).filter(|node| failed_set.contains(node)).collect();
            placed.members.retain(|member| !failed_set.contains(&member.node));
            let Some(placed) = self.resources.get(&resource) else { continue };
            let (remaining, unrecoverable) = self.survival(placed);
            urgent.push(Damage { resource, primary, lost, remaining, unrecoverable });
        }
        // What is lost for good has no urgency left; of the rest the least tolerant goes first to what room there is.
        urgent.sort_by_key(|damage| (damage.unrecoverable > 0, damage.remaining.nodes, damage.resource));
        let repairs = urgent.into_iter().filter_map(|damage| self.repair(damage)).collect();
        FailoverPlan { failed, repairs }
    }

    fn repair(&mut self, damage: Damage<R>) -> Option<Repair<R>> {
        let Damage { resource, primary, lost, remaining, unrecoverable } = damage;
        let placed = self.resources.get(&resource)?;
        let rotation = placed.rotation;
        let request = Request {
            spec: &placed.spec,
            near: placed.near,
            rotation,
            want: placed.want,
            floor: placed.floor,
            members: &placed.members,
        };
        let selection = self.select(&request);
        let recruits = self.to_members(&selection.picks, selection.need);
        let recruited: Vec<NodeRef> = recruits.iter().map(|member| member.node).collect();
        let mut members = placed.members.clone();
        let primary_lost = primary.is_none_or(|primary| lost.contains(&primary));
        if primary_lost {
            // A survivor has the data; a recruit only becomes primary when there is none.
            self.primary_first(&mut members, placed.near, rotation);
        }
        members.extend(recruits);
        if primary_lost && members.len() == recruited.len() {
            self.primary_first(&mut members, placed.near, rotation);
        }
        let new_primary = members.first().map(|member| member.node).filter(|&node| Some(node) != primary);
        self.seq += 1;
        self.book_all(resource, &selection.picks, selection.need);

        let placed = self.resources.get_mut(&resource)?;
        placed.members = members;
        placed.seq = self.seq;
        let mut repair = Repair {
            resource,
            new_primary,
            lost,
            recruited,
            pieces: Vec::new(),
            want: placed.want,
            granted: count_u32(placed.members.len()),
            shortfall: placed.want.saturating_sub(count_u32(placed.members.len())),
            over_target: placed.over_target(),
            remaining,
            achieved: Tolerance::default(),
            unrecoverable,
            seq: self.seq,
        };
        if placed.members.is_empty() {
            self.resources.remove(&resource);
            return Some(repair);
        }
        repair.pieces = self.move_pieces(resource);
        let placed = self.resources.get(&resource)?;
        repair.achieved = self.achieved(placed);
        repair.seq = placed.seq;
        Some(repair)
    }

    /// Finds new nodes for the pieces whose node is not one of the resource any more, and writes them down.
    fn move_pieces(&mut self, resource: R) -> Vec<PieceMove> {
        let Some(placed) = self.resources.get(&resource) else { return Vec::new() };
        let mut board = self.board(placed);
        let mut pieces = placed.pieces.clone();
        let mut moves = Vec::new();
        match &mut pieces {
            Pieces::None => return moves,
            Pieces::Chunks { copies, holders } => {
                let share = holders.len().div_ceil(board.seats.len().max(1));
                let share = u64::try_from(share).unwrap_or(u64::MAX);
                for (chunk, holders) in (0u64..).zip(holders.chunks_mut((*copies).max(1))) {
                    refill(&mut board, holders, &mut moves, Piece::Chunk { chunk }, |board, tally| {
                        replacement_chunk_seat(board, tally, share)
                    });
                }
            }
            Pieces::Stripes(stripes) => {
                for (&number, stripe) in stripes.iter_mut() {
                    if stripe.holders.iter().all(|&holder| board.seat_of(holder).is_some()) {
                        continue;
                    }
                    let shards = count_u32(stripe.holders.len());
                    let unbounded = StripeLimits { node: shards, zone: shards, region: shards };
                    let limits = StripeLimits::tightest(&board, shards, stripe.parity(), |_| u64::from(shards));
                    let limits = limits.unwrap_or(unbounded);
                    let first = Piece::Shard { stripe: number, shard: 0 };
                    refill(&mut board, &mut stripe.holders, &mut moves, first, |board, tally| {
                        replacement_shard_seat(board, tally, limits)
                    });
                }
            }
        }
        // Its bookings join those of the recruits under the same number, so that one report confirms both.
        self.commit(&resource, &board, |placed| placed.pieces = pieces);
        moves
    }

    /// What the members that are left survive, and how much of the resource is lost for good.
    fn survival(&self, placed: &Resource) -> (Tolerance, u64) {
        match (&placed.pieces, scheme_of(&placed.spec)) {
            (Pieces::None, Scheme::Copies) => {
                let tolerance = self.copies_tolerance(placed.members.iter().map(|member| member.node));
                (tolerance, u64::from(placed.members.is_empty()))
            }
            (Pieces::None, _) => (Tolerance::default(), 0),
            _ => {
                let state = self.pieces_state(placed);
                (state.tolerance, state.unrecoverable)
            }
        }
    }
}

/// A resource that lost nodes, before its repair.
struct Damage<R> {
    resource: R,
    primary: Option<NodeRef>,
    lost: Vec<NodeRef>,
    remaining: Tolerance,
    unrecoverable: u64,
}

/// Gives the holders without a seat another one, where `choose` finds one. `first` names piece 0 of the holders.
fn refill(
    board: &mut Board,
    holders: &mut [NodeRef],
    moves: &mut Vec<PieceMove>,
    first: Piece,
    choose: impl Fn(&Board, &Tally) -> Option<usize>,
) {
    let mut tally = board.tally(holders);
    for (position, holder) in (0u32..).zip(holders) {
        if board.seat_of(*holder).is_some() {
            continue;
        }
        let piece = match first {
            Piece::Chunk { chunk } => Piece::Chunk { chunk },
            Piece::Shard { stripe, .. } => Piece::Shard { stripe, shard: position },
        };
        let from = *holder;
        let seat = choose(board, &tally);
        if let Some(seat) = seat {
            tally.add(board, seat);
            board.seats[seat].pieces += 1;
            *holder = board.seats[seat].node;
        }
        moves.push(PieceMove { piece, from, to: seat.map(|_| *holder) });
    }
}

/// A node that has no copy of the chunk: one below its share before one above; then where the region and the zone have
/// the fewest copies; then the one with the fewest pieces.
fn replacement_chunk_seat(board: &Board, tally: &Tally, share: u64) -> Option<usize> {
    (0..board.seats.len())
        .filter(|&seat| tally.seats[seat] == 0 && board.seats[seat].pieces < board.seats[seat].room)
        .min_by_key(|&seat| {
            let taken = &board.seats[seat];
            let spread = (tally.regions[taken.region], tally.zones[taken.zone]);
            (taken.pieces >= share, spread, taken.pieces, board.rank(seat))
        })
}

/// A node within the limits of the stripe, as far as one is: first of the node, then of the zone, then of the region;
/// then one that has fewer shards of the stripe, and fewer pieces in all.
fn replacement_shard_seat(board: &Board, tally: &Tally, limits: StripeLimits) -> Option<usize> {
    (0..board.seats.len()).filter(|&seat| board.seats[seat].pieces < board.seats[seat].room).min_by_key(|&seat| {
        let taken = &board.seats[seat];
        let (in_seat, in_zone, in_region) = (tally.seats[seat], tally.zones[taken.zone], tally.regions[taken.region]);
        let beyond = (in_seat >= limits.node, in_zone >= limits.zone, in_region >= limits.region);
        (beyond, in_seat, taken.pieces, in_region, in_zone, board.rank(seat))
    })
}
