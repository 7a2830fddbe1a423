//! Goal: sending a transaction again changes nothing, whatever was lost, repeated or delayed on the way. Method: a
//! history is applied once; then random copies of it in random order must have the same verdicts and leave the same
//! state hash. Clients that retry over a network that loses, repeats and delays end at the balances of a faultless
//! run.

use inos_pricing::{
    AccountId, AccountKind, Balance, Credits, Ledger, Limits, Millis, Outcome, Rejection, Remainder, Sequence,
    Transaction, TxId,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NOW: Millis = Millis(1_700_000_000_000);
const ACCOUNTS: u8 = 5;

fn id(n: usize) -> TxId {
    TxId::from_parts(NOW, n as u128).unwrap()
}

/// The issuer is account 0, and each holder starts with 100 credits.
fn opening() -> Vec<Transaction> {
    let account = |n: u8| AccountId(n.into());
    let mut batch = vec![Transaction::open(id(0), account(0), AccountKind::Issuer)];
    for n in 1..ACCOUNTS {
        batch.push(Transaction::open(id(batch.len()), account(n), AccountKind::Holder));
        batch.push(Transaction::transfer(id(batch.len()), account(0), account(n), Credits(100)));
    }
    batch
}

/// (kind, payer, receiver, amount, which earlier transaction) to transactions with ids of their own.
fn history(steps: &[(u8, u8, u8, u64, usize)]) -> Vec<Transaction> {
    let mut history = opening();
    for &(kind, from, to, amount, earlier) in steps {
        let (next, amount) = (id(history.len()), Credits(amount));
        let (from, to) = (AccountId(from.into()), AccountId(to.into()));
        let hold = history[earlier % history.len()].id;
        history.push(match kind {
            0..=2 => Transaction::transfer(next, from, to, amount),
            3..=5 => Transaction::hold(next, from, to, amount, Millis(NOW.0 + 1_000)),
            6..=7 => Transaction::capture(next, hold, amount, Remainder::Keep),
            8 => Transaction::capture(next, hold, amount, Remainder::Release),
            _ => Transaction::release(next, hold),
        });
    }
    history
}

fn histories() -> impl Strategy<Value = Vec<Transaction>> {
    let step = (0_u8..10, 0..ACCOUNTS, 1..ACCOUNTS, 1_u64..120, any::<usize>());
    prop::collection::vec(step, 1..60).prop_map(|steps| history(&steps))
}

fn send(ledger: &mut Ledger, transaction: Transaction) -> Outcome {
    let mut outcomes = Vec::new();
    ledger.apply(NOW, &[transaction], &mut outcomes, &mut Vec::new()).unwrap();
    outcomes[0]
}

fn balances(ledger: &Ledger) -> Vec<(AccountId, Balance)> {
    ledger.accounts().collect()
}

/// Whether a retry is answered from memory: content alone is refused anew, with the same verdict.
fn leaves_no_trace(verdict: Result<Sequence, Rejection>) -> bool {
    verdict.is_err_and(|rejection| !rejection.burns_id())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn copies_in_any_order_change_nothing(
        history in histories(),
        copies in prop::collection::vec(any::<prop::sample::Index>(), 0..150),
    ) {
        let mut ledger = Ledger::new(Limits::default(), 1);
        let verdicts: Vec<_> = history.iter().map(|&transaction| send(&mut ledger, transaction).verdict()).collect();
        let (hash, sequence) = (ledger.state_hash(), ledger.sequence());
        for copy in copies {
            let copy = copy.index(history.len());
            let answer = send(&mut ledger, history[copy]);
            prop_assert_eq!(answer.verdict(), verdicts[copy]);
            prop_assert!(matches!(answer, Outcome::Exists(_)) || leaves_no_trace(verdicts[copy]));
        }
        prop_assert_eq!(ledger.state_hash(), hash);
        prop_assert_eq!(ledger.sequence(), sequence);
    }

    /// One client works through its history and sends each transaction until it sees an answer. The network loses
    /// requests and answers, and delivers old requests again at any later time.
    #[test]
    fn a_retry_storm_ends_at_the_faultless_balances(
        history in histories(),
        faults in prop::collection::vec((0_u8..6, any::<prop::sample::Index>()), 400),
    ) {
        let mut faultless = Ledger::new(Limits::default(), 2);
        let expected: Vec<_> = history.iter().map(|&transaction| send(&mut faultless, transaction).verdict()).collect();

        let mut ledger = Ledger::new(Limits::default(), 3);
        let mut faults = faults.into_iter();
        for (n, &transaction) in history.iter().enumerate() {
            let verdict = loop {
                match faults.next() {
                    Some((0, _)) => {} // the request is lost
                    Some((1, _)) => { send(&mut ledger, transaction); } // the answer is lost
                    Some((2, delayed)) => { send(&mut ledger, history[delayed.index(n + 1)]); } // an old request arrives
                    _ => break send(&mut ledger, transaction).verdict(),
                }
            };
            prop_assert_eq!(verdict, expected[n]);
        }
        prop_assert_eq!(balances(&ledger), balances(&faultless));
        prop_assert_eq!(ledger.state_hash(), faultless.state_hash());
    }

    /// How a history is cut into batches changes no verdict and no state.
    #[test]
    fn batches_are_only_a_cut(history in histories(), len in 1_usize..20) {
        let mut single = Ledger::new(Limits::default(), 4);
        let one_by_one: Vec<_> = history.iter().map(|&transaction| send(&mut single, transaction)).collect();
        let mut batched = Ledger::new(Limits::default(), 4);
        let mut outcomes = Vec::new();
        for batch in history.chunks(len) {
            batched.apply(NOW, batch, &mut outcomes, &mut Vec::new()).unwrap();
        }
        prop_assert_eq!(outcomes, one_by_one);
        prop_assert_eq!(batched.state_hash(), single.state_hash());
    }
}
