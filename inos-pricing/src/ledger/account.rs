//! The accounts of a ledger.

use alloc::vec::Vec;

use super::flow::{Flow, Windows};
use super::index::Index;
use crate::{AccountId, AccountKind, Credits};

/// What an account has been debited and credited since it was opened. The four counters only ever describe what
/// happened; what is left to spend is computed from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Balance {
    /// Whether the account may issue credits.
    pub kind: AccountKind,
    /// Credits that left the account for good.
    pub debits_posted: u128,
    /// Credits of this account that are on hold.
    pub debits_pending: u128,
    /// Credits that arrived for good.
    pub credits_posted: u128,
    /// Credits on hold that this account would receive.
    pub credits_pending: u128,
}

impl Balance {
    pub(super) const fn new(kind: AccountKind) -> Self {
        Self { kind, debits_posted: 0, debits_pending: 0, credits_posted: 0, credits_pending: 0 }
    }

    /// What the account can spend of what it received: `credits_posted - debits_posted - debits_pending`, in credits.
    /// Zero for an issuer that owes, although an issuer can spend more.
    ///
    /// ```
    /// use inos_pricing::{AccountKind, Balance};
    ///
    /// let balance = Balance {
    ///     kind: AccountKind::Holder,
    ///     debits_posted: 10,
    ///     debits_pending: 25,
    ///     credits_posted: 100,
    ///     credits_pending: 1_000,
    /// };
    /// assert_eq!(balance.available(), 65);
    /// ```
    #[must_use]
    pub const fn available(&self) -> u128 {
        self.credits_posted.saturating_sub(self.debits_posted).saturating_sub(self.debits_pending)
    }

    /// Whether the account may pay `amount`; if not, what it could pay, which is then less than `amount`.
    pub(super) fn afford(&self, amount: Credits) -> Result<(), Credits> {
        match (self.kind, u64::try_from(self.available())) {
            (AccountKind::Holder, Ok(available)) if available < amount.0 => Err(Credits(available)),
            _ => Ok(()),
        }
    }

    /// What the account could have paid instead of `amount`, if it has paid that and is overdrawn.
    pub(super) fn overdrawn(&self, amount: Credits) -> Result<(), Credits> {
        let debits = self.debits_posted.saturating_add(self.debits_pending);
        match debits.checked_sub(self.credits_posted) {
            Some(short) if short > 0 && self.kind == AccountKind::Holder => {
                Err(Credits(amount.0.saturating_sub(u64::try_from(short).unwrap_or(u64::MAX))))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) balance: Balance,
    pub(super) flow: Flow,
}

/// Dense, in the order of opening; never removed.
#[derive(Clone)]
pub(super) struct Accounts {
    list: Vec<Account>,
    index: Index,
}

impl Accounts {
    pub(super) fn new(seed: u128) -> Self {
        Self { list: Vec::new(), index: Index::new(seed) }
    }

    pub(super) fn list(&self) -> &[Account] {
        &self.list
    }

    pub(super) fn find(&self, id: AccountId) -> Option<u32> {
        self.index.find(self.index.hash(id.0), |slot| self.list[slot as usize].id == id)
    }

    pub(super) fn hash(&self, id: AccountId) -> u32 {
        self.index.hash(id.0)
    }

    /// The first account with this hash, without a look at it.
    pub(super) fn guess(&self, hash: u32) -> Option<u32> {
        self.index.find(hash, |_| true)
    }

    /// Brings an account nearer to the processor.
    pub(super) fn touch(&self, slot: u32) {
        if let Some(account) = self.list.get(slot as usize) {
            core::hint::black_box((account.id, account.balance.credits_posted, account.flow.newest()));
        }
    }

    /// A guess that is the account with this id.
    pub(super) fn confirm(&self, guess: Option<u32>, id: AccountId) -> Option<u32> {
        let account = self.list.get(guess? as usize)?;
        // What a transfer reads and writes of it is in other cache lines than its id.
        core::hint::black_box((account.balance.credits_posted, account.flow.newest()));
        if account.id == id { guess } else { None }
    }

    /// Opens an account that is not open.
    pub(super) fn open(&mut self, id: AccountId, kind: AccountKind) {
        let slot = u32::try_from(self.list.len()).expect("the number of accounts is limited to 32 bits");
        self.list.push(Account { id, balance: Balance::new(kind), flow: Flow::default() });
        self.index.insert(self.index.hash(id.0), slot);
    }

    /// Takes back the last [`open`](Self::open).
    pub(super) fn unopen(&mut self) {
        let account = self.list.pop().expect("an account that was opened is taken back");
        let slot = u32::try_from(self.list.len()).expect("the number of accounts is limited to 32 bits");
        self.index.remove(self.index.hash(account.id.0), slot);
    }

    /// Adds an account as it was written; `None` if there is one with this id, or there are too many.
    pub(super) fn restore(&mut self, account: Account) -> Option<()> {
        let slot = u32::try_from(self.list.len()).ok().filter(|&slot| slot < u32::MAX)?;
        if self.find(account.id).is_some() {
            return None;
        }
        self.list.push(account);
        self.index.insert(self.index.hash(account.id.0), slot);
        Some(())
    }

    pub(super) fn account(&self, slot: u32) -> &Account {
        &self.list[slot as usize]
    }

    /// Puts an account back as it was.
    pub(super) fn put_back(&mut self, slot: u32, account: Account) {
        self.list[slot as usize] = account;
    }

    pub(super) fn balance(&self, slot: u32) -> &Balance {
        &self.list[slot as usize].balance
    }

    /// Posts `amount` from one account to another.
    pub(super) fn post(&mut self, from: u32, to: u32, amount: Credits, windows: &Windows) {
        self.pay_back(from, to, amount);
        self.at(to).flow.add(amount, windows);
    }

    /// Posts `amount` from one account to another, which was not earned by it.
    pub(super) fn pay_back(&mut self, from: u32, to: u32, amount: Credits) {
        add(&mut self.at(from).balance.debits_posted, amount);
        add(&mut self.at(to).balance.credits_posted, amount);
    }

    /// Puts `amount` on hold between two accounts.
    pub(super) fn pend(&mut self, from: u32, to: u32, amount: Credits) {
        add(&mut self.at(from).balance.debits_pending, amount);
        add(&mut self.at(to).balance.credits_pending, amount);
    }

    /// Ends the hold of `amount` between two accounts.
    pub(super) fn unpend(&mut self, from: u32, to: u32, amount: Credits) {
        subtract(&mut self.at(from).balance.debits_pending, amount);
        subtract(&mut self.at(to).balance.credits_pending, amount);
    }

    fn at(&mut self, slot: u32) -> &mut Account {
        &mut self.list[slot as usize]
    }
}

fn add(counter: &mut u128, amount: Credits) {
    // A sequence of 64 bits numbers them, and each amount is below 2^64.
    *counter = counter.checked_add(u128::from(amount.0)).expect("fewer than 2^64 amounts below 2^64 fit 128 bits");
}

fn subtract(counter: &mut u128, amount: Credits) {
    *counter = counter.checked_sub(u128::from(amount.0)).expect("no more is taken off hold than was put on hold");
}
