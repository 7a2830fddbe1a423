//! Goal: chunks, stripes and manifest entries are where `docs/format.md` says, for every length; groups are balanced,
//! no stripe is empty, and bursts are survived. Method: the document's rules written out as loops over lists, against
//! the manifest's arithmetic.

use crate::common::{CHUNK, config, noise};
use bytes::Bytes;
use inos_chunk::{
    Assembler, ChunkId, ChunkSize, Config, Geometry, Inserted, Limits, LookupError, Manifest, Place, encode,
};
use proptest::prelude::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

struct Naive {
    /// For each stripe the numbers of its chunks.
    stripes: Vec<Vec<u64>>,
    parity: Vec<u16>,
    /// All places in the order of the manifest.
    places: Vec<Place>,
}

fn naive(chunks: u64, config: &Config) -> Naive {
    let (data, parity) = (usize::from(config.geometry.data()), usize::from(config.geometry.parity()));
    let mut all = Naive { stripes: Vec::new(), parity: Vec::new(), places: Vec::new() };
    let chunks: Vec<u64> = (0..chunks).collect();
    for group in chunks.chunks(data * usize::from(config.interleave)) {
        let count = group.len().div_ceil(data);
        let first = all.stripes.len();
        all.stripes.resize(first + count, Vec::new());
        for (j, chunk) in group.iter().enumerate() {
            let stripe = &mut all.stripes[first + j % count];
            let index = stripe.len() as u16;
            stripe.push(*chunk);
            all.places.push(Place::Shard { stripe: (first + j % count) as u32, index });
        }
        for (stripe, chunks) in all.stripes.iter().enumerate().skip(first) {
            let k = chunks.len();
            let p = (k * parity).div_ceil(data).max(1);
            all.parity.push(p as u16);
            all.places.extend((k..k + p).map(|i| Place::Shard { stripe: stripe as u32, index: i as u16 }));
        }
    }
    all
}

/// A manifest with made-up ids: entry `i` has the id `[i; 32]` in 16 bits.
fn manifest(plain_len: u64, config: &Config, pieces: usize) -> Manifest {
    let mut page = b"INOM\x01\0\0".to_vec();
    page.push(config.chunk_size.bytes().trailing_zeros() as u8);
    page.extend(plain_len.to_le_bytes());
    page.extend(config.geometry.data().to_le_bytes());
    page.extend(config.geometry.parity().to_le_bytes());
    page.extend(config.interleave.to_le_bytes());
    page.extend([0; 2]);
    page.extend((pieces as u32).to_le_bytes());
    page.extend([0; 4]);
    (0..pieces).for_each(|i| page.extend(made_up_id(i).as_bytes()));
    Manifest::from_bytes(&page, &Limits { max_plain_len: u64::MAX, ..Limits::default() }).unwrap()
}

fn made_up_id(i: usize) -> ChunkId {
    let [a, b] = (i as u16).to_le_bytes();
    ChunkId::from_bytes(core::array::from_fn(|at| if at % 2 == 0 { a } else { b }))
}

fn check(plain_len: u64, config: &Config) {
    let chunk_bytes = config.chunk_size.bytes() as u64;
    let chunks = plain_len.div_ceil(chunk_bytes);
    let naive = naive(chunks, config);
    let manifest = manifest(plain_len, config, naive.places.len());
    assert_eq!(manifest.chunk_count(), chunks);
    assert_eq!(manifest.piece_count(), naive.places.len() as u64);
    assert_eq!(manifest.stripe_count() as usize, naive.stripes.len());
    assert!(manifest.places().eq(naive.places.iter().copied()));
    for (entry, place) in naive.places.iter().enumerate() {
        assert_eq!(manifest.id(*place), Ok(made_up_id(entry)), "{place:?}");
    }
    for (number, stripe) in naive.stripes.iter().enumerate() {
        let shape = manifest.stripe(number as u32).unwrap();
        assert!(!stripe.is_empty());
        assert_eq!((usize::from(shape.data), shape.parity), (stripe.len(), naive.parity[number]));
        let lengths = stripe.iter().map(|chunk| (plain_len - chunk * chunk_bytes).min(chunk_bytes));
        assert_eq!(u64::from(shape.shard_bytes), lengths.clone().max().unwrap().next_multiple_of(2));
        for ((index, chunk), len) in (0..).zip(stripe).zip(lengths) {
            let place = Place::Shard { stripe: number as u32, index };
            assert_eq!(manifest.place_of_chunk(*chunk), Some(place));
            assert_eq!(manifest.chunk_at(place), Some(*chunk));
            assert_eq!(manifest.piece_len(place).map(u64::from), Some(len));
            for within in [0, len - 1] {
                let found = manifest.locate(chunk * chunk_bytes + within).unwrap();
                assert_eq!((found.chunk, found.place, u64::from(found.within)), (*chunk, place, within));
            }
        }
        for index in shape.data..shape.data + shape.parity {
            let place = Place::Shard { stripe: number as u32, index };
            assert_eq!((manifest.chunk_at(place), manifest.piece_len(place)), (None, Some(shape.shard_bytes)));
        }
        let place = Place::Shard { stripe: number as u32, index: shape.data + shape.parity };
        assert_eq!(manifest.id(place), Err(LookupError::NoSuchPlace { place }));
    }
    assert_eq!(manifest.stripe(naive.stripes.len() as u32), None);
    assert_eq!((manifest.place_of_chunk(chunks), manifest.locate(plain_len)), (None, None));
}

proptest! {
    #[test]
    fn the_arithmetic_is_that_of_the_document(
        data in 1..120_u16,
        parity in 1..24_u16,
        interleave in 1..6_u16,
        chunks in 0..900_u64,
        short in 0..4096_u64,
    ) {
        let config = config(data, parity, interleave);
        prop_assume!(naive(chunks, &config).places.len() <= 2047);
        check((chunks * 4096).saturating_sub(short), &config);
    }
}

#[test]
fn every_chunk_count_of_small_shapes() {
    for (data, parity, interleave) in [(1, 1, 1), (1, 3, 4), (3, 2, 2), (5, 1, 3), (4, 4, 256)] {
        (0..60).for_each(|chunks| check(chunks * 4096, &config(data, parity, interleave)));
    }
    check(1 << 30, &Config::default());
    check(1_700_000_000, &Config { geometry: Geometry::WIDE, ..Config::default() });
    check(1600 << 24, &Config { chunk_size: ChunkSize::MAX, ..Config::default() });
}

#[test]
fn for_nodes_is_the_largest_that_fits() {
    for nodes in 2..=2000 {
        let geometry = Geometry::for_nodes(nodes).unwrap();
        let data = u32::from(geometry.data());
        assert!(geometry.shards() <= nodes && u32::from(geometry.parity()) == data.div_ceil(5));
        assert!(data + 1 + (data + 1).div_ceil(5) > nodes);
    }
    assert_eq!(Geometry::for_nodes(120), Ok(Geometry::DEFAULT));
    assert_eq!(Geometry::for_nodes(1200), Ok(Geometry::WIDE));
    assert_eq!(Geometry::for_nodes(u32::MAX).unwrap().data(), Geometry::MAX_SHARDS);
    assert!(Geometry::for_nodes(0).is_err() && Geometry::for_nodes(1).is_err());
    assert!(Geometry::new(1, 0).is_err() && Geometry::new(32_769, 1).is_err());
}

/// A run of `max_burst` neighbours may be lost anywhere in full groups; one more may not.
#[test]
fn bursts_up_to_max_burst_are_survived() {
    let config = config(5, 2, 3);
    let resource: Bytes = noise(30 * CHUNK, 1);
    let encoded = encode(&resource, &config).unwrap();
    let burst = config.geometry.max_burst(config.interleave);
    assert_eq!(burst, 6);
    let survives = |lost: core::ops::Range<u64>| {
        let mut assembler = Assembler::new(encoded.manifest.clone());
        for piece in &encoded.pieces {
            if !encoded.manifest.chunk_at(piece.place).is_some_and(|chunk| lost.contains(&chunk)) {
                assert!(!matches!(assembler.insert(piece.clone()), Inserted::Rejected(_)));
            }
        }
        assembler.finish().is_ok_and(|bytes| bytes == resource)
    };
    for first in 0..=30 - burst {
        assert!(survives(first..first + burst));
    }
    assert!(!survives(0..burst + 1));
}

/// In a smaller last group the stripes may differ in parity: the one with the fewest decides, wherever the run starts.
#[test]
fn bursts_in_the_last_group_are_survived() {
    for chunks in 1..=30 {
        let encoded = encode(&noise(chunks * CHUNK, 1), &config(10, 4, 3)).unwrap();
        let stripes: Vec<_> =
            (0..encoded.manifest.stripe_count()).map(|i| encoded.manifest.stripe(i).unwrap()).collect();
        let burst = (stripes.len() * usize::from(stripes.last().unwrap().parity)).min(chunks);
        let survives = |lost: core::ops::Range<usize>| {
            stripes.iter().enumerate().all(|(number, stripe)| {
                let of_stripe = |chunk: &usize| match encoded.manifest.place_of_chunk(*chunk as u64) {
                    Some(Place::Shard { stripe, .. }) => stripe as usize == number,
                    _ => false,
                };
                lost.clone().filter(of_stripe).count() <= usize::from(stripe.parity)
            })
        };
        for first in 0..=chunks - burst {
            assert!(survives(first..first + burst));
        }
        // Not even the sum of all parity would do: the run may start at the wrong stripe.
        assert!(chunks != 11 || !survives(1..6));
    }
}
