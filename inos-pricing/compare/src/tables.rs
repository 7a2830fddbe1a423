//! redb: a table of balances and one of transfers, by id.

use std::path::Path;

use inos_pricing::Transaction;
use redb::{Database, Durability, Error, ReadableDatabase, ReadableTable, TableDefinition};

use crate::book::Book;
use crate::workload::{ACCOUNTS, FUNDS, number, parts};

const FILE: &str = "ledger.redb";
const BALANCES: TableDefinition<'_, u64, u64> = TableDefinition::new("balances");
/// Payer, receiver, amount.
const TRANSFERS: TableDefinition<'_, u128, (u64, u64, u64)> = TableDefinition::new("transfers");

pub(crate) struct Redb(Database);

impl Redb {
    pub(crate) const NOTE: &'static str = "redb: immediate durability, one write transaction for a batch; tables of balances and of \
        transfers by id, no verdicts kept and no ids forgotten";

    fn create(directory: &Path) -> Result<Self, Error> {
        let database = Database::create(directory.join(FILE))?;
        let transaction = database.begin_write()?;
        {
            transaction.open_table(TRANSFERS)?;
            let mut balances = transaction.open_table(BALANCES)?;
            for n in 0..ACCOUNTS {
                balances.insert(n, FUNDS)?;
            }
        }
        transaction.commit()?;
        Ok(Self(database))
    }

    fn transact(&mut self, batch: &[Transaction]) -> Result<(), Error> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut transfers = transaction.open_table(TRANSFERS)?;
            let mut balances = transaction.open_table(BALANCES)?;
            for transfer in batch {
                let (id, from, to, amount) = parts(transfer);
                let (from, to) = (number(from), number(to));
                if transfers.get(id.0)?.is_some() {
                    continue;
                }
                transfers.insert(id.0, (from, to, amount))?;
                let left = balances.get(from)?.and_then(|balance| balance.value().checked_sub(amount));
                let Some(left) = left else { continue };
                balances.insert(from, left)?;
                let balance = balances.get(to)?.map_or(0, |balance| balance.value());
                balances.insert(to, balance + amount)?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn read(&self) -> Result<Vec<u64>, Error> {
        let balances = self.0.begin_read()?.open_table(BALANCES)?;
        balances.iter()?.map(|row| Ok(row?.1.value())).collect()
    }

    #[cfg(test)]
    pub(crate) fn reopen(directory: &Path) -> Self {
        Self(Database::open(directory.join(FILE)).expect("redb opens its file"))
    }
}

impl Book for Redb {
    const NAME: &'static str = "redb";

    fn open(directory: &Path) -> Self {
        Self::create(directory).expect("redb makes its file")
    }

    fn apply(&mut self, batch: &[Transaction]) {
        self.transact(batch).expect("redb commits");
    }

    fn balances(&mut self) -> Vec<u64> {
        self.read().expect("redb reads")
    }
}
