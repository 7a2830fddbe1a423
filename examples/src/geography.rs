//! Where the in-process nodes stand: six regions of four zones, and the round-trip times between the regions.

use core::time::Duration;

/// Regions of the example mesh.
pub const REGION_COUNT: u32 = 6;
/// Zones in each region: independent power and network.
pub const ZONES_PER_REGION: u32 = 4;

const REGION_NAMES: [&str; REGION_COUNT as usize] =
    ["eu-west", "eu-north", "us-east", "us-west", "asia-east", "asia-south"];

/// Round trips in milliseconds, of the order that public clouds publish between their regions; the diagonal is the
/// round trip inside a region.
const ROUND_TRIP_MS: [[u64; REGION_COUNT as usize]; REGION_COUNT as usize] = [
    [2, 30, 80, 140, 230, 120],
    [30, 2, 105, 160, 250, 140],
    [80, 105, 2, 65, 170, 190],
    [140, 160, 65, 2, 110, 220],
    [230, 250, 170, 110, 2, 70],
    [120, 140, 190, 220, 70, 2],
];

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// 0..[`REGION_COUNT`].
    pub region: u32,
    /// 0..[`ZONES_PER_REGION`] within the region.
    pub zone: u32,
}

impl Site {
    /// The site of the node numbered `node`: regions in turn, then their zones in turn, so that any run of 24 nodes
    /// covers every zone once.
    #[must_use]
    pub const fn of(node: u32) -> Self {
        Self { region: node % REGION_COUNT, zone: node / REGION_COUNT % ZONES_PER_REGION }
    }

    /// Every site.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..REGION_COUNT).flat_map(|region| (0..ZONES_PER_REGION).map(move |zone| Self { region, zone }))
    }

    /// The zone's number in the whole mesh, 0..24.
    #[must_use]
    pub const fn zone_number(self) -> u32 {
        self.region * ZONES_PER_REGION + self.zone
    }
}

impl core::fmt::Display for Site {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}-{}", REGION_NAMES[self.region as usize], self.zone + 1)
    }
}

/// The round trip between two regions, each below [`REGION_COUNT`].
#[must_use]
pub const fn round_trip(a: u32, b: u32) -> Duration {
    Duration::from_millis(ROUND_TRIP_MS[a as usize][b as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_four_nodes_cover_every_zone_once() {
        let mut zones: Vec<u32> = (0..24).map(|node| Site::of(node).zone_number()).collect();
        zones.sort_unstable();
        assert_eq!(zones, (0..24).collect::<Vec<_>>());
        assert_eq!(Site::all().count(), 24);
    }

    #[test]
    fn round_trips_are_the_same_both_ways() {
        for a in 0..REGION_COUNT {
            for b in 0..REGION_COUNT {
                assert_eq!(round_trip(a, b), round_trip(b, a));
            }
        }
    }
}
