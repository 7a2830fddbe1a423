//! What clients ask for: every operation, chains, copies, and a good part that is refused. It depends on a seed alone.

use inos_pricing::{AccountId, AccountKind, Credits, Limits, Link, Millis, Operation, Remainder, Transaction, TxId};

/// Ids are kept as long as a test may ask for them, and what expires does so at once: to ask again changes nothing.
pub(super) const LIMITS: Limits = Limits {
    max_accounts: 7,
    max_ids: 1 << 20,
    max_open: 1 << 16,
    max_batch: 64,
    max_expiries: 64,
    max_step: Millis::DAY,
    max_ahead: Millis::MINUTE,
    retention: Millis::DAY,
    refund_window: Millis::DAY,
};

pub(super) const SEED: u128 = 0x0123_4567_89ab_cdef;

/// Vigna's `SplitMix64`.
#[derive(Clone, Debug)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `count - 1`.
    pub(super) fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// One of the last few, or an id that nobody has.
    fn of(&mut self, ids: &[TxId]) -> TxId {
        let back = usize::try_from(self.below(6)).unwrap();
        ids.len().checked_sub(back + 1).map_or(TxId(1), |index| ids[index])
    }
}

/// One call of a ledger.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) now: Millis,
    pub(super) batch: Vec<Transaction>,
}

#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub(super) rng: Rng,
    clock: u64,
    next: u128,
    holds: Vec<TxId>,
    streams: Vec<TxId>,
    /// Transfers and captures.
    moved: Vec<TxId>,
    sent: Vec<Transaction>,
}

fn account(n: u64) -> AccountId {
    AccountId(u128::from(n) << 90 | 5)
}

impl Traffic {
    pub(super) fn new(seed: u64) -> Self {
        let (holds, streams, moved, sent) = Default::default();
        Self { rng: Rng(seed), clock: 1_700_000_000_000, next: 0, holds, streams, moved, sent }
    }

    fn id(&mut self) -> TxId {
        self.next += 1;
        TxId::from_parts(Millis(self.clock), self.next).unwrap()
    }

    /// An issuer and three holders with some credits, which is 7 records.
    pub(super) fn opening(&mut self) -> Call {
        let mut batch = vec![Transaction::open(self.id(), account(0), AccountKind::Issuer)];
        for n in 1..4 {
            batch.push(Transaction::open(self.id(), account(n), AccountKind::Holder));
            batch.push(Transaction::transfer(self.id(), account(0), account(n), Credits(200)));
        }
        Call { now: Millis(self.clock), batch }
    }

    /// 1 to `most` transactions.
    pub(super) fn call(&mut self, most: u64) -> Call {
        if self.rng.one_in(2) {
            self.clock += self.rng.below(60);
        }
        let mut batch = Vec::new();
        for left in (0..=self.rng.below(most)).rev() {
            let back = usize::try_from(self.rng.below(20)).unwrap();
            if self.rng.one_in(12) && back < self.sent.len() {
                batch.push(self.sent[self.sent.len() - back - 1]);
                continue;
            }
            // A chain that has no end is refused.
            let link = if self.rng.one_in(if left == 0 { 40 } else { 5 }) { Link::Next } else { Link::End };
            let transaction = Transaction { id: self.id(), operation: self.operation(), link };
            match transaction.operation {
                Operation::Hold { .. } => self.holds.push(transaction.id),
                Operation::OpenStream { .. } => self.streams.push(transaction.id),
                Operation::Transfer { .. } | Operation::Capture { .. } => self.moved.push(transaction.id),
                _ => {}
            }
            self.sent.push(transaction);
            batch.push(transaction);
        }
        Call { now: Millis(self.clock), batch }
    }

    /// Time goes on.
    pub(super) fn pulse(&mut self) -> Call {
        self.clock += self.rng.below(300);
        Call { now: Millis(self.clock), batch: Vec::new() }
    }

    fn operation(&mut self) -> Operation {
        let rng = &mut self.rng;
        let payer = rng.below(4);
        // Sometimes one that is not open.
        let (from, to) = (account(payer), account((payer + 1 + rng.below(4)) % 5));
        let (amount, per_hour) = (Credits(rng.below(70)), Credits(rng.below(3_600_000)));
        match rng.below(14) {
            0 => Operation::Open { account: account(rng.below(8)), kind: AccountKind::Holder },
            1 | 2 => Operation::Transfer { from, to, amount },
            3 | 4 => Operation::Hold { from, to, amount, deadline: Millis(self.clock + rng.below(500)) },
            5 => Operation::Capture { hold: rng.of(&self.holds), amount, remainder: Remainder::Keep },
            6 => Operation::Capture { hold: rng.of(&self.holds), amount, remainder: Remainder::Release },
            7 => Operation::Release { hold: rng.of(&self.holds) },
            8 => Operation::Refund { original: rng.of(&self.moved), amount },
            9 => Operation::OpenStream { from, to, reserve: amount, per_hour },
            10 => Operation::TopUp { stream: rng.of(&self.streams), amount },
            11 => Operation::SetRate { stream: rng.of(&self.streams), per_hour },
            12 => Operation::Settle { stream: rng.of(&self.streams) },
            _ => Operation::CloseStream { stream: rng.of(&self.streams) },
        }
    }
}
