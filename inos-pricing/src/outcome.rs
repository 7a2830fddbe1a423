//! What a ledger answers.

use crate::{Credits, Millis};

/// Counts the changes of a ledger's state: a step of the clock, an expired hold, an applied transaction and a rejection
/// that burns its id are one each. Two answers with the same sequence come from the same state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sequence(pub u64);

impl Sequence {
    /// No ledger has more changes than this: 2^63. At a billion changes a second it takes 292 years.
    pub(crate) const MAX: u64 = 1 << 63;
}

/// The answer to one [`Transaction`](crate::Transaction).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
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
    /// The id is that of an earlier transaction of the same chain. No trace.
    #[error("the chain has the same id twice")]
    RepeatedInChain,
    /// The transaction is linked to the next, but is the last of its batch. No trace.
    #[error("the chain has no end")]
    ChainOpen,
    /// Another transaction of the chain is rejected, or was applied or rejected before while this one was not. No trace:
    /// it can be sent again, with another chain or alone under its own content.
    #[error("transaction {culprit} of the batch fails the chain")]
    ChainFailed {
        /// The position of the culprit in the batch.
        culprit: u32,
    },
    /// The ledger remembers as many ids as it may. No trace: try again when ids have become older than the watermark.
    /// The id of a hold does so only after the hold was resolved.
    #[error("the table of ids is full: {max_ids}")]
    IdTableFull {
        /// [`Limits::max_ids`](crate::Limits::max_ids).
        max_ids: u32,
    },
    /// As many holds and streams are open as may be. No trace: try again when some were resolved.
    #[error("too many holds and streams are open: {max_open}")]
    OpenTableFull {
        /// [`Limits::max_open`](crate::Limits::max_open).
        max_open: u32,
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
    /// The id of the original is not known: it was never used. Burns the id.
    #[error("the original of the refund is not known")]
    OriginalNotFound,
    /// The id names a transaction that is neither an applied transfer nor an applied capture. Burns the id.
    #[error("the transaction named as the original of a refund cannot be refunded")]
    NotRefundable,
    /// The original was applied before this time, or is forgotten: [`Limits::refund_window`](crate::Limits::refund_window)
    /// is over. Burns the id.
    #[error("only what was applied at or after {} ms is refunded", since.0)]
    RefundWindowClosed {
        /// The earliest time of application that is still refunded.
        since: Millis,
    },
    /// The refund asks for more than is left of the original. Burns the id.
    #[error("only {} credits are left to refund", refundable.0)]
    RefundExceedsOriginal {
        /// The amount of the original less earlier refunds.
        refundable: Credits,
    },
    /// The id of the stream is not known: never used, or forgotten after it was closed. Burns the id.
    #[error("the stream is not known")]
    StreamNotFound,
    /// The id names a transaction that is not a stream, or a stream that was rejected. Burns the id.
    #[error("the transaction named as a stream is none")]
    NotAStream,
    /// The stream was closed. Burns the id.
    #[error("the stream was closed")]
    StreamClosed,
    /// The reserve would be above [`Credits::MAX`]. Burns the id.
    #[error("the reserve of {} credits cannot grow by that much", reserve.0)]
    ReserveTooLarge {
        /// The reserve as it is.
        reserve: Credits,
    },
    /// The payer has less than the amount; in a chain, at its end. The payer of a refund is the receiver of its original.
    /// Burns the id.
    #[error("only {} credits are available", available.0)]
    Overdraft {
        /// What it has: posted credits less posted and pending debits.
        available: Credits,
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
                | Self::ChainOpen
                | Self::RepeatedInChain
                | Self::ChainFailed { .. }
                | Self::IdTableFull { .. }
                | Self::OpenTableFull { .. }
        )
    }
}

/// The part of a transaction in which a reused id differs, in the order of comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Field {
    /// The kind of operation.
    Operation,
    /// Whether it is linked to the next.
    Link,
    /// The account to open.
    Account,
    /// The payer.
    From,
    /// The receiver.
    To,
    /// The hold that is named.
    Hold,
    /// The original of a refund.
    Original,
    /// The stream that is named.
    Stream,
    /// The amount.
    Amount,
    /// The deadline.
    Deadline,
    /// The rate of a stream.
    Rate,
    /// The kind of account.
    AccountKind,
    /// What happens to the rest of a capture.
    Remainder,
}

/// A side of a transfer or hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Side {
    /// The payer.
    From,
    /// The receiver.
    To,
}
