//! Cuts a resource into chunks, names each by its content, compresses it, protects it with Reed-Solomon parity, and
//! brings the resource back from any sufficient subset of the pieces.
//!
//! Pieces may be lost, and those that arrive come from strangers. A [`Manifest`], known by its root id, names every
//! piece; nothing that it does not name is ever handed out. A stripe with `p` parity shards survives the loss *or
//! corruption* of any `p` of its pieces, and a bad piece is rejected with the reason, so that its sender can be told
//! apart. If too many are gone the answer is [`NotEnoughShards`], never wrong bytes.
//!
//! # What this crate does not do
//!
//! It opens no socket and no file, reads no clock, starts no thread unless asked for `parallel::Encoder`. It does not
//! decide which node stores what. It does not encrypt. It does not keep the root page: whoever needs the resource holds
//! its name and those few bytes.
//!
//! # Overview
//!
//! - [`ChunkId`]: BLAKE3 of the plain bytes; parity and manifest pages are named in domains of their own.
//! - [`split`]: chunks as slices of the resource, without a copy. [`ChunkSize`], default [`CHUNK_SIZE`].
//! - [`Geometry`] and [`Config`]: how many parity shards, how many stripes in a group, and the odds that this gives.
//! - [`encode`] and [`Encoder`]: from a resource to [`Piece`]s and a [`Manifest`], in one call or as a stream; with
//!   the feature `parallel` on several threads.
//! - [`Manifest`]: what the pieces are called, page by page; a single piece is verified with one page of each level.
//! - [`Assembler`]: from pieces, in any order and from anyone, back to the resource.
//! - [`StripeRepair`]: lost pieces of one stripe, data and parity, from the others.
//! - [`erasure`]: the Reed-Solomon code alone.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use inos_chunk::{Assembler, Config, Encoder, Inserted, Limits, Manifest};
//!
//! // The publisher: push bytes as they come, send pieces as they are ready.
//! let resource = Bytes::from(vec![7; 12 << 20]);
//! let mut encoder = Encoder::new(resource.len() as u64, &Config::default())?;
//! let mut mesh = Vec::new();
//! for part in resource.chunks(5_000_000) {
//!     encoder.push(Bytes::copy_from_slice(part))?;
//!     while let Some(piece) = encoder.next_piece() {
//!         mesh.push(piece);
//!     }
//! }
//! encoder.end()?;
//! mesh.extend(std::iter::from_fn(|| encoder.next_piece()));
//! let manifest = encoder.finish()?;
//! let (root, wire) = (manifest.root(), manifest.to_bytes());
//!
//! // A reader who knows the root id. Two pieces are lost, a third is corrupt.
//! let mut assembler = Assembler::new(Manifest::open(&wire, root, &Limits::default())?);
//! mesh[2].bytes = Bytes::from_static(b"nonsense");
//! for piece in mesh.into_iter().skip(2) {
//!     let place = piece.place;
//!     if let Inserted::Rejected(reason) = assembler.insert(piece) {
//!         println!("{place:?} was bad: {reason}");
//!     }
//! }
//! let mut received = Vec::new();
//! while let Some((offset, chunk)) = assembler.next_ready() {
//!     assert_eq!(offset, received.len() as u64);
//!     received.extend_from_slice(&chunk);
//! }
//! assert_eq!(received, resource);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - Same bytes and same [`Config`], same ids, parity and manifest: on every target, however the bytes were pushed.
//!   Only LZ4 blocks may differ between targets; they decode to the same bytes.
//! - Every chunk that is handed out has the id that the manifest names, repaired ones included.
//! - Input from strangers never panics, and allocates at most one chunk or one page before it is known to be genuine.
//! - Parity bytes are those of the `reed-solomon-simd` crate, and LZ4 blocks are plain: others can read them.
//!
//! # Limits
//!
//! | what | limit |
//! | --- | --- |
//! | chunk | a power of two, 4 KiB..=16 MiB; default 1 MiB |
//! | shards of a stripe | 1..=32,768 data, 1..=32,768 parity; default 100 + 20 |
//! | stripes of a group | 1..=256; default 4 |
//! | stripes of a resource | 2^32 - 1 |
//! | manifest page | 64 KiB; up to 2,047 pieces, 1.6 GiB with the defaults, need no page but the root |
//! | pages lost | of each 100 pages as many as they have parity: in the proportion of the geometry, at least 4 |
//! | memory of encoder or assembler | a group, parity or losses of a stripe, and 100 pages; default 435 MiB |
//! | parity | `ceil(k * parity / data)` shards for k chunks, at least 1; it does not compress |
//!
//! # Features
//!
//! - `std` (default): detects at run time which CPU instructions hash and erasure code can use. Without it the crate
//!   needs `alloc` only.
//! - `fast-lz4`: makes LZ4 blocks with unchecked (`unsafe`) code of `lz4_flex`, a tenth to a third faster. Only makes:
//!   blocks from strangers are always opened by checked code. The choice holds for all users of this crate in a build.
//! - `parallel`: the module `parallel`, whose encoder makes the same pieces on several threads. Absent on wasm32.
//! - `serde`: for the plain types. What is deserialized is checked as [`Config::validate`] and `new` check it.
//!
//! # References
//!
//! - O'Connor, Aumasson, Neves, Wilcox-O'Hearn: BLAKE3, one function, fast everywhere. 2020.
//! - Lin, Al-Naffouri, Han, Chung: Novel Polynomial Basis With Fast Fourier Transform and Its Application to
//!   Reed-Solomon Erasure Codes. IEEE Transactions on Information Theory, 2016.
//! - Collet: [LZ4 block format](https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md).
//! - `docs/format.md`: the formats, byte by byte. `docs/guide.md`: geometry, memory, threads, wasm32, hostile peers.

#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod assembler;
mod check;
mod compress;
mod config;
mod encoder;
pub mod erasure;
mod geometry;
mod id;
mod layout;
mod manifest;
#[cfg(all(feature = "parallel", not(target_arch = "wasm32")))]
pub mod parallel;
mod piece;
mod repair;
#[cfg(feature = "serde")]
mod serial;
mod split;

pub use assembler::{Assembler, FinishError, NotEnoughShards, ReadError};
pub use check::{Inserted, RejectReason, VerifyError};
pub use config::{Compression, Config, ConfigError};
pub use encoder::{EncodeError, Encoded, Encoder, encode};
pub use geometry::{Geometry, GeometryError, StorageClass};
pub use id::{ChunkId, PAGE_CONTEXT, PAGE_PARITY_CONTEXT, PARITY_CONTEXT, ParseIdError};
pub use layout::StripeShape;
pub use manifest::{
    Limits, Location, LookupError, MAX_ROOT_PIECES, Manifest, ManifestError, ManifestWriter, NotEnoughPages,
    PAGE_BYTES, Quantity,
};
pub use piece::{Codec, Piece, PieceError, Place};
pub use repair::{RepairError, StripeRepair};
pub use split::{CHUNK_SIZE, ChunkSize, ChunkSizeError, Split, split};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
