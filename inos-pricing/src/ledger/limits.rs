//! What a ledger may hold, and why a call is refused.

use crate::Millis;

/// What a [`Ledger`](crate::Ledger) may hold, and how it treats time. Every value is valid; zero means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct Limits {
    /// The number of accounts; one more is [`AccountTableFull`](crate::Rejection::AccountTableFull).
    pub max_accounts: u32,
    /// The number of remembered ids; one more is [`IdTableFull`](crate::Rejection::IdTableFull). Each takes 96 bytes and
    /// its places in the indexes.
    pub max_ids: u32,
    /// The number of open holds and streams together; one more is
    /// [`OpenTableFull`](crate::Rejection::OpenTableFull). Their ids stay at any age, so this is below `max_ids`: what
    /// resolves them needs room for its own id.
    pub max_open: u32,
    /// The number of transactions in one batch, at most [`MAX_BATCH`]; more is [`LedgerError::BatchTooLong`].
    pub max_batch: u32,
    /// The number of holds that expire in one call; the others wait for the next, and cannot be captured meanwhile.
    pub max_expiries: u32,
    /// How far the clock may move forward in one call, so that a broken clock does not make every id too old. After a
    /// longer rest [`pulse`](crate::Ledger::pulse) in steps of at most this. More is [`LedgerError::ClockStep`].
    pub max_step: Millis,
    /// How far the time of an id may be ahead of the clock; more is [`IdInFuture`](crate::Rejection::IdInFuture).
    pub max_ahead: Millis,
    /// How long an id is remembered: until the watermark, the clock less this, has passed its time and, for a hold or
    /// stream, the time of its resolution, for a transfer or capture that of its application. An id older than the watermark is [`IdTooOld`](crate::Rejection::IdTooOld). Longer than any client
    /// retries.
    pub retention: Millis,
    /// How long after its application a transfer or capture can be refunded. It is remembered that long.
    pub refund_window: Millis,
}

/// The most transactions of one batch, 2^20: the commit group of any batch is below 2^27 bytes.
pub const MAX_BATCH: u32 = 1 << 20;

impl Default for Limits {
    /// 2^20 accounts, 2^23 ids, 2^22 open holds and streams, batches of 8,190, 8,190 expiries a call, steps of at most a day, ids at most a minute
    /// ahead and remembered for a day, refunds for as long. That is room for 97 new ids a second, sustained; more need more ids or a shorter
    /// retention.
    fn default() -> Self {
        Self {
            max_accounts: 1 << 20,
            max_ids: 1 << 23,
            max_open: 1 << 22,
            max_batch: 8_190,
            max_expiries: 8_190,
            max_step: Millis::DAY,
            max_ahead: Millis::MINUTE,
            retention: Millis::DAY,
            refund_window: Millis::DAY,
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
        /// [`TxId::MAX_TIME`](crate::TxId::MAX_TIME).
        latest: Millis,
    },
}
