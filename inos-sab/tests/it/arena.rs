//! Goal: blocks never overlap, stale numbers never resolve, and everything comes back as one block.
//! Method: scripts; a proptest against a list of live blocks, each filled with its own byte.

use crate::small;
use inos_sab::{AllocError, Handle, Layout, Region, Stale, Threads};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn every_length_up_to_the_whole_arena() {
    let arena = small().arena();
    let max = arena.max_block_len();
    for len in (0..=max).step_by(97).chain([max]) {
        let mut block = arena.alloc(len).unwrap();
        assert_eq!(block.len(), len);
        block.as_mut_slice().fill(1);
        assert!(block.write_at(len, &[1]).is_err());
        assert!(block.write_at(u32::MAX, &[1]).is_err());
        assert!(block.read_at(len.saturating_sub(1), &mut [0; 2]).is_err());
        drop(block);
        assert_eq!(arena.largest_free(), max);
    }
    assert_eq!(arena.alloc(max + 1).unwrap_err(), AllocError::TooLarge { requested: u64::from(max) + 1, max });
}

/// 32,178,176 bytes are 30.7 MiB before metadata: a mebibyte block fits 28 times, and 31 MiB never.
#[test]
fn the_standard_arena_holds_what_the_document_says() {
    let region = Region::<Threads>::heap(&Layout::STANDARD).unwrap();
    let arena = region.arena();
    let mut blocks = vec![];
    let error = loop {
        match arena.alloc(1 << 20) {
            Ok(block) => blocks.push(block),
            Err(error) => break error,
        }
    };
    assert_eq!(blocks.len(), 28);
    assert_eq!(error, AllocError::Exhausted { requested: 1 << 20, largest_free: (461 - 28 * 16) << 16 });
    let small = arena.alloc(100).unwrap();
    drop(blocks);
    assert!(matches!(arena.alloc(31 << 20), Err(AllocError::TooLarge { .. })));
    drop(small);
    assert_eq!(arena.alloc(30_212_096).unwrap().len(), 30_212_096);
}

#[test]
fn handles_go_stale_with_the_block() {
    let arena = small().arena();
    let block = arena.alloc(10).unwrap();
    let handle = block.handle();
    assert_eq!(arena.resolve(handle).unwrap_err(), Stale::Owned);
    assert_eq!(arena.claim_handle(handle).unwrap_err(), Stale::Owned);
    drop(block);
    let again = arena.alloc(10).unwrap();
    assert_eq!((again.handle().offset(), again.handle().generation()), (handle.offset(), handle.generation() + 1));
    assert_eq!(arena.resolve(handle).unwrap_err(), Stale::Freed);
    assert_eq!(arena.claim_handle(handle).unwrap_err(), Stale::Freed);

    let handle = again.into_handle();
    let (first, second) = (arena.resolve(handle).unwrap(), arena.resolve(handle).unwrap());
    assert_eq!(arena.claim_handle(handle).unwrap_err(), Stale::Pinned { pins: 2 });
    drop((first, second));
    let owner = arena.claim_handle(handle).unwrap();
    assert_eq!(arena.claim_handle(handle).unwrap_err(), Stale::Owned);
    drop(owner);
    assert_eq!(arena.claim_handle(handle).unwrap_err(), Stale::Freed);
}

/// A chunk that is cut anew does not bring old numbers back to life.
#[test]
fn handles_stay_stale_when_the_chunk_is_cut_otherwise() {
    let arena = small().arena();
    let old: Vec<Handle> =
        (0..16).map(|_| arena.alloc(256).unwrap()).collect::<Vec<_>>().iter().map(|b| b.handle()).collect();
    for len in [300, 600, 1500, 2048, 4096, 40_000] {
        let blocks: Vec<_> = core::iter::from_fn(|| arena.alloc(len).ok()).collect();
        assert!(!blocks.is_empty());
        for handle in &old {
            assert_eq!(arena.resolve(*handle).unwrap_err(), Stale::Freed);
        }
    }
}

#[test]
fn any_number_is_safe_to_try() {
    let arena = small().arena();
    let mut next = crate::numbers(7);
    for _ in 0..10_000 {
        let bits = next() >> (next() % 64);
        if let Some(handle) = Handle::from_bits(bits) {
            assert!(arena.resolve(handle).is_err());
            assert!(arena.claim_handle(handle).is_err());
        }
    }
}

#[test]
fn small_blocks_fill_the_arena_and_leave_it_whole() {
    let arena = small().arena();
    let max = arena.max_block_len();
    let blocks: Vec<_> = core::iter::from_fn(|| arena.alloc(1).ok()).collect();
    assert_eq!(blocks.len(), (max / 256) as usize);
    assert_eq!(arena.alloc(1).unwrap_err(), AllocError::Exhausted { requested: 1, largest_free: 0 });
    let mut kept = vec![];
    for (index, block) in blocks.into_iter().enumerate() {
        if index.is_multiple_of(16) {
            kept.push(block);
        }
    }
    // One block in each chunk: no chunk is free, but other blocks of the class still are.
    assert_eq!(arena.largest_free(), 256);
    drop(kept);
    assert_eq!(arena.largest_free(), max);
}

#[derive(Clone, Debug)]
enum Step {
    Alloc(u32),
    Free(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop_oneof![0..600_u32, 0..5000_u32, 0..62_000_u32].prop_map(Step::Alloc),
        2 => any::<usize>().prop_map(Step::Free),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a list: no overlap, contents kept, `largest_free` is exact, nothing leaks.
    #[test]
    fn behaves_as_a_list_of_ranges(steps in prop::collection::vec(step(), 1..150)) {
        let arena = small().arena();
        let mut live: Vec<(u8, inos_sab::ArenaBox)> = vec![];
        for (index, step) in (0_u32..).zip(steps) {
            match step {
                Step::Alloc(len) => {
                    let largest = arena.largest_free();
                    match arena.alloc(len) {
                        Ok(mut block) => {
                            prop_assert!(len <= largest);
                            let (from, to) = (block.handle().offset(), block.handle().offset() + u64::from(len.max(1)));
                            for (_, other) in &live {
                                let start = other.handle().offset();
                                prop_assert!(to <= start || start + u64::from(other.len().max(1)) <= from);
                            }
                            let fill = index.to_le_bytes()[0];
                            block.as_mut_slice().fill(fill);
                            live.push((fill, block));
                        }
                        Err(AllocError::Exhausted { largest_free, .. }) => {
                            prop_assert_eq!(largest_free, largest);
                            prop_assert!(largest < len.max(1));
                        }
                        Err(AllocError::TooLarge { .. }) => prop_assert!(len > arena.max_block_len()),
                        Err(other) => prop_assert!(false, "{}", other),
                    }
                }
                Step::Free(at) if !live.is_empty() => {
                    let (fill, block) = live.swap_remove(at % live.len());
                    prop_assert!(block.as_slice().iter().all(|byte| *byte == fill));
                }
                Step::Free(_) => {}
            }
        }
        drop(live);
        prop_assert_eq!(arena.alloc(arena.max_block_len()).unwrap().len(), arena.max_block_len());
    }
}
