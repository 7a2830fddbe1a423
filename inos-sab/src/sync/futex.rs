//! Sleeping on a word until it changes: the only place that blocks.

use crate::memory::Memory;
use core::time::Duration;

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slept {
    /// The word changed, somebody called, or the kernel ended the sleep for its own reasons.
    #[allow(dead_code, reason = "some targets never sleep")]
    Woken,
    #[cfg_attr(inos_loom, expect(dead_code, reason = "a model must end by a wake-up, never by a timeout"))]
    TimedOut,
}

/// Whether this build can put a thread to sleep.
pub(crate) const CAN_BLOCK: bool =
    cfg!(any(inos_loom, all(feature = "std", any(target_os = "linux", unix, windows), not(target_family = "wasm"))));

#[cfg(all(not(inos_loom), feature = "std", target_os = "linux"))]
mod imp {
    use super::{Duration, Memory, Slept};
    use rustix::io::Errno;
    use rustix::thread::{Timespec, futex};

    /// Not `PRIVATE`: the same word may be mapped by another process, whose wake must find us.
    const FLAGS: futex::Flags = futex::Flags::empty();

    pub(crate) fn sleep(memory: &Memory, word: u32, expected: u32, nap: Duration) -> Slept {
        // What does not fit the kernel's type is longer than the machine will run.
        let nap = Timespec::try_from(nap).ok();
        match futex::wait(memory.u32(word), FLAGS, expected, nap.as_ref()) {
            Err(Errno::TIMEDOUT) => Slept::TimedOut,
            // `AGAIN`: the word had changed. `INTR`: a signal. Both make the caller look again.
            Ok(()) | Err(_) => Slept::Woken,
        }
    }

    pub(crate) fn wake_all(memory: &Memory, word: u32) {
        // The call fails only for an address outside of the process, which `u32` rules out.
        let _ = futex::wake(memory.u32(word), FLAGS, i32::MAX.unsigned_abs());
    }
}

#[cfg(all(not(inos_loom), feature = "std", any(unix, windows), not(target_os = "linux"), not(target_family = "wasm")))]
mod imp {
    use super::{Duration, Memory, Slept};
    use crate::sync::Ordering;

    /// Short enough that a missed call costs a millisecond, long enough that waiting costs no processor time.
    const NAP: Duration = Duration::from_millis(1);

    pub(crate) fn sleep(memory: &Memory, word: u32, expected: u32, nap: Duration) -> Slept {
        let mut left = nap;
        while memory.u32(word).load(Ordering::Acquire) == expected {
            if left.is_zero() {
                return Slept::TimedOut;
            }
            std::thread::sleep(left.min(NAP));
            left = left.saturating_sub(NAP);
        }
        Slept::Woken
    }

    pub(crate) fn wake_all(_memory: &Memory, _word: u32) {}
}

#[cfg(all(
    not(inos_loom),
    any(not(feature = "std"), target_family = "wasm", not(any(target_os = "linux", unix, windows)))
))]
mod imp {
    use super::{Duration, Memory, Slept};

    /// Never called where `CAN_BLOCK` is false.
    pub(crate) fn sleep(_memory: &Memory, _word: u32, _expected: u32, _nap: Duration) -> Slept {
        Slept::TimedOut
    }

    pub(crate) fn wake_all(_memory: &Memory, _word: u32) {}
}

#[cfg(inos_loom)]
mod imp {
    use super::{Duration, Memory, Slept};
    use crate::sync::Ordering;

    /// The kernel's rule: compare and enqueue under one lock, and wake under the same lock. Never times out, so that a
    /// lost wake-up is a deadlock the model checker reports.
    pub(crate) fn sleep(memory: &Memory, word: u32, expected: u32, _nap: Duration) -> Slept {
        if crate::sync::die::is_dead() {
            return Slept::Woken;
        }
        let (lock, queue) = memory.futex();
        let mut guard = lock.lock().expect("no model panics while it holds the lock");
        while memory.u32(word).load(Ordering::Relaxed) == expected {
            guard = queue.wait(guard).expect("no model panics while it holds the lock");
        }
        drop(guard);
        Slept::Woken
    }

    pub(crate) fn wake_all(memory: &Memory, _word: u32) {
        if crate::sync::die::is_dead() {
            return;
        }
        let (lock, queue) = memory.futex();
        let guard = lock.lock().expect("no model panics while it holds the lock");
        queue.notify_all();
        drop(guard);
    }
}

pub(crate) use imp::{sleep, wake_all};
