//! Cases `spsc-*`: messages from one thread to another, as many as possible.

mod bbqueue;
mod crossbeam;
mod ours;
mod ringbuf;
mod rtrb;

use core::hint::black_box;
use core::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::Effort;
use crate::contest::{Apart, Contestant, Parts, Role, Stopwatch, compete};
use crate::machine::{End, Pause, take_place};
use crate::payload::{self, Touch};
use crate::report::{Row, Unit};

/// Room that every ring has, its own headers included.
const RING_BYTES: usize = 1 << 19;

/// The longest message of a case.
const MAX_LEN: usize = 1024;

/// The writing end of a ring.
trait Sender: Send {
    /// Whether there was room for this message.
    fn send(&mut self, payload: &[u8]) -> bool;

    /// Whether there was room for a message of `len` bytes whose content is whatever was there before.
    fn send_unwritten(&mut self, len: usize) -> bool;

    /// Sends all messages of a turn.
    fn run(&mut self, work: Work) {
        let mut pause = Pause::growing();
        match work.touch {
            Touch::Touch => {
                let mut message = [0; MAX_LEN];
                for number in 0..work.messages {
                    let message = work.message(number, &mut message);
                    while !self.send(message) {
                        pause.wait();
                    }
                    pause.reset();
                }
            }
            Touch::NoTouch => {
                for _ in 0..work.messages {
                    while !self.send_unwritten(work.len) {
                        pause.wait();
                    }
                    pause.reset();
                }
            }
        }
    }
}

/// The reading end of a ring.
trait Receiver {
    /// Hands over what is there, up to as much as the ring likes, and returns how many messages that were. A message that
    /// lies around the end of the ring comes in two parts, otherwise the second is empty.
    fn receive(&mut self, take: impl FnMut(&[u8], &[u8])) -> u64;
}

/// What one turn does.
#[derive(Clone, Copy, Debug)]
struct Work {
    messages: u64,
    len: usize,
    touch: Touch,
}

impl Work {
    /// Writes the message with this number to the start of `space`.
    fn message(self, number: u64, space: &mut [u8; MAX_LEN]) -> &[u8] {
        let message = &mut space[..self.len];
        payload::write(number, message);
        message
    }

    fn expected_sum(self) -> u64 {
        let of_each = |number| payload::expected_sum(number, self.len);
        (0..self.messages).map(of_each).fold(0, u64::wrapping_add)
    }
}

/// Receives all messages of a turn; seconds per message, and the sum of what was touched.
fn receive_all(receiver: &mut impl Receiver, work: Work) -> (f64, u64) {
    let stopwatch = Stopwatch::start();
    let (mut messages, mut sum) = (0, 0_u64);
    let mut pause = Pause::growing();
    let mut whole = [0; MAX_LEN];
    while messages < work.messages {
        let received = match work.touch {
            Touch::Touch => receiver.receive(|first, second| {
                let of_message = if second.is_empty() {
                    payload::sum(first)
                } else {
                    let (front, back) = whole.split_at_mut(first.len());
                    front.copy_from_slice(first);
                    back[..second.len()].copy_from_slice(second);
                    payload::sum(&whole[..first.len() + second.len()])
                };
                sum = sum.wrapping_add(of_message);
            }),
            Touch::NoTouch => {
                receiver.receive(|first, second| sum = sum.wrapping_add((first.len() + second.len()) as u64))
            }
        };
        messages += received;
        if received == 0 {
            pause.wait();
        } else {
            pause.reset();
        }
    }
    // Of the turn as a whole: its parts may be shorter than a ring, and then show how fast a full ring is emptied.
    (stopwatch.seconds_per(work.messages), sum)
}

/// One turn: seconds per message, from the moment that both ends are ready.
fn transfer(sender: &mut impl Sender, receiver: &mut impl Receiver, work: Work) -> f64 {
    let (ready, go) = (&AtomicBool::new(false), &AtomicBool::new(false));
    let (seconds, sum) = thread::scope(|scope| {
        scope.spawn(move || {
            take_place(End::Far);
            // Only the moment matters: what the flags guard is handed over by the scope.
            ready.store(true, Ordering::Relaxed);
            let mut pause = Pause::short();
            while !go.load(Ordering::Relaxed) {
                pause.wait();
            }
            sender.run(black_box(work));
        });
        let mut pause = Pause::short();
        while !ready.load(Ordering::Relaxed) {
            pause.wait();
        }
        go.store(true, Ordering::Relaxed);
        receive_all(receiver, black_box(work))
    });
    let expected = match work.touch {
        Touch::Touch => work.expected_sum(),
        Touch::NoTouch => work.messages * work.len as u64,
    };
    assert_eq!(sum, expected, "every message arrived, and whole");
    seconds
}

/// One thread that copies the messages to a buffer as large as the rings: nothing that copies can be faster.
fn memcpy<'a>(work: Work) -> Contestant<'a> {
    let mut ring = vec![1; RING_BYTES];
    let source = [2; MAX_LEN];
    Contestant::new("memcpy", Role::Limit, move || {
        let len = black_box(work.len);
        let mut parts = Parts::start(work.messages);
        let mut messages = 0;
        while messages < work.messages {
            for slot in ring.chunks_exact_mut(len) {
                slot.copy_from_slice(black_box(&source[..len]));
            }
            messages += (RING_BYTES / len) as u64;
            black_box(&mut ring);
            parts.reached(messages);
        }
        parts.median()
    })
}

fn contestant<'a>(
    name: &'static str,
    role: Role,
    (sender, receiver): (impl Sender + 'a, impl Receiver + 'a),
    work: Work,
) -> Contestant<'a> {
    let mut ends = (Apart(sender), Apart(receiver));
    Contestant::new(name, role, move || {
        // All of `ends`: fields that are named alone would be captured without their alignment.
        let (near, far) = &mut ends;
        transfer(&mut near.0, &mut far.0, work)
    })
}

/// Messages of `LEN` bytes.
pub(crate) fn run<const LEN: usize>(case: &'static str, touch: Touch, effort: Effort) -> Row {
    let messages = effort.units(if LEN > 64 { 60_000 } else { 250_000 });
    let work = Work { messages, len: LEN, touch };
    let mut contestants = vec![
        contestant("ours", Role::Ours, ours::ring(), work),
        contestant("rtrb", Role::Peer, rtrb::ring(), work),
        contestant("rtrb-drain", Role::Peer, rtrb::drained(), work),
        contestant("ringbuf", Role::Peer, ringbuf::ring(), work),
        contestant("bbqueue", Role::Peer, bbqueue::ring(), work),
        contestant("crossbeam", Role::Peer, crossbeam::ring::<LEN>(), work),
        memcpy(work),
        contestant("ours in batches of 32", Role::Aside, ours::batches(), work),
    ];
    if LEN == 8 {
        contestants.push(contestant("rtrb-u64", Role::Peer, rtrb::typed(), work));
    }
    let what = match touch {
        Touch::Touch => "payloads written and summed",
        Touch::NoTouch => "payloads neither written nor read, but where the peer cannot but copy (crossbeam)",
    };
    let mut notes = vec![format!("two threads, {LEN} bytes, {what}")];
    if LEN == 8 {
        notes.push("rtrb-u64: a ring of u64, not of frames".into());
    }
    let unit = if LEN > 64 { Unit::gigabytes(LEN) } else { Unit::MESSAGES };
    Row::new(case, unit, &compete(&mut contestants, effort.rounds), &[], notes)
}

#[cfg(test)]
mod tests {
    //! Every ring brings every message, whole and once, also around its end: `transfer` compares the sums. A ring that
    //! loses one must be noticed.

    use super::{Receiver, Sender, Work, bbqueue, crossbeam, ours, ringbuf, rtrb, transfer};
    use crate::payload::Touch;

    /// Enough for each ring to fill several times.
    fn check((mut sender, mut receiver): (impl Sender, impl Receiver), len: usize) {
        for touch in [Touch::Touch, Touch::NoTouch, Touch::Touch] {
            let messages = 3 * super::RING_BYTES as u64 / len as u64 + 7;
            assert!(transfer(&mut sender, &mut receiver, Work { messages, len, touch }) > 0.0);
        }
    }

    #[test]
    fn every_ring_brings_every_message() {
        for len in [8, 64, 1024] {
            check(ours::ring(), len);
            check(ours::batches(), len);
            check(rtrb::ring(), len);
            check(rtrb::drained(), len);
            check(ringbuf::ring(), len);
            check(bbqueue::ring(), len);
        }
        check(crossbeam::ring::<8>(), 8);
        check(crossbeam::ring::<64>(), 64);
        check(crossbeam::ring::<1024>(), 1024);
        check(rtrb::typed(), 8);
    }

    /// Says that it sent the third message and does not.
    struct Lossy<S>(S, u32);

    impl<S: Sender> Sender for Lossy<S> {
        fn send(&mut self, payload: &[u8]) -> bool {
            self.1 += 1;
            if self.1 == 3 { self.0.send(&[0; 8]) } else { self.0.send(payload) }
        }

        fn send_unwritten(&mut self, len: usize) -> bool {
            self.0.send_unwritten(len)
        }
    }

    #[test]
    #[should_panic(expected = "every message arrived")]
    fn a_changed_message_is_noticed() {
        let (sender, mut receiver) = ours::ring();
        transfer(&mut Lossy(sender, 0), &mut receiver, Work { messages: 10, len: 8, touch: Touch::Touch });
    }
}
