//! What travels and is stored: one chunk or parity shard, and its wire form.

use crate::ChunkId;
use crate::split::ChunkSize;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use xxhash_rust::xxh3::Xxh3Default;

/// Where a piece belongs in its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Place {
    /// A shard of a stripe.
    Shard {
        /// Stripe of the resource, from 0.
        stripe: u32,
        /// Shard of the stripe: data shards first, then parity.
        index: u16,
    },
    /// A manifest page below the root, or parity of such pages.
    Page {
        /// Level of the page, 0 for one that names pieces; of the protected pages for parity.
        level: u8,
        /// Number, in the level above, of the page that names this one; 0 for the root.
        parent: u32,
        /// Which of the parent's entries names this one: stripe after stripe of at most 100 pages, each followed by
        /// its parity.
        child: u16,
    },
}

/// How the bytes of a piece are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Codec {
    /// The plain bytes.
    Raw,
    /// One LZ4 block without a length prefix, shorter than the plain bytes.
    Lz4,
}

/// One data chunk or parity shard of a resource, or one page of its manifest, as it is sent and stored.
///
/// All fields are claims of whoever made the piece. [`Assembler`](crate::Assembler),
/// [`StripeRepair`](crate::StripeRepair) and [`Manifest`](crate::Manifest) check each of them.
///
/// ```
/// use bytes::Bytes;
/// use inos_chunk::{Config, Piece, PieceError, encode};
///
/// let encoded = encode(&Bytes::from_static(b"a small resource"), &Config::default())?;
/// let wire = encoded.pieces[0].to_bytes();
/// assert_eq!(Piece::from_bytes(wire.clone())?, encoded.pieces[0]);
///
/// let mut damaged = wire.to_vec();
/// damaged[70] ^= 1;
/// assert_eq!(Piece::from_bytes(damaged.into()), Err(PieceError::Damaged));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Piece {
    /// Name of the content: of the plain bytes for a data chunk, of the shard for parity.
    pub id: ChunkId,
    /// Where the piece belongs.
    pub place: Place,
    /// How `bytes` is stored. Parity and pages are always [`Codec::Raw`].
    pub codec: Codec,
    /// Length of the plain bytes, 1..=16 MiB.
    pub plain_len: u32,
    /// The stored bytes: `plain_len` of them for [`Codec::Raw`], fewer for [`Codec::Lz4`].
    pub bytes: Bytes,
    /// The first piece of the same encoder with the same id, if there is one. A node that holds it needs to store the
    /// bytes only once; the two pieces are still separate shards, and are placed separately. The encoder remembers the
    /// first 65,536 distinct ids of shards; repeats of later ones, and pages, do not show here. Does not travel:
    /// [`Piece::from_bytes`] leaves it empty.
    pub duplicate_of: Option<Place>,
}

/// Without the stored bytes: up to 16 MiB of them would drown every log.
impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece")
            .field("id", &self.id)
            .field("place", &self.place)
            .field("codec", &self.codec)
            .field("plain_len", &self.plain_len)
            .field("stored_len", &self.bytes.len())
            .field("duplicate_of", &self.duplicate_of)
            .finish_non_exhaustive()
    }
}

const MAGIC: [u8; 4] = *b"INOP";
const VERSION: u8 = 1;
const KIND_SHARD: u8 = 0;
const KIND_PAGE: u8 = 1;
const TAG_AT: usize = 56;

impl Piece {
    /// Length of the header of the wire form in bytes. The stored bytes follow it, and nothing else.
    pub const HEADER_LEN: usize = 64;

    /// The header of the wire form, for callers that send header and bytes separately.
    ///
    /// `docs/format.md` describes it byte by byte. It contains an XXH3 tag over header and bytes against accidental
    /// damage on disks and wires; the tag proves nothing about the sender.
    ///
    /// # Panics
    ///
    /// When `bytes` is longer than `u32::MAX`. No piece of this crate is.
    #[must_use]
    pub fn encode_header(&self) -> [u8; Self::HEADER_LEN] {
        let stored_len = u32::try_from(self.bytes.len()).expect("a piece is shorter than 4 GiB");
        let (kind, number, index, level) = match self.place {
            Place::Shard { stripe, index } => (KIND_SHARD, stripe, index, 0),
            Place::Page { level, parent, child } => (KIND_PAGE, parent, child, level),
        };
        let codec = match self.codec {
            Codec::Raw => 0,
            Codec::Lz4 => 1,
        };
        let mut header = [0; Self::HEADER_LEN];
        header[0..4].copy_from_slice(&MAGIC);
        header[4] = VERSION;
        header[5] = kind;
        header[6] = codec;
        header[8..12].copy_from_slice(&number.to_le_bytes());
        header[12..14].copy_from_slice(&index.to_le_bytes());
        header[14] = level;
        header[16..20].copy_from_slice(&self.plain_len.to_le_bytes());
        header[20..24].copy_from_slice(&stored_len.to_le_bytes());
        header[24..56].copy_from_slice(self.id.as_bytes());
        let tag = tag(&header, &self.bytes);
        header[TAG_AT..].copy_from_slice(&tag);
        header
    }

    /// The wire form: header and stored bytes. Copies the bytes.
    ///
    /// # Panics
    ///
    /// As [`Piece::encode_header`].
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut wire = Vec::with_capacity(Self::HEADER_LEN + self.bytes.len());
        wire.extend_from_slice(&self.encode_header());
        wire.extend_from_slice(&self.bytes);
        wire.into()
    }

    /// Reads the wire form. The stored bytes of the piece are a slice of `wire`: nothing is copied.
    ///
    /// # Errors
    ///
    /// [`PieceError`] when `wire` is not exactly one well-formed, undamaged piece. What the piece claims is checked
    /// when it is inserted into an assembler.
    pub fn from_bytes(mut wire: Bytes) -> Result<Self, PieceError> {
        let Some((&header, bytes)) = wire.split_first_chunk::<{ Self::HEADER_LEN }>() else {
            return Err(PieceError::Truncated { len: wire.len() });
        };
        if header[0..4] != MAGIC {
            return Err(PieceError::Magic);
        }
        if header[4] != VERSION {
            return Err(PieceError::Version { version: header[4] });
        }
        if tag(&header, bytes) != header[TAG_AT..] {
            // A length that does not fit tells more than a tag that does not.
            check_stored_len(&header, bytes)?;
            return Err(PieceError::Damaged);
        }
        check_stored_len(&header, bytes)?;
        let (number, index) = (read_u32(&header, 8), u16::from_le_bytes([header[12], header[13]]));
        let place = match (header[5], header[14]) {
            (KIND_SHARD, 0) => Place::Shard { stripe: number, index },
            (KIND_SHARD, _) => return Err(PieceError::Reserved),
            (KIND_PAGE, level) => Place::Page { level, parent: number, child: index },
            (kind, _) => return Err(PieceError::Kind { kind }),
        };
        let codec = match header[6] {
            0 => Codec::Raw,
            1 => Codec::Lz4,
            codec => return Err(PieceError::Codec { codec }),
        };
        if header[7] != 0 || header[15] != 0 {
            return Err(PieceError::Reserved);
        }
        let plain_len = read_u32(&header, 16);
        if plain_len == 0 || plain_len > ChunkSize::MAX.bytes_u32() {
            return Err(PieceError::PlainLen { plain_len });
        }
        let mut id = [0; ChunkId::LEN];
        id.copy_from_slice(&header[24..56]);
        let bytes = wire.split_off(Self::HEADER_LEN);
        Ok(Self { id: ChunkId::from_bytes(id), place, codec, plain_len, bytes, duplicate_of: None })
    }
}

fn check_stored_len(header: &[u8; Piece::HEADER_LEN], bytes: &[u8]) -> Result<(), PieceError> {
    let claimed = read_u32(header, 20);
    if u32::try_from(bytes.len()) == Ok(claimed) {
        return Ok(());
    }
    Err(PieceError::StoredLen { claimed, actual: bytes.len() })
}

fn read_u32(header: &[u8; Piece::HEADER_LEN], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// XXH3-64 of the header without its tag, and of the stored bytes.
fn tag(header: &[u8; Piece::HEADER_LEN], bytes: &[u8]) -> [u8; 8] {
    let mut hasher = Xxh3Default::new();
    hasher.update(&header[..TAG_AT]);
    hasher.update(bytes);
    hasher.digest().to_le_bytes()
}

/// Why bytes are not a [`Piece`]. Whoever stored or sent them is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PieceError {
    /// Shorter than a header.
    #[error("a piece has a header of 64 bytes, these are {len} bytes")]
    Truncated {
        /// Length of the input.
        len: usize,
    },
    /// The first four bytes are not `INOP`.
    #[error("not a piece: wrong magic number")]
    Magic,
    /// A version this crate does not know.
    #[error("unknown piece version {version}")]
    Version {
        /// The version found; this crate knows 1.
        version: u8,
    },
    /// The tag does not match: header or bytes changed since the piece was written.
    #[error("the piece was damaged")]
    Damaged,
    /// The header announces another number of stored bytes than there are.
    #[error("the header announces {claimed} stored bytes, {actual} follow it")]
    StoredLen {
        /// Stored length in the header.
        claimed: u32,
        /// Bytes behind the header.
        actual: usize,
    },
    /// A kind of place this crate does not read.
    #[error("unknown kind of place {kind}")]
    Kind {
        /// The kind found; this crate reads 0, a shard, and 1, a page.
        kind: u8,
    },
    /// A codec this crate does not know.
    #[error("unknown codec {codec}")]
    Codec {
        /// The codec found; this crate knows 0 and 1.
        codec: u8,
    },
    /// A reserved byte is not zero.
    #[error("a reserved byte of the piece is not zero")]
    Reserved,
    /// A plain length outside 1..=16 MiB.
    #[error("a piece has 1..=16777216 plain bytes, not {plain_len}")]
    PlainLen {
        /// The length found.
        plain_len: u32,
    },
}
