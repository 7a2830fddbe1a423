//! How far the participants of a region believe each other.

use core::fmt;

/// What a trust level means to the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All participants are threads of one program.
    Threads,
    /// Participants run this code and may die at any instruction.
    Crash,
    /// A participant may write anything anywhere at any time.
    Hostile,
}

pub(crate) mod sealed {
    pub trait Sealed {
        /// The level as a value.
        const LEVEL: super::Level;
    }
}

/// How far the participants of a region believe each other; part of its type. Sealed: the three levels are all there are.
///
/// | | [`Threads`] | [`Crash`] | [`Hostile`] |
/// | --- | --- | --- | --- |
/// | the others | threads of this program | processes that run this crate | anybody, JavaScript included |
/// | may die alone | no | at any instruction | at any instruction |
/// | may write nonsense | no | no | everywhere, at any time |
/// | backing | heap, raw memory | memory file, file, raw memory | sealed memory file, raw memory |
/// | made by | safe code; raw memory `unsafe` | `unsafe` code | safe code; raw memory `unsafe` |
/// | slices of payloads | yes | yes | no: copied word by word |
/// | copies in, out | 0, 0 | 0, 0 | 1, 0 |
pub trait Trust: sealed::Sealed + fmt::Debug + Send + Sync + 'static {}

/// Levels whose participants keep to the protocol: who owns a block is the only one to write it, so slices of payloads
/// exist.
pub trait Cooperative: Trust {}

/// Threads of one program: all of them run this crate's code, and none dies alone.
#[derive(Clone, Copy, Debug)]
pub struct Threads;

/// Processes that run this crate's code and may be killed at any instruction.
///
/// That nobody else writes to the memory is for whoever makes or joins a region to promise, as with every mapped file: no
/// type can see to it, since whoever has the descriptor, this process included, can write through it, and slices of
/// payloads would change under the reader. So these constructors are `unsafe`. If that cannot be promised, use [`Hostile`].
#[derive(Clone, Copy, Debug)]
pub struct Crash;

/// Anybody: JavaScript, foreign programs. Whatever they write, this side does not panic, stays within the region and
/// ends each call in a bounded number of steps.
#[derive(Clone, Copy, Debug)]
pub struct Hostile;

impl sealed::Sealed for Threads {
    const LEVEL: Level = Level::Threads;
}
impl sealed::Sealed for Crash {
    const LEVEL: Level = Level::Crash;
}
impl sealed::Sealed for Hostile {
    const LEVEL: Level = Level::Hostile;
}
impl Trust for Threads {}
impl Trust for Crash {}
impl Trust for Hostile {}
impl Cooperative for Threads {}
impl Cooperative for Crash {}
