//! What a dead participant had of the rings, and giving its ends to others.

use super::cursor::{Cursor, UNIT_BYTES};
use super::frame::{FLAG_OBJECT, FLAG_PADDING, Header};
use super::{Part, ROLE_HELD, ROLE_LEFT, at};
use crate::arena::Carrier;
use crate::region::Shared;
use crate::sync::Ordering;
use crate::sync::bell::Bell;
use crate::sync::order::{self, Pair};
use alloc::collections::BTreeSet;

/// What a dead participant had to do with one ring.
#[derive(Debug)]
pub(crate) struct Left {
    /// What the cells of blocks in this ring say.
    pub(crate) carrier: Carrier,
    /// It was the producer.
    pub(crate) wrote: bool,
    /// It was the consumer.
    pub(crate) read: bool,
    /// Handles of the object frames between head and tail.
    pub(crate) handles: BTreeSet<u64>,
}

/// A frame where there can be none: only among participants that do not keep to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

fn parts(shared: &Shared) -> [Part; 2] {
    [Part::inbox(&shared.layout), Part::outbox(&shared.layout)]
}

/// Both rings as the dead participant left them.
///
/// Of a ring of which it held an end, that end's cursor does not move any more. So the handles, read once, are enough
/// for all that follows: what a living reader takes meanwhile changes its cell, and what a living writer adds was never
/// the dead one's.
pub(crate) fn left_by(shared: &Shared, dead: u8) -> [Left; 2] {
    parts(shared).map(|part| {
        let holds = |role| {
            let role = shared.memory.u32(part.cursors + role);
            role.load(order::acquire(Pair::Role)) == ROLE_HELD | u32::from(dead)
        };
        let (wrote, read) = (holds(at::PRODUCER), holds(at::CONSUMER));
        let mut handles = BTreeSet::new();
        if wrote || read {
            // Of a corrupt ring: as far as it makes sense. Its ends refuse to work anyway.
            let _ = walk(shared, part, |handle| {
                handles.insert(handle);
            });
        }
        Left { carrier: part.carrier(), wrote, read, handles }
    })
}

/// Where a side of a ring stands.
fn cursor(shared: &Shared, part: Part, at: u32, pair: Pair) -> Cursor {
    Cursor::from_bits(shared.memory.u64(part.cursors + at).load(order::acquire(pair)))
}

/// Visits the frames between head and tail, and tells the handles of those that carry a block; returns the number of
/// frames. Takes at most as many steps as the ring has units. For a ring one of whose ends is dead: then nobody writes
/// what lies between the cursors.
pub(crate) fn walk(shared: &Shared, part: Part, mut tell: impl FnMut(u64)) -> Result<u32, Broken> {
    // The head first: a reader at work only makes the distance shorter.
    let mut head = cursor(shared, part, at::HEAD, Pair::RingHead);
    let tail = cursor(shared, part, at::TAIL, Pair::RingTail);
    let unit = |units: u32| {
        let mut bytes = [0; UNIT_BYTES as usize];
        // By whole words: this is neither end of the ring, and has no claim to the bytes.
        shared.memory.read_words(part.offset(units), &mut bytes);
        u64::from_le_bytes(bytes)
    };
    let span = tail.since(head);
    if !span.fits(part.units) {
        return Err(Broken);
    }
    while head != tail {
        let header = Header::from_bits(unit(head.units()));
        let to_end = part.units - part.index(head.units());
        let units = header.units(to_end, tail.since(head), part.units).ok_or(Broken)?;
        if header.flags & FLAG_PADDING != 0 {
            head = head.past_padding(units);
            continue;
        }
        if header.flags & FLAG_OBJECT != 0 {
            tell(unit(head.units().wrapping_add(1)));
        }
        head = head.after(units);
    }
    Ok(span.frames)
}

/// Frames in the inbox and the outbox; `None` of cursors that do not fit each other. No header is read: both ends may be
/// at work, and what they write they write as plain bytes.
pub(crate) fn frames(shared: &Shared) -> [Option<u32>; 2] {
    parts(shared).map(|part| {
        let head = cursor(shared, part, at::HEAD, Pair::RingHead);
        let span = cursor(shared, part, at::TAIL, Pair::RingTail).since(head);
        span.fits(part.units).then_some(span.frames)
    })
}

/// Makes the ends that the dead participant held free for others, and wakes everybody who may wait for it.
pub(crate) fn vacate(shared: &Shared, dead: u8) {
    for part in parts(shared) {
        for (role, sleepers) in [(at::PRODUCER, at::ROOM_SLEEPERS), (at::CONSUMER, at::DATA_SLEEPERS)] {
            let (held, role) = (ROLE_HELD | u32::from(dead), shared.memory.u32(part.cursors + role));
            if role.load(Ordering::Relaxed) != held {
                continue;
            }
            // It may have died asleep, or having asked for fences, and only the holder of the role does either there: the
            // next one starts from 0.
            shared.memory.u32(part.cursors + sleepers).store(0, Ordering::Relaxed);
            // Release: what was taken back is visible to the next holder.
            let _ = role.compare_exchange(held, ROLE_LEFT, order::acq_rel(Pair::Role), Ordering::Relaxed);
        }
        for (word, sleepers) in [(at::DATA_WORD, at::DATA_SLEEPERS), (at::ROOM_WORD, at::ROOM_SLEEPERS)] {
            Bell { word: part.cursors + word, sleepers: part.cursors + sleepers }.ring(shared);
        }
    }
}
