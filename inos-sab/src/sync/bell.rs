//! The wake-up protocol: a word that changes, and a count of those who said they sleep.

use super::Ordering;
use super::barrier::{Announced, Fences};
use super::futex::{self, Slept};
use super::order::{self, Check, Pair};
use crate::region::Shared;
use crate::trust::Level;
use core::time::Duration;

/// Looks at the condition this often before it sleeps: about 20 µs where a pause and a look take 50 ns, which covers the
/// round trip of a peer that is awake.
const SPINS: u32 = if cfg!(inos_loom) { 0 } else { 400 };

/// No sleep is longer, so that a peer that died between publishing and waking costs no more than this.
const LONGEST_NAP: Duration = Duration::from_millis(100);

/// The longest sleep when it is not sure that wakers see it.
const UNSURE_NAP: Duration = Duration::from_millis(1);

/// After so many wake-ups for nothing a wait ends where peers may lie.
const FRUITLESS: u32 = 64;

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
    /// The wait ended early with nothing there. The caller, who has the clock, decides how long to wait again. A wait
    /// without a timeout ends this way only at [`Hostile`](crate::Hostile), when a peer wakes it for nothing 64 times.
    Spurious,
    /// Nothing is there, and this build or target cannot put a thread to sleep. A timeout of zero is only a look, and ends
    /// with [`TimedOut`](Self::TimedOut) everywhere.
    CannotBlock,
    /// The ring's words are corrupt: the next call that can say more does.
    Corrupt,
}

/// How an end of a ring, or a listener, passes the time until something is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Patience {
    /// Looks all the time and never sleeps: the shortest delay, and a whole processor. Without a clock it cannot measure
    /// a timeout: a wait that has one ends with [`Wake::Spurious`] after about 20 µs.
    Spin,
    /// Looks for about 20 µs, then sleeps. A peer that answers at once is met awake, an idle one costs nothing.
    #[default]
    SpinThenPark,
    /// Sleeps at once: the least processor time, and a wake-up by the system for every message.
    Park,
}

/// In a count of sleepers: one of them sleeps so often that it would rather have wakers fence than do it for all. They
/// fence, and look again, before they believe that nobody sleeps.
pub(crate) const FENCE_ASKED: u32 = 1 << 31;

/// Whether wakers have been asked to fence, so that a sleeper's own fence is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    No,
    Yes,
}

/// How a wait goes about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) patience: Patience,
    pub(crate) fences: Fences,
    pub(crate) asked: Asked,
    pub(crate) level: Level,
}

impl Manner {
    pub(crate) fn of(level: Level) -> Self {
        Self { patience: Patience::default(), fences: Fences::of(level), asked: Asked::No, level }
    }

    /// Between announcing a sleep and the last look at the condition.
    fn fence(self) -> Announced {
        match self.asked {
            Asked::No => self.fences.sleeper(),
            Asked::Yes => self.fences.asked_sleeper(),
        }
    }

    /// The first part of a wait: looks for as long as patience says. `None` when it is time to sleep.
    #[inline]
    pub(crate) fn spin(self, timeout: Option<Duration>, check: &mut impl FnMut() -> Option<Wake>) -> Option<Wake> {
        let answer = check();
        if answer.is_some() {
            return answer;
        }
        if timeout.is_some_and(|limit| limit.is_zero()) {
            return Some(Wake::TimedOut);
        }
        let spins = match self.patience {
            Patience::Spin if !CAN_SPIN => return Some(Wake::CannotBlock),
            Patience::Spin if timeout.is_none() => loop {
                core::hint::spin_loop();
                let answer = check();
                if answer.is_some() {
                    return answer;
                }
            },
            Patience::Spin | Patience::SpinThenPark => SPINS,
            Patience::Park => 0,
        };
        for _ in 0..spins {
            core::hint::spin_loop();
            let answer = check();
            if answer.is_some() {
                return answer;
            }
        }
        match self.patience {
            Patience::Spin => Some(Wake::Spurious),
            _ if !futex::CAN_BLOCK => Some(Wake::CannotBlock),
            _ => None,
        }
    }
}

/// Whether a thread that spins can ever see something change.
const CAN_SPIN: bool = !cfg!(all(target_family = "wasm", not(target_feature = "atomics")));

/// Offsets of the word that sleepers sleep on and of their count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bell {
    pub(crate) word: u32,
    pub(crate) sleepers: u32,
}

impl Bell {
    /// Changes the word and wakes all, whether or not anybody said it sleeps.
    #[cold]
    pub(crate) fn ring(self, shared: &Shared) {
        // Release: a sleeper that reads the new value also sees what was stored before.
        shared.memory.u32(self.word).fetch_add(1, order::release(Pair::Bell));
        futex::wake_all(&shared.memory, self.word);
    }

    /// Changes the word whether or not anybody sleeps, then wakes: for words that are themselves the condition.
    pub(crate) fn raise(self, shared: &Shared, fences: Fences) {
        shared.memory.u32(self.word).fetch_add(1, order::release(Pair::Bell));
        fences.waker();
        if shared.memory.u32(self.sleepers).load(Ordering::Relaxed) != 0 {
            futex::wake_all(&shared.memory, self.word);
        }
    }

    /// Waits until `check` gives an answer. Answers about the condition come from `check` alone.
    pub(crate) fn wait(
        self,
        shared: &Shared,
        manner: Manner,
        timeout: Option<Duration>,
        mut check: impl FnMut() -> Option<Wake>,
    ) -> Wake {
        let wake = match manner.spin(timeout, &mut check) {
            Some(wake) => wake,
            None => self.park(shared, manner, timeout, &mut check),
        };
        shared.beat();
        wake
    }

    /// The rest of a wait, after [`Manner::spin`].
    pub(crate) fn park(
        self,
        shared: &Shared,
        manner: Manner,
        timeout: Option<Duration>,
        check: &mut impl FnMut() -> Option<Wake>,
    ) -> Wake {
        let (mut left, mut fruitless) = (timeout, 0);
        loop {
            let (slept, nap) = match self.sleep(shared, manner, left, check) {
                Ok(slept) => slept,
                Err(wake) => return wake,
            };
            shared.beat();
            if let Some(wake) = check() {
                return wake;
            }
            match (slept, left) {
                (Slept::TimedOut, Some(limit)) if limit <= nap => return Wake::TimedOut,
                (Slept::TimedOut, Some(limit)) => left = Some(limit.saturating_sub(nap)),
                (Slept::TimedOut, None) => {}
                (Slept::Woken, Some(_)) => return Wake::Spurious,
                (Slept::Woken, None) => fruitless += 1,
            }
            if manner.level == Level::Hostile && fruitless >= FRUITLESS {
                return Wake::Spurious;
            }
        }
    }

    /// One sleep, and how long it was allowed to be; an error carries the answer `check` gave at the last moment.
    fn sleep(
        self,
        shared: &Shared,
        manner: Manner,
        left: Option<Duration>,
        check: &mut impl FnMut() -> Option<Wake>,
    ) -> Result<(Slept, Duration), Wake> {
        // Acquire, and before the check: if this already is the value after a call, the check sees what was called for.
        let expected = shared.memory.u32(self.word).load(order::acquire(Pair::Bell));
        shared.memory.u32(self.sleepers).fetch_add(1, Ordering::Relaxed);
        let longest = match manner.fence() {
            Announced::Surely => LONGEST_NAP,
            Announced::Perhaps => UNSURE_NAP,
        };
        let nap = left.map_or(longest, |left| left.min(longest));
        let answer = if order::recheck(Check::BeforeSleep) { check() } else { None };
        let outcome = match answer {
            Some(wake) => Err(wake),
            None => Ok((futex::sleep(&shared.memory, self.word, expected, nap), nap)),
        };
        shared.memory.u32(self.sleepers).fetch_sub(1, Ordering::Relaxed);
        outcome
    }
}
