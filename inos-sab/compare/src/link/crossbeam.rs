//! Two queues of numbers.

use alloc::sync::Arc;
use crossbeam_queue::ArrayQueue;

use super::Link;
use crate::machine::Pause;

pub(crate) struct Queues {
    there: Arc<ArrayQueue<u64>>,
    back: Arc<ArrayQueue<u64>>,
}

/// Both ends, for two threads.
pub(crate) fn threads() -> (Queues, Queues) {
    let (there, back) = (Arc::new(ArrayQueue::new(64)), Arc::new(ArrayQueue::new(64)));
    let near = Queues { there: Arc::clone(&there), back: Arc::clone(&back) };
    (near, Queues { there: back, back: there })
}

impl Link for Queues {
    fn send(&mut self, number: u64) {
        self.there.push(number).expect("the other end has taken the last one");
    }

    fn receive(&mut self) -> u64 {
        let mut pause = Pause::short();
        loop {
            match self.back.pop() {
                Some(number) => return number,
                None => pause.wait(),
            }
        }
    }
}
