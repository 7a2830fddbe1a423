//! Goal: quorums intersect for every group size. Method: all sizes to 9, all pairs of sets.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use inos_quorum::{Mode, majority};

const MODES: [Mode; 1] = [Mode::Majority];

/// All sets of at least `size` of `n` members, as bits.
fn sets(n: usize, size: usize) -> impl Iterator<Item = u32> + Clone {
    (0..1_u32 << n).filter(move |set| set.count_ones() as usize >= size)
}

#[test]
fn majority_is_the_least_size_whose_sets_all_intersect() {
    for n in 1..=9 {
        let all_intersect = |size| sets(n, size).all(|a| sets(n, size).all(|b| a & b != 0));
        assert!(all_intersect(majority(n)), "{n}");
        assert!(!all_intersect(majority(n) - 1), "{n}: a smaller size would do");
    }
}

#[test]
fn write_and_election_quorums_intersect() {
    for mode in MODES {
        for n in 1..=9 {
            let (write, elect) = (mode.write_quorum(n), mode.elect_quorum(n));
            assert!((1..=n).contains(&write) && (1..=n).contains(&elect), "{mode:?} {n}");
            for voters in sets(n, elect) {
                assert!(sets(n, write).all(|holders| holders & voters != 0), "{mode:?} {n}");
                assert!(sets(n, elect).all(|others| others & voters != 0), "{mode:?} {n}");
            }
        }
    }
}

#[test]
fn sizes_are_those_published() {
    let sizes: Vec<usize> = (0..=9).map(majority).collect();
    assert_eq!(sizes, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
}
