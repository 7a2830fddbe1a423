//! What a ledger is asked to do.

use crate::{Credits, Millis};

/// The id of a transaction, chosen by whoever submits it. The top 48 bits are milliseconds, as in UUIDv7 and ULID
/// read as big-endian integers; the low 80 bits make it unique.
///
/// The id is what makes a retry safe, so a client draws it once, stores it, and sends the same id until it has an
/// answer. Its time decides how long the ledger remembers it: see [`Limits::retention`](crate::Limits::retention).
///
/// ```
/// use inos_pricing::{Millis, TxId};
///
/// let id = TxId::from_parts(Millis(1_700_000_000_000), 7).expect("both parts are in range");
/// assert_eq!(id.time(), Millis(1_700_000_000_000));
/// assert_eq!(TxId::from_parts(Millis(1 << 48), 7), None); // 49 bits
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TxId(pub u128);

impl TxId {
    /// The latest time an id can carry: 2^48 - 1 ms, in the year 10889 of the Unix epoch.
    pub const MAX_TIME: Millis = Millis((1 << 48) - 1);

    /// The id of `time` and the low 80 bits `unique`, or `None` if `time` is above [`TxId::MAX_TIME`] or `unique` above
    /// 2^80 - 1.
    #[must_use]
    pub const fn from_parts(time: Millis, unique: u128) -> Option<Self> {
        if time.0 > Self::MAX_TIME.0 || unique >> 80 != 0 {
            return None;
        }
        Some(Self((time.0 as u128) << 80 | unique))
    }

    /// The time in the top 48 bits.
    #[must_use]
    pub const fn time(self) -> Millis {
        Millis((self.0 >> 80) as u64)
    }
}

/// The id of an account, chosen by the integrator.
///
/// It has a fixed width because every transaction carries two of them, and a ledger that remembers millions of
/// transactions is as large as they are. A UUID or an integer fits as it is; of a longer key use a collision-resistant
/// digest cut to 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AccountId(pub u128);

/// Whether an account may spend what it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum AccountKind {
    /// Spends what it received: posted and pending debits never exceed posted credits.
    Holder,
    /// May spend without bound: a transfer from it issues credits, a transfer to it retires them. What it owes is what
    /// is in circulation, so the books balance without a special case.
    Issuer,
}

/// What happens to the rest of a hold that is captured in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Remainder {
    /// It returns to the payer, and the hold is resolved.
    Release,
    /// It stays held until it is captured, released or expires. A capture of everything left resolves the hold.
    Keep,
}

/// One thing a [`Ledger`](crate::Ledger) is asked to do, with the id that makes asking again safe.
///
/// ```
/// use inos_pricing::{AccountId, Credits, Link, Millis, Operation, Transaction, TxId};
///
/// let pay = Transaction {
///     id: TxId::from_parts(Millis(1_000), 1).expect("both parts are in range"),
///     operation: Operation::Transfer { from: AccountId(1), to: AccountId(2), amount: Credits(5) },
///     link: Link::End,
/// };
/// assert_eq!(pay, Transaction::transfer(pay.id, AccountId(1), AccountId(2), Credits(5)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Transaction {
    /// Names the transaction in every retry.
    pub id: TxId,
    /// What to do.
    pub operation: Operation,
    /// Whether the next transaction of the batch belongs to it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub link: Link,
}

/// Whether a transaction stands for itself or is chained to the next of its batch.
///
/// A chain is a row of transactions with [`Link::Next`] and the one after them. All of them are applied, or none is. A
/// payer may be short in the midst of it: what counts is what it has at the end. The link is part of the content, so a
/// retry sends the whole chain again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Link {
    /// Stands for itself, or is the last of its chain.
    #[default]
    End,
    /// Is applied only if the next one is.
    Next,
}

/// What a [`Transaction`] does. Amounts are at least one credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Operation {
    /// Opens an account with nothing in it. Accounts stay open.
    Open {
        /// The new account.
        account: AccountId,
        /// Whether it may issue credits.
        kind: AccountKind,
    },
    /// Moves credits at once.
    Transfer {
        /// Pays.
        from: AccountId,
        /// Receives.
        to: AccountId,
        /// At least 1.
        amount: Credits,
    },
    /// Sets credits aside: the payer cannot spend them, the receiver does not have them yet.
    Hold {
        /// Would pay.
        from: AccountId,
        /// Would receive.
        to: AccountId,
        /// At least 1.
        amount: Credits,
        /// The hold expires as soon as the ledger's clock is at or past this time. Later than the clock.
        deadline: Millis,
    },
    /// Moves credits that are on hold.
    Capture {
        /// The id of the [`Operation::Hold`].
        hold: TxId,
        /// At least 1, at most what is still held.
        amount: Credits,
        /// What happens to the rest.
        remainder: Remainder,
    },
    /// Returns everything that is still held to the payer.
    Release {
        /// The id of the [`Operation::Hold`].
        hold: TxId,
    },
    /// Returns credits of a transfer or a capture from its receiver to its payer. All refunds of one original together
    /// are at most its amount; the receiver must have the credits.
    Refund {
        /// The id of the [`Operation::Transfer`] or the [`Operation::Capture`].
        original: TxId,
        /// At least 1.
        amount: Credits,
    },
    /// Pays by the hour out of a reserve, which is set aside as by a hold. Nothing else pays a stream, so streams do not
    /// compete, and what is owed at a time does not depend on when the ledger is called.
    OpenStream {
        /// Pays.
        from: AccountId,
        /// Receives.
        to: AccountId,
        /// Set aside; at least 1.
        reserve: Credits,
        /// Credits per hour, from now on. Zero is a stream that rests.
        per_hour: Credits,
    },
    /// Adds to the reserve of a stream. One that had run dry pays again from now on; nothing is owed for the time between.
    TopUp {
        /// The id of the [`Operation::OpenStream`].
        stream: TxId,
        /// At least 1.
        amount: Credits,
    },
    /// Changes what a stream pays from now on. Nothing is rounded: the part of a credit that is owed so far is kept.
    SetRate {
        /// The id of the [`Operation::OpenStream`].
        stream: TxId,
        /// Credits per hour. Zero lets it rest.
        per_hour: Credits,
    },
    /// Moves the whole credits that a stream owes so far to the receiver.
    Settle {
        /// The id of the [`Operation::OpenStream`].
        stream: TxId,
    },
    /// Settles a stream, returns the rest of its reserve to the payer, and ends it. The part of a credit that is owed
    /// stays with the payer.
    CloseStream {
        /// The id of the [`Operation::OpenStream`].
        stream: TxId,
    },
}

impl Transaction {
    const fn new(id: TxId, operation: Operation) -> Self {
        Self { id, operation, link: Link::End }
    }

    /// The same, chained to the next of the batch.
    #[must_use]
    pub const fn linked(self) -> Self {
        Self { link: Link::Next, ..self }
    }

    /// An [`Operation::Open`].
    #[must_use]
    pub const fn open(id: TxId, account: AccountId, kind: AccountKind) -> Self {
        Self::new(id, Operation::Open { account, kind })
    }

    /// An [`Operation::Transfer`].
    #[must_use]
    pub const fn transfer(id: TxId, from: AccountId, to: AccountId, amount: Credits) -> Self {
        Self::new(id, Operation::Transfer { from, to, amount })
    }

    /// An [`Operation::Hold`].
    #[must_use]
    pub const fn hold(id: TxId, from: AccountId, to: AccountId, amount: Credits, deadline: Millis) -> Self {
        Self::new(id, Operation::Hold { from, to, amount, deadline })
    }

    /// An [`Operation::Capture`].
    #[must_use]
    pub const fn capture(id: TxId, hold: TxId, amount: Credits, remainder: Remainder) -> Self {
        Self::new(id, Operation::Capture { hold, amount, remainder })
    }

    /// An [`Operation::Release`].
    #[must_use]
    pub const fn release(id: TxId, hold: TxId) -> Self {
        Self::new(id, Operation::Release { hold })
    }

    /// An [`Operation::Refund`].
    #[must_use]
    pub const fn refund(id: TxId, original: TxId, amount: Credits) -> Self {
        Self::new(id, Operation::Refund { original, amount })
    }

    /// An [`Operation::OpenStream`].
    #[must_use]
    pub const fn open_stream(id: TxId, from: AccountId, to: AccountId, reserve: Credits, per_hour: Credits) -> Self {
        Self::new(id, Operation::OpenStream { from, to, reserve, per_hour })
    }

    /// An [`Operation::TopUp`].
    #[must_use]
    pub const fn top_up(id: TxId, stream: TxId, amount: Credits) -> Self {
        Self::new(id, Operation::TopUp { stream, amount })
    }

    /// An [`Operation::SetRate`].
    #[must_use]
    pub const fn set_rate(id: TxId, stream: TxId, per_hour: Credits) -> Self {
        Self::new(id, Operation::SetRate { stream, per_hour })
    }

    /// An [`Operation::Settle`].
    #[must_use]
    pub const fn settle(id: TxId, stream: TxId) -> Self {
        Self::new(id, Operation::Settle { stream })
    }

    /// An [`Operation::CloseStream`].
    #[must_use]
    pub const fn close_stream(id: TxId, stream: TxId) -> Self {
        Self::new(id, Operation::CloseStream { stream })
    }
}
