//! Goal: a manifest of several pages is made as `docs/format.md` says, names the same pieces page by page, survives the
//! loss of pages up to their parity, and takes nothing that its parents do not name. Method: the document's rules
//! written out over lists against the encoder; generated losses; attacks one by one.

use crate::common::{assert_accepted, config, noise};
use alloc::collections::BTreeMap;
use inos_chunk::{
    Assembler, ChunkId, Codec, Config, Encoded, Encoder, FinishError, Geometry, Inserted, Limits, Manifest,
    ManifestWriter, NotEnoughPages, Piece, Place, RejectReason, RepairError, StripeRepair, VerifyError, encode,
};
use proptest::prelude::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A resource of 4 KiB chunks that need `1 + 1` pieces each, so that few bytes make many pieces.
fn resource_of(pieces: usize) -> Encoded {
    encode(&noise(pieces / 2 * 4096, 1), &config(1, 1, 256)).unwrap()
}

fn bare(encoded: &Encoded) -> Manifest {
    Manifest::open(&encoded.manifest.to_bytes(), encoded.manifest.root(), &Limits::default()).unwrap()
}

fn is_page(piece: &&Piece) -> bool {
    matches!(piece.place, Place::Page { .. })
}

/// Sections 5 and 6 over lists of ids: all pages and parity ids, level by level, and the root page's entries.
struct Naive {
    pages: Vec<(Place, ChunkId, usize)>,
    root: Vec<u8>,
    level: u8,
}

fn naive(ids: &[ChunkId], data: usize, parity: usize, pieces: &[Piece]) -> Naive {
    let parity_of = |k: usize| (k * parity).div_ceil(data).min(4 * k).max(4);
    let width = 100 + parity_of(100);
    let stripes = 2047 / width;
    let mut pages = Vec::new();
    let mut entries: Vec<Vec<u8>> = vec![ids.iter().flat_map(|id| *id.as_bytes()).collect()];
    let mut level = 0;
    if ids.len() > 2047 {
        entries = entries[0].chunks(2048 * 32).map(<[u8]>::to_vec).collect();
        loop {
            let mut parents = vec![Vec::new(); entries.len().div_ceil(100 * stripes)];
            for (number, stripe) in entries.chunks(100).enumerate() {
                let parent = number / stripes;
                for child in 0..stripe.len() + parity_of(stripe.len()) {
                    let in_parent = number % stripes * width + child;
                    let place = Place::Page { level, parent: parent as u32, child: in_parent as u16 };
                    // The parity itself is that of section 3; its bytes are tested where pages are rebuilt.
                    let parity = || pieces.iter().find(|piece| piece.place == place).unwrap();
                    let id = stripe.get(child).map_or_else(|| parity().id, |page| ChunkId::of_page(page));
                    pages.push((place, id, stripe.get(child).unwrap_or(&stripe[0]).len()));
                    parents[parent].extend(id.as_bytes());
                }
            }
            entries = parents;
            level += 1;
            if entries.len() == 1 {
                break;
            }
        }
    }
    Naive { pages, root: entries.remove(0), level }
}

#[test]
fn pages_are_those_of_the_document() {
    for pieces in [2046, 2048, 4096, 4098, 6000, 20_480] {
        let encoded = resource_of(pieces);
        let manifest = &encoded.manifest;
        let ids: Vec<ChunkId> = manifest.places().map(|place| manifest.id(place).unwrap()).collect();
        let naive = naive(&ids, 1, 1, &encoded.pieces);
        assert_eq!(ids.len(), pieces);
        assert_eq!(manifest.level(), naive.level);
        assert_eq!(manifest.to_bytes()[32..], naive.root);
        let made: Vec<&Piece> = encoded.pieces.iter().filter(is_page).collect();
        assert_eq!(made.len(), naive.pages.len());
        assert_eq!(manifest.page_places().count(), naive.pages.len());
        for (place, id, len) in naive.pages {
            let piece = made.iter().find(|piece| piece.place == place).unwrap();
            assert_eq!((piece.id, piece.bytes.len()), (id, len), "{place:?}");
            assert_eq!(manifest.piece_len(place), Some(len as u32));
            assert_eq!(manifest.id(place), Ok(id));
        }
    }
}

#[test]
fn pages_load_from_the_top() {
    let encoded = resource_of(6000);
    let mut manifest = bare(&encoded);
    for place in manifest.missing_pages().collect::<Vec<_>>() {
        let page = encoded.pieces.iter().find(|piece| piece.place == place).unwrap();
        assert_accepted(manifest.insert_page(page.clone()));
    }
    assert_eq!(manifest.missing_pages().count(), 0);
    for piece in encoded.pieces.iter().filter(|piece| !is_page(piece)) {
        assert_eq!(manifest.id(piece.place), Ok(piece.id));
    }
}

/// The pages of a resource by place, and a manifest that has none of them.
fn page_pieces(encoded: &Encoded) -> (Manifest, BTreeMap<Place, Piece>) {
    let pages = encoded.pieces.iter().filter(is_page).map(|piece| (piece.place, piece.clone()));
    (bare(encoded), pages.collect())
}

const fn page(level: u8, parent: u32, child: u16) -> Place {
    Place::Page { level, parent, child }
}

/// `1 + 1`, 6,000 pieces: 3 pages and 4 parity shards in one page stripe under the root page.
#[test]
fn lost_pages_are_rebuilt_up_to_their_parity() {
    let encoded = resource_of(6000);
    let (empty, pages) = page_pieces(&encoded);
    assert_eq!((empty.level(), empty.page_count(), pages.len()), (1, 3, 7));
    for kept in 0..1_u32 << 7 {
        let mut manifest = empty.clone();
        for (child, piece) in pages.values().enumerate().filter(|(child, _)| kept & 1 << child != 0) {
            let enough = manifest.missing_pages().count() == 0;
            let expected = if enough { Inserted::Duplicate } else { Inserted::Accepted };
            assert_eq!(manifest.insert_page(piece.clone()), expected, "{child} of {kept:b}");
        }
        if kept.count_ones() >= 3 {
            assert_eq!(manifest.missing_pages().count(), 0);
            assert!(manifest.places().all(|place| manifest.id(place) == encoded.manifest.id(place)));
            // Parity is let go when it has done its work.
            assert_eq!(manifest.loaded_bytes(), 6000 * 32);
        } else {
            for child in (0..3).filter(|child| kept & 1 << child == 0) {
                let place = page(0, 0, child);
                let shortfall = manifest.page_shortfall(place).unwrap();
                let present = kept.count_ones() as u16;
                assert_eq!(shortfall, NotEnoughPages { page: place, needed: 3, present });
            }
        }
    }
}

/// A bit anywhere in a page, or in its parity, or in the root page: an error that names what is wrong.
#[test]
fn every_flipped_bit_is_noticed() {
    let encoded = resource_of(4096);
    let (empty, pages) = page_pieces(&encoded);
    for piece in pages.values() {
        for at in (0..piece.bytes.len()).step_by(if piece.place == page(0, 0, 0) { 97 } else { 4099 }) {
            let mut bytes = piece.bytes.to_vec();
            bytes[at] ^= 1 << (at % 8);
            let flipped = Piece { bytes: bytes.into(), ..piece.clone() };
            let inserted = empty.clone().insert_page(flipped);
            assert!(
                matches!(inserted, Inserted::Rejected(RejectReason::WrongContent { expected, .. }) if expected == piece.id)
            );
        }
    }
    let root = encoded.manifest.to_bytes();
    for at in 0..root.len() {
        for bit in 0..8 {
            let mut flipped = root.to_vec();
            flipped[at] ^= 1 << bit;
            assert!(Manifest::open(&flipped, encoded.manifest.root(), &Limits::default()).is_err());
        }
    }
}

/// What strangers can do with pages, and the name of each.
#[test]
fn bad_pages_are_named_and_change_nothing() {
    let encoded = resource_of(6000);
    let (mut manifest, pages) = page_pieces(&encoded);
    let genuine = pages[&page(0, 0, 1)].clone();
    let reject = |manifest: &mut Manifest, piece: &Piece| match manifest.insert_page(piece.clone()) {
        Inserted::Rejected(reason) => {
            assert_eq!((manifest.loaded_bytes(), manifest.is_loaded(piece.place)), (0, false));
            assert_eq!(manifest.verify(piece), Err(VerifyError::Rejected(reason)));
            reason
        }
        other => panic!("{other:?}"),
    };
    let at = |place| Piece { place, ..genuine.clone() };
    // Forged counts and levels: there is no such place.
    for place in
        [page(0, 0, 7), page(0, 1, 0), page(0, u32::MAX, 0), page(0, 0, u16::MAX), page(1, 0, 0), page(255, 0, 0)]
    {
        assert_eq!(reject(&mut manifest, &at(place)), RejectReason::UnknownPlace { place });
    }
    // A page under the name of another, of its parity, or with the claim of it.
    let other = &pages[&page(0, 0, 0)];
    let wrong = RejectReason::WrongId { expected: other.id, claimed: genuine.id };
    assert_eq!(reject(&mut manifest, &at(other.place)), wrong);
    let wrong = RejectReason::WrongContent { expected: other.id, actual: genuine.id };
    assert_eq!(reject(&mut manifest, &Piece { id: other.id, ..at(other.place) }), wrong);
    let parity = &pages[&page(0, 0, 3)];
    let actual = ChunkId::of_page_parity(&genuine.bytes);
    let wrong = RejectReason::WrongContent { expected: parity.id, actual };
    assert_eq!(reject(&mut manifest, &Piece { id: parity.id, ..at(parity.place) }), wrong);
    // The root page as its own child; a page of another resource; a chunk.
    let root = Piece { bytes: encoded.manifest.to_bytes(), plain_len: 256, ..genuine.clone() };
    assert_eq!(reject(&mut manifest, &root), RejectReason::PlainLen { expected: 65_536, claimed: 256 });
    let stranger = encode(&noise(3000 * 4096, 2), &config(1, 1, 256)).unwrap();
    let stranger = stranger.pieces.into_iter().find(|piece| piece.place == genuine.place).unwrap();
    let wrong = RejectReason::WrongId { expected: genuine.id, claimed: stranger.id };
    assert_eq!(reject(&mut manifest, &stranger), wrong);
    let chunk = encoded.pieces[0].clone();
    let wrong = RejectReason::NotAPage { place: chunk.place };
    assert_eq!(manifest.insert_page(chunk), Inserted::Rejected(wrong));
    // Lengths and codec.
    let short = Piece { bytes: genuine.bytes.slice(..65_504), ..genuine.clone() };
    let wrong = RejectReason::StoredLen { codec: Codec::Raw, plain_len: 65_536, stored_len: 65_504 };
    assert_eq!(reject(&mut manifest, &short), wrong);
    assert_eq!(
        reject(&mut manifest, &Piece { plain_len: 65_504, ..short }),
        RejectReason::PlainLen { expected: 65_536, claimed: 65_504 }
    );
    let packed = Piece { codec: Codec::Lz4, ..genuine.clone() };
    assert_eq!(reject(&mut manifest, &packed), RejectReason::Codec { codec: Codec::Lz4 });
    // And the genuine one still counts, once.
    assert_eq!(manifest.verify(&genuine), Ok(genuine.bytes.clone()));
    assert_accepted(manifest.insert_page(genuine.clone()));
    assert_eq!(manifest.insert_page(genuine.clone()), Inserted::Duplicate);
    assert!(manifest.release_page(genuine.place) && !manifest.release_page(genuine.place));
    assert_accepted(manifest.insert_page(genuine));
}

/// Parity whose ids the publisher made up, each with content that fits its id. The pages themselves stay good.
#[test]
fn inconsistent_page_parity_is_blamed_on_the_publisher_once() {
    let encoded = resource_of(6000);
    let (_, mut pages) = page_pieces(&encoded);
    let mut root = encoded.manifest.to_bytes().to_vec();
    for child in 3..7_u16 {
        let forged = noise(65_536, u64::from(child));
        let id = ChunkId::of_page_parity(&forged);
        let entry = 32 + 32 * usize::from(child);
        root[entry..entry + 32].copy_from_slice(id.as_bytes());
        let piece = pages.get_mut(&page(0, 0, child)).unwrap();
        (piece.id, piece.bytes) = (id, forged);
    }
    let empty = Manifest::from_bytes(&root, &Limits::default()).unwrap();
    let blame = RejectReason::InconsistentPageParity { first_page: page(0, 0, 0) };

    // Found by parity: the shard that makes it enough tells the story.
    let mut manifest = empty.clone();
    assert_accepted(manifest.insert_page(pages[&page(0, 0, 3)].clone()));
    assert_accepted(manifest.insert_page(pages[&page(0, 0, 0)].clone()));
    assert_eq!(manifest.insert_page(pages[&page(0, 0, 4)].clone()), Inserted::Rejected(blame));
    assert_eq!(manifest.insert_page(pages[&page(0, 0, 3)].clone()), Inserted::Rejected(blame));
    assert_eq!(manifest.loaded_bytes(), 65_536);
    // Found by a page: it is genuine all the same.
    let mut manifest = empty.clone();
    assert_accepted(manifest.insert_page(pages[&page(0, 0, 3)].clone()));
    assert_accepted(manifest.insert_page(pages[&page(0, 0, 0)].clone()));
    assert_accepted(manifest.insert_page(pages[&page(0, 0, 1)].clone()));
    assert_eq!(manifest.insert_page(pages[&page(0, 0, 5)].clone()), Inserted::Rejected(blame));
    assert_accepted(manifest.insert_page(pages[&page(0, 0, 2)].clone()));
    assert!(manifest.places().all(|place| manifest.id(place) == encoded.manifest.id(place)));

    // An assembler does not ask for the parity any more, and finishes without.
    let mut assembler = Assembler::new(empty);
    for child in [3, 0, 4] {
        let _ = assembler.insert(pages[&page(0, 0, child)].clone());
    }
    assert!(!assembler.missing().any(|place| matches!(place, Place::Page { child: 3.., .. })));
    let offers: BTreeMap<Place, Piece> = encoded
        .pieces
        .iter()
        .filter(|piece| !is_page(piece))
        .map(|piece| (piece.place, piece.clone()))
        .chain(pages)
        .collect();
    feed(&mut assembler, &offers);
    assert!(assembler.is_complete());
}

/// Gives an assembler what it asks for, as long as it is offered; returns what became ready.
fn feed(assembler: &mut Assembler, offers: &BTreeMap<Place, Piece>) -> Vec<u8> {
    let mut received = Vec::new();
    loop {
        let Some(piece) = assembler.missing().find_map(|place| offers.get(&place)) else { return received };
        assert_accepted(assembler.insert(piece.clone()));
        while let Some((offset, chunk)) = assembler.next_ready() {
            assert_eq!(offset, received.len() as u64);
            received.extend_from_slice(&chunk);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Whatever is lost of pages and pieces, up to the parity of each stripe and page stripe, an assembler that has the
    /// root page alone asks for what it needs, is never at a loss, and passes pages on.
    #[test]
    fn an_assembler_reads_through_pages(pieces in 2048..6000_usize, data in 1..3_u16, lost: u64) {
        let resource = noise(pieces / 2 * 4096, lost);
        let encoded = encode(&resource, &config(data, 1, 64)).unwrap();
        let mut losses = BTreeMap::new();
        let dice = noise(encoded.pieces.len(), lost);
        let mut offers = BTreeMap::new();
        for (piece, dice) in encoded.pieces.iter().zip(dice) {
            let (key, parity) = match piece.place {
                Place::Shard { stripe, .. } => ((false, stripe), encoded.manifest.stripe(stripe).unwrap().parity),
                _ => ((true, 0), 4),
            };
            let loss = losses.entry(key).or_insert(0);
            if dice < 80 && *loss < parity {
                *loss += 1;
            } else {
                offers.insert(piece.place, piece.clone());
            }
        }
        let mut assembler = Assembler::new(bare(&encoded));
        let received = feed(&mut assembler, &offers);
        prop_assert!(assembler.is_complete());
        prop_assert!(received == resource);
        prop_assert_eq!((assembler.held_bytes(), assembler.manifest().loaded_bytes()), (0, 0));
    }

    /// All pieces at once in a random order: what comes before its page is handed back, and accepted afterwards.
    #[test]
    fn early_pieces_are_handed_back(seed: u64) {
        let resource = noise(1500 * 4096, seed);
        let encoded = encode(&resource, &config(2, 1, 8)).unwrap();
        let order = noise(encoded.pieces.len(), seed);
        let mut pieces: Vec<(u8, Piece)> = order.into_iter().zip(encoded.pieces.clone()).collect();
        pieces.sort_by_key(|(dice, _)| *dice);
        let mut assembler = Assembler::new(bare(&encoded));
        let mut handed_back = Vec::new();
        for (_, piece) in pieces {
            match assembler.insert(piece.clone()) {
                Inserted::NeedsPage { page, piece: back } => {
                    prop_assert_eq!(&back, &piece);
                    prop_assert!(assembler.missing().next() == Some(page) || assembler.missing().any(|place| place == page));
                    handed_back.push(back);
                }
                inserted => prop_assert!(!matches!(inserted, Inserted::Rejected(_)), "{:?}", inserted),
            }
        }
        for piece in handed_back {
            prop_assert!(matches!(assembler.insert(piece), Inserted::Accepted | Inserted::Duplicate));
        }
        prop_assert!(assembler.finish().unwrap() == resource);
    }
}

/// A range is read with the pages, and the pieces, that it takes; with others where these are lost.
#[test]
fn a_range_is_read_through_pages() {
    let resource = noise(3000 * 4096, 1);
    let encoded = encode(&resource, &config(2, 1, 8)).unwrap();
    let all: BTreeMap<Place, Piece> = encoded.pieces.iter().map(|piece| (piece.place, piece.clone())).collect();
    for (range, lost) in [(0..1, false), (9_000_000..9_020_000, false), (12_287_999..12_288_000, true)] {
        let mut assembler = Assembler::new(bare(&encoded));
        let mut offers = all.clone();
        if lost {
            // The chunk, and the page with its id.
            let chunk = assembler.manifest().locate(range.start).unwrap().place;
            let pages: Vec<Place> = assembler.manifest().pages_for(chunk).collect();
            assert_eq!(pages.len(), 1);
            assert!(offers.remove(&chunk).is_some() && offers.remove(&pages[0]).is_some());
        }
        let mut inserted = 0;
        while assembler.read(range.clone()).is_err() {
            let piece = assembler.missing_in(range.clone()).find_map(|place| offers.get(&place)).unwrap();
            assert_accepted(assembler.insert(piece.clone()));
            inserted += 1;
        }
        let expected = resource.slice(range.start as usize..range.end as usize);
        assert!(assembler.read(range.clone()).unwrap().concat() == expected);
        assert_eq!(assembler.missing_in(range).count(), 0);
        // One page, or the 3 that rebuild it; and the chunks, or the 2 that rebuild one.
        assert!(inserted <= if lost { 3 + 2 } else { 1 + 6 }, "{inserted}");
    }
}

#[test]
fn too_few_pages_are_an_error_with_numbers() {
    let encoded = resource_of(6000);
    let (empty, pages) = page_pieces(&encoded);
    let mut assembler = Assembler::new(empty.clone());
    let error = FinishError::NotEnoughPages(NotEnoughPages { page: page(0, 0, 0), needed: 3, present: 0 });
    assert_eq!(assembler.finish(), Err(error));
    assert_accepted(assembler.insert(pages[&page(0, 0, 6)].clone()));
    assert_accepted(assembler.insert(pages[&page(0, 0, 2)].clone()));
    let error = FinishError::NotEnoughPages(NotEnoughPages { page: page(0, 0, 0), needed: 3, present: 2 });
    assert_eq!(assembler.finish(), Err(error));
    assert!(
        matches!(StripeRepair::new(&empty, 0, &[0]), Err(RepairError::NotLoaded { page: first }) if first == page(0, 0, 0))
    );
    let mut manifest = empty;
    for place in manifest.pages_for_stripe(7).collect::<Vec<_>>() {
        assert_accepted(manifest.insert_page(pages[&place].clone()));
    }
    assert!(StripeRepair::new(&manifest, 7, &[0]).is_ok());
}

/// 100,000 chunks of 1 MiB and 20,000 parity shards with made-up ids, and a manifest of two levels of pages.
#[test]
fn one_chunk_of_a_large_resource_takes_one_page_of_each_level() {
    let chunk = noise(1 << 20, 1);
    for (chunks, config, level) in [
        (100_000_u64, Config::default(), 1),
        // As few children as a page can have: 400.
        (82_500, Config { geometry: Geometry::new(1, 9).unwrap(), ..Config::default() }, 2),
    ] {
        let config = if cfg!(target_arch = "wasm32") && level > 1 { continue } else { config };
        let mut writer = ManifestWriter::new(chunks << 20, &config).unwrap();
        let wanted = chunks * 2 / 3;
        let mut path = BTreeMap::new();
        let probe = Encoder::new(chunks << 20, &config).unwrap();
        assert_eq!(probe.level(), Some(level));
        let mut made = 0;
        let mut keep = |piece: Piece| {
            made += 1;
            path.insert(piece.place, piece);
        };
        // Where the chunk is: by arithmetic that needs no ids. The entries before it are its groups' and its own
        // chunks.
        let group_chunks = 4 * u64::from(config.geometry.data());
        let entry = wanted / group_chunks * 4 * u64::from(config.geometry.shards()) + wanted % group_chunks;
        for i in 0..writer.piece_count() {
            let id = if i == entry { ChunkId::of_chunk(&chunk) } else { synthetic(i) };
            writer.push(id).unwrap();
            core::iter::from_fn(|| writer.next_page()).for_each(&mut keep);
        }
        writer.end().unwrap();
        core::iter::from_fn(|| writer.next_page()).for_each(&mut keep);
        let made_up = writer.finish().unwrap();
        assert_eq!(made, probe.piece_count().unwrap() - writer.piece_count());

        let limits = Limits::default();
        let mut manifest = Manifest::open(&made_up.to_bytes(), made_up.root(), &limits).unwrap();
        assert_eq!((manifest.level(), manifest.chunk_count()), (level, chunks));
        let place = manifest.locate(wanted << 20).unwrap().place;
        let piece = Piece {
            id: ChunkId::of_chunk(&chunk),
            place,
            codec: Codec::Raw,
            plain_len: 1 << 20,
            bytes: chunk.clone(),
            duplicate_of: None,
        };
        let pages: Vec<Place> = manifest.pages_for(place).collect();
        assert_eq!(pages.len(), usize::from(level));
        for page in pages {
            assert_eq!(manifest.verify(&piece), Err(VerifyError::NotLoaded { page }));
            let below = Assembler::new(manifest.clone()).insert(piece.clone());
            assert_eq!(below, Inserted::NeedsPage { page, piece: piece.clone() });
            assert_accepted(manifest.insert_page(path[&page].clone()));
        }
        assert_eq!(manifest.verify(&piece), Ok(chunk.clone()));
        assert!(manifest.loaded_bytes() <= u64::from(level) * 65_536);
    }
}

fn synthetic(i: u64) -> ChunkId {
    let mut id = [0; ChunkId::LEN];
    id[..8].copy_from_slice(&i.to_le_bytes());
    ChunkId::from_bytes(id)
}

/// Enough shards of a stripe, but the id of the lost chunk is in a page that is not loaded: the stripe waits for it.
#[test]
fn a_stripe_waits_for_the_page_with_the_id_of_its_lost_chunk() {
    // Groups have 24 entries. Group 85 starts 8 before the end of page 0: with the first shard of each of its stripes.
    let resource = noise(1500 * 4096, 1);
    let encoded = encode(&resource, &config(2, 1, 8)).unwrap();
    let (manifest, pages) = page_pieces(&encoded);
    let (stripe, chunk) = (85 * 8, 85 * 16);
    let shard =
        |index| encoded.pieces.iter().find(|piece| piece.place == Place::Shard { stripe, index }).unwrap().clone();
    let mut assembler = Assembler::new(manifest);
    assert_accepted(assembler.insert(pages[&page(0, 0, 1)].clone()));
    let needs = Inserted::NeedsPage { page: page(0, 0, 0), piece: shard(0) };
    assert_eq!(assembler.insert(shard(0)), needs);
    assert_accepted(assembler.insert(shard(1)));
    assert_accepted(assembler.insert(shard(2)));
    assert_eq!((assembler.shortfall(stripe), assembler.is_stripe_complete(stripe)), (None, false));
    assert_eq!(assembler.insert(shard(0)), Inserted::Duplicate);
    assert!(matches!(assembler.finish(), Err(FinishError::NotEnoughPages(_))));
    assert!(assembler.read(chunk * 4096..chunk * 4096 + 1).is_err());
    assert_accepted(assembler.insert(pages[&page(0, 0, 0)].clone()));
    assert!(assembler.is_stripe_complete(stripe));
    let read = assembler.read(chunk * 4096..(chunk + 1) * 4096).unwrap().concat();
    assert!(read == resource[chunk as usize * 4096..(chunk as usize + 1) * 4096]);
}

/// Such a stripe still takes chunks whose ids are known: the page may never come, and a range without its ids can be
/// read all the same. It holds no more pieces for that.
#[test]
fn a_stripe_that_waits_for_a_page_takes_known_chunks() {
    // Groups have 40 entries. Group 51 starts 8 before the end of page 0: with the first shard of each of its stripes.
    let resource = noise(1500 * 4096, 1);
    let encoded = encode(&resource, &config(3, 2, 8)).unwrap();
    let (manifest, pages) = page_pieces(&encoded);
    let stripe = 51 * 8;
    let place = |index| Place::Shard { stripe, index };
    let shard = |index| encoded.pieces.iter().find(|piece| piece.place == place(index)).unwrap().clone();
    let mut assembler = Assembler::new(manifest);
    assert_accepted(assembler.insert(pages[&page(0, 0, 1)].clone()));
    for index in [2, 3, 4] {
        assert_accepted(assembler.insert(shard(index)));
    }
    assert_eq!((assembler.shortfall(stripe), assembler.is_stripe_complete(stripe)), (None, false));
    let chunk = 51 * 24 + 8;
    let range = chunk * 4096..(chunk + 1) * 4096;
    assert_eq!(assembler.missing_in(range.clone()).next(), Some(place(1)));
    let forged = Piece { bytes: noise(4096, 2), codec: Codec::Raw, ..shard(1) };
    assert!(matches!(assembler.insert(forged), Inserted::Rejected(RejectReason::WrongContent { .. })));
    assert_accepted(assembler.insert(shard(1)));
    assert_eq!(assembler.insert(shard(1)), Inserted::Duplicate);
    assert_eq!(assembler.insert(shard(4)), Inserted::Duplicate);
    assert_eq!(assembler.held_bytes(), 3 * 4096);
    assert!(assembler.read(range).unwrap().concat() == resource[chunk as usize * 4096..][..4096]);
    assert_accepted(assembler.insert(pages[&page(0, 0, 0)].clone()));
    assert!(assembler.is_stripe_complete(stripe));
}

/// A range beyond the end asks for nothing, though the last chunk would reach there if it were full.
#[test]
fn nothing_is_missing_behind_the_end() {
    let manifest = encode(&noise(5000, 1), &config(2, 1, 1)).unwrap().manifest;
    let assembler = Assembler::new(manifest);
    assert_eq!(assembler.missing_in(5000..6000).count(), 0);
    assert_eq!(assembler.missing_in(4999..6000).count(), 3);
}
