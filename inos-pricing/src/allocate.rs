//! Splitting an amount so that the parts sum to the whole.

use alloc::vec::Vec;
use core::num::NonZeroU128;

use crate::Credits;

/// Why an amount could not be split. The parts are unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// The caller passed slices of different lengths.
    #[error("{weights} weights for {parts} parts")]
    LengthMismatch {
        /// The number of weights.
        weights: usize,
        /// The number of parts.
        parts: usize,
    },
    /// The caller's weights are all zero (or there are none), and there is something to split.
    #[error("{} credits cannot be split: every weight is zero", total.0)]
    NoWeight {
        /// The amount.
        total: Credits,
    },
}

/// Splits `total` in proportion to `weights` by largest remainder (Hamilton's method): each part is its exact share
/// rounded down or up, and the parts sum to `total`.
///
/// The credits left by rounding down go to the largest remainders, ties to the lower index, so the same weights in the
/// same order are always split alike. A zero weight gets nothing. `weights.len() == parts.len()`. O(n log n) time, O(n)
/// memory.
///
/// ```
/// use inos_pricing::{AllocateError, Credits, allocate};
///
/// # fn main() -> Result<(), AllocateError> {
/// let mut parts = [Credits::ZERO; 3];
/// allocate(Credits(100), &[1, 1, 1], &mut parts)?;
/// assert_eq!(parts, [Credits(34), Credits(33), Credits(33)]);
///
/// let error = allocate(Credits(1), &[0, 0, 0], &mut parts).unwrap_err();
/// assert_eq!(error, AllocateError::NoWeight { total: Credits(1) });
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`AllocateError::LengthMismatch`]; [`AllocateError::NoWeight`] when all weights are zero and `total` is not.
pub fn allocate(total: Credits, weights: &[u64], parts: &mut [Credits]) -> Result<(), AllocateError> {
    if weights.len() != parts.len() {
        return Err(AllocateError::LengthMismatch { weights: weights.len(), parts: parts.len() });
    }
    // Fewer than 2^64 weights below 2^64: neither the sum nor any product reaches 2^128.
    let sum = weights.iter().fold(0_u128, |sum, &weight| sum.saturating_add(u128::from(weight)));
    let Some(sum) = NonZeroU128::new(sum) else {
        if total > Credits::ZERO {
            return Err(AllocateError::NoWeight { total });
        }
        parts.fill(Credits::ZERO);
        return Ok(());
    };

    let mut left = total.0;
    let mut remainders = Vec::with_capacity(weights.len());
    for (index, (&weight, part)) in weights.iter().zip(parts.iter_mut()).enumerate() {
        let (share, remainder) = share(total, weight, sum);
        *part = share;
        left = left.saturating_sub(share.0);
        remainders.push((remainder, index));
    }
    remainders.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    // `left` is the sum of the remainders over `sum`, each of them below `sum`: at least `left` of them are not zero.
    for &(_, index) in &remainders {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(1);
        parts[index] = Credits(parts[index].0.saturating_add(1));
    }
    Ok(())
}

/// `total x weight / sum` rounded down, and the remainder of the division.
fn share(total: Credits, weight: u64, sum: NonZeroU128) -> (Credits, u128) {
    let product = u128::from(total.0).saturating_mul(u128::from(weight));
    let share = u64::try_from(product / sum).expect("a weight is at most the sum, so a share is at most the total");
    (Credits(share), product % sum)
}
