//! What does it cost to take a block and give it back? The arena beside its naive twin, a first-fit list of free ranges
//! behind a mutex, and beside the global allocator, whose blocks cannot be shared. Bytes are not touched.

use core::hint::black_box;
use core::time::Duration;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inos_sab::{Arena, Layout, Region, Threads};
use std::sync::{Barrier, Mutex};
use std::time::Instant;

/// Free ranges `(start, len)` in granules, ascending; the first that is long enough gives.
struct Naive(Mutex<Vec<(u32, u32)>>);

impl Naive {
    fn new() -> Self {
        Self(Mutex::new(vec![(0, Layout::STANDARD.max_block_len() / 256)]))
    }

    fn alloc(&self, len: u32) -> Option<(u32, u32)> {
        let granules = len.div_ceil(256).max(1);
        let mut free = self.0.lock().expect("nobody panics");
        let at = free.iter().position(|range| range.1 >= granules)?;
        let start = free[at].0;
        free[at] = (start + granules, free[at].1 - granules);
        if free[at].1 == 0 {
            free.remove(at);
        }
        Some((start, granules))
    }

    fn free(&self, (start, granules): (u32, u32)) {
        let mut free = self.0.lock().expect("nobody panics");
        let at = free.partition_point(|range| range.0 < start);
        free.insert(at, (start, granules));
        if free.get(at + 1).is_some_and(|next| next.0 == start + granules) {
            free[at].1 += free.remove(at + 1).1;
        }
        if at > 0 && free[at - 1].0 + free[at - 1].1 == start {
            free[at - 1].1 += free.remove(at).1;
        }
    }
}

const LENS: [u32; 4] = [64, 1 << 10, 16 << 10, 1 << 20];

fn one_thread(criterion: &mut Criterion) {
    let arena = Region::<Threads>::heap(&Layout::STANDARD).expect("memory").arena();
    let naive = Naive::new();
    let mut group = criterion.benchmark_group("alloc and free, one thread, no touch");
    group.throughput(Throughput::Elements(1));
    for len in LENS {
        group.bench_with_input(BenchmarkId::new("arena", len), &len, |bencher, len| {
            bencher.iter(|| black_box(arena.alloc(*len).expect("room")));
        });
        group.bench_with_input(BenchmarkId::new("naive", len), &len, |bencher, len| {
            bencher.iter(|| naive.free(black_box(naive.alloc(*len).expect("room"))));
        });
        group.bench_with_input(BenchmarkId::new("global", len), &len, |bencher, len| {
            bencher.iter(|| black_box(Vec::<u8>::with_capacity(*len as usize)));
        });
    }
    group.finish();
}

/// Time until both of two threads have done `count` operations.
#[expect(clippy::disallowed_methods, reason = "a program that measures time reads the clock")]
fn both(count: u64, work: impl Fn(u64) + Sync) -> Duration {
    let barrier = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                barrier.wait();
                work(count);
                barrier.wait();
            });
        }
        barrier.wait();
        let start = Instant::now();
        barrier.wait();
        start.elapsed()
    })
}

/// Sixteen blocks of mixed lengths in the hand of each thread, one replaced at a time.
fn churn<B>(count: u64, alloc: impl Fn(u32) -> B, free: impl Fn(B)) {
    let mut held: [Option<B>; 16] = [const { None }; 16];
    let mut number = 1_u32;
    for at in (0..16).cycle().take(usize::try_from(count).expect("a count of operations")) {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if let Some(block) = held[at].take() {
            free(block);
        }
        held[at] = Some(alloc(number >> 20));
    }
    held.into_iter().flatten().for_each(free);
}

fn two_threads(criterion: &mut Criterion) {
    let region = Region::<Threads>::heap(&Layout::STANDARD).expect("memory");
    let naive = Naive::new();
    let each = |work: &(dyn Fn(&Arena, u64) + Sync), count| both(count, |count| work(&region.arena(), count));
    let mut group = criterion.benchmark_group("alloc and free, two threads, no touch");
    group.throughput(Throughput::Elements(2));
    group.bench_function("arena/64", |bencher| {
        bencher.iter_custom(|count| {
            each(&|arena, count| (0..count).for_each(|_| drop(black_box(arena.alloc(64).expect("room")))), count)
        });
    });
    group.bench_function("naive/64", |bencher| {
        bencher.iter_custom(|count| {
            both(count, |count| (0..count).for_each(|_| naive.free(black_box(naive.alloc(64).expect("room")))))
        });
    });
    group.bench_function("arena/mixed to 4 KiB", |bencher| {
        bencher.iter_custom(|count| {
            each(&|arena, count| churn(count, |len| black_box(arena.alloc(len).expect("room")), drop), count)
        });
    });
    group.bench_function("naive/mixed to 4 KiB", |bencher| {
        bencher.iter_custom(|count| {
            both(count, |count| {
                churn(count, |len| black_box(naive.alloc(len).expect("room")), |block| naive.free(block));
            })
        });
    });
    group.finish();
}

criterion_group!(benches, one_thread, two_threads);
criterion_main!(benches);
