//! Quantities: thousandths, places, capabilities, capacities.

use core::fmt;

use crate::error::OutOfRange;

/// A share in thousandths, `0..=1000`. Decisions use no floats, so that every target decides alike.
///
/// ```
/// use inos_alloc::Permille;
///
/// assert_eq!(Permille::new(375).map(Permille::value), Some(375));
/// assert_eq!(Permille::new(1001), None);
/// assert_eq!(Permille::saturating(9_999), Permille::FULL);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "u16", into = "u16"))]
pub struct Permille(u16);

impl Permille {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// All of it.
    pub const FULL: Self = Self(1000);

    /// `None` above 1000.
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        if value <= 1000 { Some(Self(value)) } else { None }
    }

    /// Everything above 1000 becomes 1000.
    #[must_use]
    pub const fn saturating(value: u16) -> Self {
        if value <= 1000 { Self(value) } else { Self::FULL }
    }

    /// The thousandths, `0..=1000`.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Permille {
    type Error = OutOfRange;

    fn try_from(value: u16) -> Result<Self, OutOfRange> {
        Self::new(value).ok_or(OutOfRange { value })
    }
}

impl From<Permille> for u16 {
    fn from(value: Permille) -> Self {
        value.value()
    }
}

/// How much a resource is asked for, in thousandths: 0 is nobody, 1000 is as much as the integrator's scale knows.
///
/// ```
/// use inos_alloc::Demand;
///
/// assert_eq!(Demand::new(1000), Some(Demand::FULL));
/// assert_eq!(Demand::new(1001), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "u16", into = "u16"))]
pub struct Demand(u16);

impl Demand {
    /// Nobody asks.
    pub const ZERO: Self = Self(0);
    /// The top of the scale.
    pub const FULL: Self = Self(1000);

    /// `None` above 1000.
    #[must_use]
    pub const fn new(permille: u16) -> Option<Self> {
        if permille <= 1000 { Some(Self(permille)) } else { None }
    }

    /// Everything above 1000 becomes 1000.
    #[must_use]
    pub const fn saturating(permille: u16) -> Self {
        if permille <= 1000 { Self(permille) } else { Self::FULL }
    }

    /// The thousandths, `0..=1000`.
    #[must_use]
    pub const fn permille(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Demand {
    type Error = OutOfRange;

    fn try_from(value: u16) -> Result<Self, OutOfRange> {
        Self::new(value).ok_or(OutOfRange { value })
    }
}

impl From<Demand> for u16 {
    fn from(value: Demand) -> Self {
        value.permille()
    }
}

/// A region: nodes that are close to each other in latency. The numbers are the integrator's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RegionId(pub u32);

/// A failure domain inside a region. Zone 0 of region 1 and zone 0 of region 2 are two zones, so ids may be unique in the
/// whole mesh or only within their region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ZoneId(pub u32);

/// A set of capabilities, as 64 flags.
///
/// ```
/// use inos_alloc::Capabilities;
///
/// let node = Capabilities::GPU.with(Capabilities::bit(8).unwrap());
/// assert!(node.contains(Capabilities::GPU));
/// assert!(!Capabilities::NONE.contains(Capabilities::GPU));
/// assert_eq!(Capabilities::bit(64), None);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Capabilities(u64);

impl Capabilities {
    /// No capability.
    pub const NONE: Self = Self(0);
    /// A graphics processor that jobs may use: flag 0.
    pub const GPU: Self = Self(1);

    /// Flag `index`; `None` from 64 upwards. Flags 1 to 63 mean what the integrator says.
    #[must_use]
    pub const fn bit(index: u32) -> Option<Self> {
        if index < 64 { Some(Self(1 << index)) } else { None }
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every flag of `required` is in this set.
    #[must_use]
    pub const fn contains(self, required: Self) -> bool {
        self.0 & required.0 == required.0
    }

    /// How many flags are set, `0..=64`.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Capabilities({:#b})", self.0)
    }
}

/// An amount of what a node has to give, or of what a resource takes from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Capacity {
    /// Storage in bytes.
    pub bytes: u64,
    /// Working memory in megabytes.
    pub memory_mb: u64,
    /// Bandwidth in kilobytes per second.
    pub bandwidth_kb_s: u64,
}

impl Capacity {
    /// More of everything than anything can need.
    pub const UNLIMITED: Self = Self { bytes: u64::MAX, memory_mb: u64::MAX, bandwidth_kb_s: u64::MAX };

    pub(crate) const fn saturating_sub(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            memory_mb: self.memory_mb.saturating_sub(other.memory_mb),
            bandwidth_kb_s: self.bandwidth_kb_s.saturating_sub(other.bandwidth_kb_s),
        }
    }

    pub(crate) const fn saturating_add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            memory_mb: self.memory_mb.saturating_add(other.memory_mb),
            bandwidth_kb_s: self.bandwidth_kb_s.saturating_add(other.bandwidth_kb_s),
        }
    }

    pub(crate) fn min(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.min(other.bytes),
            memory_mb: self.memory_mb.min(other.memory_mb),
            bandwidth_kb_s: self.bandwidth_kb_s.min(other.bandwidth_kb_s),
        }
    }

    pub(crate) const fn covers(self, need: Self) -> bool {
        self.bytes >= need.bytes && self.memory_mb >= need.memory_mb && self.bandwidth_kb_s >= need.bandwidth_kb_s
    }
}

/// What a node must have to carry a resource at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Requirements {
    /// Flags that must all be set on the node, such as [`Capabilities::GPU`].
    pub capabilities: Capabilities,
    /// Working memory taken on each node, in megabytes.
    pub memory_mb: u64,
    /// Expected run time in milliseconds. Carried for whoever runs the job; placement does not depend on it.
    pub duration_ms: u64,
}
