//! How long does it take to choose a holder, to plan a fetch, and to take an observation in? Beside each what the obvious
//! code takes: a scan of the holders for the least loaded, a sort of all shards, an entry in a `BTreeMap`.

#[cfg(not(target_arch = "wasm32"))]
extern crate alloc;

#[cfg(not(target_arch = "wasm32"))]
mod measured {
    use alloc::collections::BTreeMap;
    use core::hint::black_box;
    use core::time::Duration;
    use criterion::{BenchmarkId, Criterion, Throughput};
    use inos_alloc::{
        ChunkRouter, NodeRef, NodeView, PeakEwma, RegionId, RequestEnd, RouteSelect, RouterConfig, Source, split,
    };

    const NODES: u32 = 4096;
    const FROM: RegionId = RegionId(3);

    fn node(index: u32) -> NodeRef {
        NodeRef { index: index % NODES, generation: 0 }
    }

    fn views() -> Vec<NodeView> {
        let view = |index: u32| NodeView {
            load_permille: index.wrapping_mul(2_654_435_761) % 700,
            inflight: index % 5,
            round_trip: Some(Duration::from_micros(10_000 + u64::from(index % 97) * 300)),
        };
        (0..NODES).map(view).collect()
    }

    fn router(select: RouteSelect) -> ChunkRouter<u64> {
        let mut router = ChunkRouter::new(RouterConfig { seed: 7, select, ..RouterConfig::default() });
        for index in 0..NODES {
            router.observe(
                FROM,
                node(index),
                Duration::from_micros(9_000 + u64::from(index % 89) * 400),
                Duration::ZERO,
            );
        }
        router
    }

    pub(super) fn run(criterion: &mut Criterion) {
        let views = views();
        let mesh = |node: NodeRef, _: RegionId| views.get(usize::try_from(node.index).ok()?).copied();
        let now = Duration::from_millis(2_345);

        let mut group = criterion.benchmark_group("route");
        group.throughput(Throughput::Elements(1));
        for holders in [5u32, 50, 700] {
            let all: Vec<NodeRef> = (0..holders).map(|position| node(position * 31)).collect();
            for select in [RouteSelect::LowestLatency, RouteSelect::TwoChoices] {
                let mut router = router(select);
                router.set_holders(1, &all).expect("there is room");
                group.bench_function(BenchmarkId::new(format!("{select:?}"), holders), |bencher| {
                    bencher.iter(|| router.route(black_box(&1), FROM, &mesh, now));
                });
            }
            group.bench_function(BenchmarkId::new("least_loaded_by_scan", holders), |bencher| {
                bencher.iter(|| {
                    let load = |node: &&NodeRef| mesh(**node, FROM).map(|view| view.load_permille);
                    black_box(&all).iter().min_by_key(load)
                });
            });
        }
        group.finish();

        let mut group = criterion.benchmark_group("fetch");
        for (data, parity) in [(4u32, 1), (100, 20), (1000, 200)] {
            let mut router = router(RouteSelect::LowestLatency);
            let shards: Vec<Source> =
                (0..data + parity).map(|shard| Source { shard, node: node(shard * 17) }).collect();
            router.set_shards(1, data, &shards).expect("there is room");
            group.throughput(Throughput::Elements(u64::from(data + parity)));
            group.bench_function(BenchmarkId::new("plan_and_ask", data), |bencher| {
                bencher.iter(|| {
                    let mut sources =
                        router.sources(black_box(&1), data, data / 10, FROM, &mesh, now).expect("it is a stripe");
                    core::iter::from_fn(|| sources.poll()).count()
                });
            });
            group.bench_function(BenchmarkId::new("sort_by_round_trip", data), |bencher| {
                bencher.iter(|| {
                    let mut sorted = black_box(&shards).clone();
                    sorted.sort_by_key(|source| mesh(source.node, FROM).and_then(|view| view.round_trip));
                    sorted.truncate(usize::try_from(data + data / 10).unwrap_or(0));
                    sorted.len()
                });
            });
        }
        group.finish();

        let mut group = criterion.benchmark_group("observe");
        group.throughput(Throughput::Elements(1));
        let mut next = 0u32;
        let mut known = router(RouteSelect::LowestLatency);
        group.bench_function("router", |bencher| {
            bencher.iter(|| {
                next = next.wrapping_add(7919);
                known.observe(FROM, node(next), Duration::from_micros(u64::from(next % 65_536)), now);
            });
        });
        let mut table: BTreeMap<(NodeRef, RegionId), Duration> =
            (0..NODES).map(|index| ((node(index), FROM), now)).collect();
        group.bench_function("entry_of_a_map", |bencher| {
            bencher.iter(|| {
                next = next.wrapping_add(7919);
                table.insert((node(next), FROM), Duration::from_micros(u64::from(next % 65_536)))
            });
        });
        group.bench_function("request_and_answer", |bencher| {
            bencher.iter(|| {
                next = next.wrapping_add(7919);
                let request = known.started(node(next), FROM, &mesh, now);
                known.finished(request, RequestEnd::Answered, now)
            });
        });
        let average = PeakEwma::new(Duration::from_millis(80), Duration::ZERO);
        group.bench_function("decay", |bencher| {
            bencher.iter(|| average.at(Duration::from_millis(20), black_box(now), Duration::from_secs(7)));
        });
        group.finish();

        let weights: Vec<u64> = views.iter().take(50).map(|view| u64::from(1000 - view.load_permille)).collect();
        criterion.bench_function("split_over_50", |bencher| bencher.iter(|| split(black_box(10 << 30), &weights)));
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    measured::run(&mut criterion);
    criterion.final_summary();
}

#[cfg(target_arch = "wasm32")]
fn main() {}
