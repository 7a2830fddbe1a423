//! How long choosing the nodes of a resource takes, booking included, and whether that grows with the mesh.

use alloc::collections::VecDeque;
use core::hint::black_box;
use core::time::Duration;

use inos_alloc::{Allocator, Config, NodeRef, Placement, Policy, ResourceSpec};

use crate::Effort;
use crate::contest::{Contestant, Role, Stopwatch, compete};
use crate::crush::Crush;
use crate::mesh::{blob, first_load, node, report, slot};
use crate::placing::{Anchor, Hashing, Hrw, NaiveSelect, NaiveSort, Placing, Probes, Ring};
use crate::report::{Better, Row, Target};

const UNIT: &str = "us/allocate";
const SMALL: u32 = 1_000;
const LARGE: u32 = 1_000_000;
/// So large that each replica is one thousandth of its node, as in the naive peers.
const NODE_BYTES: u64 = 1 << 40;
/// The mesh carries the replicas of so many resources that were placed before; older ones are released.
const KEPT_REPLICAS: usize = 2_000;
/// Replicas placed between two rounds of reports and releases.
const BATCH_REPLICAS: usize = 1_000;

/// How many nodes a resource gets, and the size that makes ours give as many.
#[derive(Clone, Copy)]
struct Shape {
    replicas: usize,
    bytes: u64,
}

const FIVE: Shape = Shape { replicas: 5, bytes: 100_000 };
const HUNDRED: Shape = Shape { replicas: 100, bytes: 200 << 20 };

impl Shape {
    fn batch(self) -> usize {
        BATCH_REPLICAS / self.replicas
    }

    fn kept(self) -> usize {
        KEPT_REPLICAS / self.replicas
    }
}

pub(crate) fn five_at_1_000(name: &'static str, effort: Effort) -> std::io::Result<Row> {
    let crush = Crush::build()?;
    let mut contestants = vec![
        ours("ours", Role::Ours, SMALL, FIVE, effort.units(4_000)),
        others(NaiveSort::NAME, Role::Peer, NaiveSort::new(loads(SMALL)), FIVE, effort.units(1_000)),
        others(NaiveSelect::NAME, Role::Peer, NaiveSelect::new(loads(SMALL)), FIVE, effort.units(2_000)),
        hashing::<Hrw>(SMALL, FIVE, effort.units(600)),
        hashing::<Ring>(SMALL, FIVE, effort.units(20_000)),
        hashing::<Probes>(SMALL, FIVE, effort.units(2_000)),
        hashing::<Anchor>(SMALL, FIVE, effort.units(20_000)),
    ];
    let mut notes = notes(FIVE, SMALL);
    notes.push("mpchash: 100 points per node".into());
    let mut absent = Vec::new();
    if let Some(crush) = &crush {
        let mappings = effort.units(20_000);
        contestants.push(Contestant::new(Crush::NAME, Role::Peer, move || {
            crush.microseconds(mappings).expect("crushtool built a map, so it tests it")
        }));
        notes.push(Crush::NOTE.into());
        notes.push(format!(
            "crushtool: a process with {mappings} mappings less one with 1; it counts its choices per OSD and books nothing"
        ));
    } else {
        absent.push(Crush::NAME);
        notes.push(Crush::ABSENT.into());
    }
    let figures = compete(contestants, effort.rounds);
    let target = Target::TimesAsFastAs(3.0, Crush::NAME);
    Ok(Row::new((name, UNIT, Better::Lower), &figures, &absent, Some(target), notes))
}

pub(crate) fn five_at_1_000_000(name: &'static str, effort: Effort) -> Row {
    let contestants = vec![
        ours("ours", Role::Ours, LARGE, FIVE, effort.units(2_000)),
        ours(OWN, Role::Limit, SMALL, FIVE, effort.units(2_000)),
        others(NaiveSort::NAME, Role::Peer, NaiveSort::new(loads(LARGE)), FIVE, effort.units(2)),
        others(NaiveSelect::NAME, Role::Peer, NaiveSelect::new(loads(LARGE)), FIVE, effort.units(5)),
        hashing::<Hrw>(LARGE, FIVE, effort.units(1)),
        others(Ring::NAME, Role::Peer, Ring::with_points(LARGE, 1), FIVE, effort.units(4_000)),
    ];
    large(name, FIVE, contestants, Some(Target::AtMostTimes(3.0, OWN)), effort)
}

pub(crate) fn hundred_at_1_000_000(name: &'static str, effort: Effort) -> Row {
    let contestants = vec![
        ours("ours", Role::Ours, LARGE, HUNDRED, effort.units(200)),
        ours(OWN, Role::Limit, SMALL, HUNDRED, effort.units(200)),
        others(NaiveSort::NAME, Role::Peer, NaiveSort::new(loads(LARGE)), HUNDRED, effort.units(2)),
        others(NaiveSelect::NAME, Role::Peer, NaiveSelect::new(loads(LARGE)), HUNDRED, effort.units(5)),
        hashing::<Hrw>(LARGE, HUNDRED, effort.units(1)),
        others(Ring::NAME, Role::Peer, Ring::with_points(LARGE, 1), HUNDRED, effort.units(200)),
    ];
    large(name, HUNDRED, contestants, None, effort)
}

const OWN: &str = "own-at-1000";

fn large(
    name: &'static str,
    shape: Shape,
    contestants: Vec<Contestant<'_>>,
    target: Option<Target>,
    effort: Effort,
) -> Row {
    let mut notes = notes(shape, LARGE);
    notes.extend([
        "own-at-1000: ours on 1000 nodes".into(),
        "mpchash: one point per node, 100 would take 4 GB".into(),
        "anchorhash: at most 65535 nodes".into(),
        "crushtool: builds no map of this size within two minutes".into(),
    ]);
    let figures = compete(contestants, effort.rounds);
    Row::new((name, UNIT, Better::Lower), &figures, &[Anchor::NAME, Crush::NAME], target, notes)
}

fn notes(shape: Shape, nodes: u32) -> Vec<String> {
    vec![
        format!(
            "{} of {nodes} nodes in 6 regions x 4 zones, loads 0 to 449 of 1000, one thread; between batches of {} and not \
            timed, nodes report and old resources are released",
            shape.replicas,
            shape.batch()
        ),
        "ours spreads over regions and zones, looks at capacity and books; naive-sort and naive-select look at loads alone \
        and book them; the others hash, look at no load, zone, capacity or health, and keep nothing"
            .into(),
    ]
}

fn loads(nodes: u32) -> Vec<u16> {
    (0..nodes).map(first_load).collect()
}

fn ours<'a>(name: &'static str, role: Role, nodes: u32, shape: Shape, count: u32) -> Contestant<'a> {
    let mut mesh = Mesh::new(nodes, shape);
    mesh.microseconds(shape.kept());
    Contestant::new(name, role, move || mesh.microseconds(slot(count)))
}

fn hashing<'a, H: Hashing + 'a>(nodes: u32, shape: Shape, count: u32) -> Contestant<'a> {
    others(H::NAME, Role::Peer, H::with_nodes(nodes), shape, count)
}

fn others<'a>(
    name: &'static str,
    role: Role,
    mut placing: impl Placing + 'a,
    shape: Shape,
    count: u32,
) -> Contestant<'a> {
    let mut kept = VecDeque::new();
    let mut next = 0_u64;
    Contestant::new(name, role, move || {
        let mut seconds = 0.0;
        for batch in batches(slot(count), shape) {
            let mut placed = Vec::with_capacity(batch);
            let watch = Stopwatch::start();
            for _ in 0..batch {
                placed.push(black_box(placing.place(black_box(next), shape.replicas)));
                next += 1;
            }
            seconds += watch.seconds();
            kept.extend(placed);
            while kept.len() > shape.kept() {
                let oldest: Vec<u32> = kept.pop_front().unwrap_or_default();
                assert_eq!(oldest.len(), shape.replicas, "{name} chose as many as asked for");
                placing.release(&oldest);
            }
        }
        seconds * 1e6 / f64::from(count)
    })
}

/// `count` in parts of at most a batch.
fn batches(count: usize, shape: Shape) -> impl Iterator<Item = usize> {
    (0..count).step_by(shape.batch()).map(move |start| shape.batch().min(count - start))
}

/// Ours in a state that stays as it is: what is placed is confirmed, and as much as comes goes.
struct Mesh {
    allocator: Allocator<u32, u64>,
    spec: ResourceSpec,
    shape: Shape,
    nodes: Vec<NodeRef>,
    /// Load of each node, in thousandths.
    loads: Vec<u16>,
    kept: VecDeque<(u64, Placement)>,
    next: u64,
    now: Duration,
}

impl Mesh {
    fn new(nodes: u32, shape: Shape) -> Self {
        let mut allocator = Allocator::new(Config::default());
        let loads = loads(nodes);
        let nodes: Vec<NodeRef> = (0..nodes).map(|id| allocator.upsert(node(id, NODE_BYTES))).collect();
        for (&node, &load) in nodes.iter().zip(&loads) {
            allocator.report(node, report(load, 0), Duration::ZERO).expect("a new node reports");
        }
        let (kept, spec) = (VecDeque::new(), blob(shape.bytes));
        Self { allocator, spec, shape, nodes, loads, kept, next: 0, now: Duration::ZERO }
    }

    /// Places `count` resources and answers microseconds for each.
    fn microseconds(&mut self, count: usize) -> f64 {
        let mut seconds = 0.0;
        let policy = Policy::default();
        for batch in batches(count, self.shape) {
            self.now += Duration::from_millis(10);
            let mut placed = Vec::with_capacity(batch);
            let watch = Stopwatch::start();
            for resource in (self.next..).take(batch) {
                placed.push((resource, black_box(self.allocator.allocate(resource, &self.spec, &policy, self.now))));
            }
            seconds += watch.seconds();
            self.next += u64::try_from(batch).expect("a batch is small");
            let granted = placed.into_iter().map(|(resource, answer)| (resource, answer.expect("nodes have room")));
            self.settle(granted.collect());
        }
        seconds * 1e6 / count as f64
    }

    /// What was placed is confirmed by reports; the oldest resources go, and their nodes report that, too.
    fn settle(&mut self, placed: Vec<(u64, Placement)>) {
        let mut changed: Vec<u32> = Vec::new();
        for (_, placement) in &placed {
            assert_eq!(placement.replicas.len(), self.shape.replicas, "the size of the blob gives the count");
            for node in &placement.replicas {
                self.loads[slot(node.index)] += 1;
                changed.push(node.index);
            }
        }
        self.kept.extend(placed);
        while self.kept.len() > self.shape.kept() {
            let Some((resource, placement)) = self.kept.pop_front() else { break };
            assert!(self.allocator.release(&resource), "it was placed");
            for node in &placement.replicas {
                self.loads[slot(node.index)] -= 1;
                changed.push(node.index);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        let seq = self.allocator.seq();
        for index in changed.into_iter().map(slot) {
            let report = report(self.loads[index], seq);
            self.allocator.report(self.nodes[index], report, self.now).expect("a healthy node reports");
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is timed is the work it says, on a state that stays. Method: loads before and after, counted.

    use super::{FIVE, HUNDRED, Mesh, batches, loads};

    #[test]
    fn batches_are_all_of_it() {
        assert_eq!(batches(450, FIVE).collect::<Vec<_>>(), [200, 200, 50]);
        assert_eq!(batches(1, HUNDRED).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn the_state_is_steady_and_nothing_is_left_unconfirmed() {
        for shape in [FIVE, HUNDRED] {
            let mut mesh = Mesh::new(1_000, shape);
            for _ in 0..3 {
                assert!(mesh.microseconds(shape.kept()) > 0.0);
                let sum = |loads: &[u16]| -> usize { loads.iter().copied().map(usize::from).sum() };
                assert_eq!(mesh.allocator.resources().count(), shape.kept());
                assert_eq!(sum(&mesh.loads) - sum(&loads(1_000)), shape.kept() * shape.replicas);
                assert!(mesh.nodes.iter().zip(&mesh.loads).all(|(&node, &load)| {
                    let seen = mesh.allocator.load(node).expect("it is healthy");
                    (seen.bookings, seen.effective_permille) == (0, u32::from(load))
                }));
            }
        }
    }
}
