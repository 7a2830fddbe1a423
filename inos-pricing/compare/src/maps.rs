//! The limit in memory: two hash maps, balances and the ids that were seen. The least that any ledger with retries has to
//! do, without double entry, holds, verdicts, a journal, or an end to the ids.
#![expect(clippy::disallowed_types, reason = "the limit is what one would write with std; nothing iterates")]

use core::hash::BuildHasher;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use inos_pricing::{AccountId, Transaction, TxId};

use crate::book::Book;
use crate::workload::{ACCOUNTS, FUNDS, account, parts};

/// With std's hasher, SipHash-1-3.
pub(crate) type SipMaps = Maps<RandomState>;
/// With a quicker hasher that has a key as well.
pub(crate) type FoldMaps = Maps<foldhash::fast::RandomState>;

pub(crate) struct Maps<S> {
    balances: HashMap<AccountId, u64, S>,
    seen: HashSet<TxId, S>,
}

/// What a pair of maps is called.
pub(crate) trait Named: BuildHasher + Default {
    const NAME: &'static str;
}

impl Named for RandomState {
    const NAME: &'static str = "maps";
}

impl Named for foldhash::fast::RandomState {
    const NAME: &'static str = "maps-foldhash";
}

impl<S: BuildHasher> Maps<S> {
    fn transfer(&mut self, transfer: &Transaction) -> bool {
        let (id, from, to, amount) = parts(transfer);
        if !self.seen.insert(id) {
            return false;
        }
        match self.balances.get_mut(&from) {
            Some(balance) if *balance >= amount => *balance -= amount,
            _ => return false,
        }
        self.balances.get_mut(&to).map(|balance| *balance += amount).is_some()
    }
}

impl<S: Named> Book for Maps<S> {
    const NAME: &'static str = S::NAME;

    fn open(_: &Path) -> Self {
        let balances = (0..ACCOUNTS).map(|n| (account(n), FUNDS)).collect();
        Self { balances, seen: HashSet::default() }
    }

    fn apply(&mut self, batch: &[Transaction]) {
        for transfer in batch {
            core::hint::black_box(self.transfer(transfer));
        }
    }

    fn balances(&mut self) -> Vec<u64> {
        (0..ACCOUNTS).map(|n| self.balances[&account(n)]).collect()
    }
}
