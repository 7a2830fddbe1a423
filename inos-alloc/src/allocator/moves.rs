//! Moves of what is not broken: from a node that leaves, from one that has too much.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use super::index::Zone;
use super::pieces::Pieces;
use super::select::{Pick, Request};
use super::{Allocator, Member, Resource};
use crate::error::DrainError;
use crate::id::Id;
use crate::placement::{Drain, Move};
use crate::policy::{ALLOCATE_MAX, MoveBudget};
use crate::scheme::{Scheme, need_per_node, scheme_of};
use crate::spec::NodeRef;
use crate::units::Capacity;

/// A rebalance ends when no load is above this share of the mean.
const LEVEL_PERMILLE: u64 = 1050;

/// Resources of one node that are looked at for a move away from it.
const TRIES: usize = 64;

/// Load that moved away and that the node's reports may still count.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaving(Vec<Left>);

/// One move.
#[derive(Clone, Copy, Debug)]
struct Left {
    /// The decision.
    seq: u64,
    permille: u32,
    /// Reports are believed from then on, whichever decisions they name.
    until: Duration,
}

impl Leaving {
    /// A report counts the decisions up to `seq`; whether that is all.
    pub(super) fn counted(&mut self, seq: u64) -> bool {
        self.0.retain(|left| left.seq > seq);
        self.0.is_empty()
    }

    /// It is `now`; whether anything is left.
    fn lasts(&mut self, now: Duration) -> bool {
        self.0.retain(|left| left.until > now);
        !self.0.is_empty()
    }

    fn permille(&self) -> u32 {
        self.0.iter().map(|left| left.permille).fold(0, u32::saturating_add)
    }
}

impl<N: Id, R: Id> Allocator<N, R> {
    /// Plans the leave of a node: it gets nothing new from now on, and what it carries goes to other nodes, as far as the
    /// budget covers it. Call it again until nothing is left; then the node can be removed. It serves what it has until
    /// the others do. Where it goes: to a node of the same zone, or one by which no less is tolerated, that stays below half
    /// load; failing that to a node of the zone, then to any, below 80 %, if its floor asks for it.
    ///
    /// A node that fails and returns is still on its way out. [`Allocator::undrain`] lets it stay.
    ///
    /// # Errors
    ///
    /// [`DrainError::UnknownNode`] for a handle without a node, or one that has failed.
    pub fn drain(&mut self, node: NodeRef, budget: MoveBudget, now: Duration) -> Result<Drain<R>, DrainError> {
        if !self.is_healthy(node) {
            return Err(DrainError::UnknownNode);
        }
        self.advance(now);
        self.nodes.drain(node);
        let mut carried: Vec<(R, u32)> =
            self.nodes.carried(node).map(|(number, _)| (self.resources[number].id, number)).collect();
        carried.sort_unstable();
        let mut budget = budget;
        let mut moves = Vec::new();
        let mut left = 0;
        let mut repairs = Vec::new();
        for (_, number) in carried {
            if self.resources[number].roles.is_some() {
                let repair = self.leave_roles(number, node, &mut budget);
                left += usize::from(repair.is_none());
                repairs.extend(repair);
                continue;
            }
            if budget.moves == 0 || budget.bytes == 0 {
                left += 1;
                continue;
            }
            let target = self.stand_in(number, node);
            let (pieces, bytes) = self.weight(&self.resources[number], node);
            match target {
                Some(target) if budget.take(pieces, bytes) => moves.push(self.relocate(number, node, target)),
                _ => left += 1,
            }
        }
        Ok(Drain { moves, repairs, left })
    }

    /// A node that was being drained stays after all, with what it still has. `false` for one that was not.
    pub fn undrain(&mut self, node: NodeRef) -> bool {
        self.nodes.undrain(node)
    }

    /// Moves replicas from nodes that have too much to nodes that have less, until the budget ends, no load is more than 5 %
    /// above the mean, or no move would help. Replicas that were placed above half load to fill a floor go first.
    ///
    /// No move makes a resource tolerate less, and none makes the pair of nodes it is between less even. The load
    /// that a node has of its own does not move. O(n log n + resources), and for each move O(what the hottest nodes carry)
    /// and 64 choices for each of these nodes at most.
    pub fn rebalance(&mut self, budget: MoveBudget, now: Duration) -> Vec<Move<R>> {
        self.advance(now);
        let mut budget = budget;
        let mut moves = Vec::new();
        let now = self.now;
        self.leaving.retain(|_, leaving| leaving.lasts(now));
        self.leave_over_target(&mut budget, &mut moves);
        let loads =
            self.nodes.iter().filter(|(_, node)| node.is_alive()).map(|(index, _)| (self.lasting_load(index), index));
        let mut hottest: BinaryHeap<(u32, u32)> = loads.collect();
        // Nobody who receives will have less than this.
        let least = hottest.iter().map(|&(load, _)| load).min().unwrap_or(0);
        let total: u64 = hottest.iter().map(|&(load, _)| u64::from(load)).sum();
        let count = u64::try_from(hottest.len()).unwrap_or(u64::MAX);
        while let Some((load, index)) = hottest.pop() {
            if u64::from(load) * 1000 * count <= total * LEVEL_PERMILLE || budget.moves == 0 || budget.bytes == 0 {
                break;
            }
            if load != self.lasting_load(index) {
                // It took something meanwhile.
                hottest.push((self.lasting_load(index), index));
                continue;
            }
            if let Some(moved) = self.relieve(index, load, least, &mut budget) {
                moves.push(moved);
                hottest.push((self.lasting_load(index), index));
            }
        }
        moves
    }

    /// Moves what may not stay above half load, where there is room below.
    fn leave_over_target(&mut self, budget: &mut MoveBudget, moves: &mut Vec<Move<R>>) {
        let mut over = Vec::new();
        for &number in self.numbers.values() {
            let Resource { members, roles, .. } = &mut self.resources[number];
            for member in members.iter_mut().filter(|member| member.over_target && roles.is_none()) {
                let load = self.nodes.get(member.node).map_or(0, |node| node.effective_permille());
                // It may have come below half load since: then it may stay.
                member.over_target = load >= u32::from(ALLOCATE_MAX.value());
                if member.over_target {
                    over.push((number, member.node));
                }
            }
        }
        for (number, node) in over {
            let Some(target) = self.better_node(number, node) else { continue };
            let (pieces, bytes) = self.weight(&self.resources[number], node);
            if budget.take(pieces, bytes) {
                moves.push(self.relocate(number, node, target));
            }
        }
    }

    /// One move away from a node, the largest that helps; who receives it has `least` at least.
    fn relieve(&mut self, index: u32, load: u32, least: u32, budget: &mut MoveBudget) -> Option<Move<R>> {
        let node = self.nodes.handle(index)?;
        let carried = self.nodes.carried(node).map(|(number, share)| (share, number));
        // Another hub would change the pieces of all hubs of the region.
        let mut carried: Vec<(u32, u32)> =
            carried.filter(|&(share, number)| share > 0 && self.resources[number].roles.is_none()).collect();
        // What would be too much for every node as large as this one comes last.
        carried.sort_unstable_by_key(|&(share, number)| {
            (least.saturating_add(share) >= load, Reverse(share), self.resources[number].id)
        });
        for (_, number) in carried.into_iter().take(TRIES) {
            // Pieces stay in their zone, whose share of each stripe is limited.
            let cut_up = !matches!(self.resources[number].pieces, Pieces::None);
            let zone = if cut_up { self.zone_at(index) } else { None };
            let Some(target) = self.another_node(number, node, zone).filter(|pick| !pick.over_target) else { continue };
            let becomes = self.nodes.at(target.index)?.effective_permille().saturating_add(target.added_permille);
            let (pieces, bytes) = self.weight(&self.resources[number], node);
            if becomes < load
                && target.added_permille > 0
                && self.keeps_tolerance(number, node, target)
                && budget.take(pieces, bytes)
            {
                return Some(self.relocate(number, node, target));
            }
        }
        None
    }

    /// Load that a node will have once its reports count what moved away.
    fn lasting_load(&self, index: u32) -> u32 {
        let leaving = self.leaving.get(&index).map_or(0, Leaving::permille);
        self.nodes.at(index).map_or(0, |node| node.effective_permille().saturating_sub(leaving))
    }

    /// Moves and bytes that the share of a node is.
    fn weight(&self, placed: &Resource<R>, node: NodeRef) -> (u64, u64) {
        let member = placed.members.iter().find(|member| member.node == node);
        let pieces = member.map_or(0, |member| member.pieces);
        if matches!(placed.pieces, Pieces::None) {
            let whole = matches!(scheme_of(&placed.spec), Scheme::Copies);
            return (1, if whole { placed.spec.size } else { 0 });
        }
        (pieces.max(1), pieces.saturating_mul(placed.piece_bytes()))
    }

    /// What a node has to give to take over from `member`.
    fn share_of(placed: &Resource<R>, member: &Member) -> Capacity {
        let need = need_per_node(&placed.spec, super::count_u32(placed.members.len()));
        if matches!(placed.pieces, Pieces::None) {
            // Whatever became of its booking.
            return need;
        }
        let held = member.pieces.saturating_mul(placed.piece_bytes());
        Capacity { bytes: member.covered_bytes.max(held), ..need }
    }

    /// A node that takes over what `node` has of a resource, stays below half load, and by which no less is tolerated: in
    /// the same zone if there is one.
    fn better_node(&self, number: u32, node: NodeRef) -> Option<Pick> {
        let below_half = |within| self.another_node(number, node, within).filter(|pick| !pick.over_target);
        let elsewhere = || below_half(None).filter(|&pick| self.keeps_tolerance(number, node, pick));
        below_half(self.zone_at(node.index)).or_else(elsewhere)
    }

    /// A node that takes over from one that leaves: as good a one as there is.
    fn stand_in(&self, number: u32, node: NodeRef) -> Option<Pick> {
        let in_zone = || self.another_node(number, node, self.zone_at(node.index));
        self.better_node(number, node).or_else(in_zone).or_else(|| self.another_node(number, node, None))
    }

    /// The node that would take over what `node` has of a resource, in the order of its class.
    fn another_node(&self, number: u32, node: NodeRef, within: Option<Zone>) -> Option<Pick> {
        let placed = &self.resources[number];
        let member = placed.members.iter().find(|member| member.node == node)?;
        let need = Self::share_of(placed, member);
        let others: Vec<Member> = placed.members.iter().copied().filter(|member| member.node != node).collect();
        let want = super::count_u32(placed.members.len());
        let request = Request {
            members: &others,
            want,
            floor: placed.floor.min(want),
            except: Some(node.index),
            need: Some(need),
            within,
            ..placed.request()
        };
        self.select(&request).picks.first().copied()
    }

    /// Whether the resource tolerates as much as before when `target` takes over from `node`. Pieces that stay in their zone
    /// do not change that.
    fn keeps_tolerance(&self, number: u32, node: NodeRef, target: Pick) -> bool {
        let placed = &self.resources[number];
        if self.zone_at(target.index) == self.zone_at(node.index) {
            return true;
        }
        let Some(to) = self.nodes.handle(target.index) else { return false };
        if !matches!(placed.pieces, Pieces::None) {
            return false;
        }
        let nodes = || placed.members.iter().map(|member| member.node);
        let before = self.copies_tolerance(nodes());
        let after = self.copies_tolerance(nodes().map(|other| if other == node { to } else { other }));
        after.zones >= before.zones && after.regions >= before.regions
    }

    /// Gives what `from` has of a resource to the picked node. The primary, when it moves, becomes the best of those that
    /// have the data.
    fn relocate(&mut self, number: u32, from: NodeRef, target: Pick) -> Move<R> {
        let to = self.nodes.handle(target.index).expect("a picked node is in the table");
        let placed = &self.resources[number];
        let (_, bytes) = self.weight(placed, from);
        let at = placed.members.iter().position(|member| member.node == from);
        let at = at.expect("what a node carries has it as a member");
        let member = placed.members[at];
        let need = Self::share_of(placed, &member);
        self.seq += 1;
        let link = self.nodes.attach(target.index, number);
        self.nodes.book(link, need, self.term());
        self.detach_moved(from, member.link);
        let seq = self.seq;
        let placed = &mut self.resources[number];
        placed.members[at] = Member { node: to, link, over_target: target.over_target, ..member };
        let pieces = placed.pieces.hand_over(from, to);
        placed.seq = seq;
        let mut new_primary = None;
        if at == 0 {
            let placed = &self.resources[number];
            let others = placed.members.get(1..).filter(|others| !others.is_empty());
            let best = others.map_or(0, |others| 1 + self.best_primary(others, placed.near, placed.rotation));
            let members = &mut self.resources[number].members;
            members[..=best].rotate_right(1);
            new_primary = members.first().map(|member| member.node);
        }
        let placed = &self.resources[number];
        let achieved = self.achieved(placed);
        Move { resource: placed.id, from, to, pieces, bytes, new_primary, achieved, seq }
    }

    /// Ends a link whose load stays in the node's reports for a while.
    pub(super) fn detach_moved(&mut self, node: NodeRef, link: u32) {
        let load = |table: &Self| table.nodes.at(node.index).map_or(0, |node| node.effective_permille());
        let share = self.nodes.share_permille(link);
        let before = load(self);
        self.nodes.detach(link);
        let counted = share.saturating_sub(before.saturating_sub(load(self)));
        if counted > 0 {
            let until = self.now.saturating_add(self.config.booking_ttl);
            let left = Left { seq: self.seq, permille: counted, until };
            let leaving = self.leaving.entry(node.index).or_default();
            // A node that never counts anything is not remembered for ever.
            leaving.lasts(self.now);
            leaving.0.push(left);
        }
    }
}
