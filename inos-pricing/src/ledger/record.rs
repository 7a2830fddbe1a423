//! What a ledger remembers of a transaction: its content, its verdict, and what became of a hold.

use super::stream::Stream;
use crate::bytes::Reader;
use crate::{
    AccountId, AccountKind, Credits, Field, Link, Millis, Operation, Rejection, Remainder, Sequence, Side, Transaction,
    TxId,
};

/// A transaction and its verdict. Flat, because a ledger is as large as its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) id: TxId,
    first: u128,
    second: u128,
    amount: u64,
    /// The deadline of a hold, the rate of a stream, the sides of a capture.
    extra: u64,
    /// The sequence, or the number of the rejection.
    number: u64,
    /// What is still held, or can still be refunded.
    pub(super) remaining: Credits,
    /// When a hold or stream was resolved, or what can be refunded was applied; zero otherwise.
    pub(super) settled: Millis,
    /// The next record that is forgotten at the same time, or the next free slot.
    pub(super) next: u32,
    pub(super) kind: Kind,
    option: u8,
    verdict: VerdictCode,
    pub(super) state: State,
}

const _: () = assert!(size_of::<Record>() <= 96);

/// The length of [`Record::to_bytes`].
pub(super) const RECORD_BYTES: usize = 92;

/// The length of [`Record::to_burnt`].
pub(super) const BURNT_BYTES: usize = 74;

/// What became of a hold or a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// The transaction is neither, or was rejected.
    None = 0,
    Open = 1,
    Captured = 2,
    Released = 3,
    Expired = 4,
    StreamOpen = 5,
    StreamClosed = 6,
}

/// What an operation did, as far as its record and the journal have to know; accounts by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing that is asked for again.
    Done,
    /// A transfer, which can be refunded.
    Moved(u32, u32),
    /// A new hold.
    Held(u32, u32),
    /// A capture of a hold between these two, which can be refunded.
    Captured(u32, u32),
    /// A new stream.
    Streaming(Stream),
}

/// Two accounts, by id or by position.
pub(super) enum Named {
    None,
    Ids(AccountId, AccountId),
    Slots(u32, u32),
}

impl Record {
    /// The record of a transaction whose verdict is final: applied, or rejected and its id burnt.
    pub(super) fn applied(now: Millis, transaction: &Transaction, sequence: Sequence, effect: Effect) -> Self {
        let mut record = Self::burnt(transaction, VerdictCode::Applied, sequence.0);
        match effect {
            Effect::Done => {}
            Effect::Held(..) => (record.remaining, record.state) = (Credits(record.amount), State::Open),
            Effect::Streaming(_) => record.state = State::StreamOpen,
            Effect::Moved(..) => (record.remaining, record.settled) = (Credits(record.amount), now),
            Effect::Captured(from, to) => {
                (record.remaining, record.settled) = (Credits(record.amount), now);
                record.extra = u64::from(from) << 32 | u64::from(to);
            }
        }
        record
    }

    /// The record of a transaction that changed nothing but its id.
    pub(super) fn rejected(transaction: &Transaction, rejection: Rejection) -> Self {
        let (code, number) = encode(Err(rejection)).expect("only a rejection that burns its id is recorded");
        Self::burnt(transaction, code, number)
    }

    fn burnt(transaction: &Transaction, verdict: VerdictCode, number: u64) -> Self {
        let Content { first, second, amount, extra, kind, option } = Content::of(transaction);
        let (remaining, settled, state) = (Credits::ZERO, Millis::ZERO, State::None);
        Self {
            id: transaction.id,
            first,
            second,
            amount,
            extra,
            number,
            remaining,
            settled,
            next: 0,
            kind,
            option,
            verdict,
            state,
        }
    }

    /// The verdict as it was given.
    pub(super) fn verdict(&self) -> Result<Sequence, Rejection> {
        decode(self.verdict, self.number).expect("a record is checked when it is made or read")
    }

    /// Whether it was applied.
    pub(super) fn is_applied(&self) -> bool {
        self.verdict == VerdictCode::Applied
    }

    /// Whether it says that it was applied after this change.
    pub(super) fn is_applied_after(&self, sequence: Sequence) -> bool {
        self.is_applied() && self.number > sequence.0
    }

    /// Whether a refund may name it.
    pub(super) fn is_refundable(&self) -> bool {
        matches!(self.kind, Kind::Transfer | Kind::Capture) && self.is_applied()
    }

    /// The first field in which `transaction` differs from what is recorded.
    pub(super) fn difference(&self, transaction: &Transaction) -> Option<Field> {
        let recorded = Content {
            first: self.first,
            second: self.second,
            amount: self.amount,
            extra: if self.kind == Kind::Capture { 0 } else { self.extra },
            kind: self.kind,
            option: self.option,
        };
        recorded.difference(&Content::of(transaction))
    }

    /// Payer and receiver of a transfer, a hold or a stream.
    pub(super) fn sides(&self) -> (AccountId, AccountId) {
        (AccountId(self.first), AccountId(self.second))
    }

    /// Payer and receiver of an applied capture.
    pub(super) fn capture_sides(&self) -> (u32, u32) {
        let half = |bits| u32::try_from(bits).expect("half of 64 bits");
        (half(self.extra >> 32), half(self.extra & u64::from(u32::MAX)))
    }

    /// The accounts that an applied transaction moved credits between, as far as the record names them.
    pub(super) fn accounts(&self) -> Named {
        match self.kind {
            Kind::Transfer | Kind::Hold | Kind::OpenStream => {
                let (from, to) = self.sides();
                Named::Ids(from, to)
            }
            Kind::Capture => {
                let (from, to) = self.capture_sides();
                Named::Slots(from, to)
            }
            _ => Named::None,
        }
    }

    /// The deadline of a hold.
    pub(super) fn deadline(&self) -> Millis {
        Millis(self.extra)
    }

    /// The record is kept until the watermark, and if it can be refunded the refund watermark, pass this time.
    pub(super) fn kept_from(&self) -> Millis {
        self.id.time().max(self.settled)
    }

    /// The canonical bytes of `docs/model.md`, section 8.
    pub(super) fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        for (chunk, word) in bytes[..48].chunks_exact_mut(16).zip([self.id.0, self.first, self.second]) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        let words = [self.amount, self.extra, self.number, self.remaining.0, self.settled.0];
        for (chunk, word) in bytes[48..88].chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes[88..].copy_from_slice(&[self.kind as u8, self.option, self.verdict as u8, self.state as u8]);
        bytes
    }

    /// The record of bytes that [`to_bytes`](Self::to_bytes) could have made of some record, or `None`.
    pub(super) fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let (id, first, second) = (TxId(reader.u128()?), reader.u128()?, reader.u128()?);
        let (amount, extra, number) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (remaining, settled) = (Credits(reader.u64()?), Millis(reader.u64()?));
        let (kind, option) = (Kind::of(reader.u8()?)?, reader.u8()?);
        let (verdict, state) = (VerdictCode::of(reader.u8()?)?, State::of(reader.u8()?)?);
        let record = Self {
            id,
            first,
            second,
            amount,
            extra,
            number,
            remaining,
            settled,
            next: 0,
            kind,
            option,
            verdict,
            state,
        };
        record.is_possible().then_some(record)
    }

    /// What the journal says of a record whose id was burnt, besides its kind: of its canonical bytes the content, option
    /// and verdict, and the number.
    pub(super) fn to_burnt(self) -> [u8; BURNT_BYTES] {
        let whole = self.to_bytes();
        let mut bytes = [0; BURNT_BYTES];
        bytes[..64].copy_from_slice(&whole[..64]);
        bytes[64..66].copy_from_slice(&whole[89..91]);
        bytes[66..].copy_from_slice(&whole[64..72]);
        bytes
    }

    /// The record of bytes that [`to_burnt`](Self::to_burnt) could have made of a burnt record, or `None`.
    pub(super) fn from_burnt(kind: Kind, bytes: &[u8; BURNT_BYTES]) -> Option<Self> {
        let mut whole = [0; RECORD_BYTES];
        whole[..64].copy_from_slice(&bytes[..64]);
        whole[64..72].copy_from_slice(&bytes[66..]);
        whole[88..].copy_from_slice(&[kind as u8, bytes[64], bytes[65], State::None as u8]);
        Self::from_bytes(&whole).filter(|record| !record.is_applied())
    }

    /// Whether the fields fit each other, as far as the record alone can tell.
    fn is_possible(&self) -> bool {
        let applied = self.is_applied();
        let state = match (self.kind, self.state) {
            (Kind::Hold, State::Open) => applied && self.remaining > Credits::ZERO && self.settled == Millis::ZERO,
            (Kind::Hold, State::Captured | State::Released | State::Expired) => {
                applied && self.remaining == Credits::ZERO
            }
            (Kind::OpenStream, State::StreamOpen) => applied && self.settled == Millis::ZERO,
            (Kind::OpenStream, State::StreamClosed) => applied,
            (Kind::Hold | Kind::OpenStream, State::None) => !applied && self.settled == Millis::ZERO,
            (Kind::Transfer | Kind::Capture, State::None) => applied || self.settled == Millis::ZERO,
            (_, State::None) => self.settled == Millis::ZERO,
            _ => false,
        };
        let remains = self.remaining.0 <= self.amount
            && (self.remaining == Credits::ZERO || self.is_refundable() || self.state == State::Open);
        let content = Content::of(&self.transaction());
        let extra = if self.kind == Kind::Capture && (applied || self.extra == 0) { 0 } else { self.extra };
        state
            && remains
            && decode(self.verdict, self.number).is_some()
            && self.settled <= TxId::MAX_TIME
            && (content.first, content.second, content.amount) == (self.first, self.second, self.amount)
            && (content.extra, content.option) == (extra, self.option)
            && check_content(&self.transaction().operation).is_ok()
    }

    /// The transaction that was recorded.
    pub(super) fn transaction(&self) -> Transaction {
        let (from, to) = self.sides();
        let (amount, named) = (Credits(self.amount), TxId(self.first));
        let operation = match self.kind {
            Kind::Open if self.option & !LINKED == 0 => Operation::Open { account: from, kind: AccountKind::Holder },
            Kind::Open => Operation::Open { account: from, kind: AccountKind::Issuer },
            Kind::Transfer => Operation::Transfer { from, to, amount },
            Kind::Hold => Operation::Hold { from, to, amount, deadline: Millis(self.extra) },
            Kind::Capture if self.option & !LINKED == 0 => {
                Operation::Capture { hold: named, amount, remainder: Remainder::Release }
            }
            Kind::Capture => Operation::Capture { hold: named, amount, remainder: Remainder::Keep },
            Kind::Release => Operation::Release { hold: named },
            Kind::Refund => Operation::Refund { original: named, amount },
            Kind::OpenStream => Operation::OpenStream { from, to, reserve: amount, per_hour: Credits(self.extra) },
            Kind::TopUp => Operation::TopUp { stream: named, amount },
            Kind::SetRate => Operation::SetRate { stream: named, per_hour: Credits(self.extra) },
            Kind::Settle => Operation::Settle { stream: named },
            Kind::CloseStream => Operation::CloseStream { stream: named },
        };
        let link = if self.option & LINKED == 0 { Link::End } else { Link::Next };
        Transaction { id: self.id, operation, link }
    }
}

/// What the content of an operation alone decides.
pub(super) fn check_content(operation: &Operation) -> Result<(), Rejection> {
    let (amount, same) = match *operation {
        Operation::Transfer { from, to, amount } | Operation::Hold { from, to, amount, .. } => (amount, from == to),
        Operation::OpenStream { from, to, reserve, .. } => (reserve, from == to),
        Operation::Capture { amount, .. } | Operation::Refund { amount, .. } | Operation::TopUp { amount, .. } => {
            (amount, false)
        }
        Operation::Open { .. }
        | Operation::Release { .. }
        | Operation::SetRate { .. }
        | Operation::Settle { .. }
        | Operation::CloseStream { .. } => return Ok(()),
    };
    if amount == Credits::ZERO {
        return Err(Rejection::ZeroAmount);
    }
    if same { Err(Rejection::SameAccount) } else { Ok(()) }
}

/// The bit of an option that says that the transaction is linked to the next.
const LINKED: u8 = 0x80;

/// The operation of a record. The numbers are part of the state hash and of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Open = 0,
    Transfer = 1,
    Hold = 2,
    Capture = 3,
    Release = 4,
    Refund = 5,
    OpenStream = 6,
    TopUp = 7,
    SetRate = 8,
    Settle = 9,
    CloseStream = 10,
}

impl Kind {
    pub(super) fn of_operation(operation: &Operation) -> Self {
        match operation {
            Operation::Open { .. } => Self::Open,
            Operation::Transfer { .. } => Self::Transfer,
            Operation::Hold { .. } => Self::Hold,
            Operation::Capture { .. } => Self::Capture,
            Operation::Release { .. } => Self::Release,
            Operation::Refund { .. } => Self::Refund,
            Operation::OpenStream { .. } => Self::OpenStream,
            Operation::TopUp { .. } => Self::TopUp,
            Operation::SetRate { .. } => Self::SetRate,
            Operation::Settle { .. } => Self::Settle,
            Operation::CloseStream { .. } => Self::CloseStream,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        const ALL: [Kind; 11] = [
            Kind::Open,
            Kind::Transfer,
            Kind::Hold,
            Kind::Capture,
            Kind::Release,
            Kind::Refund,
            Kind::OpenStream,
            Kind::TopUp,
            Kind::SetRate,
            Kind::Settle,
            Kind::CloseStream,
        ];
        ALL.get(usize::from(number)).copied()
    }
}

impl State {
    fn of(number: u8) -> Option<Self> {
        const ALL: [State; 7] = [
            State::None,
            State::Open,
            State::Captured,
            State::Released,
            State::Expired,
            State::StreamOpen,
            State::StreamClosed,
        ];
        ALL.get(usize::from(number)).copied()
    }
}

/// The fields of an operation side by side, so that two operations are compared field by field. Those that an operation
/// does not have are zero.
struct Content {
    /// Account, payer, hold, original or stream.
    first: u128,
    /// Receiver.
    second: u128,
    amount: u64,
    /// The deadline of a hold, the rate of a stream.
    extra: u64,
    kind: Kind,
    /// Kind of account, or what happens to the rest of a capture; and [`LINKED`].
    option: u8,
}

impl Content {
    fn of(transaction: &Transaction) -> Self {
        let option = match transaction.link {
            Link::End => 0,
            Link::Next => LINKED,
        };
        let kind = Kind::of_operation(&transaction.operation);
        let content = |first| Self { first, second: 0, amount: 0, extra: 0, kind, option };
        match transaction.operation {
            Operation::Open { account, kind } => {
                let kind = match kind {
                    AccountKind::Holder => 0,
                    AccountKind::Issuer => 1,
                };
                Self { option: option | kind, ..content(account.0) }
            }
            Operation::Transfer { from, to, amount } => Self { second: to.0, amount: amount.0, ..content(from.0) },
            Operation::Hold { from, to, amount, deadline } => {
                Self { second: to.0, amount: amount.0, extra: deadline.0, ..content(from.0) }
            }
            Operation::Capture { hold, amount, remainder } => {
                let remainder = match remainder {
                    Remainder::Release => 0,
                    Remainder::Keep => 1,
                };
                Self { amount: amount.0, option: option | remainder, ..content(hold.0) }
            }
            Operation::Refund { original, amount } => Self { amount: amount.0, ..content(original.0) },
            Operation::OpenStream { from, to, reserve, per_hour } => {
                Self { second: to.0, amount: reserve.0, extra: per_hour.0, ..content(from.0) }
            }
            Operation::TopUp { stream, amount } => Self { amount: amount.0, ..content(stream.0) },
            Operation::SetRate { stream, per_hour } => Self { extra: per_hour.0, ..content(stream.0) },
            Operation::Release { hold: named }
            | Operation::Settle { stream: named }
            | Operation::CloseStream { stream: named } => content(named.0),
        }
    }

    fn difference(&self, other: &Self) -> Option<Field> {
        if self.kind != other.kind {
            return Some(Field::Operation);
        }
        let first = match self.kind {
            Kind::Open => Field::Account,
            Kind::Transfer | Kind::Hold | Kind::OpenStream => Field::From,
            Kind::Capture | Kind::Release => Field::Hold,
            Kind::Refund => Field::Original,
            Kind::TopUp | Kind::SetRate | Kind::Settle | Kind::CloseStream => Field::Stream,
        };
        let extra = if self.kind == Kind::Hold { Field::Deadline } else { Field::Rate };
        let option = if self.kind == Kind::Open { Field::AccountKind } else { Field::Remainder };
        let differs = [
            ((self.option ^ other.option) & LINKED != 0, Field::Link),
            (self.first != other.first, first),
            (self.second != other.second, Field::To),
            (self.amount != other.amount, Field::Amount),
            (self.extra != other.extra, extra),
            (self.option != other.option, option),
        ];
        differs.into_iter().find(|&(differs, _)| differs).map(|(_, field)| field)
    }
}

/// The verdicts that are recorded. The numbers are part of the state hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum VerdictCode {
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
    OriginalNotFound = 13,
    NotRefundable = 14,
    RefundWindowClosed = 15,
    RefundExceedsOriginal = 16,
    StreamNotFound = 17,
    NotAStream = 18,
    StreamClosed = 19,
    ReserveTooLarge = 20,
}

impl VerdictCode {
    fn of(number: u8) -> Option<Self> {
        const ALL: [VerdictCode; 21] = [
            VerdictCode::Applied,
            VerdictCode::AccountExists,
            VerdictCode::AccountTableFull,
            VerdictCode::DeadlinePassed,
            VerdictCode::PayerNotFound,
            VerdictCode::ReceiverNotFound,
            VerdictCode::Overdraft,
            VerdictCode::HoldNotFound,
            VerdictCode::NotAHold,
            VerdictCode::HoldCaptured,
            VerdictCode::HoldReleased,
            VerdictCode::HoldExpired,
            VerdictCode::CaptureExceedsHold,
            VerdictCode::OriginalNotFound,
            VerdictCode::NotRefundable,
            VerdictCode::RefundWindowClosed,
            VerdictCode::RefundExceedsOriginal,
            VerdictCode::StreamNotFound,
            VerdictCode::NotAStream,
            VerdictCode::StreamClosed,
            VerdictCode::ReserveTooLarge,
        ];
        ALL.get(usize::from(number)).copied()
    }
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
        Rejection::OriginalNotFound => (VerdictCode::OriginalNotFound, 0),
        Rejection::NotRefundable => (VerdictCode::NotRefundable, 0),
        Rejection::RefundWindowClosed { since } => (VerdictCode::RefundWindowClosed, since.0),
        Rejection::RefundExceedsOriginal { refundable } => (VerdictCode::RefundExceedsOriginal, refundable.0),
        Rejection::StreamNotFound => (VerdictCode::StreamNotFound, 0),
        Rejection::NotAStream => (VerdictCode::NotAStream, 0),
        Rejection::StreamClosed => (VerdictCode::StreamClosed, 0),
        Rejection::ReserveTooLarge { reserve } => (VerdictCode::ReserveTooLarge, reserve.0),
        Rejection::IdReused { .. }
        | Rejection::IdTooOld { .. }
        | Rejection::IdInFuture { .. }
        | Rejection::ZeroAmount
        | Rejection::SameAccount
        | Rejection::ChainOpen
        | Rejection::RepeatedInChain
        | Rejection::ChainFailed { .. }
        | Rejection::IdTableFull { .. }
        | Rejection::OpenTableFull { .. } => return None,
    })
}

/// `None` for a number that the code cannot have.
fn decode(code: VerdictCode, number: u64) -> Option<Result<Sequence, Rejection>> {
    Some(Err(match code {
        VerdictCode::Applied => return Some(Ok(Sequence(number))),
        VerdictCode::AccountExists => Rejection::AccountExists,
        VerdictCode::AccountTableFull => Rejection::AccountTableFull { max_accounts: u32::try_from(number).ok()? },
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
        VerdictCode::OriginalNotFound => Rejection::OriginalNotFound,
        VerdictCode::NotRefundable => Rejection::NotRefundable,
        VerdictCode::RefundWindowClosed => Rejection::RefundWindowClosed { since: Millis(number) },
        VerdictCode::RefundExceedsOriginal => Rejection::RefundExceedsOriginal { refundable: Credits(number) },
        VerdictCode::StreamNotFound => Rejection::StreamNotFound,
        VerdictCode::NotAStream => Rejection::NotAStream,
        VerdictCode::StreamClosed => Rejection::StreamClosed,
        VerdictCode::ReserveTooLarge => Rejection::ReserveTooLarge { reserve: Credits(number) },
    }))
}
