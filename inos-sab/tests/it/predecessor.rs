//! Goal: eleven defects of an earlier implementation of the same idea (nmxmxh/inos_v1, its Rust SDK) do not come back.
//! Method: one named test for each, in the order of its source files; the defect is told in front of the test.

use crate::{region, small};
use alloc::collections::BTreeSet;
use core::ptr::NonNull;
use inos_sab::{Event, Flow, Frame, Hostile, Layout, PushError, Region, Stale, Threads, Wake};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A ring of 1 KiB, small enough to go round often, with cursors about to wrap.
fn about_to_wrap() -> Region<Threads> {
    region(Layout::compact(1 << 10, 1 << 16, 1 << 12).expect("a legal layout").with_start(u64::MAX - 500))
}

/// All inline payloads that are there.
fn drain(consumer: &mut inos_sab::Consumer) -> Vec<Vec<u8>> {
    let mut payloads = vec![];
    let drained = consumer.drain(usize::MAX, |frame| {
        let Frame::Inline { payload, .. } = frame else { panic!("{frame:?}") };
        payloads.push(payload.bytes().to_vec());
        Flow::Continue
    });
    assert_eq!(drained.expect("a sound ring"), payloads.len());
    payloads
}

/// Positions were kept modulo the capacity, and the tail was exchanged by comparison: a full ring looked empty, and a
/// late exchange could succeed on a position that had come round.
#[test]
fn positions_were_kept_modulo_the_capacity() {
    for start in [0, u64::MAX - 15, 0xFFFF_FF00] {
        let region = region(Layout::compact(1 << 10, 1 << 16, 1 << 12).unwrap().with_start(start));
        let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
        for round in 0..5_000_u32 {
            // Exactly full: 64 frames of 16 bytes.
            for index in 0..64 {
                producer.try_push(1, &(round + index).to_le_bytes()).unwrap();
            }
            assert_eq!(producer.try_push(1, &[]), Err(PushError::Full { needed: 8, free: 0 }));
            assert_eq!((region.inbox_flow().count(), region.inbox_flow().bytes()), (64, 1024));
            let expected: Vec<_> = (0..64).map(|index| (round + index).to_le_bytes().to_vec()).collect();
            assert!(drain(&mut consumer) == expected);
        }
    }
}

/// A commit was a plain write of four bytes at any address, over the end of the ring too: a reader could see half of it,
/// or the length in front of the payload.
#[test]
fn commits_were_torn() {
    let region = about_to_wrap();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    for len in (0..=128).cycle().take(2000) {
        let bytes = vec![0xEE; len as usize];
        let mut claim = producer.claim(1, len).unwrap();
        claim.write_at(0, &bytes).unwrap();
        // Written in full, and not there.
        assert_eq!(consumer.peek().unwrap(), None);
        claim.commit();
        assert_eq!(drain(&mut consumer), [bytes]);
    }
}

/// Only headers were zeroed when a message was read: after a wrap, payload bytes were read as a length.
#[test]
fn stale_bytes_were_read_as_lengths() {
    let region = about_to_wrap();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    for round in 0..2000_u32 {
        // Bytes that are headers with plausible lengths, read or aborted, at every offset in turn.
        let plausible = [8, 0, 0, 0, 1, 0, 0, 0].repeat(16);
        let mut claim = producer.claim(1, 128).unwrap();
        claim.write_at(0, &plausible).unwrap();
        claim.abort();
        assert!(drain(&mut consumer).is_empty());
        producer.try_push(1, &plausible[..(round % 129) as usize]).unwrap();
        assert_eq!(drain(&mut consumer), [&plausible[..(round % 129) as usize]]);
        assert!(drain(&mut consumer).is_empty());
    }
}

/// A message of length zero looked like one that is not ready, for ever: the ring was stuck.
#[test]
fn empty_messages_stopped_the_ring() {
    let region = about_to_wrap();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    for _ in 0..1000 {
        producer.try_push(1, &[]).unwrap();
        producer.try_push(1, b"behind").unwrap();
        assert_eq!(drain(&mut consumer), [&b""[..], b"behind"]);
    }
}

/// A writer that died in the middle of a message stopped the ring; and each read allocated a vector.
#[test]
fn dead_writers_stopped_the_ring_and_reads_allocated() {
    let region = about_to_wrap();
    let mut consumer = region.inbox_consumer().unwrap();
    for round in 0..100 {
        let mut producer = region.inbox_producer().unwrap();
        producer.try_push(1, b"whole").unwrap();
        let mut claim = producer.claim(1, 50).unwrap();
        claim.write_at(0, b"half").unwrap();
        let _ = claim;
        drop(producer);
        // Its successor goes on where the last published message ends.
        let mut producer = region.inbox_producer().unwrap();
        producer.try_push(1, b"next").unwrap();
        assert_eq!(drain(&mut consumer), [&b"whole"[..], b"next"], "round {round}");
    }
    // Payloads are looked at where they were written: one header apart.
    let mut producer = region.inbox_producer().unwrap();
    let mut addresses = vec![];
    for _ in 0..3 {
        producer.try_push(1, b"12345678").unwrap();
    }
    let look = |frame: Frame<'_>| {
        let Frame::Inline { payload, .. } = frame else { panic!("{frame:?}") };
        addresses.push(payload.bytes().as_ptr().addr());
        Flow::Continue
    };
    assert_eq!(consumer.drain(9, look).unwrap(), 3);
    let gaps = [addresses[1].abs_diff(addresses[0]), addresses[2].abs_diff(addresses[1])];
    assert!(gaps.contains(&16), "{gaps:?}");
}

/// Epochs were compared by `>`, which ends at the wrap of a signed word; and an acknowledgement stored 0 after the check,
/// over a signal that had come in between.
#[test]
fn signals_ended_at_the_wrap_and_were_overwritten() {
    for start in [u64::from(u32::MAX) - 7, (1 << 31) - 8, u64::MAX] {
        let region = region(Layout::compact(1 << 10, 1 << 16, 1 << 12).unwrap().with_start(start));
        let board = region.switchboard();
        let mut listener = board.listen(Event::Kernel);
        for _ in 0..40 {
            assert!(!listener.poll());
            board.raise(Event::Kernel);
            assert!(listener.poll());
            // While its listener works on the first signal.
            board.raise(Event::Kernel);
            assert_eq!(listener.wait(Some(core::time::Duration::from_secs(1))), Wake::Ready);
        }
    }
}

/// An allocation was a message to a server, awaited for "1000 ms" that were 1000 turns of a loop; clients shared answer
/// slots by their number modulo 64, and all of them started at number 1.
#[test]
fn allocations_were_calls_to_a_server() {
    let region = small();
    let clients: Vec<_> = (0..130).map(|_| region.arena()).collect();
    // Nobody else runs, and each gets a block of its own at once.
    let mut offsets = BTreeSet::new();
    let blocks: Vec<_> = clients.iter().map(|arena| arena.alloc(100).unwrap()).collect();
    for block in &blocks {
        assert!(offsets.insert(block.handle().offset()));
    }
    drop(blocks);
    assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
}

/// Sections of the layout lay over one another.
#[test]
fn sections_overlapped() {
    let mut layouts = vec![Layout::STANDARD];
    for ring in [64, 1 << 10, 1 << 19] {
        for (arena, chunk) in [(1 << 16, 512), (1 << 20, 1 << 12), (8 << 20, 1 << 16)] {
            layouts.extend(Layout::compact(ring, arena, chunk));
        }
    }
    assert_eq!(layouts.len(), 10);
    for layout in layouts {
        let mut end = 0;
        for section in layout.sections() {
            assert_eq!(section.offset, end, "{section:?}");
            end += section.len;
        }
        assert_eq!(end, layout.end());
    }
}

/// Anybody could have a `&mut [u8]` of any shared bytes, as many times as asked.
#[test]
fn exclusive_slices_were_handed_out_twice() {
    let region = small();
    let arena = region.arena();
    let mut block = arena.alloc(64).unwrap();
    block.as_mut_slice().fill(1);
    // Whoever can write is alone; whoever reads keeps all from writing.
    assert_eq!(arena.resolve(block.handle()).unwrap_err(), Stale::Owned);
    assert_eq!(arena.claim_handle(block.handle()).unwrap_err(), Stale::Owned);
    let handle = block.into_handle();
    let readers = [arena.resolve(handle).unwrap(), arena.resolve(handle).unwrap()];
    assert!(matches!(arena.claim_handle(handle), Err(Stale::Pinned { .. })));
    drop(readers);
    let mut block = arena.claim_handle(handle).unwrap();
    block.as_mut_slice().fill(2);
    assert!(arena.claim_handle(handle).is_err() && arena.resolve(handle).is_err());
    // A block that is under way belongs to nobody here.
    let mut producer = region.inbox_producer().unwrap();
    producer.push_object(1, block).unwrap();
    assert!(arena.claim_handle(handle).is_err() && arena.resolve(handle).is_err());
}

/// Off the web, waits returned a constant at once and wake-ups did nothing: no test ever ran two threads at once.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn waits_did_not_wait() {
    use core::time::Duration;
    let region = small();
    let (mut producer, mut consumer) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    // Nothing comes: the wait says so, and not that something is there.
    let wake = consumer.wait(Some(Duration::from_millis(1)));
    assert!(matches!(wake, Wake::TimedOut | Wake::Spurious), "{wake:?}");
    let (told, hear) = std::sync::mpsc::channel();
    let sleeper = std::thread::spawn(move || {
        for round in 0..200_u32 {
            assert_eq!(consumer.wait(None), Wake::Ready);
            assert_eq!(drain(&mut consumer), [round.to_le_bytes()]);
            told.send(round).expect("the writer listens");
        }
        assert_eq!(consumer.wait(None), Wake::Closed);
    });
    for round in 0..200_u32 {
        if round % 10 == 0 {
            // Long enough that the reader is asleep.
            std::thread::sleep(Duration::from_millis(1));
        }
        producer.try_push(1, &round.to_le_bytes()).unwrap();
        assert_eq!(hear.recv().unwrap(), round);
    }
    drop(producer);
    sleeper.join().unwrap();
}

/// Words that different parties write shared cache lines: each write of one cost the other a miss.
#[test]
fn writers_shared_cache_lines() {
    const LINE_BYTES: usize = 64;
    let layout = Layout::compact(1 << 10, 1 << 16, 1 << 12).unwrap();
    let len = (layout.end() - layout.switchboard().offset) as usize;
    let mut memory = vec![0_u128; len / 16 + 8];
    let skip = memory.as_ptr().align_offset(128);
    let start = NonNull::new(memory[skip..].as_mut_ptr()).unwrap().cast::<u8>();
    // SAFETY:
    // - `memory` outlives the region, is aligned and long enough, and only looked at (below) by nobody else.
    let region: Region<Hostile> = unsafe { Region::create_raw(start, len, &layout) }.unwrap();
    let headers = (layout.inbox().offset - layout.switchboard().offset) as usize;
    let look = || {
        // SAFETY:
        // - within the memory, initialised; one thread writes and looks, never at once.
        unsafe { core::slice::from_raw_parts(start.as_ptr(), headers) }.to_vec()
    };
    // The lines that change while one party acts.
    let lines = |act: &mut dyn FnMut()| -> BTreeSet<usize> {
        let before = look();
        act();
        before.iter().zip(look()).enumerate().filter(|(_, (a, b))| **a != *b).map(|(at, _)| at / LINE_BYTES).collect()
    };
    let (mut inbox_in, mut inbox_out) = (region.inbox_producer().unwrap(), region.inbox_consumer().unwrap());
    let (mut outbox_in, mut outbox_out) = (region.outbox_producer().unwrap(), region.outbox_consumer().unwrap());
    let mut parties = [
        lines(&mut || assert!(inbox_in.try_push(1, b"request").is_ok())),
        lines(&mut || assert!(inbox_out.drain(1, |_| Flow::Continue).is_ok())),
        lines(&mut || assert!(outbox_in.try_push(1, b"result").is_ok())),
        lines(&mut || assert!(outbox_out.drain(1, |_| Flow::Continue).is_ok())),
    ];
    for party in &parties {
        assert_eq!(party.len(), 1, "one word publishes");
    }
    parties.sort();
    assert!(parties.windows(2).all(|pair| pair[0] != pair[1]), "{parties:?}");
    // And apart from what stands in the switchboard, which all of them may write.
    let switchboard = layout.switchboard().len as usize / LINE_BYTES;
    assert!(parties.iter().flatten().all(|line| *line >= switchboard));
}
