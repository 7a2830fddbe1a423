//! Two rings of numbers.

use rtrb::{Consumer, Producer, RingBuffer};

use super::Link;
use crate::machine::Pause;

pub(crate) struct Rings {
    there: Producer<u64>,
    back: Consumer<u64>,
}

/// Both ends, for two threads.
pub(crate) fn threads() -> (Rings, Rings) {
    let (near, far) = (RingBuffer::new(64), RingBuffer::new(64));
    (Rings { there: near.0, back: far.1 }, Rings { there: far.0, back: near.1 })
}

impl Link for Rings {
    fn send(&mut self, number: u64) {
        self.there.push(number).expect("the other end has taken the last one");
    }

    fn receive(&mut self) -> u64 {
        let mut pause = Pause::short();
        loop {
            match self.back.pop() {
                Ok(number) => return number,
                Err(_) => pause.wait(),
            }
        }
    }
}
