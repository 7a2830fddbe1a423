//! ringbuf as a ring of bytes with a length in front of each message.

use ringbuf::traits::{Consumer, Observer, Producer, Raw, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::{RING_BYTES, Receiver, Sender};

/// Bytes of the length in front of a message.
const HEADER: usize = 4;

pub(super) struct Bytes(HeapProd<u8>);

pub(super) struct One(HeapCons<u8>);

/// Every byte of the ring was written once, so that none is uninitialised when a message is sent unwritten.
pub(super) fn ring() -> (Bytes, One) {
    let (mut producer, mut consumer) = HeapRb::new(RING_BYTES).split();
    producer.push_slice(&vec![0; RING_BYTES]);
    consumer.pop_slice(&mut vec![0; RING_BYTES]);
    (Bytes(producer), One(consumer))
}

impl Bytes {
    fn put(&mut self, len: usize, payload: &[u8]) -> bool {
        if self.0.vacant_len() < HEADER + len {
            return false;
        }
        let header = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
        let (first, second) = self.0.vacant_slices_mut();
        let mut offset = 0;
        for bytes in [&header[..], payload] {
            let in_first = first.len().saturating_sub(offset).min(bytes.len());
            let (front, back) = bytes.split_at(in_first);
            if !front.is_empty() {
                first[offset..offset + in_first].write_copy_of_slice(front);
            }
            if !back.is_empty() {
                let start = offset + in_first - first.len();
                second[start..start + back.len()].write_copy_of_slice(back);
            }
            offset += bytes.len();
        }
        // SAFETY:
        // - this many slots are vacant, as was looked at above;
        // - `ring` initialised every byte of the ring, and bytes stay initialised when they are read.
        unsafe { self.0.advance_write_index(HEADER + len) };
        true
    }
}

impl Sender for Bytes {
    fn send(&mut self, payload: &[u8]) -> bool {
        self.put(payload.len(), payload)
    }

    fn send_unwritten(&mut self, len: usize) -> bool {
        self.put(len, &[])
    }
}

impl Receiver for One {
    fn receive(&mut self, mut take: impl FnMut(&[u8], &[u8])) -> u64 {
        let mut header = [0; HEADER];
        if self.0.peek_slice(&mut header) < HEADER {
            return 0;
        }
        let len = u32::from_le_bytes(header) as usize;
        let (first, second) = self.0.as_slices();
        let (all, end) = (first.len(), HEADER + len);
        match HEADER.checked_sub(all) {
            Some(offset) => take(&second[offset..offset + len], &[]),
            None if end <= all => take(&first[HEADER..end], &[]),
            None => take(&first[HEADER..], &second[..end - all]),
        }
        self.0.skip(end);
        1
    }
}
