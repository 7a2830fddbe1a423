//! The arena.

use super::{model, region};
use crate::{AllocError, Arena, Flow, Frame, Handle, Layout, Region, Stale, Trust};
use alloc::vec::Vec;
use loom::thread;

fn use_block(arena: &Arena, mark: u8, len: u32) -> bool {
    let Ok(mut block) = arena.alloc(len) else { return false };
    // A second owner of the same granule is an access the model reports.
    block.write_at(0, &[mark]).expect("in range");
    let mut byte = [0];
    block.read_at(0, &mut byte).expect("in range");
    assert_eq!(byte, [mark]);
    true
}

/// Nothing is lost: the words agree, and everything is one free block again.
fn is_whole<T: Trust>(arena: &Arena<T>) {
    let check = arena.check();
    assert!(check.is_clean(), "{check:?}");
    assert_eq!((check.owned, check.in_flight, check.detached), (0, 0, 0), "{check:?}");
    assert_eq!(arena.largest_free(), arena.max_block_len());
}

/// Two threads take and free blocks of a class, two granules in each of two chunks: one owner per granule, and
/// everything is free again as one block.
#[test]
pub(super) fn granules_have_one_owner() {
    model(3, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let thread = thread::spawn(move || assert!(use_block(&theirs, 1, 1)));
        assert!(use_block(&ours, 2, 1));
        thread.join().expect("no panic");
        is_whole(&ours);
        assert!(use_block(&ours, 3, ours.max_block_len()));
    });
}

/// A block of a class in a chunk that another thread wants whole: never both.
#[test]
pub(super) fn chunks_are_not_emptied_under_a_block() {
    model(3, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let wall = ours.alloc(512).expect("room");
        // The other chunk is cut, and they know it.
        assert!(use_block(&theirs, 0, 1));
        let thread = thread::spawn(move || theirs.alloc(1));
        let run = ours.alloc(512);
        let block = thread.join().expect("no panic");
        assert!(run.is_err() || block.is_err(), "two owners of one chunk");
        for error in [run.as_ref().err(), block.as_ref().err()].into_iter().flatten() {
            // To step back is not to be out of room.
            let is_exhausted = matches!(error, AllocError::Exhausted { .. });
            assert!(!is_exhausted || run.is_ok() || block.is_ok(), "{error:?}");
        }
        drop((run, block, wall));
        is_whole(&ours);
    });
}

/// The same for a block that comes while the other looks, and whose cell is not the run's.
#[test]
pub(super) fn chunks_are_not_emptied_under_a_later_block() {
    model(2, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let wall = ours.alloc(512).expect("room");
        assert!(use_block(&theirs, 0, 1));
        let thread = thread::spawn(move || {
            let first = theirs.alloc(1);
            theirs.alloc(1).ok().filter(|_| first.is_ok())
        });
        let run = ours.alloc(512);
        let block = thread.join().expect("no panic");
        assert!(run.is_err() || block.is_none(), "two owners of one chunk");
        drop((run, block, wall));
        is_whole(&ours);
    });
}

/// The bytes of a run pass to a longer one, whose cell is another: through the chunk's word.
#[test]
pub(super) fn runs_pass_their_bytes_on() {
    model(2, || {
        let region = region(3 * 512);
        let arena = region.arena();
        let wall = arena.alloc(512).expect("room");
        let mut run = arena.alloc(512).expect("room");
        drop(wall);
        let thread = thread::spawn(move || {
            run.write_at(0, &[1]).expect("in range");
            drop(run);
        });
        if let Ok(mut both) = arena.alloc(1024) {
            both.write_at(512, &[2]).expect("in range");
        }
        thread.join().expect("no panic");
        is_whole(&arena);
    });
}

/// An allocator that began with one cutting of a chunk and ends with a later one of the same class, with a run between.
#[test]
fn later_cuttings_are_as_good() {
    // One preemption: in the middle of our search.
    model(1, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let wall = ours.alloc(512).expect("room");
        assert!(use_block(&ours, 0, 1));
        let thread = thread::spawn(move || {
            let run = theirs.alloc(512).map(|mut run| run.write_at(256, &[2]));
            run.is_ok().then(|| theirs.alloc(1))
        });
        let _ = use_block(&ours, 1, 1);
        drop((thread.join().expect("no panic"), wall));
        is_whole(&ours);
    });
}

/// The bytes of blocks pass to a run that takes their emptied chunk, also of one that comes and goes during the look.
#[test]
pub(super) fn emptied_chunks_pass_their_bytes_on() {
    model(2, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let wall = ours.alloc(512).expect("room");
        let first = theirs.alloc(1).expect("room");
        let thread = thread::spawn(move || {
            drop(first);
            let blocks: Vec<_> = (0..2).map_while(|_| theirs.alloc(1).ok()).collect();
            for mut block in blocks {
                block.write_at(0, &[1]).expect("in range");
            }
        });
        if let Ok(mut run) = ours.alloc(512) {
            run.write_at(256, &[2]).expect("in range");
        }
        thread.join().expect("no panic");
        drop(wall);
        is_whole(&ours);
    });
}

/// Runs against runs: nobody keeps what it collected in vain, and no chunk is lost.
#[test]
fn runs_give_back_what_they_collected() {
    for lens in [(1024, 1024), (1024, 512)] {
        model(2, move || {
            let region = region(3 * 512);
            let (ours, theirs) = (region.arena(), region.arena());
            assert_eq!(ours.max_block_len(), 1024);
            let thread = thread::spawn(move || use_block(&theirs, 1, lens.1));
            let _ = use_block(&ours, 2, lens.0);
            let _ = thread.join().expect("no panic");
            is_whole(&ours);
        });
    }
}

/// A run against a block of a class, over the same chunks: whoever comes second finds the bytes its own, and no chunk is
/// lost.
#[test]
fn runs_and_classes_share_the_chunks() {
    for len in [1024, 512] {
        model(2, move || {
            let region = region(3 * 512);
            let (ours, theirs) = (region.arena(), region.arena());
            let thread = thread::spawn(move || use_block(&theirs, 1, 1));
            let _ = use_block(&ours, 2, len);
            let _ = thread.join().expect("no panic");
            is_whole(&ours);
            assert!(use_block(&ours, 3, ours.max_block_len()));
        });
    }
}

/// Whoever gets a block by a number it knew before the block was let go sees what was written, pinned or claimed.
#[test]
pub(super) fn letting_go_shows_what_was_written() {
    model(3, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let mut block = ours.alloc(1).expect("room");
        let handle = block.handle();
        let thread = thread::spawn(move || {
            let mut byte = [5];
            if let Ok(pin) = theirs.resolve(handle) {
                pin.read_at(0, &mut byte).expect("in range");
            }
            assert_eq!(byte, [5]);
            if let Ok(mut block) = theirs.claim_handle(handle) {
                block.write_at(0, &[6]).expect("in range");
            }
        });
        block.write_at(0, &[5]).expect("in range");
        assert_eq!(block.into_handle(), handle);
        thread.join().expect("no panic");
        drop(ours.claim_handle(handle));
        is_whole(&ours);
    });
}

/// Two threads want a granule each of the only chunk left, which has two: neither is told that there is none, whoever
/// cuts the chunk while the other looks.
#[test]
fn room_is_not_called_exhausted() {
    model(2, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let wall = ours.alloc(512).expect("room");
        let thread = thread::spawn(move || theirs.alloc(1).map(drop));
        for result in [ours.alloc(1).map(drop), thread.join().expect("no panic")] {
            assert!(!matches!(result, Err(AllocError::Exhausted { .. })), "{result:?}");
        }
        drop(wall);
        is_whole(&ours);
    });
}

/// Bits that were set in vain hide nothing: the cells are asked before an allocation fails.
#[test]
fn stale_hints_hide_no_room() {
    model(1, || {
        let region = region(3 * 512);
        let arena = region.arena();
        let wall = arena.alloc(512).expect("room");
        let kept = arena.alloc(1).expect("room");
        // As one who died after it set the bit.
        let chunk_line = region.layout().arena().offset + 64;
        region.shared.memory.u64(chunk_line + 8).fetch_or(3, crate::sync::Ordering::Relaxed);
        assert_eq!(arena.check().stale_hints, 1);
        drop(arena.alloc(1).expect("the cell says that it is free"));
        drop(kept);
        region.shared.memory.u64(chunk_line + 8).fetch_or(3, crate::sync::Ordering::Relaxed);
        drop(arena.alloc(512).expect("the cells say that the chunk is empty"));
        drop(wall);
        is_whole(&arena);
    });
}

/// A block freed by another thread than its allocator's, through a frame, while the allocator takes another one.
#[test]
fn remote_free_returns_the_granule() {
    model(2, || {
        let region = region(3 * 512);
        let arena = region.arena();
        let mut producer = region.inbox_producer().expect("free role");
        let mut consumer = region.inbox_consumer().expect("free role");
        let mut block = arena.alloc(1).expect("room");
        block.write_at(0, &[5]).expect("in range");
        producer.push_object(1, block).expect("room");
        let reader = thread::spawn(move || {
            let drained = consumer.drain(1, |frame| {
                let Frame::Object { object, .. } = frame else { panic!("an object was sent") };
                let mut byte = [0];
                object.read_at(0, &mut byte).expect("in range");
                assert_eq!(byte, [5]);
                Flow::Break
            });
            assert_eq!(drained, Ok(1));
        });
        assert!(use_block(&arena, 6, 1));
        reader.join().expect("no panic");
        is_whole(&arena);
    });
}

/// Of two that claim a handle one gets the block; whoever pins it meanwhile reads what was written.
#[test]
pub(super) fn handle_has_one_taker() {
    model(3, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let mut block = ours.alloc(1).expect("room");
        block.write_at(0, &[5]).expect("in range");
        let handle = block.into_handle();
        let thread = thread::spawn(move || match theirs.claim_handle(handle) {
            Ok(mut block) => {
                block.write_at(0, &[6]).expect("in range");
                drop(block);
                true
            }
            Err(_) => false,
        });
        match ours.resolve(handle) {
            Ok(pin) => {
                let mut byte = [0];
                pin.read_at(0, &mut byte).expect("in range");
                assert_eq!(byte, [5]);
            }
            Err(reason) => assert!(matches!(reason, Stale::Freed | Stale::Owned)),
        }
        let ours_got = ours.claim_handle(handle).is_ok();
        let theirs_got = thread.join().expect("no panic");
        // Neither only if their claim met our pin and ours met their box.
        assert!(!(ours_got && theirs_got));
        if !ours_got && !theirs_got {
            drop(ours.claim_handle(handle).expect("nobody took it"));
        }
        is_whole(&ours);
    });
}

fn look<T: Trust>(arena: &Arena<T>, handle: Handle) {
    if let Ok(pin) = arena.resolve(handle) {
        let mut byte = [0];
        pin.read_at(0, &mut byte).expect("in range");
        assert_eq!(byte, [5]);
    }
}

/// Two threads of a process pin a block of another process: the one that only counts sees what was let go, too, and the
/// next owner comes after both.
#[test]
pub(super) fn pins_of_a_process_are_counted_together() {
    model(2, || {
        let region = Region::model(&Layout::compact(64, 3 * 512, 512).expect("a legal layout"));
        let peer = region.beside(1);
        let arena = region.arena();
        let mut block = arena.alloc(1).expect("room");
        let handle = block.handle();
        let threads = [(); 2].map(|()| {
            let arena = peer.arena();
            thread::spawn(move || look(&arena, handle))
        });
        block.write_at(0, &[5]).expect("in range");
        assert_eq!(block.into_handle(), handle);
        match arena.claim_handle(handle) {
            Ok(mut block) => block.write_at(0, &[6]).expect("in range"),
            Err(reason) => assert!(matches!(reason, Stale::Pinned { .. }), "{reason:?}"),
        }
        for thread in threads {
            thread.join().expect("no panic");
        }
        drop(arena.claim_handle(handle));
        is_whole(&arena);
    });
}

/// The number of a block that is freed gives no access to the next block at its place, whenever it is tried.
#[test]
fn stale_numbers_never_resolve() {
    model(3, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let block = ours.alloc(1).expect("room");
        let handle = block.handle();
        let thread = thread::spawn(move || {
            assert!(theirs.resolve(handle).is_err());
            assert!(theirs.claim_handle(handle).is_err());
        });
        drop(block);
        let next = ours.alloc(1).expect("room").into_handle();
        assert_eq!(next.offset(), handle.offset());
        thread.join().expect("no panic");
        assert_eq!(ours.resolve(handle).unwrap_err(), Stale::Freed);
        drop(ours.claim_handle(next).expect("nobody took it"));
        is_whole(&ours);
    });
}

/// Figures taken while others work are of something that could be.
#[test]
fn statistics_stay_in_bounds() {
    model(2, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let thread = thread::spawn(move || use_block(&theirs, 1, 1));
        let stats = ours.stats();
        assert!(stats.blocks <= 1 && stats.bytes_used <= 256 && stats.free_chunks <= 2);
        assert_eq!(stats.blocks, stats.owned);
        assert!(thread.join().expect("no panic"));
        assert_eq!((ours.stats().blocks, ours.stats().free_chunks), (0, 2));
    });
}
