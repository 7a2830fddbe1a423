//! Newtypes for money, size, time and counts. A number without its unit never crosses the public API.

/// An amount of credits, the smallest unit of account. Whole credits only: finer prices are made by a smaller credit.
///
/// ```
/// use inos_pricing::Credits;
///
/// assert_eq!(Credits(70).checked_add(Credits(30)), Some(Credits(100)));
/// assert_eq!(Credits(70).checked_sub(Credits(71)), None); // credits are never negative
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Credits(pub u64);

impl Credits {
    /// No credits.
    pub const ZERO: Self = Self(0);
    /// The largest amount that one transaction or quote can name.
    pub const MAX: Self = Self(u64::MAX);

    /// The sum, or `None` above [`Credits::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }
}

/// A number of bytes. [`Bytes::GB`] and [`Bytes::GIB`] differ by 7.4 %, so neither is called "gigabyte" alone.
///
/// ```
/// use inos_pricing::Bytes;
///
/// assert_eq!(Bytes::GB.checked_mul(5), Some(Bytes(5_000_000_000)));
/// assert!(Bytes::GB < Bytes::GIB);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Bytes(pub u64);

impl Bytes {
    /// No bytes.
    pub const ZERO: Self = Self(0);
    /// 10^6 bytes.
    pub const MB: Self = Self(1_000_000);
    /// 2^20 bytes.
    pub const MIB: Self = Self(1 << 20);
    /// 10^9 bytes: the unit of the storage and bandwidth [rates](crate::Rates).
    pub const GB: Self = Self(1_000_000_000);
    /// 2^30 bytes.
    pub const GIB: Self = Self(1 << 30);

    /// `self` taken `count` times, or `None` above 2^64 - 1 bytes.
    #[must_use]
    pub const fn checked_mul(self, count: u64) -> Option<Self> {
        match self.0.checked_mul(count) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }
}

/// A time or a duration in milliseconds. Times count from an epoch that the caller chooses; a caller whose
/// [`TxId`](crate::TxId)s are UUIDv7 or ULID has chosen the Unix epoch.
///
/// ```
/// use inos_pricing::Millis;
///
/// assert_eq!(Millis::HOUR.checked_mul(720), Some(Millis::MONTH));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Millis(pub u64);

impl Millis {
    /// No time, or the epoch.
    pub const ZERO: Self = Self(0);
    /// 1,000 ms.
    pub const SECOND: Self = Self(1_000);
    /// 60 seconds.
    pub const MINUTE: Self = Self(60_000);
    /// 3,600 seconds.
    pub const HOUR: Self = Self(3_600_000);
    /// 24 hours.
    pub const DAY: Self = Self(86_400_000);
    /// 30 days exactly: a unit of usage, never the denominator of a rate.
    pub const MONTH: Self = Self(2_592_000_000);

    /// `self` taken `count` times, or `None` above 2^64 - 1 ms.
    #[must_use]
    pub const fn checked_mul(self, count: u64) -> Option<Self> {
        match self.0.checked_mul(count) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// `self` moved later by `duration`, or `None` above 2^64 - 1 ms.
    #[must_use]
    pub const fn checked_add(self, duration: Self) -> Option<Self> {
        match self.0.checked_add(duration.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }
}

/// A number of replicas: nodes that serve the same resource. Prices exist for [`Replicas::MIN`]`..=`[`Replicas::MAX`].
///
/// ```
/// use inos_pricing::{Plan, PriceError, Replicas, TierPlan};
///
/// let error = TierPlan.factor(Replicas(701)).unwrap_err();
/// assert_eq!(error, PriceError::ReplicasOutOfRange { replicas: Replicas(701) });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Replicas(pub u16);

impl Replicas {
    /// The fewest replicas that have a price.
    pub const MIN: Self = Self(1);
    /// The most replicas that have a price.
    pub const MAX: Self = Self(700);
}

/// A factor in thousandths: `Thousandths(28_500)` is 28.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Thousandths(pub u32);

impl Thousandths {
    /// The factor 1.
    pub const ONE: Self = Self(1_000);
    /// The largest factor that a quote accepts, 138.5: what [`TierPlan`](crate::TierPlan) asks for 700 replicas.
    /// With it the exact price of the largest usage still fits 128 bits.
    pub const MAX: Self = Self(138_500);
}
