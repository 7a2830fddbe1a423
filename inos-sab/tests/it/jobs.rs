//! Goal: every request is answered once, in order, with what its job wrote or why it did not; nothing leaks.
//! Method: scripts for each rule, raw frames for what a caller may send wrong, a runner on a thread of its own.

use crate::{numbers, region, small};
use core::time::Duration;
use inos_sab::{
    ComputeJob, Consumer, Cooperative, Flow, Frame, Input, JobClient, JobError, JobId, JobOutput, JobRunner,
    JobRunnerError, Layout, Message, Next, Producer, PushError, Ran, Region, Threads, Wake,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Writes what it reads, reversed.
struct Reverse;

impl<T: Cooperative> ComputeJob<T> for Reverse {
    fn execute(&self, input: Input<'_, T>, out: &mut JobOutput<'_, T>) -> Result<(), JobError> {
        out.set_len(input.len())?;
        out.as_mut_slice().copy_from_slice(input.bytes());
        out.as_mut_slice().reverse();
        Ok(())
    }
}

fn ends(region: &Region<Threads>) -> (JobClient, JobRunner) {
    let (producer, consumer, runner) = raw_ends(region);
    (JobClient::new(producer, consumer).expect("room for headers"), runner)
}

/// Ends for tests that write their own requests or read their own answers.
fn raw_ends(region: &Region<Threads>) -> (Producer, Consumer, JobRunner) {
    let inbox = region.inbox_consumer().expect("nobody reads");
    let runner = JobRunner::new(inbox, region.outbox_producer().expect("nobody writes")).expect("room for headers");
    (region.inbox_producer().expect("nobody writes"), region.outbox_consumer().expect("nobody reads"), runner)
}

fn header(id: u64, len: u32, code: u16, flags: u16) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend(len.to_le_bytes());
    bytes.extend(code.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes
}

fn ran(answered: usize, failed: usize, dropped: usize, next: Next) -> Ran {
    Ran { answered, failed, dropped, next }
}

/// The next answer's frame, whole.
fn next_frame(consumer: &mut Consumer) -> Option<(u16, Vec<u8>)> {
    let mut next = None;
    let drained = consumer.drain(1, |frame: Frame| {
        next = Some((frame.kind(), frame.bytes().to_vec()));
        Flow::Continue
    });
    assert!(drained.is_ok());
    next
}

#[test]
fn requests_of_every_size_are_answered_in_order() {
    let region = region(Layout::compact(1 << 12, 1 << 20, 1 << 16).unwrap());
    let (mut client, runner) = ends(&region);
    let mut runner = runner.with(3, Reverse);
    let inline = client.max_inline_len();
    assert_eq!(inline, 512 - 16);
    let mut next = numbers(1);
    for len in [0, 1, 7, 8, 255, 256, inline, inline + 1, 65_536, 300_000] {
        let bytes: Vec<u8> = (0..len).map(|_| next().to_le_bytes()[0]).collect();
        let mut ids = vec![];
        match client.submit(3, &bytes) {
            Ok(id) => ids.push(id),
            Err(error) => {
                assert!(len > inline);
                assert_eq!(error, PushError::TooLarge { len: u64::from(len), max: inline });
            }
        }
        let mut request = client.request(len).unwrap();
        assert_eq!(request.len(), len);
        request.write_at(0, &bytes).unwrap();
        assert!(request.write_at(len, &[0]).is_err());
        ids.push(client.send(3, request).unwrap());
        assert_eq!(runner.run_once(9).unwrap(), ran(ids.len(), 0, 0, Next::Idle));

        let expected: Vec<u8> = bytes.iter().rev().copied().collect();
        for id in ids {
            let completion = client.next_completion().unwrap().unwrap();
            assert_eq!((completion.id, completion.kind), (id, 3));
            let answer = completion.outcome.unwrap();
            assert_eq!((answer.as_slice(), answer.len(), answer.is_packed()), (&expected[..], len, false));
            let mut copy = vec![1; 3];
            answer.unpack(&mut copy, len).unwrap();
            assert_eq!(copy, expected);
            assert!(len == 0 || answer.unpack(&mut copy, len - 1).is_err());
            assert!(answer.read_at(len, &mut [0]).is_err());
        }
        assert!(client.next_completion().unwrap().is_none());
    }
    assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
}

#[test]
fn a_jobs_error_travels_whole() {
    let region = small();
    let (mut client, runner) = ends(&region);
    let mut runner = runner
        .with(1, |_: Input<'_>, out: &mut JobOutput<'_>| {
            out.append(b"half of a result")?;
            Err(JobError::failed(u32::MAX, "ä".repeat(60)))
        })
        .with(2, |input: Input<'_>, _: &mut JobOutput<'_>| Ok(input.read_at(3, &mut [0; 9])?))
        .with(3, |_: Input<'_>, out: &mut JobOutput<'_>| out.reserve(u32::MAX))
        .with(4, |input: Input<'_>, out: &mut JobOutput<'_>| {
            let _held: Vec<_> = core::iter::from_fn(|| input.arena().alloc(4096).ok()).collect();
            out.append(&[0; 5000])
        });
    for kind in 1..=5 {
        client.submit(kind, b"12345678").unwrap();
    }
    assert_eq!(runner.run_once(5).unwrap(), ran(5, 5, 0, Next::More));
    let max = region.arena().max_block_len() - 16;
    let expected = [
        // 100 bytes at most, cut at a character.
        JobError::failed(u32::MAX, "ä".repeat(50)),
        JobError::OutOfRange { offset: 3, len: 9, limit: 8 },
        JobError::TooLarge { requested: u32::MAX, max },
        JobError::Exhausted { requested: 5016, largest_free: 0 },
        JobError::UnknownKind { kind: 5 },
    ];
    for error in expected {
        assert_eq!(client.next_completion().unwrap().unwrap().outcome.unwrap_err(), error);
    }
    assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
}

#[cfg(panic = "unwind")]
#[test]
fn a_panic_is_an_answer() {
    /// A payload whose drop panics as well.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let region = small();
    let (mut client, runner) = ends(&region);
    let mut runner = runner
        .with(1, |_: Input<'_>, out: &mut JobOutput<'_>| {
            out.append(b"half of a result")?;
            panic!("stale chunk")
        })
        .with(2, |input: Input<'_>, _: &mut JobOutput<'_>| panic!("chunk of {} bytes", input.len()))
        .with(3, |_: Input<'_>, _: &mut JobOutput<'_>| std::panic::panic_any(Bomb))
        .with(4, Reverse);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for kind in 1..=4 {
        client.submit(kind, b"abc").unwrap();
    }
    let outcome = runner.run_once(9);
    std::panic::set_hook(hook);
    assert_eq!(outcome.unwrap(), ran(4, 3, 0, Next::Idle));
    for text in ["stale chunk", "chunk of 3 bytes", ""] {
        let error = client.next_completion().unwrap().unwrap().outcome.unwrap_err();
        assert_eq!(error, JobError::Panicked { message: Message::new(text) });
    }
    assert_eq!(client.next_completion().unwrap().unwrap().outcome.unwrap().as_slice(), b"cba");
    assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
}

/// The caller does not read: the runner stops taking, and nothing is lost.
#[test]
fn a_full_outbox_stops_the_runner() {
    let region = small();
    let (mut client, runner) = ends(&region);
    let mut runner = runner.with(1, Reverse).with(2, |_: Input<'_>, _: &mut JobOutput<'_>| Ok(()));
    let (mut sent, mut answered, mut received) = (0_u64, 0, 0);
    loop {
        while client.submit(1 + (sent % 3 == 0) as u16, &sent.to_le_bytes()).is_ok() {
            sent += 1;
        }
        let ran = runner.run_once(usize::MAX).unwrap();
        answered += ran.answered;
        if ran.answered == 0 {
            assert_eq!(ran.next, Next::OutboxFull);
            break;
        }
    }
    assert!(region.inbox_flow().count() > 10 && region.outbox_flow().count() > 10);
    assert_eq!(runner.run(Some(Duration::ZERO)).unwrap(), Wake::TimedOut);
    let mut check = |client: &mut JobClient| {
        let mut count = 0;
        while let Some(completion) = client.next_completion().unwrap() {
            assert_eq!(completion.id, JobId(received + 1));
            let expected: Vec<u8> = received.to_le_bytes().iter().rev().copied().collect();
            let answer = completion.outcome.unwrap();
            assert_eq!(answer.as_slice(), if received % 3 == 0 { &[][..] } else { &expected[..] });
            received += 1;
            count += 1;
        }
        count
    };
    assert_eq!(check(&mut client), answered);
    while check(&mut client) > 0 || runner.run_once(1).unwrap().answered > 0 {}
    assert_eq!(received, sent);
    assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
}

#[test]
fn broken_requests_are_answered_or_counted() {
    let region = small();
    let (mut producer, mut consumer, runner) = raw_ends(&region);
    let mut runner = runner.with(1, Reverse);
    let mut send = |bytes: &[u8]| {
        producer.try_push(1, bytes).unwrap();
        let mut block = region.arena().alloc(u32::try_from(bytes.len()).unwrap()).unwrap();
        block.write_at(0, bytes).unwrap();
        producer.push_object(1, block).unwrap();
    };
    // Nobody to answer.
    send(&[]);
    send(&header(7, 0, 0, 0)[..15]);
    assert_eq!(runner.run_once(9).unwrap(), ran(0, 0, 4, Next::Idle));
    assert!(next_frame(&mut consumer).is_none());
    // A length above what is there, a code, unknown flags, an answer.
    for broken in
        [header(7, 1, 0, 0), header(7, u32::MAX, 0, 0), header(7, 0, 1, 0), header(7, 0, 0, 2), header(7, 0, 0, 0x8000)]
    {
        send(&broken);
        assert_eq!(runner.run_once(9).unwrap(), ran(2, 2, 0, Next::Idle));
        for _ in 0..2 {
            let (kind, bytes) = next_frame(&mut consumer).unwrap();
            assert_eq!((kind, &bytes[..16]), (1, &header(7, 12, 8, 0x8000)[..]));
        }
    }
    // Bytes behind the request are nobody's.
    let mut longer = header(9, 2, 0, 1);
    longer.extend(b"abcdef");
    send(&longer);
    assert_eq!(runner.run_once(9).unwrap(), ran(2, 0, 0, Next::Idle));
    for _ in 0..2 {
        let (_, bytes) = next_frame(&mut consumer).unwrap();
        assert_eq!(bytes, [header(9, 2, 0, 0x8000), b"ba".to_vec()].concat());
    }
    assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
}

#[test]
fn broken_answers_are_errors() {
    let region = small();
    let mut outbox = region.outbox_producer().unwrap();
    let mut client = JobClient::new(region.inbox_producer().unwrap(), region.outbox_consumer().unwrap()).unwrap();
    let mut next = |bytes: &[u8]| {
        outbox.try_push(1, bytes).unwrap();
        client
            .next_completion()
            .unwrap()
            .map(|completion| (completion.id, completion.outcome.map(|answer| answer.len())))
    };
    assert_eq!(next(b"fifteen bytes.."), None);
    let malformed = Some((JobId(5), Err(JobError::Malformed)));
    assert_eq!(next(&header(5, 1, 0, 0x8000)), malformed);
    assert_eq!(next(&header(5, 0, 0, 0)), malformed);
    assert_eq!(next(&header(5, 0, 0, 0x8004)), malformed);
    assert_eq!(next(&header(5, 0, 3, 0x8002)), malformed);
    assert_eq!(next(&[header(5, 1, 0, 0x8000), vec![1]].concat()), malformed);
    assert_eq!(next(&header(5, 0, 0, 0x8000)), Some((JobId(5), Ok(0))));
    // Refusals with less in them than they should have, and a reason of a later version.
    assert_eq!(next(&header(5, 0, 1, 0x8000)), Some((JobId(5), Err(JobError::failed(0, "")))));
    let later = [header(5, 15, 99, 0x8000), vec![0; 12], b"new".to_vec()].concat();
    let message = Message::new("new");
    assert_eq!(next(&later), Some((JobId(5), Err(JobError::Unknown { code: 99, message }))));
    let no_text = [header(5, 16, 3, 0x8000), vec![0; 12], b"ok\xFF\xFF".to_vec()].concat();
    assert_eq!(next(&no_text), Some((JobId(5), Err(JobError::Panicked { message: Message::new("ok") }))));
}

#[test]
fn outputs_grow_and_shrink() {
    let region = region(Layout::compact(1 << 12, 1 << 20, 1 << 16).unwrap());
    let (mut client, runner) = ends(&region);
    let mut runner = runner
        .with(1, |_: Input<'_>, out: &mut JobOutput<'_>| {
            assert_eq!((out.len(), out.is_empty(), out.capacity()), (0, true, 0));
            assert!(out.as_mut_slice().is_empty());
            let mut moves = 0;
            for index in 0..10_000_u32 {
                let before = out.capacity();
                out.append(&index.to_le_bytes())?;
                moves += u32::from(out.capacity() != before);
            }
            assert_eq!((out.len(), moves), (40_000, 15));
            assert!(out.write_at(39_999, &[0; 2]).is_err());
            Ok(out.write_at(0, &[9])?)
        })
        .with(2, |_: Input<'_>, out: &mut JobOutput<'_>| {
            out.set_len(1000)?;
            out.as_mut_slice().fill(1);
            out.set_len(10)
        })
        .with(3, |_: Input<'_>, out: &mut JobOutput<'_>| {
            out.append(&[1; 60])?;
            assert_eq!(out.append(&[1; 41]), Err(JobError::TooLarge { requested: 101, max: 100 }));
            assert_eq!(out.len(), 60);
            out.append(&[2; 40])
        });
    client.submit(1, &[]).unwrap();
    client.submit(2, &[]).unwrap();
    runner.run_once(2).unwrap();
    let mut runner = runner.max_output(100);
    client.submit(3, &[]).unwrap();
    client.submit(2, &[]).unwrap();
    runner.run_once(2).unwrap();

    let long = client.next_completion().unwrap().unwrap().outcome.unwrap();
    let mut expected: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
    expected[0] = 9;
    assert!(long.as_slice() == expected);
    assert_eq!(client.next_completion().unwrap().unwrap().outcome.unwrap().as_slice(), [1; 10]);
    assert_eq!(
        client.next_completion().unwrap().unwrap().outcome.unwrap().as_slice(),
        [[1; 60].as_slice(), &[2; 40]].concat()
    );
    let error = client.next_completion().unwrap().unwrap().outcome.unwrap_err();
    assert_eq!(error, JobError::TooLarge { requested: 1000, max: 100 });
}

/// The answer of a caller that left goes to the next one.
#[test]
fn a_caller_that_leaves_loses_no_answer() {
    let region = small();
    let (mut client, runner) = ends(&region);
    let leave = std::sync::Mutex::new(None::<Consumer>);
    let leave: &'static std::sync::Mutex<_> = Box::leak(Box::new(leave));
    let mut runner = runner.with(1, Reverse).with(2, |_: Input<'_>, out: &mut JobOutput<'_>| {
        leave.lock().unwrap().take();
        out.append(b"kept")
    });
    client.submit(1, b"before").unwrap();
    client.submit(2, &[]).unwrap();
    client.submit(1, b"after").unwrap();
    runner.run_once(1).unwrap();
    drop(client);
    // The reader of the answers leaves in the middle of a job.
    *leave.lock().unwrap() = Some(region.outbox_consumer().unwrap());
    assert_eq!(runner.run_once(9).unwrap_err(), JobRunnerError::Closed);
    assert_eq!(runner.run_once(9).unwrap_err(), JobRunnerError::Closed);
    assert_eq!(runner.run(None).unwrap_err(), JobRunnerError::Closed);
    assert_eq!(region.inbox_flow().count(), 1);

    let inbox = region.inbox_producer().unwrap();
    let mut client = JobClient::new(inbox, region.outbox_consumer().unwrap()).unwrap().starting_at(JobId(100));
    assert_eq!(runner.run_once(9).unwrap(), ran(1, 0, 0, Next::Idle));
    for (id, bytes) in [(1, &b"erofeb"[..]), (2, b"kept"), (3, b"retfa")] {
        let completion = client.next_completion().unwrap().unwrap();
        assert_eq!((completion.id, completion.outcome.unwrap().as_slice()), (JobId(id), bytes));
    }
    assert_eq!(client.submit(1, &[]).unwrap(), JobId(100));
}

/// The noted request is answered without running if it comes again, and only then.
#[test]
fn a_deadly_request_is_answered_and_not_run_again() {
    let region = small();
    let (mut producer, mut consumer, runner) = raw_ends(&region);
    let mut runner = runner.with(1, Reverse);
    for _ in 0..2 {
        producer.try_push(1, &header(4, 0, 0, 0)).unwrap();
    }
    runner.answer_died(JobId(4));
    assert_eq!(runner.run_once(9).unwrap(), ran(2, 1, 0, Next::Idle));
    assert_eq!(next_frame(&mut consumer).unwrap(), (1, [header(4, 12, 9, 0x8000), vec![0; 12]].concat()));
    assert_eq!(next_frame(&mut consumer).unwrap(), (1, header(4, 0, 0, 0x8000)));

    // It had been released, so it had been answered: what comes next is another one.
    runner.answer_died(JobId(5));
    for id in [6, 5] {
        producer.try_push(1, &header(id, 0, 0, 0)).unwrap();
    }
    assert_eq!(runner.run_once(9).unwrap(), ran(2, 0, 0, Next::Idle));
}

#[test]
fn rings_too_small_for_a_header_are_refused() {
    let region = region(Layout::compact(64, 1 << 16, 1 << 12).unwrap());
    let runner = JobRunner::new(region.inbox_consumer().unwrap(), region.outbox_producer().unwrap());
    assert_eq!(runner.unwrap_err(), JobRunnerError::RingTooSmall { needed: 16, max: 8 });
    let client = JobClient::new(region.inbox_producer().unwrap(), region.outbox_consumer().unwrap());
    assert_eq!(client.unwrap_err(), PushError::TooLarge { len: 16, max: 8 });

    // Room for a header and nothing else: errors lose their figures, results are whole.
    let region = region_of_ring(128);
    let (mut client, runner) = ends(&region);
    let mut runner =
        runner.with(1, Reverse).with(2, |_: Input<'_>, _: &mut JobOutput<'_>| Err(JobError::failed(3, "x")));
    for (kind, expected) in [(1, Ok(9)), (2, Err(JobError::failed(0, "")))] {
        let request = client.request(9).unwrap();
        client.send(kind, request).unwrap();
        runner.run_once(1).unwrap();
        assert_eq!(client.next_completion().unwrap().unwrap().outcome.map(|answer| answer.len()), expected);
    }
}

fn region_of_ring(ring_bytes: u32) -> Region<Threads> {
    region(Layout::compact(ring_bytes, 1 << 16, 1 << 12).expect("a legal layout"))
}

#[cfg(feature = "lz4")]
mod lz4 {
    use super::*;
    use inos_sab::UnpackError;

    /// Packs when asked, able and shorter; what comes back is what the job wrote.
    #[test]
    fn results_are_packed_if_that_is_shorter() {
        let region = region(Layout::compact(1 << 12, 1 << 20, 1 << 16).unwrap());
        let (mut producer, mut consumer, runner) = raw_ends(&region);
        let mut runner = runner.with(1, Reverse).pack_above(100);
        let mut next = numbers(3);
        let random: Vec<u8> = (0..400).map(|_| next().to_le_bytes()[0]).collect();
        for (bytes, accepts, packed) in
            [(vec![7; 400], 1, true), (vec![7; 400], 0, false), (vec![7; 100], 1, false), (random, 1, false)]
        {
            let len = u32::try_from(bytes.len()).unwrap();
            producer.try_push(1, &[header(1, len, 0, accepts), bytes.clone()].concat()).unwrap();
            runner.run_once(1).unwrap();
            let (_, frame) = next_frame(&mut consumer).unwrap();
            assert_eq!(frame[14..16], if packed { [2, 0x80] } else { [0, 0x80] });
            assert!(!packed || frame.len() < 50);
        }
        drop((producer, consumer));

        let mut client = JobClient::new(region.inbox_producer().unwrap(), region.outbox_consumer().unwrap()).unwrap();
        let mut request = client.request(300_000).unwrap();
        for (index, byte) in request.as_mut_slice().iter_mut().enumerate() {
            *byte = u8::try_from(index / 100 % 256).unwrap();
        }
        let expected: Vec<u8> = request.as_mut_slice().iter().rev().copied().collect();
        client.send(1, request).unwrap();
        runner.run_once(1).unwrap();
        let answer = client.next_completion().unwrap().unwrap().outcome.unwrap();
        assert!(answer.is_packed() && answer.len() < 20_000);
        let mut plain = vec![];
        answer.unpack(&mut plain, 300_000).unwrap();
        assert!(plain == expected);
        let error = UnpackError::TooLarge { len: 300_000, max: 299_999 };
        assert_eq!(answer.unpack(&mut plain, 299_999), Err(error));
        drop(answer);
        assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
    }

    /// Lies of the sender: a length above what any block makes, one above what this block makes, one below, no block.
    #[test]
    fn packed_bytes_are_not_believed() {
        let region = small();
        let mut outbox = region.outbox_producer().unwrap();
        let mut client = JobClient::new(region.inbox_producer().unwrap(), region.outbox_consumer().unwrap()).unwrap();
        let good = lz4_block(&[5; 1000]);
        let cut = good[..good.len() - 1].to_vec();
        for (len, block) in
            [(u32::MAX, &good), (1001, &good), (999, &good), (1000, &cut), (0, &vec![]), (1000, &vec![0xFF; 40])]
        {
            let payload = [len.to_le_bytes().to_vec(), block.clone()].concat();
            let bytes = [header(1, u32::try_from(payload.len()).unwrap(), 0, 0x8002), payload].concat();
            let mut object = region.arena().alloc(u32::try_from(bytes.len()).unwrap()).unwrap();
            object.write_at(0, &bytes).unwrap();
            outbox.push_object(1, object).unwrap();
            let answer = client.next_completion().unwrap().unwrap().outcome.unwrap();
            assert_eq!(answer.unpack(&mut vec![], u32::MAX), Err(UnpackError::Malformed), "{len}");
        }
    }

    /// 1,000 equal bytes as LZ4: one literal, a match of 993 at distance 1, six literals.
    fn lz4_block(plain: &[u8; 1000]) -> Vec<u8> {
        let byte = plain[0];
        // 993 = 4 + 15 + 255 * 3 + 209.
        let mut block = vec![0x1F, byte, 1, 0, 255, 255, 255, 209];
        block.extend([0x60, byte, byte, byte, byte, byte, byte]);
        block
    }

    #[test]
    fn the_block_above_is_good() {
        let region = small();
        let mut outbox = region.outbox_producer().unwrap();
        let mut client = JobClient::new(region.inbox_producer().unwrap(), region.outbox_consumer().unwrap()).unwrap();
        let payload = [1000_u32.to_le_bytes().to_vec(), lz4_block(&[5; 1000])].concat();
        let bytes = [header(1, u32::try_from(payload.len()).unwrap(), 0, 0x8002), payload].concat();
        let mut object = region.arena().alloc(u32::try_from(bytes.len()).unwrap()).unwrap();
        object.write_at(0, &bytes).unwrap();
        outbox.push_object(1, object).unwrap();
        let mut plain = vec![];
        client.next_completion().unwrap().unwrap().outcome.unwrap().unpack(&mut plain, 1000).unwrap();
        assert_eq!(plain, [5; 1000]);
    }
}

/// Both ends of a caller are gone before the runner looks again: that is an end and no error, but only if nothing is left.
#[test]
fn a_caller_that_has_all_its_answers_may_leave() {
    let region = small();
    let (mut client, runner) = ends(&region);
    let mut runner = runner.with(1, Reverse);
    client.submit(1, b"first").unwrap();
    runner.run_once(9).unwrap();
    drop(client);
    assert_eq!(runner.run(None), Ok(Wake::Closed));

    let inbox = region.inbox_producer().unwrap();
    let mut client = JobClient::new(inbox, region.outbox_consumer().unwrap()).unwrap();
    client.submit(1, b"unanswered").unwrap();
    drop(client);
    assert_eq!(runner.run(None), Err(JobRunnerError::Closed));
}

/// A runner on its own thread, several callers' worth of requests under way, until the caller leaves.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_runner_on_a_thread_answers_everything_and_ends() {
    let region = region(Layout::compact(1 << 10, 1 << 20, 1 << 16).unwrap());
    let (mut client, runner) = ends(&region);
    let mut runner = runner.with(1, Reverse);
    let worker = std::thread::spawn(move || runner.run(None));
    let (mut sent, mut received) = (0_u32, 0_u32);
    while received < 20_000 {
        if sent < 20_000 && client.submit(1, &sent.to_be_bytes()).is_ok() {
            sent += 1;
            continue;
        }
        assert_eq!(client.wait(None), Wake::Ready);
        while let Some(completion) = client.next_completion().unwrap() {
            assert_eq!(completion.id, JobId(u64::from(received) + 1));
            assert_eq!(completion.outcome.unwrap().as_slice(), received.to_le_bytes());
            received += 1;
        }
    }
    drop(client);
    // Whichever end it saw leave first.
    assert_eq!(worker.join().unwrap(), Ok(Wake::Closed));
    assert_eq!(region.arena().largest_free(), region.arena().max_block_len());
}

/// While a job runs, the other participants see which; in the record, not in the ring.
#[cfg(target_os = "linux")]
#[test]
fn the_running_request_is_noted() {
    use inos_sab::Crash;
    let kernel = crate::memory_file(&Layout::compact(1 << 10, 1 << 16, 1 << 12).unwrap());
    let module = crate::attached(kernel.backing_fd().unwrap(), kernel.layout()).unwrap();
    let mut client = JobClient::new(kernel.inbox_producer().unwrap(), kernel.outbox_consumer().unwrap()).unwrap();
    let seen = kernel.clone();
    let look = move || seen.peers().map(|peers| peers.iter().map(|peer| peer.job).collect::<Vec<_>>());
    let noted = look.clone();
    let job = move |_: Input<'_, Crash>, out: &mut JobOutput<'_, Crash>| {
        let jobs = noted().map_err(|error| JobError::failed(0, error))?;
        out.append(format!("{jobs:?}").as_bytes())
    };
    let runner = JobRunner::new(module.inbox_consumer().unwrap(), module.outbox_producer().unwrap()).unwrap();
    let mut runner = runner.with(1, job);
    client = client.starting_at(JobId(77));
    client.submit(1, &[]).unwrap();
    assert_eq!(look().unwrap(), [None]);
    runner.run_once(1).unwrap();
    assert_eq!(look().unwrap(), [None]);
    let answer = client.next_completion().unwrap().unwrap().outcome.unwrap();
    assert_eq!(answer.as_slice(), b"[Some(JobId(77))]");
}
