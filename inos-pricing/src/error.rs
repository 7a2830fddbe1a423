use crate::{Replicas, Thousandths};

/// Why a price could not be given. Nothing has changed, a [`Meter`](crate::Meter) included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// The caller asked for fewer than 1 or more than 700 replicas.
    #[error("{} replicas have no price: the range is 1..=700", replicas.0)]
    ReplicasOutOfRange {
        /// What was asked for.
        replicas: Replicas,
    },
    /// A quantity is above its limit: the caller's rates or usage, the plan's factor, or the total that follows.
    #[error("{quantity:?} is {value}, above its limit of {limit}")]
    Overflow {
        /// Which one.
        quantity: Quantity,
        /// Its value, in its own unit.
        value: u128,
        /// The largest value that is accepted.
        limit: u128,
    },
    /// The caller's range of replicas holds no number.
    #[error("the range of replicas {}..={} is empty", start.0, end.0)]
    EmptyRange {
        /// The first number of the range.
        start: Replicas,
        /// The last number of the range.
        end: Replicas,
    },
    /// The plan breaks its law: more replicas have a smaller factor, so "the most that the budget buys" means nothing.
    #[error("the plan asks {} thousandths for {} replicas, less than {} for one fewer", factor.0, replicas.0, previous.0)]
    PlanNotMonotone {
        /// The number of replicas at which the factor falls.
        replicas: Replicas,
        /// The factor there.
        factor: Thousandths,
        /// The factor of one replica fewer.
        previous: Thousandths,
    },
}

/// The quantity that an [`PriceError::Overflow`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Quantity {
    /// [`Rates::storage`](crate::Rates::storage).
    StorageRate,
    /// [`Rates::compute`](crate::Rates::compute).
    ComputeRate,
    /// [`Rates::bandwidth`](crate::Rates::bandwidth).
    BandwidthRate,
    /// [`Usage::stored`](crate::Usage::stored), bytes.
    Stored,
    /// [`Usage::held`](crate::Usage::held) or the interval of an accrual, milliseconds.
    Held,
    /// [`Usage::cpu`](crate::Usage::cpu), milliseconds.
    Cpu,
    /// [`Usage::moved`](crate::Usage::moved), bytes.
    Moved,
    /// The plan's factor, thousandths.
    Factor,
    /// The total in credits.
    Total,
}
