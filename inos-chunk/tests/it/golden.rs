//! Goal: the formats never change by accident. Method: vectors made by other programs from `docs/format.md` alone, so
//! that they also prove that the document is enough:
//!
//! - ids, parity and page of a resource in two stripes: Python with the packages blake3 1.0.11 (ids), `struct` (page)
//!   and XOR (with one parity shard the code is the XOR of the padded data);
//! - a piece: the same, with the package xxhash for its tag;
//! - an LZ4 block: the reference C implementation, package lz4 4.4.5, high compression;
//! - parity of 3 + 2 and 100 + 20 shards: ids of what reed-solomon-simd 3.1.0 computed on x86-64 on the day the format
//!   was fixed.

use crate::common::{assert_accepted, config};
use bytes::Bytes;
use inos_chunk::{Assembler, ChunkId, ChunkSize, Codec, Config, Limits, Manifest, Piece, Place, encode};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const PAGE: &str = "494e4f4d0100000c1027000000000000020001000200000005000000000000009998fc9f866b337c4f06bacb8f959aa3\
     c2c64d44934715494d97056bac40362187ca3ec15559505ae7d10d7aedd80714ce5a1d8ec9dc56abdf4ca3fcfe1b5f72\
     5050dbe41de6e3c2e84a7981615b0ae01f37c18d99add99bc960ced6b2123c5645f52df19234c6479b5c0f1c2473f67f\
     d9f9d73d07ba5e20b0aa474bb1b8907967967a9b2b513f4d3dcc964f205460289a115df5270ece4401d299706d434e5f";
const ROOT: &str = "47462d2d32228174870708c78f6e9b24a5ec0c9b32b02e7be0cfb90987629f45";

/// 4,000 bytes of `node 000 is up; node 001 is up; ...`, the number modulo 50.
const LZ4_BLOCK: &str = "f3016e6f6465203030302069732075703b2010001b3110001b3210001b3310001b3410001b3510001b3610001b371000\
     1b3810001a3910001b31a0001b31a0001b31a0001b31a0001b31a0001b31a0001b31a0001b31a0001b31a0001b31a000\
     1b32a0001b32a0001b32a0001b32a0001b32a0001b32a0001b32a0001b32a0001b32a0001b32a0001b33a0001b33a000\
     1b33a0001b33a0001b33a0001b33a0001b33a0001b33a0001b33a0001b33a0001b34a0001b34a0001b34a0001b34a000\
     1b34a0001b34a0001b34a0001b34a0001b34a0001b34a0000f2003ffffffffffffffffffffffff6e502075703b20";

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// Byte `i` is `7 * i + 13 * (i / 256)`, modulo 256.
fn resource(len: u32) -> Bytes {
    (0..len).map(|i| (i * 7 + (i >> 8) * 13).to_le_bytes()[0]).collect()
}

#[test]
fn ids_and_manifest() {
    let encoded = encode(&resource(10_000), &config(2, 1, 2)).unwrap();
    assert_eq!(encoded.manifest.to_bytes(), unhex(PAGE));
    assert_eq!(encoded.manifest.root().to_string(), ROOT);
    // Chunks 0, 1, 2, then the parity of stripes 0 and 1.
    let shards = [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)];
    for ((piece, id), (stripe, index)) in encoded.pieces.iter().zip(unhex(PAGE)[32..].chunks(32)).zip(shards) {
        assert_eq!(piece.id.as_bytes(), id);
        assert_eq!(piece.place, Place::Shard { stripe, index });
    }
    let manifest = Manifest::open(&unhex(PAGE), ROOT.parse().unwrap(), &Limits::default()).unwrap();
    assert_eq!(manifest, encoded.manifest);
}

/// The wire form of the last data piece, raw: header, then 1,808 bytes.
#[test]
fn piece() {
    let config = Config { compression: inos_chunk::Compression::Raw, ..config(2, 1, 2) };
    let encoded = encode(&resource(10_000), &config).unwrap();
    let header = unhex(
        "494e4f5001000000000000000100000010070000100700005050dbe41de6e3c2e84a7981615b0ae01f37c18d99add99b\
     c960ced6b2123c560bd3f4dd6ca70795",
    );
    assert_eq!(encoded.pieces[2].encode_header(), header[..]);
}

#[test]
fn a_stored_lz4_block() {
    let plain: Bytes = (0..250).flat_map(|i| format!("node {:03} is up; ", i % 50).into_bytes()).take(4000).collect();
    let encoded = encode(&plain, &config(1, 1, 1)).unwrap();
    assert_eq!(encoded.pieces[0].id.to_string(), "a918fbc362896a2de8c8f5a78fbc41dd5a01ef3bb4ba82ee71ba1aa225e1f3b0");
    let stored = Piece { codec: Codec::Lz4, bytes: unhex(LZ4_BLOCK).into(), ..encoded.pieces[0].clone() };
    let mut assembler = Assembler::new(encoded.manifest);
    assert_accepted(assembler.insert(stored));
    assert_eq!(assembler.finish(), Ok(plain));
}

#[test]
fn parity() {
    let encoded = encode(&resource(11_001), &config(3, 2, 1)).unwrap();
    let ids: Vec<String> = encoded.pieces[3..].iter().map(|piece| piece.id.to_string()).collect();
    assert_eq!(
        ids,
        [
            "9ab8cf8e7120510f90b5ac05c2b895c8a9695c6c7b2134040ddfc670fc666334",
            "0f059f9cd3caa190245150ff11103777353cfe8e19da37250fa42dacc5379463",
        ]
    );
    // All 20 parity ids of a full default stripe with a short last chunk, in one.
    let config = Config { chunk_size: ChunkSize::MIN, interleave: 1, ..Config::default() };
    let encoded = encode(&resource(100 * 4096 - 77), &config).unwrap();
    let ids: Vec<u8> = encoded.pieces[100..].iter().flat_map(|piece| *piece.id.as_bytes()).collect();
    assert_eq!(ids.len(), 20 * 32);
    assert_eq!(ChunkId::of_chunk(&ids).to_string(), "26369d48f8b13341e0061d5ac19e8534b607e10fea284aa31a8278ffd826d122");
}
