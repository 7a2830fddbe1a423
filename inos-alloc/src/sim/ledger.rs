//! Which node is to hold what, as an integrator writes it down from what the allocator answers.

use crate::{NodeRef, PIECE_BYTES, Piece, ResourceSpec, Target};
use alloc::vec::Vec;

/// Part of a resource that is stored as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Whole,
    Chunk(u64),
    Shard { stripe: u32, shard: u32 },
}

impl From<Piece> for Item {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Chunk { chunk } => Self::Chunk(chunk),
            Piece::Shard { stripe, shard } => Self::Shard { stripe, shard },
        }
    }
}

/// An item of a resource. Items of one resource are next to each other in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content {
    pub(super) resource: u64,
    pub(super) item: Item,
}

impl Content {
    /// What is lost together: the copies of an item, or the shards of a stripe, which its first one stands for.
    pub(super) const fn group(self) -> Self {
        let item = match self.item {
            Item::Shard { stripe, .. } => Item::Shard { stripe, shard: 0 },
            item => item,
        };
        Self { item, ..self }
    }
}

/// The shards of a stripe by their nodes.
#[derive(Clone, Debug)]
pub(super) struct StripeNodes {
    pub(super) data: u32,
    pub(super) nodes: Vec<NodeRef>,
}

/// The nodes of items that are not a whole resource.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    Whole,
    Chunks { copies: u32, nodes: Vec<NodeRef> },
    Stripes(Vec<StripeNodes>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) spec: ResourceSpec,
    pub(super) target: Target,
    pub(super) layout: Layout,
}

impl Entry {
    pub(super) fn bytes_of(&self, item: Item) -> u64 {
        match item {
            Item::Whole => self.spec.size,
            Item::Chunk(_) | Item::Shard { .. } => self.spec.size.min(PIECE_BYTES),
        }
    }

    /// The nodes of an item that is not a whole resource.
    pub(super) fn nodes_of(&mut self, item: Item) -> &mut [NodeRef] {
        let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let found = match (item, &mut self.layout) {
            (Item::Chunk(chunk), Layout::Chunks { copies, nodes }) => {
                let start = index(chunk.saturating_mul(u64::from(*copies)));
                nodes.get_mut(start..start.saturating_add(super::narrow(*copies)))
            }
            (Item::Shard { stripe, shard }, Layout::Stripes(stripes)) => stripes
                .get_mut(super::narrow(stripe))
                .and_then(|stripe| stripe.nodes.get_mut(super::narrow(shard)))
                .map(core::slice::from_mut),
            _ => None,
        };
        found.unwrap_or(&mut [])
    }

    /// Every item that is not a whole resource, with its nodes.
    pub(super) fn items(&self) -> Vec<(Item, NodeRef)> {
        match &self.layout {
            Layout::Whole => Vec::new(),
            Layout::Chunks { copies, nodes } => {
                let chunks = nodes.chunks(super::narrow((*copies).max(1)));
                let numbered = (0u64..).zip(chunks);
                numbered.flat_map(|(chunk, nodes)| nodes.iter().map(move |&node| (Item::Chunk(chunk), node))).collect()
            }
            Layout::Stripes(stripes) => {
                let shards = |(stripe, placed): (u32, &StripeNodes)| {
                    let named = |(shard, &node): (u32, &NodeRef)| (Item::Shard { stripe, shard }, node);
                    (0u32..).zip(&placed.nodes).map(named).collect::<Vec<_>>()
                };
                (0u32..).zip(stripes).flat_map(shards).collect()
            }
        }
    }
}

/// How much of a group there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// Copies or shards that can be read.
    pub(super) have: u32,
    /// Copies or shards there are to be.
    pub(super) whole: u32,
    /// With fewer it cannot be read.
    pub(super) need: u32,
    /// With fewer its repair may not wait.
    pub(super) urgent_below: u32,
}
