//! Memory in which the model checker sees every access: one object per word, one per eight payload bytes.

use super::Map;
use crate::error::RegionError;
use crate::layout::table::{FIELDS, Field, PARTICIPANT_BYTES, Part};
use crate::layout::{CHUNK_LINE_BYTES, GRANULE_BYTES, GRANULE_META_BYTES, Layout};
use crate::sync::die::{haunt, seen, step};
use crate::sync::{AtomicU32, AtomicU64};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::cell::Cell;
use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex};

/// Records of participants: models have few.
const MODEL_PARTICIPANTS: u32 = 3;

#[derive(Debug)]
enum Word {
    U32(AtomicU32),
    U64(AtomicU64),
    Plain(Plain),
}

/// The bytes are in `latest`, for those too who only look back; `access` has the checker see who reads and writes them.
#[derive(Debug, Default)]
struct Plain {
    access: UnsafeCell<()>,
    latest: Cell<[u8; 8]>,
}

impl Plain {
    fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    fn seen(&self, dead: bool) -> [u8; 8] {
        let latest = self.latest.get();
        if dead { seen(self.address(), u64::from_le_bytes(latest)).to_le_bytes() } else { latest }
    }
}

#[derive(Debug)]
struct Words {
    words: BTreeMap<u32, Word>,
    map: Map,
    futex: (Mutex<()>, Condvar),
}

/// A clone is another mapping of the same memory.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Words>);

// SAFETY:
// - the checker's cells are not `Sync` on their own; it reports any two accesses that are not ordered.
unsafe impl Send for Memory {}
// SAFETY:
// - as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(crate) fn heap(layout: &Layout) -> Result<Self, RegionError> {
        let mut memory =
            Words { words: BTreeMap::new(), map: Map::new(layout), futex: (Mutex::new(()), Condvar::new()) };
        for field in FIELDS {
            let records = 0..MODEL_PARTICIPANTS;
            match field.part {
                Part::Switchboard => memory.add(field, layout.switchboard().offset),
                // Models attach nobody.
                Part::Superblock => {}
                Part::Sleepers => memory.add(field, layout.sleepers().offset),
                Part::Cursors => {
                    for part in [layout.inbox_cursors(), layout.outbox_cursors()] {
                        memory.add(field, part.offset);
                    }
                }
                Part::Participant => {
                    records.for_each(|id| memory.add(field, layout.participants().offset + id * PARTICIPANT_BYTES))
                }
            }
        }
        let arena = layout.arena().offset;
        for chunk in 0..layout.chunk_count() {
            (0..5).for_each(|word| memory.add_u64(arena + chunk * CHUNK_LINE_BYTES + word * 8));
        }
        let cells = arena + layout.chunk_count() * CHUNK_LINE_BYTES;
        let granules = layout.max_block_len() / GRANULE_BYTES;
        (0..granules * GRANULE_META_BYTES / 8).for_each(|word| memory.add_u64(cells + word * 8));
        (layout.inbox().offset..layout.outbox().end()).step_by(8).for_each(|at| memory.add_plain(at));
        // The models write the first eight bytes of a block.
        (layout.arena_data()..layout.end()).step_by(GRANULE_BYTES as usize).for_each(|at| memory.add_plain(at));
        Ok(Self(Arc::new(memory)))
    }

    pub(crate) fn futex(&self) -> &(Mutex<()>, Condvar) {
        &self.0.futex
    }

    pub(crate) fn u32(&self, offset: u32) -> &AtomicU32 {
        assert!(self.0.map.is_word(offset, 4), "offset {offset} is a 32-bit word");
        match self.0.words.get(&offset) {
            Some(Word::U32(word)) => word,
            other => panic!("offset {offset} is used as u32 and is {other:?}"),
        }
    }

    pub(crate) fn u64(&self, offset: u32) -> &AtomicU64 {
        assert!(self.0.map.is_word(offset, 8), "offset {offset} is a 64-bit word");
        match self.0.words.get(&offset) {
            Some(Word::U64(word)) => word,
            other => panic!("offset {offset} is used as u64 and is {other:?}"),
        }
    }

    fn plain(&self, offset: u32) -> &Plain {
        assert!(self.0.map.is_plain(offset, 8), "offset {offset} is payload");
        match self.0.words.get(&offset) {
            Some(Word::Plain(plain)) => plain,
            other => panic!("offset {offset} is used as payload and is {other:?}"),
        }
    }

    /// # Safety
    ///
    /// - Checked by the model: the caller owns the range.
    pub(crate) unsafe fn write(&self, offset: u32, source: &[u8]) {
        let dead = step();
        for (index, byte) in (offset..).zip(source) {
            let plain = self.plain(index & !7);
            let mut bytes = plain.seen(dead);
            bytes[(index & 7) as usize] = *byte;
            if dead {
                haunt(plain.address(), u64::from_le_bytes(bytes));
            } else {
                // The checker panics if this access is not ordered with another one.
                plain.access.with_mut(|_| plain.latest.set(bytes));
            }
        }
    }

    /// # Safety
    ///
    /// - Checked by the model: nobody writes the range.
    pub(crate) unsafe fn read(&self, offset: u32, target: &mut [u8]) {
        let dead = step();
        for (index, byte) in (offset..).zip(target) {
            let plain = self.plain(index & !7);
            if !dead {
                plain.access.with(|_| ());
            }
            *byte = plain.seen(dead)[(index & 7) as usize];
        }
    }

    pub(crate) fn write_words(&self, offset: u32, source: &[u8]) {
        // SAFETY:
        // - checked by the model, as in `write`.
        unsafe { self.write(offset, source) }
    }

    pub(crate) fn read_words(&self, offset: u32, target: &mut [u8]) {
        // SAFETY:
        // - checked by the model, as in `read`.
        unsafe { self.read(offset, target) }
    }
}

impl Words {
    fn add(&mut self, field: &Field, base: u32) {
        for index in 0..field.count {
            let offset = base + field.offset + index * field.stride;
            if field.width == 4 { self.add_u32(offset) } else { self.add_u64(offset) }
        }
    }

    fn add_u32(&mut self, offset: u32) {
        self.words.insert(offset, Word::U32(AtomicU32::new(0)));
    }

    fn add_u64(&mut self, offset: u32) {
        self.words.insert(offset, Word::U64(AtomicU64::new(0)));
    }

    fn add_plain(&mut self, offset: u32) {
        self.words.insert(offset, Word::Plain(Plain::default()));
    }
}
