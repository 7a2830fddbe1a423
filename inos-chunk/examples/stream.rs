//! A resource of any size through encoder and assembler, with the peak of memory.
//!
//! ```text
//! cargo run --release -p inos-chunk --example stream -- [BYTES] [INTERLEAVE]
//! ```
//!
//! `BYTES` defaults to 10 GiB, `INTERLEAVE` to 4. The resource is made up and never in memory as a whole. It is encoded
//! once for the manifest, and again while an assembler, which knows the root page alone, reads it: of every stripe as
//! many data pieces are lost as it has parity shards, of the manifest every sixth page. Every byte is compared.

#![expect(clippy::print_stdout, reason = "this is a program")]

#[path = "../tests/memory/counting.rs"]
mod counting;

extern crate alloc;

use alloc::collections::BTreeMap;
use bytes::Bytes;
use core::error::Error;
use counting::{Counting, peak_of};
use inos_chunk::{Assembler, CHUNK_SIZE, Config, EncodeError, Encoder, Inserted, Manifest, Piece, Place};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

/// Chunk `number` of the resource, cut off at its end: no two are equal, every other one compresses.
fn chunk(number: u64, len: u64) -> Bytes {
    let offset = number * CHUNK_SIZE as u64;
    let chunk_len = usize::try_from(len - offset).unwrap_or(CHUNK_SIZE).min(CHUNK_SIZE);
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(CHUNK_SIZE);
    while bytes.len() < CHUNK_SIZE {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = if number.is_multiple_of(2) { state ^ state >> 29 } else { state >> 44 };
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(chunk_len);
    bytes.into()
}

/// Encodes the resource, and hands each piece over.
fn encode(len: u64, config: &Config, mut take: impl FnMut(Piece)) -> Result<Manifest, EncodeError> {
    let mut encoder = Encoder::new(len, config)?;
    for number in 0..len.div_ceil(CHUNK_SIZE as u64) {
        encoder.push(chunk(number, len))?;
        core::iter::from_fn(|| encoder.next_piece()).for_each(&mut take);
    }
    encoder.end()?;
    core::iter::from_fn(|| encoder.next_piece()).for_each(&mut take);
    encoder.finish()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let len = arguments.next().map_or(Ok(10 << 30), |bytes| bytes.parse::<u64>())?;
    let interleave = arguments.next().map_or(Ok(4), |count| count.parse::<u16>())?;
    let config = Config { interleave, ..Config::default() };

    let mut pages = BTreeMap::new();
    let (manifest, encoder_peak) = peak_of(|| {
        encode(len, &config, |piece| {
            if let Place::Page { child, .. } = piece.place
                && child % 6 != 0
            {
                pages.insert(piece.place, piece);
            }
        })
    });
    let manifest = manifest?;
    let group = u64::from(interleave) * u64::from(config.geometry.data()) * CHUNK_SIZE as u64;
    let bound = usize::try_from(group.min(len))? + (20 + 15) * MIB;
    println!(
        "{len} bytes, {} pieces, {} pages, root {}",
        manifest.piece_count(),
        manifest.page_count(),
        manifest.root()
    );
    println!("group {} MiB, bound {} MiB", group >> 20, bound / MIB);
    println!("peak of the encoder {} MiB", encoder_peak / MIB);

    let mut assembler = Assembler::new(manifest.clone());
    let (mut ready, mut lost, mut bad) = (0, 0_u64, 0_u64);
    let (result, both_peak) = peak_of(|| {
        encode(len, &config, |piece| {
            let Place::Shard { stripe, index } = piece.place else { return };
            let parity = manifest.stripe(stripe).map_or(0, |shape| shape.parity);
            if index < parity {
                lost += 1;
                return;
            }
            // As from the wire: with a buffer of its own.
            let mut piece = Some(Piece { bytes: Bytes::copy_from_slice(&piece.bytes), ..piece });
            while let Some(offered) = piece.take() {
                match assembler.insert(offered) {
                    Inserted::Accepted | Inserted::Duplicate => {}
                    Inserted::NeedsPage { page, piece: back } => {
                        let others = assembler.manifest().page_stripe(page).filter_map(|place| pages.get(&place));
                        let others: Vec<Piece> = others.cloned().collect();
                        let direct = pages.get(&page).cloned();
                        for page in direct.into_iter().chain(others) {
                            if !matches!(assembler.insert(page), Inserted::Accepted | Inserted::Duplicate) {
                                bad += 1;
                            }
                            if assembler.manifest().id(back.place).is_ok() {
                                break;
                            }
                        }
                        // Pages that do not bring the named one back would be asked for without end.
                        bad += u64::from(assembler.manifest().id(back.place).is_err());
                        piece = Some(back).filter(|back| assembler.manifest().id(back.place).is_ok());
                    }
                    Inserted::Rejected(_) => bad += 1,
                }
            }
            while let Some((_, bytes)) = assembler.next_ready() {
                bad += u64::from(bytes != chunk(ready, len));
                ready += 1;
            }
        })
    });
    result?;
    println!("peak of encoder and assembler together {} MiB", both_peak / MIB);
    println!("{ready} chunks came back, {lost} pieces were lost, {bad} were wrong");
    let complete = assembler.is_complete() && ready == manifest.chunk_count() && bad == 0;
    if !complete || encoder_peak > bound || both_peak > 2 * bound {
        return Err("the resource did not come back within the bound".into());
    }
    Ok(())
}
