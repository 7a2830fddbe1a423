//! The code: positions of shards, and what each parity shard is of the data shards.
//!
//! Every shard has a *position*, an element of GF(2^16) numbered by its Cantor coordinates, and a codeword is the
//! values of a polynomial at the positions (Lin, Al-Naffouri, Han, Chung 2016). The positions are cut into cosets of
//! `2^log`:
//!
//! - *high rate*: the parity is at 0.., and the data in the cosets behind. Parity j is the sum over the cosets of the
//!   value at j of the polynomial through the coset's data.
//! - *low rate*: the data is at 0.., and the parity in the cosets behind: values of the polynomial through the data.
//!
//! In both the polynomial of degree below `2^log` through one coset is evaluated at a position outside it. With a
//! Cantor basis the vanishing polynomial of a coset takes position x to x shifted right by `log`, plus a constant, and
//! its derivative is 1, so by Lagrange the coefficient of data shard i in parity shard j is
//!
//! `(outer >> log) / (x + y)`, with x and y the two positions, and `outer` the one outside the first coset:
//!
//! a Cauchy matrix with scaled rows or columns. Its square parts are invertible, in closed form.

use super::field::Element;

/// The code for a number of data and parity shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) data: usize,
    pub(super) parity: usize,
    /// Whether the parity comes first.
    pub(super) high_rate: bool,
    /// Logarithm to the base 2 of the length of a coset.
    pub(super) log: u32,
}

impl Code {
    /// `data` and `parity` are in 1..=32,768.
    pub(super) const fn new(data: usize, parity: usize) -> Self {
        let (data_end, parity_end) = (data.next_power_of_two(), parity.next_power_of_two());
        // The rule of reed-solomon-simd 3: part of the format.
        let high_rate = data_end > parity_end || (data_end == parity_end && data <= parity);
        let log = if high_rate { parity_end.ilog2() } else { data_end.ilog2() };
        Self { data, parity, high_rate, log }
    }

    /// Positions of a coset.
    pub(super) const fn coset(&self) -> usize {
        1 << self.log
    }

    /// The position of a shard; data shards first, then parity.
    pub(super) const fn position(&self, shard: usize) -> usize {
        let is_parity = shard >= self.data;
        let number = if is_parity { shard - self.data } else { shard };
        if is_parity == self.high_rate { number } else { self.coset() + number }
    }

    /// The end of the positions in use.
    pub(super) const fn end(&self) -> usize {
        self.coset() + if self.high_rate { self.data } else { self.parity }
    }

    /// The coefficient of data shard `data` in parity shard `parity`, counted from 0.
    pub(super) fn coefficient(&self, parity: usize, data: usize) -> Element {
        let (x, y) = (self.position(self.data + parity), self.position(data));
        element(x.max(y) >> self.log).mul(element(x ^ y).inverse())
    }

    /// The inverse of the coefficients of data shards `data` in as many parity shards `parity`, which give
    /// `data[i] = sum over j of inverse[i * len + j] * parity[j]` when all other data is zero. O(len^2).
    ///
    /// The inverse of a Cauchy matrix (Schechter 1959, "On the inversion of certain matrices").
    pub(super) fn inverse(&self, parity: &[usize], data: &[usize]) -> alloc::vec::Vec<Element> {
        let x = |j: usize| self.position(self.data + parity[j]);
        let y = |i: usize| self.position(data[i]);
        let count = data.len();
        let product = |terms: &mut dyn Iterator<Item = usize>| {
            terms.filter(|term| *term != 0).fold(Element::ONE, |product, term| product.mul(element(term)))
        };
        // For each row and column: the product over the other set, by that over the own set without itself (0).
        let scale_x: alloc::vec::Vec<Element> = (0..count)
            .map(|j| {
                let other = product(&mut (0..count).map(|i| x(j) ^ y(i)));
                let own = product(&mut (0..count).map(|i| x(j) ^ x(i)));
                let outer = if self.high_rate { Element::ONE } else { element(x(j) >> self.log) };
                other.mul(own.mul(outer).inverse())
            })
            .collect();
        let mut inverse = alloc::vec::Vec::with_capacity(count * count);
        for i in 0..count {
            let other = product(&mut (0..count).map(|j| x(j) ^ y(i)));
            let own = product(&mut (0..count).map(|j| y(j) ^ y(i)));
            let outer = if self.high_rate { element(y(i) >> self.log) } else { Element::ONE };
            let scale_y = other.mul(own.mul(outer).inverse());
            for (j, scale_x) in scale_x.iter().enumerate() {
                inverse.push(scale_x.mul(scale_y).mul(element(x(j) ^ y(i)).inverse()));
            }
        }
        inverse
    }

    /// Whether all coefficients are in GF(2^8).
    #[cfg(test)]
    pub(super) const fn is_bytes(&self) -> bool {
        self.end() <= 256
    }
}

/// The element with these Cantor coordinates, below 65,536.
pub(super) fn element(position: usize) -> Element {
    Element::from_cantor(u16::try_from(position).expect("positions are below 65,536"))
}
