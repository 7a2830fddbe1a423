//! Where every chunk and parity shard belongs: the arithmetic of groups, stripes and manifest entries.
//!
//! `docs/format.md`, section 2, states the same in words.

use crate::{ChunkSize, Config, Geometry};

/// The shape of a stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StripeShape {
    /// Data shards, 1..=`geometry.data()`.
    pub data: u16,
    /// Parity shards, 1..=`geometry.parity()`.
    pub parity: u16,
    /// Length of every parity shard in bytes: the longest data chunk, rounded up to an even number. Shorter data
    /// chunks count as if zeros followed them.
    pub shard_bytes: u32,
}

impl StripeShape {
    /// Data and parity shards together, 2..=65,536.
    #[must_use]
    pub const fn shards(self) -> u32 {
        self.data as u32 + self.parity as u32
    }
}

/// A group of stripes that holds `chunks` data chunks, 1 <= `chunks` <= `interleave * data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) chunks: u64,
    geometry: Geometry,
}

impl Group {
    pub(crate) const fn new(chunks: u64, geometry: Geometry) -> Self {
        Self { chunks, geometry }
    }

    /// As few stripes as hold the chunks. A full group has `interleave` of them.
    pub(crate) const fn stripes(self) -> u64 {
        self.chunks.div_ceil(self.geometry.data() as u64)
    }

    /// Data shards of stripe `r` of the group. They differ by at most one between stripes.
    pub(crate) fn data(self, r: u64) -> u16 {
        let stripes = self.stripes();
        let data = self.chunks / stripes + u64::from(r < self.chunks % stripes);
        u16::try_from(data).expect("a stripe has at most geometry.data() data shards")
    }

    pub(crate) fn parity(self, r: u64) -> u16 {
        self.geometry.parity_for(self.data(r))
    }

    /// Parity shards of the stripes before stripe `r`.
    fn parity_before(self, r: u64) -> u64 {
        // The first `longer` stripes have one data shard more than the others.
        let longer = self.chunks % self.stripes();
        let first = u64::from(self.parity(0));
        if r <= longer { r * first } else { longer * first + (r - longer) * u64::from(self.parity(longer)) }
    }

    /// Data and parity shards of the group.
    pub(crate) fn entries(self) -> u64 {
        self.chunks + self.parity_before(self.stripes())
    }
}

/// Everything that follows from the four numbers in a manifest's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) plain_len: u64,
    pub(crate) chunk_size: ChunkSize,
    pub(crate) geometry: Geometry,
    pub(crate) interleave: u16,
}

impl Layout {
    /// `config` is validated. A layout of more than `u32::MAX` stripes does not exist.
    pub(crate) fn new(plain_len: u64, config: &Config) -> Option<Self> {
        let Config { chunk_size, geometry, interleave, .. } = *config;
        let layout = Self { plain_len, chunk_size, geometry, interleave };
        // Groups are at most 2^52 and interleave at most 2^8, so this cannot overflow; what follows then cannot either.
        let stripes = layout.groups() * u64::from(interleave);
        (stripes <= u64::from(u32::MAX)).then_some(layout)
    }

    pub(crate) const fn chunk_count(&self) -> u64 {
        self.plain_len.div_ceil(self.chunk_size.bytes_u64())
    }

    /// Chunks of a full group.
    pub(crate) const fn group_chunks(&self) -> u64 {
        self.interleave as u64 * self.geometry.data() as u64
    }

    const fn group_entries(&self) -> u64 {
        self.interleave as u64 * self.geometry.shards() as u64
    }

    pub(crate) const fn groups(&self) -> u64 {
        self.chunk_count().div_ceil(self.group_chunks())
    }

    /// Group `g`, below `groups()`.
    pub(crate) fn group(&self, g: u64) -> Group {
        let chunks = (self.chunk_count() - g * self.group_chunks()).min(self.group_chunks());
        Group::new(chunks, self.geometry)
    }

    /// The entries of group `g`, below `groups()`.
    pub(crate) fn entries_of_group(&self, g: u64) -> core::ops::Range<u64> {
        let first = g * self.group_entries();
        first..first + self.group(g).entries()
    }

    pub(crate) fn stripe_count(&self) -> u32 {
        let Some(last) = self.groups().checked_sub(1) else { return 0 };
        let stripes = last * u64::from(self.interleave) + self.group(last).stripes();
        u32::try_from(stripes).expect("checked when the layout was made")
    }

    /// Data chunks and parity shards of the whole resource.
    pub(crate) fn entry_count(&self) -> u64 {
        let Some(last) = self.groups().checked_sub(1) else { return 0 };
        last * self.group_entries() + self.group(last).entries()
    }

    /// Plain length of a chunk below `chunk_count()`.
    pub(crate) fn chunk_len(&self, chunk: u64) -> u32 {
        let left = self.plain_len - chunk * self.chunk_size.bytes_u64();
        u32::try_from(left).unwrap_or(u32::MAX).min(self.chunk_size.bytes_u32())
    }

    /// Stripe and data index of a chunk below `chunk_count()`.
    pub(crate) fn place_of_chunk(&self, chunk: u64) -> (u32, u16) {
        let g = chunk / self.group_chunks();
        let j = chunk % self.group_chunks();
        let stripes = self.group(g).stripes();
        let stripe = g * u64::from(self.interleave) + j % stripes;
        (
            u32::try_from(stripe).expect("checked when the layout was made"),
            u16::try_from(j / stripes).expect("a stripe has at most geometry.data() data shards"),
        )
    }

    /// Group, number of the stripe in its group, and shape; `None` when there is no such stripe.
    pub(crate) fn stripe(&self, stripe: u32) -> Option<Stripe> {
        let interleave = u64::from(self.interleave);
        let (g, r) = (u64::from(stripe) / interleave, u64::from(stripe) % interleave);
        if g >= self.groups() {
            return None;
        }
        let group = self.group(g);
        if r >= group.stripes() {
            return None;
        }
        let first_chunk = g * self.group_chunks() + r;
        // Only the last chunk of the resource is short, so the first chunk of a stripe is its longest.
        let shard_bytes = self.chunk_len(first_chunk).next_multiple_of(2);
        let shape = StripeShape { data: group.data(r), parity: group.parity(r), shard_bytes };
        let group_entry = g * self.group_entries();
        let parity_entry = group_entry + group.chunks + group.parity_before(r);
        Some(Stripe { shape, first_chunk, step: group.stripes(), data_entry: group_entry + r, parity_entry })
    }
}

/// One stripe of a layout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stripe {
    pub(crate) shape: StripeShape,
    first_chunk: u64,
    /// Distance between neighbouring chunks of the stripe.
    step: u64,
    data_entry: u64,
    parity_entry: u64,
}

impl Stripe {
    /// Number in the resource of data shard `index`; `None` for parity and beyond.
    pub(crate) fn chunk(&self, index: u16) -> Option<u64> {
        (index < self.shape.data).then(|| self.first_chunk + u64::from(index) * self.step)
    }

    /// Where the ids of the stripe's data and of its parity are in the manifest; between those of the data are others.
    pub(crate) fn entries(&self) -> [core::ops::Range<u64>; 2] {
        let last = self.data_entry + u64::from(self.shape.data - 1) * self.step;
        [self.data_entry..last + 1, self.parity_entry..self.parity_entry + u64::from(self.shape.parity)]
    }

    /// Position of a shard's id in the manifest; `None` when the stripe has no such shard.
    pub(crate) fn entry(&self, index: u16) -> Option<u64> {
        if index < self.shape.data {
            return Some(self.data_entry + u64::from(index) * self.step);
        }
        let parity = index - self.shape.data;
        (parity < self.shape.parity).then(|| self.parity_entry + u64::from(parity))
    }
}
