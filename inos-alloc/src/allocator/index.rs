//! Nodes by load: bucket queues, one set for each zone, set of capabilities and class of size.
//!
//! A bucket holds the nodes of one key, in no order; a node knows its place, so that it moves to another bucket by two
//! swaps, however many nodes there are (bucket queues: R. Dial, *Algorithm 360*, CACM 1969). A group is what a request can
//! skip as a whole: nodes without a capability or too small for it cost nothing.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::count_u32;
use super::nodes::slot_index;
use crate::id::seeded_hash;
use crate::policy::{ALLOCATE_MAX, ROUTE_MAX};
use crate::slab::NONE;
use crate::units::{Capabilities, Capacity, Permille, RegionId, ZoneId};

/// A failure domain: zone ids count within their region.
pub(crate) type Zone = (RegionId, ZoneId);

/// All keys are below this.
const KEYS: u16 = 1 << 10;

/// What the nodes of a group have in common. The order is that in which equally loaded nodes of a zone are taken: what has
/// few capabilities first, so that the rare ones stay free for who needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupKey {
    pub(crate) zone: Zone,
    capability_count: u32,
    pub(crate) capabilities: Capabilities,
    size_class: u32,
}

impl GroupKey {
    pub(crate) fn new(zone: Zone, capabilities: Capabilities, capacity: Capacity) -> Self {
        // Sixteenfold steps: few groups, and a request skips what is far too small for it.
        let size_class = (u64::BITS - capacity.bytes.leading_zeros()).div_ceil(4);
        Self { zone, capability_count: capabilities.count(), capabilities, size_class }
    }
}

/// Where a node stands. Eight bytes a node: reports of many nodes in turn should find it in a cache.
#[derive(Clone, Copy, Debug)]
struct Standing {
    /// `NONE` for a node that is not in the index.
    bucket: u32,
    /// Place in its bucket.
    place: u32,
}

/// Where a node is among the members of its group, by which it is drawn at random.
#[derive(Clone, Copy, Debug)]
struct Membership {
    group: u32,
    place: u32,
}

/// What a choice looks at in every group. One line of a cache has four.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) capabilities: Capabilities,
    size_class: u32,
    /// Of its least loaded node; `KEYS` when there is none.
    pub(crate) key: u16,
}

impl Head {
    /// The largest capacity in bytes that a node of this group can have.
    pub(crate) fn bytes_most(&self) -> u64 {
        1u64.checked_shl(self.size_class * 4).map_or(u64::MAX, |above| above - 1)
    }
}

/// Nodes that a request can only take or skip together.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) key: GroupKey,
    /// Key and number of each bucket that has nodes, ascending.
    buckets: Vec<(u16, u32)>,
    /// Number of the bucket by key, once there are many.
    direct: Vec<u32>,
    /// All its nodes, in no order: what random draws are taken from.
    members: Vec<u32>,
    /// How many of them are below half load.
    open: usize,
}

/// The nodes of one key in a group.
#[derive(Clone, Debug, Default)]
struct Bucket {
    group: u32,
    key: u16,
    nodes: Vec<u32>,
}

/// From this many buckets on they are found by key without a search.
const MANY_BUCKETS: usize = 48;

impl Group {
    /// All nodes, in no order.
    pub(crate) fn members(&self) -> &[u32] {
        &self.members
    }

    /// How many nodes are below half load.
    pub(crate) fn open_count(&self) -> usize {
        self.open
    }

    fn find(&self, key: u16) -> Result<usize, usize> {
        self.buckets.binary_search_by_key(&key, |&(key, _)| key)
    }

    fn bucket_of(&self, key: u16) -> Option<u32> {
        if self.direct.is_empty() {
            return self.find(key).ok().map(|at| self.buckets[at].1);
        }
        Some(self.direct[usize::from(key)]).filter(|&bucket| bucket != NONE)
    }

    fn add_bucket(&mut self, key: u16, bucket: u32) {
        let at = self.find(key).unwrap_or_else(|at| at);
        self.buckets.insert(at, (key, bucket));
        if !self.direct.is_empty() {
            self.direct[usize::from(key)] = bucket;
        } else if self.buckets.len() == MANY_BUCKETS {
            self.direct = vec![NONE; usize::from(KEYS)];
            for &(key, bucket) in &self.buckets {
                self.direct[usize::from(key)] = bucket;
            }
        }
    }

    fn drop_bucket(&mut self, key: u16) {
        if let Ok(at) = self.find(key) {
            self.buckets.remove(at);
        }
        if let Some(bucket) = self.direct.get_mut(usize::from(key)) {
            *bucket = NONE;
        }
    }
}

/// A zone and its groups, in the order of [`GroupKey`].
#[derive(Clone, Debug)]
pub(crate) struct ZoneGroups {
    pub(crate) zone: Zone,
    /// Seeded hash of the zone.
    pub(crate) hash: u64,
    pub(crate) groups: Vec<u32>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct LoadIndex {
    seed: u64,
    /// By slot of the node, as is `memberships`.
    standings: Vec<Standing>,
    memberships: Vec<Membership>,
    groups: Vec<Group>,
    /// Of each group, by its number.
    heads: Vec<Head>,
    free_groups: Vec<u32>,
    by_key: BTreeMap<GroupKey, u32>,
    /// Ascending by zone.
    zones: Vec<ZoneGroups>,
    /// By number; emptied ones keep their memory for the next.
    buckets: Vec<Bucket>,
    free_buckets: Vec<u32>,
    /// How many nodes are below half load.
    open: usize,
}

/// Key of a node: its load, or `least` if that is more, and what its reputation adds; of one that has had its share near the
/// end of the range that its load is in, in the same order. It stays within that range, so that a walk which ends at a limit
/// has met every node below it.
pub(crate) fn load_key(effective_permille: u32, least: u16, handicap_permille: u32, spent: Spent) -> u16 {
    let (half, most) = (u32::from(ALLOCATE_MAX.value()), u32::from(ROUTE_MAX.value()));
    let end = if effective_permille < half {
        half
    } else if effective_permille < most {
        most
    } else {
        u32::from(KEYS)
    };
    let own = effective_permille.max(u32::from(least)).saturating_add(handicap_permille).min(end);
    let key = if spent == Spent::Yes { end - (end - own) / 8 } else { own };
    u16::try_from(key.min(end - 1)).unwrap_or(KEYS - 1)
}

/// Whether a node has had its share for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    No,
    Yes,
}

impl LoadIndex {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// How many nodes are below half load.
    pub(crate) fn open_count(&self) -> usize {
        self.open
    }

    pub(crate) fn zones(&self) -> &[ZoneGroups] {
        &self.zones
    }

    pub(crate) fn head(&self, group: u32) -> &Head {
        &self.heads[slot_index(group)]
    }

    pub(crate) fn group(&self, group: u32) -> &Group {
        &self.groups[slot_index(group)]
    }

    pub(crate) fn insert(&mut self, node: u32, group: GroupKey, key: u16) {
        let group = self.group_for(group);
        let at = slot_index(node);
        if self.standings.len() <= at {
            self.standings.resize(at + 1, Standing { bucket: NONE, place: NONE });
            self.memberships.resize(at + 1, Membership { group: NONE, place: NONE });
        }
        let members = &mut self.groups[slot_index(group)].members;
        self.memberships[at] = Membership { group, place: count_u32(members.len()) };
        members.push(node);
        self.push(node, group, key);
    }

    pub(crate) fn remove(&mut self, node: u32) {
        if self.key_of(node).is_none() {
            return;
        }
        self.pull(node);
        self.standings[slot_index(node)].bucket = NONE;
        let Membership { group, place } = self.memberships[slot_index(node)];
        let members = &mut self.groups[slot_index(group)].members;
        members.swap_remove(slot_index(place));
        if let Some(&moved) = members.get(slot_index(place)) {
            self.memberships[slot_index(moved)].place = place;
        }
        self.drop_if_empty(group);
    }

    /// Key of a node that is in the index.
    pub(crate) fn key_of(&self, node: u32) -> Option<u16> {
        let standing = self.standings.get(slot_index(node)).filter(|standing| standing.bucket != NONE)?;
        Some(self.buckets[slot_index(standing.bucket)].key)
    }

    /// Moves a node to the bucket of `key`.
    pub(crate) fn set(&mut self, node: u32, key: u16) {
        let bucket = &self.buckets[slot_index(self.standings[slot_index(node)].bucket)];
        if bucket.key != key {
            let group = bucket.group;
            self.pull(node);
            self.push(node, group, key);
        }
    }

    /// Reads what moving these nodes to the buckets of these loads will change. The answer means nothing.
    pub(crate) fn touch(&self, moves: impl Iterator<Item = (u32, Permille)> + Clone) -> u64 {
        let standing = |node: u32| self.standings.get(slot_index(node)).filter(|standing| standing.bucket != NONE);
        let mut read = 0;
        for (node, _) in moves.clone() {
            read ^= standing(node).map_or(0, |standing| standing.place);
        }
        let buckets = |node: u32, load: Permille| {
            let from = &self.buckets[slot_index(standing(node)?.bucket)];
            let to = self.group(from.group).bucket_of(load.value())?;
            Some((from, &self.buckets[slot_index(to)]))
        };
        for (node, load) in moves.clone() {
            read ^= buckets(node, load).map_or(0, |(from, to)| count_u32(from.nodes.len() ^ to.nodes.len()));
        }
        let last = |node: u32, load: Permille| {
            let (from, to) = buckets(node, load)?;
            let at = from.nodes.get(slot_index(standing(node)?.place))?;
            Some((*from.nodes.last()?, at ^ to.nodes.last()?))
        };
        for (node, load) in moves.clone() {
            read ^= last(node, load).map_or(0, |(last, others)| last ^ others);
        }
        for (node, load) in moves {
            // Takes the place of the node that goes.
            read ^= last(node, load).and_then(|(last, _)| standing(last)).map_or(0, |standing| standing.place);
        }
        u64::from(read)
    }

    /// The first node in a group, and where it is; within its bucket from the place that `start` is of 2^64.
    pub(crate) fn first(&self, group: u32, start: u64) -> Option<Step> {
        self.group(group).buckets.first().map(|_| self.enter(group, 0, start))
    }

    /// The node after a step, in the same bucket or the next one.
    pub(crate) fn next(&self, group: u32, step: Step, start: u64) -> Option<Step> {
        let buckets = &self.group(group).buckets;
        if step.left > 0 {
            let nodes = &self.buckets[slot_index(buckets[step.bucket].1)].nodes;
            let place = if step.place + 1 == nodes.len() { 0 } else { step.place + 1 };
            return Some(Step { place, left: step.left - 1, node: nodes[place], ..step });
        }
        let bucket = step.bucket + 1;
        buckets.get(bucket).map(|_| self.enter(group, bucket, start))
    }

    fn enter(&self, group: u32, at: usize, start: u64) -> Step {
        let (key, bucket) = self.group(group).buckets[at];
        let nodes = &self.buckets[slot_index(bucket)].nodes;
        // The place of `start` in the bucket as if it were a fraction: no division.
        let place = usize::try_from((u128::from(start) * nodes.len() as u128) >> 64).unwrap_or(0);
        Step { key, node: nodes[place], bucket: at, place, left: nodes.len() - 1 }
    }

    fn group_for(&mut self, key: GroupKey) -> u32 {
        if let Some(&group) = self.by_key.get(&key) {
            return group;
        }
        let group = Group { key, buckets: Vec::new(), direct: Vec::new(), members: Vec::new(), open: 0 };
        let head = Head { capabilities: key.capabilities, size_class: key.size_class, key: KEYS };
        let id = if let Some(id) = self.free_groups.pop() {
            self.groups[slot_index(id)] = group;
            self.heads[slot_index(id)] = head;
            id
        } else {
            self.groups.push(group);
            self.heads.push(head);
            count_u32(self.groups.len() - 1)
        };
        self.by_key.insert(key, id);
        let zone = match self.zones.binary_search_by_key(&key.zone, |entry| entry.zone) {
            Ok(zone) => zone,
            Err(zone) => {
                let (region, number) = key.zone;
                let bytes = (u64::from(region.0) << 32 | u64::from(number.0)).to_le_bytes();
                let entry = ZoneGroups { zone: key.zone, hash: seeded_hash(self.seed, &bytes), groups: Vec::new() };
                self.zones.insert(zone, entry);
                zone
            }
        };
        let of_zone = &mut self.zones[zone].groups;
        let at = of_zone.partition_point(|&other| self.groups[slot_index(other)].key < key);
        of_zone.insert(at, id);
        id
    }

    fn drop_if_empty(&mut self, group: u32) {
        if !self.group(group).buckets.is_empty() {
            return;
        }
        let key = self.group(group).key;
        self.by_key.remove(&key);
        let group_entry = &mut self.groups[slot_index(group)];
        (group_entry.members, group_entry.direct) = (Vec::new(), Vec::new());
        self.free_groups.push(group);
        if let Ok(zone) = self.zones.binary_search_by_key(&key.zone, |entry| entry.zone) {
            self.zones[zone].groups.retain(|&other| other != group);
            if self.zones[zone].groups.is_empty() {
                self.zones.remove(zone);
            }
        }
    }

    fn push(&mut self, node: u32, number: u32, key: u16) {
        let group = &mut self.groups[slot_index(number)];
        group.open += usize::from(is_open(key));
        self.open += usize::from(is_open(key));
        let bucket = group.bucket_of(key).unwrap_or_else(|| {
            let bucket = self.free_buckets.pop().unwrap_or_else(|| {
                self.buckets.push(Bucket::default());
                count_u32(self.buckets.len() - 1)
            });
            let entry = &mut self.buckets[slot_index(bucket)];
            (entry.group, entry.key) = (number, key);
            group.add_bucket(key, bucket);
            let head = &mut self.heads[slot_index(number)];
            head.key = head.key.min(key);
            bucket
        });
        let nodes = &mut self.buckets[slot_index(bucket)].nodes;
        self.standings[slot_index(node)] = Standing { bucket, place: count_u32(nodes.len()) };
        nodes.push(node);
    }

    fn pull(&mut self, node: u32) {
        let Standing { bucket, place } = self.standings[slot_index(node)];
        let Bucket { group, key, nodes } = &mut self.buckets[slot_index(bucket)];
        nodes.swap_remove(slot_index(place));
        if let Some(&moved) = nodes.get(slot_index(place)) {
            self.standings[slot_index(moved)].place = place;
        }
        let (is_empty, key) = (nodes.is_empty(), *key);
        let number = *group;
        let group = &mut self.groups[slot_index(number)];
        group.open -= usize::from(is_open(key));
        self.open -= usize::from(is_open(key));
        if is_empty {
            group.drop_bucket(key);
            self.free_buckets.push(bucket);
            self.heads[slot_index(number)].key = group.buckets.first().map_or(KEYS, |&(key, _)| key);
        }
    }
}

/// Whether the load of nodes with this key is below half.
fn is_open(key: u16) -> bool {
    key < ALLOCATE_MAX.value()
}

/// A node met on a walk through a group in the order of keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) key: u16,
    pub(crate) node: u32,
    bucket: usize,
    place: usize,
    /// Nodes of the bucket still to come.
    left: usize,
}
