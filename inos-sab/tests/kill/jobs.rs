//! What children do, and what messages look like.

use super::crew::{self, Crew, drain_all, layout};
use inos_sab::{Arena, ArenaBox, Consumer, Crash, Event, Flow, Frame, Handle, Producer, Region};
use std::os::fd::OwnedFd;

/// The payload of message `kind`.
pub(crate) fn body(kind: u16, len: u32) -> Vec<u8> {
    (0..len).map(|index| byte(kind, index)).collect()
}

fn byte(kind: u16, index: u32) -> u8 {
    let [low, ..] = (u32::from(kind) * 31 + index).to_le_bytes();
    low
}

pub(crate) fn check_body(kind: u16, bytes: &[u8]) {
    let whole = (0..).zip(bytes).all(|(index, found)| *found == byte(kind, index));
    assert!(whole, "message {kind}: {bytes:?}");
}

/// A block with the payload of message `kind`.
pub(crate) fn block(arena: &Arena<Crash>, kind: u16, len: u32) -> ArenaBox<Crash> {
    let mut block = arena.alloc(len).expect("room");
    block.write_at(0, &body(kind, len)).expect("in range");
    block
}

pub(crate) fn check_block(kind: u16, block: &ArenaBox<Crash>) {
    check_body(kind, block.as_slice());
}

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Writers.
    Push,
    Claim,
    Batch,
    Objects,
    Alloc,
    Squeeze,
    Publish,
    LetGo,
    Raise,
    /// Readers.
    Drain,
    Keep,
    Forward,
    Take,
    Pin,
    /// Without end, for random deaths.
    WriteOn,
    ReadOn,
    /// Helpers of other tests.
    Idle,
    Hoard,
    Recover,
    Attach,
    Create,
}

pub(crate) const WRITERS: [Job; 9] =
    [Job::Push, Job::Claim, Job::Batch, Job::Objects, Job::Alloc, Job::Squeeze, Job::Publish, Job::LetGo, Job::Raise];
pub(crate) const READERS: [Job; 5] = [Job::Drain, Job::Keep, Job::Forward, Job::Take, Job::Pin];
const OTHERS: [Job; 7] = [Job::WriteOn, Job::ReadOn, Job::Idle, Job::Hoard, Job::Recover, Job::Attach, Job::Create];

impl Job {
    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        WRITERS.into_iter().chain(READERS).chain(OTHERS).find(|job| job.name() == name)
    }

    /// Does it in the region behind `fd`, calling `arm` in front of the part in which to die.
    pub(crate) fn work(self, fd: OwnedFd, arm: &dyn Fn()) {
        if matches!(self, Self::Attach | Self::Create) {
            return begin(self, fd, arm);
        }
        let region = crew::attach(fd, &layout()).expect("attached");
        match self {
            Self::Drain | Self::Keep | Self::Forward | Self::Take | Self::Pin => read(self, &region, arm),
            Self::WriteOn => write_on(&region),
            Self::ReadOn => read_on(&region),
            Self::Idle => idle(&region),
            Self::Hoard => hoard(&region),
            Self::Recover => {
                arm();
                drop(region.recover().expect("a file proves deaths"));
            }
            _ => write(self, &region, arm),
        }
    }
}

/// A life as short as it can be, from its first access on.
fn begin(job: Job, fd: OwnedFd, arm: &dyn Fn()) {
    if job == Job::Create {
        return super::births::create(fd, arm);
    }
    arm();
    let region = crew::attach(fd, &layout()).expect("attached");
    drop(region.outbox_producer().expect("free"));
}

fn write(job: Job, region: &Region<Crash>, arm: &dyn Fn()) {
    let (arena, board) = (region.arena(), region.switchboard());
    let mut producer = region.inbox_producer().expect("free");
    arm();
    match job {
        Job::Push => {
            producer.try_push(1, &body(1, 40)).expect("room");
            producer.try_push(2, &body(2, 0)).expect("room");
            producer.try_push(3, &body(3, 100)).expect("room");
        }
        Job::Claim => {
            producer.claim(9, 77).expect("room").abort();
            let mut claim = producer.claim(1, 33).expect("room");
            claim.write_at(0, &body(1, 33)).expect("in range");
            claim.commit();
        }
        Job::Batch => {
            let mut batch = producer.batch();
            batch.push(1, &body(1, 60)).expect("room");
            batch.push_object(2, block(&arena, 2, 100)).expect("room");
            batch.push(3, &body(3, 61)).expect("room");
            batch.publish();
            producer.try_push(4, &body(4, 9)).expect("room");
        }
        Job::Objects => {
            producer.push_object(1, block(&arena, 1, 100)).expect("room");
            producer.push_object(2, block(&arena, 2, 30_000)).expect("room");
        }
        Job::Alloc => {
            let run = arena.alloc(30_000).expect("room");
            let small = [1, 300, 1000, 256].map(|len| arena.alloc(len).expect("room"));
            drop(run);
            drop(small);
        }
        Job::Squeeze => {
            // Cuts all but one chunk into blocks of one class, empties them, and asks for what needs them whole.
            let blocks: Vec<_> = (0..8).map(|_| arena.alloc(4000).expect("room")).collect();
            drop(blocks);
            drop(arena.alloc(arena.max_block_len()).expect("all of it"));
        }
        Job::Publish => {
            for kind in 1..=3 {
                drop(board.publish(Crew::child_slot(), kind, block(&arena, kind, 100)).expect("ours"));
            }
        }
        Job::LetGo => {
            // Says the number first: who reads it either finds a block that anybody may claim, or one that died with us.
            let block = block(&arena, 7, 500);
            let handle = block.handle();
            producer.try_push(1, &handle.to_bits().to_le_bytes()).expect("room");
            assert_eq!(block.into_handle(), handle);
            let (one, two) = (arena.resolve(handle).expect("there"), arena.resolve(handle).expect("there"));
            drop(one);
            drop(two);
            drop(arena.claim_handle(handle).expect("ours"));
        }
        _ => {
            board.raise(Event::Kernel);
            assert_eq!(producer.try_push(1, &body(1, 5)).map(drop), Ok(()));
        }
    }
    drop(producer);
}

fn read(job: Job, region: &Region<Crash>, arm: &dyn Fn()) {
    let mut consumer = region.inbox_consumer().expect("free");
    match job {
        Job::Drain => {
            arm();
            drain_all(&mut consumer, |frame| drop(frame));
        }
        Job::Keep => {
            let mut kept = Vec::new();
            arm();
            let taken = consumer.drain(usize::MAX, |frame| {
                if let Frame::Object { object, .. } = frame {
                    kept.push(object);
                }
                Flow::Continue
            });
            taken.expect("an intact ring");
            kept.reverse();
        }
        Job::Forward => {
            let mut outbox = region.outbox_producer().expect("free");
            arm();
            drain_all(&mut consumer, |frame| match frame {
                Frame::Object { kind, object } => drop(outbox.push_object(kind, object).expect("room")),
                Frame::Inline { kind: 1, .. } => {}
                Frame::Inline { kind, payload } => drop(outbox.try_push(kind, payload.bytes()).expect("room")),
                _ => {}
            });
        }
        Job::Take => {
            arm();
            let (kind, block) = region.switchboard().take(Crew::slot()).expect("published");
            check_block(kind, &block);
        }
        _ => {
            let arena = region.arena();
            arm();
            let mut handle = None;
            let taken = consumer.drain(1, |frame| {
                handle = said(&frame);
                Flow::Break
            });
            assert_eq!(taken.expect("an intact ring"), 1);
            let handle = handle.expect("a handle");
            check_body(77, arena.resolve(handle).expect("there").as_slice());
            drop(arena.claim_handle(handle).expect("nobody else's"));
        }
    }
    drop(consumer);
}

/// The handle that message 1 of some jobs carries.
pub(crate) fn said(frame: &Frame<'_, Crash>) -> Option<Handle> {
    let Frame::Inline { kind: 1, payload } = frame else { return None };
    Handle::from_bits(u64::from_le_bytes(payload.bytes().try_into().ok()?))
}

/// Numbers of endless messages start anew after this one.
pub(crate) const LAST_KIND: u16 = 9999;

/// Writes all kinds of messages, in order, until it is killed.
fn write_on(region: &Region<Crash>) {
    let (arena, board) = (region.arena(), region.switchboard());
    let mut producer = region.inbox_producer().expect("free");
    let mut hoard = Vec::new();
    for kind in (1..=LAST_KIND).cycle() {
        let len = u32::from(kind) * 37;
        while !write_one(&mut producer, &arena, kind, len) {
            // Blocks here and there may leave no room for a long one.
            hoard.clear();
            producer.wait_room(120, Some(core::time::Duration::from_millis(1)));
        }
        // None of this is a message: blocks that come and go, and that die with us.
        if let Ok(block) = arena.alloc(len % 5000) {
            hoard.push(block);
        }
        if hoard.len() > 10 {
            hoard.swap_remove(usize::from(kind) % 10);
        }
        if kind.is_multiple_of(5)
            && let Ok(mut block) = arena.alloc(200)
        {
            block.write_at(0, &body(kind, 200)).expect("in range");
            drop(board.publish(Crew::child_slot(), kind, block).expect("ours"));
        }
    }
}

/// Whether there was room.
fn write_one(producer: &mut Producer<Crash>, arena: &Arena<Crash>, kind: u16, len: u32) -> bool {
    match kind % 4 {
        0 => {
            let len = if kind.is_multiple_of(8) { len % 3000 } else { 9000 + len % 20_000 };
            let Ok(mut block) = arena.alloc(len) else { return false };
            block.write_at(0, &body(kind, len)).expect("in range");
            producer.push_object(kind, block).is_ok()
        }
        1 => {
            let Ok(mut claim) = producer.claim(kind, len % 128) else { return false };
            claim.write_at(0, &body(kind, len % 128)).expect("in range");
            claim.commit();
            true
        }
        _ => producer.try_push(kind, &body(kind, len % 128)).is_ok(),
    }
}

/// Reads, keeps for a while and frees, until it is killed.
fn read_on(region: &Region<Crash>) {
    let mut consumer = region.inbox_consumer().expect("free");
    let mut kept = Vec::new();
    let mut last = None;
    loop {
        consumer.wait(Some(core::time::Duration::from_millis(1)));
        drain_all(&mut consumer, |frame| {
            let follows = last.is_none_or(|last| frame.kind() == last % LAST_KIND + 1);
            assert!(follows, "{} after {last:?}", frame.kind());
            last = Some(frame.kind());
            crew::check(&frame);
            if let Frame::Object { object, .. } = frame {
                kept.push(object);
            }
            if kept.len() > 3 {
                kept.remove(0);
            }
        });
        drop(region.switchboard().take(Crew::slot()));
    }
}

/// Writes messages as the parent of a reader does. Whether there was room.
pub(crate) fn feed(producer: &mut Producer<Crash>, arena: &Arena<Crash>, kind: u16) -> bool {
    write_one(producer, arena, kind, u32::from(kind) * 37)
}

/// Takes part, and does nothing until it is killed.
fn idle(region: &Region<Crash>) {
    loop {
        region.beat();
        std::thread::sleep(core::time::Duration::from_millis(1));
    }
}

/// Holds one of everything and does nothing until it is killed: both kinds of role, blocks of both kinds, blocks on
/// their way, a slot, a pin, and a frame that is written and not published.
fn hoard(region: &Region<Crash>) {
    let arena = region.arena();
    let mut inbox: Consumer<Crash> = region.inbox_consumer().expect("free");
    let mut outbox = region.outbox_producer().expect("free");
    let mut kept = Vec::new();
    drain_all(&mut inbox, |frame| match (said(&frame), frame) {
        (Some(handle), _) => kept.push(Err(arena.resolve(handle).expect("there"))),
        (None, Frame::Object { object, .. }) => kept.push(Ok(object)),
        _ => {}
    });
    kept.push(Ok(arena.alloc(1).expect("room")));
    kept.push(Ok(arena.alloc(30_000).expect("room")));
    drop(region.switchboard().publish(Crew::child_slot(), 2, block(&arena, 2, 400)).expect("ours"));
    outbox.push_object(1, block(&arena, 1, 300)).expect("room");
    let mut batch = outbox.batch();
    batch.push(2, &body(2, 50)).expect("room");
    batch.push_object(3, block(&arena, 3, 300)).expect("room");
    // Says that all this is so.
    region.switchboard().raise(Event::Host);
    loop {
        std::thread::sleep(core::time::Duration::from_secs(3600));
    }
}
