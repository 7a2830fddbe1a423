//! A double-entry ledger in memory.

mod account;
mod index;
mod record;
mod records;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use xxhash_rust::xxh3::Xxh3;

use self::account::Accounts;
pub use self::account::Balance;
use self::record::{HoldState, Record};
use self::records::Records;
use crate::{
    AccountId, AccountKind, Credits, Millis, Operation, Outcome, Rejection, Remainder, Sequence, Side, Transaction,
    TxId,
};

/// What a [`Ledger`] may hold, and how it treats time. Every value is valid; zero means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The number of accounts; one more is [`Rejection::AccountTableFull`].
    pub max_accounts: u32,
    /// The number of remembered ids; one more is [`Rejection::IdTableFull`]. Each takes 96 bytes and
    /// its places in the indexes. The id of an open hold stays at any age: a table full of open holds takes no new id,
    /// not even to release one of them, until their deadlines come. Whoever admits transactions bounds how many holds
    /// a payer has and how far ahead their deadlines are.
    pub max_ids: u32,
    /// The number of transactions in one batch; more is [`LedgerError::BatchTooLong`].
    pub max_batch: u32,
    /// The number of holds that expire in one call; the others wait for the next, and cannot be captured meanwhile.
    pub max_expiries: u32,
    /// How far the clock may move forward in one call; more is [`LedgerError::ClockStep`].
    pub max_step: Millis,
    /// How far the time of an id may be ahead of the clock; more is [`Rejection::IdInFuture`].
    pub max_ahead: Millis,
    /// How long an id is remembered: until the watermark, the clock less this, has passed its time and, for a hold,
    /// the time of its resolution. An id older than the watermark is [`Rejection::IdTooOld`]. Longer than any client
    /// retries.
    pub retention: Millis,
}

impl Default for Limits {
    /// 2^20 accounts, 2^23 ids, batches of 8,190, 8,190 expiries a call, steps of at most a day, ids at most a minute
    /// ahead and remembered for a day. That is room for 97 new ids a second, sustained; more need more ids or a shorter
    /// retention.
    fn default() -> Self {
        Self {
            max_accounts: 1 << 20,
            max_ids: 1 << 23,
            max_batch: 8_190,
            max_expiries: 8_190,
            max_step: Millis::DAY,
            max_ahead: Millis::MINUTE,
            retention: Millis::DAY,
        }
    }
}

/// Why a whole batch was refused. The caller is at fault; nothing changed and there are no outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// More transactions than [`Limits::max_batch`].
    #[error("a batch of {len} transactions is longer than {max_batch}")]
    BatchTooLong {
        /// The number of transactions.
        len: usize,
        /// The most that are accepted.
        max_batch: u32,
    },
    /// The clock would move forward by more than [`Limits::max_step`]: a broken clock would make every id too old.
    #[error("a step of the clock from {} to {} ms is longer than {} ms", from.0, to.0, max_step.0)]
    ClockStep {
        /// The ledger's clock.
        from: Millis,
        /// The argument.
        to: Millis,
        /// The longest step that is accepted.
        max_step: Millis,
    },
    /// The clock would be later than any id can say.
    #[error("{} ms is later than the latest time of an id, {} ms", now.0, latest.0)]
    ClockOutOfRange {
        /// The argument.
        now: Millis,
        /// [`TxId::MAX_TIME`].
        latest: Millis,
    },
}

/// A double-entry ledger: accounts, transfers and holds, in memory.
///
/// It is a deterministic state machine: the same limits and the same calls give the same outcomes and the same
/// [`state_hash`](Self::state_hash) on every target, whatever the seed. It reads no clock and draws no randomness.
///
/// # Guarantees, after every call
///
/// - **Conservation.** Over all accounts, posted debits equal posted credits, and pending debits pending credits.
/// - **No overdraft.** Of every [`AccountKind::Holder`], posted and pending debits are at most posted credits.
/// - **Exactly once.** A transaction sent again has its original verdict and changes nothing, for as long as its id is
///   remembered; after that it is [`Rejection::IdTooOld`], never applied again.
/// - **Resolved once.** Of every hold, what is captured, released and expired sums to what was held.
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
/// let mut outcomes = Vec::new();
/// ledger.apply(now, &[
///     Transaction::open(id(1), mint, AccountKind::Issuer),
///     Transaction::open(id(2), alice, AccountKind::Holder),
///     Transaction::open(id(3), bob, AccountKind::Holder),
///     Transaction::transfer(id(4), mint, alice, Credits(100)),
///     Transaction::transfer(id(5), alice, bob, Credits(101)),
/// ], &mut outcomes)?;
/// assert_eq!(outcomes[4], Outcome::Rejected(Rejection::Overdraft { available: Credits(100) }));
///
/// // A retry has the same verdict, whatever has happened since.
/// outcomes.clear();
/// ledger.apply(now, &[
///     Transaction::transfer(id(6), mint, alice, Credits(1)),
///     Transaction::transfer(id(5), alice, bob, Credits(101)),
/// ], &mut outcomes)?;
/// assert_eq!(outcomes[1], Outcome::Exists(Err(Rejection::Overdraft { available: Credits(100) })));
///
/// let (balance, sequence) = ledger.balance(alice);
/// assert_eq!(balance.map(|b| b.available()), Some(101));
/// assert_eq!(sequence, Sequence(7)); // the clock, five transactions, one more
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Ledger {
    limits: Limits,
    /// `None` before the first call.
    clock: Option<Millis>,
    sequence: Sequence,
    accounts: Accounts,
    records: Records,
    /// Open holds in the order in which they expire.
    deadlines: BTreeMap<(Millis, TxId), u32>,
}

impl Ledger {
    /// An empty ledger. `seed` keys its hash tables and is kept secret, so that no one can choose ids that make it
    /// slow; it changes no outcome and no state hash.
    #[must_use]
    pub fn new(limits: Limits, seed: u128) -> Self {
        Self {
            limits,
            clock: None,
            sequence: Sequence(0),
            accounts: Accounts::new(seed),
            records: Records::new(seed),
            deadlines: BTreeMap::new(),
        }
    }

    /// Sets the clock, expires holds, then answers `batch` in its order: one [`Outcome`] for each transaction is
    /// appended to `outcomes`. Returns the sequence after the last change.
    ///
    /// - **Clock.** `now` before the clock counts as the clock: time never goes back. The first call may be at any
    ///   time.
    /// - **Forgetting.** Ids whose retention is over are forgotten.
    /// - **Expiry.** Open holds with `deadline <= now` return to their payers in the order of (deadline, id), at most
    ///   [`Limits::max_expiries`] of them. An empty batch does just this much.
    /// - **Each transaction.** A known id is answered from memory. For a new one the time of the id, the content, the
    ///   room for the id and at last the state are checked, in the order of [`Rejection`].
    ///
    /// Expected O(1) for a transfer, O(log n) for a hold and for what resolves it.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] when the batch is too long or the clock cannot be right. Nothing has changed then.
    pub fn apply(
        &mut self,
        now: Millis,
        batch: &[Transaction],
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Sequence, LedgerError> {
        let max_batch = self.limits.max_batch;
        if u32::try_from(batch.len()).is_ok_and(|len| len <= max_batch) {
            let now = self.advance(now)?;
            self.records.forget(self.watermark(now));
            self.expire(now);
            outcomes.reserve(batch.len());
            outcomes.extend(batch.iter().map(|transaction| self.answer(now, transaction)));
            Ok(self.sequence)
        } else {
            Err(LedgerError::BatchTooLong { len: batch.len(), max_batch })
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

    /// A 128-bit hash (XXH3) of everything that decides a later answer: clock, sequence, accounts, ids and holds, in a
    /// canonical order, without limits and seed. Equal on every target after equal calls.
    ///
    /// It finds accidental differences, as between two replicas. It is no proof against someone who chooses the
    /// transactions. O(n log n) time, O(n) memory.
    #[must_use]
    pub fn state_hash(&self) -> u128 {
        let mut hasher = Xxh3::new();
        let clock = self.clock.map_or(u64::MAX, |clock| clock.0); // above TxId::MAX_TIME, so no clock
        hasher.update(b"inos-pricing state 1");
        hasher.update(&self.sequence.0.to_le_bytes());
        hasher.update(&clock.to_le_bytes());

        let mut accounts: Vec<_> = self.accounts().collect();
        accounts.sort_unstable_by_key(|&(id, _)| id);
        hasher.update(&(accounts.len() as u64).to_le_bytes());
        for (id, balance) in accounts {
            let kind = match balance.kind {
                AccountKind::Holder => 0,
                AccountKind::Issuer => 1,
            };
            hasher.update(&id.0.to_le_bytes());
            hasher.update(&[kind]);
            for counter in
                [balance.debits_posted, balance.debits_pending, balance.credits_posted, balance.credits_pending]
            {
                hasher.update(&counter.to_le_bytes());
            }
        }

        hasher.update(&(self.records.len() as u64).to_le_bytes());
        for record in self.records.sorted() {
            hasher.update(&record.to_bytes());
        }
        hasher.digest128()
    }

    /// Moves the clock and returns it.
    fn advance(&mut self, now: Millis) -> Result<Millis, LedgerError> {
        if now > TxId::MAX_TIME {
            return Err(LedgerError::ClockOutOfRange { now, latest: TxId::MAX_TIME });
        }
        if let Some(clock) = self.clock {
            if now <= clock {
                return Ok(clock);
            }
            let max_step = self.limits.max_step;
            if now.0.saturating_sub(clock.0) > max_step.0 {
                return Err(LedgerError::ClockStep { from: clock, to: now, max_step });
            }
        }
        self.clock = Some(now);
        self.change();
        Ok(now)
    }

    /// The oldest time of a new id. Ids are only forgotten below it.
    fn watermark(&self, now: Millis) -> Millis {
        Millis(now.0.saturating_sub(self.limits.retention.0))
    }

    /// Numbers a change.
    fn change(&mut self) -> Sequence {
        let next = self.sequence.0.checked_add(1).expect("2^64 changes take longer than 500 years");
        self.sequence = Sequence(next);
        self.sequence
    }

    fn expire(&mut self, now: Millis) {
        for _ in 0..self.limits.max_expiries {
            match self.deadlines.first_key_value() {
                Some((&(deadline, _), &slot)) if deadline <= now => {
                    self.change();
                    self.resolve(now, slot, HoldState::Expired);
                }
                _ => break,
            }
        }
    }

    /// Returns what is left of an open hold to the payer and lets its id age.
    fn resolve(&mut self, now: Millis, slot: u32, state: HoldState) {
        let record = self.records.at_mut(slot);
        self.deadlines.remove(&(record.deadline(), record.id));
        record.hold = state;
        record.resolved = now;
        let left = core::mem::take(&mut record.remaining);
        let (from, to) = hold_sides(&self.accounts, self.records.at(slot));
        self.accounts.unpend(from, to, left);
        self.records.age(slot);
    }

    fn answer(&mut self, now: Millis, transaction: &Transaction) -> Outcome {
        let id = transaction.id;
        let hash = self.records.hash(id);
        if let Some(slot) = self.records.find(hash, id) {
            let record = self.records.at(slot);
            return match record.difference(&transaction.operation) {
                Some(field) => Outcome::Rejected(Rejection::IdReused { field }),
                None => Outcome::Exists(record.verdict()),
            };
        }
        if let Err(rejection) = self.check_id(now, id).and_then(|()| check_content(&transaction.operation)) {
            return Outcome::Rejected(rejection);
        }
        let max_ids = self.limits.max_ids;
        if self.records.len() >= max_ids as usize {
            return Outcome::Rejected(Rejection::IdTableFull { max_ids });
        }

        let effect = self.execute(now, &transaction.operation);
        let sequence = self.change();
        let verdict = effect.map(|()| sequence);
        let record = Record::new(transaction, verdict);
        let slot = self.records.insert(hash, record);
        if record.hold == HoldState::Open {
            self.deadlines.insert((record.deadline(), id), slot);
        } else {
            self.records.age(slot);
        }
        match verdict {
            Ok(sequence) => Outcome::Applied(sequence),
            Err(rejection) => Outcome::Rejected(rejection),
        }
    }

    /// Whether the time of a new id is within the window.
    fn check_id(&self, now: Millis, id: TxId) -> Result<(), Rejection> {
        let watermark = self.watermark(now);
        if id.time() < watermark {
            return Err(Rejection::IdTooOld { watermark });
        }
        let latest = Millis(now.0.saturating_add(self.limits.max_ahead.0));
        if id.time() > latest {
            return Err(Rejection::IdInFuture { latest });
        }
        Ok(())
    }

    /// Changes the accounts and holds, or nothing. Every rejection from here depends on the state and burns the id.
    fn execute(&mut self, now: Millis, operation: &Operation) -> Result<(), Rejection> {
        match *operation {
            Operation::Open { account, kind } => self.open(account, kind),
            Operation::Transfer { from, to, amount } => {
                let (from, to) = self.payable(from, to, amount)?;
                self.accounts.post(from, to, amount);
                Ok(())
            }
            Operation::Hold { from, to, amount, deadline } => {
                if deadline <= now {
                    return Err(Rejection::DeadlinePassed { now });
                }
                let (from, to) = self.payable(from, to, amount)?;
                self.accounts.pend(from, to, amount);
                Ok(())
            }
            Operation::Capture { hold, amount, remainder } => self.capture(now, hold, amount, remainder),
            Operation::Release { hold } => {
                let slot = self.open_hold(now, hold)?;
                self.resolve(now, slot, HoldState::Released);
                Ok(())
            }
        }
    }

    fn open(&mut self, account: AccountId, kind: AccountKind) -> Result<(), Rejection> {
        if self.accounts.find(account).is_some() {
            return Err(Rejection::AccountExists);
        }
        let max_accounts = self.limits.max_accounts;
        if self.accounts.list().len() >= max_accounts as usize {
            return Err(Rejection::AccountTableFull { max_accounts });
        }
        self.accounts.open(account, kind);
        Ok(())
    }

    /// The slots of payer and receiver, if the payer can pay.
    fn payable(&self, from: AccountId, to: AccountId, amount: Credits) -> Result<(u32, u32), Rejection> {
        let from = self.accounts.find(from).ok_or(Rejection::AccountNotFound { side: Side::From })?;
        let to = self.accounts.find(to).ok_or(Rejection::AccountNotFound { side: Side::To })?;
        self.accounts.balance(from).afford(amount).map_err(|available| Rejection::Overdraft { available })?;
        Ok((from, to))
    }

    fn capture(&mut self, now: Millis, hold: TxId, amount: Credits, remainder: Remainder) -> Result<(), Rejection> {
        let slot = self.open_hold(now, hold)?;
        let record = self.records.at_mut(slot);
        let remaining = record.remaining;
        let left = remaining.checked_sub(amount).ok_or(Rejection::CaptureExceedsHold { remaining })?;
        record.remaining = left;
        let (from, to) = hold_sides(&self.accounts, self.records.at(slot));
        self.accounts.unpend(from, to, amount);
        self.accounts.post(from, to, amount);
        if remainder == Remainder::Release || left == Credits::ZERO {
            self.resolve(now, slot, HoldState::Captured);
        }
        Ok(())
    }

    /// The slot of a hold that is open and not overdue.
    fn open_hold(&self, now: Millis, hold: TxId) -> Result<u32, Rejection> {
        let slot = self.records.find(self.records.hash(hold), hold).ok_or(Rejection::HoldNotFound)?;
        let record = self.records.at(slot);
        let deadline = record.deadline();
        match record.hold {
            HoldState::None => Err(Rejection::NotAHold),
            HoldState::Captured => Err(Rejection::HoldCaptured),
            HoldState::Released => Err(Rejection::HoldReleased),
            HoldState::Expired => Err(Rejection::HoldExpired { deadline }),
            HoldState::Open if deadline <= now => Err(Rejection::HoldExpired { deadline }),
            HoldState::Open => Ok(slot),
        }
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
            .finish_non_exhaustive()
    }
}

/// What the content of an operation alone decides.
fn check_content(operation: &Operation) -> Result<(), Rejection> {
    let (amount, same) = match *operation {
        Operation::Transfer { from, to, amount } | Operation::Hold { from, to, amount, .. } => (amount, from == to),
        Operation::Capture { amount, .. } => (amount, false),
        Operation::Open { .. } | Operation::Release { .. } => return Ok(()),
    };
    if amount == Credits::ZERO {
        return Err(Rejection::ZeroAmount);
    }
    if same { Err(Rejection::SameAccount) } else { Ok(()) }
}

/// The slots of the payer and the receiver of a hold.
fn hold_sides(accounts: &Accounts, record: &Record) -> (u32, u32) {
    let (from, to) = record.sides();
    let find = |id| accounts.find(id).expect("accounts stay open, and a hold was accepted between two");
    (find(from), find(to))
}
