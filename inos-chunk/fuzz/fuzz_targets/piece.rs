//! Goal: no piece from a stranger makes assembler or repair panic, nothing but genuine content is accepted, and the
//! resource completes afterwards from genuine pieces as if nothing had happened.
//!
//! Method: a small resource in stripes of 5 + 3 chunks. The input is a list of steps: pieces forged from genuine ones
//! by changing claims, bytes or the wire form, raw wire bytes, and questions in between. The seeds are built in,
//! because every forgery starts from a genuine piece.

#![no_main]

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use bytes::Bytes;
use inos_chunk::{
    Assembler, ChunkId, ChunkSize, Codec, Compression, Config, Encoded, Geometry, Inserted, Piece, Place, StripeRepair,
    encode,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    end: End,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum End {
    AllArrive,
    SomeAreLost,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// A genuine piece, changed in some ways.
    Forged {
        original: u8,
        to: Target,
        forgeries: Vec<Forgery<'a>>,
    },
    /// The wire form of a genuine piece, changed in some bytes.
    Edited {
        original: u8,
        to: Target,
        edits: Vec<(u16, u8)>,
        keep: Option<u16>,
    },
    /// Whatever comes in.
    Raw {
        to: Target,
        wire: &'a [u8],
    },
    Next,
    Read {
        from: u16,
        len: u16,
    },
}

#[derive(Arbitrary, Debug)]
enum Target {
    Assembler,
    Repair,
}

#[derive(Arbitrary, Debug)]
enum Forgery<'a> {
    Id(u8),
    IdOf(u8),
    Place { stripe: u32, index: u16 },
    PlaceOf(u8),
    Lz4,
    Raw,
    PlainLen(u32),
    Bytes(&'a [u8]),
    BytesOf(u8),
    Flip { at: u16, xor: u8 },
    Cut(u16),
}

struct World {
    resource: Bytes,
    encoded: Encoded,
    /// The plain bytes of each piece.
    plain: Vec<Bytes>,
}

/// Text and noise, a chunk that occurs twice, a short last chunk, and a last group of another shape.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_le_bytes()[3]
        };
        let mut resource: Vec<u8> = (0..4096 * 6).map(|_| noise()).collect();
        resource.extend((0..4096 * 6).map(|at| b"some words to compress, "[at % 24]));
        resource.extend_from_within(..4096 + 777);
        let resource = Bytes::from(resource);
        let config = Config {
            chunk_size: ChunkSize::new(4096).expect("4 KiB is a chunk size"),
            geometry: Geometry::new(5, 3).expect("the counts are valid"),
            interleave: 2,
            ..Config::default()
        };
        let encoded = encode(&resource, &config).expect("the configuration is valid");
        let plain = encoded.pieces.iter().map(plain_of).collect();
        World { resource, encoded, plain }
    })
}

fn plain_of(piece: &Piece) -> Bytes {
    match piece.codec {
        Codec::Raw => piece.bytes.clone(),
        _ => lz4_flex::block::decompress(&piece.bytes, piece.plain_len as usize).expect("a genuine block").into(),
    }
}

impl World {
    fn pick(&self, number: u8) -> &Piece {
        &self.encoded.pieces[usize::from(number) % self.encoded.pieces.len()]
    }

    /// Whether a piece is what the manifest names at its place, by comparison with the original bytes alone.
    fn is_genuine(&self, piece: &Piece) -> bool {
        let mut genuine = self.encoded.pieces.iter().zip(&self.plain);
        genuine.any(|(original, plain)| {
            let content = match piece.codec {
                Codec::Raw => Some(piece.bytes.clone()),
                // The buffer has the length of the genuine bytes, so a bomb does not fit.
                _ => {
                    let mut out = vec![0; plain.len()];
                    let len = lz4_flex::block::decompress_into(&piece.bytes, &mut out).ok();
                    len.filter(|len| *len == out.len()).map(|_| out.into())
                }
            };
            original.place == piece.place
                && original.id == piece.id
                && original.plain_len == piece.plain_len
                && content.as_ref() == Some(plain)
        })
    }

    fn forge(&self, original: u8, forgeries: Vec<Forgery<'_>>) -> Piece {
        let mut piece = self.pick(original).clone();
        for forgery in forgeries {
            match forgery {
                Forgery::Id(fill) => piece.id = ChunkId::from_bytes([fill; ChunkId::LEN]),
                Forgery::IdOf(other) => piece.id = self.pick(other).id,
                Forgery::Place { stripe, index } => piece.place = Place::Shard { stripe, index },
                Forgery::PlaceOf(other) => piece.place = self.pick(other).place,
                Forgery::Lz4 => piece.codec = Codec::Lz4,
                Forgery::Raw => piece.codec = Codec::Raw,
                Forgery::PlainLen(plain_len) => piece.plain_len = plain_len,
                Forgery::Bytes(bytes) => piece.bytes = Bytes::copy_from_slice(bytes),
                Forgery::BytesOf(other) => piece.bytes = self.pick(other).bytes.clone(),
                Forgery::Flip { at, xor } => {
                    let mut bytes = piece.bytes.to_vec();
                    let at = usize::from(at) % bytes.len().max(1);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= xor;
                    }
                    piece.bytes = bytes.into();
                }
                Forgery::Cut(len) => piece.bytes.truncate(len.into()),
            }
        }
        piece
    }
}

/// Reads a wire form; what was read must have that wire form.
fn parse(wire: Vec<u8>) -> Option<Piece> {
    let wire = Bytes::from(wire);
    let piece = Piece::from_bytes(wire.clone()).ok()?;
    assert_eq!(piece.to_bytes(), wire, "one piece has one wire form");
    Some(piece)
}

fuzz_target!(|input: Input<'_>| {
    let world = world();
    let mut assembler = Assembler::new(world.encoded.manifest.clone());
    let mut repair = StripeRepair::new(&world.encoded.manifest, 1, &[0, 2, 6]).expect("the stripe has these shards");
    let mut handed_out = 0;
    for step in input.steps {
        let (piece, to) = match step {
            Step::Forged { original, to, forgeries } => (Some(world.forge(original, forgeries)), to),
            Step::Edited { original, to, edits, keep } => {
                let mut wire = world.pick(original).to_bytes().to_vec();
                for (at, xor) in edits {
                    let at = usize::from(at) % wire.len();
                    wire[at] ^= xor;
                }
                wire.truncate(keep.map_or(usize::MAX, usize::from));
                (parse(wire), to)
            }
            Step::Raw { to, wire } => (parse(wire.to_vec()), to),
            Step::Next => {
                next(world, &mut assembler, &mut handed_out);
                continue;
            }
            Step::Read { from, len } => {
                let range = u64::from(from)..u64::from(from) + u64::from(len);
                if let Ok(slices) = assembler.read(range.clone()) {
                    let expected = &world.resource[range.start as usize..range.end as usize];
                    assert!(slices.concat() == expected, "what is read is the resource");
                }
                continue;
            }
        };
        let Some(piece) = piece else { continue };
        let inserted = match to {
            Target::Assembler => assembler.insert(piece.clone()),
            Target::Repair => repair.insert(piece.clone()),
        };
        if matches!(inserted, Inserted::Accepted) {
            assert!(world.is_genuine(&piece), "only genuine pieces are accepted");
        }
    }
    if matches!(input.end, End::SomeAreLost) {
        complete(world, world.encoded.pieces.iter().rev(), assembler, handed_out);
        complete_repair(world, repair);
    } else {
        complete(world, world.encoded.pieces.iter(), assembler, handed_out);
    }
});

fn next(world: &World, assembler: &mut Assembler, handed_out: &mut usize) {
    if let Some((offset, chunk)) = assembler.next_ready() {
        assert_eq!(offset, *handed_out as u64);
        assert!(chunk == world.resource[*handed_out..*handed_out + chunk.len()], "chunks are those of the resource");
        *handed_out += chunk.len();
    }
}

/// Parity is at the end of each group: in reverse, the first chunks of a stripe are not needed any more.
fn complete<'a>(
    world: &World,
    pieces: impl Iterator<Item = &'a Piece>,
    mut assembler: Assembler,
    mut handed_out: usize,
) {
    for piece in pieces {
        let inserted = assembler.insert(piece.clone());
        assert!(matches!(inserted, Inserted::Accepted | Inserted::Duplicate), "a genuine piece is welcome");
    }
    assert!(assembler.is_complete());
    next(world, &mut assembler, &mut handed_out);
    let rest = assembler.finish().expect("the resource is complete");
    assert!(rest == world.resource[handed_out..], "the resource came back");
}

fn complete_repair(world: &World, mut repair: StripeRepair) {
    for piece in &world.encoded.pieces {
        if matches!(piece.place, Place::Shard { stripe: 1, index } if ![0, 2, 6].contains(&index)) {
            let inserted = repair.insert(piece.clone());
            assert!(matches!(inserted, Inserted::Accepted | Inserted::Duplicate), "a genuine piece is welcome");
        }
    }
    let repaired = repair.finish(Compression::Lz4).expect("five of eight pieces are present");
    assert_eq!(repaired.len(), 3);
    for piece in repaired {
        assert!(world.is_genuine(&piece), "repaired pieces are genuine");
    }
}
