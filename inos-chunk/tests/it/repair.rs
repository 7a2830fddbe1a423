//! Goal: a mesh that lost pieces of a stripe gets exactly these back, data and parity, and nothing else. Method:
//! generated losses against the encoder's own pieces, and the errors by hand.

use crate::common::{CHUNK, any_config, any_resource, assert_accepted, config, noise, shard};
use inos_chunk::{
    ChunkSize, Compression, Config, Inserted, NotEnoughShards, Place, RejectReason, RepairError, StripeRepair, encode,
};
use proptest::prelude::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lost_pieces_come_back_as_the_encoder_made_them(
        resource in any_resource(),
        config in any_config(),
        seed: u64,
        pick: u32,
    ) {
        prop_assume!(!resource.is_empty());
        let encoded = encode(&resource, &config).unwrap();
        let number = pick % encoded.manifest.stripe_count();
        let shape = encoded.manifest.stripe(number).unwrap();
        let mut pieces: Vec<_> = encoded.pieces.iter().filter(|piece| shard(piece).0 == number).collect();
        let order = noise(pieces.len(), seed);
        pieces.sort_by_key(|piece| order[usize::from(shard(piece).1)]);
        let (lost, kept) = pieces.split_at(usize::from(shape.parity));
        // Of the lost ones only some are wanted.
        let mut expected: Vec<_> = lost.iter().filter(|piece| shard(piece).1 % 3 != 2).copied().cloned().collect();
        expected.sort_by_key(|piece| piece.place);
        expected.iter_mut().for_each(|piece| piece.duplicate_of = None);
        let wanted: Vec<u16> = expected.iter().map(|piece| shard(piece).1).collect();

        let mut repair = StripeRepair::new(&encoded.manifest, number, &wanted).unwrap();
        for piece in kept {
            prop_assert!(wanted.is_empty() || !repair.is_ready());
            prop_assert!(wanted.is_empty() || repair.missing().any(|place| place == piece.place));
            prop_assert_eq!(repair.insert((*piece).clone()), Inserted::Accepted);
            prop_assert_eq!(repair.insert((*piece).clone()), Inserted::Duplicate);
        }
        prop_assert!(repair.is_ready());
        prop_assert_eq!(repair.missing().count(), 0);
        prop_assert_eq!(repair.finish(config.compression).unwrap(), expected);
    }
}

/// How a chunk is stored depends on the chunk alone: not on whether larger ones were compressed before it, which a
/// repair never sees.
#[test]
fn a_short_chunk_is_stored_alike_after_large_ones_and_alone() {
    let config = Config { chunk_size: ChunkSize::new(64 << 10).unwrap(), ..config(2, 1, 1) };
    // Decimal numbers: LZ4 saves about a seventh, and which of its tables it uses shows.
    let numbers = (0..20_000_u32).flat_map(|i| format!("{} ", i.wrapping_mul(2_654_435_761) >> 12).into_bytes());
    for short in [1, 30_000, 65_534, 65_535, 65_536] {
        let encoded = encode(&numbers.clone().take((64 << 10) + short).collect(), &config).unwrap();
        let mut repair = StripeRepair::new(&encoded.manifest, 0, &[1]).unwrap();
        let kept = [&encoded.pieces[0], &encoded.pieces[2]];
        kept.into_iter().for_each(|piece| assert_accepted(repair.insert(piece.clone())));
        assert_eq!(repair.finish(Compression::Lz4).unwrap(), encoded.pieces[1..2], "{short}");
    }
}

#[test]
fn what_does_not_exist_cannot_be_repaired() {
    let manifest = encode(&noise(3 * CHUNK, 1), &config(3, 2, 4)).unwrap().manifest;
    for (stripe, index) in [(0, 5), (1, 0), (u32::MAX, u16::MAX)] {
        let error = RepairError::UnknownPlace { place: Place::Shard { stripe, index } };
        assert_eq!(StripeRepair::new(&manifest, stripe, &[index]).err(), Some(error));
    }
}

#[test]
fn pieces_of_other_stripes_are_refused_and_wanted_ones_that_turn_up_are_taken() {
    let encoded = encode(&noise(6 * CHUNK, 1), &config(3, 2, 2)).unwrap();
    let of = |stripe| encoded.pieces.iter().filter(move |piece| shard(piece).0 == stripe).cloned();
    let mut repair = StripeRepair::new(&encoded.manifest, 1, &[1, 1]).unwrap();
    for piece in of(0) {
        let reason = RejectReason::OtherStripe { expected: 1, stripe: 0 };
        assert_eq!(repair.insert(piece), Inserted::Rejected(reason));
    }
    let shortfall = NotEnoughShards { stripe: 1, needed: 3, present: 0 };
    assert_eq!(repair.shortfall(), Some(shortfall));
    assert_eq!(repair.finish(Compression::Raw), Err(RepairError::NotEnoughShards(shortfall)));
    let lost = of(1).nth(1).unwrap();
    assert_eq!(repair.insert(lost.clone()), Inserted::Accepted);
    assert!(repair.is_ready());
    assert_eq!(repair.finish(Compression::Raw), Ok(vec![lost]));
}
