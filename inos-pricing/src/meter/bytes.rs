//! The meter as bytes: fixed length, little-endian, with a version and a checksum.

use xxhash_rust::xxh3::xxh3_64;

use super::{Kind, Meter, MeterId, Parity};
use crate::quote::DENOMINATOR;
use crate::{Credits, Millis};

const MAGIC: [u8; 4] = *b"INMT";
const VERSION: u16 = 1;

// Offsets of the fields that are checked.
const KIND: usize = 6;
const PARITY: usize = 7;
const CHARGE: usize = 32;
const REMAINDER: usize = 40;
const CHECKSUM: usize = 56;

impl Meter {
    /// The length of [`to_bytes`](Self::to_bytes).
    pub const ENCODED_LEN: usize = 64;

    /// The whole state, as defined in `docs/model.md`, section 9.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::ENCODED_LEN] {
        let mut bytes = [0; Self::ENCODED_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..KIND].copy_from_slice(&VERSION.to_le_bytes());
        bytes[KIND] = self.kind as u8;
        bytes[PARITY] = self.parity as u8;
        bytes[8..24].copy_from_slice(&self.id.0.to_le_bytes());
        bytes[24..CHARGE].copy_from_slice(&self.settled_until.0.to_le_bytes());
        bytes[CHARGE..REMAINDER].copy_from_slice(&self.charge.0.to_le_bytes());
        bytes[REMAINDER..CHECKSUM].copy_from_slice(&self.remainder_parts.to_le_bytes());
        let checksum = xxh3_64(&bytes[..CHECKSUM]);
        bytes[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The meter that [`to_bytes`](Self::to_bytes) wrote: it charges as the original would have.
    ///
    /// Total for any bytes. The checksum finds damage with a chance of 1 in 2^64 to miss it; it is no evidence against
    /// a forger.
    ///
    /// ```
    /// use inos_pricing::{DecodeMeterError, Meter, MeterId, Millis};
    ///
    /// let mut bytes = Meter::new(MeterId(7), Millis(1_000)).to_bytes();
    /// assert!(Meter::from_bytes(&bytes).is_ok());
    /// bytes[24] ^= 1; // another time
    /// assert!(matches!(Meter::from_bytes(&bytes), Err(DecodeMeterError::Checksum { .. })));
    /// ```
    ///
    /// # Errors
    ///
    /// [`DecodeMeterError`], the first that applies in the order of its variants; fewer than 6 bytes are
    /// [`DecodeMeterError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeMeterError> {
        let length = DecodeMeterError::Length { len: bytes.len() };
        // The format first: another version may have another length.
        let &[m0, m1, m2, m3, v0, v1, ..] = bytes else { return Err(length) };
        let (magic, version) = ([m0, m1, m2, m3], u16::from_le_bytes([v0, v1]));
        if magic != MAGIC {
            return Err(DecodeMeterError::NotAMeter { magic });
        }
        if version != VERSION {
            return Err(DecodeMeterError::Version { version });
        }
        let bytes = <&[u8; Self::ENCODED_LEN]>::try_from(bytes).map_err(|_| length)?;
        let (stored, computed) = (u64::from_le_bytes(field(bytes, CHECKSUM)), xxh3_64(&bytes[..CHECKSUM]));
        if stored != computed {
            return Err(DecodeMeterError::Checksum { stored, computed });
        }

        let out_of_range = |offset, value| DecodeMeterError::OutOfRange { offset, value };
        let kind = match bytes[KIND] {
            0 => Kind::Accrual,
            1 => Kind::Close,
            other => return Err(out_of_range(KIND, u128::from(other))),
        };
        let parity = match bytes[PARITY] {
            0 => Parity::Even,
            1 => Parity::Odd,
            other => return Err(out_of_range(PARITY, u128::from(other))),
        };
        let charge = u64::from_le_bytes(field(bytes, CHARGE));
        let remainder_parts = u128::from_le_bytes(field(bytes, REMAINDER));
        let (max_charge, max_remainder) = match kind {
            Kind::Accrual => (u64::MAX, DENOMINATOR.saturating_sub(1)),
            Kind::Close => (1, 0),
        };
        if charge > max_charge {
            return Err(out_of_range(CHARGE, u128::from(charge)));
        }
        if remainder_parts > max_remainder {
            return Err(out_of_range(REMAINDER, remainder_parts));
        }
        Ok(Self {
            id: MeterId(u128::from_le_bytes(field(bytes, 8))),
            settled_until: Millis(u64::from_le_bytes(field(bytes, 24))),
            remainder_parts,
            charge: Credits(charge),
            kind,
            parity,
        })
    }
}

fn field<const N: usize>(bytes: &[u8; Meter::ENCODED_LEN], offset: usize) -> [u8; N] {
    *bytes[offset..].first_chunk().expect("every field is inside the format")
}

/// Why bytes are not a [`Meter`]: they were damaged, or something else wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeMeterError {
    /// The bytes are those of something else.
    #[error("not a meter: the first bytes are {magic:02x?}")]
    NotAMeter {
        /// The first four bytes.
        magic: [u8; 4],
    },
    /// A later version of this crate wrote them, or these two bytes are damaged.
    #[error("version {version} of the format is unknown")]
    Version {
        /// Its version of the format.
        version: u16,
    },
    /// There are fewer or more than [`Meter::ENCODED_LEN`] bytes.
    #[error("{len} bytes are not the {} of a meter", Meter::ENCODED_LEN)]
    Length {
        /// How many there are.
        len: usize,
    },
    /// The bytes were changed after they were written.
    #[error("the checksum is {stored:016x}, but that of the bytes is {computed:016x}")]
    Checksum {
        /// What the bytes say.
        stored: u64,
        /// What they should say.
        computed: u64,
    },
    /// The checksum is right, but no meter has this value: another program wrote it.
    #[error("{value} at byte {offset} is out of range")]
    OutOfRange {
        /// The offset of the field.
        offset: usize,
        /// Its value.
        value: u128,
    },
}
