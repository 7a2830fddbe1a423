//! How many replicas a budget buys.

use core::ops::RangeInclusive;

use crate::quote::{BaseParts, DENOMINATOR, checked_factor};
use crate::{Credits, Plan, PriceError, Quote, Rates, Replicas, Usage};

/// The range of replicas an economic router chooses from when it has no other: 3..=7.
pub const DEFAULT_RANGE: RangeInclusive<Replicas> = Replicas(3)..=Replicas(7);

/// What to answer when the budget does not buy the fewest replicas of the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Floor {
    /// Answer `None`: the budget is a limit.
    #[default]
    Refuse,
    /// Answer the fewest replicas of the range and the shortfall: availability is worth more than the budget.
    Overspend,
}

/// What a budget buys, as returned by [`max_affordable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Affordable {
    /// The number of replicas.
    pub replicas: Replicas,
    /// Their price.
    pub quote: Quote,
    /// By how much the price exceeds the budget: zero unless [`Floor::Overspend`] was used.
    pub shortfall: Credits,
}

/// The most replicas of `range` whose price for `usage` is within `budget`.
///
/// # The budget law
///
/// With `cost(n)` the total of [`quote`](crate::quote), an answer `n` without shortfall has `cost(n) <= budget`, and
/// `n` is the end of the range or `cost(n + 1) > budget`. Usage that costs nothing gives the end of the range. `None`
/// means that `cost(start) > budget`.
///
/// The cost of `n` is within the budget exactly when `factor(n) <= budget x D / base`, so one division finds the
/// largest factor and the range is scanned for it, which also checks the plan: O(length of the range) calls of
/// [`Plan::factor`].
///
/// ```
/// use inos_pricing::{
///     Bytes, Credits, DEFAULT_RANGE, Floor, Millis, PriceError, Rates, Replicas, TierPlan, Usage, max_affordable,
/// };
///
/// # fn main() -> Result<(), PriceError> {
/// let rates = Rates { storage: 20, ..Rates::default() };
/// let usage = Usage { stored: Bytes::GB, held: Millis::HOUR, ..Usage::default() };
///
/// let answer = max_affordable(&rates, &TierPlan, &usage, Credits(119), DEFAULT_RANGE, Floor::Refuse)?;
/// assert_eq!(answer.map(|a| (a.replicas, a.quote.total)), Some((Replicas(5), Credits(100))));
///
/// // 3 replicas cost 60.
/// let answer = max_affordable(&rates, &TierPlan, &usage, Credits(45), DEFAULT_RANGE, Floor::Refuse)?;
/// assert_eq!(answer, None);
/// let answer = max_affordable(&rates, &TierPlan, &usage, Credits(45), DEFAULT_RANGE, Floor::Overspend)?;
/// assert_eq!(answer.map(|a| (a.replicas, a.shortfall)), Some((Replicas(3), Credits(15))));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// - [`PriceError::EmptyRange`]; [`PriceError::ReplicasOutOfRange`] when the range leaves 1..=700.
/// - [`PriceError::PlanNotMonotone`] when the factor falls anywhere in the range.
/// - [`PriceError::Overflow`] when a rate, a usage or a factor is above its limit, or when the floor's own price is
///   above 2^64 - 1. A price above 2^64 - 1 elsewhere in the range is above every budget, and no error.
pub fn max_affordable<P: Plan + ?Sized>(
    rates: &Rates,
    plan: &P,
    usage: &Usage,
    budget: Credits,
    range: RangeInclusive<Replicas>,
    floor: Floor,
) -> Result<Option<Affordable>, PriceError> {
    let (start, end) = (*range.start(), *range.end());
    if range.is_empty() {
        return Err(PriceError::EmptyRange { start, end });
    }
    let base = BaseParts::new(rates, usage)?;
    // ceil(base x factor / D) <= budget <=> factor <= floor(budget x D / base). 2^64 x D is below 2^126.
    let largest = u128::from(budget.0).saturating_mul(DENOMINATOR).checked_div(base.sum());

    let first = checked_factor(plan, start)?;
    let mut previous = first;
    let mut best = None;
    for count in start.0..=end.0 {
        let replicas = Replicas(count);
        let factor = checked_factor(plan, replicas)?;
        if factor < previous {
            return Err(PriceError::PlanNotMonotone { replicas, factor, previous });
        }
        previous = factor;
        if largest.is_none_or(|largest| u128::from(factor.0) <= largest) {
            best = Some((replicas, factor));
        }
    }

    let (replicas, factor) = match (best, floor) {
        (Some(best), _) => best,
        (None, Floor::Refuse) => return Ok(None),
        (None, Floor::Overspend) => (start, first),
    };
    let quote = base.quote(replicas, factor)?;
    let shortfall = Credits(quote.total.0.saturating_sub(budget.0));
    Ok(Some(Affordable { replicas, quote, shortfall }))
}
