#![no_std]
#![forbid(unsafe_code)]
//! How many replicas a resource deserves, which nodes carry them, where a request goes, and what a failure changes.
//!
//! A mesh of volunteers has nodes of every size and load, and none of them may be overrun. [`Allocator`] counts what a
//! resource deserves, chooses nodes below half load, spreads what belongs together over zones and regions, and books the
//! load at once so that its next decision sees it. When nodes fail it says who leads, who is recruited and where every
//! lost piece goes. It never promises what is not there: every answer carries what was wanted, what was granted, and what
//! it survives.
//!
//! It does not move data, detect failures, open sockets, read a clock or draw randomness. It does not move replicas while
//! nothing fails and does not follow demand. A resource above 10 GiB gets its count and is booked as stripes; its
//! hierarchy is planned apart, by a pure function.
//! nothing fails, and does not lay out the hierarchy of resources above 10 GiB: these get their count and are booked as
//! stripes.
//!
//! # Overview
//!
//! - [`replica_target`], [`Tiers`], [`scheme`], [`nodes_for_job`]: counts and layout, pure functions.
//! - [`NodeSpec`], [`NodeReport`], [`ResourceSpec`], [`Policy`]: what goes in.
//! - [`Allocator`]: nodes and reports, [`allocate`](Allocator::allocate), [`place_chunks`](Allocator::place_chunks),
//!   [`place_stripe`](Allocator::place_stripe), [`nodes_failed`](Allocator::nodes_failed), [`route`](Allocator::route).
//! - [`Placement`], [`ChunkPlacement`], [`StripePlacement`], [`FailoverPlan`]: what comes out.
//! - [`plan_hierarchy`], [`RegionHubs`], [`moves`]: seeds, hubs and edges above 10 GiB, which hub holds which piece, and
//!   what moves when hubs come and go.
//! - [`distribute`]: who works on a job.
//! - [`ChunkRouter`], [`Sources`], [`PeakEwma`], [`route_group`]: whom to ask; [`distribute`]: who works on a job.
//! - [`DemandMonitor`]: demand from what is recorded, and when to step up or down: [`DemandPolicy`], [`Signals`], [`Scale`].
//! - [`naive`]: the same decisions by scanning, the oracle of the tests.
//!
//! # Driving it
//!
//! Nodes join and report; resources are allocated, cut up and released; failures are told. Time is an argument. A node
//! that has stored what was placed on it names the placement's `seq` in its next report.
//!
//! ```
//! use core::time::Duration;
//! use inos_alloc::{
//!     Allocator, Capabilities, Capacity, Class, Config, Demand, NodeReport, NodeSpec, Permille, Policy, RegionId,
//!     Requirements, ResourceSpec, ZoneId,
//! };
//!
//! let mut mesh = Allocator::<u32, u64>::new(Config { seed: 7, ..Config::default() });
//! for id in 0..240 {
//!     mesh.upsert(NodeSpec {
//!         id,
//!         region: RegionId(id % 6),
//!         zone: ZoneId(id / 6 % 4),
//!         capabilities: Capabilities::NONE,
//!         capacity: Capacity { bytes: 4 << 30, memory_mb: 8192, bandwidth_kb_s: 10_000 },
//!         price: 1,
//!     });
//! }
//!
//! let now = Duration::from_secs(1);
//! let film = ResourceSpec {
//!     size: 700 << 20,
//!     demand: Demand::ZERO,
//!     budget: 500,
//!     class: Class::Blob,
//!     requires: Requirements::default(),
//! };
//! let placed = mesh.allocate(1, &film, &Policy::default(), now)?;
//! assert_eq!((placed.want, placed.granted, placed.shortfall), (100, 100, 0));
//!
//! let stripe = mesh.place_stripe(&1, 0, 80, 16, &Policy::default(), now)?;
//! assert_eq!((stripe.nodes.len(), stripe.achieved.nodes, stripe.achieved.regions), (96, 16, 1));
//!
//! // The node has stored its shards and says so.
//! let node = stripe.nodes[0];
//! let report = NodeReport {
//!     load: Permille::saturating(120),
//!     seq: stripe.seq,
//!     last_mile: Duration::from_millis(4),
//!     inflight: 0,
//!     available: Capacity { bytes: 3 << 30, memory_mb: 8000, bandwidth_kb_s: 9_000 },
//! };
//! mesh.report(node, report, now)?;
//! assert_eq!(mesh.route(&stripe.nodes[..3], RegionId(0)).is_some(), true);
//!
//! // It dies. One shard of stripe 0 was on it, and gets a new node.
//! let plan = mesh.node_failed(node, now + Duration::from_secs(5));
//! let repair = &plan.repairs[0];
//! assert_eq!((repair.pieces.len(), repair.remaining.nodes, repair.achieved.nodes), (1, 15, 16));
//! assert!(mesh.is_healthy(repair.pieces[0].to.unwrap()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - Same inputs, same decisions, on every target: integers, ordered maps, one fixed hash.
//! - No decision brings a node to half load, except those counted in `over_target`, and none to 80 %.
//! - Nodes of a resource are distinct, able and healthy; what is missing is in `shortfall`.
//! - Load is counted once: as a booking until the node's report names it, afterwards as the node's own figure.
//! - A failure changes the resources on the failed nodes and no others.
//!
//! `docs/policy.md` has every rule and constant.
//!
//! # Limits
//!
//! | what | limit |
//! | --- | --- |
//! | nodes | 2^32 - 1 |
//! | replicas of a resource | what [`Tiers`] says, 700 by default |
//! | pieces of one call | [`MAX_PIECES`]; of a layout over hubs [`MAX_LAYOUT_PIECES`] |
//! | hubs of a region | 128 |
//! | expired bookings kept | 4,096 |
//! | holders of an id of a router | [`MAX_HOLDERS`]; the rest is in [`RouterConfig`] |
//!
//! # Features
//!
//! None. The crate needs `alloc`.
//!
//! # References
//!
//! Selection by booked load follows the observation that least-loaded choice on a stale view herds (M. Mitzenmacher, *How
//! useful is old information?*, 2000). Few shards per failure domain follows S. Weil et al., *CRUSH* (SC 2006).

extern crate alloc;

mod allocator;
mod demand;
mod error;
mod hierarchy;
mod id;
mod job;
pub mod naive;
mod placement;
mod policy;
mod router;
mod scheme;
mod spec;
mod target;
mod units;

pub use allocator::{Allocator, MAX_PIECES, NodeLoad};
pub use demand::{
    DemandMetrics, DemandMonitor, DemandPolicy, DemandPolicyError, Hold, Replicas, Scale, SignalWeights, Signals,
};
pub use error::{AllocateError, PlaceError, RemoveError, ReportError};
pub use hierarchy::{
    Candidate, ChangedPiece, Hierarchy, HierarchyError, HierarchyLimits, HubIndexes, HubLayout, HubSet, HubShortfall,
    LayoutError, MAX_LAYOUT_PIECES, MoveCount, Moves, PieceHubs, RegionEdges, RegionHubs, Role, moves, plan_hierarchy,
};
pub use id::Id;
pub use job::{Distribution, Share, Worker, distribute, split};
pub use placement::{
    ChunkPlacement, ExpiredBooking, FailoverPlan, Piece, PieceMove, Placement, Repair, StripePlacement, Tolerance,
};
pub use policy::{ALLOCATE_MAX, BOOKING_TTL, Config, Policy, ROUTE_MAX, STREAM_LATENCY_BELOW, TARGET_LOAD};
pub use router::{
    BEST_WITHIN_PERMILLE, ChunkRouter, DEFAULT_ROUND_TRIP, HoldersError, LATENCY_HALF_LIFE, MAX_HOLDERS, MeshView,
    NodeView, PeakEwma, REQUEST_TIMEOUT, RequestEnd, RequestId, RouteSelect, RouterConfig, RouterUsage, Source,
    SourceAction, Sources, route_group,
};
pub use scheme::{CHUNK_COPIES, PIECE_BYTES, STRIPE_DATA, STRIPE_PARITY, Scheme, nodes_for_job, scheme};
pub use spec::{Class, NodeRef, NodeReport, NodeSpec, Resolution, ResourceSpec, Temperature};
pub use target::{BudgetStep, Ceiling, Target, Tier, Tiers, replica_target};
pub use units::{Capabilities, Capacity, Demand, Permille, RegionId, Requirements, ZoneId};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
