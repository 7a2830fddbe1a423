//! Where a request goes.

use super::Allocator;
use crate::id::Id;
use crate::policy::ROUTE_MAX;
use crate::spec::NodeRef;
use crate::units::RegionId;
use core::time::Duration;

impl<N: Id, R: Id> Allocator<N, R> {
    /// Of these holders, the one to ask from `from`: healthy, below 80 % effective load, with the least expected round
    /// trip; then the least loaded; then by a seeded hash. Holders in regions at an unknown distance come last. `None`
    /// when no holder is left. O(holders).
    #[must_use]
    pub fn route(&self, holders: &[NodeRef], from: RegionId) -> Option<NodeRef> {
        let ranked = holders.iter().filter_map(|&holder| {
            let node = self.nodes.get_alive(holder)?;
            let load = node.effective_permille();
            if load >= u32::from(ROUTE_MAX.value()) {
                return None;
            }
            let latency = self.expected_latency(from, node).unwrap_or(Duration::MAX);
            Some((latency, load, self.nodes.tie(node), holder))
        });
        ranked.min().map(|(_, _, _, holder)| holder)
    }

    /// The node of a replica group that answers: its primary while that is below 80 % effective load, otherwise the least
    /// loaded of the group, however loaded; ties by a seeded hash. `None` for a resource that is not placed. O(replicas).
    #[must_use]
    pub fn route_group(&self, resource: &R) -> Option<NodeRef> {
        let placed = self.find(resource)?;
        let load_of = |handle: NodeRef| {
            self.nodes.get_alive(handle).map(|node| (node.effective_permille(), self.nodes.tie(node)))
        };
        let primary = placed.members.first()?.node;
        if load_of(primary).is_some_and(|(load, _)| load < u32::from(ROUTE_MAX.value())) {
            return Some(primary);
        }
        let ranked = placed.members.iter().filter_map(|member| Some((load_of(member.node)?, member.node)));
        ranked.min().map(|(_, node)| node)
    }
}
