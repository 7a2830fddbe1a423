//! The arena.

use super::{model, region};
use crate::{AllocError, Flow, Frame, Stale};
use loom::thread;

fn use_block(arena: &crate::Arena, mark: u8, len: u32) -> bool {
    let Ok(mut block) = arena.alloc(len) else { return false };
    // A second owner of the same granule is an access the model reports.
    block.write_at(0, &[mark]).expect("in range");
    let mut byte = [0];
    block.read_at(0, &mut byte).expect("in range");
    assert_eq!(byte, [mark]);
    true
}

/// Two threads take and free blocks of a class, two granules in each of two chunks: one owner per granule, and
/// everything is free again as one block.
#[test]
fn granules_have_one_owner() {
    model(3, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let thread = thread::spawn(move || assert!(use_block(&theirs, 1, 1)));
        assert!(use_block(&ours, 2, 1));
        thread.join().expect("no panic");
        assert_eq!(ours.largest_free(), ours.max_block_len());
        assert!(use_block(&ours, 3, ours.max_block_len()));
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
            assert_eq!(ours.largest_free(), ours.max_block_len());
        });
    }
}

/// A run against a block of a class, over the same chunks: whoever comes second finds the bytes its own, and no chunk is
/// lost.
#[test]
fn runs_and_classes_share_the_chunks() {
    for len in [1024, 512] {
        model(3, move || {
            let region = region(3 * 512);
            let (ours, theirs) = (region.arena(), region.arena());
            let thread = thread::spawn(move || use_block(&theirs, 1, 1));
            let _ = use_block(&ours, 2, len);
            let _ = thread.join().expect("no panic");
            assert_eq!(ours.largest_free(), ours.max_block_len());
            assert!(use_block(&ours, 3, ours.max_block_len()));
        });
    }
}

/// Whoever gets a block by a number it knew before the block was let go sees what was written, pinned or claimed.
#[test]
fn letting_go_shows_what_was_written() {
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
        assert_eq!(ours.largest_free(), ours.max_block_len());
    });
}

/// Two threads want a granule each of the only chunk left, which has two: neither is told that there is none, whoever
/// cuts the chunk while the other looks.
#[test]
fn room_is_not_called_exhausted() {
    model(3, || {
        let region = region(3 * 512);
        let (ours, theirs) = (region.arena(), region.arena());
        let wall = ours.alloc(512).expect("room");
        let thread = thread::spawn(move || theirs.alloc(1).map(drop));
        for result in [ours.alloc(1).map(drop), thread.join().expect("no panic")] {
            assert!(!matches!(result, Err(AllocError::Exhausted { .. })), "{result:?}");
        }
        drop(wall);
        assert_eq!(ours.largest_free(), ours.max_block_len());
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
        assert_eq!(arena.largest_free(), arena.max_block_len());
    });
}

/// Of two that claim a handle one gets the block; whoever pins it meanwhile reads what was written.
#[test]
fn handle_has_one_taker() {
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
        assert_eq!(ours.largest_free(), ours.max_block_len());
    });
}
