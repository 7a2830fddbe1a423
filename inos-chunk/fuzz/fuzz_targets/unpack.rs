//! Goal: an LZ4 piece from a stranger is opened into exactly the bytes that its place has, or rejected: forged lengths
//! and bombs cost one chunk of memory at most.
//!
//! Method: plain bytes from the input become a resource of one chunk; a block is compressed from them and changed, or
//! comes from the input as it is. A simple decoder of the block format says what it holds. Memory is limited from
//! outside: run with `-malloc_limit_mb=2`.

#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use inos_chunk::{Assembler, ChunkSize, Codec, Compression, Config, Inserted, Piece, RejectReason, encode};
use libfuzzer_sys::fuzz_target;

/// Chunks of this length, so that a bomb could blow up 16 times and more.
const CHUNK_BYTES: usize = 64 << 10;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    plain: Plain<'a>,
    block: Block<'a>,
    claimed_len: Option<u32>,
}

#[derive(Arbitrary, Debug)]
enum Plain<'a> {
    Bytes(&'a [u8]),
    Repeated { pattern: &'a [u8], len: u16 },
}

#[derive(Arbitrary, Debug)]
enum Block<'a> {
    Genuine {
        edits: Vec<(u16, u8)>,
        keep: Option<u16>,
        append: &'a [u8],
    },
    Raw(&'a [u8]),
    /// A literal and a match with a long chain of length bytes, which promises 255 times the bytes it has.
    Bomb {
        literal: u8,
        lengths: u16,
        tail: &'a [u8],
    },
}

impl Plain<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Repeated { pattern, len } => pattern.iter().copied().cycle().take((*len).into()).collect(),
        };
        bytes.truncate(CHUNK_BYTES);
        // An empty resource has no piece.
        if bytes.is_empty() { vec![0] } else { bytes }
    }
}

impl Block<'_> {
    fn bytes(&self, plain: &[u8]) -> Vec<u8> {
        match self {
            Self::Genuine { edits, keep, append } => {
                let mut block = lz4_flex::block::compress(plain);
                for (at, xor) in edits {
                    let at = usize::from(*at) % block.len();
                    block[at] ^= xor;
                }
                block.truncate(keep.map_or(usize::MAX, usize::from));
                block.extend_from_slice(append);
                block
            }
            Self::Raw(bytes) => bytes.to_vec(),
            Self::Bomb { literal, lengths, tail } => {
                let mut block = vec![0x1F, *literal, 1, 0];
                block.resize(4 + usize::from(*lengths), 255);
                block.extend_from_slice(tail);
                block
            }
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let plain = input.plain.bytes();
    let config = Config {
        chunk_size: ChunkSize::new(CHUNK_BYTES).expect("64 KiB is a chunk size"),
        compression: Compression::Raw,
        ..Config::default()
    };
    let encoded = encode(&Bytes::from(plain.clone()), &config).expect("the configuration is valid");
    let genuine = encoded.pieces[0].clone();
    let block = input.block.bytes(&plain);
    let plain_len = input.claimed_len.unwrap_or(genuine.plain_len);
    let forged = Piece { codec: Codec::Lz4, plain_len, bytes: block.clone().into(), ..genuine.clone() };

    let mut assembler = Assembler::new(encoded.manifest);
    let holds_plain = decode(&block, plain.len()).is_some_and(|decoded| decoded == plain);
    match assembler.insert(forged) {
        Inserted::Accepted => {
            assert!(holds_plain && plain_len == genuine.plain_len, "only a block of the plain bytes is accepted");
            assert!(block.len() < plain.len(), "a block that is not shorter is never made");
        }
        // A block may break rules for ends that the simple decoder does not know, but then the reason is that.
        Inserted::Rejected(RejectReason::WrongContent { .. }) => assert!(!holds_plain, "a genuine block is opened"),
        Inserted::Rejected(_) => {
            let untouched =
                matches!(&input.block, Block::Genuine { edits, keep: None, append: [] } if edits.is_empty());
            let acceptable = untouched && plain_len == genuine.plain_len && block.len() < plain.len();
            assert!(!acceptable, "a genuine block is opened");
        }
        other => panic!("{other:?} for the first piece of a resource"),
    }
    let _ = assembler.insert(genuine);
    assert!(assembler.finish().is_ok_and(|assembled| assembled == plain), "the genuine piece is still welcome");
});

/// The block format as it is written down, without the rules for its end: the bytes, if there are at most `max_len`.
fn decode(mut block: &[u8], max_len: usize) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    loop {
        let token = take(&mut block, 1)?[0];
        let literals = length(&mut block, token >> 4)?;
        out.extend_from_slice(take(&mut block, literals)?);
        if out.len() > max_len {
            return None;
        }
        if block.is_empty() {
            return Some(out);
        }
        let offset = take(&mut block, 2)?;
        let offset = usize::from(u16::from_le_bytes([offset[0], offset[1]]));
        let len = length(&mut block, token & 15)? + 4;
        if offset == 0 || offset > out.len() || len > max_len - out.len() {
            return None;
        }
        for _ in 0..len {
            out.push(out[out.len() - offset]);
        }
    }
}

fn take<'a>(block: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = block.split_at_checked(len)?;
    *block = rest;
    Some(taken)
}

fn length(block: &mut &[u8], nibble: u8) -> Option<usize> {
    let mut len = usize::from(nibble);
    if nibble == 15 {
        loop {
            let byte = take(block, 1)?[0];
            len += usize::from(byte);
            if byte < 255 {
                break;
            }
        }
    }
    Some(len)
}
