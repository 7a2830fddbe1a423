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
pub struct AccountId(pub u128);

/// Whether an account may spend what it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// Spends what it received: posted and pending debits never exceed posted credits.
    Holder,
    /// May spend without bound: a transfer from it issues credits, a transfer to it retires them. What it owes is what
    /// is in circulation, so the books balance without a special case.
    Issuer,
}

/// What happens to the rest of a hold that is captured in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remainder {
    /// It returns to the payer, and the hold is resolved.
    Release,
    /// It stays held until it is captured, released or expires. A capture of everything left resolves the hold.
    Keep,
}

/// One thing a [`Ledger`](crate::Ledger) is asked to do, with the id that makes asking again safe.
///
/// ```
/// use inos_pricing::{AccountId, Credits, Millis, Operation, Transaction, TxId};
///
/// let pay = Transaction {
///     id: TxId::from_parts(Millis(1_000), 1).expect("both parts are in range"),
///     operation: Operation::Transfer { from: AccountId(1), to: AccountId(2), amount: Credits(5) },
/// };
/// assert_eq!(pay, Transaction::transfer(pay.id, AccountId(1), AccountId(2), Credits(5)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Names the transaction in every retry.
    pub id: TxId,
    /// What to do.
    pub operation: Operation,
}

/// What a [`Transaction`] does. Amounts are at least one credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl Transaction {
    /// An [`Operation::Open`].
    #[must_use]
    pub const fn open(id: TxId, account: AccountId, kind: AccountKind) -> Self {
        Self { id, operation: Operation::Open { account, kind } }
    }

    /// An [`Operation::Transfer`].
    #[must_use]
    pub const fn transfer(id: TxId, from: AccountId, to: AccountId, amount: Credits) -> Self {
        Self { id, operation: Operation::Transfer { from, to, amount } }
    }

    /// An [`Operation::Hold`].
    #[must_use]
    pub const fn hold(id: TxId, from: AccountId, to: AccountId, amount: Credits, deadline: Millis) -> Self {
        Self { id, operation: Operation::Hold { from, to, amount, deadline } }
    }

    /// An [`Operation::Capture`].
    #[must_use]
    pub const fn capture(id: TxId, hold: TxId, amount: Credits, remainder: Remainder) -> Self {
        Self { id, operation: Operation::Capture { hold, amount, remainder } }
    }

    /// An [`Operation::Release`].
    #[must_use]
    pub const fn release(id: TxId, hold: TxId) -> Self {
        Self { id, operation: Operation::Release { hold } }
    }
}
