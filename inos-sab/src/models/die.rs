//! A participant that dies at step k, for every k.
//!
//! The others keep their guarantees while it dies, and after its recovery everything is as if each of its operations had
//! either happened or not: frames are whole and in order, no block is lost or owned twice, and the whole arena can be
//! had. Three kinds of models: a death next to a peer at work, a recovery next to a peer at work (the victim died alone,
//! at every step of every operation), and a recovery that dies itself (one thread, all pairs of steps).

use super::model;
use crate::sync::die::{self, Fate};
use crate::{Consumer, Crash, Flow, Frame, Layout, Producer, Region, Slot};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use loom::thread;

/// The one that dies.
const MORTAL: u8 = 1;
/// The one that dies while it takes back what the first one had.
const HEIR: u8 = 2;

/// The step at which the mortal of a model dies.
#[derive(Clone, Debug)]
struct Death {
    step: u64,
    /// Executions in which it did.
    deaths: Arc<AtomicU64>,
}

impl Death {
    /// Runs `f`, dying in it. `f` has to own what it takes to the grave.
    fn strikes<R>(&self, f: impl FnOnce() -> R) -> Fate<R> {
        let fate = die::at(self.step, f);
        if let Fate::Died = fate {
            self.deaths.fetch_add(1, Relaxed);
        }
        fate
    }
}

/// Checks a model once for each step at which its mortal can die, and once in which it does not.
fn at_each_step(preemptions: usize, f: impl Fn(&Death) + Clone + Sync + Send + 'static) {
    for step in 0.. {
        let death = Death { step, deaths: Arc::default() };
        let (f, dies) = (f.clone(), death.clone());
        model(preemptions, move || f(&dies));
        if death.deaths.load(Relaxed) == 0 {
            assert!(step > 0, "it never dies");
            return;
        }
    }
}

/// What the machinery itself promises: the living see what was done in front of the death and nothing of what comes
/// after, and the dead go on as if nothing had happened.
#[test]
fn the_dead_see_themselves_and_are_not_seen() {
    at_each_step(2, |death| {
        let (region, _) = attached();
        let word = region.layout().switchboard().offset;
        let memory = region.memory().clone();
        let start = memory.u32(word).load(Relaxed);
        let step = u32::try_from(death.step).expect("few");
        let death = death.clone();
        let thread = thread::spawn(move || {
            let _ = death.strikes(|| {
                for value in 0..3 {
                    assert_eq!(memory.u32(word).fetch_add(1, Relaxed).wrapping_sub(start), value);
                }
            });
        });
        let count = || region.memory().u32(word).load(Relaxed).wrapping_sub(start);
        assert!(count() <= step);
        thread.join().expect("no panic");
        assert_eq!(count(), step.min(3));
    });
}

/// A region of two chunks of two granules, and the mortal's attachment.
fn attached() -> (Region<Crash>, Region<Crash>) {
    let layout = Layout::compact(64, 3 * 512, 512).expect("a legal layout");
    let region = Region::model(&layout.with_start(u64::MAX - 31));
    let mortal = region.beside(MORTAL);
    (region, mortal)
}

fn slot() -> Slot {
    Slot::new(0).expect("a slot")
}

/// A block whose bytes say `mark`.
fn block(region: &Region<Crash>, mark: u16, len: u32) -> crate::ArenaBox<Crash> {
    let mut block = region.arena().alloc(len).expect("room");
    block.write_at(0, &[mark.to_le_bytes()[0]; 1]).expect("in range");
    block
}

fn check(mark: u16, block: &crate::ArenaBox<Crash>) {
    let mut byte = [0];
    block.read_at(0, &mut byte).expect("in range");
    assert_eq!(byte, [mark.to_le_bytes()[0]]);
}

/// Takes all there is; the kinds, in order. Frames are whole: payloads say their kind.
fn drain(consumer: &mut Consumer<Crash>) -> Vec<u16> {
    let mut kinds = Vec::new();
    let drained = consumer.drain(usize::MAX, |frame| {
        kinds.push(frame.kind());
        match frame {
            Frame::Inline { kind, payload } => {
                let mut bytes = [0; 5];
                payload.copy_to(0, &mut bytes).expect("in range");
                assert_eq!(bytes, [kind.to_le_bytes()[0]; 5]);
            }
            Frame::Object { kind, object } => check(kind, &object),
            // An earlier reader died with it.
            Frame::Gone { .. } => {}
        }
        Flow::Continue
    });
    drained.expect("frames");
    kinds
}

fn push(producer: &mut Producer<Crash>, kind: u16) {
    producer.try_push(kind, &[kind.to_le_bytes()[0]; 5]).expect("room");
}

/// After recovery, with nothing in rings and slots: every granule can be had once, and all in one piece.
fn is_whole(region: &Region<Crash>) {
    let arena = region.arena();
    let check = arena.check();
    assert!(check.is_clean(), "{check:?}");
    assert_eq!((check.owned, check.in_flight, check.detached), (0, 0, 0), "{check:?}");
    drop(arena.alloc(arena.max_block_len()).expect("all of it"));
    let blocks: Vec<_> = core::iter::from_fn(|| arena.alloc(1).ok()).collect();
    assert_eq!(blocks.len(), 4);
    drop(blocks);
    drop(arena.alloc(arena.max_block_len()).expect("all of it"));
}

/// Takes what is in rings and slots; the dead hold no roles any more. The kinds that were in the inbox.
fn settle(region: &Region<Crash>, inbox: Option<Consumer<Crash>>) -> Vec<u16> {
    let mut inbox = inbox.unwrap_or_else(|| region.inbox_consumer().expect("the dead hold no roles"));
    let kinds = drain(&mut inbox);
    drop(region.inbox_producer().expect("the dead hold no roles"));
    if let Some((kind, block)) = region.switchboard().take(slot()) {
        check(kind, &block);
    }
    is_whole(region);
    kinds
}

/// Whether `got` is some of the first of `all`.
fn is_start(got: &[u16], all: &[u16]) -> bool {
    all.starts_with(got)
}

// --- a death next to a peer at work

/// A producer that dies while it pushes, allocates and sends: its reader gets each frame whole or not at all, in order,
/// and a batch altogether or not at all.
#[test]
fn producer_dies_next_to_its_reader() {
    at_each_step(2, |death| {
        let (region, mortal) = attached();
        let mut producer = mortal.inbox_producer().expect("free");
        let mut consumer = region.inbox_consumer().expect("free");
        let death = death.clone();
        let thread = thread::spawn(move || {
            let _ = death.strikes(move || {
                push(&mut producer, 1);
                let mut batch = producer.batch();
                batch.push(2, &[2; 5]).expect("room");
                batch.push_object(3, block(&mortal, 3, 1)).expect("room");
                batch.publish();
            });
        });
        let mut kinds = drain(&mut consumer);
        thread.join().expect("no panic");
        region.take_back(MORTAL);
        kinds.extend(settle(&region, Some(consumer)));
        assert!([&[][..], &[1], &[1, 2, 3]].contains(&&kinds[..]), "{kinds:?}");
    });
}

/// A reader that dies while it takes frames and blocks: its writer goes on, and the next reader gets what it had not
/// finished, to the last frame.
#[test]
fn reader_dies_next_to_its_writer() {
    at_each_step(2, |death| {
        let (region, mortal) = attached();
        let mut producer = region.inbox_producer().expect("free");
        let mut consumer = mortal.inbox_consumer().expect("free");
        producer.push_object(1, block(&region, 1, 1)).expect("room");
        let death = death.clone();
        let thread = thread::spawn(move || {
            let _ = death.strikes(move || {
                drain(&mut consumer);
                drop(mortal);
            });
        });
        let sent = if producer.try_push(2, &[2; 5]).is_ok() { 2 } else { 1 };
        thread.join().expect("no panic");
        drop(producer);
        region.take_back(MORTAL);
        let kinds = settle(&region, None);
        assert!([&[1, 2][..sent], &[2][..sent - 1], &[]].contains(&&kinds[..]), "{kinds:?} of {sent}");
    });
}

/// A participant that dies while it allocates and frees, next to one that does the same: no granule has two owners.
#[test]
fn owner_dies_next_to_another() {
    for (theirs, ours) in [(1, 1), (1024, 1), (1, 1024)] {
        at_each_step(1, move |death| {
            let (region, mortal) = attached();
            let death = death.clone();
            let thread = thread::spawn(move || {
                let _ = death.strikes(move || {
                    if let Ok(mut block) = mortal.arena().alloc(theirs) {
                        block.write_at(0, &[1]).expect("in range");
                    }
                });
            });
            if let Ok(mut block) = region.arena().alloc(ours) {
                // An access of the dead one's that is not in front of this is reported.
                block.write_at(0, &[2]).expect("in range");
            }
            thread.join().expect("no panic");
            region.take_back(MORTAL);
            settle(&region, None);
        });
    }
}

/// A publisher that dies next to the taker of its slot.
#[test]
fn publisher_dies_next_to_the_taker() {
    at_each_step(2, |death| {
        let (region, mortal) = attached();
        let death = death.clone();
        let thread = thread::spawn(move || {
            let _ = death.strikes(move || {
                for kind in 1..=2 {
                    drop(mortal.switchboard().publish(slot(), kind, block(&mortal, kind, 1)).expect("ours"));
                }
            });
        });
        if let Some((kind, block)) = region.switchboard().take(slot()) {
            check(kind, &block);
        }
        thread.join().expect("no panic");
        region.take_back(MORTAL);
        settle(&region, None);
    });
}

/// A taker that dies next to the publisher of its slot.
#[test]
fn taker_dies_next_to_the_publisher() {
    at_each_step(2, |death| {
        let (region, mortal) = attached();
        drop(region.switchboard().publish(slot(), 1, block(&region, 1, 1)).expect("ours"));
        let death = death.clone();
        let thread = thread::spawn(move || {
            let _ = death.strikes(move || {
                if let Some((kind, block)) = mortal.switchboard().take(slot()) {
                    check(kind, &block);
                }
            });
        });
        let next = block(&region, 2, 1);
        drop(region.switchboard().publish(slot(), 2, next).expect("ours"));
        thread.join().expect("no panic");
        region.take_back(MORTAL);
        settle(&region, None);
    });
}

// --- victims that died alone

/// What there is for a victim to find: an object frame in the inbox, a block in the slot, a block let go.
fn prepare(region: &Region<Crash>) -> crate::Handle {
    let mut producer = region.inbox_producer().expect("free");
    producer.push_object(7, block(region, 7, 1)).expect("room");
    drop(region.switchboard().publish(slot(), 8, block(region, 8, 1)).expect("ours"));
    block(region, 9, 1).into_handle()
}

type Life = fn(&Region<Crash>, crate::Handle);

/// One of each operation, from attaching on.
const LIVES: [(&str, Life); 8] = [
    ("send", |region, _| {
        let mut producer = region.inbox_producer().expect("free");
        push(&mut producer, 1);
        producer.push_object(2, block(region, 2, 1)).expect("room");
    }),
    ("receive", |region, _| {
        drain(&mut region.inbox_consumer().expect("free"));
    }),
    ("keep", |region, _| {
        let mut kept = Vec::new();
        let mut consumer = region.inbox_consumer().expect("free");
        let drained = consumer.drain(1, |frame| {
            if let Frame::Object { object, .. } = frame {
                kept.push(object);
            }
            Flow::Break
        });
        assert_eq!(drained, Ok(1));
        drop(consumer);
    }),
    ("block", |region, _| drop(region.arena().alloc(1))),
    ("run", |region, _| drop(region.arena().alloc(512))),
    ("take", |region, _| drop(region.switchboard().take(slot()))),
    ("publish", |region, _| {
        // The slot has another publisher: refused, and the block comes back.
        drop(region.switchboard().publish(Slot::new(1).expect("a slot"), 1, block(region, 1, 1)));
        drop(region.switchboard().take(Slot::new(1).expect("a slot")));
    }),
    ("pin", |region, handle| {
        drop(region.arena().resolve(handle));
        drop(region.arena().claim_handle(handle));
    }),
];

/// A victim that died alone; whether it did.
fn bury(death: &Death, region: &Region<Crash>, life: Life, handle: crate::Handle) {
    let mortal = region.beside(MORTAL);
    let _ = death.strikes(move || {
        life(&mortal, handle);
        drop(mortal);
    });
}

fn settle_after_life(region: &Region<Crash>, handle: crate::Handle) {
    drop(region.arena().claim_handle(handle));
    drop(region.switchboard().take(Slot::new(1).expect("a slot")));
    let kinds = settle(region, None);
    assert!(is_start(&kinds, &[7, 1, 2]) || kinds.is_empty(), "{kinds:?}");
}

/// Every operation, every step, one thread: before or after.
#[test]
fn every_operation_is_before_or_after() {
    for (_, life) in LIVES {
        at_each_step(1, move |death| {
            let (region, mortal) = attached();
            drop(mortal);
            let handle = prepare(&region);
            bury(death, &region, life, handle);
            region.take_back(MORTAL);
            settle_after_life(&region, handle);
        });
    }
}

/// A recovery that dies at any of its steps is finished by the next, of the first victim and of itself.
#[test]
fn heirs_die_too() {
    for (_, life) in LIVES {
        for step in 0.. {
            let victims = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&victims);
            at_each_step(1, move |heirs_death| {
                let (region, mortal) = attached();
                drop(mortal);
                let handle = prepare(&region);
                bury(&Death { step, deaths: Arc::clone(&counted) }, &region, life, handle);
                let heir = region.beside(HEIR);
                let _ = heirs_death.strikes(move || {
                    heir.take_back(MORTAL);
                    drop(heir);
                });
                for dead in [HEIR, MORTAL] {
                    region.take_back(dead);
                }
                settle_after_life(&region, handle);
            });
            if victims.load(Relaxed) == 0 {
                break;
            }
        }
    }
}

// --- a recovery next to a peer at work

/// Whatever a victim left, and wherever: its recovery does not disturb those who work meanwhile.
fn recovery_next_to(work: fn(&Region<Crash>)) {
    for (_, life) in LIVES {
        at_each_step(2, move |death| {
            let (region, mortal) = attached();
            drop(mortal);
            let handle = prepare(&region);
            bury(death, &region, life, handle);
            let worker = region.beside(HEIR);
            let thread = thread::spawn(move || work(&worker));
            region.take_back(MORTAL);
            thread.join().expect("no panic");
            settle_after_life(&region, handle);
        });
    }
}

#[test]
fn recovery_leaves_owners_alone() {
    recovery_next_to(|region| {
        if let Ok(mut block) = region.arena().alloc(1) {
            block.write_at(0, &[5]).expect("in range");
        }
    });
}

#[test]
fn recovery_leaves_takers_alone() {
    recovery_next_to(|region| {
        if let Some((kind, block)) = region.switchboard().take(slot()) {
            check(kind, &block);
        }
    });
}
