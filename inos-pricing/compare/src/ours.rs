//! Ours, in memory.

use core::hint::black_box;
use std::path::Path;

use inos_pricing::{AccountId, AccountKind, Credits, Ledger, Limits, Outcome, Transaction, TxId};

use crate::book::Book;
use crate::workload::{ACCOUNTS, BATCH, FUNDS, NOW, account, clock};

pub(crate) const SEED: u128 = 0x5eed_5eed_5eed_5eed;

pub(crate) struct Ours {
    ledger: Ledger,
    outcomes: Vec<Outcome>,
    /// The commit group of the last batch.
    journal: Vec<u8>,
}

/// What opens and funds the accounts, in batches.
pub(crate) fn opening() -> Vec<Vec<Transaction>> {
    let mint = AccountId(u128::MAX);
    // The unique parts of the workload are of 64 bits.
    let id = |n: u64| TxId::from_parts(NOW, 1 << 79 | u128::from(n)).expect("both parts are in range");
    let mut transactions = vec![Transaction::open(id(0), mint, AccountKind::Issuer)];
    for n in 0..ACCOUNTS {
        transactions.push(Transaction::open(id(2 * n + 1), account(n), AccountKind::Holder));
        transactions.push(Transaction::transfer(id(2 * n + 2), mint, account(n), Credits(FUNDS)));
    }
    transactions.chunks(BATCH).map(<[_]>::to_vec).collect()
}

pub(crate) fn check_opening(outcomes: &[Outcome]) {
    assert!(outcomes.iter().all(|outcome| outcome.verdict().is_ok()), "the accounts are funded");
}

pub(crate) fn balances(ledger: &Ledger) -> Vec<u64> {
    let available = |n| ledger.balance(account(n)).0.map(|balance| balance.available());
    (0..ACCOUNTS)
        .map(|n| available(n).and_then(|credits| u64::try_from(credits).ok()).expect("it is open, and a holder's"))
        .collect()
}

impl Ours {
    pub(crate) const NOTE: &'static str = "ours: double entry, verdicts kept for retries, and a commit group of the journal for each batch, which is not written";

    pub(crate) fn new() -> Self {
        let ledger = Ledger::new(Limits::default(), SEED);
        Self { ledger, outcomes: Vec::with_capacity(BATCH), journal: Vec::new() }
    }

    pub(crate) fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// The commit group of the last batch.
    pub(crate) fn journal(&self) -> &[u8] {
        &self.journal
    }
}

impl Book for Ours {
    const NAME: &'static str = "ours";

    fn open(_: &Path) -> Self {
        let mut ours = Self::new();
        for batch in opening() {
            ours.apply(&batch);
            check_opening(&ours.outcomes);
        }
        ours
    }

    fn apply(&mut self, batch: &[Transaction]) {
        self.outcomes.clear();
        self.journal.clear();
        let applied = self.ledger.apply(clock(batch), batch, &mut self.outcomes, &mut self.journal);
        applied.expect("the batch is in range");
        black_box((&self.outcomes, &self.journal));
    }

    fn balances(&mut self) -> Vec<u64> {
        balances(&self.ledger)
    }
}
