//! A thread that dies at step k, for every k: what the living see meanwhile.

use super::{model, region};
use crate::sync::die::{self, Fate};
use crate::{Flow, Frame};
use alloc::sync::Arc;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use loom::thread;

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
        let region = region(3 * 512);
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

/// A producer that dies while it pushes: its reader gets each frame whole or not at all, in order.
#[test]
fn frames_of_a_dead_producer_are_whole_or_absent() {
    at_each_step(2, |death| {
        let region = region(3 * 512);
        let mut producer = region.inbox_producer().expect("free role");
        let mut consumer = region.inbox_consumer().expect("free role");
        let death = death.clone();
        let thread = thread::spawn(move || {
            let _ = death.strikes(move || {
                producer.try_push(0, &[0; 5]).expect("room");
                let mut batch = producer.batch();
                batch.push(1, &[1; 7]).expect("room");
                batch.push(2, &[2; 7]).expect("room");
                batch.publish();
            });
        });
        let mut kinds = alloc::vec::Vec::new();
        let mut drain = || {
            consumer.drain(usize::MAX, |frame| {
                let Frame::Inline { kind, payload } = frame else { panic!("no object was sent") };
                let mut bytes = [9; 7];
                payload.copy_to(0, &mut bytes[..payload.len() as usize]).expect("in range");
                assert!(bytes[..5].iter().all(|byte| u16::from(*byte) == kind));
                kinds.push(kind);
                Flow::Continue
            })
        };
        drain();
        thread.join().expect("no panic");
        drain();
        assert!([&[][..], &[0], &[0, 1, 2]].contains(&&kinds[..]), "{kinds:?}");
    });
}
