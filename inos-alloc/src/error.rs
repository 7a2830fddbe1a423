//! Refusals. None of them changes anything.

use thiserror::Error;

use crate::hierarchy::HierarchyError;

/// Why [`Allocator::allocate`](crate::Allocator::allocate) or
/// [`Allocator::allocate_hierarchy`](crate::Allocator::allocate_hierarchy) refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// The caller's fault: the resource is placed already. Release it first.
    #[error("the resource is placed already, on {granted} nodes")]
    AlreadyAllocated {
        /// Nodes it is on.
        granted: u32,
    },
    /// The caller's fault: the class goes by latency and the policy does not say from where.
    #[error("the class goes by latency, and the policy has no region in `near`")]
    NeedsConsumer,
    /// The mesh's fault: not one node can take it. Try again when nodes join or loads fall.
    #[error("none of {healthy} healthy nodes can take the resource, {want} were wanted")]
    NoUsableNode {
        /// The count the resource deserves.
        want: u32,
        /// Healthy nodes in the mesh.
        healthy: usize,
    },
    /// The caller's fault: only blobs are cut up.
    #[error("only a blob can be a hierarchy")]
    NotABlob,
    /// The caller's fault.
    #[error("the limits of the hierarchy cannot be")]
    Limits(#[from] HierarchyError),
}

/// Why [`Allocator::place_chunks`](crate::Allocator::place_chunks) or
/// [`Allocator::place_stripe`](crate::Allocator::place_stripe) refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The caller's fault: allocate the resource first.
    #[error("the resource is not placed")]
    UnknownResource,
    /// The caller's fault: zero pieces, or more than the limits of this crate.
    #[error("{pieces} pieces asked for, 1 to {limit} are possible")]
    BadCount {
        /// Pieces asked for, `u64::MAX` when they cannot be counted.
        pieces: u64,
        /// Most pieces that one call places.
        limit: u64,
    },
    /// The caller's fault: a stripe has at least one data shard.
    #[error("a stripe of {data} data and {parity} parity shards cannot be")]
    BadGeometry {
        /// Data shards asked for.
        data: u32,
        /// Parity shards asked for.
        parity: u32,
    },
    /// The caller's fault: the hubs of a hierarchy say which pieces they hold:
    /// [`RegionHubs::assign`](crate::RegionHubs::assign).
    #[error("the resource is a hierarchy, whose hubs have their pieces")]
    Hierarchy,
    /// The caller's fault: these pieces have their places.
    #[error("the pieces are placed already")]
    AlreadyPlaced,
    /// The caller's fault: a resource is cut into chunks or into stripes, not both.
    #[error("the resource is cut up in the other way")]
    OtherScheme,
    /// The caller's or the mesh's fault: the pieces need more room than was booked for the resource, and its nodes have
    /// no room beyond that.
    #[error("the nodes of the resource have room for {room} of {pieces} pieces")]
    NoRoom {
        /// Pieces to place.
        pieces: u64,
        /// Pieces for which a node was found.
        room: u64,
    },
}

/// Why [`Allocator::report`](crate::Allocator::report) refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The handle names no node, or one that has failed. A node that comes back joins again with
    /// [`Allocator::upsert`](crate::Allocator::upsert).
    #[error("the handle names no healthy node")]
    UnknownNode,
    /// The report was overtaken by a newer one of the same node; drop it.
    #[error("the report counts decisions up to {seq}, an earlier one had counted up to {last}")]
    Outdated {
        /// What the report counts.
        seq: u64,
        /// What the newest report had counted.
        last: u64,
    },
    /// The node's fault: it counts a decision that was never made, so its load cannot be trusted.
    #[error("the report counts decision {seq}, the last one made is {last}")]
    FromTheFuture {
        /// What the report counts.
        seq: u64,
        /// The last decision of this allocator.
        last: u64,
    },
}

/// Why [`Allocator::remove`](crate::Allocator::remove) refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// The caller's fault: the handle names no node.
    #[error("the handle names no node")]
    UnknownNode,
    /// The node still carries resources. Release them, or let [`Allocator::node_failed`](crate::Allocator::node_failed)
    /// move them.
    #[error("the node still carries {resources} resources")]
    InUse {
        /// Resources it carries.
        resources: usize,
    },
}

/// Why [`Allocator::node_returned`](crate::Allocator::node_returned) refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReturnError {
    /// The caller's fault: the handle names no node. It was removed, or has joined again with nothing.
    #[error("the handle names no node")]
    UnknownNode,
    /// The caller's fault: the node has not failed.
    #[error("the node has not failed")]
    NotFailed,
}

/// Why [`Allocator::resize`](crate::Allocator::resize) refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// The caller's fault: the resource is not placed.
    #[error("the resource is not placed")]
    UnknownResource,
    /// The caller's fault: the nodes of the resource share its pieces, so that another count would move all of them. Release
    /// it and allocate it with another demand.
    #[error("the nodes of the resource share its pieces")]
    Pieces,
}

/// Why a number is no [`Permille`](crate::Permille) and no [`Demand`](crate::Demand).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{value} thousandths, and 1000 are all")]
pub struct OutOfRange {
    /// The number.
    pub value: u16,
}

/// Why [`Allocator::drain`](crate::Allocator::drain) refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DrainError {
    /// The caller's fault: the handle names no node, or one that has failed and so carries nothing.
    #[error("the handle names no healthy node")]
    UnknownNode,
}
