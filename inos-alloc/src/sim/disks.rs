//! What nodes really hold.

use super::ledger::Content;
use super::narrow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

#[derive(Clone, Debug, Default)]
struct Disk {
    contents: BTreeSet<Content>,
    bytes: u64,
    up: bool,
}

/// The disks of all nodes, and who holds what.
#[derive(Clone, Debug, Default)]
pub(super) struct Disks {
    disks: Vec<Disk>,
    holders: BTreeMap<Content, Vec<u32>>,
}

impl Disks {
    /// A node with an empty disk.
    pub(super) fn add(&mut self) {
        self.disks.push(Disk { up: true, ..Disk::default() });
    }

    pub(super) fn is_up(&self, node: u32) -> bool {
        self.disks.get(narrow(node)).is_some_and(|disk| disk.up)
    }

    pub(super) fn set_up(&mut self, node: u32) {
        self.disks[narrow(node)].up = true;
    }

    pub(super) fn set_down(&mut self, node: u32) {
        self.disks[narrow(node)].up = false;
    }

    pub(super) fn bytes(&self, node: u32) -> u64 {
        self.disks[narrow(node)].bytes
    }

    pub(super) fn holds(&self, node: u32, content: Content) -> bool {
        self.disks[narrow(node)].contents.contains(&content)
    }

    pub(super) fn contents(&self, node: u32) -> &BTreeSet<Content> {
        &self.disks[narrow(node)].contents
    }

    pub(super) fn store(&mut self, node: u32, content: Content, bytes: u64) {
        let disk = &mut self.disks[narrow(node)];
        if disk.contents.insert(content) {
            disk.bytes += bytes;
            self.holders.entry(content).or_default().push(node);
        }
    }

    pub(super) fn delete(&mut self, node: u32, content: Content, bytes: u64) {
        let disk = &mut self.disks[narrow(node)];
        if disk.contents.remove(&content) {
            disk.bytes -= bytes;
            if let Some(holders) = self.holders.get_mut(&content) {
                holders.retain(|&holder| holder != node);
                if holders.is_empty() {
                    self.holders.remove(&content);
                }
            }
        }
    }

    /// Nodes that hold the content, up or not.
    pub(super) fn holders(&self, content: Content) -> &[u32] {
        self.holders.get(&content).map_or(&[], Vec::as_slice)
    }

    /// Nodes that can be asked for it.
    pub(super) fn readable(&self, content: Content) -> u32 {
        let up = self.holders(content).iter().filter(|&&node| self.is_up(node)).count();
        u32::try_from(up).unwrap_or(u32::MAX)
    }

    /// What of a resource is stored anywhere.
    pub(super) fn of_resource(&self, resource: u64) -> Vec<(Content, Vec<u32>)> {
        let first = Content { resource, item: super::ledger::Item::Whole };
        let of_it = self.holders.range(first..).take_while(|(content, _)| content.resource == resource);
        of_it.map(|(&content, holders)| (content, holders.clone())).collect()
    }
}
