//! Death from outside, at any moment, while the other side is at work.

use super::RANDOM_KILLS;
use super::crew::{Child, Crew, FURTHER, check, drain_all, layout};
use super::jobs::{self, Job, LAST_KIND};
use core::time::Duration;
use std::time::Instant;

/// Spreads the lengths of lives; the moments of death are the machine's.
struct Spread(u64);

impl Spread {
    fn micros(&mut self, below: u64) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros((self.0 >> 33) % below)
    }
}

/// Works until a worker that has begun (`work` said so) has gone on for a while. A third dies without being waited for.
#[expect(clippy::disallowed_methods, reason = "lives of processes are measured in time")]
fn live(spread: &mut Spread, mut work: impl FnMut() -> bool) {
    let waits = spread.micros(3) != Duration::ZERO;
    let mut end = Instant::now() + if waits { Duration::from_secs(5) } else { spread.micros(6000) };
    let mut begun = !waits;
    while Instant::now() < end {
        if work() && !begun {
            begun = true;
            end = Instant::now() + spread.micros(1500);
        }
    }
    assert!(begun, "the worker never began");
}

#[test]
fn writers_die_at_any_moment() {
    let mut crew = Crew::new(&layout());
    let mut spread = Spread(4);
    for _ in 0..RANDOM_KILLS {
        let mut consumer = crew.before_writer();
        let child = Child::start(&crew.fd, Job::WriteOn, None);
        let mut last = LAST_KIND;
        let mut drain = |consumer: &mut _| {
            let before = last;
            drain_all(consumer, |frame| {
                assert_eq!(frame.kind(), last % LAST_KIND + 1);
                last = frame.kind();
                check(&frame);
            });
            last != before
        };
        let board = crew.region.switchboard();
        live(&mut spread, || {
            if let Some((kind, block)) = board.take(Crew::child_slot()) {
                jobs::check_block(kind, &block);
            }
            drain(&mut consumer)
        });
        let id = child.id();
        child.kill();
        crew.recover(id);
        drain(&mut consumer);
        crew.after_writer(&mut consumer, true);
        crew.exchange(FURTHER, Some(&mut consumer));
        crew.is_whole();
    }
    crew.report("at any moment");
}

#[test]
fn readers_die_at_any_moment() {
    let mut crew = Crew::new(&layout());
    let mut spread = Spread(5);
    let arena = crew.region.arena();
    let board = crew.region.switchboard();
    for _ in 0..RANDOM_KILLS {
        let mut producer = crew.region.inbox_producer().expect("free");
        let child = Child::start(&crew.fd, Job::ReadOn, None);
        let mut last = LAST_KIND;
        live(&mut spread, || {
            let kind = last % LAST_KIND + 1;
            if !jobs::feed(&mut producer, &arena, kind) {
                return false;
            }
            last = kind;
            if let Ok(block) = arena.alloc(100) {
                drop(board.publish(Crew::slot(), kind, block).expect("ours"));
            }
            true
        });
        let id = child.id();
        child.kill();
        crew.recover(id);
        // What the dead one had not taken, or not finished, comes again: everything up to the last, in order.
        let mut consumer = crew.region.inbox_consumer().expect("the dead hold no roles");
        let mut got = None;
        drain_all(&mut consumer, |frame| {
            assert!(got.is_none_or(|got| frame.kind() == got % LAST_KIND + 1), "{} after {got:?}", frame.kind());
            got = Some(frame.kind());
            check(&frame);
        });
        assert!(got.is_none_or(|got| got == last), "{got:?} of {last}");
        drop((producer, consumer));
        drop(board.take(Crew::slot()));
        crew.readers_killed += 1;
        crew.is_whole();
        crew.exchange(FURTHER, None);
        crew.is_whole();
    }
    crew.report("at any moment");
}
