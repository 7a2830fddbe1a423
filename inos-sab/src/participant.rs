//! Who takes part in a region between processes, and proof of who no longer does.
//!
//! Each attachment holds one of sixteen records, and, where the region is a file, a lock of the operating system on one
//! byte of it. The kernel gives the lock back when the process ends, however it ends; so whoever gets the lock of a
//! record that says "joined" knows that its holder is dead. A timer proves nothing: a stopped process still holds its
//! lock.

#![cfg_attr(inos_loom, allow(dead_code, reason = "models take part without joining, as threads of one region do"))]

#[cfg_attr(not(all(not(inos_loom), feature = "std", target_os = "linux")), path = "participant/no_lock.rs")]
mod lock;

use crate::error::RegionError;
#[cfg(not(inos_loom))]
use crate::job::JobId;
use crate::layout::Layout;
use crate::layout::table::{self, PARTICIPANT_BYTES, PARTICIPANT_COUNT};
use crate::memory::Memory;
use crate::sync::{AtomicU32, Ordering};
use core::sync::atomic::AtomicU32 as LocalU32;

const FREE: u32 = 0;
const JOINED: u32 = 1;

/// Number of an attachment of a region, 0 to 15. Threads of one region are one participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u8);

impl PeerId {
    pub(crate) const fn new(index: u8) -> Self {
        Self(index)
    }

    /// Its number.
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }
}

/// What is known of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Liveness {
    /// It holds its lock, and has moved since this attachment looked last, or had not been looked at.
    Alive,
    /// It holds its lock and has not moved since this attachment looked last: stopped, starved, or idle without a
    /// heartbeat. Nothing is taken from it.
    Stalled,
    /// It no longer holds its lock: the process has ended. [`Region::recover`](crate::Region::recover) takes back what
    /// it had.
    Dead,
    /// Raw memory: nothing proves a death.
    Unknown,
}

/// A participant as its record shows it.
#[cfg(not(inos_loom))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub id: PeerId,
    /// The number its process gave when it joined; in another namespace it means another process, so it proves nothing.
    pub pid: u32,
    /// Whether it lives.
    pub liveness: Liveness,
    /// The request that it executes, or executed when it died: for
    /// [`JobRunner::answer_died`](crate::JobRunner::answer_died). One at a time, see [`JobRunner`](crate::JobRunner).
    pub job: Option<JobId>,
}

/// The words of one record.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    memory: &'a Memory,
    at: u32,
}

impl<'a> Record<'a> {
    /// `id` is below 16.
    pub(crate) fn new(memory: &'a Memory, layout: &Layout, id: u8) -> Self {
        let index = u32::from(id) % PARTICIPANT_COUNT;
        Self { memory, at: layout.participants().offset + index * PARTICIPANT_BYTES }
    }

    fn state(&self) -> &'a AtomicU32 {
        self.memory.u32(self.at + table::PARTICIPANT_STATE.offset)
    }

    fn pid(&self) -> &'a AtomicU32 {
        self.memory.u32(self.at + table::PARTICIPANT_PID.offset)
    }

    fn incarnation(&self) -> &'a AtomicU32 {
        self.memory.u32(self.at + table::PARTICIPANT_INCARNATION.offset)
    }

    fn heartbeat(&self) -> &'a AtomicU32 {
        self.memory.u32(self.at + table::PARTICIPANT_HEARTBEAT.offset)
    }

    /// Says that the participant makes progress.
    pub(crate) fn beat(&self) {
        // Two threads that beat at once may lose beats of one of them: a look in between may see no change, the next one
        // does. It is evidence for people, and a wait for every message does not pay for an atomic addition.
        let beats = self.heartbeat().load(Ordering::Relaxed);
        self.heartbeat().store(beats.wrapping_add(1), Ordering::Relaxed);
    }

    pub(crate) fn job(&self) -> &'a crate::sync::AtomicU64 {
        self.memory.u64(self.at + table::PARTICIPANT_JOB.offset)
    }

    /// Whether somebody joined here and has neither left nor been recovered.
    pub(crate) fn is_joined(&self) -> bool {
        self.state().load(Ordering::Acquire) != FREE
    }

    /// To be called by the holder of the record's lock only.
    fn join(&self, pid: u32) {
        self.pid().store(pid, Ordering::Relaxed);
        self.incarnation().fetch_add(1, Ordering::Relaxed);
        self.state().store(JOINED, Ordering::Release);
    }

    /// To be called by the holder of the record's lock, or its participant, only.
    pub(crate) fn free(&self) {
        self.job().store(0, Ordering::Relaxed);
        self.state().store(FREE, Ordering::Release);
    }

    /// The number of its process, and the request it executes.
    #[cfg(not(inos_loom))]
    fn notes(&self) -> (u32, Option<JobId>) {
        (self.pid().load(Ordering::Relaxed), self.job().load(Ordering::Acquire).checked_sub(1).map(JobId))
    }

    fn signs(&self) -> u32 {
        self.heartbeat().load(Ordering::Relaxed).wrapping_add(self.incarnation().load(Ordering::Relaxed) << 20)
    }
}

/// This attachment's place among the participants.
#[derive(Debug)]
pub(crate) struct Participant {
    id: u8,
    pid: u32,
    lock: Option<lock::LockFile>,
    #[cfg(all(not(inos_loom), feature = "std", target_os = "linux"))]
    has_past: bool,
    /// Signs of life when last looked at.
    seen: [LocalU32; PARTICIPANT_COUNT as usize],
}

impl Participant {
    fn new(id: u8) -> Self {
        Self {
            id,
            pid: process_id(),
            lock: None,
            #[cfg(all(not(inos_loom), feature = "std", target_os = "linux"))]
            has_past: false,
            seen: [const { LocalU32::new(u32::MAX) }; PARTICIPANT_COUNT as usize],
        }
    }

    /// The one participant of a region of threads: it has no record.
    pub(crate) fn threads() -> Self {
        Self::new(0)
    }

    /// A participant of a model, without a record.
    #[cfg(all(test, inos_loom))]
    pub(crate) fn modelled(id: u8) -> Self {
        Self::new(id)
    }

    /// Takes a free record of memory without locks.
    pub(crate) fn join_unproved(memory: &Memory, layout: &Layout) -> Result<Self, RegionError> {
        for id in 0..16 {
            let record = Record::new(memory, layout, id);
            // Acquire pairs with the Release of leaving: what the last holder did is over.
            let taken = record.state().compare_exchange(FREE, JOINED, Ordering::Acquire, Ordering::Relaxed);
            if taken.is_ok() {
                record.join(process_id());
                return Ok(Self::new(id));
            }
        }
        Err(RegionError::Crowded { places: PARTICIPANT_COUNT })
    }

    /// Takes a record and its lock. A record of a dead participant serves when no other is free; the caller then has to
    /// take back what that one had ([`has_past`](Self::has_past)) before it does anything else.
    #[cfg(all(not(inos_loom), feature = "std", target_os = "linux"))]
    pub(crate) fn join(
        memory: &Memory,
        layout: &Layout,
        file: std::os::fd::BorrowedFd<'_>,
    ) -> Result<Self, RegionError> {
        let lock = lock::LockFile::reopen(file)?;
        for dead_too in [false, true] {
            for id in 0..16 {
                let record = Record::new(memory, layout, id);
                if record.is_joined() && !dead_too {
                    continue;
                }
                let byte = lock_byte(layout, id);
                if !lock.try_lock(byte)? {
                    continue;
                }
                // The lock is ours: nobody else joins or recovers here.
                let has_past = record.is_joined();
                if has_past && !dead_too {
                    lock.unlock(byte)?;
                    continue;
                }
                record.join(process_id());
                return Ok(Self { lock: Some(lock), has_past, ..Self::new(id) });
            }
        }
        Err(RegionError::Crowded { places: PARTICIPANT_COUNT })
    }

    pub(crate) const fn id(&self) -> u8 {
        self.id
    }

    /// Refuses to act for the process that this one was forked from.
    pub(crate) fn check_process(&self) -> Result<(), RegionError> {
        if process_id() == self.pid { Ok(()) } else { Err(RegionError::Forked { pid: self.pid }) }
    }

    /// Looks at all other participants. `recover` is called for each that is proved dead, while nobody else can recover
    /// it or join in its place; afterwards its record is free.
    #[cfg(not(inos_loom))]
    pub(crate) fn visit(
        &self,
        memory: &Memory,
        layout: &Layout,
        mut recover: Option<&mut dyn FnMut(u8)>,
    ) -> Result<alloc::vec::Vec<Peer>, RegionError> {
        self.check_process()?;
        let lock = self.lock.as_ref();
        // Our threads share one lock file, which does not keep them apart.
        let _alone = lock.map(lock::LockFile::alone);
        let mut peers = alloc::vec::Vec::new();
        for id in (0..16).filter(|id| *id != self.id) {
            let record = Record::new(memory, layout, id);
            if !record.is_joined() {
                continue;
            }
            let byte = lock_byte(layout, id);
            // Of the dead read last: what it noted in the end, and not what it noted when we came by.
            let (liveness, (pid, job)) = match (lock, recover.as_mut()) {
                (None, _) => (Liveness::Unknown, record.notes()),
                (Some(lock), None) => {
                    let joined = record.incarnation().load(Ordering::Relaxed);
                    let dead = lock.is_free(byte)?;
                    let notes = record.notes();
                    if !record.is_joined() {
                        continue;
                    }
                    // Whoever joined in between has a lock that we did not see.
                    let same = record.incarnation().load(Ordering::Relaxed) == joined;
                    (if dead && same { Liveness::Dead } else { self.signs_of(&record, id) }, notes)
                }
                (Some(lock), Some(_)) if !lock.try_lock(byte)? => (self.signs_of(&record, id), record.notes()),
                (Some(lock), Some(recover)) => {
                    // It may have been recovered, and its place left free, before we got the lock.
                    let dead = record.is_joined();
                    let notes = record.notes();
                    if dead {
                        recover(id);
                        record.free();
                    }
                    lock.unlock(byte)?;
                    if !dead {
                        continue;
                    }
                    (Liveness::Dead, notes)
                }
            };
            peers.push(Peer { id: PeerId::new(id), pid, liveness, job });
        }
        Ok(peers)
    }

    #[cfg(not(inos_loom))]
    fn signs_of(&self, record: &Record<'_>, id: u8) -> Liveness {
        let signs = record.signs();
        let before = self.seen.get(usize::from(id)).map(|seen| seen.swap(signs, Ordering::Relaxed));
        if before == Some(signs) { Liveness::Stalled } else { Liveness::Alive }
    }

    /// Whether the place was a dead participant's.
    #[cfg(all(not(inos_loom), feature = "std", target_os = "linux"))]
    pub(crate) const fn has_past(&self) -> bool {
        self.has_past
    }

    pub(crate) const fn has_proof(&self) -> bool {
        self.lock.is_some()
    }
}

fn lock_byte(layout: &Layout, id: u8) -> u64 {
    u64::from(layout.participants().offset) + u64::from(id)
}

fn process_id() -> u32 {
    #[cfg(all(feature = "std", not(target_family = "wasm")))]
    return std::process::id();
    #[cfg(any(not(feature = "std"), target_family = "wasm"))]
    return 0;
}
