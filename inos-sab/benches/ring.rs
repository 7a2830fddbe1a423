//! How many frames per second go from one thread to another? Each payload is written and summed ("touch").
//!
//! The twin sends the same payloads through a `Mutex<VecDeque<Box<[u8]>>>` with a bound.

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::hint::black_box;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inos_sab::{Flow, Frame, Layout, Region, Threads, Wake};
use std::sync::Mutex;
use std::thread;

const FRAMES: u64 = 20_000;

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

fn through_the_ring(region: &Region<Threads>, len: usize) -> u64 {
    let (mut producer, mut consumer) =
        (region.inbox_producer().expect("free role"), region.inbox_consumer().expect("free role"));
    let writer = thread::spawn(move || {
        let bytes = vec![1; len];
        for _ in 0..FRAMES {
            while producer.try_push(1, &bytes).is_err() {
                producer.wait_room(u32::try_from(len).expect("short"), None);
            }
        }
    });
    let mut total = 0;
    while consumer.wait(None) == Wake::Ready {
        let drained = consumer.drain(usize::MAX, |frame| {
            if let Frame::Inline { payload, .. } = frame {
                total += sum(payload.bytes());
            }
            Flow::Continue
        });
        drained.expect("threads of this program write no nonsense");
    }
    writer.join().expect("no panic");
    total
}

fn through_a_mutex(len: usize) -> u64 {
    let queue = Arc::new(Mutex::new(VecDeque::<Box<[u8]>>::new()));
    let theirs = Arc::clone(&queue);
    let writer = thread::spawn(move || {
        for _ in 0..FRAMES {
            let bytes = vec![1; len].into_boxed_slice();
            loop {
                let mut queue = theirs.lock().expect("no panic");
                if queue.len() * (len + 8) < 1 << 19 {
                    queue.push_back(bytes);
                    break;
                }
                drop(queue);
                thread::yield_now();
            }
        }
    });
    let (mut total, mut count) = (0, 0);
    while count < FRAMES {
        let front = queue.lock().expect("no panic").pop_front();
        match front {
            Some(bytes) => {
                total += sum(&bytes);
                count += 1;
            }
            None => thread::yield_now(),
        }
    }
    writer.join().expect("no panic");
    total
}

fn ring(criterion: &mut Criterion) {
    let region = Region::<Threads>::heap(&Layout::STANDARD).expect("memory");
    let mut group = criterion.benchmark_group("ring, two threads, touch");
    group.throughput(Throughput::Elements(FRAMES)).sample_size(20);
    for len in [8, 64, 1024] {
        group.bench_with_input(BenchmarkId::new("ring", len), &len, |bencher, len| {
            bencher.iter(|| black_box(through_the_ring(&region, *len)));
        });
        group.bench_with_input(BenchmarkId::new("mutex", len), &len, |bencher, len| {
            bencher.iter(|| black_box(through_a_mutex(*len)));
        });
    }
    group.finish();
}

criterion_group!(benches, ring);
criterion_main!(benches);
