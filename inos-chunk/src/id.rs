//! Names of chunks, parity shards and manifest pages.

use core::fmt;
use core::str::FromStr;

/// The `blake3::derive_key` context of parity shard ids.
pub const PARITY_CONTEXT: &str = "inos-chunk v1 parity shard";

/// The `blake3::derive_key` context of manifest page ids, the root page included.
pub const PAGE_CONTEXT: &str = "inos-chunk v1 manifest page";

/// The `blake3::derive_key` context of the ids of parity over manifest pages.
pub const PAGE_PARITY_CONTEXT: &str = "inos-chunk v1 page parity";

/// The name of a piece: 32 bytes made from its content by BLAKE3.
///
/// A data chunk is named by the BLAKE3-256 hash of its *plain* bytes, so the name depends on no compressor, engine or
/// target, and any BLAKE3 tool can check it. Parity shards, manifest pages and their parity are named in domains of
/// their own (`derive_key` with [`PARITY_CONTEXT`], [`PAGE_CONTEXT`] and [`PAGE_PARITY_CONTEXT`]): no chunk can be made
/// to pass as a parity shard or as a page.
///
/// `Display` writes 64 lower-case hexadecimal digits, [`FromStr`] reads them in either case, `Debug` is short.
///
/// ```
/// use inos_chunk::ChunkId;
///
/// let id = ChunkId::of_chunk(b"abc");
/// assert_eq!(id.to_string(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert_eq!(format!("{id:?}"), "ChunkId(6437b3ac…)");
/// assert_ne!(ChunkId::of_parity(b"abc"), id);
/// assert!("6437".parse::<ChunkId>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId([u8; Self::LEN]);

impl ChunkId {
    /// Length of an id in bytes.
    pub const LEN: usize = 32;

    /// The id of a data chunk with these plain bytes.
    #[must_use]
    pub fn of_chunk(plain: &[u8]) -> Self {
        Self(*blake3::hash(plain).as_bytes())
    }

    /// The id of a parity shard with these bytes.
    #[must_use]
    pub fn of_parity(shard: &[u8]) -> Self {
        Self(blake3::derive_key(PARITY_CONTEXT, shard))
    }

    /// The id of a manifest page with these bytes.
    #[must_use]
    pub fn of_page(page: &[u8]) -> Self {
        Self(blake3::derive_key(PAGE_CONTEXT, page))
    }

    /// The id of a parity shard of manifest pages with these bytes.
    #[must_use]
    pub fn of_page_parity(shard: &[u8]) -> Self {
        Self(blake3::derive_key(PAGE_PARITY_CONTEXT, shard))
    }

    /// An id received or stored as bytes. Any 32 bytes are a possible id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl From<[u8; Self::LEN]> for ChunkId {
    fn from(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for ChunkId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "ChunkId({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// Why a text is not a [`ChunkId`]. The author of the text is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseIdError {
    /// The text is not 64 bytes long.
    #[error("an id has 64 hexadecimal digits, this text has {len} bytes")]
    Length {
        /// Length of the text in bytes.
        len: usize,
    },
    /// A byte of the text is not a hexadecimal digit.
    #[error("byte {at} of the id is not a hexadecimal digit")]
    Digit {
        /// Position of the byte, from 0.
        at: usize,
    },
}

impl FromStr for ChunkId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let digits = text.as_bytes();
        if digits.len() != 2 * Self::LEN {
            return Err(ParseIdError::Length { len: digits.len() });
        }
        let mut bytes = [0; Self::LEN];
        for (at, &digit) in digits.iter().enumerate() {
            let nibble = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return Err(ParseIdError::Digit { at }),
            };
            bytes[at / 2] = bytes[at / 2] << 4 | nibble;
        }
        Ok(Self(bytes))
    }
}
