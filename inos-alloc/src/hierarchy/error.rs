//! Refusals of the hierarchy. None of them changes anything.

use thiserror::Error;

use crate::spec::NodeRef;
use crate::units::RegionId;

/// Why [`plan_hierarchy`](crate::plan_hierarchy) refused. Always the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HierarchyError {
    /// A region has 1 to 128 hubs at most.
    #[error("{hubs_per_region_max} hubs per region asked for, 1 to 128 are possible")]
    BadHubs {
        /// [`HierarchyLimits::hubs_per_region_max`](crate::HierarchyLimits::hubs_per_region_max).
        hubs_per_region_max: u32,
    },
    /// A hub holds 1 to 1000 thousandths of the pieces.
    #[error("hubs that hold {hub_share_permille} thousandths of the pieces asked for, 1 to 1000 are possible")]
    BadShare {
        /// [`HierarchyLimits::hub_share_permille`](crate::HierarchyLimits::hub_share_permille).
        hub_share_permille: u32,
    },
    /// The load of a hub exceeds its share by at most 1000 thousandths.
    #[error("a load bound of {load_bound_permille} thousandths above the share, at most 1000 are possible")]
    BadBound {
        /// [`HierarchyLimits::load_bound_permille`](crate::HierarchyLimits::load_bound_permille).
        load_bound_permille: u32,
    },
    /// The least number of seeds is above the greatest.
    #[error("{seeds_min} seeds at demand 0 and {seeds_max} at full demand")]
    BadSeeds {
        /// [`HierarchyLimits::seeds_min`](crate::HierarchyLimits::seeds_min).
        seeds_min: u32,
        /// [`HierarchyLimits::seeds_max`](crate::HierarchyLimits::seeds_max).
        seeds_max: u32,
    },
    /// Two candidates have the same slot.
    #[error("node {} is a candidate twice", node.index)]
    DuplicateNode {
        /// The second of them.
        node: NodeRef,
    },
}

/// Why [`RegionHubs::layout`](crate::RegionHubs::layout) or [`hub_moves`](crate::hub_moves) refused. Always the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// More pieces than a kept layout has room for.
    #[error("{pieces} pieces, at most {limit} are possible")]
    TooManyPieces {
        /// Pieces asked for.
        pieces: u64,
        /// [`MAX_LAYOUT_PIECES`](crate::MAX_LAYOUT_PIECES).
        limit: u64,
    },
    /// The two layouts are of different regions.
    #[error("the layouts are of region {} and of region {}", before.0, after.0)]
    OtherRegion {
        /// Region of the first.
        before: RegionId,
        /// Region of the second.
        after: RegionId,
    },
    /// The two layouts are of different resources.
    #[error("the layouts are of different resources, of {before} and {after} pieces")]
    OtherResource {
        /// Pieces of the first.
        before: u64,
        /// Pieces of the second.
        after: u64,
    },
}
