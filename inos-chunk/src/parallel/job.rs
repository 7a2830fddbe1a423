//! What one worker does at a time, and what it hands back.

use crate::ChunkId;
use crate::encoder::{Packed, Tools};
use crate::erasure::Codec as ErasureCodec;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

/// Input is shared, output is owned: no lock is held while a job runs.
#[derive(Debug)]
pub(super) enum Job {
    /// Name and compress neighbouring chunks; `first` counts chunks from the start of the resource.
    Pack { first: u64, chunks: Vec<Bytes> },
    /// Compute one column of a stripe's parity: of all shards the bytes from `from` on, as many as `parity` holds.
    Encode { stripe: u64, column: usize, from: usize, codec: ErasureCodec, chunks: Arc<[Bytes]>, parity: Vec<BytesMut> },
    /// Name neighbouring parity shards.
    Name { stripe: u64, first: usize, shards: Vec<Bytes> },
    /// Fails.
    #[cfg(test)]
    Panic,
}

/// The result of a [`Job`].
#[derive(Debug)]
pub(super) enum Done {
    Packed { first: u64, packed: Vec<Packed> },
    Encoded { stripe: u64, column: usize, parity: Vec<BytesMut> },
    Named { stripe: u64, first: usize, ids: Vec<ChunkId> },
    Panicked,
}

impl Job {
    /// Input is dropped before this returns, so that who gets the result knows it gone.
    pub(super) fn run(self, tools: &mut Tools) -> Done {
        // A job that panicked leaves tools behind that nobody uses again: the whole encoder has failed then.
        catch_unwind(AssertUnwindSafe(|| self.run_here(tools))).unwrap_or(Done::Panicked)
    }

    fn run_here(self, tools: &mut Tools) -> Done {
        match self {
            Self::Pack { first, chunks } => {
                Done::Packed { first, packed: chunks.iter().map(|chunk| tools.pack(chunk)).collect() }
            }
            Self::Encode { stripe, column, from, codec, chunks, mut parity } => {
                tools.encode(&codec, &chunks, from, &mut parity);
                Done::Encoded { stripe, column, parity }
            }
            Self::Name { stripe, first, shards } => {
                Done::Named { stripe, first, ids: shards.iter().map(|shard| ChunkId::of_parity(shard)).collect() }
            }
            #[cfg(test)]
            Self::Panic => std::panic::resume_unwind(alloc::boxed::Box::new("a job that fails, without a message")),
        }
    }
}
