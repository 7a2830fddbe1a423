//! Goal: whatever a stranger sends as a manifest is refused, or is the one encoding of what it says, and every question
//! about it has an answer.
//!
//! Method: raw bytes, and manifests of real resources with some bytes changed, under limits from the input and under
//! none. The seeds are built in: the second kind starts from a valid manifest.

#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use inos_chunk::{ChunkId, ChunkSize, Config, Geometry, Limits, Manifest, encode};
use libfuzzer_sys::{Corpus, fuzz_target};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    tight: Tight,
    wire: Wire<'a>,
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
}

impl Tight {
    fn limits(&self) -> Limits {
        Limits {
            max_plain_len: 1 << (self.plain_len_log2 % 64),
            max_pieces: self.pieces.into(),
            max_group_bytes: 1 << (self.group_bytes_log2 % 64),
            ..Limits::default()
        }
    }
}

const LOOSE: u64 = u64::MAX;

fn loose() -> Limits {
    Limits { max_plain_len: LOOSE, max_pieces: LOOSE, max_group_bytes: LOOSE, ..Limits::default() }
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

fuzz_target!(|input: Input<'_>| -> Corpus {
    let wire = wire_of(input.wire);
    let under_tight = Manifest::from_bytes(&wire, &input.tight.limits());
    let Ok(manifest) = Manifest::from_bytes(&wire, &loose()) else {
        assert!(under_tight.is_err(), "a limit only refuses");
        return Corpus::Keep;
    };
    assert_eq!(manifest.to_bytes(), wire, "one value has one encoding");
    assert_eq!(manifest.root(), ChunkId::of_page(&wire));
    assert!(Manifest::open(&wire, manifest.root(), &loose()).is_ok_and(|again| again == manifest));
    let other_root = ChunkId::from_bytes([0; ChunkId::LEN]);
    assert!(Manifest::open(&wire, other_root, &loose()).is_err());
    if let Ok(tight) = under_tight {
        let limits = input.tight.limits();
        assert!(tight.plain_len() <= limits.max_plain_len && tight.piece_count() <= limits.max_pieces);
    }
    ask_everything(&manifest);
    Corpus::Keep
});

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
        pieces += 1;
    }
    assert_eq!((pieces, plain_bytes), (manifest.piece_count(), manifest.plain_len()));
}
