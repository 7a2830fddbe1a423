//! How a blob is cut up, by size, and what one of its nodes has to hold.

use crate::spec::{Class, ResourceSpec};
use crate::units::Capacity;

/// Bytes of one piece: a chunk or a shard of a stripe.
pub const PIECE_BYTES: u64 = 1 << 20;
/// Copies of each chunk under [`Scheme::Chunks`].
pub const CHUNK_COPIES: u32 = 5;
/// Data shards of a full stripe.
pub const STRIPE_DATA: u32 = 100;
/// Parity shards of a full stripe.
pub const STRIPE_PARITY: u32 = 20;

/// How the nodes of a resource share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Scheme {
    /// Every node holds the whole.
    Copies,
    /// Chunks of [`PIECE_BYTES`], each on `copies` of the nodes.
    Chunks {
        /// Nodes per chunk.
        copies: u32,
    },
    /// Erasure-coded stripes, the shards spread over the nodes.
    Stripes {
        /// Data shards per stripe.
        data: u32,
        /// Parity shards per stripe.
        parity: u32,
    },
    /// Above 10 GiB: seeds, regional hubs, edges. See
    /// [`Allocator::allocate_hierarchy`](crate::Allocator::allocate_hierarchy).
    Hierarchy,
}

impl Scheme {
    /// The widest stripe that puts one shard on each of `nodes` nodes: the largest `data` up to this one's with
    /// `data + ceil(data / 5) <= nodes`. Other schemes, and stripes that fit, come back unchanged. Below two nodes the
    /// answer is 1 + 1.
    ///
    /// ```
    /// use inos_alloc::{Scheme, scheme};
    ///
    /// let large = scheme(1_000_000_000);
    /// assert_eq!(large.for_nodes(700), Scheme::Stripes { data: 100, parity: 20 });
    /// assert_eq!(large.for_nodes(80), Scheme::Stripes { data: 66, parity: 14 });
    /// ```
    #[must_use]
    pub fn for_nodes(self, nodes: u32) -> Self {
        match self {
            Self::Stripes { data, parity } if data.saturating_add(parity) > nodes => {
                // data + ceil(data / 5) grows with data, and data = 5 * nodes / 6 rounded down is the largest that fits.
                let fitting = u32::try_from(u64::from(nodes) * 5 / 6).unwrap_or(u32::MAX).clamp(1, data.max(1));
                Self::Stripes { data: fitting, parity: fitting.div_ceil(5) }
            }
            other => other,
        }
    }
}

/// How a blob of `size` bytes is shared: copies below 1 MiB, chunks below 100 MiB, stripes up to 10 GiB, above that a
/// hierarchy.
#[must_use]
pub const fn scheme(size: u64) -> Scheme {
    if size < 1 << 20 {
        Scheme::Copies
    } else if size < 100 << 20 {
        Scheme::Chunks { copies: CHUNK_COPIES }
    } else if size <= 10 << 30 {
        Scheme::Stripes { data: STRIPE_DATA, parity: STRIPE_PARITY }
    } else {
        Scheme::Hierarchy
    }
}

/// How many nodes work on a job with `size` bytes of input: 1 below 10 MiB, 5 below 100 MiB, 20 below 1 GiB, else 50.
#[must_use]
pub const fn nodes_for_job(size: u64) -> u32 {
    if size < 10 << 20 {
        1
    } else if size < 100 << 20 {
        5
    } else if size < 1 << 30 {
        20
    } else {
        50
    }
}

/// The scheme by class: only blobs are cut up.
pub(crate) const fn scheme_of(spec: &ResourceSpec) -> Scheme {
    match spec.class {
        Class::Blob => scheme(spec.size),
        _ => Scheme::Copies,
    }
}

/// What each of `nodes` nodes has to give to carry `spec`.
pub(crate) fn need_per_node(spec: &ResourceSpec, nodes: u32) -> Capacity {
    let nodes = u128::from(nodes.max(1));
    let size = u128::from(spec.size);
    let bytes = match scheme_of(spec) {
        Scheme::Copies => size,
        Scheme::Chunks { copies } => {
            let chunks = size.div_ceil(u128::from(PIECE_BYTES));
            let pieces = (nodes.min(u128::from(copies)) * chunks).div_ceil(nodes);
            pieces * u128::from(PIECE_BYTES)
        }
        // One fifth of parity.
        Scheme::Stripes { .. } | Scheme::Hierarchy => (size * 6).div_ceil(nodes * 5),
    };
    Capacity {
        bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        memory_mb: spec.requires.memory_mb,
        bandwidth_kb_s: match spec.class {
            Class::Stream { bandwidth_kb_s, .. } => bandwidth_kb_s,
            _ => 0,
        },
    }
}

/// What is sure to be used of a node, in millionths of each kind of its capacity. Rounded down: sums of many small parts
/// never come to more than there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    bytes: u32,
    memory: u32,
    bandwidth: u32,
}

impl Part {
    pub(crate) const NONE: Self = Self { bytes: 0, memory: 0, bandwidth: 0 };
    const ALL: u32 = 1_000_000;

    /// The part of `capacity` that `need` is, all of it at most. Of nothing it is none.
    pub(crate) fn of(need: Capacity, capacity: Capacity) -> Self {
        let part = |need: u64, capacity: u64| {
            if need == 0 || capacity == 0 {
                return 0;
            }
            let scaled = match need.checked_mul(u64::from(Self::ALL)) {
                Some(scaled) => scaled / capacity,
                None => {
                    u64::try_from(u128::from(need) * u128::from(Self::ALL) / u128::from(capacity)).unwrap_or(u64::MAX)
                }
            };
            u32::try_from(scaled).unwrap_or(u32::MAX).min(Self::ALL)
        };
        Self {
            bytes: part(need.bytes, capacity.bytes),
            memory: part(need.memory_mb, capacity.memory_mb),
            bandwidth: part(need.bandwidth_kb_s, capacity.bandwidth_kb_s),
        }
    }

    pub(crate) const fn saturating_add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            memory: self.memory.saturating_add(other.memory),
            bandwidth: self.bandwidth.saturating_add(other.bandwidth),
        }
    }

    pub(crate) const fn saturating_sub(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            memory: self.memory.saturating_sub(other.memory),
            bandwidth: self.bandwidth.saturating_sub(other.bandwidth),
        }
    }

    /// Whether it is all of a node, or was cut to that.
    pub(crate) fn is_all(self) -> bool {
        self.millionths() >= Self::ALL
    }

    /// Whether the sum was too large: what is taken off it again cannot be known.
    pub(crate) fn is_saturated(self) -> bool {
        self.millionths() == u32::MAX
    }

    /// Of the kind that is used most.
    pub(crate) fn millionths(self) -> u32 {
        self.bytes.max(self.memory).max(self.bandwidth)
    }

    /// The least load that a node reports which has this: no report says more than all.
    pub(crate) fn permille(self) -> u16 {
        u16::try_from(self.millionths() / 1000).unwrap_or(u16::MAX).min(1000)
    }
}

/// The load that `need` is on a node that has it, whether or not it fits: all of the node at most.
pub(crate) fn share_permille(need: Capacity, capacity: Capacity) -> u32 {
    added_permille(need, capacity).map_or(1000, |share| share.min(1000))
}

/// The load that `need` adds to a node with `capacity`: the largest over the three of ceil(1000 x need / capacity).
/// `None` when the node has none of what is needed.
pub(crate) fn added_permille(need: Capacity, capacity: Capacity) -> Option<u32> {
    let share = |need: u64, capacity: u64| match (need, capacity) {
        (0, _) => Some(0),
        (_, 0) => None,
        // Seldom wide: a division of 128 bits takes several times as long.
        _ => match need.checked_mul(1000) {
            Some(scaled) => u32::try_from(scaled.div_ceil(capacity)).ok(),
            None => u32::try_from((u128::from(need) * 1000).div_ceil(u128::from(capacity))).ok(),
        },
    };
    Some(
        share(need.bytes, capacity.bytes)?
            .max(share(need.memory_mb, capacity.memory_mb)?)
            .max(share(need.bandwidth_kb_s, capacity.bandwidth_kb_s)?),
    )
}
