//! A thread that plays every node of the mesh, behind one shared-memory region.
//!
//! What to notice: requests come out of the inbox ring and answers go into the outbox ring; pieces themselves lie in
//! the arena, and only their handles travel. The host is also where nodes die, and where some of them lie: the client
//! on the other side of the rings learns of either only from the answers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use inos_chunk::{Piece, Place};
use inos_sab::{ArenaBox, Consumer, Flow, Frame};

use crate::link::{Beat, LinkError, Post};

/// Names one piece on one node: the message header of the rings, little-endian, [`Address::LEN`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Which node is meant, 0..nodes.
    pub node: u32,
    /// The piece's stripe.
    pub stripe: u32,
    /// Its index in the stripe: data shards first, then parity.
    pub index: u16,
}

impl Address {
    /// Bytes of the header.
    pub const LEN: usize = 12;

    /// The header.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.node.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.stripe.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.index.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` when it is not [`Address::LEN`] bytes long.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Some(Self { node: word(0), stripe: word(4), index: u16::from_le_bytes([bytes[8], bytes[9]]) })
    }
}

/// Frame kinds of the inbox.
pub(crate) mod request {
    /// Object: header and piece. Answered by `STORED` or `UNREACHABLE`.
    pub(crate) const PUT: u16 = 1;
    /// Inline header. Answered by `PIECE`, `ABSENT` or `UNREACHABLE`.
    pub(crate) const GET: u16 = 2;
    /// Empty. Answered by `ALIVE` frames and one empty `ALIVE` at the end.
    pub(crate) const BEAT: u16 = 3;
    /// Inline node number: the failure that is injected. Not answered.
    pub(crate) const KILL: u16 = 4;
    /// Empty. The host ends.
    pub(crate) const STOP: u16 = 5;
}

/// Frame kinds of the outbox.
pub(crate) mod answer {
    /// Inline header.
    pub(crate) const STORED: u16 = 1;
    /// Object: header and piece.
    pub(crate) const PIECE: u16 = 2;
    /// Inline header: the node lives but has no such piece.
    pub(crate) const ABSENT: u16 = 3;
    /// Inline header: what a connection that times out would tell.
    pub(crate) const UNREACHABLE: u16 = 4;
    /// Inline pairs of node number and bytes stored; an empty frame ends the list.
    pub(crate) const ALIVE: u16 = 5;
}

/// How a node answers a request for a piece. The lies are careful ones: where the wire form has a checksum, they mend
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// With the piece it was given.
    Honest,
    /// With one bit of the content flipped.
    Corrupt,
    /// With the wire form cut in half.
    Truncate,
    /// With another piece that it holds, under the name of the one asked for (a flipped bit if it holds no other).
    Mislabel,
    /// With a forged length in the header.
    Forge,
}

impl Conduct {
    /// The ways to lie, dealt out in turn.
    pub const LIES: [Self; 4] = [Self::Corrupt, Self::Truncate, Self::Mislabel, Self::Forge];

    /// What the node sends when asked for `piece` at `address`, holding `other` besides.
    fn serve<'a>(self, address: Address, piece: &'a [u8], other: Option<&[u8]>) -> Cow<'a, [u8]> {
        let parse = |wire: &[u8]| Piece::from_bytes(Bytes::copy_from_slice(wire)).ok();
        let lie = match (self, other) {
            (Self::Honest, _) => return Cow::Borrowed(piece),
            (Self::Truncate, _) => return Cow::Borrowed(&piece[..piece.len() / 2]),
            (Self::Mislabel, Some(other)) => parse(other).map(|mut lie| {
                lie.place = Place::Shard { stripe: address.stripe, index: address.index };
                lie
            }),
            (Self::Forge, _) => parse(piece).map(|mut lie| {
                lie.plain_len ^= 1;
                lie
            }),
            (Self::Corrupt | Self::Mislabel, _) => parse(piece).map(|mut lie| {
                let mut content = lie.bytes.to_vec();
                if let Some(byte) = content.last_mut() {
                    *byte ^= 1;
                }
                lie.bytes = content.into();
                lie
            }),
        };
        lie.map_or(Cow::Borrowed(&[]), |lie| Cow::Owned(lie.to_bytes().to_vec()))
    }
}

/// One node: what it stores, whether it lives, whether it lies.
#[derive(Debug)]
struct Node {
    pieces: BTreeMap<(u32, u16), Box<[u8]>>,
    stored_bytes: u64,
    conduct: Conduct,
    alive: bool,
}

/// The host thread's state.
#[derive(Debug)]
pub(crate) struct Host {
    nodes: Vec<Node>,
    inbox: Consumer,
    post: Post,
}

/// Beats in one `ALIVE` frame, well under the inline limit of 64 KiB.
const BEATS_PER_FRAME: usize = 1_000;
/// Requests taken from the ring at a time.
const BATCH: usize = 32;
/// How long the host sleeps when nobody wakes it.
const NAP: Duration = Duration::from_millis(100);

impl Host {
    /// Nodes with these conducts, all alive and empty.
    pub(crate) fn new(conducts: &[Conduct], inbox: Consumer, post: Post) -> Self {
        let node = |&conduct| Node { pieces: BTreeMap::new(), stored_bytes: 0, conduct, alive: true };
        Self { nodes: conducts.iter().map(node).collect(), inbox, post }
    }

    /// Serves requests until told to stop.
    pub(crate) fn serve(mut self) -> Result<(), LinkError> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.inbox.drain(BATCH, |frame| {
                batch.push(Request::read(frame));
                Flow::Continue
            })?;
            if batch.is_empty() {
                self.inbox.wait(Some(NAP));
            }
            for request in batch.drain(..) {
                match request {
                    Request::Put(address, object) => {
                        let kind = Self::put(&mut self.nodes, address, &object);
                        // The block is free for the client before it hears of it.
                        drop(object);
                        send(&mut self.post, kind, address, None)?;
                    }
                    Request::Get(address) => match Self::get(&self.nodes, address) {
                        Ok(piece) => send(&mut self.post, answer::PIECE, address, Some(&piece))?,
                        Err(kind) => send(&mut self.post, kind, address, None)?,
                    },
                    Request::Beat => Self::beat(&self.nodes, &mut self.post)?,
                    Request::Kill(node) => Self::kill(&mut self.nodes, node),
                    Request::Stop => return Ok(()),
                    Request::Malformed(kind) => return Err(LinkError::Malformed { kind }),
                }
            }
        }
    }

    fn put(nodes: &mut [Node], address: Address, object: &ArenaBox) -> u16 {
        let Some(node) = living(nodes, address.node) else { return answer::UNREACHABLE };
        let piece: Box<[u8]> = object.as_slice()[Address::LEN..].into();
        node.stored_bytes += piece.len() as u64;
        if let Some(old) = node.pieces.insert((address.stripe, address.index), piece) {
            node.stored_bytes -= old.len() as u64;
        }
        answer::STORED
    }

    fn get(nodes: &[Node], address: Address) -> Result<Cow<'_, [u8]>, u16> {
        let node = usize::try_from(address.node).ok().and_then(|index| nodes.get(index));
        let node = node.filter(|node| node.alive).ok_or(answer::UNREACHABLE)?;
        let name = (address.stripe, address.index);
        let piece = node.pieces.get(&name).ok_or(answer::ABSENT)?;
        let other = node.pieces.iter().find(|(held, _)| **held != name).map(|(_, piece)| &**piece);
        Ok(node.conduct.serve(address, piece, other))
    }

    fn beat(nodes: &[Node], post: &mut Post) -> Result<(), LinkError> {
        let living = (0..).zip(nodes).filter(|(_, node)| node.alive);
        let beats: Vec<Beat> = living.map(|(node, state)| Beat { node, stored_bytes: state.stored_bytes }).collect();
        for beats in beats.chunks(BEATS_PER_FRAME).chain([&[][..]]) {
            let frame: Vec<u8> = beats.iter().flat_map(|beat| beat.to_bytes()).collect();
            while !post.try_inline(answer::ALIVE, &frame)? {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    fn kill(nodes: &mut [Node], node: u32) {
        if let Some(node) = living(nodes, node) {
            node.alive = false;
            node.pieces.clear();
        }
    }
}

fn living(nodes: &mut [Node], node: u32) -> Option<&mut Node> {
    nodes.get_mut(usize::try_from(node).ok()?).filter(|node| node.alive)
}

/// Sends an answer, however long the client takes to make room.
fn send(post: &mut Post, kind: u16, address: Address, piece: Option<&[u8]>) -> Result<(), LinkError> {
    let header = address.to_bytes();
    loop {
        let sent = match piece {
            Some(piece) => post.try_object(kind, &header, &[piece])?,
            None => post.try_inline(kind, &header)?,
        };
        if sent {
            return Ok(());
        }
        std::thread::yield_now();
    }
}

/// A frame of the inbox, read.
#[derive(Debug)]
enum Request {
    Put(Address, ArenaBox),
    Get(Address),
    Beat,
    Kill(u32),
    Stop,
    Malformed(u16),
}

impl Request {
    fn read(frame: Frame<'_>) -> Self {
        let kind = frame.kind();
        let request = match frame {
            Frame::Object { object, .. } if kind == request::PUT => {
                let address = object.as_slice().get(..Address::LEN).and_then(Address::from_bytes);
                address.map(|address| Self::Put(address, object))
            }
            Frame::Object { .. } | Frame::Gone { .. } => None,
            Frame::Inline { payload, .. } => match kind {
                request::GET => Address::from_bytes(payload.bytes()).map(Self::Get),
                request::KILL => payload.bytes().try_into().ok().map(|node| Self::Kill(u32::from_le_bytes(node))),
                request::BEAT => Some(Self::Beat),
                request::STOP => Some(Self::Stop),
                _ => None,
            },
        };
        request.unwrap_or(Self::Malformed(kind))
    }
}
