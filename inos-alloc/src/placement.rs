//! Answers: where a resource is, where its pieces are, and what a failure changes.

use alloc::vec::Vec;
use core::time::Duration;

use crate::hierarchy::Role;
use crate::scheme::Scheme;
use crate::spec::NodeRef;
use crate::target::Target;
use crate::units::{Capacity, Permille, RegionId, ZoneId};

/// How many failures at once are survived, whichever they are. Each number stands alone: that many nodes, or that many
/// zones, or that many regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tolerance {
    /// Nodes that may fail.
    pub nodes: u32,
    /// Zones that may fail.
    pub zones: u32,
    /// Regions that may fail.
    pub regions: u32,
}

impl Tolerance {
    pub(crate) fn min(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.min(other.nodes),
            zones: self.zones.min(other.zones),
            regions: self.regions.min(other.regions),
        }
    }
}

/// Which nodes carry a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Placement {
    /// The node that answers first; always `replicas[0]`.
    pub primary: NodeRef,
    /// All nodes, the primary included, without repetition: `replicas.len() == granted`.
    pub replicas: Vec<NodeRef>,
    /// The count the resource deserves; of a hierarchy, the seeds and hubs that its regions may have.
    pub want: u32,
    /// The count it has. Above `want` only while a node that came back still has pieces that nobody else was given.
    pub granted: u32,
    /// What `granted` lacks to `want`.
    pub shortfall: u32,
    /// How many of the nodes were taken above half load to reach the class floor, or grew above it as hubs when others were
    /// lost.
    pub over_target: u32,
    /// What is survived. Of the replicas when the resource is copied whole; of the pieces placed so far when it is cut up,
    /// so zero until [`place_chunks`](crate::Allocator::place_chunks) or
    /// [`place_stripe`](crate::Allocator::place_stripe) has run. Of a hierarchy, what every piece survives: it is on each seed
    /// and on [`copies`](crate::RegionHubs::copies) hubs of each region.
    pub achieved: Tolerance,
    /// Number of the last decision that changed what this resource's nodes hold. A node that counts it in its load names
    /// it in [`NodeReport::seq`](crate::NodeReport::seq).
    pub seq: u64,
}

/// Where the chunks of a resource are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ChunkPlacement {
    /// Holders of all chunks in order, `copies` per chunk: `holders.len() == chunks * copies`.
    pub holders: Vec<NodeRef>,
    /// Chunks placed.
    pub chunks: u64,
    /// Copies of each chunk, all on distinct nodes.
    pub copies: u32,
    /// Copies asked for and not possible, because the resource has fewer nodes.
    pub shortfall: u32,
    /// What every chunk survives.
    pub achieved: Tolerance,
    /// Number of this decision.
    pub seq: u64,
}

impl ChunkPlacement {
    /// The nodes that hold `chunk`; empty for a chunk that does not exist. `holders_of(c).len() == copies`.
    #[must_use]
    pub fn holders_of(&self, chunk: u64) -> &[NodeRef] {
        let (Ok(chunk), Ok(copies)) = (usize::try_from(chunk), usize::try_from(self.copies)) else { return &[] };
        let Some(start) = chunk.checked_mul(copies) else { return &[] };
        start.checked_add(copies).and_then(|end| self.holders.get(start..end)).unwrap_or(&[])
    }
}

/// Where the shards of one stripe are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StripePlacement {
    /// The node of each shard, data first: `nodes.len() == data + parity`. A node appears more than once when there are
    /// fewer nodes than shards.
    pub nodes: Vec<NodeRef>,
    /// What this stripe survives.
    pub achieved: Tolerance,
    /// Number of this decision.
    pub seq: u64,
}

/// A piece of a resource that is cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Piece {
    /// One copy of a chunk.
    Chunk {
        /// Index of the chunk.
        chunk: u64,
    },
    /// One shard of a stripe.
    Shard {
        /// Number of the stripe.
        stripe: u32,
        /// Index of the shard within its stripe, data first.
        shard: u32,
    },
}

/// A lost piece and its new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PieceMove {
    /// What was lost.
    pub piece: Piece,
    /// The failed node that held it.
    pub from: NodeRef,
    /// The node that is to hold it; `None` when no node of the resource has room for it, which is tried again when the
    /// resource is next repaired, or when too little of its chunk or stripe is left to make it from: then it waits for those
    /// that had it.
    pub to: Option<NodeRef>,
}

/// What a failure changes for one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Repair<R> {
    /// The resource.
    pub resource: R,
    /// The primary, when it is another node than before.
    pub new_primary: Option<NodeRef>,
    /// Failed nodes that carried the resource.
    pub lost: Vec<NodeRef>,
    /// When the rest is done: `None` when nothing is left to do. At this time [`Allocator::repair`](crate::Allocator::repair)
    /// goes on, with what is neither in `recruited` nor in `pieces`.
    pub waits_until: Option<Duration>,
    /// Nodes that carry it from now on. A resource that is copied whole has to be copied to each of them.
    pub recruited: Vec<NodeRef>,
    /// Nodes that carry it no more, though they have not failed. A [`resize`](crate::Allocator::resize) drops nodes, and a
    /// hierarchy does: its regions stay even.
    /// Which pieces go where is told by [`hub_moves`](crate::hub_moves) on the layouts of
    /// [`Allocator::hierarchy`](crate::Allocator::hierarchy) before and after; a seed that was none is sent everything.
    pub dropped: Vec<NodeRef>,
    /// Lost pieces in order of piece; empty for a resource whose pieces were never placed.
    pub pieces: Vec<PieceMove>,
    /// The count the resource deserves.
    pub want: u32,
    /// The count it has now. At 0 nobody has it, until a node that had it returns;
    /// [`Allocator::refill`](crate::Allocator::refill) does not wait for that.
    pub granted: u32,
    /// `want - granted`.
    pub shortfall: u32,
    /// Nodes of the resource that were taken above half load.
    pub over_target: u32,
    /// What the survivors alone still tolerate: how urgent the repair is. Pieces that earlier repairs sent to a node
    /// count as held by it.
    pub remaining: Tolerance,
    /// What is tolerated when this repair is done.
    pub achieved: Tolerance,
    /// Chunks without a surviving copy, or stripes with fewer survivors than data shards, or 1 for a resource that was
    /// copied whole, or is a hierarchy, and has no survivor. These cannot be rebuilt from the mesh: they wait for the nodes
    /// that had them, or for [`Allocator::refill`](crate::Allocator::refill).
    pub unrecoverable: u64,
    /// Number of this decision.
    pub seq: u64,
}

/// What a failure changes: one entry per affected resource, the least remaining tolerance first. A resource that is not
/// named did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FailoverPlan<R> {
    /// Nodes that this call took out. Unknown handles and nodes that had failed before are left out.
    pub failed: Vec<NodeRef>,
    /// What to do, in the order in which to do it.
    pub repairs: Vec<Repair<R>>,
}

/// What a node that came back still carries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Returned<R> {
    /// Resources that it carries again, in ascending order. What else it has is not its own any more.
    pub kept: Vec<R>,
    /// Those of them whose primary it is from now on, and was not: nobody had them, or no seed was left.
    pub leads: Vec<R>,
    /// Number of this decision. The node names it in its reports once it has all that it kept.
    pub seq: u64,
}

/// A replica, with the pieces it is made of, goes to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Move<R> {
    /// The resource.
    pub resource: R,
    /// The node that has it, and serves it until the other does.
    pub from: NodeRef,
    /// The node that carries it from now on.
    pub to: NodeRef,
    /// The pieces that go; empty for a resource that is copied whole or has no pieces placed.
    pub pieces: Vec<Piece>,
    /// Bytes that go.
    pub bytes: u64,
    /// The primary, when it is another node than before.
    pub new_primary: Option<NodeRef>,
    /// What is tolerated when this move is done.
    pub achieved: Tolerance,
    /// Number of this decision.
    pub seq: u64,
}

/// What a drain planned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Drain<R> {
    /// Moves, in the order of resources.
    pub moves: Vec<Move<R>>,
    /// Hierarchies that were planned again without the node, in the order of resources. It is among
    /// [`dropped`](Repair::dropped).
    pub repairs: Vec<Repair<R>>,
    /// Resources that are still on the node: the budget ended, or no other node can take them.
    pub left: usize,
}

/// Why a resource is where it is, as things are now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Explanation {
    /// The count it deserves, its floor and its ceiling.
    pub target: Target,
    /// How its nodes share it.
    pub scheme: Scheme,
    /// What each of its nodes has to give; of a hierarchy, a hub in a region of equal hubs.
    pub need: Capacity,
    /// Nodes that have not failed.
    pub healthy: usize,
    /// Of these, those that have the capabilities and are not drained.
    pub able: usize,
    /// Of these, those below half load.
    pub below_half: usize,
    /// Of these, those that would take it now: with room, near enough, and not carrying it already.
    pub would_take: usize,
    /// When its repair goes on, if it waits for one.
    pub repair_at: Option<Duration>,
    /// Its nodes, the primary first.
    pub replicas: Vec<Reason>,
}

/// One node of a resource in an [`Explanation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Reason {
    /// The node.
    pub node: NodeRef,
    /// Its region.
    pub region: RegionId,
    /// Its zone.
    pub zone: ZoneId,
    /// Its effective load now, in thousandths.
    pub load_permille: u32,
    /// What the resource was given on it, in thousandths of its capacity.
    pub share_permille: u32,
    /// Round trip from the consumer; `None` without `near`, or when it is not known.
    pub round_trip: Option<Duration>,
    /// Its reputation now, 500 is neutral.
    pub reputation: Permille,
    /// Whether it was taken above half load to reach the floor.
    pub over_target: bool,
    /// Pieces of the resource that it holds; of a hierarchy the most that it may have to.
    pub pieces: u64,
    /// Its role, when the resource is a hierarchy.
    pub role: Option<Role>,
}

/// A booking that no report confirmed in time. Its load is no longer counted on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ExpiredBooking<R> {
    /// The resource that was placed.
    pub resource: R,
    /// The node that never counted it.
    pub node: NodeRef,
    /// The decision that made it.
    pub seq: u64,
    /// Load that was booked, in thousandths of the node.
    pub load_permille: u32,
}
