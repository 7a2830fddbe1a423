//! rtrb as a ring of bytes with a length in front of each message, and as a ring of numbers.

use rtrb::chunks::{ReadChunk, WriteChunkUninit};
use rtrb::{Consumer, Producer, RingBuffer};

use super::{RING_BYTES, Receiver, Sender};

/// Bytes of the length in front of a message.
const HEADER: usize = 4;

pub(super) struct Bytes(Producer<u8>);

/// Takes one message at a time.
pub(super) struct One(Consumer<u8>);

/// Takes all that is there, and gives it back as one.
pub(super) struct Drain(Consumer<u8>);

pub(super) struct TypedSender(Producer<u64>);

pub(super) struct TypedReceiver(Consumer<u64>);

pub(super) fn ring() -> (Bytes, One) {
    let (producer, consumer) = ends();
    (Bytes(producer), One(consumer))
}

pub(super) fn drained() -> (Bytes, Drain) {
    let (producer, consumer) = ends();
    (Bytes(producer), Drain(consumer))
}

pub(super) fn typed() -> (TypedSender, TypedReceiver) {
    let (producer, consumer) = RingBuffer::new(RING_BYTES / 8);
    (TypedSender(producer), TypedReceiver(consumer))
}

/// Every byte of the ring was written once, so that none is uninitialised when a message is sent unwritten.
fn ends() -> (Producer<u8>, Consumer<u8>) {
    let (mut producer, mut consumer) = RingBuffer::new(RING_BYTES);
    producer.push_entire_slice(&vec![0; RING_BYTES]).expect("the ring is empty");
    consumer.pop_entire_slice(&mut vec![0; RING_BYTES]).expect("the ring is full");
    (producer, consumer)
}

impl Bytes {
    /// Writes `head` and then `payload` to the ring, of which `len` more bytes become part of the message.
    fn put(&mut self, len: usize, payload: &[u8]) -> bool {
        let Ok(mut chunk) = self.0.write_chunk_uninit(HEADER + len) else { return false };
        let header = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
        write_at(&mut chunk, 0, &header);
        write_at(&mut chunk, HEADER, payload);
        // SAFETY:
        // - `ends` initialised every byte of the ring, and bytes stay initialised when they are read.
        unsafe { chunk.commit_all() };
        true
    }
}

fn write_at(chunk: &mut WriteChunkUninit<'_, u8>, offset: usize, bytes: &[u8]) {
    let (first, second) = chunk.as_mut_slices();
    let in_first = first.len().saturating_sub(offset).min(bytes.len());
    let (front, back) = bytes.split_at(in_first);
    if !front.is_empty() {
        first[offset..offset + in_first].write_copy_of_slice(front);
    }
    if !back.is_empty() {
        let start = offset + in_first - first.len();
        second[start..start + back.len()].write_copy_of_slice(back);
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

/// `len` bytes from `offset` on, in one or two parts.
fn part<'a>((first, second): (&'a [u8], &'a [u8]), offset: usize, len: usize) -> (&'a [u8], &'a [u8]) {
    match offset.checked_sub(first.len()) {
        Some(offset) => (&second[offset..offset + len], &[]),
        None if offset + len <= first.len() => (&first[offset..offset + len], &[]),
        None => (&first[offset..], &second[..offset + len - first.len()]),
    }
}

fn message_len(slices: (&[u8], &[u8]), offset: usize) -> usize {
    let (first, second) = part(slices, offset, HEADER);
    let mut header = [0; HEADER];
    header[..first.len()].copy_from_slice(first);
    header[first.len()..].copy_from_slice(second);
    u32::from_le_bytes(header) as usize
}

impl Receiver for One {
    fn receive(&mut self, mut take: impl FnMut(&[u8], &[u8])) -> u64 {
        let Ok(header) = self.0.read_chunk(HEADER) else { return 0 };
        let len = message_len(header.as_slices(), 0);
        let chunk = self.0.read_chunk(HEADER + len).expect("a message is committed as a whole");
        let (first, second) = part(chunk.as_slices(), HEADER, len);
        take(first, second);
        chunk.commit_all();
        1
    }
}

impl Receiver for Drain {
    fn receive(&mut self, mut take: impl FnMut(&[u8], &[u8])) -> u64 {
        let there = self.0.slots();
        let chunk: ReadChunk<'_, u8> = self.0.read_chunk(there).expect("they are there");
        let slices = chunk.as_slices();
        let (mut offset, mut messages) = (0, 0);
        while offset < there {
            let len = message_len(slices, offset);
            let (first, second) = part(slices, offset + HEADER, len);
            take(first, second);
            offset += HEADER + len;
            messages += 1;
        }
        chunk.commit_all();
        messages
    }
}

impl Sender for TypedSender {
    fn send(&mut self, payload: &[u8]) -> bool {
        let word = payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.0.push(word).is_ok()
    }

    fn send_unwritten(&mut self, _: usize) -> bool {
        self.0.push(0).is_ok()
    }
}

impl Receiver for TypedReceiver {
    fn receive(&mut self, mut take: impl FnMut(&[u8], &[u8])) -> u64 {
        let there = self.0.slots();
        let chunk = self.0.read_chunk(there).expect("they are there");
        for word in chunk {
            take(&word.to_le_bytes(), &[]);
        }
        there as u64
    }
}
