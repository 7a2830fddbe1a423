//! What is asked of every ledger.

use core::hint::black_box;
use std::path::Path;

use inos_pricing::Transaction;

use crate::contest::Stopwatch;

/// A ledger with funded accounts.
pub(crate) trait Book: Sized {
    const NAME: &'static str;

    /// Opens the accounts of the workload and funds them. A ledger on disk keeps all of its files in `directory`, which is
    /// empty.
    fn open(directory: &Path) -> Self;

    /// Applies a batch: an id that was seen before moves nothing, a payer without the amount pays nothing. On disk it
    /// returns when the batch survives a crash of the machine.
    fn apply(&mut self, batch: &[Transaction]);

    /// Of all accounts, in their order.
    fn balances(&mut self) -> Vec<u64>;
}

/// Applies `transfers` in batches of `len` and returns the seconds.
pub(crate) fn seconds<B: Book>(book: &mut B, transfers: &[Transaction], len: usize) -> f64 {
    let stopwatch = Stopwatch::start();
    for batch in transfers.chunks(len) {
        book.apply(black_box(batch));
    }
    stopwatch.seconds()
}

/// Who moves other credits than the others is not compared.
pub(crate) fn check<B: Book>(book: &mut B, expected: &[u64]) {
    assert!(book.balances() == expected, "{} has other balances", B::NAME);
}

#[cfg(test)]
mod tests {
    //! All ledgers agree on a workload in which a third of the transfers are retries or overdrafts.

    use std::path::Path;

    use inos_pricing::{Credits, Transaction, TxId};

    use super::Book;
    use crate::directory::Directory;
    use crate::double_entry::DoubleEntry;
    use crate::maps::{FoldMaps, SipMaps};
    use crate::on_disk::OursOnDisk;
    use crate::ours::Ours;
    use crate::sqlite::Sqlite;
    use crate::tables::Redb;
    use crate::workload::{BATCH, FUNDS, account, balances_after, parts, transfers};

    fn balances<B: Book>(batches: &[Vec<Transaction>]) -> Vec<u64> {
        let directory = Directory::create(&std::env::temp_dir()).expect("the temporary directory is writable");
        let mut book = B::open(directory.path());
        for batch in batches {
            book.apply(batch);
        }
        book.balances()
    }

    fn all(batches: &[Vec<Transaction>]) -> Vec<(&'static str, Vec<u64>)> {
        vec![
            (Ours::NAME, balances::<Ours>(batches)),
            ("ours on disk", balances::<OursOnDisk>(batches)),
            (SipMaps::NAME, balances::<SipMaps>(batches)),
            (FoldMaps::NAME, balances::<FoldMaps>(batches)),
            (Sqlite::NAME, balances::<Sqlite>(batches)),
            (Redb::NAME, balances::<Redb>(batches)),
            (DoubleEntry::NAME, balances::<DoubleEntry>(batches)),
        ]
    }

    #[test]
    fn balances_are_the_same_everywhere() {
        let transfers = transfers(1);
        let expected = balances_after(&transfers);
        for (name, balances) in all(&transfers.chunks(1_000).map(<[_]>::to_vec).collect::<Vec<_>>()) {
            assert!(balances == expected, "{name}");
        }
    }

    #[test]
    fn a_retry_moves_nothing_and_nobody_is_overdrawn() {
        let transfers = &transfers(1)[..BATCH / 4];
        let expected = balances_after(transfers);
        // Each transfer again, at once and in the next batch, and one for more than anybody has.
        let batches: Vec<Vec<Transaction>> = transfers
            .chunks(500)
            .map(|batch| {
                let overdrafts = batch.iter().map(|transfer| {
                    let (id, from, to, _) = parts(transfer);
                    Transaction::transfer(TxId(id.0 ^ 1 << 79), from, to, Credits(10 * FUNDS))
                });
                batch.iter().copied().chain(batch.iter().copied()).chain(overdrafts).collect()
            })
            .flat_map(|batch: Vec<Transaction>| [batch.clone(), batch])
            .collect();
        for (name, balances) in all(&batches) {
            assert!(balances == expected, "{name}");
        }
    }

    #[test]
    fn what_is_on_disk_is_there_after_opening_again() {
        let directory = Directory::create(&std::env::temp_dir()).expect("the temporary directory is writable");
        let transfer = [Transaction::transfer(transfers(1)[0].id, account(1), account(2), Credits(5))];
        let check = |path: &Path, reopened: Vec<u64>| {
            assert_eq!(reopened[1..3], [FUNDS - 5, FUNDS + 5], "{}", path.display());
        };
        OursOnDisk::open(directory.path()).apply(&transfer);
        check(directory.path(), OursOnDisk::reopen(directory.path()).balances());
        Sqlite::open(directory.path()).apply(&transfer);
        check(directory.path(), Sqlite::reopen(directory.path()).balances());
        Redb::open(directory.path()).apply(&transfer);
        check(directory.path(), Redb::reopen(directory.path()).balances());
    }
}
