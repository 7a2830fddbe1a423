//! A double-entry ledger.

mod account;
mod ahead;
mod chain;
mod flow;
mod group;
mod index;
mod limits;
mod operate;
mod record;
mod records;
mod replay;
mod state;
mod stream;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use self::account::Accounts;
pub use self::account::Balance;
use self::ahead::{Ahead, Found};
use self::chain::Change;
pub use self::flow::FlowWindow;
use self::flow::Windows;
use self::group::Writer;
pub(crate) use self::group::{Group, read_group, read_header};
pub use self::limits::{LedgerError, Limits, MAX_BATCH};
use self::record::{Effect, Record, State, check_content};
use self::records::Records;
pub use self::replay::JournalError;
pub use self::state::{Audit, SnapshotError, Violation};
use self::stream::Stream;
pub use self::stream::{StreamStatus, StreamView};
use crate::{AccountId, Credits, Link, Millis, Operation, Outcome, Rejection, Sequence, Transaction, TxId};

/// A double-entry ledger: accounts, transfers, holds, refunds and streams, in memory.
///
/// It is a deterministic state machine: the same limits and the same calls give the same outcomes and the same
/// [`state_hash`](Self::state_hash) on every target, whatever the seed. It reads no clock and draws no randomness.
///
/// # Guarantees, after every call
///
/// - **Conservation.** Over all accounts, posted debits equal posted credits, and pending debits pending credits.
/// - **No overdraft.** Of every [`Holder`](crate::AccountKind::Holder), posted and pending debits are at most posted credits.
/// - **Exactly once.** A transaction sent again has its original verdict and changes nothing, for as long as its id is
///   remembered; after that it is [`Rejection::IdTooOld`], never applied again.
/// - **Resolved once.** Of every hold, what is captured, released and expired sums to what was held.
/// - **Refunds.** All refunds of one original together are at most its amount.
/// - **Chains.** Linked transactions are applied together or not at all.
///
/// # Example
///
/// ```
/// use inos_pricing::{
///     AccountId, AccountKind, Credits, Ledger, LedgerError, Limits, Millis, Outcome, Rejection, Sequence, Transaction,
///     TxId,
/// };
///
/// # fn main() -> Result<(), LedgerError> {
/// let mut ledger = Ledger::new(Limits::default(), 0x5eed);
/// let now = Millis(1_700_000_000_000);
/// let id = |n| TxId::from_parts(now, n).expect("both parts are in range");
/// let (mint, alice, bob) = (AccountId(1), AccountId(2), AccountId(3));
///
/// let (mut outcomes, mut journal) = (Vec::new(), Vec::new());
/// ledger.apply(now, &[
///     Transaction::open(id(1), mint, AccountKind::Issuer),
///     Transaction::open(id(2), alice, AccountKind::Holder),
///     Transaction::open(id(3), bob, AccountKind::Holder),
///     Transaction::transfer(id(4), mint, alice, Credits(100)),
///     Transaction::transfer(id(5), alice, bob, Credits(101)),
/// ], &mut outcomes, &mut journal)?;
/// assert_eq!(outcomes[4], Outcome::Rejected(Rejection::Overdraft { available: Credits(100) }));
///
/// // A retry has the same verdict, whatever has happened since.
/// outcomes.clear();
/// ledger.apply(now, &[
///     Transaction::transfer(id(6), mint, alice, Credits(1)),
///     Transaction::transfer(id(5), alice, bob, Credits(101)),
/// ], &mut outcomes, &mut journal)?;
/// assert_eq!(outcomes[1], Outcome::Exists(Err(Rejection::Overdraft { available: Credits(100) })));
///
/// let (balance, sequence) = ledger.balance(alice);
/// assert_eq!(balance.map(|b| b.available()), Some(101));
/// assert_eq!(sequence, Sequence(7)); // the clock, five transactions, one more
///
/// // The journal is all that is needed to have the same state again.
/// let mut again = Ledger::new(Limits::default(), 0xbeef);
/// again.replay(&journal).expect("it was written by a ledger");
/// assert_eq!(again.state_hash(), ledger.state_hash());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Ledger {
    limits: Limits,
    /// `None` before the first call.
    clock: Option<Millis>,
    /// Ids before it are too old. It only grows.
    watermark: Millis,
    /// What was applied before it is not refunded. It only grows.
    refund_mark: Millis,
    sequence: Sequence,
    accounts: Accounts,
    records: Records,
    /// Open holds in the order in which they expire.
    deadlines: BTreeMap<(Millis, TxId), u32>,
    /// Open streams.
    streams: BTreeMap<TxId, Stream>,
    /// The windows of time that the clock is in.
    windows: Windows,
    /// How transactions are checked just now.
    mode: Mode,
    /// What a chain has changed so far.
    undo: Vec<Change>,
    /// What the checksums of the journal begin with: unknown to who sends transactions.
    salt: u64,
    /// The checksum of the last commit group, before the first the salt.
    checksum: u64,
    /// What is known to be synced.
    synced: Sequence,
}

/// A hold, as [`Ledger::hold`] shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldView {
    /// Pays.
    pub from: AccountId,
    /// Receives.
    pub to: AccountId,
    /// From then on it is not captured.
    pub deadline: Millis,
    /// What is still held.
    pub remaining: Credits,
    /// What became of it.
    pub status: HoldStatus,
}

/// What became of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldStatus {
    /// It is neither captured in full, nor released, nor expired; it may be overdue.
    Open,
    /// It was captured, and what was left was released.
    Captured,
    /// It was released.
    Released,
    /// It expired.
    Expired,
}

/// How a transaction is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// By itself.
    Alone,
    /// In a chain: payers may be short, and every change can be undone.
    Chain,
    /// From the journal: it was applied before, whatever the limits are now.
    Replay,
}

impl Ledger {
    /// An empty ledger. `seed` keys its hash tables and is kept secret, so that no one can choose ids that make it
    /// slow, or bytes that look like a journal; it changes no outcome and no state hash.
    #[must_use]
    pub fn new(limits: Limits, seed: u128) -> Self {
        let salt = index::salt(seed);
        Self {
            limits,
            clock: None,
            watermark: Millis::ZERO,
            refund_mark: Millis::ZERO,
            sequence: Sequence(0),
            accounts: Accounts::new(seed),
            records: Records::new(seed),
            deadlines: BTreeMap::new(),
            streams: BTreeMap::new(),
            windows: Windows::default(),
            mode: Mode::Alone,
            undo: Vec::new(),
            salt,
            checksum: salt,
            synced: Sequence(0),
        }
    }

    /// Sets the clock, expires holds, then answers `batch` in its order: one [`Outcome`] for each transaction is
    /// appended to `outcomes`. What changed is appended to `journal` as one commit group (`docs/journal.md`); nothing is
    /// when nothing changed. Returns the sequence after the last change.
    ///
    /// An outcome is handed on only when the journal up to the returned sequence is durable: [`Released`](crate::Released)
    /// keeps it until then, and [`DurableLedger`](crate::DurableLedger) does all of it. A replica whose log is durable
    /// elsewhere clears `journal` after each call.
    ///
    /// - **Clock.** `now` before the clock counts as the clock: time never goes back. The first call may be at any
    ///   time.
    /// - **Forgetting.** Ids whose retention is over are forgotten.
    /// - **Expiry.** Open holds with `deadline <= now` return to their payers in the order of (deadline, id), at most
    ///   [`Limits::max_expiries`] of them.
    /// - **Each transaction.** A known id is answered from memory. For a new one the time of the id, the content, the
    ///   room for the id and at last the state are checked, in the order of [`Rejection`]. Linked ones are applied
    ///   together or not at all: see [`Link`].
    ///
    /// Expected O(1) for a transfer, O(log n) for a hold, a stream, and for what resolves them.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] when the batch is too long or the clock cannot be right. Nothing has changed then.
    pub fn apply(
        &mut self,
        now: Millis,
        batch: &[Transaction],
        outcomes: &mut Vec<Outcome>,
        journal: &mut Vec<u8>,
    ) -> Result<Sequence, LedgerError> {
        let max_batch = self.limits.max_batch.min(MAX_BATCH);
        if u32::try_from(batch.len()).is_ok_and(|len| len <= max_batch) {
            let now = self.check_clock(now)?;
            let mut writer = Writer::new(journal, self.sequence);
            self.advance(now);
            self.records.forget(self.watermark, self.refund_mark);
            writer.expired = self.expire(now, self.limits.max_expiries);
            outcomes.reserve(batch.len());
            self.answer_all(now, batch, outcomes, &mut writer);
            self.checksum = writer.finish(self.header(now), self.checksum, self.salt);
            Ok(self.sequence)
        } else {
            Err(LedgerError::BatchTooLong { len: batch.len(), max_batch })
        }
    }

    /// Sets the clock and expires holds, as [`apply`](Self::apply) does with an empty batch.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] when the clock cannot be right. Nothing has changed then.
    pub fn pulse(&mut self, now: Millis, journal: &mut Vec<u8>) -> Result<Sequence, LedgerError> {
        self.apply(now, &[], &mut Vec::new(), journal)
    }

    /// Notes that the journal is durable up to `sequence`, which the next commit group says: damage before it is then
    /// told from a torn end. A smaller one, or one above the last change, changes nothing.
    pub fn synced(&mut self, sequence: Sequence) {
        if sequence <= self.sequence {
            self.synced = self.synced.max(sequence);
        }
    }

    /// The balance of an account, `None` if it is not open, and the sequence of the state that was read.
    #[must_use]
    pub fn balance(&self, account: AccountId) -> (Option<Balance>, Sequence) {
        (self.accounts.find(account).map(|slot| *self.accounts.balance(slot)), self.sequence)
    }

    /// All accounts in the order in which they were opened.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = (AccountId, Balance)> + '_ {
        self.accounts.list().iter().map(|account| (account.id, account.balance))
    }

    /// What was posted to an account within `window` up to the clock, `None` if it is not open. Bounded memory and
    /// O(1): exact for the present calendar window, and of the last one as much as if it had been posted evenly.
    ///
    /// A demand monitor reads from it how much is paid for a resource. Refunds neither add to it nor take from it.
    #[must_use]
    pub fn flow(&self, account: AccountId, window: FlowWindow) -> Option<Credits> {
        let slot = self.accounts.find(account)?;
        Some(self.accounts.account(slot).flow.within(window, self.clock.unwrap_or(Millis::ZERO)))
    }

    /// An open stream by the id of its [`OpenStream`](crate::Operation::OpenStream), `None` if it is closed or there is
    /// none.
    #[must_use]
    pub fn stream(&self, stream: TxId) -> Option<StreamView> {
        let stream = *self.streams.get(&stream)?;
        let (from, to) = (self.accounts.account(stream.from).id, self.accounts.account(stream.to).id);
        Some(StreamView { from, to, per_hour: stream.per_hour, stream })
    }

    /// When an open stream runs dry, at its present rate: the first millisecond that its reserve does not pay any more.
    /// `None` if it never does, is closed or does not exist.
    #[must_use]
    pub fn runway(&self, stream: TxId) -> Option<Millis> {
        match self.stream(stream)?.status(Millis::ZERO) {
            StreamStatus::Unpaid { since } => Some(since),
            StreamStatus::Paid { until } => until,
        }
    }

    /// A hold by the id of its [`Hold`](crate::Operation::Hold), `None` if there is none or it is forgotten.
    #[must_use]
    pub fn hold(&self, hold: TxId) -> Option<HoldView> {
        let record = self.records.at(self.records.find(self.records.hash(hold), hold)?);
        let status = match record.state {
            State::None | State::StreamOpen | State::StreamClosed => return None,
            State::Open => HoldStatus::Open,
            State::Captured => HoldStatus::Captured,
            State::Released => HoldStatus::Released,
            State::Expired => HoldStatus::Expired,
        };
        let ((from, to), deadline) = (record.sides(), record.deadline());
        Some(HoldView { from, to, deadline, remaining: record.remaining, status })
    }

    /// Open holds in the order in which they expire, overdue ones first: deadline and id.
    pub fn open_holds(&self) -> impl Iterator<Item = (Millis, TxId)> + '_ {
        self.deadlines.keys().copied()
    }

    /// Open streams in the order of their ids.
    pub fn open_streams(&self) -> impl Iterator<Item = TxId> + '_ {
        self.streams.keys().copied()
    }

    /// The transaction with this id and its verdict, `None` if it left no trace or is forgotten.
    #[must_use]
    pub fn transaction(&self, id: TxId) -> Option<(Transaction, Result<Sequence, Rejection>)> {
        let record = self.records.at(self.records.find(self.records.hash(id), id)?);
        Some((record.transaction(), record.verdict()))
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The sequence after the last change.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The largest `now` so far, `None` before the first call.
    #[must_use]
    pub fn clock(&self) -> Option<Millis> {
        self.clock
    }

    /// The number of ids that are remembered, at most [`Limits::max_ids`].
    #[must_use]
    pub fn id_count(&self) -> usize {
        self.records.len()
    }

    /// The number of holds that are open, those that are overdue and wait for their turn to expire included.
    #[must_use]
    pub fn open_hold_count(&self) -> usize {
        self.deadlines.len()
    }

    /// The number of streams that are open, those that are unpaid included.
    #[must_use]
    pub fn open_stream_count(&self) -> usize {
        self.streams.len()
    }

    /// The clock that `now` makes.
    fn check_clock(&self, now: Millis) -> Result<Millis, LedgerError> {
        if now > TxId::MAX_TIME {
            return Err(LedgerError::ClockOutOfRange { now, latest: TxId::MAX_TIME });
        }
        let Some(clock) = self.clock else { return Ok(now) };
        let max_step = self.limits.max_step;
        if now.0.saturating_sub(clock.0) > max_step.0 {
            return Err(LedgerError::ClockStep { from: clock, to: now, max_step });
        }
        Ok(now.max(clock))
    }

    /// Moves the clock to a time that was checked, and the watermarks with it.
    fn advance(&mut self, now: Millis) {
        if self.clock != Some(now) {
            let before = |span: Millis| Millis(now.0.saturating_sub(span.0));
            self.set_clock(
                now,
                self.watermark.max(before(self.limits.retention)),
                self.refund_mark.max(before(self.limits.refund_window)),
            );
        }
    }

    fn set_clock(&mut self, now: Millis, watermark: Millis, refund_mark: Millis) {
        self.clock = Some(now);
        (self.watermark, self.refund_mark, self.windows) = (watermark, refund_mark, Windows::at(now));
        self.change();
    }

    /// Numbers a change.
    fn change(&mut self) -> Sequence {
        let next = self.sequence.0.checked_add(1).expect("2^64 changes take longer than 500 years");
        self.sequence = Sequence(next);
        self.sequence
    }

    /// Expires at most so many overdue holds, and answers how many it were.
    fn expire(&mut self, now: Millis, at_most: u32) -> u32 {
        for expired in 0..at_most {
            match self.deadlines.first_key_value() {
                Some((&(deadline, _), &slot)) if deadline <= now => {
                    self.change();
                    self.resolve(now, slot, State::Expired);
                }
                _ => return expired,
            }
        }
        at_most
    }

    fn answer_all(&mut self, now: Millis, batch: &[Transaction], outcomes: &mut Vec<Outcome>, writer: &mut Writer<'_>) {
        let mut position = 0_usize;
        let mut ahead = Ahead::new();
        while let Some(left) = batch.get(position..).filter(|left| !left.is_empty()) {
            let transaction = &left[0];
            if transaction.link == Link::End {
                let found = ahead.at(self, batch, position);
                outcomes.push(self.answer(now, transaction, found, writer));
                position = position.saturating_add(1);
            } else {
                let links = left.iter().take_while(|transaction| transaction.link == Link::Next).count();
                let chain = &left[..links.saturating_add(1).min(left.len())];
                let first = u32::try_from(position).unwrap_or(u32::MAX);
                self.answer_chain(now, first, chain, outcomes, writer);
                position = position.saturating_add(chain.len());
            }
        }
    }

    fn answer(&mut self, now: Millis, transaction: &Transaction, found: Found, writer: &mut Writer<'_>) -> Outcome {
        let hash = found.hash;
        if let Some(known) = self.known(hash, transaction) {
            return known;
        }
        if let Err(rejection) =
            self.check_new(now, transaction).and_then(|()| self.check_room(core::slice::from_ref(transaction)))
        {
            return Outcome::Rejected(rejection);
        }
        match self.execute(now, &transaction.operation, found.sides) {
            Ok(effect) => {
                writer.applied(transaction, effect);
                Outcome::Applied(self.record_applied(now, hash, transaction, effect))
            }
            Err(rejection) => Outcome::Rejected(self.burn(hash, transaction, rejection, writer)),
        }
    }

    /// The answer from memory, if the id is known.
    fn known(&self, hash: u32, transaction: &Transaction) -> Option<Outcome> {
        let record = self.records.at(self.records.find(hash, transaction.id)?);
        Some(match record.difference(transaction) {
            Some(field) => Outcome::Rejected(Rejection::IdReused { field }),
            None => Outcome::Exists(record.verdict()),
        })
    }

    /// Whether the time of a new id is within the window, and the content can be.
    fn check_new(&self, now: Millis, transaction: &Transaction) -> Result<(), Rejection> {
        let (time, watermark) = (transaction.id.time(), self.watermark);
        if time < watermark {
            return Err(Rejection::IdTooOld { watermark });
        }
        let latest = Millis(now.0.saturating_add(self.limits.max_ahead.0));
        if time > latest {
            return Err(Rejection::IdInFuture { latest });
        }
        check_content(&transaction.operation)
    }

    /// Whether new transactions can be remembered.
    fn check_room(&self, new: &[Transaction]) -> Result<(), Rejection> {
        let Limits { max_ids, max_open, .. } = self.limits;
        if self.records.len().saturating_add(new.len()) > max_ids as usize {
            return Err(Rejection::IdTableFull { max_ids });
        }
        let stays = |transaction: &&Transaction| {
            matches!(transaction.operation, Operation::Hold { .. } | Operation::OpenStream { .. })
        };
        let stay = new.iter().filter(stays).count();
        let open = self.deadlines.len().saturating_add(self.streams.len());
        if stay > 0 && open.saturating_add(stay) > max_open as usize {
            return Err(Rejection::OpenTableFull { max_open });
        }
        Ok(())
    }

    /// Numbers and remembers what was executed.
    fn record_applied(&mut self, now: Millis, hash: u32, transaction: &Transaction, effect: Effect) -> Sequence {
        let sequence = self.change();
        if let Effect::Streaming(stream) = effect {
            self.put_stream(transaction.id, Some(stream));
        }
        self.remember(hash, Record::applied(now, transaction, sequence, effect));
        sequence
    }

    /// Numbers, remembers and journals a rejection, and answers it.
    fn burn(
        &mut self,
        hash: u32,
        transaction: &Transaction,
        rejection: Rejection,
        writer: &mut Writer<'_>,
    ) -> Rejection {
        self.change();
        let record = Record::rejected(transaction, rejection);
        self.remember(hash, record);
        writer.burnt(&record);
        rejection
    }

    fn remember(&mut self, hash: u32, record: Record) {
        let slot = self.records.insert(hash, record);
        self.note(Change::Inserted(slot));
        match record.state {
            State::Open => {
                self.deadlines.insert((record.deadline(), record.id), slot);
                self.note(Change::Deadline((record.deadline(), record.id)));
            }
            State::StreamOpen => {}
            _ => self.age(slot),
        }
    }

    fn age(&mut self, slot: u32) {
        self.records.age(slot);
        self.note(Change::Aged(slot));
    }
}

impl fmt::Debug for Ledger {
    /// Counts only: the content can be millions of records, and the seed is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("clock", &self.clock)
            .field("sequence", &self.sequence)
            .field("accounts", &self.accounts.list().len())
            .field("ids", &self.records.len())
            .field("open_holds", &self.deadlines.len())
            .field("open_streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}
