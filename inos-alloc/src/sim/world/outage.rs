//! Nodes that fail and return, and the answers of the allocator carried out.

use super::World;
use crate::sim::ledger::{Content, Entry, Item, Layout};
use crate::sim::world::Event;
use crate::sim::{narrow, wide};
use crate::{FailoverPlan, Move, NodeRef, PIECE_BYTES, Repair};
use alloc::vec::Vec;
use core::time::Duration;

impl<E> World<E> {
    /// Nodes fall silent.
    pub(in crate::sim) fn crash(&mut self, nodes: &[u32]) {
        for &node in nodes {
            self.disks.set_down(node);
            let truth = &mut self.nodes[narrow(node)];
            truth.life += 1;
            truth.pending.clear();
            truth.busy_until = Duration::ZERO;
        }
        for group in self.groups_on(nodes) {
            self.look_at(group);
        }
    }

    /// The allocator is told of nodes that are silent, and what it plans is carried out.
    pub(in crate::sim) fn notice(&mut self, nodes: &[u32]) -> FailoverPlan<u64> {
        let handles: Vec<NodeRef> = nodes.iter().map(|&node| self.handle(node)).collect();
        let held: u64 = handles.iter().map(|&node| self.assigned_count(node)).sum();
        self.tally.displaced += held;
        let plan = self.mesh.nodes_failed(&handles, self.now);
        for repair in &plan.repairs {
            self.tally.unrecoverable += repair.unrecoverable;
            self.apply(repair);
        }
        plan
    }

    /// Items that a node is to hold.
    fn assigned_count(&self, node: NodeRef) -> u64 {
        let resources: Vec<u64> = self.mesh.resources_on(node).collect();
        let of = |entry: &Entry| match entry.layout {
            Layout::Whole => 1,
            _ => wide(entry.items().iter().filter(|&&(_, holder)| holder == node).count()),
        };
        resources.iter().filter_map(|id| self.ledger.get(id)).map(of).sum()
    }

    /// Carries out a repair; how many items go.
    pub(in crate::sim) fn apply(&mut self, repair: &Repair<u64>) -> u64 {
        self.trace.add(repair.resource ^ repair.seq.rotate_left(32));
        if repair.granted == 0 {
            self.forget(repair.resource);
            return 0;
        }
        let Some(entry) = self.ledger.get(&repair.resource) else { return 0 };
        let whole = matches!(entry.layout, Layout::Whole);
        let mut moves = 0;
        for &node in &repair.recruited {
            let Some(number) = self.number(node) else { continue };
            self.trace.add(u64::from(number));
            self.tell(number);
            if whole {
                self.start(number, Content { resource: repair.resource, item: Item::Whole }, None, false);
                moves += 1;
            }
        }
        for change in &repair.pieces {
            let Some(to) = change.to else { continue };
            let item = Item::from(change.piece);
            self.reassign(repair.resource, item, change.from, to);
            let Some(number) = self.number(to) else { continue };
            self.trace.add(u64::from(number));
            self.start(number, Content { resource: repair.resource, item }, None, false);
            moves += 1;
        }
        self.note_moves(repair.resource, moves, whole);
        moves
    }

    /// Carries out a move; how many items go.
    pub(in crate::sim) fn apply_move(&mut self, change: &Move<u64>) -> u64 {
        let (Some(from), Some(to)) = (self.number(change.from), self.number(change.to)) else { return 0 };
        self.trace.add(change.resource ^ u64::from(from) << 32 ^ u64::from(to));
        let mut items: Vec<Item> = change.pieces.iter().map(|&piece| piece.into()).collect();
        for &item in &items {
            self.reassign(change.resource, item, change.from, change.to);
        }
        if self.ledger.get(&change.resource).is_some_and(|entry| matches!(entry.layout, Layout::Whole)) {
            items.push(Item::Whole);
        }
        self.tell(from);
        self.tell(to);
        for &item in &items {
            self.start(to, Content { resource: change.resource, item }, Some(from), false);
        }
        let moves = wide(items.len());
        self.note_moves(change.resource, moves, change.pieces.is_empty());
        moves
    }

    fn note_moves(&mut self, resource: u64, moves: u64, whole: bool) {
        let size = self.ledger.get(&resource).map_or(0, |entry| entry.spec.size);
        self.tally.moves += moves;
        self.tally.moved_bytes += moves * if whole { size } else { size.min(PIECE_BYTES) };
    }

    fn reassign(&mut self, resource: u64, item: Item, from: NodeRef, to: NodeRef) {
        let Some(entry) = self.ledger.get_mut(&resource) else { return };
        if let Some(node) = entry.nodes_of(item).iter_mut().find(|node| **node == from) {
            *node = to;
        }
    }

    /// A silent node is there again with what it had. What is not its own any more it deletes, as it is told it may.
    pub(in crate::sim) fn come_back(&mut self, node: u32) {
        self.disks.set_up(node);
        let handle = self.handle(node);
        if !self.mesh.is_healthy(handle) {
            let kept = match self.mesh.node_returned(handle, self.now) {
                Ok(returned) => returned.kept,
                Err(_) => Vec::new(),
            };
            self.tally.displaced = self.tally.displaced.saturating_sub(self.assigned_count(handle));
            let contents: Vec<Content> = self.disks.contents(node).iter().copied().collect();
            for content in contents {
                if kept.binary_search(&content.resource).is_err() || !self.is_assigned(content, handle) {
                    self.disks.delete(node, content, self.bytes_of(content));
                    self.look_at(content.group());
                }
            }
        }
        self.fetch_missing(node);
        for group in self.groups_on(&[node]) {
            self.look_at(group);
        }
        self.resume_reports(node);
    }

    /// A silent node is there again with an empty disk.
    pub(in crate::sim) fn come_back_empty(&mut self, node: u32) {
        let contents: Vec<Content> = self.disks.contents(node).iter().copied().collect();
        for &content in &contents {
            self.disks.delete(node, content, self.bytes_of(content));
            self.look_at(content.group());
        }
        self.disks.set_up(node);
        let handle = self.mesh.upsert(self.spec(node));
        let truth = &mut self.nodes[narrow(node)];
        (truth.told, truth.counted, truth.handle) = (0, 0, handle);
        self.resume_reports(node);
    }

    fn resume_reports(&mut self, node: u32) {
        if !self.nodes[narrow(node)].reporting {
            self.nodes[narrow(node)].reporting = true;
            self.queue.put(self.now, Event::Send(node));
        }
    }

    /// What was under way when the node failed, and is still its own, starts again.
    fn fetch_missing(&mut self, node: u32) {
        let handle = self.handle(node);
        let resources: Vec<u64> = self.mesh.resources_on(handle).collect();
        for resource in resources {
            let Some(entry) = self.ledger.get(&resource) else { continue };
            let mut items: Vec<Item> =
                entry.items().into_iter().filter(|&(_, holder)| holder == handle).map(|(item, _)| item).collect();
            if matches!(entry.layout, Layout::Whole) {
                items.push(Item::Whole);
            }
            for item in items {
                let content = Content { resource, item };
                if !self.disks.holds(node, content) {
                    self.start(node, content, None, !self.acknowledged.contains(&content.group()));
                }
            }
        }
    }
}
