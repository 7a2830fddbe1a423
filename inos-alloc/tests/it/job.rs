//! Goal: a job goes to the least loaded nodes that can do it, and every byte of it to exactly one of them. Method: the
//! table of counts, and a split held against its laws with exact fractions, for sizes and weights up to their ends.

use inos_alloc::{Capabilities, NodeRef, Requirements, Worker, distribute, nodes_for_job, split};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{GIB, MIB, T0, load_report, mesh};

fn worker(index: u32, load_permille: u32, free: u64) -> Worker {
    let node = NodeRef { index, generation: 0 };
    Worker { node, capabilities: Capabilities::NONE, memory_mb: 1024, load_permille, free }
}

#[test]
fn the_count_goes_by_size() {
    let workers: Vec<Worker> = (0..60).map(|index| worker(index, index, 100)).collect();
    for (size, want) in [(0, 1), (10 * MIB - 1, 1), (10 * MIB, 5), (100 * MIB, 20), (GIB, 50), (u64::MAX, 50)] {
        let job = distribute(size, &Requirements::default(), &workers);
        assert_eq!((job.want, job.shortfall), (want, 0));
        assert_eq!((job.want, job.shares.len()), (nodes_for_job(size), usize::try_from(want).unwrap()));
        let chosen: Vec<u32> = job.shares.iter().map(|share| share.node.index).collect();
        assert_eq!(chosen, (0..want).collect::<Vec<_>>());
    }
}

#[test]
fn only_who_can_do_it_and_is_not_too_loaded() {
    let gpu = Capabilities::GPU;
    let workers = [
        Worker { capabilities: gpu, ..worker(0, 799, 1) },
        Worker { capabilities: gpu, ..worker(1, 800, 9) },
        Worker { capabilities: gpu, memory_mb: 511, ..worker(2, 0, 9) },
        worker(3, 0, 9),
        Worker { capabilities: gpu.with(Capabilities::bit(5).unwrap()), ..worker(4, 300, 3) },
    ];
    let requires = Requirements { capabilities: gpu, memory_mb: 512, duration_ms: 0 };
    let job = distribute(40 * MIB, &requires, &workers);
    let shares: Vec<(u32, u64, u64)> = job.shares.iter().map(|s| (s.node.index, s.start, s.len)).collect();
    // A quarter of the rest, and three.
    assert_eq!(shares, [(4, 0, 30 * MIB), (0, 30 * MIB, 10 * MIB)]);
    assert_eq!((job.want, job.shortfall), (5, 3));
    let none = distribute(40 * MIB, &requires, &workers[1..4]);
    assert_eq!((none.shares.len(), none.shortfall), (0, 5));
}

#[test]
fn the_order_of_workers_does_not_matter_and_none_works_twice() {
    let mut workers: Vec<Worker> = (0..12).map(|index| worker(index, 100, u64::from(index % 3))).collect();
    workers.push(worker(7, 50, 9));
    let job = distribute(50 * MIB, &Requirements::default(), &workers);
    workers.reverse();
    assert_eq!(distribute(50 * MIB, &Requirements::default(), &workers), job);
    let chosen: Vec<u32> = job.shares.iter().map(|share| share.node.index).collect();
    assert_eq!(chosen, [7, 2, 5, 8, 11]);
}

#[test]
fn workers_of_an_allocator() {
    let (mut mesh, nodes) = mesh(3, 1000 * MIB);
    mesh.report(nodes[0], load_report(250, 0), T0).unwrap();
    mesh.nodes_failed(&nodes[2..], T0);
    let workers: Vec<Option<Worker>> = nodes.iter().map(|&node| Worker::of(&mesh, node)).collect();
    let told = workers.iter().map(|worker| worker.map(|worker| (worker.load_permille, worker.free)));
    assert_eq!(told.collect::<Vec<_>>(), [Some((250, 750)), Some((0, 1000)), None]);
    assert_eq!(workers[0].unwrap().memory_mb, 1 << 20);
}

fn weight() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0u64..20, any::<u64>(), Just(u64::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_add_up_and_follow_the_weights(
        size in prop_oneof![0u64..40, any::<u64>(), Just(u64::MAX)],
        weights in prop::collection::vec(weight(), 1..30),
    ) {
        let parts = split(size, &weights);
        prop_assert_eq!(parts.len(), weights.len());
        prop_assert_eq!(parts.iter().map(|&part| u128::from(part)).sum::<u128>(), u128::from(size));
        let count = u64::try_from(weights.len()).unwrap();
        let least = u64::from(size >= count);
        let equal = weights.iter().all(|&weight| weight == 0);
        let weights: Vec<u128> = weights.iter().map(|&weight| if equal { 1 } else { u128::from(weight) }).collect();
        let sum: u128 = weights.iter().sum();
        let rest = u128::from(size - least * count);
        for (&part, &weight) in parts.iter().zip(&weights) {
            prop_assert!(part >= least);
            // Within one of the exact share of the rest: floor or ceiling.
            let floor = rest * weight / sum;
            let over = u128::from(part - least) - floor;
            prop_assert!(over == 0 || over == 1 && rest * weight % sum > 0, "{} for {} / {}", part, weight, sum);
        }
        for (a, &weight_a) in weights.iter().enumerate() {
            for (b, &weight_b) in weights.iter().enumerate() {
                prop_assert!(weight_a <= weight_b || parts[a] >= parts[b]);
            }
        }
    }
}

#[test]
fn ties_go_to_the_first() {
    assert_eq!(split(11, &[5, 5, 5, 5]), [3, 3, 3, 2]);
    assert_eq!(split(3, &[0, 0, 0, 0]), [1, 1, 1, 0]);
    assert_eq!(split(0, &[1, 2]), [0, 0]);
}
