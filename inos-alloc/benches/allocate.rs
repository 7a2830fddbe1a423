//! How long does choosing five nodes take, and does it grow with the mesh? Beside it the naive twin that scans everything,
//! as far as that is bearable.

#[cfg(not(target_arch = "wasm32"))]
mod measured {
    use core::hint::black_box;
    use core::time::Duration;
    use criterion::{BenchmarkId, Criterion, Throughput};
    use inos_alloc::naive::NaiveAllocator;
    use inos_alloc::{
        Allocator, Capabilities, Capacity, Class, Config, Demand, NodeReport, NodeSpec, Permille, Policy, RegionId,
        Requirements, ResourceSpec, ZoneId,
    };

    const SEED: u64 = 0x1a05;

    fn node(id: u32) -> NodeSpec<u32> {
        NodeSpec {
            id,
            region: RegionId(id % 6),
            zone: ZoneId(id / 6 % 4),
            capabilities: Capabilities::NONE,
            capacity: Capacity { bytes: 1 << 40, memory_mb: 1 << 20, bandwidth_kb_s: 1 << 20 },
            price: 1,
        }
    }

    fn report(id: u32) -> NodeReport {
        NodeReport {
            load: Permille::saturating(u16::try_from(id.wrapping_mul(2_654_435_761) % 450).unwrap_or(0)),
            seq: 0,
            last_mile: Duration::from_millis(5),
            inflight: 0,
            available: Capacity::UNLIMITED,
        }
    }

    const RESOURCE: ResourceSpec = ResourceSpec {
        size: 100_000,
        demand: Demand::ZERO,
        budget: 500,
        class: Class::Blob,
        requires: Requirements { capabilities: Capabilities::NONE, memory_mb: 0, duration_ms: 0 },
    };

    pub(super) fn run(criterion: &mut Criterion) {
        let config = Config { seed: SEED, ..Config::default() };
        let mut group = criterion.benchmark_group("allocate_5_and_release");
        group.throughput(Throughput::Elements(1));
        for count in [1_000u32, 100_000, 1_000_000] {
            let mut mesh = Allocator::<u32, u64>::new(config);
            for id in 0..count {
                let handle = mesh.upsert(node(id));
                mesh.report(handle, report(id), Duration::ZERO).expect("a new node reports");
            }
            let mut next = 0u64;
            group.bench_function(BenchmarkId::new("indexed", count), |bencher| {
                bencher.iter(|| {
                    next += 1;
                    black_box(mesh.allocate(next, &RESOURCE, &Policy::default(), Duration::ZERO))
                        .expect("nodes are idle");
                    mesh.release(&next)
                });
            });
        }
        let mut mesh = NaiveAllocator::<u32, u64>::new(config);
        for id in 0..1_000 {
            mesh.upsert(node(id));
            mesh.report(id, report(id), Duration::ZERO);
        }
        let mut next = 0u64;
        group.sample_size(10);
        group.bench_function(BenchmarkId::new("naive", 1_000), |bencher| {
            bencher.iter(|| {
                next += 1;
                black_box(mesh.allocate(next, &RESOURCE, &Policy::default(), &[], Duration::ZERO))
                    .expect("nodes are idle");
                mesh.release(next)
            });
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
