//! Who holds what.

use alloc::boxed::Box;
use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use thiserror::Error;

use super::sources::Source;
use crate::id::Id;
use crate::spec::NodeRef;

/// Most holders of one chunk, and most pairs of shard and holder of one stripe: 1,200 shards of the widest geometry, each
/// on three nodes, and a chunk on every node of the largest resource. It bounds what one request can cost.
pub const MAX_HOLDERS: usize = 4096;

/// Why a [`ChunkRouter`](crate::ChunkRouter) did not take holders in. Nothing changed: what it knew before, it still knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HoldersError {
    /// The caller's fault: more holders of one id than [`MAX_HOLDERS`].
    #[error("{holders} holders of one id, {limit} are possible")]
    TooManyHolders {
        /// Holders given.
        holders: usize,
        /// [`MAX_HOLDERS`].
        limit: usize,
    },
    /// The router knows as many ids as it may. Forget one first.
    #[error("all {limit} ids are in use")]
    TooManyIds {
        /// [`RouterConfig::max_ids`](crate::RouterConfig::max_ids).
        limit: usize,
    },
    /// The router knows nearly as many holders over all ids as it may. Forget an id first.
    #[error("{holders} holders given, there is room for {room}")]
    NoRoom {
        /// Distinct holders given.
        holders: usize,
        /// How many this id may have now.
        room: usize,
    },
}

/// What is known of an id.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// A chunk: every holder has all of it. Ascending, distinct.
    Chunk(Box<[NodeRef]>),
    /// A stripe of `data` data shards and parity. Ascending, distinct.
    Stripe { data: u32, shards: Box<[Source]> },
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::Chunk(nodes) => nodes.len(),
            Self::Stripe { shards, .. } => shards.len(),
        }
    }

    fn nodes(&self) -> BTreeSet<NodeRef> {
        match self {
            Self::Chunk(nodes) => nodes.iter().copied().collect(),
            Self::Stripe { shards, .. } => shards.iter().map(|source| source.node).collect(),
        }
    }

    fn without(self, gone: NodeRef) -> Self {
        match self {
            Self::Chunk(nodes) => Self::Chunk(nodes.into_iter().filter(|&node| node != gone).collect()),
            Self::Stripe { data, shards } => {
                Self::Stripe { data, shards: shards.into_iter().filter(|source| source.node != gone).collect() }
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Holders<C> {
    max_ids: usize,
    max_holders: usize,
    by_id: BTreeMap<C, Held>,
    by_node: BTreeMap<NodeRef, BTreeSet<C>>,
    /// Sum of the lengths in `by_id`.
    count: usize,
}

/// Ascending and distinct.
pub(super) fn distinct<T: Ord + Copy>(given: &[T]) -> Result<Box<[T]>, HoldersError> {
    if given.len() > MAX_HOLDERS {
        return Err(HoldersError::TooManyHolders { holders: given.len(), limit: MAX_HOLDERS });
    }
    let mut distinct = Vec::from(given);
    distinct.sort_unstable();
    distinct.dedup();
    Ok(distinct.into_boxed_slice())
}

impl<C: Id> Holders<C> {
    pub(super) fn new(max_ids: usize, max_holders: usize) -> Self {
        Self { max_ids, max_holders, by_id: BTreeMap::new(), by_node: BTreeMap::new(), count: 0 }
    }

    pub(super) fn held(&self, id: &C) -> Option<&Held> {
        self.by_id.get(id)
    }

    pub(super) fn ids(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Without holders the id is forgotten.
    pub(super) fn set(&mut self, id: C, held: Held) -> Result<(), HoldersError> {
        if held.len() == 0 {
            self.forget(&id);
            return Ok(());
        }
        let known = self.by_id.get(&id).map(Held::len);
        if known.is_none() && self.by_id.len() >= self.max_ids {
            return Err(HoldersError::TooManyIds { limit: self.max_ids });
        }
        let others = self.count - known.unwrap_or(0);
        let room = self.max_holders.saturating_sub(others);
        if held.len() > room {
            return Err(HoldersError::NoRoom { holders: held.len(), room });
        }
        self.forget(&id);
        for node in held.nodes() {
            self.by_node.entry(node).or_default().insert(id);
        }
        self.count += held.len();
        self.by_id.insert(id, held);
        Ok(())
    }

    pub(super) fn forget(&mut self, id: &C) -> bool {
        let Some(held) = self.by_id.remove(id) else { return false };
        self.count -= held.len();
        for node in held.nodes() {
            if let Entry::Occupied(mut ids) = self.by_node.entry(node) {
                ids.get_mut().remove(id);
                if ids.get().is_empty() {
                    ids.remove();
                }
            }
        }
        true
    }

    /// The ids that lost a holder, ascending.
    pub(super) fn node_gone(&mut self, node: NodeRef) -> BTreeSet<C> {
        let ids = self.by_node.remove(&node).unwrap_or_default();
        for &id in &ids {
            let Some(held) = self.by_id.remove(&id) else { continue };
            let before = held.len();
            let rest = held.without(node);
            self.count -= before - rest.len();
            if rest.len() > 0 {
                self.by_id.insert(id, rest);
            }
        }
        ids
    }
}
