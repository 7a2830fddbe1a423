#![no_std]
#![forbid(unsafe_code)]
//! How many replicas a resource deserves, which nodes carry them, where a request goes, and what a failure changes.
//!
//! A mesh of volunteers has nodes of every size and load, and none of them may be overrun. [`Allocator`] counts what a
//! resource deserves, chooses nodes below half load, spreads what belongs together, and books the load at once. When nodes
//! fail it says who leads, who is recruited and where every lost piece goes. It never promises what is not there: every
//! answer carries what was wanted, what was granted, and what it survives.
//!
//! It does not move data, detect failures, open sockets, read a clock or draw randomness. What it decides, the integrator
//! carries out. Nothing moves unless a failure, a drain or a rebalance asks for it.
//!
//! # Overview
//!
//! - [`replica_target`], [`Tiers`], [`scheme`], [`nodes_for_job`]: counts and layout, pure functions.
//! - [`NodeSpec`], [`NodeReport`], [`ResourceSpec`], [`Policy`]: what goes in.
//! - [`Allocator`]: nodes and reports, [`allocate`](Allocator::allocate), pieces, [`nodes_failed`](Allocator::nodes_failed)
//!   and [`repair`](Allocator::repair), [`drain`](Allocator::drain), [`rebalance`](Allocator::rebalance),
//!   [`observe_outcome`](Allocator::observe_outcome), [`explain`](Allocator::explain).
//! - [`Placement`], [`ChunkPlacement`], [`StripePlacement`], [`FailoverPlan`], [`Move`]: what comes out.
//! - [`Allocator::allocate_hierarchy`], [`plan_hierarchy`], [`RegionHubs`], [`hub_moves`]: seeds, hubs and edges above 10 GiB.
//! - [`ChunkRouter`], [`Sources`], [`route_group`]: whom to ask; [`distribute`]: who works on a job.
//! - [`DemandMonitor`]: demand from what is recorded, when to step up or down. [`naive`]: the oracle of the tests.
//!
//! # Driving it
//!
//! Time is an argument. A node that has stored what was placed on it names the placement's `seq` in its next report.
//! ```
//! use core::time::Duration;
//! use inos_alloc::{
//!     Allocator, Capabilities, Capacity, Class, Config, Demand, MoveBudget, NodeReport, NodeSpec, Permille, Policy,
//!     RegionId, Requirements, ResourceSpec, ZoneId,
//! };
//!
//! let mut mesh = Allocator::<u32, u64>::new(Config { seed: 7, ..Config::default() });
//! let capacity = Capacity { bytes: 4 << 30, memory_mb: 8192, bandwidth_kb_s: 10_000 };
//! for id in 0..240 {
//!     let (region, zone) = (RegionId(id % 6), ZoneId(id / 6 % 4));
//!     mesh.upsert(NodeSpec { id, region, zone, capabilities: Capabilities::NONE, capacity, price: 1 });
//! }
//!
//! let now = Duration::from_secs(1);
//! let requires = Requirements::default();
//! let film = ResourceSpec { size: 700 << 20, demand: Demand::ZERO, budget: 500, class: Class::Blob, requires };
//! let placed = mesh.allocate(1, &film, &Policy::default(), now)?;
//! assert_eq!((placed.want, placed.granted, placed.shortfall), (100, 100, 0));
//!
//! let stripe = mesh.place_stripe(&1, 0, 80, 16, &Policy::default(), now)?;
//! assert_eq!((stripe.nodes.len(), stripe.achieved.nodes, stripe.achieved.regions), (96, 16, 1));
//!
//! // The node has stored its shards and says so.
//! let (node, load) = (stripe.nodes[0], Permille::saturating(120));
//! let available = Capacity { bytes: 3 << 30, memory_mb: 8000, bandwidth_kb_s: 9_000 };
//! let last_mile = Duration::from_millis(4);
//! mesh.report(node, NodeReport { load, seq: stripe.seq, last_mile, inflight: 0, available }, now)?;
//! assert!(mesh.route(&stripe.nodes[..3], RegionId(0)).is_some());
//!
//! // It is silent. 15 more may fail, so its shard of stripe 0 waits for it, and then goes to another node.
//! let plan = mesh.node_failed(node, now);
//! let due = plan.repairs[0].waits_until.unwrap();
//! let repair = &mesh.repair(MoveBudget { moves: 100, bytes: 1 << 30 }, due)[0];
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
//! - Load is counted once: as a booking until the node's report names it, afterwards as its own figure.
//! - A failure changes the resources on the failed nodes and no others. No rebalance makes one tolerate less.
//! - Under constant demand a count moves in one direction, then rests.
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
//! | holders of an id of a router | [`MAX_HOLDERS`] |
//!
//! # Features
//!
//! `serde`: for what goes in and comes out of decisions. `sim`: a simulator (`docs/simulation.md`) and its program, `alloc-sim`.
//! `docs/policy.md` has every rule, constant and paper, `docs/performance.md` the measurements. The crate needs `alloc`.

extern crate alloc;

mod allocator;
mod decay;
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
#[cfg(feature = "sim")]
pub mod sim;
mod slab;
mod spec;
mod target;
mod trust;
mod units;

pub use allocator::{Allocator, MAX_PIECES, NodeLoad};
pub use demand::{
    DemandMetrics, DemandMonitor, DemandPolicy, DemandPolicyError, Hold, Replicas, Scale, SignalWeights, Signals,
};
pub use error::{
    AllocateError, DrainError, OutOfRange, PlaceError, RemoveError, ReportError, ResizeError, ReturnError,
};
pub use hierarchy::{
    Candidate, ChangedPiece, Hierarchy, HierarchyError, HierarchyLimits, HubIndexes, HubLayout, HubMoves, HubSet,
    HubShortfall, LayoutError, MAX_LAYOUT_PIECES, MoveCount, PieceHubs, RegionEdges, RegionHubs, Role,
    hierarchy_pieces, hub_moves, plan_hierarchy,
};
pub use id::Id;
pub use job::{Distribution, Share, Worker, distribute, split};
pub use placement::{
    ChunkPlacement, Drain, ExpiredBooking, Explanation, FailoverPlan, Move, Piece, PieceMove, Placement, Reason,
    Repair, Returned, StripePlacement, Tolerance,
};
pub use policy::{
    ALLOCATE_MAX, BOOKING_TTL, Config, GRACE, MoveBudget, Policy, ROUTE_MAX, STREAM_LATENCY_BELOW, Select, TARGET_LOAD,
    Weights,
};
pub use router::{
    BEST_WITHIN_PERMILLE, ChunkRouter, DEFAULT_ROUND_TRIP, HoldersError, LATENCY_HALF_LIFE, MAX_HOLDERS, MeshView,
    NodeView, PeakEwma, REQUEST_TIMEOUT, RequestEnd, RequestId, RouteSelect, RouterConfig, RouterUsage, Source,
    SourceAction, Sources, route_group,
};
pub use scheme::{CHUNK_COPIES, PIECE_BYTES, STRIPE_DATA, STRIPE_PARITY, Scheme, nodes_for_job, scheme};
pub use spec::{Class, NodeRef, NodeReport, NodeSpec, Resolution, ResourceSpec, Temperature};
pub use target::{BudgetStep, Ceiling, Target, Tier, Tiers, replica_target};
pub use trust::{Outcome, TrustPolicy};
pub use units::{Capabilities, Capacity, Demand, Permille, RegionId, Requirements, ZoneId};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
