//! Goal: a ring is a queue of frames with bounds, exact errors and honest pressure, wherever its counters stand.
//! Method: single-threaded scripts; a proptest against `VecDeque`; counters that start just before they wrap.

use crate::{region, small};
use alloc::collections::VecDeque;
use core::time::Duration;
use inos_sab::{
    AllocError, Flow, Form, Frame, FrameInfo, Layout, Pressure, PushError, RegionError, SendError, Wake, Watermarks,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn pop(consumer: &mut inos_sab::Consumer) -> Option<(u16, Vec<u8>)> {
    let mut got = None;
    let drained = consumer.drain(1, |frame| {
        assert!(!matches!(frame, Frame::Gone { .. }));
        got = Some((frame.kind(), frame.bytes().to_vec()));
        Flow::Continue
    });
    assert_eq!(drained, Ok(usize::from(got.is_some())));
    got
}

/// A predecessor treated a zero length as "not written yet" and stood still for ever.
#[test]
fn empty_payloads_are_messages() {
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    for kind in 0..1000 {
        producer.try_push(kind, &[]).unwrap();
        assert_eq!(consumer.peek(), Ok(Some(FrameInfo { kind, form: Form::Inline, len: 0 })));
        assert_eq!(pop(&mut consumer), Some((kind, vec![])));
    }
    assert_eq!(pop(&mut consumer), None);
}

#[test]
fn a_full_ring_refuses_and_takes_again() {
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    for _ in 0..1024 / 16 {
        producer.try_push(1, &[1; 8]).unwrap();
    }
    assert_eq!(producer.try_push(2, &[]), Err(PushError::Full { needed: 8, free: 0 }));
    assert_eq!(producer.pressure(), Pressure::Full);
    assert!(matches!(producer.wait_room(0, Some(Duration::ZERO)), Wake::TimedOut | Wake::CannotBlock));
    assert_eq!(pop(&mut consumer), Some((1, vec![1; 8])));
    assert_eq!(producer.wait_room(8, None), Wake::Ready);
    producer.try_push(2, &[2; 8]).unwrap();
    assert_eq!(producer.try_push(1, &[0; 129]), Err(PushError::TooLarge { len: 129, max: 128 }));
}

#[test]
fn the_longest_frame_fits_an_empty_ring_at_any_position() {
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    for step in 0..300 {
        producer.try_push(1, &vec![7; step % 33]).unwrap();
        pop(&mut consumer).unwrap();
        producer.try_push(2, &[9; 128]).unwrap();
        assert_eq!(pop(&mut consumer), Some((2, vec![9; 128])));
    }
}

#[test]
fn pressure_has_hysteresis_and_ends_with_the_backlog() {
    let marks = Watermarks { high_bytes: 512, low_bytes: 128, high_count: 10, low_count: 4 };
    let layout = Layout::compact(1 << 10, 1 << 16, 1 << 12).unwrap().with_watermarks(marks).unwrap();
    let region = region(layout);
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    let flow = region.inbox_flow();
    // By count: ten empty frames are only 80 bytes.
    for _ in 0..9 {
        assert_eq!(producer.try_push(1, &[]).unwrap(), Pressure::Ok);
    }
    assert_eq!(producer.try_push(1, &[]).unwrap(), Pressure::Warn);
    consumer.drain(5, |_| Flow::Continue).unwrap();
    assert_eq!((producer.pressure(), flow.pressure(), flow.count()), (Pressure::Warn, Pressure::Warn, 5));
    consumer.drain(1, |_| Flow::Continue).unwrap();
    assert_eq!((producer.pressure(), flow.count(), flow.bytes()), (Pressure::Ok, 4, 32));
    // By bytes, up to full; an observer sees the end of it although the writer has not looked again.
    consumer.drain(9, |_| Flow::Continue).unwrap();
    for expected in [Pressure::Ok, Pressure::Ok, Pressure::Ok, Pressure::Warn, Pressure::Warn, Pressure::Full] {
        assert_eq!(producer.try_push(1, &[0; 120]).unwrap(), expected);
    }
    consumer.drain(9, |_| Flow::Continue).unwrap();
    assert_eq!((flow.pressure(), flow.count()), (Pressure::Ok, 0));
    assert_eq!(producer.wait_low(None), Wake::Ready);
}

/// With the marks a layout comes with, for the shortest and the longest frames.
#[test]
fn the_warning_comes_before_full() {
    for bits in 7..=19 {
        let layout = Layout::compact(1 << bits, 1 << 16, 1 << 12).unwrap();
        for len in [0, layout.max_inline_len() as usize] {
            let region = region(layout);
            let mut producer = region.inbox_producer().unwrap();
            let mut told: Vec<_> = core::iter::from_fn(|| producer.try_push(1, &vec![0; len]).ok()).collect();
            told.dedup();
            assert_eq!(told, [Pressure::Ok, Pressure::Warn, Pressure::Full], "ring of 2^{bits}, frames of {len}");
        }
    }
}

/// The writer looks only when it pushes, and then its own frame is in the ring again: that the ring was empty in between
/// has to count all the same, or a low mark of 0 is never reached.
#[test]
fn a_backlog_that_ended_unseen_ends_the_warning() {
    let marks = Watermarks { high_bytes: 64, low_bytes: 0, high_count: 4, low_count: 0 };
    let layout = Layout::compact(1 << 10, 1 << 16, 1 << 12).unwrap().with_watermarks(marks).unwrap();
    let region = region(layout);
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    for expected in [Pressure::Ok, Pressure::Ok, Pressure::Ok, Pressure::Warn] {
        assert_eq!(producer.try_push(1, &[]).unwrap(), expected);
    }
    consumer.drain(3, |_| Flow::Continue).unwrap();
    assert_eq!(producer.try_push(1, &[]).unwrap(), Pressure::Warn);
    consumer.drain(9, |_| Flow::Continue).unwrap();
    assert_eq!(producer.try_push(1, &[]).unwrap(), Pressure::Ok);
    assert_eq!(region.inbox_flow().pressure(), Pressure::Ok);
}

#[test]
fn roles_are_single_and_closing_is_told() {
    let region = small();
    let mut producer = region.outbox_producer().unwrap();
    assert_eq!(region.outbox_producer().unwrap_err(), RegionError::RoleHeld);
    // Before a reader came, frames wait for it.
    producer.try_push(1, b"early").unwrap();
    let mut consumer = region.outbox_consumer().unwrap();
    assert_eq!(region.outbox_consumer().unwrap_err(), RegionError::RoleHeld);
    producer.try_push(2, b"last").unwrap();
    drop(producer);
    assert_eq!(consumer.wait(None), Wake::Ready);
    assert_eq!(pop(&mut consumer), Some((1, b"early".to_vec())));
    // The next reader goes on where this one stopped.
    drop(consumer);
    let mut consumer = region.outbox_consumer().unwrap();
    assert_eq!(pop(&mut consumer), Some((2, b"last".to_vec())));
    assert_eq!(consumer.wait(None), Wake::Closed);
    let mut producer = region.outbox_producer().unwrap();
    drop(consumer);
    assert_eq!(producer.try_push(3, &[]), Err(PushError::Closed));
    let _reader = region.outbox_consumer().unwrap();
    producer.try_push(3, &[]).unwrap();
}

#[test]
fn claims_and_batches_show_nothing_before_their_end() {
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    let mut claim = producer.claim(1, 10).unwrap();
    claim.write_at(0, &[1; 10]).unwrap();
    assert!(claim.write_at(5, &[1; 6]).is_err());
    assert!(claim.write_at(u32::MAX, &[1; 6]).is_err());
    assert_eq!(consumer.peek(), Ok(None));
    claim.abort();
    producer.claim(1, 4).unwrap().abort();
    let mut claim = producer.claim(2, 3).unwrap();
    claim.write_at(1, b"bc").unwrap();
    claim.write_at(0, b"a").unwrap();
    claim.commit();
    assert_eq!(pop(&mut consumer), Some((2, b"abc".to_vec())));
    let mut batch = producer.batch();
    batch.push(3, b"x").unwrap();
    batch.push(4, b"y").unwrap();
    assert_eq!(consumer.peek(), Ok(None));
    batch.publish();
    assert_eq!(consumer.drain(usize::MAX, |_| Flow::Continue), Ok(2));
}

/// A batch that is forgotten is published by the next call, even one that fails: a predecessor's ring stood still.
#[test]
fn a_forgotten_batch_is_published_by_whatever_comes_next() {
    type Next = fn(&mut inos_sab::Producer);
    let calls: [Next; 6] = [
        |producer| assert!(matches!(producer.try_push(9, &[0; 99]), Err(PushError::Full { .. }))),
        |producer| assert!(producer.send(9, &[0; 3000]).is_err()),
        |producer| assert!(producer.claim(9, 99).is_err()),
        |producer| assert_eq!(producer.pressure(), Pressure::Full),
        |producer| assert_ne!(producer.wait_room(99, Some(Duration::ZERO)), Wake::Ready),
        |producer| drop(producer.batch()),
    ];
    for next in calls {
        let region = small();
        let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
        let (mut batch, mut frames) = (producer.batch(), 0);
        while batch.push(1, &[1; 56]).is_ok() {
            frames += 1;
        }
        assert!(batch.push_object(2, region.arena().alloc(1).unwrap()).is_err());
        core::mem::forget(batch);
        assert_eq!(consumer.peek(), Ok(None));
        next(&mut producer);
        assert_eq!(consumer.drain(usize::MAX, |_| Flow::Continue), Ok(frames));
        assert_eq!(producer.pressure(), Pressure::Ok);
    }
    // And by the producer's end.
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    let mut batch = producer.batch();
    batch.push_object(1, region.arena().alloc(1).unwrap()).unwrap();
    core::mem::forget(batch);
    drop(producer);
    assert_eq!(consumer.drain(usize::MAX, |_| Flow::Continue), Ok(1));
    assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
}

/// One way to send and one way to read, whatever the length.
#[test]
fn messages_of_any_length_are_sent_and_read_alike() {
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    for len in [0, 1, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000, 5000] {
        let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
        producer.send(3, &bytes).unwrap();
        let taken = consumer.drain(1, |frame| {
            assert_eq!((frame.kind(), frame.len() as usize, frame.is_empty()), (3, len, len == 0));
            assert_eq!(matches!(frame, Frame::Object { .. }), len > 128);
            assert_eq!(frame.bytes(), bytes);
            let mut copy = vec![0; len];
            frame.copy_to(0, &mut copy).unwrap();
            assert_eq!(copy, bytes);
            assert!(frame.copy_to(1, &mut copy).is_err() || len == 0);
            Flow::Continue
        });
        assert_eq!(taken, Ok(1));
    }
    assert!(matches!(producer.send(3, &[0; 1 << 17]), Err(SendError::Alloc(AllocError::TooLarge { .. }))));
    while producer.try_push(1, &[0; 100]).is_ok() {}
    while producer.try_push(1, &[]).is_ok() {}
    assert!(matches!(producer.send(3, &[0; 1000]), Err(SendError::Push(PushError::Full { .. }))));
    assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
}

#[test]
fn claims_are_written_in_place() {
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    for len in 0..=128_u32 {
        let mut claim = producer.claim(1, len).unwrap();
        claim.as_mut_slice().fill(len.to_le_bytes()[0]);
        claim.commit();
        assert_eq!(pop(&mut consumer), Some((1, vec![len.to_le_bytes()[0]; len as usize])));
    }
}

#[test]
fn objects_travel_and_come_back_when_refused() {
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    let arena = region.arena();
    let free = arena.largest_free();
    let mut block = arena.alloc(5000).unwrap();
    block.as_mut_slice().fill(3);
    let handle = block.handle();
    producer.push_object(6, block).unwrap();
    // A copy of the number gives no way to the block while the ring has it.
    assert_eq!(arena.claim_handle(handle).unwrap_err(), inos_sab::Stale::Owned);
    assert_eq!(pop(&mut consumer), Some((6, vec![3; 5000])));
    assert_eq!(arena.largest_free(), free);

    while producer.try_push(1, &[0; 100]).is_ok() {}
    while producer.try_push(1, &[]).is_ok() {}
    let rejected = producer.push_object(6, arena.alloc(9).unwrap()).unwrap_err();
    assert!(matches!(rejected.reason, PushError::Full { .. }));
    assert_eq!(rejected.value.len(), 9);
    let foreign = small().arena().alloc(1).unwrap();
    assert_eq!(producer.push_object(6, foreign).unwrap_err().reason, PushError::ForeignBlock);
}

/// Blocks in a ring whose ends are gone belong to the ring: the next reader gets them.
#[test]
fn objects_outlive_both_ends() {
    let region = small();
    let arena = region.arena();
    let mut producer = region.inbox_producer().unwrap();
    producer.push_object(1, arena.alloc(100).unwrap()).unwrap();
    drop(region.inbox_consumer().unwrap());
    drop(producer);
    assert!(arena.largest_free() < arena.max_block_len());
    let mut consumer = region.inbox_consumer().unwrap();
    assert_eq!(consumer.drain(usize::MAX, |_| Flow::Continue), Ok(1));
    assert_eq!(arena.largest_free(), arena.max_block_len());
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_panicking_callback_consumes_its_frame() {
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    producer.try_push(1, &[]).unwrap();
    producer.push_object(2, region.arena().alloc(1).unwrap()).unwrap();
    producer.try_push(3, &[]).unwrap();
    for _ in 0..2 {
        let panicked =
            std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| consumer.drain(9, |_| panic!("callback"))));
        assert!(panicked.is_err());
    }
    assert_eq!(pop(&mut consumer), Some((3, vec![])));
    assert_eq!(region.inbox_flow().count(), 0);
    assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Object(u32),
    Abort(u32),
    Commit(u32),
    Batch(Vec<usize>),
    ForgetBatch(Vec<usize>),
    Drain(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..140_usize).prop_map(Step::Push),
        1 => (0..3000_u32).prop_map(Step::Object),
        1 => (0..128_u32).prop_map(Step::Abort),
        1 => (0..128_u32).prop_map(Step::Commit),
        1 => prop::collection::vec(0..60_usize, 0..5).prop_map(Step::Batch),
        1 => prop::collection::vec(0..60_usize, 0..5).prop_map(Step::ForgetBatch),
        3 => (0..9_usize).prop_map(Step::Drain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any script gives what a queue gives, for counters that wrap at any of its steps. In the outbox: behind it lies no
    /// payload, so that a frame over its end is a panic.
    #[test]
    fn behaves_as_a_queue(before_wrap in 0..4000_u64, steps in prop::collection::vec(step(), 1..120)) {
        let layout = Layout::compact(1 << 10, 1 << 16, 1 << 12).unwrap().with_start(u64::MAX - before_wrap);
        let region = region(layout);
        let (mut producer, mut consumer) = (region.outbox_producer().unwrap(), region.outbox_consumer().unwrap());
        let (arena, flow) = (region.arena(), region.outbox_flow());
        let mut queue = VecDeque::new();
        for (index, step) in (0_u16..).zip(steps) {
            let fill = index.to_le_bytes()[0];
            match step {
                Step::Push(len) => match producer.try_push(index, &vec![fill; len]) {
                    Ok(_) => queue.push_back((index, vec![fill; len])),
                    Err(PushError::TooLarge { .. }) => prop_assert!(len > 128),
                    Err(PushError::Full { needed, free }) => prop_assert!(needed > free),
                    Err(other) => prop_assert!(false, "{other}"),
                },
                Step::Object(len) => if let Ok(mut block) = arena.alloc(len) {
                    block.as_mut_slice().fill(fill);
                    if producer.push_object(index, block).is_ok() {
                        queue.push_back((index, vec![fill; len as usize]));
                    }
                },
                Step::Abort(len) => if let Ok(mut claim) = producer.claim(index, len) {
                    claim.write_at(0, &vec![0xEE; len as usize]).unwrap();
                },
                Step::Commit(len) => if let Ok(mut claim) = producer.claim(index, len) {
                    claim.write_at(0, &vec![fill; len as usize]).unwrap();
                    claim.commit();
                    queue.push_back((index, vec![fill; len as usize]));
                },
                Step::Batch(ref lens) | Step::ForgetBatch(ref lens) => {
                    let mut batch = producer.batch();
                    for len in lens {
                        if batch.push(index, &vec![fill; *len]).is_ok() {
                            queue.push_back((index, vec![fill; *len]));
                        }
                    }
                    if matches!(step, Step::ForgetBatch(_)) {
                        core::mem::forget(batch);
                        producer.pressure();
                    }
                },
                Step::Drain(max) => for _ in 0..max {
                    prop_assert_eq!(pop(&mut consumer), queue.pop_front());
                },
            }
            prop_assert_eq!(flow.count(), queue.len() as u64);
            prop_assert!(flow.bytes() <= 1024 && (flow.bytes() == 0) == queue.is_empty());
        }
        while let Some(expected) = queue.pop_front() {
            prop_assert_eq!(pop(&mut consumer), Some(expected));
        }
        prop_assert_eq!(producer.pressure(), Pressure::Ok);
        prop_assert_eq!(arena.largest_free(), arena.max_block_len());
    }
}
