//! Exhaustive models of the protocols: every interleaving and every value a weak memory may show, on tiny regions.
//!
//! `RUSTFLAGS="--cfg inos_loom" cargo test --release -p inos-sab --lib`. The memory of these builds reports any two
//! accesses to payload bytes that are not ordered, and a lost wake-up is a deadlock. The mutant without the fence must
//! fail.

use crate::sync::bell::{Barrier, Fenced};
use crate::{AllocError, Event, Flow, Frame, Layout, Pressure, Region, Slot, Stale, Threads, Wake};
use alloc::vec::Vec;
use loom::thread;

/// Leaves the fence out.
struct Unfenced;

impl Barrier for Unfenced {
    fn barrier() {}
}

/// Rings of 64 bytes, four frames of up to eight bytes; one or two chunks of two granules.
fn region(arena_bytes: u32) -> Region<Threads> {
    let layout = Layout::compact(64, arena_bytes, 512).expect("a legal layout");
    // The second frame of 16 bytes goes over the end of the position's range, too.
    Region::heap(&layout.with_start(u64::MAX - 31)).expect("memory")
}

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

fn drain_bytes(consumer: &mut crate::Consumer, into: &mut Vec<(u16, Vec<u8>)>) {
    consumer.drain(usize::MAX, |frame| {
        if let Frame::Inline { kind, payload } = frame {
            let mut bytes = alloc::vec![0; payload.len() as usize];
            payload.copy_to(0, &mut bytes).expect("in range");
            into.push((kind, bytes));
        }
        Flow::Continue
    });
}

/// Each message once, in order, its bytes intact; through a full ring and a wrap. Without waits: the reader polls.
#[test]
fn ring_delivers_once_in_order() {
    model(3, || {
        let region = region(3 * 512);
        let mut producer = region.inbox_producer().expect("free role");
        let mut consumer = region.inbox_consumer().expect("free role");
        // 48 bytes in; the writer's next frame of 16 reaches the end, the one after needs the room of the first.
        for kind in 0..3 {
            producer.try_push(kind, &[u8::try_from(kind).expect("small"); 5]).expect("room");
        }
        let writer = thread::spawn(move || {
            let mut sent = 3;
            for kind in 3..5 {
                if producer.try_push(kind, &[u8::try_from(kind).expect("small"); 7]).is_err() {
                    break;
                }
                sent += 1;
            }
            sent
        });
        let mut got = Vec::new();
        drain_bytes(&mut consumer, &mut got);
        let sent = writer.join().expect("no panic");
        drain_bytes(&mut consumer, &mut got);
        assert_eq!(got.len(), sent);
        for (index, (kind, bytes)) in got.iter().enumerate() {
            let kind = usize::from(*kind);
            assert_eq!((kind, bytes.len()), (index, if index < 3 { 5 } else { 7 }));
            assert!(bytes.iter().all(|byte| usize::from(*byte) == index));
        }
        assert_eq!(region.inbox_flow().count(), 0);
    });
}

/// The same through a padding frame at the wrap.
#[test]
fn ring_pads_at_the_wrap() {
    model(3, || {
        let region = region(3 * 512);
        let mut producer = region.inbox_producer().expect("free role");
        let mut consumer = region.inbox_consumer().expect("free role");
        let mut got = Vec::new();
        // 56 of 64 bytes used, then freed but for the last frame: the next frame of 16 has to pad 8.
        for (kind, len) in [(0, 8), (1, 8), (2, 8), (3, 0)] {
            producer.try_push(kind, &[9; 8][..len]).expect("room");
        }
        consumer.drain(3, |_| Flow::Continue);
        let writer = thread::spawn(move || {
            producer.try_push(4, &[4; 8]).expect("room");
            producer.try_push(5, &[]).expect("room");
        });
        drain_bytes(&mut consumer, &mut got);
        writer.join().expect("no panic");
        drain_bytes(&mut consumer, &mut got);
        assert_eq!(got, [(3, Vec::new()), (4, alloc::vec![4; 8]), (5, Vec::new())]);
    });
}

fn sleep_and_wake<B: Barrier>() {
    model(3, || {
        let region = region(3 * 512);
        let mut producer = region.inbox_producer().expect("free role");
        let mut consumer = region.inbox_consumer().expect("free role");
        let writer = thread::spawn(move || {
            producer.push_with::<B>(1, &[1]).expect("room");
            // Keeps the end of the producer, which also wakes, out of the model.
            producer
        });
        assert_eq!(consumer.wait(None), Wake::Ready);
        assert_eq!(consumer.drain(1, |_| Flow::Continue), 1);
        drop(writer.join().expect("no panic"));
    });
}

/// A reader never sleeps on a published message.
#[test]
fn no_wake_is_lost() {
    sleep_and_wake::<Fenced>();
}

/// Without the fence it does: the model is able to see the fault.
#[test]
#[should_panic(expected = "deadlock")]
fn mutant_without_the_fence_loses_a_wake() {
    sleep_and_wake::<Unfenced>();
}

/// A writer that waits for room, or for the low mark, is woken, and a drained ring is at ease.
#[test]
fn drained_ring_wakes_the_writer() {
    model(2, || {
        let region = region(3 * 512);
        let mut producer = region.inbox_producer().expect("free role");
        let mut consumer = region.inbox_consumer().expect("free role");
        while producer.try_push(1, &[0; 8]).is_ok() {}
        let reader = thread::spawn(move || {
            consumer.drain(usize::MAX, |_| Flow::Continue);
            consumer
        });
        assert_eq!(producer.wait_low(None), Wake::Ready);
        drop(reader.join().expect("no panic"));
        assert_eq!(producer.pressure(), Pressure::Ok);
    });
}

/// The end of a producer wakes its reader, after everything it published.
#[test]
fn leaving_wakes_the_reader() {
    model(2, || {
        let region = region(3 * 512);
        let mut producer = region.inbox_producer().expect("free role");
        let mut consumer = region.inbox_consumer().expect("free role");
        let writer = thread::spawn(move || {
            producer.try_push(1, &[1]).expect("room");
        });
        assert_eq!(consumer.wait(None), Wake::Ready);
        assert_eq!(consumer.drain(9, |_| Flow::Continue), 1);
        assert_eq!(consumer.wait(None), Wake::Closed);
        writer.join().expect("no panic");
    });
}

/// Every published block is taken or handed back exactly once, with its own kind and bytes.
#[test]
fn manifest_is_never_torn() {
    model(3, || {
        let region = region(3 * 512);
        let slot = Slot::new(0).expect("a slot");
        let arena = region.arena();
        let mut blocks = Vec::new();
        for kind in 1..=2_u8 {
            let mut block = arena.alloc(1).expect("room");
            block.write_at(0, &[kind]).expect("in range");
            blocks.push(block);
        }
        let board = region.switchboard();
        let writer = thread::spawn(move || {
            let mut back = 0;
            for (kind, block) in (1..).zip(blocks) {
                back += usize::from(board.publish(slot, kind, block).expect("own region").is_some());
            }
            back
        });
        let board = region.switchboard();
        let mut taken = Vec::new();
        let take = |taken: &mut Vec<u16>| {
            if let Some((kind, block)) = board.take(slot) {
                let mut byte = [0];
                block.read_at(0, &mut byte).expect("in range");
                assert_eq!(kind, u16::from(byte[0]));
                taken.push(kind);
            }
        };
        take(&mut taken);
        let back = writer.join().expect("no panic");
        take(&mut taken);
        assert_eq!(back + taken.len(), 2);
        assert_eq!(taken.last(), Some(&2));
        drop(board);
        assert_eq!(arena.largest_free(), arena.max_block_len());
    });
}

/// A raise is heard by a listener that was made before, asleep or not.
#[test]
fn raise_is_heard() {
    model(3, || {
        let region = region(3 * 512);
        let board = region.switchboard();
        let mut listener = board.listen(Event::Kernel);
        let raiser = thread::spawn(move || board.raise(Event::Kernel));
        assert_eq!(listener.wait(None), Wake::Ready);
        raiser.join().expect("no panic");
        assert!(!listener.poll());
    });
}

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

/// An observer never sees more bytes than the ring has, although its two loads are apart.
#[test]
fn observed_bytes_are_within_the_ring() {
    model(2, || {
        let region = region(3 * 512);
        let flow = region.inbox_flow();
        let mut producer = region.inbox_producer().expect("free role");
        let mut consumer = region.inbox_consumer().expect("free role");
        while producer.try_push(1, &[0; 8]).is_ok() {}
        let thread = thread::spawn(move || {
            consumer.drain(1, |_| Flow::Continue);
            producer.try_push(1, &[0; 8]).expect("room");
        });
        let bytes = flow.bytes();
        assert!(bytes <= 64, "{bytes}");
        thread.join().expect("no panic");
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
            consumer.drain(1, |frame| {
                let Frame::Object { object, .. } = frame else { panic!("an object was sent") };
                let mut byte = [0];
                object.read_at(0, &mut byte).expect("in range");
                assert_eq!(byte, [5]);
                Flow::Break
            });
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
