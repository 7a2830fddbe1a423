//! Goal: the same laws between threads, asleep and awake.
//! Method: two threads with fixed sequences of sizes; fill patterns show a second owner; every wait has an end that only
//! a wake-up reaches.

use crate::{numbers, region, small};
use core::time::Duration;
use inos_sab::{Event, Flow, Frame, Layout, PushError, Slot, Wake};
use std::sync::mpsc;
use std::thread;

fn index(number: u64, below: u64) -> usize {
    usize::try_from(number % below).expect("succeeds")
}

fn exchange(start: u64, count: u64) {
    let region = region(Layout::compact(1 << 12, 1 << 18, 1 << 12).expect("succeeds").with_start(start));
    let (mut producer, mut consumer) =
        (region.inbox_producer().expect("succeeds"), region.inbox_consumer().expect("succeeds"));
    let arena = region.arena();
    let writer = thread::spawn(move || {
        let mut next = numbers(1);
        for message in 0..count {
            let kind = u16::try_from(message % 60_000).expect("succeeds");
            let len = index(next(), 512);
            let fill = message.to_le_bytes()[0];
            if next().is_multiple_of(16) {
                let mut block = producer.arena().alloc(u32::try_from(len * 3).expect("succeeds")).expect("succeeds");
                block.as_mut_slice().fill(fill);
                loop {
                    match producer.push_object(kind, block) {
                        Ok(_) => break,
                        Err(rejected) => {
                            block = rejected.value;
                            assert_eq!(producer.wait_room(8, None), Wake::Ready);
                        }
                    }
                }
                continue;
            }
            let bytes = vec![fill; len];
            while let Err(error) = producer.try_push(kind, &bytes) {
                assert!(matches!(error, PushError::Full { .. }));
                assert_eq!(producer.wait_room(u32::try_from(len).expect("succeeds"), None), Wake::Ready);
            }
        }
    });
    let mut expected = 0;
    let mut next = numbers(1);
    loop {
        match consumer.wait(None) {
            Wake::Ready => {}
            Wake::Closed => break,
            other => panic!("{other:?}"),
        }
        let drained = consumer.drain(100, |frame| {
            let (len, object) = (index(next(), 512), next().is_multiple_of(16));
            assert_eq!(u64::from(frame.kind()), expected % 60_000);
            let fill = expected.to_le_bytes()[0];
            match frame {
                Frame::Inline { payload, .. } => {
                    assert!(!object && payload.bytes().len() == len);
                    assert!(payload.bytes().iter().all(|byte| *byte == fill));
                }
                Frame::Object { object: block, .. } => {
                    assert!(object && block.as_slice().len() == len * 3);
                    assert!(block.as_slice().iter().all(|byte| *byte == fill));
                }
                Frame::Gone { reason, .. } => panic!("{reason}"),
            }
            expected += 1;
            Flow::Continue
        });
        assert!(drained.is_ok_and(|frames| frames > 0));
    }
    writer.join().expect("succeeds");
    assert_eq!(expected, count);
    assert_eq!(arena.largest_free(), arena.max_block_len());
}

#[test]
fn frames_of_random_sizes_arrive_in_order() {
    exchange(0, 100_000);
}

#[test]
fn frames_arrive_while_the_counters_wrap() {
    exchange(u64::MAX - 5_000_000, 50_000);
}

/// Sleeps long enough that the other side is in the kernel, not in its spin.
fn until_asleep() {
    thread::sleep(Duration::from_millis(30));
}

#[test]
fn sleepers_of_every_kind_wake() {
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    let reader = thread::spawn(move || {
        assert_eq!(consumer.wait(None), Wake::Ready);
        consumer
    });
    until_asleep();
    producer.try_push(1, &[]).unwrap();
    let mut consumer = reader.join().unwrap();

    while producer.try_push(1, &[0; 100]).is_ok() {}
    let writer = thread::spawn(move || {
        assert_eq!(producer.wait_low(None), Wake::Ready);
        producer
    });
    until_asleep();
    consumer.drain(usize::MAX, |_| Flow::Continue).unwrap();
    let producer = writer.join().unwrap();

    let reader = thread::spawn(move || assert_eq!(consumer.wait(None), Wake::Closed));
    until_asleep();
    drop(producer);
    reader.join().unwrap();

    let board = region.switchboard();
    let (mut first, mut second) = (board.listen(Event::Host), board.listen(Event::Host));
    let slot = Slot::new(14).unwrap();
    let mut third = board.listen_slot(slot);
    let listeners = [
        thread::spawn(move || assert_eq!(first.wait(None), Wake::Ready)),
        thread::spawn(move || assert_eq!(second.wait(None), Wake::Ready)),
        thread::spawn(move || assert_eq!(third.wait(None), Wake::Ready)),
    ];
    until_asleep();
    board.raise(Event::Host);
    board.publish(slot, 0, region.arena().alloc(1).unwrap()).unwrap();
    listeners.into_iter().for_each(|listener| listener.join().unwrap());
}

#[test]
fn a_wait_with_a_timeout_ends() {
    let region = small();
    let mut consumer = region.inbox_consumer().unwrap();
    while consumer.wait(Some(Duration::from_millis(5))) == Wake::Spurious {}
    assert_eq!(consumer.wait(Some(Duration::ZERO)), Wake::TimedOut);
}

#[test]
fn ping_pong_over_slots_loses_nothing() {
    let region = small();
    let (there, back) = (Slot::new(0).unwrap(), Slot::new(1).unwrap());
    let (board, arena) = (region.switchboard(), region.arena());
    let mut listener = board.listen(Event::Kernel);
    let echo = thread::spawn(move || {
        for round in 0..5_000_u16 {
            let (kind, block) = loop {
                match board.take(there) {
                    Some(taken) => break taken,
                    None => assert_eq!(listener.wait(None), Wake::Ready),
                }
            };
            assert_eq!((kind, block.as_slice()), (round, &round.to_le_bytes()[..]));
            assert!(board.publish(back, kind, block).unwrap().is_none());
            board.raise(Event::Module);
        }
    });
    let board = region.switchboard();
    let mut listener = board.listen(Event::Module);
    for round in 0..5_000_u16 {
        let mut block = arena.alloc(2).unwrap();
        block.write_at(0, &round.to_le_bytes()).unwrap();
        assert!(board.publish(there, round, block).unwrap().is_none());
        board.raise(Event::Kernel);
        loop {
            match board.take(back) {
                Some((kind, _)) => {
                    assert_eq!(kind, round);
                    break;
                }
                None => assert_eq!(listener.wait(None), Wake::Ready),
            }
        }
    }
    echo.join().unwrap();
    assert_eq!(arena.largest_free(), arena.max_block_len());
}

/// Each thread fills its blocks with its own byte, keeps a few, sends some to the other thread to check and free.
#[test]
fn two_threads_share_the_arena_without_overlap() {
    let region = small();
    let (to_b, from_a) = mpsc::channel();
    let (to_a, from_b) = mpsc::channel();
    let work = |seed: u64, to: mpsc::Sender<inos_sab::ArenaBox>, from: mpsc::Receiver<inos_sab::ArenaBox>| {
        let arena = region.arena();
        let fill = seed.to_le_bytes()[0];
        thread::spawn(move || {
            let mut next = numbers(seed);
            let mut kept: Vec<inos_sab::ArenaBox> = vec![];
            let whole = |block: &inos_sab::ArenaBox, fill: u8| block.as_slice().iter().all(|byte| *byte == fill);
            for _ in 0..30_000 {
                let len = match next() % 8 {
                    0 => index(next(), 20_000),
                    1 | 2 => index(next(), 4000),
                    _ => index(next(), 600),
                };
                if let Ok(mut block) = arena.alloc(u32::try_from(len).unwrap()) {
                    block.as_mut_slice().fill(fill);
                    kept.push(block);
                }
                if kept.len() > 12 || (next().is_multiple_of(2) && !kept.is_empty()) {
                    let block = kept.swap_remove(index(next(), kept.len() as u64));
                    assert!(whole(&block, fill));
                    if next().is_multiple_of(2) {
                        let _ = to.send(block);
                    }
                }
                while let Ok(block) = from.try_recv() {
                    assert!(whole(&block, 3 - fill));
                }
            }
        })
    };
    let (a, b) = (work(1, to_b, from_b), work(2, to_a, from_a));
    a.join().unwrap();
    b.join().unwrap();
    let arena = region.arena();
    assert_eq!(arena.largest_free(), arena.max_block_len());
}

#[test]
fn everything_can_move_to_a_thread() {
    fn moves<T: Send + 'static>() {}
    moves::<inos_sab::Producer>();
    moves::<inos_sab::Consumer>();
    moves::<inos_sab::Arena>();
    moves::<inos_sab::ArenaBox>();
    moves::<inos_sab::ArenaRef>();
    moves::<inos_sab::Switchboard>();
    moves::<inos_sab::Listener>();
    moves::<inos_sab::FlowControl>();
}
