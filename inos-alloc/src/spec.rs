//! What is placed, and on what.

use core::time::Duration;

use crate::units::{Capabilities, Capacity, Demand, Permille, RegionId, Requirements, ZoneId};

/// A resource as the allocator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ResourceSpec {
    /// Plain size in bytes.
    pub size: u64,
    /// How much it is asked for.
    pub demand: Demand,
    /// What its owner spends, in credits.
    pub budget: u64,
    /// Which rule gives the count and the choice of nodes.
    pub class: Class,
    /// What every node that carries it must have.
    pub requires: Requirements,
}

/// Which rule applies to a resource. `docs/policy.md` has the table of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Class {
    /// A file. Size, demand and budget decide the count; the nodes are spread over regions and zones.
    Blob,
    /// A replica group with a primary: 3 to 7 by demand, spread over regions and zones.
    Group,
    /// A job: 5 to 7 by demand, on the most idle nodes that have what it requires.
    Compute,
    /// One block of storage, spread over regions and zones: exactly 7, 5 or 3 by temperature.
    Storage {
        /// How often the block is read.
        temperature: Temperature,
    },
    /// A sensor stream: the 5 nearest nodes within 50 ms of the consumer that have the bandwidth.
    Stream {
        /// Frames per second. Carried for whoever serves the stream; placement does not depend on it.
        fps: u32,
        /// Bandwidth taken on each node, in kilobytes per second.
        bandwidth_kb_s: u64,
    },
    /// Shared state: the 5 nearest above 30 updates per second, otherwise 7 spread over regions and zones.
    State {
        /// Updates per second.
        updates_per_second: u32,
        /// How conflicting writes are settled. Carried for the replicas; placement does not depend on it.
        resolution: Resolution,
    },
}

/// How often a block of storage is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Temperature {
    /// Often: 7 replicas.
    Hot,
    /// Now and then: 5 replicas.
    Warm,
    /// Rarely: 3 replicas.
    Cold,
}

/// How replicas of shared state settle conflicting writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Resolution {
    /// The last write wins.
    LastWriteWins,
    /// A conflict-free replicated data type merges them.
    Crdt,
    /// Operational transformation rewrites them.
    OperationalTransform,
}

/// A node as it joins. `N` is the integrator's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NodeSpec<N> {
    /// Who it is.
    pub id: N,
    /// Its region.
    pub region: RegionId,
    /// Its failure domain within the region.
    pub zone: ZoneId,
    /// What it can do.
    pub capabilities: Capabilities,
    /// What it has in all; projected load is a share of this.
    pub capacity: Capacity,
    /// Credits per gigabyte and hour. Placement depends on it only through [`Weights::cost`](crate::Weights::cost).
    pub price: u32,
}

/// A handle to a node of one allocator. A slot that is used again gets the next generation, so an old handle never
/// means a new node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NodeRef {
    /// Slot of the node, dense from 0.
    pub index: u32,
    /// How often the slot was given to another node, or to the same node after it failed.
    pub generation: u32,
}

/// What a node says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NodeReport {
    /// Its load, with every placement up to `seq` counted.
    pub load: Permille,
    /// The `seq` of the last [`Placement`](crate::Placement), piece placement, [`Repair`](crate::Repair),
    /// [`Move`](crate::Move) to the node or away from it, or [`Returned`](crate::Returned), that `load` counts; 0 when none.
    pub seq: u64,
    /// Round trip between the node and the edge of its region; whole microseconds count.
    pub last_mile: Duration,
    /// Requests it is serving.
    pub inflight: u32,
    /// What is free, with every placement up to `seq` counted.
    pub available: Capacity,
}
