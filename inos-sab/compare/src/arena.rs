//! Cases `arena-*`: blocks given and taken back, by one thread and by two.

mod bump;
mod locked;
mod ours;
mod system;

use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::Effort;
use crate::contest::{Apart, Contestant, Parts, Role, compete};
use crate::machine::{End, Pause, take_place};
use crate::report::{Row, Unit};

/// Blocks that a thread holds, and those on their way from one thread to another.
const WINDOW: usize = 32;

/// Memory of the allocators that are given some.
const POOL_BYTES: usize = 32 << 20;

/// Gives blocks and takes them back. Each thread has one of its own, all of which share one memory.
trait Blocks: Send {
    type Block: Send;

    /// A block of `len` bytes, 256 to 65,536, with `tag` in its first bytes.
    fn alloc(&mut self, len: u32, tag: u64) -> Self::Block;

    /// Takes a block back, also one that another thread allocated, and returns its tag.
    fn free(&mut self, block: Self::Block, len: u32) -> u64;
}

/// Lengths from 256 bytes to 64 KiB; each power of two is as likely as the others, and within it each length.
fn lengths(count: usize) -> Vec<u32> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = |_| {
        // xorshift64, Marsaglia 2003: the same lengths in each run and for everybody.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let power = 256_u64 << ((state >> 60) % 8);
        u32::try_from(power + (state >> 8) % power).unwrap_or(256)
    };
    (0..count).map(next).collect()
}

/// Replaces a block by a new one, `pairs` times: one free and one alloc each. Seconds per pair.
fn churn<B: Blocks>(blocks: &mut B, lengths: &[u32], pairs: u64) -> f64 {
    let mut window: Vec<(B::Block, u32)> = Vec::with_capacity(WINDOW);
    for (tag, len) in (0..).zip(&lengths[..WINDOW]) {
        window.push((blocks.alloc(*len, tag), *len));
    }
    let mut parts = Parts::start(pairs);
    for (tag, len) in (WINDOW as u64..WINDOW as u64 + pairs).zip(lengths.iter().cycle().skip(WINDOW)) {
        let oldest = tag - WINDOW as u64;
        let place = &mut window[usize::try_from(oldest).unwrap_or(0) % WINDOW];
        let (block, block_len) = core::mem::replace(place, (blocks.alloc(*len, tag), *len));
        assert_eq!(blocks.free(block, block_len), oldest, "nobody else wrote the block");
        parts.reached(oldest + 1);
    }
    for (block, len) in window {
        blocks.free(block, len);
    }
    parts.median()
}

/// The ring to the other thread and the one from it.
type Ends<B> = (Producer<(<B as Blocks>::Block, u32)>, Consumer<(<B as Blocks>::Block, u32)>);

/// Allocates and sends to the other thread, and frees what comes from there. Seconds per pair.
fn exchange<B: Blocks>(blocks: &mut B, lengths: &[u32], pairs: u64, (mut there, mut back): Ends<B>) -> f64 {
    let (mut sent, mut freed) = (0, 0);
    let mut pause = Pause::short();
    let mut lengths = lengths.iter().cycle();
    let mut parts = Parts::start(pairs);
    while sent < pairs || freed < pairs {
        let mut idle = true;
        if sent < pairs && !there.is_full() {
            let len = *lengths.next().unwrap_or(&256);
            let block = blocks.alloc(len, sent);
            if let Err(rtrb::PushError::Full((block, len))) = there.push((block, len)) {
                blocks.free(block, len);
            } else {
                sent += 1;
            }
            idle = false;
        }
        if let Ok((block, len)) = back.pop() {
            assert_eq!(blocks.free(block, len), freed, "nobody else wrote the block");
            freed += 1;
            idle = false;
            parts.reached(freed);
        }
        if idle {
            pause.wait();
        }
    }
    parts.median()
}

/// Where blocks are freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frees {
    /// By the thread that allocated them.
    Local,
    /// By the other thread.
    Remote,
}

/// Two threads; seconds per pair of both together.
fn two_threads<B: Blocks>(near: &mut B, far: &mut B, lengths: &[u32], pairs: u64, frees: Frees) -> f64 {
    let (there, there_out) = RingBuffer::new(WINDOW);
    let (back, back_out) = RingBuffer::new(WINDOW);
    let work = |blocks: &mut B, ends: Ends<B>| match frees {
        Frees::Local => churn(blocks, lengths, pairs),
        Frees::Remote => exchange(blocks, lengths, pairs, ends),
    };
    at_once(|| work(near, (there, back_out)), || work(far, (back, there_out)))
}

/// Runs both, one on a thread of its own, and begins when both are ready. Seconds per unit of both together: their rates
/// are added.
fn at_once(near: impl FnOnce() -> f64, far: impl FnOnce() -> f64 + Send) -> f64 {
    let ready = &AtomicUsize::new(0);
    let meet = || {
        // Only the moment matters, no data.
        ready.fetch_add(1, Ordering::Relaxed);
        let mut pause = Pause::short();
        while ready.load(Ordering::Relaxed) < 2 {
            pause.wait();
        }
    };
    thread::scope(|scope| {
        let far = scope.spawn(move || {
            take_place(End::Far);
            meet();
            far()
        });
        meet();
        let near = near();
        let far = far.join().expect("the other thread's blocks are whole");
        1.0 / (1.0 / near + 1.0 / far)
    })
}

fn one_thread(blocks: &mut impl Blocks, lengths: &[u32], pairs: u64) -> f64 {
    churn(blocks, black_box(lengths), pairs)
}

fn contestant<'a>(
    name: &'static str,
    role: Role,
    mut blocks: impl Blocks + 'a,
    lengths: &'a [u32],
    pairs: u64,
) -> Contestant<'a> {
    Contestant::new(name, role, move || one_thread(&mut blocks, lengths, pairs))
}

/// One thread alone.
pub(crate) fn alone(case: &'static str, effort: Effort) -> Row {
    let pairs = effort.units(200_000);
    let lengths = &lengths(4096);
    let mut contestants = [
        contestant("ours", Role::Ours, ours::pair().0, lengths, pairs),
        contestant("rlsf", Role::Peer, locked::tlsf().0, lengths, pairs),
        contestant("talc", Role::Peer, locked::talc().0, lengths, pairs),
        contestant("system", Role::Peer, system::System, lengths, pairs),
        Contestant::new("bumpalo", Role::Limit, move || bump::churn(lengths, pairs)),
    ];
    let notes = vec![format!("one thread that holds {WINDOW} blocks of 256 B to 64 KiB"), WHO.into()];
    Row::new(case, Unit::PAIRS, &compete(&mut contestants, effort.rounds), &[], notes)
}

/// What the contestants are.
const WHO: &str = "rlsf (TLSF) and talc: each behind one Mutex; system: malloc and free; bumpalo: never frees, \
                   forgets everything after 32 blocks";

fn pair_of<'a, B: Blocks + 'a>(
    name: &'static str,
    role: Role,
    (near, far): (B, B),
    lengths: &'a [u32],
    (pairs, frees): (u64, Frees),
) -> Contestant<'a> {
    let mut ends = (Apart(near), Apart(far));
    Contestant::new(name, role, move || {
        // All of `ends`: fields that are named alone would be captured without their alignment.
        let (near, far) = &mut ends;
        two_threads(&mut near.0, &mut far.0, lengths, pairs, frees)
    })
}

/// Two threads.
pub(crate) fn together(case: &'static str, frees: Frees, effort: Effort) -> Row {
    let pairs = effort.units(100_000);
    let lengths = &lengths(4096);
    let work = (pairs, frees);
    let mut contestants = vec![
        pair_of("ours", Role::Ours, ours::pair(), lengths, work),
        pair_of("rlsf", Role::Peer, locked::tlsf(), lengths, work),
        pair_of("talc", Role::Peer, locked::talc(), lengths, work),
        pair_of("system", Role::Peer, (system::System, system::System), lengths, work),
    ];
    let note = match frees {
        Frees::Local => {
            let limit = move || at_once(|| bump::churn(lengths, pairs), || bump::churn(lengths, pairs));
            contestants.push(Contestant::new("bumpalo", Role::Limit, limit));
            format!("two threads, each holds {WINDOW} blocks of 256 B to 64 KiB and frees its own")
        }
        Frees::Remote => format!(
            "two threads, each frees what the other allocated; up to {WINDOW} blocks of 256 B to 64 KiB each way in a \
             ring of rtrb, which is part of the time"
        ),
    };
    let notes = vec![note, WHO.into()];
    Row::new(case, Unit::PAIRS, &compete(&mut contestants, effort.rounds), &[], notes)
}

#[cfg(test)]
mod tests {
    //! Every allocator gives blocks that nobody else writes, on one thread and on two: each block carries a number,
    //! which `churn` and `exchange` compare.

    use super::{Blocks, Frees, WINDOW, bump, lengths, locked, one_thread, ours, system, two_threads};

    fn check<B: Blocks>((mut near, mut far): (B, B)) {
        let lengths = lengths(100);
        one_thread(&mut near, &lengths, 1000);
        for frees in [Frees::Local, Frees::Remote] {
            assert!(two_threads(&mut near, &mut far, &lengths, 1000, frees) > 0.0);
        }
    }

    #[test]
    fn every_block_is_its_owners() {
        check(ours::pair());
        check(locked::tlsf());
        check(locked::talc());
        check((system::System, system::System));
        let lengths = lengths(WINDOW);
        assert!(bump::churn(&lengths, 100) > 0.0);
    }

    /// Gives everybody the same block.
    struct Shared(u64);

    impl Blocks for Shared {
        type Block = ();

        fn alloc(&mut self, _: u32, tag: u64) {
            self.0 = tag;
        }

        fn free(&mut self, (): (), _: u32) -> u64 {
            self.0
        }
    }

    #[test]
    #[should_panic(expected = "nobody else wrote the block")]
    fn a_block_given_twice_is_noticed() {
        one_thread(&mut Shared(0), &lengths(WINDOW), 1);
    }

    #[test]
    fn rates_of_two_threads_are_added() {
        assert_eq!(super::at_once(|| 2.0, || 2.0).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn lengths_are_spread_over_the_range() {
        let lengths = lengths(4096);
        assert!(lengths.iter().all(|len| (256..65_536).contains(len)));
        for power in 8..16 {
            let share = lengths.iter().filter(|len| len.ilog2() == power).count();
            assert!((400..640).contains(&share), "2^{power}: {share} of 4096");
        }
    }
}
