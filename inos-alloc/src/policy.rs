//! What the integrator chooses: once per allocator, and once per allocation.

use core::time::Duration;

use crate::target::Tiers;
use crate::units::{Permille, RegionId};

/// Below this effective load, after its share is added, a node may take a replica: 50 %.
pub const ALLOCATE_MAX: Permille = Permille::saturating(500);
/// The load a mesh should settle at, the middle of 25 % to 50 %. Nothing is refused because of it.
pub const TARGET_LOAD: Permille = Permille::saturating(375);
/// Below this effective load a node is asked to serve, and may fill a class floor: 80 %.
pub const ROUTE_MAX: Permille = Permille::saturating(800);
/// How long a booking waits for a report that confirms it.
pub const BOOKING_TTL: Duration = Duration::from_secs(60);
/// A stream is placed only on nodes with a round trip to the consumer below this.
pub const STREAM_LATENCY_BELOW: Duration = Duration::from_millis(50);

/// What an [`Allocator`](crate::Allocator) is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Settles ties. Allocators with the same seed and the same inputs decide alike.
    pub seed: u64,
    /// How long a booking waits for a report that confirms it; [`BOOKING_TTL`] by default.
    pub booking_ttl: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { seed: 0, booking_ttl: BOOKING_TTL }
    }
}

/// What one allocation asks for beyond its [`ResourceSpec`](crate::ResourceSpec).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Region of the consumer. Streams and fast state need it; the other classes use it to choose the primary.
    pub near: Option<RegionId>,
    /// The table of counts, and which ceiling bounds them.
    pub tiers: Tiers,
}
