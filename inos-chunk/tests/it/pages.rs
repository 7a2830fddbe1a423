//! Goal: a manifest of several pages is made as `docs/format.md` says, names the same pieces page by page, survives the
//! loss of pages up to their parity, and takes nothing that its parents do not name. Method: the document's rules
//! written out over lists against the encoder; generated losses; attacks one by one.

use crate::common::{assert_accepted, config, noise};
use inos_chunk::{ChunkId, Encoded, Limits, Manifest, Piece, Place, encode};

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
