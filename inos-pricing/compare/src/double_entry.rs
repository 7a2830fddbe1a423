//! doubleentry: its `Journal`, in memory.

use core::hint::black_box;
use std::path::Path;

use doubleentry::currency::EUR;
use doubleentry::{
    AccountHandle, AccountKind, Amount, BalanceLimit, BalanceQuery, Date, Entry, Error, Journal, LedgerId, date,
};
use inos_pricing::Transaction;

use crate::book::Book;
use crate::workload::{ACCOUNTS, BATCH, FUNDS, number, parts};

const START: Date = date!("2026-01-01");
const TODAY: Date = date!("2026-06-15");

pub(crate) struct DoubleEntry {
    books: Journal<0>,
    mint: AccountHandle,
    accounts: Vec<AccountHandle>,
}

impl DoubleEntry {
    pub(crate) const NOTE: &'static str = "doubleentry: its Journal in memory, which can prove its content: a SHA-256 \
        Merkle tree over canonical records, indexes by date; a batch is atomic; the id is a key of 32 hexadecimal digits, made in \
        the timed part";
    pub(crate) const ABSENT: &'static str = "doubleentry: its store on disk is SQLite through sqlx, whose libsqlite3-sys 0.37 is not that of rusqlite, 0.40, and a \
         program links only one";

    fn entry(key: String, from: AccountHandle, to: AccountHandle, credits: u64) -> Entry<0> {
        let amount = Amount::from_minor(i128::from(credits)).expect("it is not the least");
        Entry::new(key, TODAY).debit(to, amount, EUR).credit(from, amount, EUR)
    }

    fn draft(&self, transfer: &Transaction) -> Entry<0> {
        let (id, from, to, amount) = parts(transfer);
        let handle = |account| self.accounts[usize::try_from(number(account)).expect("accounts are few")];
        Self::entry(format!("{:032x}", id.0), handle(from), handle(to), amount)
    }

    fn funded() -> Result<Self, Error> {
        let ledger = LedgerId::new("example.com/compare").expect("it is a name");
        let mut books = Journal::<0>::with_precision(ledger);
        books.declare_currency(EUR, 0, START)?;
        books.define_months(2026, 1..=12)?;
        let mint = books.open("Liabilities:Mint", AccountKind::Liability, START)?;
        let mut accounts = Vec::new();
        for n in 0..ACCOUNTS {
            let account = books.open(format!("Assets:Holder:{n}"), AccountKind::Asset, START)?;
            books.set_limit(account, BalanceLimit::NoCreditBalance, START)?;
            accounts.push(account);
        }
        let mut this = Self { books, mint, accounts };
        for (n, handles) in this.accounts.chunks(BATCH).enumerate() {
            let funds =
                handles.iter().enumerate().map(|(m, &to)| Self::entry(format!("funds-{n}-{m}"), this.mint, to, FUNDS));
            this.books.record_batch(funds)?;
        }
        Ok(this)
    }
}

impl Book for DoubleEntry {
    const NAME: &'static str = "doubleentry";

    fn open(_: &Path) -> Self {
        Self::funded().expect("the set-up is valid")
    }

    fn apply(&mut self, batch: &[Transaction]) {
        let drafts: Vec<_> = batch.iter().map(|transfer| self.draft(transfer)).collect();
        match self.books.record_batch(drafts) {
            Ok(recorded) => {
                black_box(recorded);
            }
            // A batch is applied as a whole or not at all: one by one, as ours is.
            Err(Error::BatchRejected { .. }) => {
                for transfer in batch {
                    let _ = black_box(self.books.record(self.draft(transfer)));
                }
            }
            Err(error) => panic!("doubleentry fails: {error}"),
        }
    }

    fn balances(&mut self) -> Vec<u64> {
        let net = |account: &AccountHandle| {
            let balance = self.books.balance(*account, EUR, &BalanceQuery::all()).expect("it is open");
            u64::try_from(balance.net().to_minor()).expect("nobody is overdrawn")
        };
        self.accounts.iter().map(net).collect()
    }
}
