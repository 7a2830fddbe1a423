//! The additive Fourier transform over rows of working memory, as passes of two, four or eight rows.
//!
//! The transform of Lin, Chung and Han (2014, "Novel Polynomial Basis and Its Application to Reed-Solomon Erasure
//! Codes"): `log` layers of butterflies; the one at distance `2^d` takes the block that starts at position p with the
//! factor `p >> d` (in Cantor coordinates; the vanishing polynomials of a Cantor basis are shifts). Rows of a column
//! stay in the cache between the passes, and two or three layers are done in registers at a time.

use super::columns::Source;
use super::engine::{First, Kernels, Pass};

/// Rows of a column in working memory: symbols in plane coordinates.
pub(super) struct Rows<'a> {
    pub(super) bytes: &'a mut [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Bytes of the column.
    pub(super) len: usize,
}

impl Rows<'_> {
    pub(super) fn row(&self, row: usize) -> &[u8] {
        &self.bytes[row * self.stride..][..self.len]
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [u8] {
        &mut self.bytes[row * self.stride..][..self.len]
    }

    /// Zeros in the first `count` rows.
    pub(super) fn clear(&mut self, count: usize) {
        for row in 0..count {
            self.row_mut(row).fill(0);
        }
    }

    /// A row as rows of its own.
    pub(super) fn single(&mut self, row: usize) -> Rows<'_> {
        Rows { bytes: &mut self.bytes[row * self.stride..], stride: self.stride, len: self.len }
    }

    pub(super) fn reborrow(&mut self) -> Rows<'_> {
        Rows { bytes: self.bytes, stride: self.stride, len: self.len }
    }
}

/// A transform over `2^log` positions from `delta` on, a multiple of `2^log`.
#[derive(Clone, Copy)]
pub(super) struct Transform {
    pub(super) kernels: &'static Kernels,
    pub(super) log: u32,
    pub(super) delta: usize,
}

impl Transform {
    /// How many layers the pass that starts with layer `layer` takes into registers.
    fn layers_from(&self, layer: u32) -> u32 {
        let left = self.log - layer;
        // A general factor is four maps, which leaves registers for four rows.
        let general = (self.delta + (1 << self.log) - 1) >> layer > 255;
        match left {
            0..=2 => left,
            _ if general => 2,
            4 => 2,
            _ => 3,
        }
    }

    /// The factors of a block: those of its lowest layer in the order of the rows, then of the next.
    fn twiddles(&self, start: usize, layer: u32, layers: u32) -> [u16; 7] {
        let mut twiddles = [0; 7];
        let mut next = twiddles.iter_mut();
        for l in 0..layers {
            for (block, twiddle) in (0..1_usize << (layers - l - 1)).zip(&mut next) {
                let position = self.delta + start + (block << (layer + l + 1));
                *twiddle = u16::try_from(position >> (layer + l)).expect("positions are below 65,536");
            }
        }
        twiddles
    }

    /// The inverse transform of shards `0..source.count`, zeros behind them, to rows `0..2^log`; added to `sum` if
    /// there is one, and then `rows` holds nothing of use.
    pub(super) fn inverse_from<'s>(
        &self,
        source: &mut Source<'_, impl Fn(usize) -> &'s [u8]>,
        rows: Rows<'_>,
        mut sum: Option<Rows<'_>>,
    ) {
        let Rows { stride, len, .. } = rows;
        let layers = self.layers_from(0);
        let radix = 1 << layers;
        for first in (0..source.count).step_by(radix) {
            let twiddles = self.twiddles(first, 0, layers);
            let next = source.next(first, radix);
            let sources = source.read(first, radix);
            let (rows, accumulate) = match &mut sum {
                Some(sum) if layers == self.log => (&mut *sum.bytes, true),
                _ => (&mut *rows.bytes, false),
            };
            self.kernels.ifft_first(First { sources, next, radix, rows, stride, first, len, accumulate, twiddles });
        }
        self.inverse_layers(layers, source.count.next_multiple_of(radix), rows, sum);
    }

    /// The inverse transform of rows `0..extent`, zeros behind them, in place.
    pub(super) fn inverse(&self, extent: usize, rows: Rows<'_>) {
        self.inverse_layers(0, extent, rows, None);
    }

    fn inverse_layers(&self, from_layer: u32, mut extent: usize, mut rows: Rows<'_>, mut sum: Option<Rows<'_>>) {
        let mut layer = from_layer;
        while layer < self.log {
            let layers = self.layers_from(layer);
            let (dist, radix) = (1 << layer, 1 << layers);
            let is_last = layer + layers == self.log;
            // Rows behind the extent hold what was there before.
            for row in extent..extent.next_multiple_of(dist * radix) {
                rows.row_mut(row).fill(0);
            }
            for first in (0..extent).step_by(dist * radix) {
                let twiddles = self.twiddles(first, layer, layers);
                let Rows { bytes, stride, len } = rows.reborrow();
                let into = sum.as_mut().filter(|_| is_last).map(|sum| &mut *sum.bytes);
                self.kernels.ifft(Pass { rows: bytes, into, stride, first, dist, radix, len, twiddles });
            }
            extent = extent.next_multiple_of(dist * radix);
            layer += layers;
        }
    }

    /// The transform of rows `0..2^log` in place; those from `wanted` on need not be right.
    pub(super) fn forward(&self, wanted: usize, mut rows: Rows<'_>) {
        // The passes of the inverse, in the opposite order.
        let mut passes = [(0, 0); 16];
        let mut count = 0;
        let mut layer = 0;
        while layer < self.log {
            passes[count] = (layer, self.layers_from(layer));
            layer += passes[count].1;
            count += 1;
        }
        for &(layer, layers) in passes[..count].iter().rev() {
            let (dist, radix) = (1 << layer, 1 << layers);
            for first in (0..wanted).step_by(dist * radix) {
                let twiddles = self.twiddles(first, layer, layers);
                let Rows { bytes, stride, len } = rows.reborrow();
                let pass = Pass { rows: bytes, into: None, stride, first, dist, radix, len, twiddles };
                self.kernels.fft(pass);
            }
        }
    }

    /// Butterflies of a transform that keeps `rows` of its rows, by bytes of a factor: one for a factor from GF(2^8).
    pub(super) fn cost(&self, rows: usize) -> usize {
        (0..self.log)
            .map(|layer| {
                let general = (self.delta + (1 << self.log) - 1) >> layer > 255;
                let butterflies = rows.next_multiple_of(2 << layer).min(1 << self.log) / 2;
                if general { 2 * butterflies } else { butterflies }
            })
            .sum()
    }
}
