//! A ledger and the store of its journal, driven together.

mod recover;

use alloc::vec::Vec;

pub use self::recover::{Corruption, OpenError, Recovery};
use self::recover::{read, restore_newest, restore_oldest};
use crate::{JournalStore, Ledger, LedgerError, Limits, Millis, Outcome, Released, Sequence, Transaction};

/// What to make of damage at the end of a journal, which on one node looks the same whether it was never synced or was
/// damaged later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// It was never synced, so nothing of it was released: it is dropped and reported.
    Trust,
    /// Outcomes up to this sequence were released, as a client, a replica or a monitor knows: less is corrupt.
    AtLeast(Sequence),
}

/// Why a call of a [`DurableLedger`] failed. No outcome was released by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurableError<E: core::error::Error + 'static> {
    /// The call is at fault. Nothing changed.
    #[error("the ledger refuses the call")]
    Ledger(#[source] LedgerError),
    /// The store failed: what it holds is not known, so the ledger is poisoned, unless it was a snapshot that could not be
    /// put. Open it again.
    #[error("the store failed")]
    Store(#[source] E),
    /// An earlier call failed in the store. Open the ledger again.
    #[error("an earlier failure of the store has poisoned the ledger")]
    Poisoned,
}

/// What [`DurableLedger::audit`] found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError<E: core::error::Error + 'static> {
    /// The store failed, or its content cannot be read back.
    #[error("the journal cannot be read back")]
    Open(#[source] OpenError<E>),
    /// A replay has another state than the running ledger.
    #[error("a replay up to change {} has another state", sequence.0)]
    Differs {
        /// The last change of the replay.
        sequence: Sequence,
    },
    /// The ledger is poisoned.
    #[error("an earlier failure of the store has poisoned the ledger")]
    Poisoned,
}

/// A [`Ledger`] whose outcomes are handed out only when they are durable, in a [`JournalStore`] of its own.
///
/// Each opening begins a segment of the journal; a [`snapshot`](Self::snapshot) from time to time keeps it, and the next
/// opening, short.
///
/// It blocks: [`apply`](Self::apply) appends, syncs, and answers. Under load [`submit`](Self::submit) several batches and
/// [`sync`](Self::sync) once (group commit): all of them wait for one write to the disk.
///
/// # Guarantees
///
/// - **Durable.** What was released survives a crash at any point, as far as the store keeps what it synced.
/// - **A prefix.** After a crash the ledger is as after some number of whole batches, all released ones among them, or it
///   says [`OpenError::Corrupt`].
/// - **Poisoned.** After a failed append or sync every call fails: what is on disk is not known. Opening reads it again,
///   and trusts nothing that it did not sync itself.
///
/// ```
/// use inos_pricing::{
///     AccountId, AccountKind, DurableLedger, Limits, MemoryStore, Millis, Sequence, Tail, Transaction, TxId,
/// };
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let (mut ledger, _) = DurableLedger::open(MemoryStore::default(), Limits::default(), 0x5eed, Tail::Trust)?;
/// let id = TxId::from_parts(Millis(1_000), 1).expect("both parts are in range");
/// let mut outcomes = Vec::new();
/// let open = Transaction::open(id, AccountId(1), AccountKind::Issuer);
/// let released = ledger.apply(Millis(1_000), &[open], &mut outcomes)?;
///
/// let mut store = ledger.into_store();
/// store.crash();
/// let (ledger, recovery) = DurableLedger::open(store, Limits::default(), 0x5eed, Tail::AtLeast(released))?;
/// assert_eq!((ledger.ledger()?.sequence(), recovery.dropped_bytes), (Sequence(2), 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DurableLedger<S: JournalStore> {
    ledger: Ledger,
    store: S,
    limits: Limits,
    seed: u128,
    released: Released,
    /// The commit group of the present call.
    journal: Vec<u8>,
    /// The segment that is written.
    segment: u64,
    /// Snapshots that are kept, with the first segment that is needed after each.
    snapshots: Vec<(Sequence, u64)>,
    /// Up to where the journal is synced.
    synced: Sequence,
    poisoned: bool,
}

impl<S: JournalStore> DurableLedger<S> {
    /// Opens the ledger that `store` holds, or a new one if it is empty, as `docs/journal.md` says. `limits` may differ
    /// from those of before; `seed` is as for [`Ledger::new`].
    ///
    /// Time and reads: the journal since the newest snapshot is replayed, that since the older one is read.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. Nothing was changed in the store, except perhaps a new segment.
    pub fn open(mut store: S, limits: Limits, seed: u128, tail: Tail) -> Result<(Self, Recovery), OpenError<S::Error>> {
        let listing = store.list().map_err(OpenError::Store)?;
        let start = restore_newest(&mut store, &listing, limits, seed)?;
        let read = read(&mut store, &listing, start, tail)?;
        let segment = listing.segments.last().map_or(1, |last| last.saturating_add(1));
        // Bytes that this process did not sync may be in the page cache only, and torn ones are never appended after.
        store.start_segment(segment).map_err(OpenError::Store)?;
        for group in &read.unsynced {
            store.append(group).map_err(OpenError::Store)?;
        }
        store.sync().map_err(OpenError::Store)?;

        let synced = read.ledger.sequence();
        let snapshots = read.snapshots.iter().map(|&(sequence, first)| (sequence, first.unwrap_or(segment))).collect();
        let mut ledger = Self {
            ledger: read.ledger,
            store,
            limits,
            seed,
            released: Released::default(),
            journal: Vec::new(),
            segment,
            snapshots,
            synced,
            poisoned: false,
        };
        ledger.note_synced();
        Ok((ledger, read.recovery))
    }

    /// Applies a batch as [`Ledger::apply`] does, makes it durable, and appends its outcomes. Whatever was submitted
    /// before is durable then, too.
    ///
    /// # Errors
    ///
    /// [`DurableError`]; `outcomes` is as it was.
    pub fn apply(
        &mut self,
        now: Millis,
        batch: &[Transaction],
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Sequence, DurableError<S::Error>> {
        let len = outcomes.len();
        let applied = self.append(now, batch, outcomes).and_then(|sequence| self.sync().map(|_| sequence));
        if applied.is_err() {
            outcomes.truncate(len);
        }
        applied
    }

    /// Applies a batch and appends it to the journal without waiting for the disk. Its outcomes come out of
    /// [`poll_released`](Self::poll_released) after the next [`sync`](Self::sync) or [`apply`](Self::apply).
    ///
    /// # Errors
    ///
    /// [`DurableError`].
    pub fn submit(&mut self, now: Millis, batch: &[Transaction]) -> Result<Sequence, DurableError<S::Error>> {
        let mut outcomes = Vec::new();
        let sequence = self.append(now, batch, &mut outcomes)?;
        self.released.submit(sequence, outcomes);
        if self.synced >= sequence {
            self.released.synced(sequence);
        }
        Ok(sequence)
    }

    /// Makes everything submitted durable. Answers up to where.
    ///
    /// # Errors
    ///
    /// [`DurableError::Store`] or [`DurableError::Poisoned`].
    pub fn sync(&mut self) -> Result<Sequence, DurableError<S::Error>> {
        if self.poisoned {
            return Err(DurableError::Poisoned);
        }
        if self.synced < self.ledger.sequence() {
            self.guard(|this| this.store.sync())?;
            self.synced = self.ledger.sequence();
            self.note_synced();
        }
        Ok(self.synced)
    }

    /// The outcomes of the oldest submitted batch that is durable and was not polled, with the sequence after it.
    pub fn poll_released(&mut self) -> Option<(Sequence, Vec<Outcome>)> {
        if self.poisoned { None } else { self.released.poll_released() }
    }

    /// Moves the clock and expires holds, as [`Ledger::pulse`] does, and makes it durable.
    ///
    /// # Errors
    ///
    /// [`DurableError`].
    pub fn pulse(&mut self, now: Millis) -> Result<Sequence, DurableError<S::Error>> {
        self.apply(now, &[], &mut Vec::new())
    }

    /// Puts a snapshot, so that opening replays less, and drops what is older than the last two. Syncs first. O(n log n)
    /// in accounts and ids.
    ///
    /// # Errors
    ///
    /// [`DurableError::Store`], after which the ledger goes on if only the snapshot could not be put, or
    /// [`DurableError::Poisoned`].
    pub fn snapshot(&mut self) -> Result<Sequence, DurableError<S::Error>> {
        let sequence = self.sync()?;
        if self.snapshots.last().is_some_and(|&(last, _)| last == sequence) {
            return Ok(sequence);
        }
        let bytes = self.ledger.snapshot();
        let segment = self.segment.saturating_add(1);
        // Where there is no room for it, the journal goes on without. A store that is dead says so at the next append.
        self.store.put_snapshot(sequence, &bytes).map_err(DurableError::Store)?;
        self.guard(|this| {
            this.store.start_segment(segment)?;
            this.store.sync()
        })?;
        self.segment = segment;
        self.snapshots.push((sequence, segment));
        if let [.., (kept, first), _] = self.snapshots[..] {
            self.guard(|this| this.store.drop_before(first, kept))?;
            self.snapshots.retain(|&(snapshot, _)| snapshot >= kept);
        }
        Ok(sequence)
    }

    /// Replays everything from the oldest snapshot that is kept, compares the state with that of the running ledger, and
    /// reads every snapshot.
    /// Syncs nothing; what was submitted and not synced counts. O(journal) time, as much memory as a second ledger.
    ///
    /// # Errors
    ///
    /// [`AuditError`].
    pub fn audit(&mut self) -> Result<Recovery, AuditError<S::Error>> {
        if self.poisoned {
            return Err(AuditError::Poisoned);
        }
        let replayed = (|| {
            let listing = self.store.list().map_err(OpenError::Store)?;
            let start = restore_oldest(&mut self.store, &listing, self.limits, self.seed)?;
            read(&mut self.store, &listing, start, Tail::AtLeast(self.ledger.sequence()))
        })();
        let replayed = replayed.map_err(AuditError::Open)?;
        if replayed.ledger.state_hash() != self.ledger.state_hash() {
            return Err(AuditError::Differs { sequence: replayed.ledger.sequence() });
        }
        Ok(replayed.recovery)
    }

    /// The ledger, for reading: balances, streams, flow. It may be ahead of what is durable; what it says is as of its
    /// [`sequence`](Ledger::sequence), and durable once [`synced`](Self::synced) has come that far.
    ///
    /// # Errors
    ///
    /// [`DurableError::Poisoned`].
    pub fn ledger(&self) -> Result<&Ledger, DurableError<S::Error>> {
        if self.poisoned { Err(DurableError::Poisoned) } else { Ok(&self.ledger) }
    }

    /// Up to where the journal is durable.
    #[must_use]
    pub fn synced(&self) -> Sequence {
        self.synced
    }

    /// The store. What was submitted and not synced may be lost.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }

    fn append(
        &mut self,
        now: Millis,
        batch: &[Transaction],
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Sequence, DurableError<S::Error>> {
        if self.poisoned {
            return Err(DurableError::Poisoned);
        }
        self.journal.clear();
        let sequence = self.ledger.apply(now, batch, outcomes, &mut self.journal).map_err(DurableError::Ledger)?;
        if !self.journal.is_empty() {
            self.guard(|this| this.store.append(&this.journal))?;
        }
        Ok(sequence)
    }

    /// Calls the store; if that fails, nothing is done any more.
    fn guard<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T, S::Error>) -> Result<T, DurableError<S::Error>> {
        call(self).map_err(|error| {
            self.poisoned = true;
            DurableError::Store(error)
        })
    }

    fn note_synced(&mut self) {
        self.ledger.synced(self.synced);
        self.released.synced(self.synced);
    }
}
