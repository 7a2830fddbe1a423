//! Goal: the documented bounds of memory hold, for honest and for hostile input. Method: a global allocator that
//! counts, around the calls in question; chunks of 4 KiB, so that 100 MiB make as many groups and pages as 25 GiB do
//! with 1 MiB. `cargo run --release -p inos-chunk --example stream` does the same with full-sized chunks.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but does not see that helpers belong to them")]

mod counting;

extern crate alloc;

use alloc::collections::BTreeMap;
use bytes::Bytes;
use counting::{Counting, peak_of};
use inos_chunk::{
    Assembler, ChunkId, ChunkSize, Codec, Config, Encoder, Inserted, Limits, Manifest, ManifestError, ManifestWriter,
    Piece, Place, Quantity, RejectReason, encode,
};
use std::sync::{Mutex, MutexGuard};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CHUNK: usize = 4096;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The counters are those of the whole process, so one test measures at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Chunk `number` of a resource without repeats.
fn chunk(number: u64) -> Bytes {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(CHUNK);
    while bytes.len() < CHUNK {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ state >> 29).to_le_bytes());
    }
    bytes.into()
}

fn config() -> Config {
    Config { chunk_size: ChunkSize::MIN, ..Config::default() }
}

/// Encodes `chunks` chunks, and hands each piece over.
fn stream(mut encoder: Encoder, chunks: u64, mut take: impl FnMut(Piece)) -> Manifest {
    for number in 0..chunks {
        encoder.push(chunk(number)).unwrap();
        core::iter::from_fn(|| encoder.next_piece()).for_each(&mut take);
    }
    encoder.end().unwrap();
    core::iter::from_fn(|| encoder.next_piece()).for_each(&mut take);
    encoder.finish().unwrap()
}

/// What the documentation allows an encoder or an assembler: a group, 20 shards of a stripe, one page stripe with its
/// parity, and a few MiB of tables and working memory.
const GROUP: usize = 400 * CHUNK;
const STRIPE: usize = 20 * CHUNK;
const PAGE_STRIPE: usize = 120 * 64 * KIB;
const WORKING: usize = 8 * MIB;

#[test]
fn a_resource_streams_through_encoder_and_assembler() {
    let _alone = alone();
    let chunks = if cfg!(target_arch = "wasm32") { 5_000 } else { 25_600 };
    let len = chunks * CHUNK as u64;
    let (manifest, peak) = peak_of(|| stream(Encoder::new(len, &config()).unwrap(), chunks, drop));
    assert!(peak <= GROUP + STRIPE + PAGE_STRIPE + WORKING, "an encoder: {peak}");
    let (streamed, peak) = peak_of(|| stream(Encoder::streaming(&config()).unwrap(), chunks, drop));
    assert!(peak <= GROUP + STRIPE + PAGE_STRIPE + WORKING, "an encoder of unknown length: {peak}");
    assert_eq!(streamed, manifest);
    assert_eq!(manifest.level(), 1);

    // 20 pieces of every stripe are lost, data all of them, and every fifth page.
    let mut mesh = BTreeMap::new();
    stream(Encoder::new(len, &config()).unwrap(), chunks, |piece| {
        let lost = match piece.place {
            Place::Shard { index, .. } => (40..60).contains(&index),
            Place::Page { child, .. } => child % 5 == 0,
            _ => false,
        };
        if !lost {
            mesh.insert(piece.place, piece);
        }
    });
    let mut assembler = Assembler::new(manifest);
    let mut ready = 0;
    let ((), peak) = peak_of(|| {
        while !assembler.is_complete() {
            let place = assembler.missing().find(|place| mesh.contains_key(place)).unwrap();
            // As from the wire: with a buffer of its own.
            let piece = Piece { bytes: Bytes::copy_from_slice(&mesh[&place].bytes), ..mesh[&place].clone() };
            assert_eq!(assembler.insert(piece), Inserted::Accepted);
            while let Some((offset, bytes)) = assembler.next_ready() {
                assert_eq!(offset, ready * CHUNK as u64);
                assert!(bytes == chunk(ready));
                ready += 1;
            }
        }
    });
    assert_eq!(ready, chunks);
    assert!(peak <= GROUP + STRIPE + PAGE_STRIPE + WORKING, "an assembler: {peak}");
}

/// A group, the chunks ahead and their pieces, and the parity of two stripes; however slowly the pieces are polled.
#[cfg(all(feature = "parallel", not(target_arch = "wasm32")))]
#[test]
fn workers_do_not_run_ahead() {
    use inos_chunk::parallel;
    let _alone = alone();
    // Two workers: eight batches of 256 KiB.
    const AHEAD: usize = 8 * 256 * KIB;
    let chunks = 25_600;
    let workers = parallel::Workers::new(2).unwrap();
    let bound = GROUP + 2 * AHEAD + 2 * STRIPE + PAGE_STRIPE + 2 * WORKING;

    let (_, peak) = peak_of(|| {
        let mut encoder = parallel::Encoder::new(chunks * CHUNK as u64, &config(), workers).unwrap();
        for number in 0..chunks {
            encoder.push(chunk(number)).unwrap();
            while encoder.next_piece().is_some() {}
        }
        encoder.end().unwrap();
        while encoder.next_piece().is_some() {}
        encoder.finish().unwrap()
    });
    assert!(peak <= bound, "polled after each chunk: {peak}");

    // All at once, each chunk half compressible, so that each piece takes memory; and a caller who dawdles.
    let mut resource = Vec::new();
    for number in 0..chunks {
        resource.extend_from_slice(&chunk(number)[..CHUNK / 2]);
        resource.extend_from_slice(&[0; CHUNK / 2]);
    }
    let resource = Bytes::from(resource);
    let (pieces, peak) = peak_of(|| {
        let mut encoder = parallel::Encoder::new(resource.len() as u64, &config(), workers).unwrap();
        encoder.push(resource.clone()).unwrap();
        encoder.end().unwrap();
        let mut pieces = 0_u64;
        while encoder.next_piece().is_some() {
            if pieces.is_multiple_of(1_000) {
                std::thread::sleep(core::time::Duration::from_millis(2));
            }
            pieces += 1;
        }
        encoder.finish().unwrap();
        pieces
    });
    assert!(pieces > chunks);
    assert!(peak <= bound, "pushed at once: {peak}");
}

/// A forged length, a bomb, a block that is too short: no more than one chunk, whatever they claim.
#[test]
fn forged_lengths_and_bombs_allocate_at_most_one_chunk() {
    let _alone = alone();
    let encoded = encode(&Bytes::from(vec![7; 3 * MIB]), &Config::default()).unwrap();
    let genuine = &encoded.pieces[1];
    let mut bomb = vec![0x1f, 0, 1, 0];
    bomb.resize(MIB - 1, 255);
    let forgeries = [
        Piece { plain_len: u32::MAX, ..genuine.clone() },
        Piece { codec: Codec::Lz4, bytes: bomb.into(), ..genuine.clone() },
        Piece { codec: Codec::Lz4, bytes: Bytes::from_static(&[0x10, 0]), ..genuine.clone() },
        Piece { place: Place::Page { level: 0, parent: u32::MAX, child: u16::MAX }, ..genuine.clone() },
        Piece { place: Place::Shard { stripe: u32::MAX, index: u16::MAX }, ..genuine.clone() },
    ];
    for forged in forgeries {
        let mut assembler = Assembler::new(encoded.manifest.clone());
        let (inserted, peak) = peak_of(|| assembler.insert(forged));
        assert!(matches!(inserted, Inserted::Rejected(_)));
        assert!(peak <= MIB + 16 * KIB, "{peak} for {inserted:?}");
    }
    let mut wire = genuine.to_bytes().to_vec();
    wire[16..24].fill(255);
    let (piece, peak) = peak_of(|| Piece::from_bytes(wire.into()));
    assert!(piece.is_err() && peak <= 16 * KIB, "{peak}");
}

/// A header that announces as much as it can, and a page that nobody named.
#[test]
fn forged_manifests_allocate_nothing() {
    let _alone = alone();
    let manifest = ManifestWriter::new(0, &Config::default()).unwrap().finish().unwrap();
    for (plain_len, interleave) in [(1_u64 << 40, 4_u16), (1 << 40, 256), (u64::MAX, 1), (1 << 36, 1)] {
        let mut header = manifest.to_bytes().to_vec();
        header[6] = 1;
        header[8..16].copy_from_slice(&plain_len.to_le_bytes());
        header[20..22].copy_from_slice(&interleave.to_le_bytes());
        header[24..28].fill(255);
        let (result, peak) = peak_of(|| Manifest::from_bytes(&header, &Limits::default()));
        assert!(result.is_err());
        assert!(peak <= 16 * KIB, "{peak} for {result:?}");
    }
    let long = vec![0; 16 * MIB];
    let (result, peak) = peak_of(|| Manifest::from_bytes(&long, &Limits::default()));
    assert!(matches!(result, Err(ManifestError::Limit { what: Quantity::RootBytes, .. })));
    assert!(peak <= 16 * KIB, "{peak}");

    let (mut manifest, pages) = large_manifest(10_000, 0, &Bytes::new());
    let forged = Piece { bytes: Bytes::from(vec![1; 65_536]), ..pages[0].clone() };
    let (inserted, peak) = peak_of(|| manifest.insert_page(forged));
    assert!(matches!(inserted, Inserted::Rejected(RejectReason::WrongContent { .. })));
    assert!(peak <= 16 * KIB, "{peak}");
}

/// The manifest of a resource of `chunks` chunks of 1 MiB with made-up ids but for one, and its pages.
fn large_manifest(chunks: u64, genuine: u64, content: &Bytes) -> (Manifest, Vec<Piece>) {
    let mut writer = ManifestWriter::new(chunks << 20, &Config::default()).unwrap();
    let mut pages = Vec::new();
    // Chunk `c` of group `g` is entry 480 g + c.
    let entry = genuine / 400 * 480 + genuine % 400;
    for i in 0..writer.piece_count() {
        let mut id = [0; ChunkId::LEN];
        id[..8].copy_from_slice(&i.to_le_bytes());
        let id = if i == entry { ChunkId::of_chunk(content) } else { ChunkId::from_bytes(id) };
        writer.push(id).unwrap();
        pages.extend(core::iter::from_fn(|| writer.next_page()));
    }
    writer.end().unwrap();
    pages.extend(core::iter::from_fn(|| writer.next_page()));
    (writer.finish().unwrap(), pages)
}

/// 100 GB: built and kept as a whole within 64 MiB, though a publisher sends pages away as they come; and for a reader
/// of one chunk the root page, one page, and the chunk.
#[test]
fn the_manifest_of_100_gb_and_one_chunk_of_it() {
    let _alone = alone();
    let content = Bytes::from(vec![42; MIB]);
    let ((manifest, pages), peak) = peak_of(|| large_manifest(100_000, 77_777, &content));
    assert!(peak <= 64 * MIB, "to build: {peak}");
    assert_eq!((manifest.piece_count(), manifest.page_count(), pages.len()), (120_000, 59, 59 + 12));

    let (wire, root) = (manifest.to_bytes(), manifest.root());
    let (verified, peak) = peak_of(|| {
        let mut manifest = Manifest::open(&wire, root, &Limits::default()).unwrap();
        let place = manifest.locate(77_777 << 20).unwrap().place;
        for needed in manifest.pages_for(place).collect::<Vec<_>>() {
            let page = pages.iter().find(|page| page.place == needed).unwrap();
            assert_eq!(manifest.insert_page(page.clone()), Inserted::Accepted);
        }
        let id = ChunkId::of_chunk(&content);
        let (codec, bytes) = (Codec::Raw, content.clone());
        manifest.verify(&Piece { id, place, codec, plain_len: 1 << 20, bytes, duplicate_of: None })
    });
    assert_eq!(verified, Ok(content));
    assert!(peak <= 128 * KIB, "to verify: {peak}");

    // All pages of a stripe but its parity's worth lost: rebuilt within one page stripe, and its parity.
    let mut manifest = Manifest::open(&wire, root, &Limits::default()).unwrap();
    let ((), peak) = peak_of(|| {
        for page in pages.iter().skip(12) {
            let _ = manifest.insert_page(page.clone());
        }
    });
    assert_eq!(manifest.missing_pages().count(), 0);
    assert!(peak <= PAGE_STRIPE + WORKING, "to rebuild: {peak}");
}
