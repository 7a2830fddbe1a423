//! crossbeam's `ArrayQueue` of arrays: for any number of threads, but messages of one length.

use alloc::sync::Arc;
use crossbeam_queue::ArrayQueue;

use super::{RING_BYTES, Receiver, Sender};

pub(super) struct Queue<const LEN: usize>(Arc<ArrayQueue<[u8; LEN]>>);

pub(super) fn ring<const LEN: usize>() -> (Queue<LEN>, Queue<LEN>) {
    let queue = Arc::new(ArrayQueue::new(RING_BYTES / LEN));
    (Queue(Arc::clone(&queue)), Queue(queue))
}

impl<const LEN: usize> Sender for Queue<LEN> {
    fn send(&mut self, payload: &[u8]) -> bool {
        payload.first_chunk().is_some_and(|message| self.0.push(*message).is_ok())
    }

    fn send_unwritten(&mut self, _: usize) -> bool {
        self.0.push([0; LEN]).is_ok()
    }
}

impl<const LEN: usize> Receiver for Queue<LEN> {
    fn receive(&mut self, mut take: impl FnMut(&[u8], &[u8])) -> u64 {
        let mut messages = 0;
        while let Some(message) = self.0.pop() {
            take(&message, &[]);
            messages += 1;
        }
        messages
    }
}
