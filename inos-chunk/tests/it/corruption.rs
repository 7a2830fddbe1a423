//! Goal: pieces from strangers cannot do harm. Every kind of bad piece is rejected with the reason that names what is
//! wrong with it, changes nothing, and the resource still comes back. Method: generated attacks on up to `parity`
//! places of each stripe, mixed with the genuine pieces in any order, against the resource itself.

use crate::common::{CHUNK, any_config, any_resource, assert_accepted, config, noise, shard, text};
use bytes::Bytes;
use inos_chunk::{
    Assembler, ChunkId, Codec, FinishError, Inserted, Limits, Manifest, NotEnoughShards, Piece, Place, RejectReason,
    StripeRepair, encode,
};
use proptest::prelude::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const KINDS: u8 = 9;

/// A bad version of `piece`, and the name of the reason it must be rejected with.
fn spoil(piece: &Piece, manifest: &Manifest, kind: u8, salt: usize) -> (Piece, &'static str) {
    let mut bad = piece.clone();
    let (stripe, index) = shard(piece);
    let parity = index >= manifest.stripe(stripe).unwrap().data;
    let reason = match kind % KINDS {
        0 => {
            // Corrupt raw bytes: decoding cannot notice, the hash must.
            let mut bytes = vec![0x55; piece.plain_len as usize];
            bytes[salt % piece.plain_len as usize] ^= 1;
            (bad.codec, bad.bytes) = (Codec::Raw, bytes.into());
            "WrongContent"
        }
        1 => {
            bad.bytes = bad.bytes.slice(..salt % bad.bytes.len());
            match bad.codec {
                Codec::Raw => "StoredLen",
                _ => "Undecodable",
            }
        }
        2 => {
            bad.bytes = [&bad.bytes[..], &[0; CHUNK]].concat().into();
            "StoredLen"
        }
        3 => {
            bad.id = ChunkId::of_chunk(b"another chunk");
            "WrongId"
        }
        4 => {
            bad.plain_len = bad.plain_len.wrapping_add(1 + salt as u32 % 1000);
            "PlainLen"
        }
        5 => {
            bad.plain_len = u32::MAX;
            "PlainLen"
        }
        6 => {
            bad.place = Place::Shard { stripe: stripe + manifest.stripe_count(), index };
            "UnknownPlace"
        }
        7 => {
            bad.place = Place::Shard { stripe, index: u16::MAX };
            "UnknownPlace"
        }
        _ if parity => {
            bad.codec = Codec::Lz4;
            "Codec"
        }
        _ => {
            // A bomb: a literal, then one match of up to a million bytes.
            let mut bomb = vec![0x1f, 0, 1, 0];
            bomb.resize(piece.plain_len as usize - 1, 255);
            (bad.codec, bad.bytes) = (Codec::Lz4, bomb.into());
            "Undecodable"
        }
    };
    (bad, reason)
}

fn name(reason: RejectReason) -> String {
    format!("{reason:?}").split([' ', '{']).next().unwrap_or_default().to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bad_pieces_are_named_and_the_rest_succeeds(
        resource in any_resource(),
        config in any_config(),
        seed: u64,
        kind: u8,
    ) {
        let encoded = encode(&resource, &config).unwrap();
        let manifest = encoded.manifest;
        // Up to `parity` places of each stripe only ever see bad pieces. All others get one bad piece first.
        let marks = noise(encoded.pieces.len(), seed);
        let mut spoilt = vec![0; manifest.stripe_count() as usize];
        let mut assembler = Assembler::new(manifest.clone());
        let mut repair = (manifest.stripe_count() > 0).then(|| StripeRepair::new(&manifest, 0, &[0]).unwrap());
        for (piece, mark) in encoded.pieces.iter().zip(marks) {
            let (stripe, _) = shard(piece);
            let (bad, expected) = spoil(piece, &manifest, kind.wrapping_add(mark), usize::from(mark) * 37);
            let before = assembler.held_bytes();
            match assembler.insert(bad.clone()) {
                Inserted::Rejected(reason) => prop_assert_eq!(name(reason), expected),
                // Decoding is not tried for places that are not needed any more.
                inserted => {
                    prop_assert_eq!(inserted, Inserted::Duplicate);
                    prop_assert!(assembler.is_stripe_complete(stripe));
                }
            }
            prop_assert_eq!(assembler.held_bytes(), before);
            if let Some(repair) = &mut repair {
                prop_assert_ne!(repair.insert(bad), Inserted::Accepted);
            }
            let spoilt = &mut spoilt[stripe as usize];
            if *spoilt < manifest.stripe(stripe).unwrap().parity && mark % 2 == 0 {
                *spoilt += 1;
                continue;
            }
            prop_assert!(!matches!(assembler.insert(piece.clone()), Inserted::Rejected(_)));
            prop_assert_eq!(assembler.insert(piece.clone()), Inserted::Duplicate);
        }
        prop_assert_eq!(assembler.finish().unwrap(), resource);
    }

    /// Whatever the fields say, nothing panics, and nothing but the genuine piece is accepted.
    #[test]
    fn random_claims_are_never_accepted(
        stripe in 0..4_u32,
        index in 0..8_u16,
        plain_len: u32,
        raw: bool,
        bytes in proptest::collection::vec(any::<u8>(), 0..5000),
        genuine_id: bool,
    ) {
        let manifest = encode(&noise(9 * CHUNK + 77, 1), &config(3, 2, 2)).unwrap().manifest;
        let place = Place::Shard { stripe, index };
        let id = manifest.id(place).ok().filter(|_| genuine_id).unwrap_or(ChunkId::of_chunk(&bytes));
        let codec = if raw { Codec::Raw } else { Codec::Lz4 };
        let plain_len = manifest.piece_len(place).filter(|_| genuine_id).unwrap_or(plain_len);
        let piece = Piece { id, place, codec, plain_len, bytes: bytes.into(), duplicate_of: None };
        let mut assembler = Assembler::new(manifest);
        prop_assert!(matches!(assembler.insert(piece), Inserted::Rejected(_)));
        prop_assert_eq!(assembler.held_bytes(), 0);
    }
}

/// A genuine piece under the label of another place.
#[test]
fn a_mislabelled_piece_is_rejected() {
    let encoded = encode(&noise(6 * CHUNK, 1), &config(3, 2, 2)).unwrap();
    let mut assembler = Assembler::new(encoded.manifest.clone());
    for (piece, other) in encoded.pieces.iter().zip(encoded.pieces.iter().skip(1)) {
        let reason = RejectReason::WrongId { expected: other.id, claimed: piece.id };
        let mislabelled = Piece { place: other.place, ..piece.clone() };
        assert_eq!(assembler.insert(mislabelled.clone()), Inserted::Rejected(reason));
        // With the label of the other piece also on the content, the content gives it away.
        let relabelled = Piece { id: other.id, ..mislabelled };
        let reason = RejectReason::WrongContent { expected: other.id, actual: piece.id };
        if shard(piece).1 < 3 && shard(other).1 < 3 {
            assert_eq!(assembler.insert(relabelled), Inserted::Rejected(reason));
        }
    }
}

/// A parity shard that equals a data chunk byte for byte does not pass as it: their ids are of different domains.
#[test]
fn parity_does_not_pass_as_data() {
    // With one data shard each parity shard equals it.
    let encoded = encode(&noise(CHUNK, 1), &config(1, 1, 1)).unwrap();
    assert_eq!(encoded.pieces[0].bytes, encoded.pieces[1].bytes);
    assert_ne!(encoded.pieces[0].id, encoded.pieces[1].id);
}

/// A publisher who names parity that does not belong to the data cannot make the assembler hand out wrong bytes, nor
/// keep it from the data.
#[test]
fn inconsistent_parity_is_blamed_on_the_manifest() {
    let resource = noise(3 * CHUNK, 1);
    let honest = encode(&resource, &config(3, 2, 1)).unwrap();
    let forged_shard = noise(CHUNK, 99);
    let forged_id = ChunkId::of_parity(&forged_shard);
    let mut page = honest.manifest.to_bytes().to_vec();
    page[32 + 3 * 32..32 + 4 * 32].copy_from_slice(forged_id.as_bytes());
    let manifest = Manifest::from_bytes(&page, &Limits::default()).unwrap();
    let forged = Piece { id: forged_id, bytes: forged_shard, ..honest.pieces[3].clone() };
    let blame = Inserted::Rejected(RejectReason::InconsistentParity { stripe: 0 });

    let mut assembler = Assembler::new(manifest.clone());
    assert_accepted(assembler.insert(honest.pieces[0].clone()));
    assert_accepted(assembler.insert(honest.pieces[1].clone()));
    assert_eq!(assembler.insert(forged.clone()), blame);
    assert_eq!(assembler.insert(honest.pieces[4].clone()), blame);
    let shortfall = NotEnoughShards { stripe: 0, needed: 3, present: 2 };
    assert_eq!(assembler.finish(), Err(FinishError::NotEnoughShards(shortfall)));
    assert_eq!(assembler.missing().collect::<Vec<_>>(), [honest.pieces[2].place]);
    assert_accepted(assembler.insert(honest.pieces[2].clone()));
    assert_eq!(assembler.finish(), Ok(resource));

    let mut repair = StripeRepair::new(&manifest, 0, &[2]).unwrap();
    for piece in [&honest.pieces[0], &honest.pieces[1], &forged] {
        assert_accepted(repair.insert(piece.clone()));
    }
    assert!(repair.finish(inos_chunk::Compression::Raw).is_err());
}

/// Blocks that decode to fewer or more bytes than the manifest says, with the right claims otherwise.
#[test]
fn lz4_blocks_of_other_lengths_are_undecodable() {
    let encoded = encode(&text(CHUNK), &config(2, 1, 1)).unwrap();
    for len in [0, 1, CHUNK - 1, CHUNK + 1, 40 * CHUNK] {
        let block = Bytes::from(lz4_block_of_zeros(len));
        if block.len() >= CHUNK {
            continue;
        }
        let piece = Piece { codec: Codec::Lz4, bytes: block, ..encoded.pieces[0].clone() };
        let mut assembler = Assembler::new(encoded.manifest.clone());
        let reason = RejectReason::Undecodable { plain_len: CHUNK as u32 };
        assert_eq!(assembler.insert(piece), Inserted::Rejected(reason), "{len}");
    }
}

/// An LZ4 block by hand: one literal zero, a match at distance 1 for most, and the rest as literals.
fn lz4_block_of_zeros(len: usize) -> Vec<u8> {
    if len < 20 {
        return [vec![(len as u8) << 4], vec![0; len]].concat();
    }
    let mut block = vec![0x1f, 0, 1, 0];
    let mut extra = len - 1 - 8 - 19;
    while extra >= 255 {
        block.push(255);
        extra -= 255;
    }
    block.push(extra as u8);
    block.push(8 << 4);
    block.extend([0; 8]);
    block
}
