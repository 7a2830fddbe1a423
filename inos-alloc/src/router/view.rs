//! What a router has to know of the nodes it chooses from.

use core::time::Duration;

use crate::allocator::Allocator;
use crate::id::Id;
use crate::policy::ROUTE_MAX;
use crate::spec::NodeRef;
use crate::units::RegionId;

/// A healthy node, as seen from the region that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its load in thousandths, bookings included; at [`ROUTE_MAX`] and above it is not asked.
    pub load_permille: u32,
    /// Requests it was serving when it last said so.
    pub inflight: u32,
    /// The round trip that the mesh expects; `None` at an unknown distance. Counts until one was observed.
    pub round_trip: Option<Duration>,
}

/// Where a [`ChunkRouter`](crate::ChunkRouter) looks nodes up: an [`Allocator`], or a closure over whatever the integrator
/// keeps.
///
/// ```
/// use core::time::Duration;
/// use inos_alloc::{ChunkRouter, NodeRef, NodeView, RegionId, RouterConfig};
///
/// let loads = [300, 900];
/// let mesh = |node: NodeRef, _from: RegionId| {
///     let &load_permille = loads.get(usize::try_from(node.index).ok()?)?;
///     Some(NodeView { load_permille, inflight: 0, round_trip: Some(Duration::from_millis(20)) })
/// };
///
/// let node = |index| NodeRef { index, generation: 0 };
/// let mut router = ChunkRouter::<u64>::new(RouterConfig::default());
/// router.set_holders(1, &[node(0), node(1)])?;
/// router.set_holders(2, &[node(1), node(2)])?;
/// assert_eq!(router.route(&1, RegionId(0), &mesh, Duration::ZERO), Some(node(0)));
/// // One holder is too loaded, the other is not there.
/// assert_eq!(router.route(&2, RegionId(0), &mesh, Duration::ZERO), None);
/// # Ok::<(), inos_alloc::HoldersError>(())
/// ```
pub trait MeshView {
    /// The node as seen from `from`; `None` when it is unknown or not healthy.
    fn node(&self, node: NodeRef, from: RegionId) -> Option<NodeView>;
}

impl<F: Fn(NodeRef, RegionId) -> Option<NodeView>> MeshView for F {
    fn node(&self, node: NodeRef, from: RegionId) -> Option<NodeView> {
        self(node, from)
    }
}

/// The expected round trip is the distance of the regions and the node's last mile.
impl<N: Id, R: Id> MeshView for Allocator<N, R> {
    fn node(&self, node: NodeRef, from: RegionId) -> Option<NodeView> {
        let load = self.load(node)?;
        let region = Self::node(self, node)?.region;
        Some(NodeView {
            load_permille: load.effective_permille,
            inflight: load.inflight,
            round_trip: self.region_latency(from, region).map(|distance| distance.saturating_add(load.last_mile)),
        })
    }
}

/// The node of a group that answers: the primary while it is healthy and below [`ROUTE_MAX`], otherwise the least loaded,
/// however loaded; of equals the first. `healthy` has the healthy nodes of the group with their loads in thousandths, in
/// any order. `None` when it is empty. O(group).
///
/// ```
/// use inos_alloc::{NodeRef, route_group};
///
/// let node = |index| NodeRef { index, generation: 0 };
/// assert_eq!(route_group(node(0), &[(node(0), 799), (node(1), 20)]), Some(node(0)));
/// assert_eq!(route_group(node(0), &[(node(0), 800), (node(1), 20)]), Some(node(1)));
/// assert_eq!(route_group(node(0), &[]), None);
/// ```
#[must_use]
pub fn route_group(primary: NodeRef, healthy: &[(NodeRef, u32)]) -> Option<NodeRef> {
    let leads = |&&(node, load): &&(NodeRef, u32)| node == primary && load < u32::from(ROUTE_MAX.value());
    let chosen = healthy.iter().find(leads).or_else(|| healthy.iter().min_by_key(|&&(_, load)| load));
    chosen.map(|&(node, _)| node)
}
