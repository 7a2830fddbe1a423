//! Goal: the formats never change by accident. Method: vectors made by other programs from `docs/format.md` alone, so
//! that they also prove that the document is enough:
//!
//! - ids, parity and page of a resource in two stripes: Python with the packages blake3 1.0.11 (ids), `struct` (page)
//!   and XOR (with one parity shard the code is the XOR of the padded data);
//! - a piece: the same, with the package xxhash for its tag;
//! - an LZ4 block: the reference C implementation, package lz4 4.4.5, high compression;
//! - a manifest of several pages: Python as for the ids; over one page each parity shard is the page itself;
//! - parity of three pages: what reed-solomon-simd computes, in the test;
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

/// The same block on the wire.
#[test]
fn a_stored_lz4_piece() {
    let plain: Bytes = (0..250).flat_map(|i| format!("node {:03} is up; ", i % 50).into_bytes()).take(4000).collect();
    let header = unhex(
        "494e4f50010001000000000000000000a00f0000ee000000a918fbc362896a2de8c8f5a78fbc41dd5a01ef3bb4ba82ee\
         71ba1aa225e1f3b0ad2f2e62fdb483ae",
    );
    let piece = Piece::from_bytes([header, unhex(LZ4_BLOCK)].concat().into()).unwrap();
    let manifest = encode(&plain, &config(1, 1, 1)).unwrap().manifest;
    assert_eq!(manifest.verify(&piece), Ok(plain));
}

/// Byte `i` is `7 * i + 13 * (i / 2^8) + 5 * (i / 2^16)`, modulo 256. With 1 + 1 a parity shard is its chunk.
fn large_resource(len: u32) -> Bytes {
    (0..len).map(|i| (i * 7 + (i >> 8) * 13 + (i >> 16) * 5).to_le_bytes()[0]).collect()
}

/// 1,024 chunks, the last of 3,996 bytes: 2,048 pieces, one page.
#[test]
fn root_page_of_level_1() {
    let encoded = encode(&large_resource(1024 * 4096 - 100), &config(1, 1, 256)).unwrap();
    let root = unhex(
        "494e4f4d0100010c9cff3f00000000000100010000010000050000000000000077b3b99df356fff369cf37d318817128\
         4cca6aafa98f5f0d63d00cba7ce176ef6c858f82b811bce1c60f33934064673f20000ba7264d1c176c23f7a37a26b9fb\
         6c858f82b811bce1c60f33934064673f20000ba7264d1c176c23f7a37a26b9fb6c858f82b811bce1c60f33934064673f\
         20000ba7264d1c176c23f7a37a26b9fb6c858f82b811bce1c60f33934064673f20000ba7264d1c176c23f7a37a26b9fb",
    );
    assert_eq!(encoded.manifest.to_bytes(), root);
    let id = "1146554ec703e8fc1c466b57bcf39c3bf0bfd23c94510300f44025edfd3d7a36";
    assert_eq!(encoded.manifest.root().to_string(), id);
    let mut manifest = Manifest::open(&root, id.parse().unwrap(), &Limits::default()).unwrap();
    let page = &encoded.pieces[2048];
    assert_eq!(page.place, Place::Page { level: 0, parent: 0, child: 0 });
    assert_accepted(manifest.insert_page(page.clone()));
    let last = Place::Shard { stripe: 1023, index: 1 };
    let id = "9165ad187c836701029c2c8511ce469c656e1831aa8f09f76461908f98f1d199";
    assert_eq!(manifest.id(last).map(|id| id.to_string()), Ok(id.to_owned()));
    // Parity over a single page is that page.
    for parity in &encoded.pieces[2049..] {
        assert_eq!(parity.bytes, page.bytes);
    }
    assert_eq!(encoded.pieces.len(), 2048 + 1 + 4);
}

/// 3,000 chunks: pages of 2,048, 2,048 and 1,904 ids.
#[test]
fn pages_and_their_parity() {
    let encoded = encode(&large_resource(3000 * 4096 - 100), &config(1, 1, 256)).unwrap();
    let is_page = |piece: &&Piece| matches!(piece.place, Place::Page { .. });
    let pages: Vec<&Piece> = encoded.pieces.iter().filter(is_page).collect();
    let ids: Vec<String> = pages[..3].iter().map(|page| page.id.to_string()).collect();
    assert_eq!(
        ids,
        [
            "f9f520d26910e6da96f36346e7584406e17a1256f39a1f8da543c650b807b4c9",
            "7810a33e9a4d2abb2022c274b65bd83791e49b6ede20cde1d11d4eb4b41e826b",
            "3627a56385246e6c2619a8fcf70e21a5e546171a5ac963f12f3372b963982c7b",
        ]
    );
    // The header of the last page's wire form.
    let header = unhex(
        "494e4f5001010000000000000200000000ee000000ee00003627a56385246e6c2619a8fcf70e21a5e546171a5ac963f1\
         2f3372b963982c7b45572d3fc9da4f86",
    );
    assert_eq!(pages[2].encode_header(), header[..]);
    assert_eq!(Piece::from_bytes(pages[2].to_bytes()).as_ref(), Ok(pages[2]));

    let mut encoder = reed_solomon_simd::ReedSolomonEncoder::new(3, 4, 65_536).unwrap();
    for page in &pages[..3] {
        let mut padded = page.bytes.to_vec();
        padded.resize(65_536, 0);
        encoder.add_original_shard(padded).unwrap();
    }
    let result = encoder.encode().unwrap();
    assert_eq!(pages.len(), 7);
    for (parity, expected) in pages[3..].iter().zip(result.recovery_iter()) {
        assert_eq!(parity.bytes, expected);
        assert_eq!(parity.id, ChunkId::of_page_parity(expected));
    }
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
