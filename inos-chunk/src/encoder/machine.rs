//! The state of an encoder, whoever does its work: cutting, order, places, names in the manifest.

use super::work::{Packed, Shard, Work};
use super::{EncodeError, Repeats};
use crate::layout::{Group, Layout, StripeShape};
use crate::manifest::{ManifestBuilder, Tree};
use crate::{ChunkId, Codec, Config, Manifest, Piece, Place};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

pub(crate) struct Machine<W> {
    config: Config,
    declared_len: Option<u64>,
    pushed_len: u64,
    ended: bool,
    /// The chunk that is not full yet.
    open: OpenChunk,
    /// Full chunks that are not pieces yet.
    queue: VecDeque<Bytes>,
    group: OpenGroup,
    manifest: ManifestBuilder,
    repeats: Repeats,
    work: W,
}

/// The tail of what was pushed. A lone handle is kept as it is; it is copied only when another push continues it.
enum OpenChunk {
    Handle(Bytes),
    Buffer(Vec<u8>),
}

/// The group whose pieces are being made.
#[derive(Default)]
struct OpenGroup {
    number: u64,
    /// Chunks that are pieces already, for the parity; emptied stripe by stripe.
    held: Vec<Bytes>,
    /// The next stripe whose parity is to be ordered.
    ordered: u64,
    /// The next stripe whose parity is due.
    stripe: u64,
    /// Parity of the stripe before, not yet polled, with the index of the first.
    parity: VecDeque<Shard>,
    parity_index: u16,
}

impl<W: Work> Machine<W> {
    /// `declared_len` is `None` when the length is unknown. Nothing is started for a wrong configuration.
    pub(crate) fn new<E: From<EncodeError>>(
        declared_len: Option<u64>,
        config: &Config,
        start: impl FnOnce() -> Result<W, E>,
    ) -> Result<Self, E> {
        config.validate().map_err(EncodeError::from)?;
        if let Some(len) = declared_len {
            layout(len, config)?;
        }
        Ok(Self {
            config: *config,
            declared_len,
            pushed_len: 0,
            ended: false,
            open: OpenChunk::Handle(Bytes::new()),
            queue: VecDeque::new(),
            group: OpenGroup::default(),
            manifest: ManifestBuilder::new(config.geometry),
            repeats: Repeats::default(),
            work: start()?,
        })
    }

    /// For tests of the work itself.
    #[cfg(all(test, feature = "parallel", not(target_arch = "wasm32")))]
    pub(crate) const fn work_mut(&mut self) -> &mut W {
        &mut self.work
    }

    /// The layout, once the length is known.
    fn known_layout(&self) -> Option<Layout> {
        let len = self.declared_len.or_else(|| self.ended.then_some(self.pushed_len))?;
        layout(len, &self.config).ok()
    }

    pub(crate) fn stripe(&self, stripe: u32) -> Option<StripeShape> {
        Some(self.known_layout()?.stripe(stripe)?.shape)
    }

    pub(crate) fn level(&self) -> Option<u8> {
        Some(self.tree()?.level())
    }

    pub(crate) fn piece_count(&self) -> Option<u64> {
        Some(self.known_layout()?.entry_count() + self.tree()?.piece_count())
    }

    fn tree(&self) -> Option<Tree> {
        Some(Tree::new(&self.known_layout()?))
    }

    pub(crate) fn push(&mut self, mut bytes: Bytes) -> Result<(), EncodeError> {
        let len = self.pushed_len.saturating_add(bytes.len() as u64);
        if bytes.is_empty() {
            return Ok(());
        }
        if self.ended {
            return Err(EncodeError::Ended);
        }
        match self.declared_len {
            Some(declared) if len > declared => return Err(EncodeError::TooLong { declared, pushed: len }),
            Some(_) => {}
            None => {
                layout(len, &self.config)?;
            }
        }
        self.pushed_len = len;
        let chunk_bytes = self.config.chunk_size.bytes();
        if !self.open.is_empty() {
            let missing = chunk_bytes - self.open.len();
            self.open.append(bytes.split_to(missing.min(bytes.len())), chunk_bytes);
            if self.open.len() == chunk_bytes {
                self.queue.push_back(self.open.take());
            }
        }
        while bytes.len() >= chunk_bytes {
            self.queue.push_back(bytes.split_to(chunk_bytes));
        }
        if !bytes.is_empty() {
            self.open = OpenChunk::Handle(bytes);
        }
        Ok(())
    }

    pub(crate) fn end(&mut self) -> Result<(), EncodeError> {
        if let Some(declared) = self.declared_len.filter(|&declared| self.pushed_len < declared) {
            return Err(EncodeError::TooShort { declared, pushed: self.pushed_len });
        }
        if !self.ended {
            self.ended = true;
            if !self.open.is_empty() {
                self.queue.push_back(self.open.take());
            }
        }
        Ok(())
    }

    /// The next piece. After an error the state is lost.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Piece>, W::Error> {
        loop {
            if let Some(page) = self.manifest.next_page() {
                return Ok(Some(page));
            }
            self.work.look_ahead(&self.queue)?;
            let Some(chunks) = self.group_chunks() else {
                if !self.is_drained() {
                    return Ok(None);
                }
                self.manifest.end();
                return Ok(self.manifest.next_page());
            };
            let group = Group::new(chunks, self.config.geometry);
            if (self.group.held.len() as u64) < group.chunks {
                if !self.ended && self.queue.len() <= self.work.lag() {
                    return Ok(None);
                }
                let Some(chunk) = self.queue.pop_front() else { return Ok(None) };
                return self.data_piece(group, chunk).map(Some);
            }
            if let Some(shard) = self.group.parity.pop_front() {
                return Ok(Some(self.parity_piece(shard)));
            }
            if self.group.stripe < group.stripes() {
                if !self.ended && self.queue.len() < self.work.lag() {
                    return Ok(None);
                }
                self.compute_parity(group)?;
            } else {
                self.group = OpenGroup { number: self.group.number + 1, ..OpenGroup::default() };
            }
        }
    }

    /// Whether all data and parity pieces of the resource are made.
    fn is_drained(&self) -> bool {
        self.ended && self.known_layout().is_some_and(|layout| layout.entry_count() == self.manifest.ids())
    }

    /// Chunks of the open group, once that is certain; `None` also when there is no group left.
    fn group_chunks(&self) -> Option<u64> {
        let full = u64::from(self.config.interleave) * u64::from(self.config.geometry.data());
        let available = self.group.held.len() as u64 + self.queue.len() as u64;
        let left = match self.declared_len {
            // What follows from the declared length is certain before the chunks are there.
            Some(len) => len.div_ceil(self.config.chunk_size.bytes_u64()).saturating_sub(self.group.number * full),
            None => available,
        };
        let certain = self.declared_len.is_some() || self.ended || available >= full;
        (certain && left > 0).then(|| left.min(full))
    }

    fn data_piece(&mut self, group: Group, chunk: Bytes) -> Result<Piece, W::Error> {
        let j = self.group.held.len() as u64;
        let index = u16::try_from(j / group.stripes()).expect("a stripe has at most 32,768 data shards");
        let place = self.place(j % group.stripes(), index);
        let Packed { id, codec, bytes } = self.work.chunk(&chunk)?;
        let plain_len = u32::try_from(chunk.len()).expect("a chunk has at most 16 MiB");
        self.group.held.push(chunk);
        Ok(Piece { id, place, codec, plain_len, bytes, duplicate_of: self.register(id, place) })
    }

    fn parity_piece(&mut self, Shard { id, bytes }: Shard) -> Piece {
        // `stripe` is already the one after.
        let place = self.place(self.group.stripe - 1, self.group.parity_index);
        self.group.parity_index = self.group.parity_index.wrapping_add(1);
        let plain_len = u32::try_from(bytes.len()).expect("a shard has at most 16 MiB");
        Piece { id, place, codec: Codec::Raw, plain_len, bytes, duplicate_of: self.register(id, place) }
    }

    fn place(&self, stripe_of_group: u64, index: u16) -> Place {
        let stripe = self.group.number * u64::from(self.config.interleave) + stripe_of_group;
        Place::Shard { stripe: u32::try_from(stripe).expect("checked when the bytes were pushed"), index }
    }

    fn register(&mut self, id: ChunkId, place: Place) -> Option<Place> {
        self.manifest.push(id);
        self.repeats.note(id, place)
    }

    /// Orders the parity of as many stripes as work proceeds on at once, and waits for the first.
    fn compute_parity(&mut self, group: Group) -> Result<(), W::Error> {
        let ordered = (self.group.stripe + self.work.stripes_at_once() as u64).min(group.stripes());
        while self.group.ordered < ordered {
            let r = self.group.ordered;
            let step = usize::try_from(group.stripes()).expect("a group has at most 256 stripes");
            let first = usize::try_from(r).expect("a group has at most 256 stripes");
            let chunks = self.group.held.iter_mut().skip(first).step_by(step).map(core::mem::take).collect();
            self.work.start_stripe(chunks, group.parity(r))?;
            self.group.ordered += 1;
        }
        self.group.parity = self.work.finish_stripe()?;
        self.group.parity_index = group.data(self.group.stripe);
        self.group.stripe += 1;
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> Result<Manifest, EncodeError> {
        self.end()?;
        let layout = layout(self.pushed_len, &self.config)?;
        let all = layout.entry_count() + Tree::new(&layout).piece_count();
        let pieces = all - self.manifest.pieces();
        if pieces > 0 {
            return Err(EncodeError::Undrained { pieces });
        }
        // A resource without pages may not have been polled after the end.
        self.manifest.end();
        Ok(self.manifest.finish(layout))
    }
}

fn layout(len: u64, config: &Config) -> Result<Layout, EncodeError> {
    Layout::new(len, config).ok_or(EncodeError::TooManyStripes { len })
}

impl<W> fmt::Debug for Machine<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("config", &self.config)
            .field("declared_len", &self.declared_len)
            .field("pushed_len", &self.pushed_len)
            .field("ended", &self.ended)
            .field("pieces_made", &self.manifest.pieces())
            .finish_non_exhaustive()
    }
}

impl OpenChunk {
    fn len(&self) -> usize {
        match self {
            Self::Handle(bytes) => bytes.len(),
            Self::Buffer(bytes) => bytes.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn append(&mut self, more: Bytes, chunk_bytes: usize) {
        if let Self::Handle(bytes) = self {
            let mut buffer = Vec::with_capacity(chunk_bytes);
            buffer.extend_from_slice(bytes);
            *self = Self::Buffer(buffer);
        }
        if let Self::Buffer(buffer) = self {
            buffer.extend_from_slice(&more);
        }
    }

    fn take(&mut self) -> Bytes {
        match core::mem::replace(self, Self::Handle(Bytes::new())) {
            Self::Handle(bytes) => bytes,
            Self::Buffer(bytes) => bytes.into(),
        }
    }
}
