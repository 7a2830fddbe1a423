//! The root page: its bytes, and what a reader accepts.

use super::tree::Tree;
use super::{HEADER_LEN, PAGE_BYTES};
use crate::layout::Layout;
use crate::{ChunkId, ChunkSize, Config, Geometry};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

const MAGIC: [u8; 4] = *b"INOM";
const VERSION: u16 = 1;

/// What a reader of foreign manifests accepts. Every limit is checked when the root page is decoded, before anything is
/// allocated: all of it follows from the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest resource in bytes. Default 1 TiB.
    pub max_plain_len: u64,
    /// Most data and parity pieces. Default 16 Mi: enough for 1 TiB in chunks of 128 KiB
    /// with the default geometry.
    pub max_pieces: u64,
    /// Highest level of the root page: how many pages, from the root down, lead to the id of a piece, less one. Default
    /// 2.
    pub max_level: u8,
    /// Most bytes of the root page, all other pages and their parity: what a manifest can grow to when all of it is
    /// loaded. Default 1 GiB.
    pub max_manifest_bytes: u64,
    /// Most plain bytes of a group: what an assembler may have to hold. Default 8 GiB, enough for
    /// [`Geometry::WIDE`] with the default chunk size and interleave.
    pub max_group_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_plain_len: 1 << 40,
            max_pieces: 16 << 20,
            max_level: 2,
            max_manifest_bytes: 1 << 30,
            max_group_bytes: 8 << 30,
        }
    }
}

/// The root page of a layout, whose ids are `entries`.
pub(super) fn encode(layout: &Layout, tree: &Tree, entries: &[u8]) -> Bytes {
    let count = tree.page_entries(tree.level(), 0);
    assert_eq!(
        count * ChunkId::LEN as u64,
        entries.len() as u64,
        "a root page has the ids that follow from its layout"
    );
    let count = u32::try_from(count).expect("a root page has at most 2,047 ids");
    let mut page = Vec::with_capacity(HEADER_LEN + entries.len());
    page.extend_from_slice(&MAGIC);
    page.extend_from_slice(&VERSION.to_le_bytes());
    page.extend_from_slice(&[tree.level(), layout.chunk_size.log2()]);
    page.extend_from_slice(&layout.plain_len.to_le_bytes());
    page.extend_from_slice(&layout.geometry.data().to_le_bytes());
    page.extend_from_slice(&layout.geometry.parity().to_le_bytes());
    page.extend_from_slice(&layout.interleave.to_le_bytes());
    page.extend_from_slice(&[0; 2]);
    page.extend_from_slice(&count.to_le_bytes());
    page.extend_from_slice(&[0; 4]);
    page.extend_from_slice(entries);
    page.into()
}

/// Reads and checks everything but the ids, of which every value is possible.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<(Layout, Tree), ManifestError> {
    check_limit(Quantity::RootBytes, bytes.len() as u64, PAGE_BYTES as u64)?;
    let Some((header, ids)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Err(ManifestError::Truncated { len: bytes.len() });
    };
    let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
    let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
    if header[0..4] != MAGIC {
        return Err(ManifestError::Magic);
    }
    if u16_at(4) != VERSION {
        return Err(ManifestError::Version { version: u16_at(4) });
    }
    if u16_at(22) != 0 || u32_at(28) != 0 {
        return Err(ManifestError::Reserved);
    }
    let chunk_size = ChunkSize::from_log2(header[7]).ok_or(ManifestError::ChunkSize { log2: header[7] })?;
    let (data, parity, interleave) = (u16_at(16), u16_at(18), u16_at(20));
    let geometry = Geometry::new(data, parity).map_err(|_| ManifestError::Geometry { data, parity, interleave })?;
    let config = Config { chunk_size, geometry, interleave, ..Config::default() };
    config.validate().map_err(|_| ManifestError::Geometry { data, parity, interleave })?;

    let plain_len = u64_at(8);
    check_limit(Quantity::PlainLen, plain_len, limits.max_plain_len)?;
    let layout = Layout::new(plain_len, &config).ok_or(ManifestError::Limit {
        what: Quantity::Stripes,
        value: u64::MAX,
        max: u64::from(u32::MAX),
    })?;
    check_limit(Quantity::Pieces, layout.entry_count(), limits.max_pieces)?;
    let group_bytes = plain_len.min(layout.group_chunks() * chunk_size.bytes_u64());
    check_limit(Quantity::GroupBytes, group_bytes, limits.max_group_bytes)?;
    let tree = Tree::new(&layout);
    check_limit(Quantity::Level, tree.level().into(), limits.max_level.into())?;
    check_limit(Quantity::ManifestBytes, tree.total_bytes(), limits.max_manifest_bytes)?;

    if header[6] != tree.level() {
        return Err(ManifestError::Level { expected: tree.level(), claimed: header[6] });
    }
    let (expected, claimed) = (tree.page_entries(tree.level(), 0), u32_at(24));
    if u64::from(claimed) != expected {
        return Err(ManifestError::Count { expected, claimed });
    }
    // At most 2,047 ids, so the product cannot overflow.
    let expected_len = HEADER_LEN as u64 + expected * ChunkId::LEN as u64;
    if (HEADER_LEN + ids.len()) as u64 != expected_len {
        return Err(ManifestError::Len { expected: expected_len, actual: bytes.len() });
    }
    Ok((layout, tree))
}

const fn check_limit(what: Quantity, value: u64, max: u64) -> Result<(), ManifestError> {
    if value > max { Err(ManifestError::Limit { what, value, max }) } else { Ok(()) }
}

/// A quantity that [`Limits`] or the format bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// [`Limits::max_plain_len`].
    PlainLen,
    /// A root page has at most [`PAGE_BYTES`].
    RootBytes,
    /// [`Limits::max_manifest_bytes`].
    ManifestBytes,
    /// [`Limits::max_level`].
    Level,
    /// [`Limits::max_pieces`].
    Pieces,
    /// [`Limits::max_group_bytes`].
    GroupBytes,
    /// Stripes are numbered with 32 bits.
    Stripes,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlainLen => "resource bytes",
            Self::RootBytes => "bytes of a root page",
            Self::ManifestBytes => "manifest bytes",
            Self::Level => "levels of pages",
            Self::Pieces => "pieces",
            Self::GroupBytes => "bytes of a group",
            Self::Stripes => "stripes",
        })
    }
}

/// Why bytes are not an acceptable [`Manifest`](crate::Manifest). Whoever made or sent them is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Shorter than a header.
    #[error("a root page has a header of 32 bytes, these are {len} bytes")]
    Truncated {
        /// Length of the input.
        len: usize,
    },
    /// The first four bytes are not `INOM`.
    #[error("not a manifest: wrong magic number")]
    Magic,
    /// A version this crate does not know.
    #[error("unknown manifest version {version}")]
    Version {
        /// The version found; this crate knows 1.
        version: u16,
    },
    /// The level of the root page does not follow from length and geometry.
    #[error("the root page claims level {claimed}, its resource needs {expected}")]
    Level {
        /// Level that follows from length and geometry.
        expected: u8,
        /// Level in the header.
        claimed: u8,
    },
    /// A reserved byte is not zero.
    #[error("a reserved byte of the manifest is not zero")]
    Reserved,
    /// A chunk size outside 4 KiB..=16 MiB.
    #[error("a chunk has 2^12..=2^24 bytes, not 2^{log2}")]
    ChunkSize {
        /// Logarithm of the size.
        log2: u8,
    },
    /// A geometry or interleave that does not exist.
    #[error("no stripes of {data} + {parity} shards in groups of {interleave} exist")]
    Geometry {
        /// Data shards.
        data: u16,
        /// Parity shards.
        parity: u16,
        /// Stripes of a group.
        interleave: u16,
    },
    /// More of something than the limits allow.
    #[error("{value} {what} are more than the limit of {max}")]
    Limit {
        /// What there is too much of.
        what: Quantity,
        /// How much.
        value: u64,
        /// The limit.
        max: u64,
    },
    /// The number of ids does not follow from length and geometry.
    #[error("the root page announces {claimed} ids, {expected} follow from its header")]
    Count {
        /// Ids that follow from length and geometry.
        expected: u64,
        /// Ids announced.
        claimed: u32,
    },
    /// The input is shorter or longer than header and ids.
    #[error("the root page has {actual} bytes instead of {expected}")]
    Len {
        /// Length that follows from the header.
        expected: u64,
        /// Length of the input.
        actual: usize,
    },
    /// Another manifest than the one asked for.
    #[error("the manifest has the root id {actual}, not {expected}")]
    Root {
        /// The id asked for.
        expected: ChunkId,
        /// The id of the input.
        actual: ChunkId,
    },
}
