//! Who pays for the order between "I wrote" and "does anybody sleep".
//!
//! Both a waker and a sleeper need a full fence between a store and a load (`docs/memory-model.md`, "Wake-up"). A waker
//! passes its own with every message, a sleeper only before it sleeps. Where the system can make *all* running threads
//! pass a fence (`membarrier(2)`), the sleeper asks for that; wakers keep their two accesses in program order and pay
//! nothing (asymmetric fences: Dice, Huang, Yang 2001; WG21 P1202).

use super::order::{self, Pair};
use crate::trust::Level;
use core::sync::atomic::{Ordering, compiler_fence};

/// What the wakers and sleepers of this process do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "only Linux has the call that the other variants stand for")]
pub(crate) enum Fences {
    /// Both fence, each for itself.
    Symmetric,
    /// Sleepers fence for all threads of this process.
    Process,
    /// Sleepers fence for all processes that are registered, as this one is.
    System,
    /// As `System`, but this process is not registered, or its peers may not ask: its wakers fence for themselves.
    Unregistered,
}

/// Whether all wakers see a sleeper's count from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    Surely,
    /// The system refused: the sleep has to be short.
    #[allow(dead_code, reason = "only Linux can refuse")]
    Perhaps,
}

impl Fences {
    /// Decided, and registered for, once per process; the same at every later call.
    pub(crate) fn of(level: Level) -> Self {
        match level {
            Level::Threads => imp::for_threads(),
            Level::Crash => imp::for_processes(),
            // Peers that do not run this crate cannot be relied on to ask for fences; those that do may rely on ours.
            Level::Hostile => imp::for_hostile(),
        }
    }

    /// Between the store that makes a condition true and the load of the count of sleepers.
    #[inline]
    pub(crate) fn waker(self) {
        match self {
            Self::Process | Self::System => compiler_fence(Ordering::SeqCst),
            Self::Symmetric | Self::Unregistered => order::fence(Pair::Wake),
        }
    }

    /// The same for a waker that was asked to fence, or learns that it was: a fence of its own, whatever the others do.
    pub(crate) fn asked_waker() {
        order::fence(Pair::Wake);
    }

    /// Whether wakers do without a fence unless they are asked for it.
    pub(crate) fn can_ask(self) -> bool {
        self != Self::Symmetric
    }

    /// For a sleeper that asked all its wakers to fence.
    pub(crate) fn asked_sleeper(self) -> Announced {
        order::fence(Pair::Wake);
        Announced::Surely
    }

    /// Between announcing a sleep, or a wish, and the last look at the condition.
    pub(crate) fn sleeper(self) -> Announced {
        order::fence(Pair::Wake);
        match self {
            Self::Symmetric => Announced::Surely,
            Self::Process => imp::fence_threads(),
            Self::System | Self::Unregistered => imp::fence_processes(),
        }
    }
}

#[cfg(all(not(inos_loom), feature = "std", target_os = "linux"))]
mod imp {
    use super::{Announced, Fences};
    use rustix::thread::{MembarrierCommand as Command, membarrier, membarrier_query};
    use std::sync::OnceLock;

    fn register(call: Command, registration: Command) -> bool {
        let known = membarrier_query();
        known.contains_command(call) && known.contains_command(registration) && membarrier(registration).is_ok()
    }

    fn call(command: Command) -> Announced {
        if membarrier(command).is_ok() { Announced::Surely } else { Announced::Perhaps }
    }

    pub(super) fn for_threads() -> Fences {
        static FENCES: OnceLock<Fences> = OnceLock::new();
        *FENCES.get_or_init(|| match register(Command::PrivateExpedited, Command::RegisterPrivateExpedited) {
            true => Fences::Process,
            // All who wake or sleep are of this process and know the same.
            false => Fences::Symmetric,
        })
    }

    pub(super) fn for_processes() -> Fences {
        static FENCES: OnceLock<Fences> = OnceLock::new();
        *FENCES.get_or_init(|| match register(Command::GlobalExpedited, Command::RegisterGlobalExpedited) {
            true => Fences::System,
            false => Fences::Unregistered,
        })
    }

    /// Wakers fence for themselves; sleepers ask for the fences of participants that trust them and rely on it.
    pub(super) fn for_hostile() -> Fences {
        Fences::Unregistered
    }

    pub(super) fn fence_threads() -> Announced {
        call(Command::PrivateExpedited)
    }

    pub(super) fn fence_processes() -> Announced {
        call(Command::GlobalExpedited)
    }
}

/// Models in which nobody sleeps, without the fences of wakers: what they order besides is not to be relied on, as where
/// fences are asymmetric they are not there.
#[cfg(inos_loom)]
pub(crate) mod model {
    use core::cell::Cell;

    std::thread_local! {
        pub(super) static UNFENCED: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn unfenced<R>(f: impl FnOnce() -> R) -> R {
        struct Restore;
        impl Drop for Restore {
            fn drop(&mut self) {
                UNFENCED.set(false);
            }
        }
        let _restore = Restore;
        UNFENCED.set(true);
        f()
    }
}

#[cfg(not(all(not(inos_loom), feature = "std", target_os = "linux")))]
mod imp {
    use super::{Announced, Fences};

    pub(super) fn for_threads() -> Fences {
        #[cfg(inos_loom)]
        if super::model::UNFENCED.get() {
            return Fences::Process;
        }
        Fences::Symmetric
    }

    pub(super) fn for_processes() -> Fences {
        Fences::Symmetric
    }

    pub(super) fn for_hostile() -> Fences {
        Fences::Symmetric
    }

    pub(super) fn fence_threads() -> Announced {
        Announced::Surely
    }

    pub(super) fn fence_processes() -> Announced {
        Announced::Surely
    }
}
