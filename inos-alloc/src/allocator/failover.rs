//! What a failure changes.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::nodes::Carried;
use super::pieces::{Board, Pieces, StripeLimits, Tally};
use super::queue::Queued;
use super::select::Request;
use super::{Allocator, Had, Member, Resource, count_u32};
use crate::error::ReturnError;
use crate::hierarchy::Role;
use crate::id::Id;
use crate::placement::{FailoverPlan, Piece, PieceMove, Repair, Returned, Tolerance};
use crate::policy::{BOOKING_TTL, MoveBudget};
use crate::scheme::{Scheme, need_per_node, scheme_of};
use crate::slab::NONE;
use crate::spec::NodeRef;
use crate::units::Capacity;

impl<N: Id, R: Id> Allocator<N, R> {
    /// [`Allocator::nodes_failed`] for one node.
    pub fn node_failed(&mut self, node: NodeRef, now: Duration) -> FailoverPlan<R> {
        self.nodes_failed(&[node], now)
    }

    /// Nodes failed together. Every resource they carried loses them and gets another primary if it lost that. What is
    /// urgent is repaired at once: recruits up to the count it deserves, and a new node for each lost piece under the limits of
    /// [`Allocator::place_chunks`] and [`Allocator::place_stripe`], decided and booked when this returns. The rest waits
    /// [`Config::grace`](crate::Config::grace) for [`Allocator::node_returned`], and then for [`Allocator::repair`].
    ///
    /// Urgent are resources below their floor or below [`Config::recruit_below`](crate::Config::recruit_below) nodes, and
    /// those with a stripe or a chunk that has lost half of what it may lose. A hierarchy is urgent below five seeds, or when
    /// a region has lost so many hubs that half of the copies of a piece may be among them. It is planned again, as
    /// [`Repair::dropped`] says.
    ///
    /// Without a grace everything is repaired at once.
    ///
    /// What has no source left, as [`Repair::unrecoverable`] counts it, gets no new nodes: it waits for those that had it,
    /// however long, until [`Allocator::refill`] or [`Allocator::release`] says otherwise.
    ///
    /// Nothing is sent to a node of this call or of an earlier one; tell of nodes that fail together in one call, so that
    /// nothing is planned onto one that is about to be told. Resources without a failed node do not change.
    pub fn nodes_failed(&mut self, nodes: &[NodeRef], now: Duration) -> FailoverPlan<R> {
        self.advance(now);
        let mut failed = Vec::new();
        let mut affected = BTreeSet::new();
        for &node in nodes {
            if let Some(carried) = self.nodes.fail(node) {
                failed.push(node);
                affected.extend(carried.iter().map(|carried| carried.resource));
                let had = carried.into_iter().map(|carried| {
                    let born = self.resources[carried.resource].born;
                    Had { carried, born }
                });
                self.failed.insert(node, had.collect());
                self.leaving.remove(&node.index);
            }
        }
        let failed_set: BTreeSet<NodeRef> = failed.iter().copied().collect();
        let mut urgent: Vec<Damage> = affected.into_iter().map(|number| self.bereave(number, &failed_set)).collect();
        // What is lost for good has no urgency left; of the rest the least tolerant goes first to what room there is.
        urgent
            .sort_by_key(|damage| (damage.unrecoverable > 0, damage.remaining.nodes, self.resources[damage.number].id));
        let mut repairs = Vec::new();
        for damage in urgent {
            let at_once = self.config.grace == Duration::ZERO || self.is_urgent(&self.resources[damage.number]);
            let mut repair = if Self::waits(&self.resources[damage.number], damage.unrecoverable) {
                self.unqueue(damage.number);
                self.report_repair(damage.number)
            } else if at_once {
                let mut budget = MoveBudget::UNLIMITED;
                self.mend(damage.number, &mut budget, Lost::Waits).repair
            } else {
                let due = self.now.saturating_add(self.config.grace);
                match self.resources[damage.number].queued {
                    None => self.queue_until(damage.number, due),
                    // A repair that waits already does not wait longer because of another failure.
                    Some(Queued::Until(_)) => {}
                    // It tolerates less than when it fell due.
                    Some(Queued::Due(_)) => self.queue_due(damage.number),
                }
                self.waiting(damage.number)
            };
            repair.lost = damage.lost;
            repair.remaining = damage.remaining;
            repair.unrecoverable = damage.unrecoverable;
            repair.new_primary = repair.new_primary.or(damage.new_primary);
            repairs.push(repair);
        }
        FailoverPlan { failed, repairs }
    }

    /// Carries out repairs that are due, the least tolerant first and what is lost for good last, as far as the budget covers
    /// them; what is too large for what is left of it waits, and smaller ones go ahead. What was decided is booked when this
    /// returns. A repair for which there is no node or no room is tried again after
    /// [`Config::grace`](crate::Config::grace), or after [`BOOKING_TTL`] when that is zero.
    ///
    /// [`Allocator::next_deadline`] says when the next one falls due. O(what is due) besides the repairs.
    pub fn repair(&mut self, budget: MoveBudget, now: Duration) -> Vec<Repair<R>> {
        self.advance(now);
        self.make_due();
        let mut budget = budget;
        let mut repairs = Vec::new();
        for number in self.queue.due() {
            if budget.moves == 0 || budget.bytes == 0 {
                break;
            }
            let Mended { repair, changed } = self.mend(number, &mut budget, Lost::Waits);
            if changed {
                repairs.push(repair);
            }
        }
        repairs
    }

    /// Gives new nodes to what has no source left in the mesh, to be filled from elsewhere, and repairs the rest of the
    /// resource as well; what has its new nodes is not waited for any more. `None` for a resource that is not placed, and
    /// nothing is recruited for one that lacks nothing.
    ///
    /// [`Repair::unrecoverable`] of the answer says how much has to be filled. What found no room waits as before: call it
    /// again. A hierarchy is planned anew as soon as one node can take a role, and its former nodes are forgotten.
    pub fn refill(&mut self, resource: &R, now: Duration) -> Option<Repair<R>> {
        let number = self.numbers.get(resource).copied()?;
        self.advance(now);
        let mut budget = MoveBudget::UNLIMITED;
        Some(self.mend(number, &mut budget, Lost::Anew).repair)
    }

    /// When a repair that found no node or no room is tried again.
    pub(super) fn retry_after(&self) -> Duration {
        if self.config.grace == Duration::ZERO { BOOKING_TTL } else { self.config.grace }
    }

    /// How many resources wait for a repair.
    #[must_use]
    pub fn repairs_waiting(&self) -> usize {
        self.queue.len()
    }

    /// A node that had failed is there again, with what it had. Repairs that have not started because of it are cancelled:
    /// it carries those resources again, and those that nobody else has. Everything else that it still has was given to
    /// others, or released: it may delete that. It keeps its handle and its last report; what that had not counted is booked
    /// again. O(pieces of the resources that it had).
    ///
    /// # Errors
    ///
    /// [`ReturnError::UnknownNode`] for a handle without a node: it was removed, or joined again empty.
    /// [`ReturnError::NotFailed`] for a node that is in the mesh.
    pub fn node_returned(&mut self, node: NodeRef, now: Duration) -> Result<Returned<R>, ReturnError> {
        let known = self.nodes.get(node).ok_or(ReturnError::UnknownNode)?;
        if known.is_alive() {
            return Err(ReturnError::NotFailed);
        }
        self.advance(now);
        self.nodes.revive(node);
        let (mut kept, mut leads) = (Vec::new(), Vec::new());
        let mut rebooked = false;
        for had in self.failed.remove(&node).unwrap_or_default() {
            let number = had.carried.resource;
            let Some((member, of)) = self.still_its(&had, node) else { continue };
            let placed = &self.resources[number];
            let (lost_before, primary) = (self.survival(placed).1, placed.members.first().map(|member| member.node));
            let Shares { covered_bytes, counted, booked } = Self::shares_left(placed, &member, &had.carried);
            let link = self.nodes.attach(node.index, number);
            self.nodes.count(link, counted);
            if booked != Capacity::default() {
                // Its reports have not counted that.
                self.seq += u64::from(!rebooked);
                rebooked = true;
                self.nodes.book_again(link, booked, self.term());
                self.resources[number].seq = self.seq;
            }
            let placed = &mut self.resources[number];
            placed.members.push(Member { link, covered_bytes, ..member });
            kept.push(placed.id);
            self.lead_by_seed(number);
            let placed = &self.resources[number];
            let leader = placed.members.first().map(|member| member.node);
            if leader == Some(node) && leader != primary {
                leads.push(placed.id);
            }
            self.queue_after_return(number, lost_before, of);
        }
        kept.sort_unstable();
        leads.sort_unstable();
        Ok(Returned { kept, leads, seq: self.seq })
    }

    /// A hierarchy that had no seed left is led by the one that returned.
    fn lead_by_seed(&mut self, number: u32) {
        let placed = &self.resources[number];
        let Some(roles) = &placed.roles else { return };
        if placed.members.first().is_none_or(|first| roles.of(first.node) != Some(Role::Seed)) {
            let best = self.best_leader(placed);
            self.resources[number].members[..=best].rotate_right(1);
        }
    }

    /// What a return makes of the repair of a resource.
    fn queue_after_return(&mut self, number: u32, lost_before: u64, of: HolderOf) {
        let placed = &self.resources[number];
        let has_all = count_u32(placed.members.len()) >= placed.want;
        let lost = self.survival(placed).1;
        if has_all && placed.absent.is_empty() && !self.has_lost_pieces(placed) {
            self.unqueue(number);
        } else if of == HolderOf::Before {
            // Those who had it last may have it newer: they are waited for once more.
            self.queue_until(number, self.now.saturating_add(self.retry_after()));
        } else if lost < lost_before || lost == 0 && !matches!(placed.queued, Some(Queued::Until(_))) {
            // There is a source again, or it tolerates more than before.
            self.queue_due(number);
        }
    }

    /// A failed node as a member again, when what it has is still its own: nobody else was given it, or nobody else has the
    /// resource at all.
    fn still_its(&mut self, had: &Had, node: NodeRef) -> Option<(Member, HolderOf)> {
        let placed = self.resources.find_mut(had.carried.resource).filter(|placed| placed.born == had.born)?;
        let absent =
            placed.absent.iter().position(|absent| absent.node == node).map(|at| placed.absent.swap_remove(at));
        if let Some(roles) = &placed.roles {
            return absent.filter(|_| roles.of(node).is_some()).map(|member| (member, HolderOf::Now));
        }
        // When others have its place, pieces that nobody else was given are still its own.
        let pieces = placed.pieces.held_by(node);
        let own = match absent {
            Some(_) => pieces > 0 || count_u32(placed.members.len()) < placed.want,
            None => matches!(placed.pieces, Pieces::None) && placed.members.is_empty(),
        };
        let Carried { counted, booked, .. } = had.carried;
        let covered_bytes = counted.bytes.saturating_add(booked.bytes);
        let anew = Member { node, link: NONE, over_target: false, covered_bytes, pieces };
        let of = if absent.is_some() { HolderOf::Now } else { HolderOf::Before };
        own.then_some((Member { pieces, ..absent.unwrap_or(anew) }, of))
    }

    /// What a member that returns has, less the pieces that others were given.
    fn shares_left(placed: &Resource<R>, member: &Member, carried: &Carried) -> Shares {
        let &Carried { counted, booked, .. } = carried;
        if matches!(placed.pieces, Pieces::None) {
            return Shares { covered_bytes: member.covered_bytes, counted, booked };
        }
        let bytes = member.pieces.saturating_mul(placed.piece_bytes());
        let counted = Capacity { bytes: counted.bytes.min(bytes), ..counted };
        let booked = Capacity { bytes: booked.bytes.min(bytes - counted.bytes), ..booked };
        Shares { covered_bytes: bytes, counted, booked }
    }

    /// Takes failed nodes out of a resource and gives it another primary when it lost that.
    fn bereave(&mut self, number: u32, failed: &BTreeSet<NodeRef>) -> Damage {
        let placed = &mut self.resources[number];
        let primary = placed.members.first().map(|member| member.node);
        let gone = |member: &Member| failed.contains(&member.node);
        let lost = placed.members.iter().copied().filter(gone);
        let lost: Vec<NodeRef> = lost
            .map(|member| {
                placed.absent.push(member);
                member.node
            })
            .collect();
        placed.members.retain(|member| !gone(member));
        let mut new_primary = None;
        let placed = &self.resources[number];
        if !placed.members.is_empty() && primary.is_some_and(|primary| failed.contains(&primary)) {
            let best = self.best_leader(placed);
            let members = &mut self.resources[number].members;
            members[..=best].rotate_right(1);
            new_primary = members.first().map(|member| member.node);
        }
        let (remaining, unrecoverable) = self.survival(&self.resources[number]);
        Damage { number, new_primary, lost, remaining, unrecoverable }
    }

    /// Whether a repair cannot wait.
    fn is_urgent(&self, placed: &Resource<R>) -> bool {
        if let Some(roles) = &placed.roles {
            return Self::roles_are_urgent(placed, roles);
        }
        let have = count_u32(placed.members.len());
        let recruit_below = self.config.recruit_below.unwrap_or(RECRUIT_BELOW).min(placed.want);
        let half_gone = |may_lose: u32, lost: u32| lost * 2 >= may_lose.max(1) && lost > 0;
        // Stripes have their own measure.
        let is_few = have < placed.floor.min(placed.want) || have < recruit_below;
        if is_few && !matches!(placed.pieces, Pieces::Stripes(_)) {
            return true;
        }
        let members: BTreeSet<NodeRef> = placed.members.iter().map(|member| member.node).collect();
        let lost = |holders: &[NodeRef]| count_u32(holders.iter().filter(|holder| !members.contains(holder)).count());
        match &placed.pieces {
            Pieces::None => false,
            Pieces::Chunks { copies, holders } => holders
                .chunks((*copies).max(1))
                .any(|chunk| half_gone(count_u32(copies.saturating_sub(1)), lost(chunk))),
            Pieces::Stripes(stripes) => {
                stripes.values().any(|stripe| half_gone(stripe.parity(), lost(&stripe.holders)))
            }
        }
    }

    /// Whether a resource has no source at all: then nothing about it can be repaired.
    fn waits(placed: &Resource<R>, unrecoverable: u64) -> bool {
        unrecoverable > 0 && (placed.members.is_empty() || placed.roles.is_some())
    }

    fn has_lost_pieces(&self, placed: &Resource<R>) -> bool {
        let members: BTreeSet<NodeRef> = placed.members.iter().map(|member| member.node).collect();
        placed.pieces.holders().any(|holder| !members.contains(&holder))
    }

    /// Recruits and gives lost pieces new nodes, as far as the budget covers it. `waits_until` of the answer says when it
    /// goes on: now when the budget was the reason.
    pub(super) fn mend(&mut self, number: u32, budget: &mut MoveBudget, lost: Lost) -> Mended<R> {
        let placed = &self.resources[number];
        let (remaining, unrecoverable) = self.survival(placed);
        if Self::waits(placed, unrecoverable) && lost == Lost::Waits {
            self.unqueue(number);
            return Mended { repair: self.report_repair(number), changed: false };
        }
        if self.resources[number].roles.is_some() {
            let Mended { repair, changed } = self.mend_roles(number, budget);
            return Mended { repair: Repair { unrecoverable, ..repair }, changed };
        }
        let placed = &self.resources[number];
        let have = count_u32(placed.members.len());
        let whole = matches!(scheme_of(&placed.spec), Scheme::Copies);
        let bytes = need_per_node(&placed.spec, placed.want).bytes;
        let affordable = if whole { budget.moves_of(bytes) } else { u64::MAX };
        let affordable = have.saturating_add(u32::try_from(affordable).unwrap_or(u32::MAX));
        let selection = self.select(&Request { want: placed.want.min(affordable), ..placed.request() });
        let mut recruits = self.to_members(&selection.picks, selection.need);
        if whole {
            let count = u64::try_from(recruits.len()).unwrap_or(u64::MAX);
            budget.take(count, count.saturating_mul(bytes));
        }
        let recruited: Vec<NodeRef> = recruits.iter().map(|member| member.node).collect();
        // A survivor has the data; a recruit only becomes primary when there is none.
        let primary = (have == 0).then(|| self.best_primary(&recruits, placed.near, placed.rotation));
        let decision = self.seq + 1;
        if !recruits.is_empty() {
            self.seq = decision;
        }
        self.settle_in(number, &mut recruits, &selection.picks, selection.need);
        if let (Some(primary), false) = (primary, recruits.is_empty()) {
            recruits[..=primary].rotate_right(1);
        }
        let placed = &mut self.resources[number];
        placed.members.extend(recruits);
        let new_primary = if have == 0 { placed.members.first().map(|member| member.node) } else { None };
        let pieces = self.move_pieces(number, decision, budget, lost);
        if self.seq == decision {
            self.resources[number].seq = decision;
        }
        let placed = &self.resources[number];
        let has = count_u32(placed.members.len());
        let short = has < placed.want;
        let out_of_budget = pieces.out_of_budget || short && has >= affordable;
        let stuck = short || pieces.without_room;
        let waits_until = if out_of_budget {
            Some(self.now)
        } else if stuck {
            Some(self.now.saturating_add(self.retry_after()))
        } else {
            None
        };
        match waits_until {
            None => {
                self.unqueue(number);
                // Who had what has no source may still bring it back.
                let Resource { absent, pieces, .. } = &mut self.resources[number];
                absent.retain(|member| pieces.held_by(member.node) > 0);
            }
            // It tolerates more than when it was queued.
            Some(_) if out_of_budget => self.queue_due(number),
            Some(until) => self.queue_until(number, until),
        }
        let pieces = pieces.moves;
        let changed = !recruited.is_empty() || pieces.iter().any(|change| change.to.is_some());
        let described = self.report_repair(number);
        let repair = Repair { recruited, new_primary, pieces, waits_until, remaining, unrecoverable, ..described };
        Mended { repair, changed }
    }

    /// A repair in which nothing has happened yet.
    pub(super) fn waiting(&self, number: u32) -> Repair<R> {
        let waits_until = self.resources[number].queued.map(|queued| match queued {
            Queued::Until(due) => due.max(self.now),
            Queued::Due(_) => self.now,
        });
        Repair { waits_until, ..self.report_repair(number) }
    }

    pub(super) fn report_repair(&self, number: u32) -> Repair<R> {
        let placed = &self.resources[number];
        let granted = count_u32(placed.members.len());
        let (remaining, unrecoverable) = self.survival(placed);
        Repair {
            resource: placed.id,
            new_primary: None,
            lost: Vec::new(),
            recruited: Vec::new(),
            dropped: Vec::new(),
            pieces: Vec::new(),
            want: placed.want,
            granted,
            shortfall: placed.want.saturating_sub(granted),
            over_target: placed.over_target(),
            remaining,
            achieved: self.achieved(placed),
            unrecoverable,
            waits_until: None,
            seq: placed.seq,
        }
    }

    /// Finds new nodes for the pieces whose node is not one of the resource any more, and writes them down.
    fn move_pieces(&mut self, number: u32, decision: u64, budget: &mut MoveBudget, lost: Lost) -> Moved {
        let placed = &self.resources[number];
        let mut moved = Moved { moves: Vec::new(), out_of_budget: false, without_room: false };
        if matches!(placed.pieces, Pieces::None) {
            return moved;
        }
        let (limit, bytes) = (budget.moves_of(placed.piece_bytes()), placed.piece_bytes());
        let mut left = limit;
        let mut board = self.board(placed);
        let mut pieces = placed.pieces.clone();
        match &mut pieces {
            Pieces::None => {}
            Pieces::Chunks { copies, holders } => {
                let share = holders.len().div_ceil(board.seats.len().max(1));
                let share = u64::try_from(share).unwrap_or(u64::MAX);
                for (chunk, holders) in (0u64..).zip(holders.chunks_mut((*copies).max(1))) {
                    let least = if lost == Lost::Waits { 1 } else { 0 };
                    let first = Piece::Chunk { chunk };
                    reseat(&mut board, holders, least, &mut moved, &mut left, first, |board, tally| {
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
                    let least = if lost == Lost::Waits { stripe.data } else { 0 };
                    let first = Piece::Shard { stripe: number, shard: 0 };
                    reseat(&mut board, &mut stripe.holders, least, &mut moved, &mut left, first, |board, tally| {
                        replacement_shard_seat(board, tally, limits)
                    });
                }
            }
        }
        let done = limit - left;
        budget.take(done, done.saturating_mul(bytes));
        if done > 0 {
            // Its bookings join those of the recruits under the same number, so that one report confirms both.
            self.seq = decision;
            self.commit(number, &board, |placed| placed.pieces = pieces);
        }
        moved
    }

    /// What the members that are left survive, and how much of the resource is lost for good.
    pub(super) fn survival(&self, placed: &Resource<R>) -> (Tolerance, u64) {
        if let Some(roles) = &placed.roles {
            return self.roles_survival(placed, roles);
        }
        match (&placed.pieces, scheme_of(&placed.spec)) {
            (Pieces::None, scheme) => {
                let members = placed.members.iter().filter(|_| scheme == Scheme::Copies);
                let tolerance = self.copies_tolerance(members.map(|member| member.node));
                (tolerance, u64::from(placed.members.is_empty()))
            }
            _ => {
                let state = self.pieces_state(placed);
                (state.tolerance, state.unrecoverable)
            }
        }
    }
}

/// Below this many nodes a resource is repaired at once, unless the configuration says otherwise.
const RECRUIT_BELOW: u32 = 5;

/// A resource that lost nodes, before its repair.
struct Damage {
    number: u32,
    new_primary: Option<NodeRef>,
    lost: Vec<NodeRef>,
    remaining: Tolerance,
    unrecoverable: u64,
}

pub(super) struct Mended<R> {
    pub(super) repair: Repair<R>,
    /// Whether something was decided.
    pub(super) changed: bool,
}

/// Whether a node that returns had what it has until it failed, or others had been given its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HolderOf {
    Now,
    Before,
}

/// What a member has on its node.
struct Shares {
    covered_bytes: u64,
    counted: Capacity,
    booked: Capacity,
}

/// What becomes of that which has no source left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// It stays where it was, for its nodes to bring it back.
    Waits,
    /// It gets new nodes, to be filled from elsewhere.
    Anew,
}

struct Moved {
    moves: Vec<PieceMove>,
    out_of_budget: bool,
    without_room: bool,
}

/// Gives up to `left` holders without a seat another one, where `choose` finds one and at least `least` have a seat: what
/// is left is copied or rebuilt from those. `first` names piece 0 of the holders.
fn reseat(
    board: &mut Board,
    holders: &mut [NodeRef],
    least: u32,
    moved: &mut Moved,
    left: &mut u64,
    first: Piece,
    choose: impl Fn(&Board, &Tally) -> Option<usize>,
) {
    let mut tally = board.tally(holders);
    let has_source = tally.total >= least;
    for (position, holder) in (0u32..).zip(holders) {
        if board.seat_of(*holder).is_some() {
            continue;
        }
        if has_source && *left == 0 {
            moved.out_of_budget = true;
            return;
        }
        let piece = match first {
            Piece::Chunk { chunk } => Piece::Chunk { chunk },
            Piece::Shard { stripe, .. } => Piece::Shard { stripe, shard: position },
        };
        let from = *holder;
        let seat = if has_source { choose(board, &tally) } else { None };
        moved.without_room |= has_source && seat.is_none();
        if let Some(seat) = seat {
            *left -= 1;
            tally.add(board, seat);
            board.seats[seat].pieces += 1;
            *holder = board.seats[seat].node;
        }
        moved.moves.push(PieceMove { piece, from, to: seat.map(|_| *holder) });
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
