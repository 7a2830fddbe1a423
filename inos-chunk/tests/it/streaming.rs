//! Goal: the streaming encoder gives the same pieces and manifest as the one call, however the bytes come; it and the
//! assembler hold at most one group; wrong use is an error that changes nothing. Method: generated cuts against
//! `encode`, `held_bytes` after every step, and a sequence of wrong calls.

use crate::common::{CHUNK, any_config, any_resource, assert_accepted, config, noise};
use bytes::Bytes;
use inos_chunk::erasure;
use inos_chunk::{
    Assembler, Compression, Config, ConfigError, EncodeError, Encoded, Encoder, Manifest, ManifestWriter, ReadError,
    StripeRepair, encode,
};
use proptest::prelude::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cuts_and_polls_do_not_show(
        resource in any_resource(),
        config in any_config(),
        cuts in proptest::collection::vec(1..3 * CHUNK, 1..20),
        len_is_known: bool,
        poll_between: bool,
    ) {
        let len = resource.len() as u64;
        let encoder = if len_is_known { Encoder::new(len, &config) } else { Encoder::streaming(&config) };
        let mut encoder = encoder.unwrap();
        let mut pieces = Vec::new();
        let mut rest = resource.clone();
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            encoder.push(rest.split_to(cut.min(rest.len()))).unwrap();
            if poll_between {
                pieces.extend(core::iter::from_fn(|| encoder.next_piece()));
            }
        }
        encoder.end().unwrap();
        pieces.extend(core::iter::from_fn(|| encoder.next_piece()));
        let manifest = encoder.finish().unwrap();
        prop_assert!(manifest.places().eq(pieces.iter().map(|piece| piece.place)));
        prop_assert_eq!(Encoded { manifest, pieces }, encode(&resource, &config).unwrap());
    }

    /// Fed in the order of `missing` and polled, the assembler holds no more than one group.
    #[test]
    fn the_assembler_holds_one_group(resource in any_resource(), config in any_config(), lost: u64) {
        let encoded = encode(&resource, &config).unwrap();
        let lost = noise(encoded.pieces.len(), lost);
        // Every stripe loses up to `parity` pieces; nobody knows before asking.
        let mut losses = vec![0; encoded.manifest.stripe_count() as usize];
        let mut offers = alloc::collections::BTreeMap::new();
        for (piece, dice) in encoded.pieces.iter().zip(lost) {
            let (stripe, _) = crate::common::shard(piece);
            let loss = &mut losses[stripe as usize];
            if dice < 64 && *loss < encoded.manifest.stripe(stripe).unwrap().parity {
                *loss += 1;
            } else {
                offers.insert(piece.place, piece.clone());
            }
        }
        let group_bytes = usize::from(config.interleave) * usize::from(config.geometry.data()) * CHUNK;
        let mut assembler = Assembler::new(encoded.manifest);
        let mut received = Vec::new();
        while !assembler.is_complete() {
            let place = assembler.missing().find(|place| offers.contains_key(place)).unwrap();
            assert_accepted(assembler.insert(offers[&place].clone()));
            prop_assert!(assembler.held_bytes() <= group_bytes as u64);
            while let Some((_, chunk)) = assembler.next_ready() {
                received.extend_from_slice(&chunk);
            }
        }
        prop_assert_eq!(Bytes::from(received), resource);
        prop_assert_eq!(assembler.held_bytes(), 0);
    }
}

/// Chunks within one push are slices of it; only what straddles is copied.
#[test]
fn whole_chunks_are_not_copied() {
    let resource = noise(5 * CHUNK + 100, 1);
    let config = Config { compression: Compression::Raw, ..config(2, 1, 2) };
    let pushed = |cut: usize| {
        let mut encoder = Encoder::new(resource.len() as u64, &config).unwrap();
        encoder.push(resource.slice(..cut)).unwrap();
        encoder.push(resource.slice(cut..)).unwrap();
        encoder.end().unwrap();
        let pieces: Vec<_> = core::iter::from_fn(|| encoder.next_piece()).collect();
        let manifest = encoder.finish().unwrap();
        (0..6_u64)
            .filter(|chunk| {
                let piece = pieces.iter().find(|piece| manifest.chunk_at(piece.place) == Some(*chunk)).unwrap();
                piece.bytes.as_ptr() != resource[*chunk as usize * CHUNK..].as_ptr()
            })
            .collect::<Vec<_>>()
    };
    assert!(pushed(0).is_empty());
    assert!(pushed(2 * CHUNK).is_empty());
    assert_eq!(pushed(2 * CHUNK + 7), [2]);
    assert_eq!(pushed(resource.len() - 1), [5]);
}

/// The shapes that the manifest will have are known with the length: at once, or at the end.
#[test]
fn shapes_are_known_before_the_pieces() {
    let resource = noise(11 * CHUNK + 5, 1);
    let config = config(3, 2, 2);
    let manifest = encode(&resource, &config).unwrap().manifest;
    let declared = Encoder::new(resource.len() as u64, &config).unwrap();
    let mut streaming = Encoder::streaming(&config).unwrap();
    streaming.push(resource).unwrap();
    assert_eq!(streaming.stripe(0), None);
    streaming.end().unwrap();
    assert_eq!(manifest.stripe_count(), 4);
    for stripe in 0..6 {
        assert_eq!(declared.stripe(stripe), manifest.stripe(stripe));
        assert_eq!(streaming.stripe(stripe), manifest.stripe(stripe));
    }
}

#[test]
fn wrong_use_is_an_error_and_changes_nothing() {
    let wrong = Config { interleave: 0, ..Config::default() };
    let error = EncodeError::Config(ConfigError::Interleave { interleave: 0 });
    assert_eq!(Encoder::streaming(&wrong).err(), Some(error));
    assert_eq!(encode(&Bytes::new(), &Config { interleave: 257, ..wrong }).err().map(|e| e.to_string()).unwrap(), {
        "a group has 1..=256 stripes, not 257"
    });

    let mut encoder = Encoder::new(10, &Config::default()).unwrap();
    encoder.push(Bytes::from_static(b"12345")).unwrap();
    assert_eq!(encoder.end(), Err(EncodeError::TooShort { declared: 10, pushed: 5 }));
    let error = EncodeError::TooLong { declared: 10, pushed: 11 };
    assert_eq!(encoder.push(Bytes::from_static(b"678901")), Err(error));
    assert_eq!(encoder.next_piece(), None);
    encoder.push(Bytes::from_static(b"67890")).unwrap();
    assert_eq!(encoder.finish(), Err(EncodeError::Undrained { pieces: 2 }));
    assert_eq!(encoder.push(Bytes::from_static(b"x")), Err(EncodeError::Ended));
    assert_eq!(encoder.push(Bytes::new()), Ok(()));
    let pieces: Vec<_> = core::iter::from_fn(|| encoder.next_piece()).collect();
    let manifest = encoder.finish().unwrap();
    assert_eq!(Encoded { manifest, pieces }, encode(&Bytes::from_static(b"1234567890"), &Config::default()).unwrap());
}

#[test]
fn what_was_handed_out_is_gone() {
    let resource = noise(4 * CHUNK, 1);
    let encoded = encode(&resource, &config(4, 1, 1)).unwrap();
    let mut assembler = Assembler::new(encoded.manifest);
    assert_eq!(assembler.read(5000..5001), Err(ReadError::Missing { offset: 5000, chunk: 1 }));
    assert_accepted(assembler.insert(encoded.pieces[0].clone()));
    assert_eq!(assembler.next_ready(), Some((0, resource.slice(..CHUNK))));
    assert_eq!(assembler.next_ready(), None);
    // Still held: the stripe may need it.
    assert_eq!(assembler.held_bytes(), 4096);
    encoded.pieces[2..].iter().for_each(|piece| assert_accepted(assembler.insert(piece.clone())));
    assert_eq!(assembler.held_bytes(), 3 * 4096);
    assert_eq!(assembler.read(4000..5000), Err(ReadError::Released { offset: 4000, released: 4096 }));
    assert_eq!(assembler.read(4096..9000).map(|slices| slices.concat()), Ok(resource[4096..9000].to_vec()));
    #[expect(clippy::reversed_empty_ranges, reason = "a caller can make one, and must get an error")]
    let reversed = 9..8;
    assert!(matches!(assembler.read(reversed), Err(ReadError::OutOfRange { .. })));
    assert_eq!(assembler.finish(), Ok(resource.slice(4096..)));
}

/// A host decides which thread does what. That this compiles is the test.
#[test]
fn every_machine_can_move_to_another_thread() {
    fn moves<T: Send + Sync>() {}
    moves::<(Encoder, Assembler, StripeRepair, Manifest, ManifestWriter)>();
    moves::<(erasure::Codec, erasure::Scratch, erasure::ShardSet, erasure::RepairPlan)>();
    #[cfg(all(feature = "parallel", not(target_arch = "wasm32")))]
    moves::<inos_chunk::parallel::Encoder>();
}
