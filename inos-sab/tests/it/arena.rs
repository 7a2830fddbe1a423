//! Goal: blocks never overlap, stale numbers never resolve, and everything comes back as one block.
//! Method: scripts; a proptest against lists of owned, detached and pinned blocks, each filled with its own byte, for one
//! and for two attachments of each trust level; threads that fill, check and pass on.

use crate::small;
use inos_sab::{AllocError, Arena, ArenaBox, ArenaRef, Handle, Layout, Region, Stale, Threads, Trust};
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

/// Reuse carries the generation over its end of 44 bits; numbers from before stay stale until it has come round.
#[test]
fn generations_wrap() {
    // Generations start eight before the end.
    let layout = Layout::compact(1 << 10, 1 << 16, 1 << 12).unwrap().with_start(u64::MAX);
    let arena = crate::region(layout).arena();
    let mut old: Vec<Handle> = vec![];
    for reuse in 0..20 {
        let block = arena.alloc(1).unwrap();
        let handle = block.handle();
        assert_eq!(handle.generation(), ((1_u64 << 44) - 8 + reuse) % (1 << 44));
        let handle = block.into_handle();
        assert!(arena.resolve(handle).is_ok());
        drop(arena.claim_handle(handle).unwrap());
        old.push(handle);
        for handle in &old {
            assert_eq!(arena.resolve(*handle).unwrap_err(), Stale::Freed);
        }
    }
    assert!(arena.check().is_clean());
}

#[test]
fn statistics_count_what_lies_there() {
    let arena = small().arena();
    let chunks = arena.max_block_len() / 4096;
    let blocks = [100, 300, 300, 2048, 5000].map(|len| arena.alloc(len).unwrap());
    let stats = arena.stats();
    assert_eq!((stats.blocks, stats.owned, stats.runs), (5, 5, 1));
    assert_eq!(stats.bytes_used, 256 + 2 * 512 + 2048 + 2 * 4096);
    // Three chunks cut, two in the run.
    assert_eq!(stats.free_chunks, chunks - 5);
    assert_eq!(stats.largest_free, (chunks - 5) * 4096);
    let of = |block_bytes| stats.classes().find(|class| class.block_bytes == block_bytes).unwrap();
    assert_eq!((of(512).chunks, of(512).blocks), (1, 2));
    assert_eq!((of(768).chunks, of(768).blocks), (0, 0));
    assert_eq!(stats.classes().last().unwrap().block_bytes, 2048);
    let [first, others @ ..] = blocks;
    let handle = first.into_handle();
    drop(others);
    let stats = arena.stats();
    assert_eq!((stats.blocks, stats.detached, stats.runs), (1, 1, 0));
    assert_eq!(stats.free_chunks, chunks - 1);
    drop(arena.claim_handle(handle).unwrap());
    assert_eq!(arena.stats().bytes_used, 0);
    assert_eq!(arena.free_chunks(), chunks);
}

/// Chunks stay cut when their last block is freed; they serve another class or a run as soon as one needs them.
#[test]
fn empty_chunks_serve_whoever_comes() {
    let arena = small().arena();
    let max = arena.max_block_len();
    for len in [1, 600, 2000, max, 1, 2048, 4097, 300] {
        let blocks: Vec<_> = core::iter::from_fn(|| arena.alloc(len).ok()).collect();
        assert!(blocks.len() >= (max / len.next_multiple_of(4096)) as usize);
        let check = arena.check();
        assert!(check.is_clean() && check.stale_hints == 0, "{check:?}");
        assert_eq!(check.owned as usize, blocks.len());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Alloc(u32),
    Free(usize),
    LetGo(usize),
    Pin(usize),
    Unpin(usize),
    Claim(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop_oneof![0..600_u32, 0..5000_u32, 0..62_000_u32].prop_map(Step::Alloc),
        3 => any::<usize>().prop_map(Step::Free),
        2 => any::<usize>().prop_map(Step::LetGo),
        2 => any::<usize>().prop_map(Step::Pin),
        2 => any::<usize>().prop_map(Step::Unpin),
        2 => any::<usize>().prop_map(Step::Claim),
    ]
}

/// A block that was let go.
#[derive(Clone, Copy, Debug)]
struct Gone {
    handle: Handle,
    len: u32,
    fill: u8,
    pins: u32,
}

/// What the arena should be: lists. Operations alternate between the attachments.
#[derive(Debug)]
struct Model<T: Trust> {
    arenas: Vec<Arena<T>>,
    owned: Vec<(u8, ArenaBox<T>)>,
    gone: Vec<Gone>,
    pins: Vec<(usize, ArenaRef<T>)>,
    freed: Vec<Handle>,
}

impl<T: Trust> Model<T> {
    fn filled(read: impl Fn(u32, &mut [u8]), len: u32, fill: u8) -> bool {
        let mut bytes = vec![!fill; len as usize];
        read(0, &mut bytes);
        bytes.iter().all(|byte| *byte == fill)
    }

    fn ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let owned = self.owned.iter().map(|(_, block)| (block.handle().offset(), block.len()));
        let gone = self.gone.iter().map(|gone| (gone.handle.offset(), gone.len));
        owned.chain(gone).map(|(start, len)| (start, start + u64::from(len.max(1))))
    }

    fn apply(&mut self, index: u32, step: &Step) {
        let arena = &self.arenas[index as usize % self.arenas.len()];
        match *step {
            Step::Alloc(len) => {
                let largest = arena.largest_free();
                match arena.alloc(len) {
                    Ok(mut block) => {
                        assert!(len <= largest);
                        let (from, to) = (block.handle().offset(), block.handle().offset() + u64::from(len.max(1)));
                        assert!(self.ranges().all(|(start, end)| to <= start || end <= from), "blocks overlap");
                        let fill = index.to_le_bytes()[0];
                        block.write_at(0, &vec![fill; len as usize]).expect("in range");
                        self.owned.push((fill, block));
                    }
                    Err(AllocError::Exhausted { largest_free, .. }) => {
                        assert_eq!(largest_free, largest);
                        assert!(largest < len.max(1));
                    }
                    Err(AllocError::TooLarge { .. }) => assert!(len > arena.max_block_len()),
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Free(at) if !self.owned.is_empty() => {
                let (fill, block) = self.owned.swap_remove(at % self.owned.len());
                assert!(Self::filled(|at, bytes| block.read_at(at, bytes).expect("in range"), block.len(), fill));
                self.freed.push(block.handle());
            }
            Step::LetGo(at) if !self.owned.is_empty() => {
                let (fill, block) = self.owned.swap_remove(at % self.owned.len());
                assert_eq!(arena.resolve(block.handle()).err(), Some(Stale::Owned));
                let len = block.len();
                self.gone.push(Gone { handle: block.into_handle(), len, fill, pins: 0 });
            }
            Step::Pin(at) if !self.gone.is_empty() => {
                let at = at % self.gone.len();
                let pin = arena.resolve(self.gone[at].handle).expect("let go");
                self.gone[at].pins += 1;
                self.pins.push((at, pin));
            }
            Step::Unpin(at) if !self.pins.is_empty() => {
                let (of, pin) = self.pins.swap_remove(at % self.pins.len());
                let gone = &mut self.gone[of];
                gone.pins -= 1;
                assert!(Self::filled(|at, bytes| pin.read_at(at, bytes).expect("in range"), gone.len, gone.fill));
                assert_eq!(pin.len(), gone.len);
            }
            Step::Claim(at) if !self.gone.is_empty() => {
                let at = at % self.gone.len();
                let gone = self.gone[at];
                match arena.claim_handle(gone.handle) {
                    Ok(block) => {
                        assert_eq!((gone.pins, block.len()), (0, gone.len));
                        self.gone.remove(at);
                        self.pins.iter_mut().for_each(|(of, _)| *of -= usize::from(*of > at));
                        self.owned.push((gone.fill, block));
                    }
                    Err(Stale::Pinned { pins }) => assert!(1 <= pins && pins <= gone.pins),
                    Err(other) => panic!("{other}"),
                }
            }
            _ => {}
        }
    }

    fn run(mut self, steps: &[Step]) {
        for (index, step) in (0..).zip(steps) {
            self.apply(index, step);
        }
        let arena = &self.arenas[0];
        for handle in &self.freed {
            assert_eq!(arena.resolve(*handle).err(), Some(Stale::Freed));
            assert_eq!(arena.claim_handle(*handle).err(), Some(Stale::Freed));
        }
        let check = arena.check();
        assert!(check.is_clean() && check.stale_hints == 0, "{check:?}");
        assert_eq!((check.owned as usize, check.detached as usize), (self.owned.len(), self.gone.len()));
        self.pins.clear();
        self.owned.clear();
        self.gone.iter().for_each(|gone| drop(arena.claim_handle(gone.handle).expect("unpinned")));
        assert_eq!(arena.alloc(arena.max_block_len()).expect("all of it").len(), arena.max_block_len());
    }

    fn of(arenas: Vec<Arena<T>>) -> Self {
        Self { arenas, owned: vec![], gone: vec![], pins: vec![], freed: vec![] }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against lists: no overlap, contents kept, pins and owners apart, `largest_free` exact, nothing leaks.
    #[test]
    fn behaves_as_a_list_of_ranges(steps in prop::collection::vec(step(), 1..150)) {
        let arena = small().arena();
        Model::of(vec![arena.clone(), arena]).run(&steps);
    }
}

#[cfg(target_os = "linux")]
mod between_processes {
    use super::*;
    use crate::{again, attached, memory_file};
    use inos_sab::{Crash, Hostile};

    fn layout() -> Layout {
        Layout::compact(1 << 10, 1 << 16, 1 << 12).expect("a legal layout").with_start(u64::MAX)
    }

    fn pair() -> Vec<Arena<Crash>> {
        let one = memory_file(&layout());
        let two = attached(one.backing_fd().expect("a file"), &layout()).expect("attached");
        vec![one.arena(), two.arena()]
    }

    fn hostile_pair() -> Vec<Arena<Hostile>> {
        let one = Region::<Hostile>::create_memfd(c"arena", &layout()).expect("a region");
        let file = again(one.backing_fd().expect("a file"));
        let two = Region::<Hostile>::attach_fd(file, &layout()).expect("attached");
        vec![one.arena(), two.arena()]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn two_attachments_behave_as_a_list_of_ranges(steps in prop::collection::vec(step(), 1..150)) {
            Model::of(pair()).run(&steps);
        }

        #[test]
        fn two_hostile_attachments_behave_as_a_list_of_ranges(steps in prop::collection::vec(step(), 1..150)) {
            Model::of(hostile_pair()).run(&steps);
        }
    }

    #[test]
    fn pins_of_two_participants_are_two() {
        let arenas = pair();
        let handle = arenas[0].alloc(10).unwrap().into_handle();
        let pins: Vec<_> = [0, 0, 1].iter().map(|of: &usize| arenas[*of].resolve(handle).unwrap()).collect();
        assert_eq!(arenas[0].claim_handle(handle).unwrap_err(), Stale::Pinned { pins: 2 });
        assert_eq!((arenas[0].check().detached, arenas[0].check().pinned), (1, 1));
        for (left, pin) in [1, 1, 0].into_iter().zip(pins.into_iter().rev()) {
            drop(pin);
            match arenas[1].claim_handle(handle) {
                Ok(_) => assert_eq!(left, 0),
                Err(stale) => assert_eq!(stale, Stale::Pinned { pins: left }),
            }
        }
    }
}

/// Threads that take, fill, check, pass on and free blocks of all sizes, in one region: every block keeps its bytes.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn threads_do_not_meet_in_a_block() {
    let region = crate::region(Layout::compact(1 << 10, 1 << 20, 1 << 13).unwrap());
    let (sender, receiver) = std::sync::mpsc::channel::<Handle>();
    let receiver = std::sync::Mutex::new(receiver);
    let pass = |arena: &Arena, handle: Handle, fill: u8| {
        let pin = arena.resolve(handle).unwrap();
        assert!(pin.as_slice().iter().all(|byte| *byte == fill));
        drop(pin);
        arena.claim_handle(handle).unwrap()
    };
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let (arena, sender, receiver) = (region.arena(), sender.clone(), &receiver);
            scope.spawn(move || {
                let mut next = crate::numbers(u64::from(thread));
                let mut live: Vec<(u8, ArenaBox)> = vec![];
                for _ in 0..5000 {
                    let number = next();
                    let fill = number.to_le_bytes()[7];
                    match number % 8 {
                        0..4 => {
                            let len = u32::try_from(number >> 8 & 0xFFFF).unwrap() >> (number >> 24 & 15);
                            let Ok(mut block) = arena.alloc(len) else { continue };
                            block.as_mut_slice().fill(fill);
                            live.push((fill, block));
                        }
                        4..7 if !live.is_empty() => {
                            let at = usize::try_from(number >> 32).unwrap() % live.len();
                            let (fill, block) = live.swap_remove(at);
                            assert!(block.as_slice().iter().all(|byte| *byte == fill));
                        }
                        7 => {
                            // Its first byte says how it is filled.
                            if let Some((_, block)) = live.pop().filter(|(_, block)| !block.is_empty()) {
                                sender.send(block.into_handle()).unwrap();
                            }
                            let received = receiver.lock().unwrap().try_recv();
                            if let Ok(handle) = received {
                                let fill = arena.resolve(handle).unwrap().as_slice()[0];
                                live.push((fill, pass(&arena, handle, fill)));
                            }
                        }
                        _ => {}
                    }
                }
            });
        }
    });
    let arena = region.arena();
    for handle in receiver.lock().unwrap().try_iter() {
        drop(arena.claim_handle(handle).unwrap());
    }
    let check = arena.check();
    assert!(check.is_clean(), "{check:?}");
    assert_eq!((check.owned, check.detached, check.free_chunks), (0, 0, arena.max_block_len() >> 13));
    assert_eq!(arena.alloc(arena.max_block_len()).unwrap().len(), arena.max_block_len());
}
