//! Goal: an arithmetic that cannot overflow and shares nothing with the crate.
//! Method: schoolbook addition, multiplication and comparison of natural numbers; no division, so no rounding.

use core::cmp::Ordering;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A natural number: 32-bit digits, the least significant first, without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Natural(Vec<u32>);

impl Natural {
    pub(crate) fn product(factors: &[u128]) -> Self {
        factors.iter().fold(Self::from(1), |product, &factor| product.times(&Self::from(factor)))
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        let digit = |digits: &[u32], i: usize| u64::from(digits.get(i).copied().unwrap_or(0));
        let mut carry = 0;
        let mut sum = Vec::new();
        for i in 0..=self.0.len().max(other.0.len()) {
            carry += digit(&self.0, i) + digit(&other.0, i);
            sum.push(low(carry));
            carry >>= 32;
        }
        Self::trimmed(sum)
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        let mut product = vec![0_u32; self.0.len() + other.0.len()];
        for (i, &a) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (j, &b) in other.0.iter().enumerate() {
                carry += u64::from(a) * u64::from(b) + u64::from(product[i + j]);
                product[i + j] = low(carry);
                carry >>= 32;
            }
            product[i + other.0.len()] = low(carry);
        }
        Self::trimmed(product)
    }

    fn trimmed(mut digits: Vec<u32>) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Self(digits)
    }
}

impl From<u128> for Natural {
    fn from(value: u128) -> Self {
        Self::trimmed((0..4).map(|i| u32::try_from(value >> (32 * i) & 0xffff_ffff).unwrap()).collect())
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_len = self.0.len().cmp(&other.0.len());
        by_len.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap()
}

/// The oracle is checked by a square known from the binomial formula: (2^127 - 1)^2 = 2^254 - 2^128 + 1.
#[test]
fn oracle_multiplies() {
    let a = (1_u128 << 127) - 1;
    let left = Natural::product(&[a, a]).plus(&Natural::product(&[1 << 127, 2]));
    let right = Natural::product(&[1 << 127, 1 << 127]).plus(&Natural::from(1));
    assert_eq!(left, right);
    assert!(Natural::product(&[a, a]) < right);
}
