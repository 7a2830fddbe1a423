//! Another count for a resource that is there.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::failover::{Lost, Mended};
use super::index::Zone;
use super::nodes::Status;
use super::pieces::Pieces;
use super::select::{Arrangement, arrangement};
use super::{Allocator, Resource, count_u32};
use crate::error::ResizeError;
use crate::id::Id;
use crate::placement::Repair;
use crate::policy::MoveBudget;
use crate::scheme::{Scheme, scheme_of};
use crate::units::{Capacity, RegionId};

impl<N: Id, R: Id> Allocator<N, R> {
    /// Gives a resource that is copied whole another count, as a [`Scale`](crate::Scale) asks for. `want` is kept within the
    /// floor and the ceiling that it was allocated with. The nodes it has keep it, as far as the count goes.
    ///
    /// Upwards new nodes are recruited at once, and what failed nodes had is not waited for. Downwards go, one by one, nodes
    /// that are drained, then those whose reports do not count it yet, then those that filled a floor above half load, then the most loaded of the zone with the most in the
    /// region with the most; of a [`Class::Compute`](crate::Class::Compute) the most loaded of all. The primary stays.
    /// [`Repair::recruited`] and [`Repair::dropped`] have who they are. O(k² log k) for `k` replicas, besides what is recruited.
    ///
    /// # Errors
    ///
    /// [`ResizeError`]: a resource that is not placed, or is shared in pieces. Nothing changed.
    pub fn resize(&mut self, resource: &R, want: u32, now: Duration) -> Result<Repair<R>, ResizeError> {
        let number = self.numbers.get(resource).copied().ok_or(ResizeError::UnknownResource)?;
        let placed = &self.resources[number];
        let whole = matches!(placed.pieces, Pieces::None) && scheme_of(&placed.spec) == Scheme::Copies;
        if placed.roles.is_some() || !whole {
            return Err(ResizeError::Pieces);
        }
        self.advance(now);
        let placed = &mut self.resources[number];
        let want = want.min(placed.ceiling).max(placed.floor).max(1);
        let before = core::mem::replace(&mut placed.want, want);
        if want > before {
            let mut budget = MoveBudget::UNLIMITED;
            let Mended { repair, .. } = self.mend(number, &mut budget, Lost::Waits);
            return Ok(repair);
        }
        let mut dropped = Vec::new();
        self.seq += u64::from(count_u32(placed.members.len()) > want);
        while let Some(at) = self.least_needed(&self.resources[number]) {
            let member = self.resources[number].members.remove(at);
            self.detach_moved(member.node, member.link);
            self.resources[number].seq = self.seq;
            dropped.push(member.node);
        }
        if count_u32(self.resources[number].members.len()) == want {
            self.unqueue(number);
            self.resources[number].absent.clear();
        }
        Ok(Repair { dropped, ..self.waiting(number) })
    }

    /// Position of the node that goes first when there are more than are wanted.
    fn least_needed(&self, placed: &Resource<R>) -> Option<usize> {
        if count_u32(placed.members.len()) <= placed.want {
            return None;
        }
        let mut zones: BTreeMap<Zone, u32> = BTreeMap::new();
        let mut regions: BTreeMap<RegionId, u32> = BTreeMap::new();
        for zone in placed.members.iter().filter_map(|member| self.zone_at(member.node.index)) {
            *zones.entry(zone).or_default() += 1;
            *regions.entry(zone.0).or_default() += 1;
        }
        let rank = |at: usize| {
            let member = placed.members[at];
            let node = self.nodes.get(member.node)?;
            let (zone, load) = (node.zone(), node.load_permille());
            let (in_region, in_zone) = (regions[&zone.0], zones[&zone]);
            let order = match arrangement(&placed.spec.class) {
                Arrangement::Spread => (in_region, in_zone, load),
                // What goes by distance has one count only.
                Arrangement::Idle | Arrangement::Nearest { .. } => (load, in_zone, 0),
            };
            let tie = self.nodes.tie(node).wrapping_sub(placed.rotation);
            let booked = self.nodes.booked_on(member.link);
            let counted = self.nodes.need_of(member.link).saturating_sub(booked);
            // Also when it did not come in time. What needs nothing cannot be told from what is there.
            let is_new = booked != Capacity::default() || counted == Capacity::default() && placed.spec.size > 0;
            Some((node.status() == Status::Draining, is_new, member.over_target, order, tie))
        };
        (1..placed.members.len()).max_by_key(|&at| rank(at))
    }
}
