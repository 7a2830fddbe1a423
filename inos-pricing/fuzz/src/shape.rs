//! A transaction from a few bytes.

use arbitrary::Arbitrary;
use inos_pricing::{AccountId, AccountKind, Credits, Link, Millis, Operation, Remainder, Transaction};

use crate::{NOW, id};

/// One transaction from a few bytes.
#[derive(Arbitrary, Debug)]
pub(crate) struct Shape {
    kind: u8,
    time: u8,
    unique: u8,
    named: (u8, u8),
    sides: (u8, u8),
    amount: Amount,
    rate: Amount,
    linked: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Amount {
    Small(u8),
    Any(u64),
}

impl Amount {
    fn credits(self) -> Credits {
        match self {
            Self::Small(amount) => Credits(u64::from(amount)),
            Self::Any(amount) => Credits(amount),
        }
    }
}

impl Shape {
    /// The transaction.
    pub(crate) fn transaction(&self) -> Transaction {
        let named = id(self.named.0, self.named.1);
        let (from, to) = (AccountId(u128::from(self.sides.0 % 8)), AccountId(u128::from(self.sides.1 % 8)));
        let (amount, rate) = (self.amount.credits(), self.rate.credits());
        let operation = match self.kind % 12 {
            0 if self.linked => Operation::Open { account: to, kind: AccountKind::Issuer },
            0 => Operation::Open { account: to, kind: AccountKind::Holder },
            1 | 11 => Operation::Transfer { from, to, amount },
            2 => Operation::Hold { from, to, amount, deadline: Millis(NOW.saturating_add(rate.0)) },
            3 if self.linked => Operation::Capture { hold: named, amount, remainder: Remainder::Keep },
            3 => Operation::Capture { hold: named, amount, remainder: Remainder::Release },
            4 => Operation::Release { hold: named },
            5 => Operation::Refund { original: named, amount },
            6 => Operation::OpenStream { from, to, reserve: amount, per_hour: rate },
            7 => Operation::TopUp { stream: named, amount },
            8 => Operation::SetRate { stream: named, per_hour: rate },
            9 => Operation::Settle { stream: named },
            _ => Operation::CloseStream { stream: named },
        };
        let link = if self.linked { Link::Next } else { Link::End };
        Transaction { id: id(self.time, self.unique), operation, link }
    }
}
