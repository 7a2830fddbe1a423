//! Where a ring's words and data are: looked up once, so that a push or a take checks no addresses.

use super::Part;
#[cfg(not(inos_loom))]
use super::at;
use crate::region::Shared;
use alloc::sync::Arc;

#[cfg(not(inos_loom))]
mod imp {
    use super::{Arc, Part, Shared, at};
    use crate::sync::step::{copying, step};
    use crate::sync::{AtomicU32, AtomicU64, Ordering};
    use crate::trust::sealed::Sealed;
    use crate::trust::{Level, Trust};
    use core::ptr::NonNull;

    /// Payloads up to this long are copied by a few moves instead of a call.
    const SHORT: usize = 64;

    #[derive(Clone, Debug)]
    pub(crate) struct Place {
        shared: Arc<Shared>,
        part: Part,
        /// The ring's section of cursors.
        words: NonNull<u8>,
        /// The ring's data.
        data: NonNull<u8>,
    }

    // SAFETY:
    // - the pointers lead into memory that `shared` keeps, which is `Send` and `Sync`; they are used as it uses them.
    unsafe impl Send for Place {}
    // SAFETY:
    // - as above.
    unsafe impl Sync for Place {}

    impl Place {
        pub(crate) fn new(shared: Arc<Shared>, part: Part) -> Self {
            let words = shared.memory.section(part.cursors, at::END);
            let data = shared.memory.section(part.data, part.bytes());
            Self { shared, part, words, data }
        }

        pub(crate) fn shared(&self) -> &Arc<Shared> {
            &self.shared
        }

        #[inline]
        pub(crate) fn part(&self) -> Part {
            self.part
        }

        #[inline]
        fn word(&self, at: u32) -> NonNull<u8> {
            debug_assert!(at < at::END, "offset {at} is a ring's word");
            // SAFETY:
            // - offsets of words are constants of the table, which is proved to be within the section of cursors.
            unsafe { self.words.add(at as usize) }
        }

        /// The 32-bit word at `at` of the table.
        #[inline]
        pub(in crate::ring) fn u32(&self, at: u32) -> &AtomicU32 {
            // SAFETY:
            // - in memory that `shared` keeps; aligned, as sections start on cache lines and the table is aligned;
            // - only ever reached as an atomic of this width.
            unsafe { AtomicU32::from_ptr(self.word(at).as_ptr().cast()) }
        }

        /// The 64-bit word at `at` of the table.
        #[inline]
        pub(in crate::ring) fn u64(&self, at: u32) -> &AtomicU64 {
            // SAFETY:
            // - in memory that `shared` keeps; aligned, as sections start on cache lines and the table is aligned;
            // - only ever reached as an atomic of this width.
            unsafe { AtomicU64::from_ptr(self.word(at).as_ptr().cast()) }
        }

        /// The byte that unit `units` starts at: within the data, whatever the number.
        #[inline]
        fn unit(&self, units: u32) -> NonNull<u8> {
            // SAFETY:
            // - the index is masked to the ring's units, so its first byte is within the data.
            unsafe { self.data.add((self.part.index(units) * super::super::cursor::UNIT_BYTES) as usize) }
        }

        /// Asks for the line of unit `units`, which is about to be read.
        #[inline]
        pub(in crate::ring) fn prefetch(&self, units: u32) {
            #[cfg(target_arch = "x86_64")]
            {
                use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                // SAFETY:
                // - part of every x86-64 processor, and no access: any address is allowed.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(self.unit(units).as_ptr().cast()) };
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = units;
        }

        /// Writes one unit.
        ///
        /// # Safety
        ///
        /// - Unless `T` is `Hostile`: the caller owns the unit.
        #[inline]
        pub(in crate::ring) unsafe fn write_unit<T: Trust>(&self, units: u32, word: u64) {
            let unit = self.unit(units).cast();
            match <T as Sealed>::LEVEL {
                Level::Hostile => {
                    // SAFETY:
                    // - a whole unit of the data: valid, aligned to 8, and only ever reached as this atomic.
                    unsafe { AtomicU64::from_ptr(unit.as_ptr()) }.store(word.to_le(), Ordering::Relaxed);
                }
                Level::Threads | Level::Crash => {
                    step();
                    // SAFETY:
                    // - a whole unit of the data: valid, aligned to 8, and the caller's alone (contract).
                    unsafe { unit.write(word.to_le()) };
                }
            }
        }

        /// Reads one unit.
        ///
        /// # Safety
        ///
        /// - Unless `T` is `Hostile`: nobody writes the unit until the call ends.
        #[inline]
        pub(in crate::ring) unsafe fn read_unit<T: Trust>(&self, units: u32) -> u64 {
            let unit = self.unit(units).cast();
            match <T as Sealed>::LEVEL {
                Level::Hostile => {
                    // SAFETY:
                    // - a whole unit of the data: valid, aligned to 8, and only ever reached as this atomic.
                    u64::from_le(unsafe { AtomicU64::from_ptr(unit.as_ptr()) }.load(Ordering::Relaxed))
                }
                Level::Threads | Level::Crash => {
                    step();
                    // SAFETY:
                    // - a whole unit of the data: valid, aligned to 8, initialised, not written meanwhile (contract).
                    u64::from_le(unsafe { unit.read() })
                }
            }
        }

        /// Writes `bytes` from byte `skip` of unit `units` on.
        ///
        /// # Safety
        ///
        /// - The bytes end in front of the end of the ring.
        /// - Unless `T` is `Hostile`: the caller owns their units.
        #[inline]
        pub(in crate::ring) unsafe fn write<T: Trust>(&self, units: u32, skip: u32, bytes: &[u8]) {
            if <T as Sealed>::LEVEL == Level::Hostile {
                self.shared.memory.write_words(self.part.offset(units) + skip, bytes);
                return;
            }
            copying(bytes.len());
            step();
            // SAFETY:
            // - within the data (contract).
            let target = unsafe { self.unit(units).add(skip as usize) };
            // SAFETY:
            // - valid for the bytes (contract), which are the caller's alone, so `bytes` does not overlap.
            unsafe { copy(bytes.as_ptr(), target.as_ptr(), bytes.len()) };
        }

        /// Reads into `target` from byte `skip` of unit `units` on.
        ///
        /// # Safety
        ///
        /// - The bytes end in front of the end of the ring.
        /// - Unless `T` is `Hostile`: nobody writes them until the call ends.
        #[inline]
        pub(in crate::ring) unsafe fn read<T: Trust>(&self, units: u32, skip: u32, target: &mut [u8]) {
            if <T as Sealed>::LEVEL == Level::Hostile {
                self.shared.memory.read_words(self.part.offset(units) + skip, target);
                return;
            }
            copying(target.len());
            step();
            // SAFETY:
            // - within the data (contract).
            let source = unsafe { self.unit(units).add(skip as usize) };
            // SAFETY:
            // - valid and not written meanwhile (contract); `target` is an exclusive reference, so it does not overlap.
            unsafe { copy(source.as_ptr(), target.as_mut_ptr(), target.len()) };
        }

        /// The `len` bytes from unit `units` on.
        ///
        /// # Safety
        ///
        /// - They end in front of the end of the ring, and nobody writes them while the slice lives.
        #[inline]
        pub(in crate::ring) unsafe fn slice(&self, units: u32, len: u32) -> &[u8] {
            step();
            // SAFETY:
            // - within the data, initialised, not written meanwhile (contract), and `u8` has no alignment;
            // - the memory outlives the borrow of `self`.
            unsafe { core::slice::from_raw_parts(self.unit(units).as_ptr(), len as usize) }
        }

        /// The `len` bytes from unit `units` on, to be written.
        ///
        /// # Safety
        ///
        /// - They end in front of the end of the ring, and the caller owns their units while the slice lives.
        #[expect(clippy::mut_from_ref, reason = "exclusivity comes from the owner of the range, as the contract says")]
        pub(in crate::ring) unsafe fn slice_mut(&self, units: u32, len: u32) -> &mut [u8] {
            step();
            // SAFETY:
            // - within the data, initialised, the caller's alone (contract), and `u8` has no alignment;
            // - the memory outlives the borrow of `self`.
            unsafe { core::slice::from_raw_parts_mut(self.unit(units).as_ptr(), len as usize) }
        }
    }

    /// Copies few bytes by overlapping moves of one size each, more by the system's function.
    ///
    /// # Safety
    ///
    /// - `from` is valid for reads and `to` for writes of `len` bytes, and they do not overlap.
    #[inline]
    unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
        // Two blocks of `size`, at the start and at the end, cover `size..=2 * size` bytes.
        macro_rules! blocks {
            ($size:literal) => {{
                // SAFETY:
                // - `size <= len`.
                unsafe { core::ptr::copy_nonoverlapping(from, to, $size) };
                // SAFETY:
                // - `size <= len`, so the last `size` bytes are within both.
                let (from, to) = (from.wrapping_add(len - $size), to.wrapping_add(len - $size));
                // SAFETY:
                // - as said.
                unsafe { core::ptr::copy_nonoverlapping(from, to, $size) };
            }};
        }
        match len {
            0 => {}
            1 => {
                // SAFETY:
                // - one byte.
                let byte = unsafe { from.read() };
                // SAFETY:
                // - one byte.
                unsafe { to.write(byte) };
            }
            2..=3 => blocks!(2),
            4..=7 => blocks!(4),
            8..=16 => blocks!(8),
            17..=32 => blocks!(16),
            33..=SHORT => blocks!(32),
            _ => {
                // SAFETY:
                // - the contract of this function.
                unsafe { core::ptr::copy_nonoverlapping(from, to, len) };
            }
        }
    }
}

#[cfg(inos_loom)]
mod imp {
    use super::{Arc, Part, Shared};
    use crate::sync::{AtomicU32, AtomicU64};
    use crate::trust::Trust;

    /// The checker sees every access, so they all go through the memory.
    #[derive(Clone, Debug)]
    pub(crate) struct Place {
        shared: Arc<Shared>,
        part: Part,
    }

    impl Place {
        pub(crate) fn new(shared: Arc<Shared>, part: Part) -> Self {
            Self { shared, part }
        }

        pub(crate) fn shared(&self) -> &Arc<Shared> {
            &self.shared
        }

        pub(crate) fn part(&self) -> Part {
            self.part
        }

        pub(in crate::ring) fn u32(&self, at: u32) -> &AtomicU32 {
            self.shared.memory.u32(self.part.cursors + at)
        }

        pub(in crate::ring) fn u64(&self, at: u32) -> &AtomicU64 {
            self.shared.memory.u64(self.part.cursors + at)
        }

        pub(in crate::ring) fn prefetch(&self, _units: u32) {}

        /// # Safety
        ///
        /// - Checked by the model: the caller owns the unit.
        pub(in crate::ring) unsafe fn write_unit<T: Trust>(&self, units: u32, word: u64) {
            // SAFETY:
            // - the contract of this function.
            unsafe { self.shared.write::<T>(self.part.offset(units), &word.to_le_bytes()) }
        }

        /// # Safety
        ///
        /// - Checked by the model: nobody writes the unit.
        pub(in crate::ring) unsafe fn read_unit<T: Trust>(&self, units: u32) -> u64 {
            let mut bytes = [0; 8];
            // SAFETY:
            // - the contract of this function.
            unsafe { self.shared.read::<T>(self.part.offset(units), &mut bytes) };
            u64::from_le_bytes(bytes)
        }

        /// # Safety
        ///
        /// - Checked by the model: nobody writes the units.
        pub(in crate::ring) unsafe fn read<T: Trust>(&self, units: u32, skip: u32, target: &mut [u8]) {
            // SAFETY:
            // - the contract of this function.
            unsafe { self.shared.read::<T>(self.part.offset(units) + skip, target) }
        }

        /// # Safety
        ///
        /// - Checked by the model: the caller owns the units.
        pub(in crate::ring) unsafe fn write<T: Trust>(&self, units: u32, skip: u32, bytes: &[u8]) {
            // SAFETY:
            // - the contract of this function.
            unsafe { self.shared.write::<T>(self.part.offset(units) + skip, bytes) }
        }
    }
}

pub(crate) use imp::Place;
