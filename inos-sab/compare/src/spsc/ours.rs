//! Frames of the inbox, one by one and in batches.

use inos_sab::{Consumer, Flow, Frame, Layout, Producer, Region, Threads};

use super::{MAX_LEN, Receiver, Sender, Work};
use crate::machine::Pause;
use crate::payload::Touch;

/// Frames per batch.
const BATCH: u64 = 32;

pub(super) struct One(Producer);

pub(super) struct Batches(Producer);

pub(super) struct Drain(Consumer);

pub(super) fn ring() -> (One, Drain) {
    let (producer, consumer) = ends();
    (One(producer), Drain(consumer))
}

pub(super) fn batches() -> (Batches, Drain) {
    let (producer, consumer) = ends();
    (Batches(producer), Drain(consumer))
}

fn ends() -> (Producer, Consumer) {
    let layout = Layout::compact(1 << 19, 1 << 20, 1 << 16).expect("powers of two");
    let region = Region::<Threads>::heap(&layout).expect("memory");
    let producer = region.inbox_producer().expect("nobody else has this region");
    (producer, region.inbox_consumer().expect("nobody else has this region"))
}

impl Sender for One {
    fn send(&mut self, payload: &[u8]) -> bool {
        self.0.try_push(1, payload).is_ok()
    }

    fn send_unwritten(&mut self, len: usize) -> bool {
        let Ok(claim) = self.0.claim(1, u32::try_from(len).unwrap_or(u32::MAX)) else { return false };
        claim.commit();
        true
    }
}

impl Sender for Batches {
    fn send(&mut self, payload: &[u8]) -> bool {
        self.0.batch().push(1, payload).is_ok()
    }

    fn send_unwritten(&mut self, len: usize) -> bool {
        self.send(&[0; MAX_LEN][..len])
    }

    fn run(&mut self, work: Work) {
        let mut pause = Pause::growing();
        let mut message = [0; MAX_LEN];
        let mut number = 0;
        while number < work.messages {
            let end = work.messages.min(number + BATCH);
            let before = number;
            let mut batch = self.0.batch();
            while number < end {
                let message = match work.touch {
                    Touch::Touch => work.message(number, &mut message),
                    Touch::NoTouch => &message[..work.len],
                };
                if batch.push(1, message).is_err() {
                    break;
                }
                number += 1;
            }
            batch.publish();
            if number == before {
                pause.wait();
            } else {
                pause.reset();
            }
        }
    }
}

impl Receiver for Drain {
    fn receive(&mut self, mut take: impl FnMut(&[u8], &[u8])) -> u64 {
        let frames = self.0.drain(usize::MAX, |frame| {
            if let Frame::Inline { payload, .. } = frame {
                take(payload.bytes(), &[]);
            }
            Flow::Continue
        });
        frames.expect("the words of the ring are ours alone") as u64
    }
}
