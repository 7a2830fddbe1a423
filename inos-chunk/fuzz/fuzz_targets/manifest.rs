//! Goal: whatever a stranger sends as a manifest is refused, or is the one encoding of what it says, and every question
//! about it has an answer.
//!
//! Method: raw bytes, and manifests of real resources with some bytes changed, under limits from the input and under
//! none; and a manifest of several pages that is offered forged ones. The seeds are built in: but for the raw bytes
//! everything starts from something valid.

#![no_main]

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use bytes::Bytes;
use inos_chunk::{
    ChunkId, ChunkSize, Codec, Config, Geometry, Inserted, Limits, Manifest, PAGE_BYTES, Piece, Place, encode,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Root { tight: Tight, wire: Wire<'a> },
    Pages(Vec<PageStep<'a>>),
}

#[derive(Arbitrary, Debug)]
enum PageStep<'a> {
    Insert { original: u8, forgeries: Vec<PageForgery<'a>> },
    Wire(&'a [u8]),
    Release(u8),
    Ask { stripe: u32, index: u16 },
    AskPage { level: u8, parent: u32, child: u16 },
}

#[derive(Arbitrary, Debug)]
enum PageForgery<'a> {
    PlaceOf(u8),
    Place { level: u8, parent: u32, child: u16 },
    Shard { stripe: u32, index: u16 },
    IdOf(u8),
    PlainLen(u32),
    Lz4,
    Bytes(&'a [u8]),
    BytesOf(u8),
    Flip { at: u16, xor: u8 },
}

#[derive(Arbitrary, Debug)]
enum Wire<'a> {
    Raw(&'a [u8]),
    Edited { resource: Resource, edits: Vec<Edit>, keep: Option<u16>, append: &'a [u8] },
}

#[derive(Arbitrary, Debug)]
struct Resource {
    len: u32,
    data: u8,
    parity: u8,
    interleave: u8,
    fill: u8,
}

/// Low positions are favoured: the header is there.
#[derive(Arbitrary, Debug)]
struct Edit {
    at: EditAt,
    xor: u8,
}

#[derive(Arbitrary, Debug)]
enum EditAt {
    Header(u8),
    Anywhere(u16),
}

#[derive(Arbitrary, Debug)]
struct Tight {
    plain_len_log2: u8,
    pieces: u16,
    group_bytes_log2: u8,
    manifest_bytes_log2: u8,
    level: u8,
}

impl Tight {
    fn limits(&self) -> Limits {
        Limits {
            max_plain_len: 1 << (self.plain_len_log2 % 64),
            max_pieces: self.pieces.into(),
            max_group_bytes: 1 << (self.group_bytes_log2 % 64),
            max_manifest_bytes: 1 << (self.manifest_bytes_log2 % 64),
            max_level: self.level % 8,
        }
    }
}

fn loose() -> Limits {
    Limits {
        max_plain_len: u64::MAX,
        max_pieces: u64::MAX,
        max_group_bytes: u64::MAX,
        max_manifest_bytes: u64::MAX,
        max_level: u8::MAX,
    }
}

impl Resource {
    fn manifest(&self) -> Manifest {
        let geometry = Geometry::new(u16::from(self.data).max(1), u16::from(self.parity % 32).max(1));
        let config = Config {
            chunk_size: ChunkSize::new(4 << 10).expect("4 KiB is a chunk size"),
            geometry: geometry.expect("small counts are valid"),
            interleave: u16::from(self.interleave).max(1),
            ..Config::default()
        };
        let len = (self.len % (128 << 10)) as usize;
        encode(&Bytes::from(vec![self.fill; len]), &config).expect("few chunks fit a manifest").manifest
    }
}

fn wire_of(wire: Wire<'_>) -> Vec<u8> {
    match wire {
        Wire::Raw(bytes) => bytes.to_vec(),
        Wire::Edited { resource, edits, keep, append } => {
            let mut bytes = resource.manifest().to_bytes().to_vec();
            for edit in edits {
                let at = match edit.at {
                    EditAt::Header(at) => usize::from(at % 32),
                    EditAt::Anywhere(at) => usize::from(at) % bytes.len(),
                };
                bytes[at] ^= edit.xor;
            }
            bytes.truncate(keep.map_or(usize::MAX, usize::from));
            bytes.extend_from_slice(append);
            bytes
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Root { tight, wire } => root(&tight, wire),
        Input::Pages(steps) => pages(steps),
    }
});

fn root(tight: &Tight, wire: Wire<'_>) {
    let wire = wire_of(wire);
    let limits = tight.limits();
    let under_tight = Manifest::from_bytes(&wire, &limits);
    let Ok(manifest) = Manifest::from_bytes(&wire, &loose()) else {
        assert!(under_tight.is_err(), "a limit only refuses");
        return;
    };
    assert_eq!(manifest.to_bytes(), wire);
    assert_eq!(wire[..32], header(&manifest), "one value has one encoding");
    assert_eq!(manifest.root(), ChunkId::of_page(&wire));
    assert!(Manifest::open(&wire, manifest.root(), &loose()).is_ok_and(|again| again == manifest));
    let other_root = ChunkId::from_bytes([0; ChunkId::LEN]);
    assert!(Manifest::open(&wire, other_root, &loose()).is_err());
    if let Ok(tight) = under_tight {
        assert!(tight.plain_len() <= limits.max_plain_len && tight.piece_count() <= limits.max_pieces);
        assert!(tight.level() <= limits.max_level);
    }
    ask_everything(&manifest);
}

/// The header as `docs/format.md` has it, from what the manifest says of itself.
fn header(manifest: &Manifest) -> Vec<u8> {
    let ids = (manifest.to_bytes().len() - 32) / ChunkId::LEN;
    let mut header = b"INOM\x01\x00".to_vec();
    header.extend([manifest.level(), manifest.chunk_size().bytes().trailing_zeros() as u8]);
    header.extend(manifest.plain_len().to_le_bytes());
    header.extend(manifest.geometry().data().to_le_bytes());
    header.extend(manifest.geometry().parity().to_le_bytes());
    header.extend(manifest.interleave().to_le_bytes());
    header.extend([0; 2]);
    header.extend((ids as u32).to_le_bytes());
    header.extend([0; 4]);
    header
}

/// Places that exist have lengths and chunks; the lengths of all chunks make up the resource.
fn ask_everything(manifest: &Manifest) {
    let chunk_bytes = manifest.chunk_size().bytes() as u64;
    assert_eq!(manifest.chunk_count(), manifest.plain_len().div_ceil(chunk_bytes));
    for offset in [0, manifest.plain_len() / 2, manifest.plain_len().saturating_sub(1), manifest.plain_len(), u64::MAX]
    {
        let Some(location) = manifest.locate(offset) else {
            assert!(offset >= manifest.plain_len());
            continue;
        };
        assert_eq!(location.chunk * chunk_bytes + u64::from(location.within), offset);
        assert_eq!(manifest.chunk_at(location.place), Some(location.chunk));
        assert_eq!(manifest.place_of_chunk(location.chunk), Some(location.place));
        assert!(manifest.piece_len(location.place).is_some_and(|len| len > location.within));
    }
    let _ = (manifest.stripe(0), manifest.stripe(manifest.stripe_count()), manifest.stripe(u32::MAX));
    for page in manifest.page_places().take(256) {
        assert!(manifest.piece_len(page).is_some_and(|len| (1..=PAGE_BYTES).contains(&(len as usize))));
        assert!(!manifest.is_loaded(page) && manifest.page_stripe(page).any(|other| other == page));
    }
    assert_eq!(manifest.page_count() == 0, manifest.missing_pages().next().is_none());
    for stripe in [0, manifest.stripe_count() / 2, manifest.stripe_count()] {
        assert!(manifest.pages_for_stripe(stripe).take(256).all(|page| manifest.piece_len(page).is_some()));
    }
    // A header of a few bytes can announce billions of pieces below pages that nobody has.
    if manifest.piece_count() > 4096 {
        return;
    }
    let (mut pieces, mut plain_bytes) = (0, 0);
    for place in manifest.places() {
        let len = manifest.piece_len(place).expect("a listed place has a length");
        assert!(u64::from(len) <= chunk_bytes, "no piece is longer than a chunk");
        if manifest.chunk_at(place).is_some() {
            plain_bytes += u64::from(len);
        }
        let named = manifest.id(place).is_ok();
        assert_eq!(named, manifest.pages_for(place).next().is_none(), "only the root is loaded");
        pieces += 1;
    }
    assert_eq!((pieces, plain_bytes), (manifest.piece_count(), manifest.plain_len()));
}

/// A manifest with two levels, all its pages and their parity, and two pieces.
struct Tree {
    root: Bytes,
    id: ChunkId,
    pieces: Vec<Piece>,
}

fn tree() -> &'static Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    TREE.get_or_init(|| {
        let config = Config {
            chunk_size: ChunkSize::MIN,
            geometry: Geometry::new(20, 4).expect("the counts are valid"),
            ..Config::default()
        };
        // Every chunk is different.
        let resource: Vec<u8> = (0..12_000_000_u32).map(|at| (at >> 12).to_le_bytes()[(at % 2) as usize]).collect();
        let encoded = encode(&resource.into(), &config).expect("the configuration is valid");
        let (pages, mut shards): (Vec<Piece>, Vec<Piece>) =
            encoded.pieces.into_iter().partition(|piece| matches!(piece.place, Place::Page { .. }));
        assert!(encoded.manifest.level() == 1 && pages.len() > 2, "there are pages and parity of pages");
        shards.truncate(2);
        Tree { root: encoded.manifest.to_bytes(), id: encoded.manifest.root(), pieces: [pages, shards].concat() }
    })
}

impl Tree {
    fn pick(&self, number: u8) -> &Piece {
        &self.pieces[usize::from(number) % self.pieces.len()]
    }

    fn pages(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|piece| matches!(piece.place, Place::Page { .. }))
    }

    fn forge(&self, original: u8, forgeries: Vec<PageForgery<'_>>) -> Piece {
        let mut piece = self.pick(original).clone();
        for forgery in forgeries {
            match forgery {
                PageForgery::PlaceOf(other) => piece.place = self.pick(other).place,
                PageForgery::Place { level, parent, child } => piece.place = Place::Page { level, parent, child },
                PageForgery::Shard { stripe, index } => piece.place = Place::Shard { stripe, index },
                PageForgery::IdOf(other) => piece.id = self.pick(other).id,
                PageForgery::PlainLen(plain_len) => piece.plain_len = plain_len,
                PageForgery::Lz4 => piece.codec = Codec::Lz4,
                PageForgery::Bytes(bytes) => piece.bytes = Bytes::copy_from_slice(bytes),
                PageForgery::BytesOf(other) => piece.bytes = self.pick(other).bytes.clone(),
                PageForgery::Flip { at, xor } => {
                    let mut bytes = piece.bytes.to_vec();
                    let at = usize::from(at) % bytes.len().max(1);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= xor;
                    }
                    piece.bytes = bytes.into();
                }
            }
        }
        piece
    }
}

/// Only genuine pages are loaded, and in the end all of them can be.
fn pages(steps: Vec<PageStep<'_>>) {
    let tree = tree();
    let mut manifest = Manifest::open(&tree.root, tree.id, &Limits::default()).expect("the root page is genuine");
    for step in steps {
        let piece = match step {
            PageStep::Insert { original, forgeries } => tree.forge(original, forgeries),
            PageStep::Wire(wire) => {
                let Ok(piece) = Piece::from_bytes(Bytes::copy_from_slice(wire)) else { continue };
                piece
            }
            PageStep::Release(number) => {
                let page = tree.pick(number).place;
                assert_eq!(manifest.is_loaded(page), manifest.release_page(page));
                continue;
            }
            PageStep::Ask { stripe, index } => {
                let place = Place::Shard { stripe, index };
                assert!(manifest.id(place).is_err() || manifest.pages_for(place).all(|page| manifest.is_loaded(page)));
                continue;
            }
            PageStep::AskPage { level, parent, child } => {
                let place = Place::Page { level, parent, child };
                assert_eq!(manifest.id(place).is_ok(), manifest.piece_len(place).is_some(), "the root names all pages");
                let _ = (manifest.is_loaded(place), manifest.page_shortfall(place), manifest.release_page(place));
                continue;
            }
        };
        let is_genuine = tree.pages().any(|genuine| {
            (&piece.place, &piece.id, &piece.plain_len, &piece.codec, &piece.bytes)
                == (&genuine.place, &genuine.id, &genuine.plain_len, &genuine.codec, &genuine.bytes)
        });
        if matches!(manifest.insert_page(piece), Inserted::Accepted) {
            assert!(is_genuine, "only genuine pages are accepted");
        }
    }
    for page in tree.pages() {
        let inserted = manifest.insert_page(page.clone());
        assert!(matches!(inserted, Inserted::Accepted | Inserted::Duplicate), "a genuine page is welcome");
    }
    assert!(manifest.missing_pages().next().is_none(), "all pages are loaded");
    for shard in tree.pieces.iter().filter(|piece| matches!(piece.place, Place::Shard { .. })) {
        assert!(manifest.verify(shard).is_ok(), "a genuine piece is known as such");
    }
}
