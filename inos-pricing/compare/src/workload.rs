//! The accounts and transfers that every ledger is given.

use inos_pricing::{AccountId, Credits, Millis, Operation, Transaction, TxId};

pub(crate) const ACCOUNTS: u64 = 10_000;
/// What a batch holds: as many transfers as TigerBeetle puts into one.
pub(crate) const BATCH: usize = 8_190;
/// Of every account at the start: more than a run can spend.
pub(crate) const FUNDS: u64 = 1_000_000_000;
pub(crate) const NOW: Millis = Millis(1_700_000_000_000);
/// Ids with the same millisecond: as of a million transfers a second.
const PER_MILLISECOND: u64 = 1_048;

/// A linear congruential generator (Knuth's MMIX constants), high bits, of a fixed seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 32
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// `batches` full batches, each id its own: milliseconds that grow and random low bits, as in UUIDv7.
pub(crate) fn transfers(batches: usize) -> Vec<Transaction> {
    let mut random = Random(11);
    (0..(BATCH * batches) as u64)
        .map(|n| {
            let unique = u128::from(random.next()) << 32 | u128::from(random.next());
            let id = TxId::from_parts(Millis(NOW.0 + n / PER_MILLISECOND), unique).expect("both parts are in range");
            let from = random.below(ACCOUNTS);
            let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
            Transaction::transfer(id, account(from), account(to), Credits(1 + random.below(100)))
        })
        .collect()
}

pub(crate) fn account(n: u64) -> AccountId {
    AccountId(u128::from(n))
}

/// What the peers number their accounts by.
pub(crate) fn number(account: AccountId) -> u64 {
    u64::try_from(account.0).expect("accounts are numbered from zero")
}

/// Id, payer, receiver and amount.
pub(crate) fn parts(transaction: &Transaction) -> (TxId, AccountId, AccountId, u64) {
    match transaction.operation {
        Operation::Transfer { from, to, amount } => (transaction.id, from, to, amount.0),
        _ => unreachable!("the workload consists of transfers"),
    }
}

/// The clock when a batch is applied: the time of its last id.
pub(crate) fn clock(batch: &[Transaction]) -> Millis {
    batch.last().map_or(NOW, |transaction| transaction.id.time())
}

/// The balances that every ledger has to end with. The ids must be distinct, and nobody may run out of credits.
pub(crate) fn balances_after(transfers: &[Transaction]) -> Vec<u64> {
    let index = |account| usize::try_from(number(account)).expect("accounts are few");
    let mut balances = vec![FUNDS; usize::try_from(ACCOUNTS).expect("accounts are few")];
    for transfer in transfers {
        let (_, from, to, amount) = parts(transfer);
        let left = balances[index(from)].checked_sub(amount).expect("the funds suffice");
        balances[index(from)] = left;
        balances[index(to)] += amount;
    }
    balances
}

#[cfg(test)]
mod tests {
    //! The workload is what the notes say: distinct ids in the order of time, two sides, no overdraft.

    use alloc::collections::BTreeSet;

    use super::{ACCOUNTS, BATCH, FUNDS, balances_after, clock, parts, transfers};

    #[test]
    fn ids_are_distinct_and_in_the_order_of_time() {
        let transfers = transfers(2);
        let ids: BTreeSet<_> = transfers.iter().map(|transfer| transfer.id).collect();
        assert_eq!((ids.len(), transfers.len()), (2 * BATCH, 2 * BATCH));
        assert!(transfers.is_sorted_by_key(|transfer| transfer.id.time()));
        assert!(transfers.iter().all(|transfer| transfer.id.time() <= clock(&transfers)));
        assert!(transfers.iter().all(|transfer| matches!(parts(transfer), (_, from, to, 1..) if from != to)));
    }

    #[test]
    fn credits_move_and_none_is_made() {
        let balances = balances_after(&transfers(1));
        assert_eq!(balances.iter().sum::<u64>(), ACCOUNTS * FUNDS);
        assert!(balances.iter().filter(|&&balance| balance != FUNDS).count() > 7_000);
    }
}
