//! SQLite: a table of balances and one of transfers, by id.

use std::path::Path;

use inos_pricing::Transaction;
use rusqlite::{Connection, TransactionBehavior};

use crate::book::Book;
use crate::workload::{ACCOUNTS, FUNDS, number, parts};

const FILE: &str = "ledger.sqlite";

pub(crate) struct Sqlite(Connection);

impl Sqlite {
    pub(crate) const NOTE: &'static str = "rusqlite: bundled SQLite, WAL, synchronous FULL, a page cache of 64 MiB, its checkpoints as \
        they come; prepared statements INSERT OR IGNORE of id, sides and amount, UPDATE of payer and receiver in one \
        transaction for a batch; accounts are rowids, no verdicts are kept and no ids forgotten";

    fn connect(directory: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(directory.join(FILE))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -65_536)?;
        Ok(Self(connection))
    }

    fn create(directory: &Path) -> rusqlite::Result<Self> {
        let mut this = Self::connect(directory)?;
        this.0.execute_batch(
            "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL) STRICT;
             CREATE TABLE transfers (
                 id BLOB PRIMARY KEY, payer INTEGER NOT NULL, payee INTEGER NOT NULL, amount INTEGER NOT NULL
             ) STRICT, WITHOUT ROWID;",
        )?;
        let transaction = this.0.transaction()?;
        for n in 0..ACCOUNTS {
            let row = (signed(n), signed(FUNDS));
            transaction.prepare_cached("INSERT INTO accounts VALUES (?1, ?2)")?.execute(row)?;
        }
        transaction.commit()?;
        Ok(this)
    }

    fn transact(&mut self, batch: &[Transaction]) -> rusqlite::Result<()> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut remember = transaction.prepare_cached("INSERT OR IGNORE INTO transfers VALUES (?1, ?2, ?3, ?4)")?;
            let mut debit = transaction
                .prepare_cached("UPDATE accounts SET balance = balance - ?2 WHERE id = ?1 AND balance >= ?2")?;
            let mut credit = transaction.prepare_cached("UPDATE accounts SET balance = balance + ?2 WHERE id = ?1")?;
            for transfer in batch {
                let (id, from, to, amount) = parts(transfer);
                let (from, to, amount) = (signed(number(from)), signed(number(to)), signed(amount));
                let is_new = remember.execute((id.0.to_be_bytes(), from, to, amount))? == 1;
                if is_new && debit.execute((from, amount))? == 1 {
                    credit.execute((to, amount))?;
                }
            }
        }
        transaction.commit()
    }

    fn read(&self) -> rusqlite::Result<Vec<u64>> {
        let mut rows = self.0.prepare("SELECT balance FROM accounts ORDER BY id")?;
        let balances = rows.query_map((), |row| row.get::<_, i64>(0))?;
        balances.map(|balance| Ok(u64::try_from(balance?).expect("nobody is overdrawn"))).collect()
    }

    #[cfg(test)]
    pub(crate) fn reopen(directory: &Path) -> Self {
        Self::connect(directory).expect("SQLite opens its file")
    }
}

/// SQLite's integers have signs.
fn signed(value: u64) -> i64 {
    i64::try_from(value).expect("values are small")
}

impl Book for Sqlite {
    const NAME: &'static str = "rusqlite";

    fn open(directory: &Path) -> Self {
        Self::create(directory).expect("SQLite makes its file")
    }

    fn apply(&mut self, batch: &[Transaction]) {
        self.transact(batch).expect("SQLite commits");
    }

    fn balances(&mut self) -> Vec<u64> {
        self.read().expect("SQLite reads")
    }
}

#[cfg(test)]
mod tests {
    use super::Sqlite;
    use crate::book::Book;
    use crate::directory::Directory;

    /// A peer that does not sync would be compared with nothing.
    #[test]
    fn the_pragmas_hold() {
        let directory = Directory::create(&std::env::temp_dir()).expect("the temporary directory is writable");
        let sqlite = Sqlite::open(directory.path());
        let mode: String = sqlite.0.pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("it is known");
        let synchronous: i64 = sqlite.0.pragma_query_value(None, "synchronous", |row| row.get(0)).expect("it is known");
        assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    }
}
