//! The erasure codes that are compared, each used as well as its API allows.

mod ours;
mod reed_solomon_erasure;
mod reed_solomon_simd;
mod rusty_erasure;

pub(crate) use self::ours::Ours;
pub(crate) use self::reed_solomon_erasure::ReedSolomonErasure;
pub(crate) use self::reed_solomon_simd::ReedSolomonSimd;
pub(crate) use self::rusty_erasure::RustyErasure;

use core::time::Duration;

/// A systematic code with fixed numbers of data and parity shards. Shards are numbered from 0: data first, then parity.
///
/// An instance sees one stripe in its life: it may keep a copy of it, and a plan for its losses.
pub(crate) trait Code {
    /// Computes all parity shards into `parity`.
    fn encode(&mut self, data: &[&[u8]], parity: &mut [Vec<u8>]) -> Duration;

    /// Computes the lost data shards, which are those numbered in `out` and `None` in `shards`.
    fn repair(&mut self, shards: &[Option<&[u8]>], out: &mut [(usize, Vec<u8>)]) -> Duration;
}

/// Counts of a code, and how it walks through the shards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) data: usize,
    pub(crate) parity: usize,
    pub(crate) shard_bytes: usize,
    pub(crate) walk: Walk,
}

/// Whether the code gets whole shards at once, or one range of bytes of all shards after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    Whole,
    Columns,
}

/// When the plan of a repair is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planning {
    /// Before the measured part: as for the second of many stripes with the same losses.
    Once,
    /// In each repair.
    EachTime,
}

impl Shape {
    /// Bytes of a shard per call: in columns, the power of two with which the ranges of all shards fit `work_bytes`.
    fn step(&self, work_bytes: usize) -> usize {
        match self.walk {
            Walk::Whole => self.shard_bytes,
            Walk::Columns => {
                (work_bytes / (self.data + self.parity).next_power_of_two()).clamp(1 << 10, self.shard_bytes)
            }
        }
    }

    /// The starts of the ranges, each `step` long; the shard length is a multiple of it.
    fn starts(&self, step: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.shard_bytes).step_by(step)
    }
}

/// Ranges of all shards that stay in the second-level cache.
const COLUMN_WORK_BYTES: usize = 512 << 10;
