//! The field of the code, in the coordinates that make its multiplications cheap.
//!
//! A symbol is an element of GF(2^16), two bytes: the coordinates over a Cantor basis b0..b15 (b0 = 1,
//! bi^2 + bi = b(i-1); Cantor 1989, "On arithmetical algorithms over finite fields"), as Leopard-RS and
//! `reed-solomon-simd` number them. Two properties of that basis carry this module:
//!
//! - b0..b7 span the subfield GF(2^8). Symbols whose high byte is 0 are that field.
//! - b(8+i) = bi * b8 + ai with ai in GF(2^8). So a symbol (low, high) is the element
//!   `(low + A(high)) + high * b8`, where A is the GF(2)-linear map that takes the i-th unit byte to ai: GF(2^16) as a
//!   plane over GF(2^8), and the change of coordinates touches the low byte only.
//!
//! In these *plane coordinates* a factor from GF(2^8) multiplies both bytes alike and apart, which is half the work of
//! a general factor, and needs no pairing of low and high bytes. All factors of a code with at most 256 positions (see
//! [`super::code`]) are in GF(2^8), those of 100 + 20 shards among them.

/// The field polynomial, x^16 + x^5 + x^3 + x^2 + 1.
const POLYNOMIAL: u32 = 0x1_002d;

/// b0..b15 in the polynomial basis, as chosen by Leopard-RS.
const CANTOR_BASIS: [u16; 16] = [
    0x0001, 0xacca, 0x3c0e, 0x163e, 0xc582, 0xed2e, 0x914c, 0x4012, 0x6c98, 0x10d8, 0x6a72, 0xb900, 0xfdb8, 0xfb34,
    0xff38, 0x991e,
];

/// The product of two elements in the polynomial basis.
const fn multiply_polynomials(a: u16, b: u16) -> u16 {
    let mut product: u32 = 0;
    let mut bit = 16;
    while bit > 0 {
        bit -= 1;
        product <<= 1;
        if product & 0x1_0000 != 0 {
            product ^= POLYNOMIAL;
        }
        if b >> bit & 1 == 1 {
            product ^= a as u32;
        }
    }
    let [low, high, ..] = product.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// GF(2^8) in Cantor coordinates: powers of a generator, and their inverse.
struct Powers {
    /// Twice around, so that the sum of two logarithms is an index.
    exp: [u8; 510],
    /// The entry of 0 has no meaning.
    log: [u8; 256],
}

const fn to_polynomial(element: u8) -> u16 {
    let mut polynomial = 0;
    let mut bit = 0;
    while bit < 8 {
        if element >> bit & 1 == 1 {
            polynomial ^= CANTOR_BASIS[bit];
        }
        bit += 1;
    }
    polynomial
}

/// The element of GF(2^8) with these coordinates in the polynomial basis.
const fn from_polynomial(polynomial: u16) -> u8 {
    let mut element = 0;
    loop {
        if to_polynomial(element) == polynomial {
            return element;
        }
        element = match element.checked_add(1) {
            Some(next) => next,
            None => panic!("not an element of GF(2^8)"),
        };
    }
}

const POWERS: Powers = {
    let mut generator: u8 = 2;
    'search: loop {
        let mut powers = Powers { exp: [0; 510], log: [0; 256] };
        let mut polynomial = 1;
        let mut i: u8 = 0;
        while i < 255 {
            let element = from_polynomial(polynomial);
            if i > 0 && element == 1 {
                generator += 1;
                continue 'search;
            }
            powers.exp[i as usize] = element;
            powers.exp[i as usize + 255] = element;
            powers.log[element as usize] = i;
            polynomial = multiply_polynomials(polynomial, to_polynomial(generator));
            i += 1;
        }
        break powers;
    }
};

/// The product in GF(2^8).
pub(super) const fn multiply_bytes(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 {
        return 0;
    }
    POWERS.exp[POWERS.log[a as usize] as usize + POWERS.log[b as usize] as usize]
}

/// The inverse in GF(2^8) of an element that is not 0.
const fn invert_byte(a: u8) -> u8 {
    POWERS.exp[255 - POWERS.log[a as usize] as usize]
}

/// a0..a7: the images of the unit bytes under A.
const PLANE_SHIFT: [u8; 8] = {
    let mut shift = [0; 8];
    let mut i = 0;
    while i < 8 {
        shift[i] = from_polynomial(CANTOR_BASIS[8 + i] ^ multiply_polynomials(CANTOR_BASIS[i], CANTOR_BASIS[8]));
        i += 1;
    }
    shift
};

/// b7, the square of b8 less b8.
const B7: u8 = 1 << 7;

/// An element of GF(2^16) in plane coordinates: `self.0 + self.1 * b8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element(pub(super) u8, pub(super) u8);

impl Element {
    pub(super) const ZERO: Self = Self(0, 0);
    pub(super) const ONE: Self = Self(1, 0);

    /// The element with these Cantor coordinates.
    pub(super) const fn from_cantor(coordinates: u16) -> Self {
        let [low, high] = coordinates.to_le_bytes();
        Self(low ^ apply(&PLANE_SHIFT, high), high)
    }

    /// The Cantor coordinates of the element.
    pub(super) const fn to_cantor(self) -> u16 {
        u16::from_le_bytes([self.0 ^ apply(&PLANE_SHIFT, self.1), self.1])
    }

    /// Whether the element is in GF(2^8).
    pub(super) const fn is_byte(self) -> bool {
        self.1 == 0
    }

    pub(super) const fn add(self, other: Self) -> Self {
        Self(self.0 ^ other.0, self.1 ^ other.1)
    }

    pub(super) const fn mul(self, other: Self) -> Self {
        let high = multiply_bytes(self.1, other.1);
        Self(
            multiply_bytes(self.0, other.0) ^ multiply_bytes(high, B7),
            multiply_bytes(self.0, other.1) ^ multiply_bytes(self.1, other.0) ^ high,
        )
    }

    /// The inverse of an element that is not 0.
    pub(super) const fn inverse(self) -> Self {
        let Self(low, high) = self;
        if high == 0 {
            return Self(invert_byte(low), 0);
        }
        // The conjugate over GF(2^8) takes b8 to b8 + 1; the product with it is in GF(2^8).
        let norm = multiply_bytes(low, low ^ high) ^ multiply_bytes(multiply_bytes(high, high), B7);
        let scale = invert_byte(norm);
        Self(multiply_bytes(low ^ high, scale), multiply_bytes(high, scale))
    }

    /// The 2 x 2 matrix over GF(2^8) that multiplies a symbol by this element, as
    /// `[low to low, high to low, low to high, high to high]`.
    pub(super) const fn matrix(self) -> [u8; 4] {
        [self.0, multiply_bytes(self.1, B7), self.1, self.0 ^ self.1]
    }
}

/// The image of a byte under the GF(2)-linear map with these images of the unit bytes.
const fn apply(columns: &[u8; 8], byte: u8) -> u8 {
    let mut image = 0;
    let mut bit = 0;
    while bit < 8 {
        if byte >> bit & 1 == 1 {
            image ^= columns[bit];
        }
        bit += 1;
    }
    image
}

/// A GF(2)-linear map of bytes in the forms that the engines want.
#[derive(Debug)]
#[repr(C, align(16))]
pub(super) struct ByteMap {
    /// The images of the 16 low nibbles, then of the 16 high nibbles.
    pub(super) nibbles: [u8; 32],
    /// The matrix as `GF2P8AFFINEQB` takes it: byte `7 - i` is the mask of the input bits that make up output bit i.
    pub(super) matrix: u64,
    /// The images of the unit bytes.
    pub(super) columns: [u8; 8],
}

impl ByteMap {
    const fn new(columns: [u8; 8]) -> Self {
        let mut nibbles = [0; 32];
        let mut nibble: u8 = 0;
        while nibble < 16 {
            nibbles[nibble as usize] = apply(&columns, nibble);
            nibbles[nibble as usize + 16] = apply(&columns, nibble << 4);
            nibble += 1;
        }
        let mut matrix = 0;
        let mut out = 0;
        while out < 8 {
            let mut bit = 0;
            while bit < 8 {
                if columns[bit] >> out & 1 == 1 {
                    matrix |= 1 << (8 * (7 - out) + bit);
                }
                bit += 1;
            }
            out += 1;
        }
        Self { nibbles, matrix, columns }
    }

    const fn multiplication(factor: u8) -> Self {
        let mut columns = [0; 8];
        let mut bit = 0;
        while bit < 8 {
            columns[bit] = multiply_bytes(factor, 1 << bit);
            bit += 1;
        }
        Self::new(columns)
    }

    pub(super) const fn of(factor: u8) -> &'static Self {
        &MULTIPLICATIONS[factor as usize]
    }
}

/// Multiplication by each element of GF(2^8); 12 KiB.
static MULTIPLICATIONS: [ByteMap; 256] = {
    let mut maps = [const { ByteMap::new([0; 8]) }; 256];
    let mut factor: u8 = 255;
    while factor > 0 {
        maps[factor as usize] = ByteMap::multiplication(factor);
        factor -= 1;
    }
    maps
};

/// The map A, which takes Cantor coordinates to plane coordinates and back: `low + A(high)` either way.
pub(super) static TO_PLANE: ByteMap = ByteMap::new(PLANE_SHIFT);

#[cfg(test)]
mod tests {
    //! Goal: the constants are the field of Leopard-RS and the tables agree. Method: arithmetic from the definitions in
    //! the polynomial basis, and all pairs of a byte with a unit byte.

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn polynomial(cantor: u16) -> u16 {
        (0..16).filter(|bit| cantor >> bit & 1 == 1).fold(0, |sum, bit| sum ^ CANTOR_BASIS[bit])
    }

    #[test]
    fn the_basis_is_a_cantor_basis() {
        for i in 1..16 {
            let square = multiply_polynomials(CANTOR_BASIS[i], CANTOR_BASIS[i]);
            assert_eq!(square ^ CANTOR_BASIS[i], CANTOR_BASIS[i - 1]);
        }
        assert_eq!(PLANE_SHIFT, [0x00, 0xcf, 0xab, 0x21, 0x8a, 0x9d, 0x27, 0x1f]);
    }

    #[test]
    fn products_and_inverses_are_those_of_the_field() {
        let mut sample: u16 = 1;
        for _ in 0..2000 {
            let (a, b) = (sample, sample.wrapping_mul(40_503) ^ 0x1234);
            sample = sample.wrapping_mul(25_173).wrapping_add(13_849);
            let product = Element::from_cantor(a).mul(Element::from_cantor(b));
            let expected = multiply_polynomials(polynomial(a), polynomial(b));
            assert_eq!(polynomial(product.to_cantor()), expected);
            if a != 0 {
                let element = Element::from_cantor(a);
                assert_eq!(element.mul(element.inverse()), Element::ONE);
            }
        }
    }

    #[test]
    fn every_form_of_a_map_is_the_same_map() {
        for factor in 0..=255 {
            let map = ByteMap::of(factor);
            for byte in 0..=255_u8 {
                let expected = multiply_bytes(factor, byte);
                let nibbles = map.nibbles[usize::from(byte & 15)] ^ map.nibbles[usize::from(byte >> 4) + 16];
                let rows = map.matrix.to_le_bytes();
                let affine = (0..8).fold(0, |sum, i| sum | u8::from((rows[7 - i] & byte).count_ones() % 2 == 1) << i);
                assert_eq!([nibbles, affine, apply(&map.columns, byte)], [expected; 3]);
            }
        }
    }
}
