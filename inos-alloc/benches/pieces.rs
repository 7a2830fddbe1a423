//! How long does it take to place all pieces of a resource, and to re-place those of 5 % of the nodes?

#[cfg(not(target_arch = "wasm32"))]
mod measured {
    use core::hint::black_box;
    use core::time::Duration;
    use criterion::{BatchSize, Criterion, Throughput};
    use inos_alloc::{
        Allocator, Capabilities, Capacity, Class, Config, Demand, NodeRef, NodeSpec, Policy, RegionId, Requirements,
        ResourceSpec, ZoneId,
    };

    fn mesh(size: u64) -> (Allocator<u32, u64>, Vec<NodeRef>) {
        let mut mesh = Allocator::new(Config { seed: 0x1a05, ..Config::default() });
        let node = |id: u32| NodeSpec {
            id,
            region: RegionId(id % 6),
            zone: ZoneId(id / 6 % 4),
            capabilities: Capabilities::NONE,
            capacity: Capacity { bytes: 1 << 40, memory_mb: 1 << 20, bandwidth_kb_s: 1 << 20 },
            price: 1,
        };
        let nodes = (0..700).map(|id| mesh.upsert(node(id))).collect();
        let (demand, budget, class) = (Demand::FULL, 20_000, Class::Blob);
        let spec = ResourceSpec { size, demand, budget, class, requires: Requirements::default() };
        mesh.allocate(1, &spec, &Policy::default(), Duration::ZERO).expect("the nodes are idle");
        (mesh, nodes)
    }

    fn stripes(mesh: &mut Allocator<u32, u64>, count: u32) {
        for number in 0..count {
            black_box(mesh.place_stripe(&1, number, 100, 20, &Policy::default(), Duration::ZERO))
                .expect("there is room");
        }
    }

    pub(super) fn run(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("pieces_over_700_nodes");
        group.sample_size(10);
        group.throughput(Throughput::Elements(5_500));
        let placed = mesh(1_100 << 20);
        group.bench_function("1100_chunks_of_5", |bencher| {
            bencher.iter_batched(
                || placed.0.clone(),
                |mut mesh| mesh.place_chunks(&1, 1_100, 5, &Policy::default(), Duration::ZERO),
                BatchSize::LargeInput,
            );
        });
        let mut placed = mesh(10_000 << 20);
        group.throughput(Throughput::Elements(12_000));
        group.bench_function("100_stripes_of_120", |bencher| {
            bencher.iter_batched(|| placed.0.clone(), |mut mesh| stripes(&mut mesh, 100), BatchSize::LargeInput);
        });
        stripes(&mut placed.0, 100);
        let dead: Vec<NodeRef> = placed.1.iter().copied().step_by(20).collect();
        group.throughput(Throughput::Elements(35));
        group.bench_function("35_nodes_fail", |bencher| {
            bencher.iter_batched(
                || placed.0.clone(),
                |mut mesh| mesh.nodes_failed(&dead, Duration::ZERO),
                BatchSize::LargeInput,
            );
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
