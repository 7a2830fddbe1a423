//! How long does it take to plan the hierarchy of a resource of 100 GB, to lay out its pieces, and to find what moves?

#[cfg(not(target_arch = "wasm32"))]
mod measured {
    use core::hint::black_box;
    use criterion::{Criterion, Throughput};
    use inos_alloc::{
        Candidate, Demand, HierarchyLimits, NodeRef, RegionHubs, RegionId, Role, ZoneId, hub_moves, plan_hierarchy,
    };

    /// 100,000 chunks and a fifth of parity.
    const PIECES: u64 = 120_000;

    fn candidates(count: u32, weights: u32) -> Vec<Candidate> {
        let candidate = |index: u32| Candidate {
            node: NodeRef { index, generation: 0 },
            region: RegionId(index % 6),
            zone: ZoneId(index / 6 % 4),
            weight: 1 + index.wrapping_mul(0x9e37_79b9) % weights,
            tie: u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            load_permille: 100,
            able: Role::Seed,
            current: None,
        };
        (0..count).map(candidate).collect()
    }

    fn hubs(count: u32, weights: u32) -> RegionHubs {
        let limits = HierarchyLimits { seeds_min: 0, seeds_max: 0, ..HierarchyLimits::default() };
        let mut nodes = candidates(count, weights);
        nodes.iter_mut().for_each(|node| node.region = RegionId(0));
        plan_hierarchy(7, &nodes, Demand::ZERO, &limits).expect("the limits can be").regions.remove(0)
    }

    pub(super) fn run(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("hierarchy");
        group.sample_size(10);
        for count in [700, 100_000] {
            let nodes = candidates(count, 10);
            group.throughput(Throughput::Elements(u64::from(count)));
            group.bench_function(format!("plan_{count}_nodes"), |bencher| {
                bencher.iter(|| plan_hierarchy(7, black_box(&nodes), Demand::ZERO, &HierarchyLimits::default()));
            });
        }
        group.throughput(Throughput::Elements(PIECES));
        for (name, count, weights) in [("100_equal", 100, 1), ("100_weighted", 100, 10), ("50_equal", 50, 1)] {
            let hubs = hubs(count, weights);
            group.bench_function(format!("layout_120000_pieces_{name}_hubs"), |bencher| {
                bencher.iter(|| black_box(&hubs).layout(PIECES));
            });
        }
        let before = hubs(99, 10).layout(PIECES).expect("below the limit");
        let after = hubs(100, 10).layout(PIECES).expect("below the limit");
        group.bench_function("moves_120000_pieces_99_to_100_hubs", |bencher| {
            bencher.iter(|| hub_moves(black_box(&before), black_box(&after)).map(|moves| moves.total()));
        });
        group.finish();
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
