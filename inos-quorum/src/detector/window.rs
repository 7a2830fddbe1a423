//! The intervals between the heartbeats of one node, and the silence that they make suspicious.

use alloc::vec::Vec;
use core::time::Duration;

/// Intervals remembered. With 5 beats a second, the last 13 s.
const SAMPLES: usize = 64;
/// What is believed of a node of which nothing is known: five intervals of 5 s.
const PRIOR_US: u64 = 5_000_000;
const PRIOR_WEIGHT: u64 = 5;

/// By phi from 1, in thousandths and rounded up: a normal variable exceeds its mean by z deviations with probability
/// 10^-phi.
const Z_MILLI: [u64; 12] = [1282, 2327, 3091, 3720, 4265, 4754, 5200, 5613, 5998, 6362, 6707, 7035];

/// The last 64 intervals, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    samples_us: Vec<u32>,
    /// Which sample the next one replaces, once there are 64.
    oldest: usize,
}

impl Window {
    /// Adds an interval of at most an hour; longer ones count as 2^32 - 1 microseconds.
    pub(crate) fn push(&mut self, interval: Duration) {
        let sample = u32::try_from(interval.as_micros()).unwrap_or(u32::MAX);
        if self.samples_us.len() < SAMPLES {
            self.samples_us.push(sample);
        } else {
            self.samples_us[self.oldest] = sample;
            self.oldest = (self.oldest + 1) % SAMPLES;
        }
    }

    /// Mean + z x sigma. `phi` is 1 to 12.
    pub(crate) fn timeout(&self, phi: u8) -> Duration {
        let z_milli = Z_MILLI[usize::from(phi.clamp(1, 12)) - 1];
        let deviations_us = z_milli.saturating_mul(self.sigma_us()).div_ceil(1000);
        Duration::from_micros(self.mean_us().saturating_add(deviations_us))
    }

    /// With the prior. At most 64 x 2^32, so nothing overflows.
    fn mean_us(&self) -> u64 {
        let sum: u64 = self.samples_us.iter().map(|&sample| u64::from(sample)).sum();
        (sum + PRIOR_WEIGHT * PRIOR_US) / (self.count() + PRIOR_WEIGHT)
    }

    /// Without the prior, which would keep it above a second for ever.
    fn sigma_us(&self) -> u64 {
        let count = u128::from(self.count());
        let sum: u128 = self.samples_us.iter().map(|&sample| u128::from(sample)).sum();
        let squares: u128 = self.samples_us.iter().map(|&sample| u128::from(sample).pow(2)).sum();
        // Never below zero: the mean of the squares is at least the square of the mean.
        let variance = (count * squares).saturating_sub(sum * sum) / (count * count).max(1);
        u64::try_from(variance.isqrt()).unwrap_or(u64::MAX)
    }

    fn count(&self) -> u64 {
        u64::try_from(self.samples_us.len()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the table holds the quantiles of the normal distribution. Method: the upper tail by Laplace's continued
    //! fraction, in floating point; each entry is the least thousandth whose tail is below 10^-phi.

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    extern crate std;

    use super::*;

    /// The probability that a normal variable exceeds z, for z >= 1.
    fn upper_tail(z: f64) -> f64 {
        let fraction = (1..=400).rev().fold(z, |below, step| z + f64::from(step) / below);
        (-z * z / 2.0).exp() / (core::f64::consts::TAU.sqrt() * fraction)
    }

    #[test]
    fn z_is_the_normal_quantile() {
        // A value from any table of the distribution: what is compared with must be right itself.
        assert!((upper_tail(1.96) - 0.024_997_895).abs() < 1e-8);
        for (phi, &z_milli) in (1..).zip(&Z_MILLI) {
            let milli = f64::from(u32::try_from(z_milli).unwrap());
            let tail = 10_f64.powi(-phi);
            assert!(upper_tail(milli / 1000.0) <= tail, "phi {phi}");
            assert!(upper_tail((milli - 1.0) / 1000.0) > tail, "phi {phi}");
        }
    }
}
