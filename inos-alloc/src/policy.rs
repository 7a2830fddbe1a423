//! What the integrator chooses: once per allocator, and once per allocation.

use core::time::Duration;

use crate::target::Tiers;
use crate::trust::TrustPolicy;
use crate::units::{Permille, RegionId};

/// Below this effective load, after its share is added, a node may take a replica: 50 %.
pub const ALLOCATE_MAX: Permille = Permille::saturating(500);
/// The load a mesh should settle at, the middle of 25 % to 50 %. Nothing is refused because of it.
pub const TARGET_LOAD: Permille = Permille::saturating(375);
/// Below this effective load a node is asked to serve, and may fill a class floor: 80 %.
pub const ROUTE_MAX: Permille = Permille::saturating(800);
/// How long a booking waits for a report that confirms it.
pub const BOOKING_TTL: Duration = Duration::from_secs(60);
/// How long a repair that is not urgent waits for the node to come back.
pub const GRACE: Duration = Duration::from_secs(300);
/// A stream is placed only on nodes with a round trip to the consumer below this.
pub const STREAM_LATENCY_BELOW: Duration = Duration::from_millis(50);

/// What an [`Allocator`](crate::Allocator) is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct Config {
    /// Settles ties. Allocators with the same seed and the same inputs decide alike.
    pub seed: u64,
    /// How long a booking waits for a report that confirms it; [`BOOKING_TTL`] by default.
    pub booking_ttl: Duration,
    /// How outcomes count, and how fast a node is given more.
    pub trust: TrustPolicy,
    /// A resource with fewer nodes than this is repaired at once; `None` is 5, or the count it deserves if that is less.
    pub recruit_below: Option<u32>,
    /// A repair that is not urgent waits this long for the node to come back; [`GRACE`] by default.
    pub grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let trust = TrustPolicy::default();
        Self { seed: 0, booking_ttl: BOOKING_TTL, trust, recruit_below: None, grace: GRACE }
    }
}

/// How one of several suitable nodes is chosen, for the classes that do not go by latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Select {
    /// The least loaded. For an allocator that makes all decisions itself: its bookings keep its view fresh.
    #[default]
    LeastLoaded,
    /// The less loaded of two that are drawn. For many allocators whose views are stale: all of them would send everything
    /// to the node that was the least loaded at the last report (M. Mitzenmacher, *The power of two choices in randomized
    /// load balancing*, 2001).
    TwoChoices,
}

/// What counts how much when nodes are compared. The score of a node is the sum of weight times figure over all five, each
/// figure in thousandths, and the least wins. Only the proportions matter.
///
/// Figures: effective load; round trip from `near` as a share of 500 ms, all of it when unknown, none without `near`;
/// price as a share of the highest price among the compared; flags that the node lacks as a share of 64; what reputation
/// lacks to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Weights {
    /// Of the load.
    pub load: u16,
    /// Of the latency.
    pub latency: u16,
    /// Of the price.
    pub cost: u16,
    /// Of capabilities.
    pub capability: u16,
    /// Of reputation.
    pub reputation: u16,
}

impl Weights {
    /// Load first, and what reputation adds to it: no other figure is looked at. The default.
    pub const LOAD: Self = Self { load: 1, latency: 0, cost: 0, capability: 0, reputation: 0 };
    /// Half load, the other half latency, reputation, cost and capability.
    pub const BALANCED: Self = Self { load: 50, latency: 20, cost: 10, capability: 5, reputation: 15 };
}

impl Default for Weights {
    fn default() -> Self {
        Self::LOAD
    }
}

/// How much may be moved: what a repair, a drain or a rebalance may plan in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MoveBudget {
    /// Replicas of whole resources, pieces of others, and the nodes that a hierarchy is planned to get.
    pub moves: u64,
    /// Bytes that go to other nodes.
    pub bytes: u64,
}

impl MoveBudget {
    /// No bound: the largest number of either kind is none.
    pub const UNLIMITED: Self = Self { moves: u64::MAX, bytes: u64::MAX };

    /// Takes a move out of the budget, when there is enough for it.
    pub(crate) fn take(&mut self, moves: u64, bytes: u64) -> bool {
        let enough = self.covers(moves, bytes);
        if enough {
            let less = |left: u64, taken: u64| if left == u64::MAX { left } else { left - taken };
            (self.moves, self.bytes) = (less(self.moves, moves), less(self.bytes, bytes));
        }
        enough
    }

    pub(crate) const fn covers(&self, moves: u64, bytes: u64) -> bool {
        moves <= self.moves && bytes <= self.bytes
    }

    /// How many moves of `bytes` each are in it.
    pub(crate) fn moves_of(&self, bytes: u64) -> u64 {
        let by_bytes = if self.bytes == u64::MAX { None } else { self.bytes.checked_div(bytes) };
        by_bytes.unwrap_or(u64::MAX).min(self.moves)
    }
}

/// What one allocation asks for beyond its [`ResourceSpec`](crate::ResourceSpec).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct Policy {
    /// Region of the consumer. Streams and fast state need it; the other classes use it to choose the primary.
    pub near: Option<RegionId>,
    /// How one of several suitable nodes is chosen.
    pub select: Select,
    /// What counts how much. With other weights than [`Weights::LOAD`] the 32 least loaded of each group (nodes of a zone with
    /// equal capabilities and order of size) are compared. [`Select::TwoChoices`] and classes that go by latency ignore it.
    pub weights: Weights,
    /// The table of counts, and which ceiling bounds them.
    pub tiers: Tiers,
}
