//! The nodes as the client knows them: by their answers, their signs of life, and the allocator's books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use inos_alloc::{
    Allocator, Capabilities, Capacity, Class, Config, Demand, NodeRef, NodeReport, NodeSpec, Permille, Policy,
    RegionId, Requirements, ResourceSpec, ZoneId,
};

use super::{BEAT_EVERY, Failure, Options, UNREACHABLE_AFTER};
use crate::council::Council;
use crate::geography::{REGION_COUNT, Site, round_trip};
use crate::host::Conduct;
use crate::link::Link;
use crate::rng::Rng;

/// The resource id of the stored file.
pub(super) const FILE: u64 = 1;
/// The resource id of the manifest's replica group.
pub(super) const GROUP: u64 = 2;
/// What every node offers.
const CAPACITY: Capacity = Capacity { bytes: 8 << 30, memory_mb: 4_096, bandwidth_kb_s: 100_000 };
/// One node in this many lies.
const HONEST_PER_LIAR: u32 = 100;
/// The client's own region.
const HOME: u32 = 0;

/// All nodes, and how to reach them.
#[derive(Debug)]
pub(super) struct World {
    pub(super) link: Link,
    pub(super) allocator: Allocator<u32, u64>,
    pub(super) now: Duration,
    nodes: Vec<NodeRef>,
    last_heard: Vec<Duration>,
    dead: BTreeSet<u32>,
    /// Bad answers by node.
    blamed: BTreeMap<u32, u64>,
    liars: BTreeSet<u32>,
    /// The newest decision of the allocator that the nodes have stored.
    pub(super) counted: u64,
}

impl World {
    /// Starts the host with all nodes alive, one in a hundred of them a liar.
    pub(super) fn new(options: &Options) -> Result<Self, Failure> {
        let mut order: Vec<u32> = (0..options.nodes).collect();
        Rng::new(options.seed, "liars").shuffle(&mut order);
        let mut conducts = vec![Conduct::Honest; order.len()];
        let liars: BTreeSet<u32> = order.into_iter().take(options.nodes.div_ceil(HONEST_PER_LIAR) as usize).collect();
        for (&liar, lie) in liars.iter().zip(Conduct::LIES.into_iter().cycle()) {
            conducts[liar as usize] = lie;
        }

        let mut allocator = Allocator::new(Config { seed: options.seed, grace: Duration::ZERO, ..Config::default() });
        for a in 0..REGION_COUNT {
            for b in 0..=a {
                allocator.set_latency(RegionId(a), RegionId(b), round_trip(a, b));
            }
        }
        let spec = |node| {
            let site = Site::of(node);
            NodeSpec {
                id: node,
                region: RegionId(site.region),
                zone: ZoneId(site.zone_number()),
                capabilities: Capabilities::NONE,
                capacity: CAPACITY,
                price: 1,
            }
        };
        let nodes = (0..options.nodes).map(|node| allocator.upsert(spec(node))).collect();
        let mut world = Self {
            link: Link::start(&conducts)?,
            allocator,
            now: Duration::ZERO,
            nodes,
            last_heard: vec![Duration::ZERO; conducts.len()],
            dead: BTreeSet::new(),
            blamed: BTreeMap::new(),
            liars,
            counted: 0,
        };
        world.listen()?;
        Ok(world)
    }

    /// The nodes of a group of seven (or as many as can be had), spread over the regions.
    pub(super) fn voters(&mut self) -> Result<Vec<u32>, Failure> {
        let spec = ResourceSpec {
            size: inos_chunk::PAGE_BYTES as u64,
            demand: Demand::FULL,
            budget: 1_000,
            class: Class::Group,
            requires: Requirements::default(),
        };
        let placement = self
            .allocator
            .allocate(GROUP, &spec, &Policy::default(), self.now)
            .map_err(|error| Failure::Refused(format!("no group for the manifest: {error}")))?;
        Ok(placement.replicas.iter().map(|&node| self.number(node)).collect())
    }

    /// The number of a node of the allocator.
    pub(super) fn number(&self, node: NodeRef) -> u32 {
        self.allocator.node(node).expect("the allocator answers with nodes it was given").id
    }

    /// The allocator's handle of a node.
    pub(super) fn handle(&self, node: u32) -> NodeRef {
        self.nodes[node as usize]
    }

    /// The best of `holders` to ask: those never caught lying first, of these the one that answers soonest.
    pub(super) fn choose(&self, holders: &[u32], may_ask: impl Fn(u32) -> bool) -> Option<u32> {
        let open = holders.iter().copied().filter(|&node| may_ask(node) && !self.dead.contains(&node));
        let (trusted, blamed): (Vec<u32>, Vec<u32>) = open.partition(|node| !self.blamed.contains_key(node));
        let pool = if trusted.is_empty() { blamed } else { trusted };
        let handles: Vec<NodeRef> = pool.iter().map(|&node| self.handle(node)).collect();
        let routed = self.allocator.route(&handles, RegionId(HOME)).map(|node| self.number(node));
        routed.or_else(|| pool.first().copied())
    }

    /// Notes that a node sent something that is not what it was asked for.
    pub(super) fn blame(&mut self, node: u32) {
        *self.blamed.entry(node).or_default() += 1;
    }

    /// Liars there are, and nodes that were caught.
    pub(super) fn lies(&self) -> (usize, Vec<u32>) {
        (self.liars.len(), self.blamed.keys().copied().collect())
    }

    /// Whether a node was declared unreachable.
    pub(super) fn is_dead(&self, node: u32) -> bool {
        self.dead.contains(&node)
    }

    /// Nodes not declared unreachable.
    pub(super) fn living(&self) -> usize {
        self.nodes.len() - self.dead.len()
    }

    /// Nodes of a zone that are not known to be dead.
    pub(super) fn standing_in(&self, site: Site) -> BTreeSet<u32> {
        let nodes = (0..).take(self.nodes.len());
        nodes.filter(|&node| Site::of(node) == site && !self.dead.contains(&node)).collect()
    }

    /// Lets time pass, a sign of life from each node every second, until every node has just been heard or has been
    /// silent for long enough to be given up. Returns those newly given up, and how long it took.
    pub(super) fn detect(&mut self, council: &mut Council) -> Result<(BTreeSet<u32>, Duration), Failure> {
        let start = self.now;
        loop {
            self.now += BEAT_EVERY;
            council.run(BEAT_EVERY);
            self.listen()?;
            let silence = |node: u32| self.now - self.last_heard[node as usize];
            let silent: BTreeSet<u32> = (0..)
                .take(self.nodes.len())
                .filter(|&node| !self.dead.contains(&node) && silence(node) >= BEAT_EVERY)
                .collect();
            if silent.iter().all(|&node| silence(node) >= UNREACHABLE_AFTER) {
                self.dead.extend(&silent);
                return Ok((silent, self.now - start));
            }
        }
    }

    /// Hears one sign of life from each node that gives it, and tells the allocator their loads.
    pub(super) fn listen(&mut self) -> Result<(), Failure> {
        for beat in self.link.beat()? {
            let Some(heard) = self.last_heard.get_mut(beat.node as usize) else { continue };
            *heard = self.now;
            if self.dead.contains(&beat.node) {
                continue;
            }
            let load = beat.stored_bytes.saturating_mul(1_000).div_ceil(CAPACITY.bytes).min(1_000);
            let report = NodeReport {
                load: Permille::saturating(u16::try_from(load).expect("at most 1,000")),
                seq: self.counted,
                // Access networks differ: a few milliseconds, fixed per node.
                last_mile: Duration::from_millis(1 + u64::from(beat.node % 7)),
                inflight: 0,
                available: Capacity { bytes: CAPACITY.bytes.saturating_sub(beat.stored_bytes), ..CAPACITY },
            };
            self.allocator
                .report(self.nodes[beat.node as usize], report, self.now)
                .expect("the node is healthy and has counted no decision that was not made");
        }
        Ok(())
    }
}
