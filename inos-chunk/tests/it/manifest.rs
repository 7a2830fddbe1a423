//! Goal: a manifest has one encoding, and foreign bytes are either exactly that of a manifest within the limits or an
//! error, found before anything is allocated. Method: round trips, mutated and random bytes, each field and limit by
//! hand. What a decoder allocates is bounded by a test that gives it headers which announce much and hold nothing.

use crate::common::{CHUNK, any_config, config, noise};
use bytes::Bytes;
use inos_chunk::{
    ChunkId, ChunkSize, Config, EncodeError, Encoder, Limits, MAX_ROOT_PIECES, Manifest, ManifestError, PAGE_BYTES,
    Quantity, encode,
};
use proptest::prelude::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn sample() -> Manifest {
    encode(&noise(7 * CHUNK + 9, 1), &config(3, 2, 2)).unwrap().manifest
}

fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    Manifest::from_bytes(bytes, &Limits::default())
}

proptest! {
    #[test]
    fn round_trip(len in 0..40 * CHUNK, config in any_config()) {
        let manifest = encode(&noise(len, 3), &config).unwrap().manifest;
        let bytes = manifest.to_bytes();
        let read = decode(&bytes).unwrap();
        prop_assert_eq!(&read, &manifest);
        prop_assert_eq!(read.to_bytes(), bytes.clone());
        prop_assert_eq!(read.root(), ChunkId::of_page(&bytes));
        prop_assert_eq!(Manifest::open(&bytes, manifest.root(), &Limits::default()), Ok(manifest));
    }

    /// Whatever still decodes is canonical: it encodes to the same bytes, has another root, and its accessors agree.
    #[test]
    fn mutated_bytes(changes in proptest::collection::vec((0..32_usize, any::<u8>()), 1..4), cut in 0..600_usize) {
        let original = sample();
        let mut bytes = original.to_bytes().to_vec();
        changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        bytes.truncate(bytes.len().max(cut));
        if let Ok(manifest) = decode(&bytes) {
            prop_assert_eq!(manifest.to_bytes(), Bytes::from(bytes.clone()));
            prop_assert!(manifest.root() != original.root() || manifest == original);
            prop_assert_eq!(manifest.places().count() as u64, manifest.piece_count());
            prop_assert!(manifest.places().all(|place| manifest.id(place).is_ok()));
        }
        prop_assert!(Manifest::open(&bytes, original.root(), &Limits::default()).is_ok() == (bytes == original.to_bytes()));
    }

    #[test]
    fn random_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), magic: bool) {
        if magic && bytes.len() > 8 {
            bytes[..7].copy_from_slice(b"INOM\x01\0\0");
            bytes[7] = 12 + bytes[7] % 13;
        }
        let _ = decode(&bytes);
    }
}

#[test]
fn every_truncation_and_extension_is_an_error() {
    let bytes = sample().to_bytes();
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    let error = ManifestError::Len { expected: bytes.len() as u64, actual: bytes.len() + 1 };
    assert_eq!(decode(&longer), Err(error));
}

#[test]
fn each_field_is_checked() {
    let with = |at: usize, field: &[u8]| {
        let mut bytes = sample().to_bytes().to_vec();
        bytes[at..at + field.len()].copy_from_slice(field);
        decode(&bytes).unwrap_err()
    };
    assert_eq!(with(0, b"X"), ManifestError::Magic);
    assert_eq!(with(4, &[2, 0]), ManifestError::Version { version: 2 });
    assert_eq!(with(6, &[1]), ManifestError::Level { expected: 0, claimed: 1 });
    assert_eq!(with(7, &[11]), ManifestError::ChunkSize { log2: 11 });
    assert_eq!(with(7, &[25]), ManifestError::ChunkSize { log2: 25 });
    assert_eq!(with(16, &[0, 0]), ManifestError::Geometry { data: 0, parity: 2, interleave: 2 });
    assert_eq!(with(18, &[1, 128]), ManifestError::Geometry { data: 3, parity: 32_769, interleave: 2 });
    assert_eq!(with(20, &[0, 0]), ManifestError::Geometry { data: 3, parity: 2, interleave: 0 });
    assert_eq!(with(20, &[1, 1]), ManifestError::Geometry { data: 3, parity: 2, interleave: 257 });
    assert_eq!(with(22, &[1]), ManifestError::Reserved);
    assert_eq!(with(31, &[1]), ManifestError::Reserved);
    assert_eq!(with(24, &[15]), ManifestError::Count { expected: 14, claimed: 15 });
    // Another length with the same number of chunks is another resource, not an error.
    assert_eq!(sample().to_bytes().len(), 32 + 14 * 32);
}

#[test]
fn limits_hold_before_anything_is_allocated() {
    // A header alone that announces as much as it can.
    let mut header = sample().to_bytes()[..32].to_vec();
    header[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    header[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = ManifestError::Limit { what: Quantity::PlainLen, value: u64::MAX, max: 1 << 40 };
    assert_eq!(decode(&header), Err(error));
    let unlimited = Limits {
        max_plain_len: u64::MAX,
        max_pieces: u64::MAX,
        max_level: u8::MAX,
        max_manifest_bytes: u64::MAX,
        max_group_bytes: u64::MAX,
    };
    assert!(matches!(
        Manifest::from_bytes(&header, &unlimited),
        Err(ManifestError::Limit { what: Quantity::Stripes, .. })
    ));
    // The same header over as much as can be numbered: its counts are wrong, and found so without an allocation.
    header[8..16].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    assert_eq!(Manifest::from_bytes(&header, &unlimited), Err(ManifestError::Level { expected: 2, claimed: 0 }));
    let bytes = sample().to_bytes();
    let len = bytes.len();
    for (limits, what, value, max) in [
        (Limits { max_plain_len: 28_680, ..unlimited }, Quantity::PlainLen, 28_681, 28_680),
        (Limits { max_manifest_bytes: 479, ..unlimited }, Quantity::ManifestBytes, len as u64, 479),
        (Limits { max_pieces: 13, ..unlimited }, Quantity::Pieces, 14, 13),
        (Limits { max_group_bytes: 24_575, ..unlimited }, Quantity::GroupBytes, 24_576, 24_575),
    ] {
        assert_eq!(Manifest::from_bytes(&bytes, &limits), Err(ManifestError::Limit { what, value, max }));
    }
    let page = vec![0; PAGE_BYTES + 1];
    assert!(matches!(
        Manifest::from_bytes(&page, &unlimited),
        Err(ManifestError::Limit { what: Quantity::RootBytes, value: 65_537, max: 65_536 })
    ));
}

#[test]
fn a_root_page_names_up_to_2047_pieces() {
    assert_eq!((PAGE_BYTES, MAX_ROOT_PIECES), (65_536, 2047));
    // 1 GiB of 1 MiB chunks fits: 1024 data, 205 parity.
    assert_eq!(Encoder::new(1 << 30, &Config::default()).unwrap().level(), Some(0));
    assert_eq!(Encoder::new(2 << 30, &Config::default()).unwrap().level(), Some(1));
    assert_eq!(Encoder::new(1 << 40, &Config::default()).unwrap().level(), Some(1));
    let error = Encoder::new(u64::MAX, &Config::default()).unwrap_err();
    assert_eq!(error, EncodeError::TooManyStripes { len: u64::MAX });
    let larger = Config { chunk_size: ChunkSize::MAX, ..Config::default() };
    assert_eq!(Encoder::new(16 << 30, &larger).unwrap().level(), Some(0));
}
