//! The ledger once more, slow and obvious.
//!
//! It keeps a list of everything it remembers and derives the rest from it each time: what is pending is the sum of
//! the open holds, whether an id is remembered is a comparison of times. It has no indexes, no chains and no packed
//! records. It defines what [`Ledger`](crate::Ledger) does, and the tests run both side by side; use it for nothing
//! else.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::{
    AccountId, AccountKind, Balance, Credits, Field, LedgerError, Limits, Millis, Operation, Outcome, Rejection,
    Remainder, Sequence, Side, Transaction, TxId,
};

/// The naive twin of [`Ledger`](crate::Ledger). Every operation is O(n).
///
/// ```
/// use inos_pricing::{AccountId, AccountKind, Limits, Millis, Transaction, TxId, naive};
///
/// # fn main() -> Result<(), inos_pricing::LedgerError> {
/// let mut ledger = naive::Ledger::new(Limits::default());
/// let mut outcomes = Vec::new();
/// let id = TxId::from_parts(Millis(1_000), 1).expect("both parts are in range");
/// ledger.apply(Millis(1_000), &[Transaction::open(id, AccountId(1), AccountKind::Holder)], &mut outcomes)?;
/// assert!(ledger.balance(AccountId(1)).0.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Ledger {
    limits: Limits,
    clock: Option<Millis>,
    sequence: u64,
    accounts: BTreeMap<AccountId, Posted>,
    memory: Vec<Remembered>,
}

#[derive(Clone, Copy, Debug)]
struct Posted {
    kind: AccountKind,
    debits: u128,
    credits: u128,
}

#[derive(Clone, Debug)]
struct Remembered {
    transaction: Transaction,
    verdict: Result<Sequence, Rejection>,
    hold: Option<Hold>,
}

#[derive(Clone, Debug)]
struct Hold {
    from: AccountId,
    to: AccountId,
    deadline: Millis,
    remaining: u64,
    /// When and why it was resolved: the rejection that everything later gets.
    resolved: Option<(Millis, Rejection)>,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, clock: None, sequence: 0, accounts: BTreeMap::new(), memory: Vec::new() }
    }

    /// As [`Ledger::apply`](crate::Ledger::apply).
    ///
    /// # Errors
    ///
    /// As [`Ledger::apply`](crate::Ledger::apply).
    pub fn apply(
        &mut self,
        now: Millis,
        batch: &[Transaction],
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Sequence, LedgerError> {
        let Limits { max_batch, max_step, max_expiries, retention, .. } = self.limits;
        if batch.len() as u64 > u64::from(max_batch) {
            return Err(LedgerError::BatchTooLong { len: batch.len(), max_batch });
        }
        if now > TxId::MAX_TIME {
            return Err(LedgerError::ClockOutOfRange { now, latest: TxId::MAX_TIME });
        }
        match self.clock {
            Some(clock) if now.0.saturating_sub(clock.0) > max_step.0 => {
                return Err(LedgerError::ClockStep { from: clock, to: now, max_step });
            }
            Some(clock) if now <= clock => {}
            _ => {
                self.clock = Some(now);
                self.next_sequence();
            }
        }
        let now = self.clock.unwrap_or(now);

        let watermark = Millis(now.0.saturating_sub(retention.0));
        self.memory.retain(|known| {
            let resolved = match &known.hold {
                Some(Hold { resolved: None, .. }) => return true,
                Some(Hold { resolved: Some((at, _)), .. }) => *at,
                None => Millis::ZERO,
            };
            known.transaction.id.time() >= watermark || resolved >= watermark
        });

        let mut overdue: Vec<(Millis, TxId)> = self
            .memory
            .iter()
            .filter_map(|known| Some((known.hold.as_ref()?, known.transaction.id)))
            .filter(|(hold, _)| hold.resolved.is_none() && hold.deadline <= now)
            .map(|(hold, id)| (hold.deadline, id))
            .collect();
        overdue.sort_unstable();
        overdue.truncate(max_expiries as usize);
        for (deadline, id) in overdue {
            self.next_sequence();
            if let Some(hold) = self.hold_mut(id) {
                hold.remaining = 0;
                hold.resolved = Some((now, Rejection::HoldExpired { deadline }));
            }
        }

        for transaction in batch {
            outcomes.push(self.answer(now, watermark, transaction));
        }
        Ok(Sequence(self.sequence))
    }

    /// As [`Ledger::balance`](crate::Ledger::balance).
    #[must_use]
    pub fn balance(&self, account: AccountId) -> (Option<Balance>, Sequence) {
        let balance = self.accounts.get(&account).map(|posted| {
            let pending = |side: fn(&Hold) -> AccountId| {
                let holds = self.memory.iter().filter_map(|known| known.hold.as_ref());
                holds.filter(|hold| side(hold) == account).map(|hold| u128::from(hold.remaining)).sum()
            };
            Balance {
                kind: posted.kind,
                debits_posted: posted.debits,
                debits_pending: pending(|hold| hold.from),
                credits_posted: posted.credits,
                credits_pending: pending(|hold| hold.to),
            }
        });
        (balance, Sequence(self.sequence))
    }

    /// As [`Ledger::id_count`](crate::Ledger::id_count).
    #[must_use]
    pub fn id_count(&self) -> usize {
        self.memory.len()
    }

    /// As [`Ledger::open_hold_count`](crate::Ledger::open_hold_count).
    #[must_use]
    pub fn open_hold_count(&self) -> usize {
        self.memory.iter().filter(|known| matches!(known.hold, Some(Hold { resolved: None, .. }))).count()
    }

    fn answer(&mut self, now: Millis, watermark: Millis, transaction: &Transaction) -> Outcome {
        let Transaction { id, operation } = *transaction;
        if let Some(known) = self.find(id) {
            return match difference(&known.transaction.operation, &operation) {
                Some(field) => Outcome::Rejected(Rejection::IdReused { field }),
                None => Outcome::Exists(known.verdict),
            };
        }
        let latest = Millis(now.0.saturating_add(self.limits.max_ahead.0));
        let max_ids = self.limits.max_ids;
        let refusal = match operation {
            _ if id.time() < watermark => Some(Rejection::IdTooOld { watermark }),
            _ if id.time() > latest => Some(Rejection::IdInFuture { latest }),
            Operation::Transfer { amount: Credits(0), .. }
            | Operation::Hold { amount: Credits(0), .. }
            | Operation::Capture { amount: Credits(0), .. } => Some(Rejection::ZeroAmount),
            Operation::Transfer { from, to, .. } | Operation::Hold { from, to, .. } if from == to => {
                Some(Rejection::SameAccount)
            }
            _ if self.memory.len() as u64 >= u64::from(max_ids) => Some(Rejection::IdTableFull { max_ids }),
            _ => None,
        };
        if let Some(rejection) = refusal {
            return Outcome::Rejected(rejection);
        }

        let effect = self.execute(now, operation);
        let sequence = self.next_sequence();
        let hold = match (effect, operation) {
            (Ok(()), Operation::Hold { from, to, amount, deadline }) => {
                Some(Hold { from, to, deadline, remaining: amount.0, resolved: None })
            }
            _ => None,
        };
        let verdict = effect.map(|()| sequence);
        self.memory.push(Remembered { transaction: *transaction, verdict, hold });
        verdict.map_or_else(Outcome::Rejected, Outcome::Applied)
    }

    fn execute(&mut self, now: Millis, operation: Operation) -> Result<(), Rejection> {
        match operation {
            Operation::Open { account, kind } => {
                let max_accounts = self.limits.max_accounts;
                if self.accounts.contains_key(&account) {
                    return Err(Rejection::AccountExists);
                }
                if self.accounts.len() as u64 >= u64::from(max_accounts) {
                    return Err(Rejection::AccountTableFull { max_accounts });
                }
                self.accounts.insert(account, Posted { kind, debits: 0, credits: 0 });
            }
            Operation::Transfer { from, to, amount } => {
                self.check_payment(from, to, amount)?;
                self.post(from, to, amount);
            }
            Operation::Hold { from, to, amount, deadline } => {
                if deadline <= now {
                    return Err(Rejection::DeadlinePassed { now });
                }
                self.check_payment(from, to, amount)?;
            }
            Operation::Capture { hold: id, amount, remainder } => {
                self.check_hold(now, id)?;
                let hold = self.hold_mut(id).ok_or(Rejection::HoldNotFound)?;
                let remaining = Credits(hold.remaining);
                hold.remaining =
                    hold.remaining.checked_sub(amount.0).ok_or(Rejection::CaptureExceedsHold { remaining })?;
                if remainder == Remainder::Release || hold.remaining == 0 {
                    hold.remaining = 0;
                    hold.resolved = Some((now, Rejection::HoldCaptured));
                }
                let (from, to) = (hold.from, hold.to);
                self.post(from, to, amount);
            }
            Operation::Release { hold: id } => {
                self.check_hold(now, id)?;
                let hold = self.hold_mut(id).ok_or(Rejection::HoldNotFound)?;
                hold.remaining = 0;
                hold.resolved = Some((now, Rejection::HoldReleased));
            }
        }
        Ok(())
    }

    fn check_payment(&self, from: AccountId, to: AccountId, amount: Credits) -> Result<(), Rejection> {
        let payer = self.balance(from).0.ok_or(Rejection::AccountNotFound { side: Side::From })?;
        self.balance(to).0.ok_or(Rejection::AccountNotFound { side: Side::To })?;
        let after = payer.debits_posted.saturating_add(payer.debits_pending).saturating_add(u128::from(amount.0));
        if payer.kind == AccountKind::Holder && after > payer.credits_posted {
            let short = after.saturating_sub(payer.credits_posted);
            let short = u64::try_from(short).unwrap_or(u64::MAX);
            return Err(Rejection::Overdraft { available: Credits(amount.0.saturating_sub(short)) });
        }
        Ok(())
    }

    fn check_hold(&self, now: Millis, id: TxId) -> Result<(), Rejection> {
        let known = self.find(id).ok_or(Rejection::HoldNotFound)?;
        let hold = known.hold.as_ref().ok_or(Rejection::NotAHold)?;
        match hold.resolved {
            Some((_, rejection)) => Err(rejection),
            None if hold.deadline <= now => Err(Rejection::HoldExpired { deadline: hold.deadline }),
            None => Ok(()),
        }
    }

    fn post(&mut self, from: AccountId, to: AccountId, amount: Credits) {
        if let Some(payer) = self.accounts.get_mut(&from) {
            payer.debits = payer.debits.saturating_add(u128::from(amount.0));
        }
        if let Some(receiver) = self.accounts.get_mut(&to) {
            receiver.credits = receiver.credits.saturating_add(u128::from(amount.0));
        }
    }

    fn find(&self, id: TxId) -> Option<&Remembered> {
        self.memory.iter().find(|known| known.transaction.id == id)
    }

    fn hold_mut(&mut self, id: TxId) -> Option<&mut Hold> {
        self.memory.iter_mut().find(|known| known.transaction.id == id)?.hold.as_mut()
    }

    fn next_sequence(&mut self) -> Sequence {
        self.sequence = self.sequence.saturating_add(1);
        Sequence(self.sequence)
    }
}

/// The first field, in the order of [`Field`], in which two operations differ.
fn difference(old: &Operation, new: &Operation) -> Option<Field> {
    let differs = match (*old, *new) {
        (Operation::Open { account: a, kind: k }, Operation::Open { account, kind }) => {
            [(a != account, Field::Account), (k != kind, Field::AccountKind)].to_vec()
        }
        (Operation::Transfer { from: f, to: t, amount: a }, Operation::Transfer { from, to, amount }) => {
            [(f != from, Field::From), (t != to, Field::To), (a != amount, Field::Amount)].to_vec()
        }
        (
            Operation::Hold { from: f, to: t, amount: a, deadline: d },
            Operation::Hold { from, to, amount, deadline },
        ) => [
            (f != from, Field::From),
            (t != to, Field::To),
            (a != amount, Field::Amount),
            (d != deadline, Field::Deadline),
        ]
        .to_vec(),
        (Operation::Capture { hold: h, amount: a, remainder: r }, Operation::Capture { hold, amount, remainder }) => {
            [(h != hold, Field::Hold), (a != amount, Field::Amount), (r != remainder, Field::Remainder)].to_vec()
        }
        (Operation::Release { hold: h }, Operation::Release { hold }) => [(h != hold, Field::Hold)].to_vec(),
        _ => [(true, Field::Operation)].to_vec(),
    };
    differs.into_iter().find(|&(differs, _)| differs).map(|(_, field)| field)
}
