//! What the next transactions of a batch will look up, found for many of them at once.
//!
//! A ledger of millions of ids is larger than every cache, so a lookup waits for memory. The lookups of one transaction
//! depend on each other; those of different transactions do not, and wait together when nothing comes between them.

use super::Ledger;
use crate::{AccountId, Operation, Transaction};

/// Transactions that are looked up together: enough to overlap their waits, few enough for their lines to stay cached.
pub(super) const WINDOW: usize = 32;

/// The positions of two accounts that a transaction names, as far as they were looked up.
pub(super) type Sides = (Option<u32>, Option<u32>);

/// What was found for one transaction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// The hash of its id.
    pub(super) hash: u32,
    /// The accounts that it names, if they were open; one that was not may be by now.
    pub(super) sides: Sides,
}

/// The transactions from `start` on.
pub(super) struct Ahead {
    start: usize,
    found: [Found; WINDOW],
    len: usize,
}

impl Ahead {
    pub(super) fn new() -> Self {
        Self { start: 0, found: [Found::default(); WINDOW], len: 0 }
    }

    /// What was found for the transaction at `position` of `batch`.
    pub(super) fn at(&mut self, ledger: &Ledger, batch: &[Transaction], position: usize) -> Found {
        if let Some(found) = self.found[..self.len].get(position.wrapping_sub(self.start)) {
            return *found;
        }
        let next = &batch[position..batch.len().min(position.saturating_add(WINDOW))];
        (self.start, self.len) = (position, next.len());
        // In stages: each asks for memory without waiting for what the same stage asked for before.
        let mut hashes = [(0, 0); WINDOW];
        for ((found, hashes), transaction) in self.found.iter_mut().zip(&mut hashes).zip(next) {
            *found = Found { hash: ledger.records.hash(transaction.id), sides: (None, None) };
            if let Some((from, to)) = sides(&transaction.operation) {
                *hashes = (ledger.accounts.hash(from), ledger.accounts.hash(to));
            }
        }
        for found in &self.found[..self.len] {
            ledger.records.touch(found.hash);
        }
        for (found, hashes) in self.found.iter_mut().zip(hashes).take(self.len) {
            found.sides = (ledger.accounts.guess(hashes.0), ledger.accounts.guess(hashes.1));
        }
        for (found, transaction) in self.found.iter_mut().zip(next) {
            let Some((from, to)) = sides(&transaction.operation) else {
                found.sides = (None, None);
                continue;
            };
            found.sides = (ledger.accounts.confirm(found.sides.0, from), ledger.accounts.confirm(found.sides.1, to));
        }
        self.found[0]
    }
}

/// The accounts that an operation names.
fn sides(operation: &Operation) -> Option<(AccountId, AccountId)> {
    match *operation {
        Operation::Transfer { from, to, .. } | Operation::Hold { from, to, .. } => Some((from, to)),
        _ => None,
    }
}
