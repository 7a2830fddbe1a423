//! Rings, wake-ups, slots and events.

use super::{model, region};
use crate::sync::barrier::model::unfenced;
use crate::{Consumer, Event, Flow, Frame, Pressure, Slot, Wake};
use alloc::vec::Vec;
use core::time::Duration;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

fn drain_bytes(consumer: &mut Consumer, into: &mut Vec<(u16, Vec<u8>)>) {
    let drained = consumer.drain(usize::MAX, |frame| {
        if let Frame::Inline { kind, payload } = frame {
            let mut bytes = alloc::vec![0; payload.len() as usize];
            payload.copy_to(0, &mut bytes).expect("in range");
            into.push((kind, bytes));
        }
        Flow::Continue
    });
    drained.expect("frames");
}

/// Each message once, in order, its bytes intact; through a full ring and a wrap. Without waits: the reader polls.
#[test]
pub(super) fn ring_delivers_once_in_order() {
    unfenced(delivers_once_in_order);
    delivers_once_in_order();
}

fn delivers_once_in_order() {
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

/// The next reader goes on where the last one stopped: no frame twice.
#[test]
pub(super) fn a_role_passes_on_its_cursor() {
    unfenced(|| {
        model(3, || {
            let region = region(3 * 512);
            let mut producer = region.inbox_producer().expect("free role");
            let mut consumer = region.inbox_consumer().expect("free role");
            producer.try_push(1, &[1]).expect("room");
            let first = thread::spawn(move || consumer.drain(1, |_| Flow::Continue));
            if let Ok(mut next) = region.inbox_consumer() {
                assert_eq!(next.drain(1, |_| Flow::Continue), Ok(0));
            }
            assert_eq!(first.join().expect("no panic"), Ok(1));
        });
    });
}

/// Who sees that the producer has left sees all that it published.
#[test]
pub(super) fn nothing_published_before_leaving_is_missed() {
    unfenced(|| {
        model(3, || {
            let region = region(3 * 512);
            let mut producer = region.inbox_producer().expect("free role");
            let mut consumer = region.inbox_consumer().expect("free role");
            let writer = thread::spawn(move || {
                producer.try_push(1, &[1]).expect("room");
            });
            assert_ne!(consumer.wait(Some(Duration::ZERO)), Wake::Closed);
            writer.join().expect("no panic");
        });
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
        consumer.drain(3, |_| Flow::Continue).expect("frames");
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

/// A reader never sleeps on a published message.
#[test]
pub(super) fn no_wake_is_lost() {
    model(3, || one_message_wakes(|_| ()));
}

/// Nor does one that asked its wakers to fence, who would not do so by themselves.
#[test]
pub(super) fn no_wake_is_lost_where_fences_were_asked_for() {
    unfenced(|| model(3, || one_message_wakes(Consumer::ask_for_fences)));
}

fn one_message_wakes(before: impl Fn(&mut Consumer)) {
    let region = region(3 * 512);
    let mut producer = region.inbox_producer().expect("free role");
    let mut consumer = region.inbox_consumer().expect("free role");
    before(&mut consumer);
    let writer = thread::spawn(move || {
        producer.try_push(1, &[1]).expect("room");
        // Keeps the end of the producer, which also wakes, out of the model.
        producer
    });
    assert_eq!(consumer.wait(None), Wake::Ready);
    assert_eq!(consumer.drain(1, |_| Flow::Continue), Ok(1));
    drop(writer.join().expect("no panic"));
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
            consumer.drain(usize::MAX, |_| Flow::Continue).expect("frames");
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
        assert_eq!(consumer.drain(9, |_| Flow::Continue), Ok(1));
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
            consumer.drain(1, |_| Flow::Continue).expect("frames");
            producer.try_push(1, &[0; 8]).expect("room");
        });
        let bytes = flow.bytes();
        assert!(bytes <= 64, "{bytes}");
        thread.join().expect("no panic");
    });
}

/// What was written before a raise is seen by who heard it.
#[test]
pub(super) fn what_was_raised_is_there() {
    unfenced(|| {
        model(3, || {
            let region = region(3 * 512);
            let board = region.switchboard();
            let mut listener = board.listen(Event::Kernel);
            let written = Arc::new(AtomicU32::new(0));
            let theirs = Arc::clone(&written);
            let raiser = thread::spawn(move || {
                theirs.store(1, Ordering::Relaxed);
                board.raise(Event::Kernel);
            });
            if listener.poll() {
                assert_eq!(written.load(Ordering::Relaxed), 1);
            }
            raiser.join().expect("no panic");
        });
    });
}
