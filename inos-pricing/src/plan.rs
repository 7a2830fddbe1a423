//! How the number of replicas multiplies a price.

use crate::{PriceError, Replicas, Thousandths};

/// How many times the price of one replica `n` replicas cost.
///
/// # Laws
///
/// - **Monotone:** `factor(n + 1) >= factor(n)`. [`max_affordable`](crate::max_affordable) checks it on the range it is
///   asked about and answers [`PriceError::PlanNotMonotone`] otherwise.
/// - **Bounded:** at most [`Thousandths::MAX`]; a larger factor makes [`quote`](crate::quote) answer
///   [`PriceError::Overflow`].
/// - **Pure:** the same `n` always has the same factor.
///
/// A plan of one's own:
///
/// ```
/// use inos_pricing::{Plan, PriceError, Replicas, Thousandths};
///
/// /// The second and every later replica costs half.
/// struct HalfPlan;
///
/// impl Plan for HalfPlan {
///     fn factor(&self, replicas: Replicas) -> Result<Thousandths, PriceError> {
///         Ok(Thousandths(500 + 500 * u32::from(replicas.0)))
///     }
/// }
///
/// assert_eq!(HalfPlan.factor(Replicas(3)), Ok(Thousandths(2_000)));
/// ```
pub trait Plan {
    /// The factor for `replicas`.
    ///
    /// # Errors
    ///
    /// [`PriceError::ReplicasOutOfRange`] outside 1..=700; a plan of one's own may return any [`PriceError`].
    fn factor(&self, replicas: Replicas) -> Result<Thousandths, PriceError>;
}

/// Graduated tiers: each replica is priced by its own position. The first 7 cost 1.0 each, the next 43 cost 0.5, the
/// next 450 cost 0.2, the last 200 cost 0.1.
///
/// The tiers are *graduated* (marginal), as in income tax, not *volume* tiers: the eighth replica costs 0.5 and leaves
/// the price of the first seven alone. That makes the factor monotone and concave.
///
/// ```
/// use inos_pricing::{Plan, Replicas, Thousandths, TierPlan};
///
/// # fn main() -> Result<(), inos_pricing::PriceError> {
/// assert_eq!(TierPlan.factor(Replicas(7))?, Thousandths(7_000));
/// assert_eq!(TierPlan.factor(Replicas(8))?, Thousandths(7_500));
/// assert_eq!(TierPlan.factor(Replicas(500))?, Thousandths(118_500));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TierPlan;

/// (first replica below the tier, thousandths per replica in it, factor of all the tiers before it).
const TIERS: [(u32, u32, u32); 4] = [(0, 1_000, 0), (7, 500, 7_000), (50, 200, 28_500), (500, 100, 118_500)];

impl Plan for TierPlan {
    fn factor(&self, replicas: Replicas) -> Result<Thousandths, PriceError> {
        let count = check_replicas(replicas)?;
        let mut factor = 0;
        for (below, each, before) in TIERS {
            if count > below {
                factor = count.saturating_sub(below).saturating_mul(each).saturating_add(before);
            }
        }
        Ok(Thousandths(factor))
    }
}

/// A base price and 15 % of it for each further replica, with 10 % off when the replicas are spread over regions:
/// `(1 + 0.15 (n - 1)) x (0.9 when spread)`.
///
/// ```
/// use inos_pricing::{GeoPlan, Plan, Replicas, Spread, Thousandths};
///
/// # fn main() -> Result<(), inos_pricing::PriceError> {
/// assert_eq!(GeoPlan { spread: Spread::OneRegion }.factor(Replicas(7))?, Thousandths(1_900));
/// assert_eq!(GeoPlan { spread: Spread::ManyRegions }.factor(Replicas(7))?, Thousandths(1_710));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GeoPlan {
    /// Where the replicas are.
    pub spread: Spread,
}

/// Whether the replicas of a resource are in one region or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Spread {
    /// All in one region: no discount.
    #[default]
    OneRegion,
    /// Spread over regions: 10 % off, since reads then stay local.
    ManyRegions,
}

impl Plan for GeoPlan {
    fn factor(&self, replicas: Replicas) -> Result<Thousandths, PriceError> {
        let further = check_replicas(replicas)?.saturating_sub(1);
        // 1,000 x 0.9 = 900 and 150 x 0.9 = 135: the discount is exact in thousandths.
        let (first, each) = match self.spread {
            Spread::OneRegion => (1_000, 150),
            Spread::ManyRegions => (900, 135),
        };
        Ok(Thousandths(further.saturating_mul(each).saturating_add(first)))
    }
}

/// The number of replicas, if it has a price.
pub(crate) fn check_replicas(replicas: Replicas) -> Result<u32, PriceError> {
    if (Replicas::MIN..=Replicas::MAX).contains(&replicas) {
        Ok(u32::from(replicas.0))
    } else {
        Err(PriceError::ReplicasOutOfRange { replicas })
    }
}
