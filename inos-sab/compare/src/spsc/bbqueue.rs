//! bbqueue with frames: each message in one piece, a length of two bytes in front.

use bbqueue::nicknames::GogiGui;
use bbqueue::prod_cons::framed::{FramedConsumer, FramedProducer};
use bbqueue::traits::bbqhdl::BbqHandle;
use bbqueue::traits::storage::BoxedSlice;

use super::{RING_BYTES, Receiver, Sender};

pub(super) struct Frames<Q: BbqHandle>(FramedProducer<Q>);

pub(super) struct One<Q: BbqHandle>(FramedConsumer<Q>);

pub(super) fn ring() -> (impl Sender, impl Receiver) {
    let queue = GogiGui::new_with_storage(BoxedSlice::new(RING_BYTES));
    (Frames(queue.framed_producer()), One(queue.framed_consumer()))
}

impl<Q: BbqHandle> Frames<Q> {
    fn put(&mut self, len: usize, payload: &[u8]) -> bool {
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        let Ok(mut grant) = self.0.grant(len) else { return false };
        grant[..payload.len()].copy_from_slice(payload);
        grant.commit(len);
        true
    }
}

impl<Q: BbqHandle> Sender for Frames<Q>
where
    FramedProducer<Q>: Send,
{
    fn send(&mut self, payload: &[u8]) -> bool {
        self.put(payload.len(), payload)
    }

    fn send_unwritten(&mut self, len: usize) -> bool {
        self.put(len, &[])
    }
}

impl<Q: BbqHandle> Receiver for One<Q> {
    fn receive(&mut self, mut take: impl FnMut(&[u8], &[u8])) -> u64 {
        let Ok(grant) = self.0.read() else { return 0 };
        take(&grant, &[]);
        grant.release();
        1
    }
}
