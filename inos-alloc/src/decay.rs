//! Powers of one half and the weight of an amount, in integers.
//!
//! Shares have 64 fractional bits. The exponent is split: sixteenths of a half-life come from a table, the rest from the
//! series of 1 - e^-x, whose first term left out is below 2^-64 for x < ln 2 / 16. So every step is right to a few units
//! of 2^-64, and gaps of nanoseconds between records still decay as they should.

use core::time::Duration;

/// ln 2 with 64 fractional bits.
const LN_2: u64 = 0xb172_17f7_d1cf_79ab;

/// 1 - 2^(-i / 16) with 64 fractional bits, rounded to nearest; computed with 60 decimal digits.
const LOSS: [u64; 16] = [
    0x0000_0000_0000_0000,
    0x0ada_82ea_db79_33d4,
    0x153f_3918_22db_c6d1,
    0x1f33_2113_d56b_1eef,
    0x28bb_0335_2962_950c,
    0x31db_73ea_e07b_7f1c,
    0x3a98_d5ee_aaf9_2523,
    0x42f7_5c60_a7f3_c941,
    0x4afb_0ccc_0621_9b7c,
    0x52a7_c115_bd5e_b53a,
    0x5a01_2956_4eae_c716,
    0x610a_cd9f_6e5e_ee52,
    0x67c8_0fae_7247_5691,
    0x6e3c_2c8c_54ee_3cca,
    0x746a_3e1c_1574_2919,
    0x7a55_3c98_33b7_84eb,
];

/// Terms of the series.
const TERMS: usize = 9;

/// 1 / k with 64 fractional bits, for k from 2 to [`TERMS`].
const RECIPROCAL: [u64; TERMS + 1] = {
    let mut table = [0; TERMS + 1];
    let mut k = 2;
    while k <= TERMS {
        table[k] = u64::MAX / k as u64;
        k += 1;
    }
    table
};

/// A signal of 1.0. Four bits are left above it.
pub(crate) const ONE: u64 = 1 << 60;

const fn high(product: u128) -> u64 {
    (product >> 64) as u64
}

fn times(a: u64, b: u64) -> u64 {
    high(u128::from(a) * u128::from(b))
}

/// 1 - 2^-`fraction`, both with 64 fractional bits.
fn loss(fraction: u64) -> u64 {
    let sixteenth = LOSS[(fraction >> 60) as usize];
    let x = times(fraction & (ONE - 1), LN_2);
    // 1 - (1 - e^-x) / x = x/2 (1 - x/3 (1 - x/4 (...))).
    let mut bend = 0;
    for k in (2..=TERMS).rev() {
        let term = times(x, RECIPROCAL[k]);
        bend = term - times(term, bend);
    }
    let rest = x - times(x, bend);
    sixteenth + rest - times(sixteenth, rest)
}

/// What a span of time leaves of everything before it, and the weight of what happened within it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decay {
    whole: u64,
    fraction: u64,
    loss: u64,
}

impl Decay {
    /// The decay over `span` when half is left after `half_life`, which is not zero; both in nanoseconds.
    pub(crate) fn new(span: u64, half_life: u64) -> Self {
        let (whole, rest) = (span / half_life, span % half_life);
        let fraction = u64::try_from((u128::from(rest) << 64) / u128::from(half_life)).unwrap_or(u64::MAX);
        Self { whole, fraction, loss: loss(fraction) }
    }

    /// What is left of `value`: never more, and all of it after no time.
    pub(crate) fn apply(self, value: u64) -> u64 {
        let left = value - times(value, self.loss);
        u32::try_from(self.whole).ok().and_then(|whole| left.checked_shr(whole)).unwrap_or(0)
    }

    /// The mean of 2^-(age / half-life) over the span, with 63 fractional bits: what one unit that was spread evenly over
    /// the span weighs at its end, when a unit of this moment weighs 1.
    pub(crate) fn mean(self) -> u64 {
        let exponent = (u128::from(self.whole) << 64) | u128::from(self.fraction);
        let x = (exponent >> 64) * u128::from(LN_2) + u128::from(times(self.fraction, LN_2));
        if x == 0 {
            return 1 << 63;
        }
        let after_fraction = (1u128 << 64) - u128::from(self.loss);
        let left = u32::try_from(self.whole).ok().and_then(|whole| after_fraction.checked_shr(whole)).unwrap_or(0);
        let lost = (1u128 << 64) - left;
        u64::try_from((lost << 63) / x).unwrap_or(u64::MAX).min(1 << 63)
    }

    /// `value` x 2^(span / half-life) as a number that compares: (binary exponent, digits). For `value` up to [`ONE`].
    pub(crate) fn grown(self, value: u64) -> (u64, u64) {
        let grown = match self.fraction {
            0 => value,
            fraction => 2 * (value - times(value, loss(fraction.wrapping_neg()))),
        };
        if grown == 0 {
            return (0, 0);
        }
        let zeros = grown.leading_zeros();
        (self.whole.saturating_add(u64::from(64 - zeros)), grown << zeros)
    }
}

/// What is left of `value` after `span` when half of it goes in every half-life, which counts as one nanosecond at least;
/// both in nanoseconds.
pub(crate) fn left_after(value: u64, span: u64, half_life: u64) -> u64 {
    Decay::new(span, half_life.max(1)).apply(value)
}

/// Whole nanoseconds; more than `u64` holds, 584 years, counts as that.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What one unit of a signal weighs at the moment it happens: `digits` x 2^-`shift`, in units of 1 / [`ONE`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    digits: u64,
    shift: i32,
}

impl Unit {
    /// ln 2 x `per` / (`full_scale` x `half_life`), so that `full_scale` per `per`, for ever, comes to [`ONE`]. Times in
    /// nanoseconds. `None` when one of the three is zero.
    pub(crate) fn new(full_scale: u64, per: u64, half_life: u64) -> Option<Self> {
        let over = u128::from(LN_2) * u128::from(per);
        let under = u128::from(full_scale) * u128::from(half_life);
        if over == 0 || under == 0 {
            return None;
        }
        let zeros = over.leading_zeros();
        let cut = (128 - under.leading_zeros()).saturating_sub(64);
        let quotient = (over << zeros) / (under >> cut);
        let bits = 128 - quotient.leading_zeros();
        // 2^127 / 2^64: never fewer than 64 bits.
        let digits = u64::try_from(quotient >> (bits - 64)).unwrap_or(u64::MAX);
        let shift = 64 + zeros.cast_signed() + cut.cast_signed() + 4 - bits.cast_signed();
        Some(Self { digits, shift })
    }

    /// The weight of `amount` of which each unit counts `mean` (63 fractional bits), at most [`ONE`].
    pub(crate) fn weigh(self, amount: u64, mean: u64) -> u64 {
        let full = u128::from(amount) * u128::from(self.digits);
        let mean = u128::from(mean);
        let low = (full & u128::from(u64::MAX)) * mean;
        let weighed = (((full >> 64) * mean) << 1) + (low >> 63);
        let weight = match u32::try_from(self.shift) {
            Ok(shift) => weighed.checked_shr(shift).unwrap_or(0),
            Err(_) if weighed.leading_zeros() <= self.shift.unsigned_abs() => u128::MAX * u128::from(weighed > 0),
            Err(_) => weighed << self.shift.unsigned_abs(),
        };
        u64::try_from(weight).unwrap_or(ONE).min(ONE)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: decay and weights are those of the real numbers, and the same on every target. Method: floats as the twin,
    //! within 1e-12; a few exact values.

    use super::{Decay, ONE, Unit};
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const UNIT: f64 = 1.0 / ONE as f64;

    fn left(span: u64, half_life: u64) -> f64 {
        Decay::new(span, half_life).apply(ONE) as f64 * UNIT
    }

    #[test]
    fn whole_half_lives_are_exact() {
        for whole in 0..=60u32 {
            assert_eq!(Decay::new(7 * u64::from(whole), 7).apply(ONE), ONE >> whole);
        }
        assert_eq!(Decay::new(u64::MAX, 1).apply(u64::MAX), 0);
        assert_eq!(Decay::new(0, 5).mean(), 1 << 63);
        assert!(Unit::new(0, 1, 1).is_none() && Unit::new(1, 0, 1).is_none() && Unit::new(1, 1, 0).is_none());
    }

    #[test]
    fn golden_digits() {
        assert_eq!(Decay::new(1, 3).apply(ONE), GOLDEN[0]);
        assert_eq!(Decay::new(1_000_003, 30_000_000_000).apply(ONE), GOLDEN[1]);
        assert_eq!(Decay::new(5, 3).mean(), GOLDEN[2]);
        assert_eq!(Unit::new(1_000, 1_000_000_000, 30_000_000_000).expect("no zero").weigh(7, 1 << 63), GOLDEN[3]);
    }

    /// From a separate Python implementation; 60-digit decimals give the same but for the last unit of the first three.
    const GOLDEN: [u64; 4] =
        [915_074_404_624_834_114, 1_152_894_866_691_657_080, 5_469_134_465_805_208_507, 186_467_001_075_872];

    #[test]
    fn nanoseconds_are_not_lost() {
        let lost = 1.0 - left(1, 60_000_000_000);
        let expected = -f64::exp_m1(-core::f64::consts::LN_2 / 6e10);
        assert!((lost / expected - 1.0).abs() < 1e-4, "{lost} {expected}");
    }

    proptest! {
        #[test]
        fn decay_is_that_of_floats(span in 0u64..400_000_000_000, half_life in 1u64..400_000_000_000) {
            let exponent = span as f64 / half_life as f64;
            prop_assert!((left(span, half_life) - (-exponent).exp2()).abs() < 1e-12);
            let x = exponent * core::f64::consts::LN_2;
            let mean = if x == 0.0 { 1.0 } else { -(-x).exp_m1() / x };
            let ours = Decay::new(span, half_life).mean() as f64 / (1u64 << 63) as f64;
            prop_assert!((ours / mean - 1.0).abs() < 1e-9, "{} {}", ours, mean);
        }

        #[test]
        fn later_is_less(half_life in 1u64.., a in any::<u64>(), b in any::<u64>(), value in 0..=ONE) {
            let (early, late) = (Decay::new(a.min(b), half_life), Decay::new(a.max(b), half_life));
            prop_assert!(early.apply(value) >= late.apply(value).saturating_sub(2));
            prop_assert!(early.mean() >= late.mean().saturating_sub(1 << 10));
            prop_assert!(late.grown(value) >= (0, 0) && early.grown(value).0 <= late.grown(value).0);
        }

        #[test]
        fn grown_values_compare_as_floats(
            half_life in 1u64..1000, a in (1..=ONE, 0u64..30_000), b in (1..=ONE, 0u64..30_000),
        ) {
            let log = |(value, span): (u64, u64)| (value as f64).log2() + span as f64 / half_life as f64;
            let grown = |(value, span): (u64, u64)| Decay::new(span, half_life).grown(value);
            if (log(a) - log(b)).abs() > 1e-9 && a.0.min(b.0) > 1 << 40 {
                prop_assert_eq!(log(a) < log(b), grown(a) < grown(b));
            }
        }

        #[test]
        fn weights_are_those_of_floats(
            full_scale in 1u64.., per in 1u64.., half_life in 1u64.., amount in any::<u64>(), mean in 0u64..=1 << 63,
        ) {
            let unit = Unit::new(full_scale, per, half_life).expect("no zero");
            let share = core::f64::consts::LN_2 * per as f64 / full_scale as f64 / half_life as f64;
            let expected = (share * amount as f64 * (mean as f64 / (1u64 << 63) as f64)).min(1.0);
            let ours = unit.weigh(amount, mean) as f64 * UNIT;
            prop_assert!((ours - expected).abs() < 1e-12, "{} {}", ours, expected);
        }
    }
}
