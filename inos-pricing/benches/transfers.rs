//! How many transfers a second does the ledger apply in memory? 524,160 transfers with ids of their own between 10,000
//! accounts, in batches of 8,190, beside two bare hash maps (balances, and ids that were seen): the least that any
//! ledger with retries has to do, without double entry, holds, outcomes or an end to the ids.

use core::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use inos_pricing::{AccountId, AccountKind, Credits, Ledger, Limits, Millis, Operation, Transaction, TxId};

const ACCOUNTS: u64 = 10_000;
const BATCH: usize = 8_190;
const BATCHES: usize = 64;
const NOW: Millis = Millis(1_700_000_000_000);

/// A linear congruential generator (Knuth's MMIX constants), high bits, of a fixed seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 32
    }
}

/// Half a second of ids, 1,048 in each millisecond, with random low bits as in UUIDv7.
fn transfers() -> Vec<Transaction> {
    let mut random = Random(11);
    (0..BATCH * BATCHES)
        .map(|n| {
            let unique = u128::from(random.next()) << 32 | u128::from(random.next());
            let time = NOW.0 + u64::try_from(n).expect("fits") / 1_048;
            let from = random.next() % ACCOUNTS;
            let to = (from + 1 + random.next() % (ACCOUNTS - 1)) % ACCOUNTS;
            Transaction::transfer(
                TxId::from_parts(Millis(time), unique).expect("both parts are in range"),
                AccountId(u128::from(from)),
                AccountId(u128::from(to)),
                Credits(1 + random.next() % 100),
            )
        })
        .collect()
}

/// Accounts with more credits than the run can spend.
fn opened() -> Ledger {
    let mut ledger = Ledger::new(Limits::default(), 0x5eed_5eed_5eed_5eed);
    let mint = AccountId(u128::MAX);
    let id = |n: u64| TxId::from_parts(NOW, u128::from(n)).expect("both parts are in range");
    let mut batch = vec![Transaction::open(id(0), mint, AccountKind::Issuer)];
    for n in 0..ACCOUNTS {
        let account = AccountId(u128::from(n));
        batch.push(Transaction::open(id(2 * n + 1), account, AccountKind::Holder));
        batch.push(Transaction::transfer(id(2 * n + 2), mint, account, Credits(1_000_000_000)));
    }
    let mut outcomes = Vec::new();
    for batch in batch.chunks(BATCH) {
        ledger.apply(NOW, batch, &mut outcomes, &mut Vec::new()).expect("the batch is in range");
    }
    assert!(outcomes.iter().all(|outcome| outcome.verdict().is_ok()), "the accounts are funded");
    ledger
}

/// The two-map twin.
#[expect(clippy::disallowed_types, reason = "the baseline is what one would write with std; nothing iterates")]
mod maps {
    use std::collections::{HashMap, HashSet};

    use inos_pricing::{AccountId, Credits, TxId};

    #[derive(Clone, Default)]
    pub(super) struct Maps {
        pub(super) balances: HashMap<AccountId, u64>,
        pub(super) seen: HashSet<TxId>,
    }

    impl Maps {
        pub(super) fn transfer(&mut self, id: TxId, from: AccountId, to: AccountId, amount: Credits) -> bool {
            if !self.seen.insert(id) {
                return false;
            }
            match self.balances.get_mut(&from) {
                Some(balance) if *balance >= amount.0 => *balance -= amount.0,
                _ => return false,
            }
            self.balances.get_mut(&to).map(|balance| *balance += amount.0).is_some()
        }
    }
}

fn in_memory(criterion: &mut Criterion) {
    let transfers = transfers();
    let mut group = criterion.benchmark_group("transfers");
    group.throughput(Throughput::Elements(transfers.len() as u64));
    group.sample_size(10);

    let ledger = opened();
    group.bench_function("ledger", |bencher| {
        bencher.iter_batched(
            || (ledger.clone(), Vec::with_capacity(BATCH)),
            |(mut ledger, mut outcomes)| {
                for batch in transfers.chunks(BATCH) {
                    outcomes.clear();
                    let now = batch.last().map_or(NOW, |transaction| transaction.id.time());
                    let _ = black_box(ledger.apply(now, batch, &mut outcomes, &mut Vec::new()));
                    black_box(&outcomes);
                }
                ledger
            },
            BatchSize::PerIteration,
        );
    });

    let mut funded = maps::Maps::default();
    funded.balances.extend((0..ACCOUNTS).map(|n| (AccountId(u128::from(n)), 1_000_000_000)));
    group.bench_function("maps", |bencher| {
        bencher.iter_batched(
            || funded.clone(),
            |mut maps| {
                for transaction in &transfers {
                    if let Operation::Transfer { from, to, amount } = transaction.operation {
                        black_box(maps.transfer(transaction.id, from, to, amount));
                    }
                }
                maps
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, in_memory);
criterion_main!(benches);
