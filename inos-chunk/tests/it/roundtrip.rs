//! Goal: what goes in comes out, for any length, content, geometry, interleave and compression, with every loss the
//! code promises to survive and none that it does not. Method: generated cases against the resource itself.

use crate::common::{CHUNK, any_config, any_resource, config, noise, shard, text};
use alloc::collections::BTreeMap;
use bytes::Bytes;
use inos_chunk::{
    Assembler, ChunkId, Codec, Compression, Config, FinishError, Geometry, Inserted, Manifest, Piece, encode,
};
use proptest::prelude::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Removes the pieces of each stripe that `order` puts first: `losses(parity)` of them.
fn lose(manifest: &Manifest, pieces: Vec<Piece>, seed: u64, losses: impl Fn(u16) -> u16) -> Vec<Piece> {
    let mut stripes: BTreeMap<u32, Vec<Piece>> = BTreeMap::new();
    for piece in pieces {
        stripes.entry(shard(&piece).0).or_default().push(piece);
    }
    let mut kept = Vec::new();
    for (stripe, mut pieces) in stripes {
        let parity = manifest.stripe(stripe).expect("the stripe exists").parity;
        let order = noise(pieces.len(), seed ^ u64::from(stripe));
        pieces.sort_by_key(|piece| order[usize::from(shard(piece).1)]);
        kept.extend(pieces.into_iter().skip(losses(parity).into()));
    }
    let order = noise(kept.len(), !seed);
    let mut keyed: Vec<_> = kept.into_iter().zip(order).collect();
    keyed.sort_by_key(|(_, key)| *key);
    keyed.into_iter().map(|(piece, _)| piece).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_parity_losses_per_stripe_are_repaired(
        resource in any_resource(),
        config in any_config(),
        seed: u64,
        fewer in 0..3_u16,
    ) {
        let encoded = encode(&resource, &config).unwrap();
        let kept = lose(&encoded.manifest, encoded.pieces, seed, |parity| parity.saturating_sub(fewer));
        let mut assembler = Assembler::new(encoded.manifest);
        let mut received = Vec::new();
        for piece in kept {
            prop_assert!(!matches!(assembler.insert(piece), Inserted::Rejected(_)));
            while let Some((offset, chunk)) = assembler.next_ready() {
                prop_assert_eq!(offset, received.len() as u64);
                received.extend_from_slice(&chunk);
            }
        }
        prop_assert!(assembler.is_complete());
        prop_assert_eq!(assembler.missing().count(), 0);
        prop_assert_eq!(assembler.held_bytes(), 0);
        prop_assert_eq!(Bytes::from(received), resource);
        prop_assert_eq!(assembler.finish().unwrap(), Bytes::new());
    }

    #[test]
    fn one_loss_more_is_an_error(resource in any_resource(), config in any_config(), seed: u64) {
        prop_assume!(!resource.is_empty());
        let encoded = encode(&resource, &config).unwrap();
        let kept = lose(&encoded.manifest, encoded.pieces, seed, |parity| parity + 1);
        let mut assembler = Assembler::new(encoded.manifest.clone());
        for piece in kept {
            prop_assert_eq!(assembler.insert(piece), Inserted::Accepted);
        }
        prop_assert!(!assembler.is_complete());
        for stripe in 0..encoded.manifest.stripe_count() {
            let shortfall = assembler.shortfall(stripe).unwrap();
            prop_assert_eq!(shortfall.stripe, stripe);
            prop_assert_eq!(shortfall.needed, encoded.manifest.stripe(stripe).unwrap().data);
            prop_assert_eq!(shortfall.present + 1, shortfall.needed);
        }
        let shortfall = assembler.shortfall(0).unwrap();
        prop_assert_eq!(assembler.finish(), Err(FinishError::NotEnoughShards(shortfall)));
    }

    #[test]
    fn ranges_can_be_read_in_any_state(
        resource in any_resource(),
        config in any_config(),
        seed: u64,
        bounds: (u64, u64),
    ) {
        let encoded = encode(&resource, &config).unwrap();
        let kept = lose(&encoded.manifest, encoded.pieces, seed, |parity| parity / 2);
        let mut assembler = Assembler::new(encoded.manifest);
        let len = resource.len() as u64;
        let (a, b) = (bounds.0 % (len + 1), bounds.1 % (len + 1));
        let range = a.min(b)..a.max(b);
        for piece in kept {
            let _ = assembler.insert(piece);
            if let Ok(slices) = assembler.read(range.clone()) {
                let expected = resource.slice(range.start as usize..range.end as usize);
                prop_assert_eq!(slices.concat(), expected);
            }
        }
        prop_assert!(assembler.read(range).is_ok());
        prop_assert!(assembler.read(0..len + 1).is_err());
        prop_assert_eq!(assembler.finish().unwrap(), resource);
    }

    #[test]
    fn compression_changes_neither_ids_nor_manifest(resource in any_resource(), config in any_config()) {
        let raw = encode(&resource, &Config { compression: Compression::Raw, ..config }).unwrap();
        let lz4 = encode(&resource, &Config { compression: Compression::Lz4, ..config }).unwrap();
        prop_assert_eq!(&raw.manifest, &lz4.manifest);
        for (raw, lz4) in raw.pieces.iter().zip(&lz4.pieces) {
            prop_assert_eq!((raw.id, raw.place, raw.plain_len), (lz4.id, lz4.place, lz4.plain_len));
            // Kept only when it saves 3 %.
            prop_assert!(lz4.codec == Codec::Raw || lz4.bytes.len() * 100 <= raw.bytes.len() * 97);
        }
    }
}

#[test]
fn an_empty_resource_has_a_manifest_and_no_pieces() {
    let encoded = encode(&Bytes::new(), &Config::default()).unwrap();
    assert!(encoded.pieces.is_empty());
    assert_eq!((encoded.manifest.chunk_count(), encoded.manifest.stripe_count()), (0, 0));
    assert_eq!(encoded.manifest.locate(0), None);
    let mut assembler = Assembler::new(encoded.manifest);
    assert!(assembler.is_complete());
    assert_eq!(assembler.next_ready(), None);
    assert_eq!(assembler.read(0..0), Ok(Vec::new()));
    assert_eq!(assembler.finish(), Ok(Bytes::new()));
}

#[test]
fn one_byte_costs_one_byte_and_two_of_parity() {
    let encoded = encode(&Bytes::from_static(b"x"), &Config::default()).unwrap();
    let lengths: Vec<usize> = encoded.pieces.iter().map(|piece| piece.bytes.len()).collect();
    assert_eq!(lengths, [1, 2]);
    let mut assembler = Assembler::new(encoded.manifest);
    assert_eq!(assembler.insert(encoded.pieces[1].clone()), Inserted::Accepted);
    assert_eq!(assembler.finish(), Ok(Bytes::from_static(b"x")));
}

/// Equal chunks share an id, but each is a shard of its own.
#[test]
fn repeated_chunks_stay_separate_shards() {
    let (a, b) = (noise(CHUNK, 1), noise(CHUNK, 2));
    let alternating: Bytes = (0..30).flat_map(|i| if i % 2 == 0 { a.clone() } else { b.clone() }).collect();
    for resource in [Bytes::from(vec![0; 30 * CHUNK]), alternating] {
        let encoded = encode(&resource, &config(5, 2, 2)).unwrap();
        assert_eq!(encoded.pieces.len(), 3 * 2 * 7);
        let mut first = BTreeMap::<ChunkId, _>::new();
        for piece in &encoded.pieces {
            let known = *first.entry(piece.id).or_insert(piece.place);
            assert_eq!(piece.duplicate_of, Some(known).filter(|known| *known != piece.place));
        }
        assert!(first.len() < encoded.pieces.len());
        let kept = lose(&encoded.manifest, encoded.pieces, 3, |parity| parity);
        let mut assembler = Assembler::new(encoded.manifest);
        assert!(kept.into_iter().all(|piece| assembler.insert(piece) == Inserted::Accepted));
        assert_eq!(assembler.finish(), Ok(resource));
    }
}

#[test]
fn a_wide_stripe_of_default_chunks_comes_back() {
    // 103 MiB would be slow here; 103 chunks of 4 KiB have the same layout.
    let resource = text(103 * CHUNK - 5);
    let encoded = encode(&resource, &config(100, 20, 4)).unwrap();
    assert_eq!(encoded.manifest.stripe_count(), 2);
    let kept = lose(&encoded.manifest, encoded.pieces, 9, |parity| parity);
    let mut assembler = Assembler::new(encoded.manifest);
    kept.into_iter().for_each(|piece| assert_eq!(assembler.insert(piece), Inserted::Accepted));
    assert_eq!(assembler.finish(), Ok(resource));
}

#[test]
fn incompressible_chunks_stay_raw_and_are_not_copied() {
    let resource = noise(1 << 20, 5);
    let encoded = encode(&resource, &Config::default()).unwrap();
    assert_eq!(encoded.pieces[0].codec, Codec::Raw);
    assert_eq!(encoded.pieces[0].bytes.as_ptr(), resource.as_ptr());
    let encoded = encode(&text(1 << 20), &Config::default()).unwrap();
    assert_eq!(encoded.pieces[0].codec, Codec::Lz4);
}

/// 100 MiB of zeros, and of two alternating chunks: equal pieces on one node would be lost all at once, so each is
/// placed and counted on its own, and any `parity` of a stripe may go.
#[test]
fn repetitive_files_survive_the_loss_of_parity_shards_of_every_stripe() {
    let mib = if cfg!(target_arch = "wasm32") { 12 } else { 100 };
    let (a, b) = (text(1 << 20), noise(1 << 20, 2));
    let alternating: Bytes = (0..mib).flat_map(|i| if i % 2 == 0 { a.clone() } else { b.clone() }).collect();
    for resource in [Bytes::from(vec![0; mib << 20]), alternating] {
        let config = Config { geometry: Geometry::new(10, 4).unwrap(), ..Config::default() };
        for config in [Config::default(), config] {
            let encoded = encode(&resource, &config).unwrap();
            assert_eq!(encoded.manifest.chunk_count(), mib as u64);
            let kept = lose(&encoded.manifest, encoded.pieces, 11, |parity| parity);
            let mut assembler = Assembler::new(encoded.manifest);
            assert!(kept.into_iter().all(|piece| assembler.insert(piece) == Inserted::Accepted));
            assert!(assembler.finish().unwrap() == resource);
        }
    }
}
