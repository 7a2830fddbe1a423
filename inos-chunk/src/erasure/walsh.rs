//! The polynomial that vanishes at lost positions, at all positions at once.
//!
//! Its logarithm at position i is the sum of `log(i ^ j)` over the lost positions j: a convolution over exclusive or,
//! which the Walsh-Hadamard transform turns into products (Lin, Al-Naffouri, Han, Chung 2016). Leopard takes all 65,536
//! positions; as many as the code has, rounded up to a power of two, will do.

use super::field::Element;
use alloc::vec;
use alloc::vec::Vec;

/// The order of the multiplicative group of GF(2^16).
const ORDER: u32 = 65_535;

/// Powers of a generator in plane coordinates, and logarithms by Cantor coordinates.
struct Logarithms {
    exp: Vec<Element>,
    log: Vec<u16>,
}

impl Logarithms {
    fn new() -> Self {
        let mut plane = 0x100_u16;
        loop {
            let [low, high] = plane.to_le_bytes();
            if let Some(logarithms) = Self::with_generator(Element(low, high)) {
                return logarithms;
            }
            plane += 1;
        }
    }

    /// `None` when the element generates less than all.
    fn with_generator(generator: Element) -> Option<Self> {
        let mut exp = Vec::with_capacity(ORDER as usize);
        let mut log = vec![0; 1 << 16];
        let mut power = Element::ONE;
        for exponent in 0..u16::MAX {
            if exponent > 0 && power == Element::ONE {
                return None;
            }
            exp.push(power);
            log[usize::from(power.to_cantor())] = exponent;
            power = power.mul(generator);
        }
        Some(Self { exp, log })
    }
}

/// For each position the product of the differences to all lost positions but itself.
pub(super) struct Locator {
    exp: Vec<Element>,
    logarithms: Vec<u32>,
}

impl Locator {
    /// `lost` has a power of two of positions, at most 65,536.
    pub(super) fn new(lost: &[bool]) -> Self {
        let Logarithms { exp, log } = Logarithms::new();
        let mut indicator: Vec<u32> = lost.iter().map(|lost| u32::from(*lost)).collect();
        // The logarithm of a position's difference to itself is left out: it counts as 0.
        let mut logs: Vec<u32> = log[..lost.len()].iter().map(|log| u32::from(*log)).collect();
        logs[0] = 0;
        walsh(&mut indicator);
        walsh(&mut logs);
        // 2^16 is 1 modulo the order, so 2^(16 - n) is the inverse of 2^n.
        let scale = (1 << 16 >> lost.len().ilog2()) % ORDER;
        for (a, b) in indicator.iter_mut().zip(&logs) {
            *a = product(product(*a, *b), scale);
        }
        walsh(&mut indicator);
        Self { exp, logarithms: indicator }
    }

    pub(super) fn product(&self, position: usize) -> Element {
        self.exp[self.logarithms[position] as usize]
    }
}

/// The product modulo the order.
fn product(a: u32, b: u32) -> u32 {
    let product = u64::from(a) * u64::from(b) % u64::from(ORDER);
    u32::try_from(product).expect("less than 65,535")
}

/// The Walsh-Hadamard transform modulo the order; its own inverse but for the length as a factor.
fn walsh(values: &mut [u32]) {
    let mut dist = 1;
    while dist < values.len() {
        for block in values.chunks_exact_mut(2 * dist) {
            let (low, high) = block.split_at_mut(dist);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = ((*a + *b) % ORDER, (*a + ORDER - *b) % ORDER);
            }
        }
        dist *= 2;
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the products are right. Method: multiply them out.

    use super::*;
    use crate::erasure::code::element;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn products_are_those_of_the_differences() {
        for (count, step) in [(8, 3), (256, 7), (2048, 13)] {
            let lost: Vec<bool> = (0..count).map(|position| position % step == 1).collect();
            let locator = Locator::new(&lost);
            for position in (0..count).step_by(5) {
                let others = (0..count).filter(|other| lost[*other] && *other != position);
                let product = others.fold(Element::ONE, |product, other| product.mul(element(position ^ other)));
                assert_eq!(locator.product(position), product);
            }
        }
    }
}
