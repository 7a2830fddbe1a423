//! Counts accesses to shared memory, and ends the process at one of them.
//!
//! Only with the feature `fail-points`, for tests: every load, store or read-modify-write of a shared word and every copy
//! of payload bytes is a *step* of the thread that does it. A test kills a process at each step of an operation in turn,
//! which is every moment that another process can tell from its neighbours, or bounds how many steps a call may take.
//! Without the feature the words are the plain atomics and nothing is counted.

#[cfg(all(feature = "fail-points", not(inos_loom)))]
mod imp {
    use core::cell::Cell;
    use core::ops::Deref;
    use core::sync::atomic::{self, Ordering};

    std::thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
        /// Index of the step that is not taken any more.
        static LAST: Cell<u64> = const { Cell::new(u64::MAX) };
        /// Bytes of payload copied into or out of the region.
        static COPIED: Cell<u64> = const { Cell::new(0) };
    }

    /// So many bytes of payload are about to be copied.
    pub(crate) fn copying(bytes: usize) {
        COPIED.set(COPIED.get().saturating_add(bytes as u64));
    }

    /// One access to shared memory is about to happen.
    pub(crate) fn step() {
        let steps = STEPS.get();
        if steps == LAST.get() {
            die();
        }
        STEPS.set(steps + 1);
    }

    /// Ends the process without running anything of it any more.
    fn die() -> ! {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Signal, getpid, kill_process};
            // A signal to oneself is delivered before the call returns.
            let _ = kill_process(getpid(), Signal::KILL);
        }
        std::process::abort()
    }

    macro_rules! stepped {
        ($name:ident, $int:ty) => {
            /// The atomic, counting.
            #[derive(Debug)]
            #[repr(transparent)]
            pub(crate) struct $name(atomic::$name);

            #[allow(dead_code, reason = "the same operations for every width")]
            impl $name {
                /// # Safety
                ///
                /// - As of the atomic's own `from_ptr`.
                pub(crate) const unsafe fn from_ptr<'a>(ptr: *mut $int) -> &'a Self {
                    // SAFETY:
                    // - transparent over the atomic, which has the size and alignment the caller vouches for.
                    unsafe { &*ptr.cast::<Self>() }
                }

                pub(crate) fn load(&self, order: Ordering) -> $int {
                    step();
                    self.0.load(order)
                }

                pub(crate) fn store(&self, value: $int, order: Ordering) {
                    step();
                    self.0.store(value, order);
                }

                pub(crate) fn swap(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.swap(value, order)
                }

                pub(crate) fn compare_exchange(
                    &self,
                    old: $int,
                    new: $int,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$int, $int> {
                    step();
                    self.0.compare_exchange(old, new, success, failure)
                }

                pub(crate) fn compare_exchange_weak(
                    &self,
                    old: $int,
                    new: $int,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$int, $int> {
                    step();
                    self.0.compare_exchange_weak(old, new, success, failure)
                }

                pub(crate) fn fetch_add(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_add(value, order)
                }

                pub(crate) fn fetch_sub(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_sub(value, order)
                }

                pub(crate) fn fetch_and(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_and(value, order)
                }

                pub(crate) fn fetch_or(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_or(value, order)
                }

                pub(crate) fn fetch_max(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_max(value, order)
                }
            }

            /// For the kernel's futex calls, which take the word itself.
            impl Deref for $name {
                type Target = atomic::$name;

                fn deref(&self) -> &Self::Target {
                    &self.0
                }
            }
        };
    }

    stepped!(AtomicU32, u32);
    stepped!(AtomicU64, u64);

    /// For this crate's own tests: not part of the interface, and no promise is made about it.
    #[doc(hidden)]
    pub mod fail_points {
        use super::{COPIED, LAST, STEPS};

        /// Ends the process by SIGKILL in front of access number `step`, counted from 0 from now on, of this thread.
        pub fn arm(step: u64) {
            LAST.set(STEPS.get().saturating_add(step));
        }

        /// Takes [`arm`] back.
        pub fn disarm() {
            LAST.set(u64::MAX);
        }

        /// Bytes of payload that this thread has copied into and out of regions so far. Looking at slices of them is no
        /// copy.
        #[must_use]
        pub fn copied() -> u64 {
            COPIED.get()
        }

        /// Accesses to shared memory of this thread so far.
        #[must_use]
        pub fn steps() -> u64 {
            STEPS.get()
        }
    }
}

#[cfg(not(all(feature = "fail-points", not(inos_loom))))]
mod imp {
    /// One access to shared memory is about to happen.
    #[cfg(not(inos_loom))]
    #[inline(always)]
    pub(crate) const fn step() {}

    /// So many bytes of payload are about to be copied.
    #[cfg(not(inos_loom))]
    #[inline(always)]
    pub(crate) const fn copying(_bytes: usize) {}
}

#[allow(unused_imports, reason = "model builds count elsewhere")]
pub(crate) use imp::*;

#[cfg(all(feature = "fail-points", not(inos_loom)))]
pub use imp::fail_points;
