//! Why a resource is where it is.

use alloc::vec::Vec;

use super::nodes::Status;
use super::queue::Queued;
use super::{Allocator, count_u32};
use crate::id::Id;
use crate::placement::{Explanation, Reason};
use crate::policy::ALLOCATE_MAX;
use crate::scheme::{Scheme, need_per_node, scheme_of};
use crate::target::Target;

impl<N: Id, R: Id> Allocator<N, R> {
    /// Why a resource is where it is: what it deserves, how many nodes there are at each step of the choice, and the figures
    /// of those it has, as they are now. `None` for a resource that is not placed. O(n).
    #[must_use]
    pub fn explain(&self, resource: &R) -> Option<Explanation> {
        let placed = self.find(resource)?;
        let need = match &placed.roles {
            Some(roles) => Self::hub_need(placed, roles),
            None => need_per_node(&placed.spec, count_u32(placed.members.len())),
        };
        let healthy = || self.nodes.iter().map(|(_, node)| node).filter(|node| node.is_alive());
        let able = || {
            let required = placed.spec.requires.capabilities;
            healthy().filter(move |node| node.status() == Status::Healthy && node.spec.capabilities.contains(required))
        };
        let half = u32::from(ALLOCATE_MAX.value());
        let replicas = placed.members.iter().filter_map(|member| {
            let node = self.nodes.get(member.node)?;
            Some(Reason {
                node: member.node,
                region: node.spec.region,
                zone: node.spec.zone,
                load_permille: node.effective_permille(),
                share_permille: self.nodes.share_permille(member.link),
                round_trip: placed.near.and_then(|near| self.expected_latency(near, node)),
                reputation: node.trust().reputation(&self.config.trust, self.now),
                over_target: member.over_target,
                pieces: member.pieces,
                role: placed.roles.as_ref().and_then(|roles| roles.of(member.node)),
            })
        });
        Some(Explanation {
            target: Target { want: placed.want, floor: placed.floor, ceiling: placed.ceiling },
            scheme: if placed.roles.is_some() { Scheme::Hierarchy } else { scheme_of(&placed.spec) },
            need,
            healthy: healthy().count(),
            able: able().count(),
            below_half: able().filter(|node| node.effective_permille() < half).count(),
            would_take: self.would_take(&placed.request(), need),
            repair_at: placed.queued.map(|queued| match queued {
                Queued::Until(due) => due.max(self.now),
                Queued::Due(_) => self.now,
            }),
            replicas: replicas.collect::<Vec<_>>(),
        })
    }
}
