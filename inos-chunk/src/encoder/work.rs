//! The costly part of encoding: naming, compressing, computing parity. An encoder does it in place or has it done.

use crate::compress::Packer;
use crate::erasure::{Codec as ErasureCodec, Scratch};
use crate::{ChunkId, Codec, Compression};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::convert::Infallible;
use core::mem;

/// A data chunk, named and perhaps compressed.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) id: ChunkId,
    pub(crate) codec: Codec,
    pub(crate) bytes: Bytes,
}

/// A parity shard and its name.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    pub(crate) id: ChunkId,
    pub(crate) bytes: Bytes,
}

/// Does what an encoder orders. Results come in the order of the orders.
pub(crate) trait Work {
    type Error;

    /// Chunks that stay in the encoder's queue, for [`look_ahead`](Self::look_ahead), as long as more may come.
    fn lag(&self) -> usize;

    /// The most stripes that are started and not finished.
    fn stripes_at_once(&self) -> usize;

    /// Shows the chunks that will be asked for, in order. A chunk that was asked for is no longer among them.
    fn look_ahead(&mut self, queue: &VecDeque<Bytes>) -> Result<(), Self::Error>;

    /// Names and compresses the next chunk, the front of the queue that was shown.
    fn chunk(&mut self, chunk: &Bytes) -> Result<Packed, Self::Error>;

    /// Orders the parity of a stripe. The first chunk is the longest.
    fn start_stripe(&mut self, chunks: Vec<Bytes>, parity: u16) -> Result<(), Self::Error>;

    /// The parity of the stripe that was started first.
    fn finish_stripe(&mut self) -> Result<VecDeque<Shard>, Self::Error>;
}

/// What one thread works with.
pub(crate) struct Tools {
    compression: Compression,
    packer: Packer,
    scratch: Option<Scratch>,
}

impl Tools {
    pub(crate) fn new(compression: Compression) -> Self {
        Self { compression, packer: Packer::new(), scratch: None }
    }

    pub(crate) fn pack(&mut self, chunk: &Bytes) -> Packed {
        let id = ChunkId::of_chunk(chunk);
        let (codec, bytes) = self.packer.pack(chunk, self.compression);
        Packed { id, codec, bytes }
    }

    /// Computes the bytes from `from` on of all parity shards, as many as fit `parity`.
    pub(crate) fn encode(&mut self, codec: &ErasureCodec, chunks: &[Bytes], from: usize, parity: &mut [BytesMut]) {
        let column = |chunk: &'_ Bytes| from.min(chunk.len())..(from + parity[0].len()).min(chunk.len());
        let data: Vec<&[u8]> = chunks.iter().map(|chunk| &chunk[column(chunk)]).collect();
        let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(AsMut::as_mut).collect();
        let scratch = self.scratch.get_or_insert_with(|| codec.scratch());
        codec.encode_into(scratch, &data, &mut parity).expect("the first chunk of a stripe is the longest");
    }
}

/// Memory for parity shards. Fresh memory costs a page fault every 4 KiB, so the shards of the stripe before are
/// written again if everyone else has dropped them.
#[derive(Default)]
pub(crate) struct ShardMemory {
    last: Vec<Bytes>,
}

impl ShardMemory {
    /// `count` shards with any content.
    pub(crate) fn take(&mut self, count: u16, shard_bytes: usize) -> Vec<BytesMut> {
        let last = mem::take(&mut self.last).into_iter().filter_map(|shard| shard.try_into_mut().ok());
        let last = last.filter(|shard| shard.len() == shard_bytes);
        last.chain(core::iter::repeat_with(|| BytesMut::zeroed(shard_bytes))).take(count.into()).collect()
    }

    pub(crate) fn remember(&mut self, shards: &VecDeque<Shard>) {
        self.last = shards.iter().map(|shard| shard.bytes.clone()).collect();
    }
}

/// Does the work when its result is asked for, on the thread that asks.
pub(crate) struct InPlace {
    tools: Tools,
    memory: ShardMemory,
    stripe: Option<(Vec<Bytes>, u16)>,
}

impl InPlace {
    pub(crate) fn new(compression: Compression) -> Self {
        Self { tools: Tools::new(compression), memory: ShardMemory::default(), stripe: None }
    }
}

/// The code and the shard length of a stripe.
pub(crate) fn code_of(chunks: &[Bytes], parity: u16) -> (ErasureCodec, usize) {
    let codec = ErasureCodec::new(chunks.len(), parity.into()).expect("a geometry has valid counts");
    (codec, chunks[0].len().next_multiple_of(2))
}

impl Work for InPlace {
    type Error = Infallible;

    fn lag(&self) -> usize {
        0
    }

    fn stripes_at_once(&self) -> usize {
        1
    }

    fn look_ahead(&mut self, _: &VecDeque<Bytes>) -> Result<(), Infallible> {
        Ok(())
    }

    fn chunk(&mut self, chunk: &Bytes) -> Result<Packed, Infallible> {
        Ok(self.tools.pack(chunk))
    }

    fn start_stripe(&mut self, chunks: Vec<Bytes>, parity: u16) -> Result<(), Infallible> {
        self.stripe = Some((chunks, parity));
        Ok(())
    }

    fn finish_stripe(&mut self) -> Result<VecDeque<Shard>, Infallible> {
        let (chunks, parity) = self.stripe.take().expect("a stripe was started");
        let (codec, shard_bytes) = code_of(&chunks, parity);
        let mut shards = self.memory.take(parity, shard_bytes);
        self.tools.encode(&codec, &chunks, 0, &mut shards);
        let named = |shard: BytesMut| Shard { id: ChunkId::of_parity(&shard), bytes: shard.freeze() };
        let shards: VecDeque<Shard> = shards.into_iter().map(named).collect();
        self.memory.remember(&shards);
        Ok(shards)
    }
}
