//! What do vector clocks and siblings cost, from a small group to a large mesh?
//!
//! A clock is a sorted list. Beside each line its naive twin, the same as a `BTreeMap`; both are checked to agree
//! before they are measured. Elements are actors, so a time per actor that grows with their number is more than linear.

#![allow(missing_docs, reason = "criterion's macros generate the entry point")]

extern crate alloc;

use alloc::collections::BTreeMap;
use core::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inos_quorum::{Actor, CausalOrder, Dot, VectorClock, Versioned, sim::Rng};

const SEED: u64 = 0xc10c;
const ACTORS: [u64; 4] = [5, 7, 50, 700];
const SIBLINGS: [u64; 3] = [1, 3, 8];

/// The naive twin.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tree(BTreeMap<Actor<u64>, u64>);

impl Tree {
    fn of(clock: &VectorClock<u64>) -> Self {
        Self(clock.dots().map(|dot| (dot.actor, dot.counter)).collect())
    }

    fn counter(&self, actor: Actor<u64>) -> u64 {
        self.0.get(&actor).copied().unwrap_or(0)
    }

    fn covers(&self, dot: Dot<u64>) -> bool {
        self.counter(dot.actor) >= dot.counter
    }

    fn increment(&mut self, actor: Actor<u64>) -> Dot<u64> {
        let counter = self.0.entry(actor).or_insert(0);
        *counter += 1;
        Dot { actor, counter: *counter }
    }

    fn merge(&mut self, other: &Self) {
        for (&actor, &counter) in &other.0 {
            let known = self.0.entry(actor).or_insert(0);
            *known = counter.max(*known);
        }
    }

    fn compare(&self, other: &Self) -> CausalOrder {
        let lacks = |left: &Self, right: &Self| right.0.iter().any(|(&actor, &counter)| left.counter(actor) < counter);
        match (lacks(self, other), lacks(other, self)) {
            (false, false) => CausalOrder::Equal,
            (true, false) => CausalOrder::Before,
            (false, true) => CausalOrder::After,
            (true, true) => CausalOrder::Concurrent,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&u32::try_from(self.0.len()).expect("a few actors").to_le_bytes());
        for (actor, counter) in &self.0 {
            out.push(8);
            for word in [actor.node, actor.incarnation, *counter] {
                out.extend_from_slice(&word.to_le_bytes());
            }
        }
        out
    }

    /// `None` for anything but a clock of ids of eight bytes.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (count, mut rest) = bytes.split_first_chunk().map(|(count, rest)| (u32::from_le_bytes(*count), rest))?;
        let mut counters = BTreeMap::new();
        for _ in 0..count {
            let (&len, fields) = rest.split_first()?;
            let (node, fields) = fields.split_first_chunk()?;
            let (incarnation, fields) = fields.split_first_chunk()?;
            let (counter, fields) = fields.split_first_chunk()?;
            let [node, incarnation, counter] = [node, incarnation, counter].map(|word| u64::from_le_bytes(*word));
            let actor = Actor { node, incarnation };
            let is_above = counters.last_key_value().is_none_or(|(&last, _)| last < actor);
            if len != 8 || counter == 0 || !is_above {
                return None;
            }
            counters.insert(actor, counter);
            rest = fields;
        }
        rest.is_empty().then_some(Self(counters))
    }
}

/// Ids without a pattern, ascending.
fn actors(count: u64) -> Vec<Actor<u64>> {
    let mut rng = Rng::new(SEED ^ count);
    let mut actors: Vec<_> = (0..count).map(|_| Actor { node: rng.word(), incarnation: rng.word() }).collect();
    actors.sort_unstable();
    actors
}

/// Knows up to a million events of each actor.
fn clock(actors: &[Actor<u64>], rng: &mut Rng) -> VectorClock<u64> {
    let mut clock = VectorClock::new();
    actors.iter().for_each(|&actor| clock.observe(Dot { actor, counter: rng.between(1, 1_000_000) }));
    clock
}

fn merge(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("clock-merge");
    for count in ACTORS {
        let (actors, mut rng) = (actors(count), Rng::new(SEED));
        let known = clock(&actors, &mut rng);
        let most: Vec<_> = actors.iter().copied().filter(|actor| *actor != actors[actors.len() / 2]).collect();
        group.throughput(Throughput::Elements(count));
        // As nearly always: both know the same actors. And when one of the other's is news.
        for (case, left) in [("known", clock(&actors, &mut rng)), ("news", clock(&most, &mut rng))] {
            let (mut merged, mut tree) = (left.clone(), Tree::of(&left));
            merged.merge(&known);
            tree.merge(&Tree::of(&known));
            assert_eq!(Tree::of(&merged), tree);
            group.bench_function(BenchmarkId::new(case, count), |bencher| {
                let merge = |left: &mut VectorClock<u64>| left.merge(black_box(&known));
                bencher.iter_batched_ref(|| left.clone(), merge, BatchSize::SmallInput);
            });
            group.bench_function(BenchmarkId::new(format!("{case}-naive"), count), |bencher| {
                let (left, known) = (Tree::of(&left), Tree::of(&known));
                let merge = |left: &mut Tree| left.merge(black_box(&known));
                bencher.iter_batched_ref(|| left.clone(), merge, BatchSize::SmallInput);
            });
        }
    }
    group.finish();
}

fn compare(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("clock-compare");
    for count in ACTORS {
        let left = clock(&actors(count), &mut Rng::new(SEED));
        // Ahead by the last actor: nobody may stop before it.
        let mut right = left.clone();
        right.increment(*actors(count).last().expect("some actors"));
        let trees = [&left, &right].map(Tree::of);
        assert_eq!((left.compare(&right), trees[0].compare(&trees[1])), (CausalOrder::Before, CausalOrder::Before));
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("list", count), |bencher| {
            bencher.iter(|| black_box(&left).compare(black_box(&right)));
        });
        group.bench_function(BenchmarkId::new("naive", count), |bencher| {
            bencher.iter(|| black_box(&trees[0]).compare(black_box(&trees[1])));
        });
    }
    group.finish();
}

/// One question, or one event, of each actor in turn.
fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("clock-lookup");
    for count in ACTORS {
        let actors = actors(count);
        let list = clock(&actors, &mut Rng::new(SEED));
        let tree = Tree::of(&list);
        let dots: Vec<_> = clock(&actors, &mut Rng::new(SEED + 1)).dots().collect();
        assert!(dots.iter().all(|&dot| list.covers(dot) == tree.covers(dot)));
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("covers", count), |bencher| {
            bencher.iter(|| black_box(&dots).iter().filter(|&&dot| list.covers(dot)).count());
        });
        group.bench_function(BenchmarkId::new("covers-naive", count), |bencher| {
            bencher.iter(|| black_box(&dots).iter().filter(|&&dot| tree.covers(dot)).count());
        });
        let (mut list, mut tree) = (list, tree);
        group.bench_function(BenchmarkId::new("increment", count), |bencher| {
            bencher.iter(|| black_box(&actors).iter().filter_map(|&actor| list.increment(actor)).count());
        });
        group.bench_function(BenchmarkId::new("increment-naive", count), |bencher| {
            bencher.iter(|| black_box(&actors).iter().map(|&actor| tree.increment(actor)).map(black_box).count());
        });
    }
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("clock-bytes");
    for count in ACTORS {
        let list = clock(&actors(count), &mut Rng::new(SEED));
        let tree = Tree::of(&list);
        let bytes = list.to_bytes();
        assert_eq!(tree.to_bytes(), bytes);
        assert_eq!(
            (VectorClock::from_bytes(&bytes).ok(), Tree::from_bytes(&bytes)),
            (Some(list.clone()), Some(tree.clone()))
        );
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("to", count), |bencher| bencher.iter(|| black_box(&list).to_bytes()));
        group.bench_function(BenchmarkId::new("to-naive", count), |bencher| {
            bencher.iter(|| black_box(&tree).to_bytes());
        });
        group.bench_function(BenchmarkId::new("from", count), |bencher| {
            bencher.iter(|| VectorClock::<u64>::from_bytes(black_box(&bytes)));
        });
        group.bench_function(BenchmarkId::new("from-naive", count), |bencher| {
            bencher.iter(|| Tree::from_bytes(black_box(&bytes)));
        });
    }
    group.finish();
}

/// The naive twin of a value with siblings: every list is searched from its front.
#[derive(Clone, Debug, Default)]
struct Heap {
    clock: Tree,
    siblings: Vec<(Dot<u64>, u64)>,
}

impl Heap {
    fn of(value: &Versioned<u64, u64>) -> Self {
        let siblings = value.siblings().map(|(dot, &value)| (dot, value)).collect();
        Self { clock: Tree::of(value.context()), siblings }
    }

    fn update(&mut self, value: u64, context: &Tree, actor: Actor<u64>) {
        let dot = self.clock.increment(actor);
        self.clock.merge(context);
        self.siblings.retain(|&(sibling, _)| !context.covers(sibling));
        self.siblings.push((dot, value));
    }

    fn sync(&mut self, other: &Self) {
        let stays = |copy: &Self, dot| copy.siblings.iter().any(|&(known, _)| known == dot) || !copy.clock.covers(dot);
        self.siblings.retain(|&(dot, _)| stays(other, dot));
        for &(dot, value) in &other.siblings {
            if !self.clock.covers(dot) {
                self.siblings.push((dot, value));
            }
        }
        self.clock.merge(&other.clock);
    }

    fn sorted(&self) -> Vec<(Dot<u64>, u64)> {
        let mut siblings = self.siblings.clone();
        siblings.sort_unstable();
        siblings
    }
}

/// Written at two of four servers in each copy; elements are siblings.
fn versioned(criterion: &mut Criterion) {
    let servers = actors(4);
    let mut group = criterion.benchmark_group("versioned");
    for count in SIBLINGS {
        // Written blindly, at one server after the other; the second copy then takes in as many of its own.
        let blind = |copy: &mut Versioned<u64, u64>, server: Actor<u64>| {
            copy.update(7, &VectorClock::new(), server).expect("a blind write");
        };
        let mut left = Versioned::new();
        (0..count).zip(servers[..2].iter().cycle()).for_each(|(_, &server)| blind(&mut left, server));
        let mut right = left.clone();
        (0..count).zip(servers[2..4].iter().cycle()).for_each(|(_, &server)| blind(&mut right, server));
        let context = left.context().clone();
        let naive_context = Tree::of(&context);
        let (mut synced, mut naive) = (left.clone(), Heap::of(&left));
        synced.sync(&right);
        naive.sync(&Heap::of(&right));
        assert_eq!(Heap::of(&synced).siblings, naive.sorted());
        assert_eq!(naive.siblings.len() as u64, 2 * count);

        group.throughput(Throughput::Elements(count));
        // Overwrites all of them.
        group.bench_function(BenchmarkId::new("update", count), |bencher| {
            let update = |copy: &mut Versioned<u64, u64>| copy.update(8, black_box(&context), servers[0]);
            bencher.iter_batched_ref(|| left.clone(), update, BatchSize::SmallInput);
        });
        group.bench_function(BenchmarkId::new("update-naive", count), |bencher| {
            let update = |copy: &mut Heap| copy.update(8, black_box(&naive_context), servers[0]);
            bencher.iter_batched_ref(|| Heap::of(&left), update, BatchSize::SmallInput);
        });
        // As many siblings are known as are news.
        group.bench_function(BenchmarkId::new("sync", count), |bencher| {
            let sync = |copy: &mut Versioned<u64, u64>| copy.sync(black_box(&right));
            bencher.iter_batched_ref(|| left.clone(), sync, BatchSize::SmallInput);
        });
        group.bench_function(BenchmarkId::new("sync-naive", count), |bencher| {
            let other = Heap::of(&right);
            let sync = |copy: &mut Heap| copy.sync(black_box(&other));
            bencher.iter_batched_ref(|| Heap::of(&left), sync, BatchSize::SmallInput);
        });
        // Nothing is news, as when copies are compared all the time.
        group.bench_function(BenchmarkId::new("sync-same", count), |bencher| {
            let mut copy = right.clone();
            bencher.iter(|| copy.sync(black_box(&right)));
        });
    }
    group.finish();
}

criterion_group!(benches, merge, compare, lookups, encoding, versioned);
criterion_main!(benches);
