//! What a ledger remembers of a transaction: its content, its verdict, and what became of a hold.

use crate::{
    AccountId, AccountKind, Credits, Field, Millis, Operation, Rejection, Remainder, Sequence, Side, Transaction, TxId,
};

/// A transaction and its verdict. Flat, because a ledger is as large as its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) id: TxId,
    first: u128,
    second: u128,
    amount: u64,
    deadline: u64,
    /// The sequence, or the number of the rejection.
    number: u64,
    /// What is still held.
    pub(super) remaining: Credits,
    /// When the hold was resolved; zero if it was not, or is none.
    pub(super) resolved: Millis,
    /// The next record that is forgotten at the same time, or the next free slot.
    pub(super) next: u32,
    kind: Kind,
    option: u8,
    verdict: VerdictCode,
    pub(super) hold: HoldState,
}

const _: () = assert!(size_of::<Record>() <= 96);

/// The length of [`Record::to_bytes`].
const RECORD_BYTES: usize = 92;

/// What became of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum HoldState {
    /// The transaction is no hold, or was rejected.
    None = 0,
    Open = 1,
    Captured = 2,
    Released = 3,
    Expired = 4,
}

impl Record {
    /// The record of a transaction whose verdict is final: applied, or rejected and its id burnt.
    pub(super) fn new(transaction: &Transaction, verdict: Result<Sequence, Rejection>) -> Self {
        let Content { first, second, amount, deadline, kind, option } = Content::of(&transaction.operation);
        let (code, number) = encode(verdict).expect("only a rejection that burns its id is recorded");
        let (remaining, hold) = match kind {
            Kind::Hold if verdict.is_ok() => (Credits(amount), HoldState::Open),
            _ => (Credits::ZERO, HoldState::None),
        };
        Self {
            id: transaction.id,
            first,
            second,
            amount,
            deadline,
            number,
            remaining,
            resolved: Millis::ZERO,
            next: 0,
            kind,
            option,
            verdict: code,
            hold,
        }
    }

    /// The verdict as it was given.
    pub(super) fn verdict(&self) -> Result<Sequence, Rejection> {
        decode(self.verdict, self.number)
    }

    /// The first field in which `operation` differs from what is recorded.
    pub(super) fn difference(&self, operation: &Operation) -> Option<Field> {
        let recorded = Content {
            first: self.first,
            second: self.second,
            amount: self.amount,
            deadline: self.deadline,
            kind: self.kind,
            option: self.option,
        };
        recorded.difference(&Content::of(operation))
    }

    /// Payer and receiver of a hold.
    pub(super) fn sides(&self) -> (AccountId, AccountId) {
        (AccountId(self.first), AccountId(self.second))
    }

    /// The deadline of a hold.
    pub(super) fn deadline(&self) -> Millis {
        Millis(self.deadline)
    }

    /// The record is kept until the watermark passes this time: the time of its id, or the resolution of its hold.
    pub(super) fn kept_from(&self) -> Millis {
        self.id.time().max(self.resolved)
    }

    /// The canonical bytes that the state hash covers.
    pub(super) fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        for (chunk, word) in bytes[..48].chunks_exact_mut(16).zip([self.id.0, self.first, self.second]) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        let words = [self.amount, self.deadline, self.number, self.remaining.0, self.resolved.0];
        for (chunk, word) in bytes[48..88].chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes[88..].copy_from_slice(&[self.kind as u8, self.option, self.verdict as u8, self.hold as u8]);
        bytes
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Open = 0,
    Transfer = 1,
    Hold = 2,
    Capture = 3,
    Release = 4,
}

/// The fields of an operation side by side, so that two operations are compared field by field. Those that an operation
/// does not have are zero.
struct Content {
    /// Account, payer or hold.
    first: u128,
    /// Receiver.
    second: u128,
    amount: u64,
    deadline: u64,
    kind: Kind,
    /// Kind of account, or what happens to the rest of a capture.
    option: u8,
}

impl Content {
    fn of(operation: &Operation) -> Self {
        let zero = Self { first: 0, second: 0, amount: 0, deadline: 0, kind: Kind::Open, option: 0 };
        match *operation {
            Operation::Open { account, kind } => {
                let option = match kind {
                    AccountKind::Holder => 0,
                    AccountKind::Issuer => 1,
                };
                Self { kind: Kind::Open, first: account.0, option, ..zero }
            }
            Operation::Transfer { from, to, amount } => {
                Self { kind: Kind::Transfer, first: from.0, second: to.0, amount: amount.0, ..zero }
            }
            Operation::Hold { from, to, amount, deadline } => {
                Self { kind: Kind::Hold, first: from.0, second: to.0, amount: amount.0, deadline: deadline.0, ..zero }
            }
            Operation::Capture { hold, amount, remainder } => {
                let option = match remainder {
                    Remainder::Release => 0,
                    Remainder::Keep => 1,
                };
                Self { kind: Kind::Capture, first: hold.0, amount: amount.0, option, ..zero }
            }
            Operation::Release { hold } => Self { kind: Kind::Release, first: hold.0, ..zero },
        }
    }

    fn difference(&self, other: &Self) -> Option<Field> {
        if self.kind != other.kind {
            return Some(Field::Operation);
        }
        let (first, option) = match self.kind {
            Kind::Open => (Field::Account, Field::AccountKind),
            Kind::Transfer | Kind::Hold => (Field::From, Field::Operation),
            Kind::Capture | Kind::Release => (Field::Hold, Field::Remainder),
        };
        let differs = [
            (self.first != other.first, first),
            (self.second != other.second, Field::To),
            (self.amount != other.amount, Field::Amount),
            (self.deadline != other.deadline, Field::Deadline),
            (self.option != other.option, option),
        ];
        differs.into_iter().find(|&(differs, _)| differs).map(|(_, field)| field)
    }
}

/// The verdicts that are recorded. The numbers are part of the state hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum VerdictCode {
    Applied = 0,
    AccountExists = 1,
    AccountTableFull = 2,
    DeadlinePassed = 3,
    PayerNotFound = 4,
    ReceiverNotFound = 5,
    Overdraft = 6,
    HoldNotFound = 7,
    NotAHold = 8,
    HoldCaptured = 9,
    HoldReleased = 10,
    HoldExpired = 11,
    CaptureExceedsHold = 12,
}

/// The code and the number of a verdict, or `None` for a rejection that leaves no trace.
fn encode(verdict: Result<Sequence, Rejection>) -> Option<(VerdictCode, u64)> {
    let rejection = match verdict {
        Ok(sequence) => return Some((VerdictCode::Applied, sequence.0)),
        Err(rejection) => rejection,
    };
    Some(match rejection {
        Rejection::AccountExists => (VerdictCode::AccountExists, 0),
        Rejection::AccountTableFull { max_accounts } => (VerdictCode::AccountTableFull, u64::from(max_accounts)),
        Rejection::DeadlinePassed { now } => (VerdictCode::DeadlinePassed, now.0),
        Rejection::AccountNotFound { side: Side::From } => (VerdictCode::PayerNotFound, 0),
        Rejection::AccountNotFound { side: Side::To } => (VerdictCode::ReceiverNotFound, 0),
        Rejection::Overdraft { available } => (VerdictCode::Overdraft, available.0),
        Rejection::HoldNotFound => (VerdictCode::HoldNotFound, 0),
        Rejection::NotAHold => (VerdictCode::NotAHold, 0),
        Rejection::HoldCaptured => (VerdictCode::HoldCaptured, 0),
        Rejection::HoldReleased => (VerdictCode::HoldReleased, 0),
        Rejection::HoldExpired { deadline } => (VerdictCode::HoldExpired, deadline.0),
        Rejection::CaptureExceedsHold { remaining } => (VerdictCode::CaptureExceedsHold, remaining.0),
        Rejection::IdReused { .. }
        | Rejection::IdTooOld { .. }
        | Rejection::IdInFuture { .. }
        | Rejection::ZeroAmount
        | Rejection::SameAccount
        | Rejection::IdTableFull { .. } => return None,
    })
}

fn decode(code: VerdictCode, number: u64) -> Result<Sequence, Rejection> {
    Err(match code {
        VerdictCode::Applied => return Ok(Sequence(number)),
        VerdictCode::AccountExists => Rejection::AccountExists,
        VerdictCode::AccountTableFull => Rejection::AccountTableFull {
            max_accounts: u32::try_from(number).expect("the limit was recorded from 32 bits"),
        },
        VerdictCode::DeadlinePassed => Rejection::DeadlinePassed { now: Millis(number) },
        VerdictCode::PayerNotFound => Rejection::AccountNotFound { side: Side::From },
        VerdictCode::ReceiverNotFound => Rejection::AccountNotFound { side: Side::To },
        VerdictCode::Overdraft => Rejection::Overdraft { available: Credits(number) },
        VerdictCode::HoldNotFound => Rejection::HoldNotFound,
        VerdictCode::NotAHold => Rejection::NotAHold,
        VerdictCode::HoldCaptured => Rejection::HoldCaptured,
        VerdictCode::HoldReleased => Rejection::HoldReleased,
        VerdictCode::HoldExpired => Rejection::HoldExpired { deadline: Millis(number) },
        VerdictCode::CaptureExceedsHold => Rejection::CaptureExceedsHold { remaining: Credits(number) },
    })
}
