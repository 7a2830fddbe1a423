//! What a ledger answers.

use crate::{Credits, Millis};

/// Counts the changes of a ledger's state: a step of the clock, an expired hold, an applied transaction and a rejection
/// that burns its id are one each. Two answers with the same sequence come from the same state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

/// The answer to one [`Transaction`](crate::Transaction).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Applied now, as this change.
    Applied(Sequence),
    /// The same transaction was answered before, with this verdict. Nothing changed.
    Exists(Result<Sequence, Rejection>),
    /// Rejected now. Whether the id is used up is [`Rejection::burns_id`]; nothing else changed.
    Rejected(Rejection),
}

impl Outcome {
    /// The verdict without the news of whether it is new: a client that retries gets the same verdict every time.
    ///
    /// # Errors
    ///
    /// The rejection, when the verdict is one.
    pub const fn verdict(self) -> Result<Sequence, Rejection> {
        match self {
            Self::Applied(sequence) => Ok(sequence),
            Self::Exists(verdict) => verdict,
            Self::Rejected(rejection) => Err(rejection),
        }
    }
}

/// Why a transaction was not applied. In each case the submitter is at fault, or late, or short of credits; the
/// balances are unchanged.
///
/// The variants are in the order in which they are checked, within the operations that can have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The id was used by a transaction that differs in this field. No trace.
    #[error("the id was used by a transaction with another {field:?}")]
    IdReused {
        /// The first field that differs, in the order of [`Field`].
        field: Field,
    },
    /// The time of the id is before the watermark: whether it was used before is forgotten. No trace; ask
    /// again with a new id only after finding out whether the old one was applied.
    #[error("the id is older than the watermark, {} ms", watermark.0)]
    IdTooOld {
        /// The oldest time that is accepted.
        watermark: Millis,
    },
    /// The time of the id is too far ahead of the ledger's clock. No trace.
    #[error("the id is later than {} ms", latest.0)]
    IdInFuture {
        /// The latest time that is accepted.
        latest: Millis,
    },
    /// The transaction moves nothing. Content alone decides it: no trace.
    #[error("the amount is zero")]
    ZeroAmount,
    /// The payer is the receiver. Content alone decides it: no trace.
    #[error("both sides are the same account")]
    SameAccount,
    /// The ledger remembers as many ids as it may. No trace: try again when ids have become older than the watermark.
    /// The id of a hold does so only after the hold was resolved.
    #[error("the table of ids is full: {max_ids}")]
    IdTableFull {
        /// [`Limits::max_ids`](crate::Limits::max_ids).
        max_ids: u32,
    },
    /// The account to open is open. Burns the id.
    #[error("the account exists")]
    AccountExists,
    /// The ledger has as many accounts as it may. Burns the id.
    #[error("the table of accounts is full: {max_accounts}")]
    AccountTableFull {
        /// [`Limits::max_accounts`](crate::Limits::max_accounts).
        max_accounts: u32,
    },
    /// The deadline of a new hold is not later than the ledger's clock. Burns the id.
    #[error("the deadline is not after {} ms", now.0)]
    DeadlinePassed {
        /// The ledger's clock.
        now: Millis,
    },
    /// An account is not open; the payer is checked first. Burns the id.
    #[error("the account on the {side:?} side is not open")]
    AccountNotFound {
        /// Which one.
        side: Side,
    },
    /// The payer has less than the amount. Burns the id.
    #[error("only {} credits are available", available.0)]
    Overdraft {
        /// What it has: posted credits less posted and pending debits.
        available: Credits,
    },
    /// The id of the hold is not known: never used, or forgotten after its retention. Burns the id.
    #[error("the hold is not known")]
    HoldNotFound,
    /// The id names a transaction that is not a hold, or a hold that was rejected. Burns the id.
    #[error("the transaction named as a hold is none")]
    NotAHold,
    /// The hold was captured and nothing of it is left. Burns the id.
    #[error("the hold was captured")]
    HoldCaptured,
    /// The hold was released. Burns the id.
    #[error("the hold was released")]
    HoldReleased,
    /// The deadline of the hold has come, even if the hold still waits for its turn to expire. Burns the id.
    #[error("the hold expired at {} ms", deadline.0)]
    HoldExpired {
        /// Its deadline.
        deadline: Millis,
    },
    /// The capture asks for more than is held. Burns the id.
    #[error("only {} credits are held", remaining.0)]
    CaptureExceedsHold {
        /// What is still held.
        remaining: Credits,
    },
}

impl Rejection {
    /// Whether the id is used up. It is exactly when the state of the ledger decided the rejection: the state may
    /// change, and a retry must not turn into something that the client was told did not happen.
    ///
    /// ```
    /// use inos_pricing::{Credits, Rejection};
    ///
    /// assert!(Rejection::Overdraft { available: Credits(3) }.burns_id());
    /// assert!(!Rejection::ZeroAmount.burns_id());
    /// ```
    #[must_use]
    pub const fn burns_id(self) -> bool {
        !matches!(
            self,
            Self::IdReused { .. }
                | Self::IdTooOld { .. }
                | Self::IdInFuture { .. }
                | Self::ZeroAmount
                | Self::SameAccount
                | Self::IdTableFull { .. }
        )
    }
}

/// The part of a transaction in which a reused id differs, in the order of comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Field {
    /// The kind of operation.
    Operation,
    /// The account to open.
    Account,
    /// The payer.
    From,
    /// The receiver.
    To,
    /// The hold that is named.
    Hold,
    /// The amount.
    Amount,
    /// The deadline.
    Deadline,
    /// The kind of account.
    AccountKind,
    /// What happens to the rest of a capture.
    Remainder,
}

/// A side of a transfer or hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The payer.
    From,
    /// The receiver.
    To,
}
