//! Goal: the wire form of a piece brings back the piece, and any other bytes are an error, never a panic. Method: round
//! trips, every single byte changed, and random bytes.

use crate::common::{config, noise, text};
use bytes::Bytes;
use inos_chunk::{Codec, Piece, PieceError, encode};
use proptest::prelude::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn the_wire_form_round_trips_without_a_copy() {
    for resource in [text(20_000), noise(20_000, 1), Bytes::from_static(b"1")] {
        for piece in encode(&resource, &config(3, 2, 2)).unwrap().pieces {
            let wire = piece.to_bytes();
            assert_eq!(wire.len(), Piece::HEADER_LEN + piece.bytes.len());
            assert_eq!(wire[..Piece::HEADER_LEN], piece.encode_header());
            let read = Piece::from_bytes(wire.clone()).unwrap();
            assert_eq!(read.bytes.as_ptr(), wire[Piece::HEADER_LEN..].as_ptr());
            assert_eq!(read, Piece { duplicate_of: None, ..piece });
        }
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let piece = encode(&noise(100, 1), &config(1, 1, 1)).unwrap().pieces[0].clone();
    let wire = piece.to_bytes().to_vec();
    for at in 0..wire.len() {
        for bit in 0..8 {
            let mut damaged = wire.clone();
            damaged[at] ^= 1 << bit;
            assert!(Piece::from_bytes(damaged.into()).is_err(), "byte {at}, bit {bit}");
        }
    }
    for len in 0..wire.len() {
        assert!(Piece::from_bytes(Bytes::copy_from_slice(&wire[..len])).is_err(), "{len} bytes");
    }
    let longer = [&wire[..], &[0]].concat();
    assert_eq!(Piece::from_bytes(longer.into()), Err(PieceError::StoredLen { claimed: 100, actual: 101 }));
}

/// Headers that are wrong, with a tag that fits: what a stranger can do on purpose.
#[test]
fn each_field_is_checked() {
    let piece = Piece { codec: Codec::Raw, ..encode(&noise(100, 1), &config(1, 1, 1)).unwrap().pieces[0].clone() };
    let forged = |at: usize, bytes: &[u8]| {
        let mut wire = piece.to_bytes().to_vec();
        wire[at..at + bytes.len()].copy_from_slice(bytes);
        let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
        hasher.update(&wire[..56]);
        hasher.update(&wire[64..]);
        wire[56..64].copy_from_slice(&hasher.digest().to_le_bytes());
        Piece::from_bytes(wire.into()).unwrap_err()
    };
    assert_eq!(forged(0, b"X"), PieceError::Magic);
    assert_eq!(forged(4, &[2]), PieceError::Version { version: 2 });
    assert_eq!(forged(5, &[2]), PieceError::Kind { kind: 2 });
    assert_eq!(forged(6, &[2]), PieceError::Codec { codec: 2 });
    assert_eq!(forged(7, &[1]), PieceError::Reserved);
    assert_eq!(forged(14, &[1]), PieceError::Reserved);
    assert_eq!(forged(15, &[1]), PieceError::Reserved);
    assert_eq!(forged(16, &[0, 0, 0, 0]), PieceError::PlainLen { plain_len: 0 });
    assert_eq!(forged(16, &[1, 0, 0, 1]), PieceError::PlainLen { plain_len: (1 << 24) + 1 });
    assert_eq!(forged(20, &[99, 0, 0, 0]), PieceError::StoredLen { claimed: 99, actual: 100 });
}

proptest! {
    #[test]
    fn random_bytes_are_no_piece(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), magic: bool) {
        if magic && bytes.len() > 8 {
            bytes[..5].copy_from_slice(b"INOP\x01");
        }
        prop_assert!(Piece::from_bytes(bytes.into()).is_err());
    }
}
