//! The engine that every target has: 64-bit integers as vectors of eight bytes. Also the readable twin of the others.

use super::super::field::ByteMap;
use super::kernel::Lane;

/// 32 bytes: the low or the high half of a block.
#[derive(Clone, Copy)]
pub(super) struct Words([u64; 4]);

/// The lowest bit of each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

impl Lane for Words {
    const BYTES: usize = 32;

    /// The images of the unit bytes.
    type Factor = [u64; 8];

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0; 4])
    }

    #[inline(always)]
    unsafe fn factor(map: &'static ByteMap) -> [u64; 8] {
        map.columns.map(u64::from)
    }

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller vouches for 32 bytes; an array of bytes has no alignment.
        let bytes = unsafe { at.cast::<[[u8; 8]; 4]>().read() };
        Self(bytes.map(u64::from_le_bytes))
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        let bytes = self.0.map(u64::to_le_bytes);
        // SAFETY: the caller vouches for 32 bytes; an array of bytes has no alignment.
        unsafe { at.cast::<[[u8; 8]; 4]>().write(bytes) };
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a ^ e, b ^ f, c ^ g, d ^ h])
    }

    #[inline(always)]
    fn map(self, columns: [u64; 8]) -> Self {
        let mut image = [0; 4];
        for (image, word) in image.iter_mut().zip(self.0) {
            for (bit, column) in columns.iter().enumerate() {
                // A byte is 0 or 1 before the product, and a byte of its own after it.
                *image ^= (word >> bit & ONES) * column;
            }
        }
        Self(image)
    }
}
