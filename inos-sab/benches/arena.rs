//! What does it cost to take a block and give it back? The arena beside the global allocator, which cannot share its
//! blocks; bytes are not touched.

use core::hint::black_box;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inos_sab::{Layout, Region, Threads};

fn arena(criterion: &mut Criterion) {
    let arena = Region::<Threads>::heap(&Layout::STANDARD).expect("memory").arena();
    let mut group = criterion.benchmark_group("alloc and free, one thread, no touch");
    group.throughput(Throughput::Elements(1));
    for len in [64_u32, 1 << 10, 16 << 10, 1 << 20] {
        group.bench_with_input(BenchmarkId::new("arena", len), &len, |bencher, len| {
            bencher.iter(|| black_box(arena.alloc(*len).expect("room")));
        });
        group.bench_with_input(BenchmarkId::new("global", len), &len, |bencher, len| {
            bencher.iter(|| black_box(Vec::<u8>::with_capacity(*len as usize)));
        });
    }
    group.finish();
}

criterion_group!(benches, arena);
criterion_main!(benches);
