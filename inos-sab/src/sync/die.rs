//! Model builds: a thread that dies at a step, as the others see it.
//!
//! A process that is killed stops in front of some access to shared memory. A thread of a model cannot stop: the checker
//! wants every thread to end, and unwinding would run destructors. So from the step of its death on, the thread goes on
//! in a world of its own: it reads memory as it was then, and what it writes nobody else sees. It takes no steps of the
//! model there, so it ends at once and adds no interleavings.

use core::cell::{Cell, RefCell};
use loom::thread::ThreadId;
use std::collections::BTreeMap;

pub(crate) use loom::sync::atomic::Ordering;

/// The one mortal thread of a model.
#[derive(Clone, Copy)]
struct Mortal {
    id: ThreadId,
    /// Accesses it has left.
    left: u64,
}

// The checker runs all threads of a model on one thread of the system, and switches in front of shared accesses only.
std::thread_local! {
    static MORTAL: Cell<Option<Mortal>> = const { Cell::new(None) };
    /// What the dead thread wrote, by the address of the word.
    static SHADOW: RefCell<BTreeMap<usize, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// How `at` ended.
#[derive(Debug)]
pub(crate) enum Fate<R> {
    /// It died; what it returned died with it.
    Died,
    /// It had fewer steps.
    Lived(R),
}

/// Runs `f`, in which this thread dies in front of its access number `step`, counted from 0. Whatever `f` is to take to
/// the grave it has to own. One thread of a model at a time.
pub(crate) fn at<R>(step: u64, f: impl FnOnce() -> R) -> Fate<R> {
    struct Rest;
    impl Drop for Rest {
        fn drop(&mut self) {
            MORTAL.set(None);
            SHADOW.with_borrow_mut(BTreeMap::clear);
        }
    }
    assert!(MORTAL.get().is_none(), "one thread dies at a time");
    let _rest = Rest;
    MORTAL.set(Some(Mortal { id: loom::thread::current().id(), left: step }));
    let result = f();
    if is_dead() { Fate::Died } else { Fate::Lived(result) }
    // `result` of a dead thread has been dropped in front of `_rest`, among the dead.
}

/// Whether the running thread has died.
pub(crate) fn is_dead() -> bool {
    MORTAL.get().is_some_and(|mortal| mortal.left == 0 && mortal.id == loom::thread::current().id())
}

/// Takes a step; whether it was taken among the dead.
pub(crate) fn step() -> bool {
    let Some(mortal) = MORTAL.get() else { return false };
    if mortal.id != loom::thread::current().id() {
        return false;
    }
    if mortal.left == 0 {
        return true;
    }
    MORTAL.set(Some(Mortal { left: mortal.left - 1, ..mortal }));
    false
}

/// What the dead see at `address`, where the living see `latest`.
pub(crate) fn seen(address: usize, latest: u64) -> u64 {
    SHADOW.with_borrow(|shadow| shadow.get(&address).copied().unwrap_or(latest))
}

/// Writes for the dead to see.
pub(crate) fn haunt(address: usize, value: u64) {
    SHADOW.with_borrow_mut(|shadow| shadow.insert(address, value));
}

/// The fence, for the living.
pub(crate) fn fence(order: Ordering) {
    if !is_dead() {
        loom::sync::atomic::fence(order);
    }
}

macro_rules! mortal {
    ($name:ident, $int:ty) => {
        /// The checker's atomic, and its latest value for those who only look back.
        #[derive(Debug)]
        pub(crate) struct $name {
            word: loom::sync::atomic::$name,
            latest: Cell<$int>,
        }

        #[allow(dead_code, reason = "the same operations for every width")]
        impl $name {
            pub(crate) fn new(value: $int) -> Self {
                Self { word: loom::sync::atomic::$name::new(value), latest: Cell::new(value) }
            }

            fn seen(&self) -> $int {
                let value = seen(core::ptr::from_ref(self).addr(), u64::from(self.latest.get()));
                <$int>::try_from(value).expect("written at this width")
            }

            /// The living change the word, the dead what they see of it. No other thread runs between the change and
            /// the note of it.
            fn change(
                &self,
                new: impl Fn($int) -> $int,
                word: impl FnOnce(&loom::sync::atomic::$name) -> $int,
            ) -> $int {
                if step() {
                    let old = self.seen();
                    haunt(core::ptr::from_ref(self).addr(), u64::from(new(old)));
                    return old;
                }
                let old = word(&self.word);
                self.latest.set(new(old));
                old
            }

            #[track_caller]
            pub(crate) fn load(&self, order: Ordering) -> $int {
                if step() { self.seen() } else { self.word.load(order) }
            }

            #[track_caller]
            pub(crate) fn store(&self, value: $int, order: Ordering) {
                self.change(
                    |_| value,
                    |word| {
                        word.store(value, order);
                        0
                    },
                );
            }

            #[track_caller]
            pub(crate) fn swap(&self, value: $int, order: Ordering) -> $int {
                self.change(|_| value, |word| word.swap(value, order))
            }

            #[track_caller]
            pub(crate) fn compare_exchange(
                &self,
                old: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                if step() {
                    let seen = self.seen();
                    if seen != old {
                        return Err(seen);
                    }
                    haunt(core::ptr::from_ref(self).addr(), u64::from(new));
                    return Ok(seen);
                }
                let result = self.word.compare_exchange(old, new, success, failure);
                if result.is_ok() {
                    self.latest.set(new);
                }
                result
            }

            #[track_caller]
            pub(crate) fn compare_exchange_weak(
                &self,
                old: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                self.compare_exchange(old, new, success, failure)
            }

            #[track_caller]
            pub(crate) fn fetch_add(&self, value: $int, order: Ordering) -> $int {
                self.change(|old| old.wrapping_add(value), |word| word.fetch_add(value, order))
            }

            #[track_caller]
            pub(crate) fn fetch_sub(&self, value: $int, order: Ordering) -> $int {
                self.change(|old| old.wrapping_sub(value), |word| word.fetch_sub(value, order))
            }

            #[track_caller]
            pub(crate) fn fetch_and(&self, value: $int, order: Ordering) -> $int {
                self.change(|old| old & value, |word| word.fetch_and(value, order))
            }

            #[track_caller]
            pub(crate) fn fetch_or(&self, value: $int, order: Ordering) -> $int {
                self.change(|old| old | value, |word| word.fetch_or(value, order))
            }

            #[track_caller]
            pub(crate) fn fetch_max(&self, value: $int, order: Ordering) -> $int {
                self.change(|old| old.max(value), |word| word.fetch_max(value, order))
            }
        }
    };
}

mortal!(AtomicU32, u32);
mortal!(AtomicU64, u64);
