//! Names of nodes.

use core::fmt::Debug;

/// The integrator's name of a node, as bytes.
///
/// Decisions hash and compare these bytes and nothing else; [`core::hash::Hash`] differs between targets and is never
/// asked. `read_id(&buf[..write_id(&mut buf)])` must give the same id back, and two different ids must write
/// different bytes.
///
/// ```
/// use inos_quorum::Id;
///
/// let mut bytes = [0; 64];
/// let len = 7_u32.write_id(&mut bytes);
/// assert_eq!((&bytes[..len], u32::read_id(&bytes[..len])), (&[7, 0, 0, 0][..], Some(7)));
/// assert_eq!(u32::read_id(&[7, 0, 0]), None); // a wrong length is no id
/// ```
pub trait Id: Copy + Ord + Debug {
    /// Writes the id to the front of `out`; returns how many bytes it has, 1 to 64.
    fn write_id(&self, out: &mut [u8; 64]) -> usize;

    /// Reads what [`write_id`](Self::write_id) wrote; `None` when `bytes` is not exactly one id.
    fn read_id(bytes: &[u8]) -> Option<Self>;
}

macro_rules! integer_id {
    ($($integer:ty),*) => {$(
        impl Id for $integer {
            fn write_id(&self, out: &mut [u8; 64]) -> usize {
                let bytes = self.to_le_bytes();
                out[..bytes.len()].copy_from_slice(&bytes);
                bytes.len()
            }

            fn read_id(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }
        }
    )*};
}
integer_id!(u32, u64, u128);

macro_rules! array_id {
    ($($len:literal),*) => {$(
        impl Id for [u8; $len] {
            fn write_id(&self, out: &mut [u8; 64]) -> usize {
                out[..$len].copy_from_slice(self);
                $len
            }

            fn read_id(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok()
            }
        }
    )*};
}
array_id!(16, 20, 32);
