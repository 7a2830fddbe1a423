//! Goal: several workers make what one makes, in the same order, however it is pushed; memory is bounded; the threads end
//! with the encoder. Method:
//!
//! The sequential encoder is the oracle. Chunks are small, so that the workers meet often; a few resources have chunks
//! of full length, with stripes of several columns.

use crate::common::{any_config, any_resource, config, noise, text};
use bytes::Bytes;
use inos_chunk::parallel::{self, ParallelError, Workers};
use inos_chunk::{ChunkSize, Compression, Config, ConfigError, EncodeError, Geometry, Piece, encode};
use proptest::prelude::*;

fn workers(count: u16) -> Workers {
    Workers::new(count).unwrap()
}

/// Pushes in parts of `part` bytes and polls after each.
fn poll_all(encoder: &mut parallel::Encoder, resource: &Bytes, part: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = resource.clone();
    while !rest.is_empty() {
        encoder.push(rest.split_to(part.min(rest.len()))).unwrap();
        pieces.extend(core::iter::from_fn(|| encoder.next_piece()));
    }
    encoder.end().unwrap();
    pieces.extend(core::iter::from_fn(|| encoder.next_piece()));
    pieces
}

fn assert_same(resource: &Bytes, config: &Config, count: u16, part: usize) {
    let expected = encode(resource, config).unwrap();
    let encoded = parallel::encode(resource, config, workers(count)).unwrap();
    assert_eq!(encoded, expected);
    // Manifests are equal whatever is loaded.
    assert_eq!(encoded.manifest.missing_pages().next(), None);
    for mut encoder in [
        parallel::Encoder::new(resource.len() as u64, config, workers(count)).unwrap(),
        parallel::Encoder::streaming(config, workers(count)).unwrap(),
    ] {
        assert_eq!(poll_all(&mut encoder, resource, part), expected.pieces);
        assert_eq!(encoder.finish().unwrap(), expected.manifest);
        assert_eq!(encoder.next_piece(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_number_of_workers_makes_the_same(
        resource in any_resource(), config in any_config(), count in 1..=5_u16, part in 1..40_000_usize,
    ) {
        assert_same(&resource, &config, count, part);
    }
}

#[test]
fn columns_and_batches_of_all_sizes_fit_together() {
    // Chunks of 1 MiB make stripes of 14 MiB: two columns each, the last chunk odd and short.
    let resource: Bytes = [noise(5 << 20, 1), text(7 << 20), noise((3 << 20) + 4_321, 2)].concat().into();
    let wide = Config { geometry: Geometry::new(10, 4).unwrap(), interleave: 2, ..Config::default() };
    assert_same(&resource, &wide, 3, 700_000);
    // Batches of 64 chunks; several stripes, groups and manifest pages.
    let small = Config { compression: Compression::Lz4, ..config(50, 10, 3) };
    assert_same(&resource, &small, 3, 700_000);
    // A batch of two, and a stripe larger than the window.
    let medium = Config { chunk_size: ChunkSize::new(128 << 10).unwrap(), ..config(100, 3, 1) };
    assert_same(&resource, &medium, 2, 3 << 20);
}

#[test]
fn repeats_are_reported_alike() {
    let resource = Bytes::from(vec![0; 3 << 20]);
    let config = config(10, 4, 2);
    let pieces = parallel::encode(&resource, &config, workers(4)).unwrap().pieces;
    assert!(pieces.iter().filter(|piece| piece.duplicate_of.is_some()).count() > 700);
    assert_eq!(pieces, encode(&resource, &config).unwrap().pieces);
}

#[test]
fn pieces_come_a_fixed_number_of_chunks_later() {
    // Two workers hold back eight chunks of 256 KiB or more; with one nothing is held back.
    let config = Config { chunk_size: ChunkSize::new(256 << 10).unwrap(), ..config(100, 20, 1) };
    for (count, lag) in [(1, 0), (2, 8), (3, 12)] {
        let mut encoder = parallel::Encoder::new(30 << 18, &config, workers(count)).unwrap();
        let mut made = 0;
        for pushed in 1..30 {
            encoder.push(noise(256 << 10, pushed)).unwrap();
            made += core::iter::from_fn(|| encoder.next_piece()).count();
            assert_eq!(made as u64, pushed.saturating_sub(lag), "{count} workers, {pushed} chunks");
        }
        encoder.push(noise(256 << 10, 30)).unwrap();
        encoder.end().unwrap();
        made += core::iter::from_fn(|| encoder.next_piece()).count();
        assert_eq!(made, 30 + 6);
    }
}

#[test]
fn an_encoder_may_be_dropped_at_any_moment() {
    let config = Config { chunk_size: ChunkSize::new(256 << 10).unwrap(), ..config(6, 2, 2) };
    let resource = noise(24 << 18, 1);
    for polled in 0..30 {
        let mut encoder = parallel::Encoder::new(resource.len() as u64, &config, workers(3)).unwrap();
        encoder.push(resource.clone()).unwrap();
        encoder.end().unwrap();
        for _ in 0..polled {
            assert!(encoder.next_piece().is_some());
        }
        drop(encoder);
        // A thread that still worked on the resource would hold a slice of it.
        assert!(resource.is_unique(), "dropped after {polled} pieces");
    }
}

#[test]
fn wrong_use_is_the_same_error_as_alone() {
    let config = config(3, 2, 1);
    let wrong = Config { interleave: 0, ..config };
    let refused = parallel::Encoder::new(1, &wrong, workers(2)).unwrap_err();
    assert_eq!(refused, ParallelError::Encode(EncodeError::Config(ConfigError::Interleave { interleave: 0 })));

    let mut encoder = parallel::Encoder::new(3, &config, workers(2)).unwrap();
    let too_long = EncodeError::TooLong { declared: 3, pushed: 4 };
    assert_eq!(encoder.push(Bytes::from_static(b"long")), Err(ParallelError::Encode(too_long)));
    encoder.push(Bytes::from_static(b"ok")).unwrap();
    let too_short = EncodeError::TooShort { declared: 3, pushed: 2 };
    assert_eq!(encoder.end(), Err(ParallelError::Encode(too_short)));
    encoder.push(Bytes::from_static(b"!")).unwrap();
    encoder.end().unwrap();
    assert!(matches!(encoder.finish(), Err(ParallelError::Encode(EncodeError::Undrained { .. }))));
    assert_eq!((encoder.piece_count(), encoder.level()), (Some(2), Some(0)));
    assert_eq!(encoder.stripe(0).map(|shape| shape.data), Some(1));
    assert_eq!(core::iter::from_fn(|| encoder.next_piece()).count(), 2);
    encoder.finish().unwrap();
    assert_eq!(encoder.push(Bytes::from_static(b"more")), Err(ParallelError::Encode(EncodeError::Ended)));
}

#[test]
fn numbers_of_workers() {
    assert_eq!(Workers::new(0), None);
    assert_eq!(Workers::new(Workers::MAX + 1), None);
    assert_eq!(Workers::new(Workers::MAX).map(Workers::count), Some(256));
    assert!(Workers::available().count() >= 1);
}
