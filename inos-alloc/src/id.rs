//! Ids of the integrator, and the one hash that decisions use.

use core::fmt::Debug;

/// An identifier of a node or a resource, owned by the integrator.
///
/// The bytes are what decisions hash, so they must be the same on every target: little-endian for the integers provided
/// here. [`core::hash::Hash`] is not used, because what it feeds a hasher differs between targets.
///
/// ```
/// use inos_alloc::Id;
///
/// assert_eq!(7u32.to_bytes(), [7, 0, 0, 0]);
/// assert_eq!(u32::from_bytes(&[7, 0, 0, 0]), Some(7));
/// assert_eq!(u32::from_bytes(&[7, 0, 0]), None);
/// ```
pub trait Id: Copy + Ord + Debug {
    /// The bytes of this id.
    type Bytes: AsRef<[u8]>;

    /// The bytes that identify this value on every target.
    fn to_bytes(self) -> Self::Bytes;

    /// Reads what [`Id::to_bytes`] wrote; `None` when the length or the value is not one this type writes.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! integer_id {
    ($($integer:ty),*) => {$(
        impl Id for $integer {
            type Bytes = [u8; size_of::<$integer>()];

            fn to_bytes(self) -> Self::Bytes {
                self.to_le_bytes()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }
        }
    )*};
}
integer_id!(u32, u64, u128);

macro_rules! array_id {
    ($($len:literal),*) => {$(
        impl Id for [u8; $len] {
            type Bytes = Self;

            fn to_bytes(self) -> Self {
                self
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok()
            }
        }
    )*};
}
array_id!(16, 20, 32);

/// FNV-1a over the bytes, started from the seed, finished by the mixer of SplitMix64.
///
/// FNV-1a alone leaves the high bits of short keys nearly equal; the mixer spreads them over the whole word. It is no
/// defence against chosen ids: whoever can choose its node id can choose its place among equals, never a lighter load.
pub(crate) fn seeded_hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash)
}

/// The mixer of SplitMix64: every bit of the answer depends on every bit of `value`.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    //! Goal: the hash never changes, on any target. Method: values computed by a separate Python implementation.

    use super::seeded_hash;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn golden_values() {
        assert_eq!(seeded_hash(0, b""), GOLDEN[0]);
        assert_eq!(seeded_hash(0, &[1, 0, 0, 0]), GOLDEN[1]);
        assert_eq!(seeded_hash(u64::MAX, b"inos"), GOLDEN[2]);
    }

    const GOLDEN: [u64; 3] = [0xf52a_15e9_a9b5_e89b, 0xde9c_7b03_a9c8_4fc0, 0x79a1_ab25_a11d_cbab];
}
