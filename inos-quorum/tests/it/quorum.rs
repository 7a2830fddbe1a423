//! Goal: quorums intersect, for every mode and group size, alone and while one configuration replaces another. Method:
//! all sizes to 9 and all sets of members; configurations of two different memberships in every overlap.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use inos_quorum::{Mode, majority};

/// All modes; of `Flex` all sizes, from the one that is too small to one that is too large for 9.
fn modes() -> impl Iterator<Item = Mode> {
    [Mode::Fast, Mode::FastSafe, Mode::Majority].into_iter().chain((0..=10).map(|write| Mode::Flex { write }))
}

/// All sets of at least `size` of `n` members, as bits.
fn sets(n: usize, size: usize) -> impl Iterator<Item = u32> + Clone {
    (0..1_u32 << n).filter(move |set| set.count_ones() as usize >= size)
}

/// Whether any set of at least `a` of `n` members meets any of at least `b`.
fn meet(n: usize, a: usize, b: usize) -> bool {
    sets(n, a).all(|left| sets(n, b).all(|right| left & right != 0))
}

#[test]
fn majority_is_the_least_size_whose_sets_all_intersect() {
    for n in 1..=9 {
        assert!(meet(n, majority(n), majority(n)), "{n}");
        assert!(!meet(n, majority(n) - 1, majority(n) - 1), "{n}: a smaller size would do");
    }
}

#[test]
fn write_quorums_electorates_and_majorities_intersect() {
    for mode in modes() {
        for n in 1..=9 {
            let (write, elect) = (mode.write_quorum(n), mode.elect_quorum(n));
            assert!((1..=n).contains(&write) && (1..=n).contains(&elect), "{mode:?} {n}");
            assert!(meet(n, write, elect), "{mode:?} {n}: an electorate without a holder");
            assert!(meet(n, elect, elect), "{mode:?} {n}: two electorates without a common voter");
            assert!(
                meet(n, majority(n), elect),
                "{mode:?} {n}: a majority confirms an epoch behind an election's back"
            );
            let smaller = elect - 1;
            assert!(!meet(n, write, smaller) || !meet(n, smaller, smaller), "{mode:?} {n}: fewer electors would do");
        }
    }
}

/// Two configurations as bits: some members only in the old one, some in both, some only in the new one.
fn pairs(members: usize) -> impl Iterator<Item = [u32; 2]> {
    (0..=members).flat_map(move |old_only| {
        (0..=members - old_only).map(move |new_only| {
            let all = (1_u32 << members) - 1;
            [all >> new_only, all & !((1 << old_only) - 1)]
        })
    })
}

/// Whether `set` holds at least `size(n)` of the members of each configuration.
fn is_quorum_of(set: u32, configurations: &[u32], size: impl Fn(usize) -> usize) -> bool {
    configurations.iter().all(|&members| (set & members).count_ones() as usize >= size(members.count_ones() as usize))
}

#[test]
fn joint_quorums_intersect() {
    // Quorums are closed upwards: one that misses `set` exists exactly when everything but `set` is one.
    for mode in modes() {
        let write = |n| mode.write_quorum(n);
        let elect = |n| mode.elect_quorum(n);
        for members in 1..=9 {
            for joint @ [old, new] in pairs(members).filter(|pair| !pair.contains(&0)) {
                for set in 0..1_u32 << members {
                    let missed = |by: &[u32]| is_quorum_of(!set, by, elect);
                    let holders = is_quorum_of(set, &joint, write);
                    let electorate = is_quorum_of(set, &joint, elect);
                    // The joint configuration is held or elected by both, so it meets either alone, and itself.
                    for other in [&[old][..], &[new], &joint] {
                        assert!(!holders || !missed(other), "{mode:?} {old:b} {new:b} {set:b}: holders, {other:?}");
                        assert!(!electorate || !missed(other), "{mode:?} {old:b} {new:b} {set:b}: voters, {other:?}");
                    }
                    // What the old or the new configuration committed alone, a joint electorate finds.
                    for alone in [old, new] {
                        let held = is_quorum_of(set, &[alone], write);
                        assert!(!held || !missed(&joint), "{mode:?} {old:b} {new:b} {set:b}: held by {alone:b}");
                    }
                }
            }
        }
    }
}

#[test]
fn without_the_joint_step_old_and_new_electorates_may_miss_each_other() {
    // So the test above does test something: of {0, 1, 2} and {2, 3, 4}, {0, 1} and {3, 4} would elect one primary
    // each.
    let elect = |n| Mode::Majority.elect_quorum(n);
    assert!(is_quorum_of(0b00011, &[0b00111], elect) && is_quorum_of(0b11000, &[0b11100], elect));
    assert!(pairs(5).any(|pair| pair == [0b00111, 0b11100]));
}

/// Quorum sizes of 0 to 9 voters.
fn sizes(size: impl Fn(usize) -> usize) -> Vec<usize> {
    (0..=9).map(size).collect()
}

#[test]
fn sizes_are_those_published() {
    assert_eq!(sizes(majority), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    for mode in [Mode::Majority, Mode::Fast] {
        assert_eq!(sizes(|n| mode.write_quorum(n)), sizes(majority));
        assert_eq!(sizes(|n| mode.elect_quorum(n)), sizes(majority));
    }
    assert_eq!(sizes(|n| Mode::FastSafe.write_quorum(n)), [1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
    assert_eq!(sizes(|n| Mode::FastSafe.elect_quorum(n)), [1, 1, 2, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(sizes(|n| Mode::Flex { write: 4 }.write_quorum(n)), [1, 1, 2, 3, 4, 4, 4, 4, 4, 4]);
    assert_eq!(sizes(|n| Mode::Flex { write: 4 }.elect_quorum(n)), [1, 1, 2, 2, 3, 3, 4, 4, 5, 6]);
    for n in 0..=9 {
        assert_eq!(Mode::Flex { write: 0 }.write_quorum(n), 1, "{n}");
        assert_eq!(Mode::Flex { write: 1 }.elect_quorum(n), n.max(1), "{n}");
        assert_eq!(Mode::Flex { write: u8::MAX }.write_quorum(n), n.max(1), "{n}");
    }
}

#[test]
fn the_largest_group_overflows_nothing() {
    for mode in modes() {
        let (write, elect) = (mode.write_quorum(usize::MAX), mode.elect_quorum(usize::MAX));
        assert!(write > usize::MAX - elect && elect > usize::MAX - elect, "{mode:?}");
    }
}
