//! How many parity shards protect how many data shards.

mod odds;

pub(crate) use odds::resource_loss;

/// Data and parity shards of a full stripe.
///
/// A full stripe survives the loss of any `parity` of its `data + parity` shards. The last stripes of a resource hold
/// fewer data shards; a stripe of `k` has `ceil(k * parity / data)` parity shards, at least one.
///
/// ```
/// use inos_chunk::Geometry;
///
/// let geometry = Geometry::new(10, 4)?;
/// assert_eq!(geometry.parity_for(3), 2); // 3 * 4 / 10, rounded up
/// assert_eq!(Geometry::for_nodes(7)?, Geometry::new(5, 1)?);
/// assert!(Geometry::new(0, 4).is_err());
/// # Ok::<(), inos_chunk::GeometryError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    data: u16,
    parity: u16,
}

impl Geometry {
    /// The most data shards, and the most parity shards, of a stripe. With both at the limit a stripe has 65,536
    /// shards, all that GF(2^16) can tell apart.
    pub const MAX_SHARDS: u16 = 32_768;

    /// 100 data and 20 parity shards: any sixth of a stripe may be lost, and one repair reads 100 shards.
    pub const DEFAULT: Self = Self { data: 100, parity: 20 };

    /// 1000 data and 200 parity shards, for large resources that are read rarely: the same overhead survives a much
    /// higher loss rate (about 12 % of all pieces lost at random instead of 5 %), at ten times the cost of a repair.
    pub const WIDE: Self = Self { data: 1000, parity: 200 };

    /// The longest resource in bytes, 10 GiB, that [`for_len`](Self::for_len) never makes wide: about a hundred
    /// stripes of 100 chunks of 1 MiB. The more stripes, the likelier is an unlucky one: above that, what is hardly
    /// ever read is better protected by wide stripes, though each of their repairs reads ten times as much.
    pub const WIDE_ABOVE: u64 = 10 << 30;

    /// `data` data and `parity` parity shards.
    ///
    /// # Errors
    ///
    /// [`GeometryError::Shards`] when either count is outside 1..=[`Geometry::MAX_SHARDS`].
    pub const fn new(data: u16, parity: u16) -> Result<Self, GeometryError> {
        if data == 0 || parity == 0 || data > Self::MAX_SHARDS || parity > Self::MAX_SHARDS {
            return Err(GeometryError::Shards { data, parity });
        }
        Ok(Self { data, parity })
    }

    /// The geometry that puts one shard of a stripe on each of `nodes` nodes: the largest `data` with
    /// `data + ceil(data / 5) <= nodes`, and `ceil(data / 5)` parity shards. From 39,323 nodes on it stays at
    /// [`Geometry::MAX_SHARDS`] data shards.
    ///
    /// # Errors
    ///
    /// [`GeometryError::Nodes`] for fewer than two nodes: a single node has nowhere to put parity.
    pub const fn for_nodes(nodes: u32) -> Result<Self, GeometryError> {
        if nodes < 2 {
            return Err(GeometryError::Nodes { nodes });
        }
        // data + ceil(data / 5) = ceil(6 * data / 5) for integers, so the condition is data <= 5 * nodes / 6.
        let data = nodes as u64 * 5 / 6;
        let data = if data > Self::MAX_SHARDS as u64 { Self::MAX_SHARDS } else { low_u16(data) };
        Ok(Self { data, parity: data.div_ceil(5) })
    }

    /// The geometry for a resource of `len` bytes that is used as `class` says: [`Geometry::WIDE`] for cold resources
    /// above [`Geometry::WIDE_ABOVE`], [`Geometry::DEFAULT`] otherwise.
    ///
    /// Small resources need no geometry of their own: a stripe that is not full has parity in proportion.
    #[must_use]
    pub const fn for_len(len: u64, class: StorageClass) -> Self {
        match class {
            StorageClass::Cold if len > Self::WIDE_ABOVE => Self::WIDE,
            StorageClass::Hot | StorageClass::Warm | StorageClass::Cold => Self::DEFAULT,
        }
    }

    /// Data shards of a full stripe, 1..=[`Geometry::MAX_SHARDS`].
    #[must_use]
    pub const fn data(self) -> u16 {
        self.data
    }

    /// Parity shards of a full stripe, 1..=[`Geometry::MAX_SHARDS`].
    #[must_use]
    pub const fn parity(self) -> u16 {
        self.parity
    }

    /// Data and parity shards of a full stripe, 2..=65,536.
    #[must_use]
    pub const fn shards(self) -> u32 {
        self.data as u32 + self.parity as u32
    }

    /// Parity shards of a stripe with `stripe_data` data shards: `ceil(stripe_data * parity / data)`, at least 1.
    ///
    /// `stripe_data` above [`data`](Self::data) counts as `data`.
    #[must_use]
    pub const fn parity_for(self, stripe_data: u16) -> u16 {
        let k = if stripe_data > self.data { self.data } else { stripe_data };
        let parity = (k as u64 * self.parity as u64).div_ceil(self.data as u64);
        if parity == 0 { 1 } else { low_u16(parity) }
    }

    /// The longest run of neighbouring data chunks that may be lost from full groups of `interleave` stripes:
    /// `interleave * parity`. A run across the border of two groups counts as two shorter ones.
    ///
    /// The last group of a resource may be smaller: it bears a run of its stripes times the parity shards of its last
    /// stripe, which has the fewest.
    #[must_use]
    pub const fn max_burst(self, interleave: u16) -> u64 {
        interleave as u64 * self.parity as u64
    }
}

impl Default for Geometry {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The low 16 bits of a number that the caller has bounded by [`Geometry::MAX_SHARDS`].
const fn low_u16(value: u64) -> u16 {
    let [a, b, ..] = value.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// How often a resource is read, and so how often its losses have to be repaired in haste.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum StorageClass {
    /// Read all the time: a repair must be short.
    #[default]
    Hot,
    /// Read now and then.
    Warm,
    /// Kept, and hardly ever read: a repair may read a thousand chunks.
    Cold,
}

/// A geometry that does not exist. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// A count of shards is zero or too large.
    #[error("a stripe has 1..=32768 data and 1..=32768 parity shards, not {data} + {parity}")]
    Shards {
        /// Data shards asked for.
        data: u16,
        /// Parity shards asked for.
        parity: u16,
    },
    /// Too few nodes to hold both data and parity.
    #[error("a stripe needs at least 2 nodes, not {nodes}")]
    Nodes {
        /// Nodes offered.
        nodes: u32,
    },
}
