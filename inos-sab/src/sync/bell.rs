//! The wake-up protocol: a word that changes, and a count of those who said they sleep.

use super::futex::{self, Slept};
use super::{Ordering, fence};
use crate::memory::Memory;
use core::time::Duration;

/// Looks at the condition this often before it sleeps: about 10 µs where a pause takes 50 ns, which covers the round
/// trip of a peer that is awake.
const SPINS: u32 = if cfg!(inos_loom) { 0 } else { 200 };

/// How a wait ended.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use inos_sab::{Layout, Region, Threads, Wake};
///
/// let region = Region::<Threads>::heap(&Layout::compact(1 << 12, 1 << 20, 1 << 16)?)?;
/// let mut producer = region.inbox_producer()?;
/// let mut consumer = region.inbox_consumer()?;
/// assert_ne!(consumer.wait(Some(Duration::ZERO)), Wake::Ready);
/// producer.try_push(1, b"job")?;
/// assert_eq!(consumer.wait(None), Wake::Ready);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wake {
    /// What was waited for is there.
    Ready,
    /// The time is over and it is not there.
    TimedOut,
    /// The other side of the ring has left and nothing is left to take.
    Closed,
    /// A wait with a timeout ended early with nothing there. The caller, who has the clock, decides how long to wait
    /// again. A wait without a timeout never ends this way.
    Spurious,
    /// Nothing is there, and this build or target cannot put a thread to sleep.
    CannotBlock,
}

/// The fence between "I wrote" and "does anybody sleep". A type, so that a model can leave it out and must then fail.
pub(crate) trait Barrier {
    fn barrier();
}

/// The fence the proof needs.
#[derive(Debug)]
pub(crate) struct Fenced;

impl Barrier for Fenced {
    fn barrier() {
        fence(Ordering::SeqCst);
    }
}

/// Offsets of the word that sleepers sleep on and of their count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bell {
    pub(crate) word: u32,
    pub(crate) sleepers: u32,
}

impl Bell {
    /// Wakes whoever said it sleeps. To be called after the store that makes its condition true.
    ///
    /// Either this load sees the sleeper's count, or the sleeper's check after its own fence sees the store: two fences
    /// of one total order cannot both miss.
    pub(crate) fn notify<B: Barrier>(self, memory: &Memory) {
        B::barrier();
        if memory.u32(self.sleepers).load(Ordering::Relaxed) != 0 {
            // Release: a sleeper that reads the new value also sees what was stored before.
            memory.u32(self.word).fetch_add(1, Ordering::Release);
            futex::wake_all(memory, self.word);
        }
    }

    /// Changes the word whether or not anybody sleeps, then wakes: for words that are themselves the condition.
    pub(crate) fn raise<B: Barrier>(self, memory: &Memory) {
        memory.u32(self.word).fetch_add(1, Ordering::Release);
        B::barrier();
        if memory.u32(self.sleepers).load(Ordering::Relaxed) != 0 {
            futex::wake_all(memory, self.word);
        }
    }

    /// Waits until `check` gives an answer. `Wake::Ready` and `Wake::Closed` come from `check` alone.
    pub(crate) fn wait(
        self,
        memory: &Memory,
        timeout: Option<Duration>,
        mut check: impl FnMut() -> Option<Wake>,
    ) -> Wake {
        if let Some(wake) = check() {
            return wake;
        }
        if !futex::CAN_BLOCK {
            return Wake::CannotBlock;
        }
        if timeout.is_some_and(|limit| limit.is_zero()) {
            return Wake::TimedOut;
        }
        for _ in 0..SPINS {
            core::hint::spin_loop();
            if let Some(wake) = check() {
                return wake;
            }
        }
        loop {
            let slept = match self.sleep(memory, timeout, &mut check) {
                Ok(slept) => slept,
                Err(wake) => return wake,
            };
            match (check(), slept, timeout) {
                (Some(wake), ..) => return wake,
                (None, Slept::TimedOut, _) => return Wake::TimedOut,
                (None, Slept::Woken, Some(_)) => return Wake::Spurious,
                (None, Slept::Woken, None) => {}
            }
        }
    }

    /// One sleep; an error carries the answer `check` gave at the last moment.
    fn sleep(
        self,
        memory: &Memory,
        timeout: Option<Duration>,
        check: &mut impl FnMut() -> Option<Wake>,
    ) -> Result<Slept, Wake> {
        // Acquire, and before the check: if this already is the value after a call, the check sees what was called for.
        let expected = memory.u32(self.word).load(Ordering::Acquire);
        memory.u32(self.sleepers).fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let outcome = match check() {
            Some(wake) => Err(wake),
            None => Ok(futex::sleep(memory, self.word, expected, timeout)),
        };
        memory.u32(self.sleepers).fetch_sub(1, Ordering::Relaxed);
        outcome
    }
}
