//! Goal: clients that send until they have an answer get what they would have had without any fault, though answers are
//! lost, repeated and late, and the ledger crashes and is opened again and again.
//! Method: each client works through its own transactions on its own accounts, so that no other changes its verdicts;
//! requests and answers go through a bad network, the ledger is on a simulated disk. In the end balances and verdicts
//! are those of a ledger in memory that was called once for each transaction.

use alloc::collections::BTreeMap;

use inos_pricing::{
    AccountId, AccountKind, Balance, Credits, DurableError, DurableLedger, FileStore, Ledger, Millis, OpenError,
    Rejection, Remainder, Sequence, Tail, Transaction, TxId,
    sim::{Fault, Mount, SimDisk},
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{
    factor,
    traffic::{LIMITS, Rng, SEED},
};

const NOW: Millis = Millis(1_700_000_000_000);
const CLIENTS: usize = 5;
const LENGTH: u64 = 30;
const ISSUER: AccountId = AccountId(1);
const SHOP: AccountId = AccountId(2);

/// When a transaction was applied depends on the others, whether it was does not.
type Verdict = Result<(), Rejection>;

fn verdict(outcome: inos_pricing::Outcome) -> Verdict {
    outcome.verdict().map(|_| ())
}

/// The issuer and the shop, to which everyone pays.
fn opening() -> Vec<Transaction> {
    let id = |n| TxId::from_parts(NOW, n).unwrap();
    vec![Transaction::open(id(1), ISSUER, AccountKind::Issuer), Transaction::open(id(2), SHOP, AccountKind::Holder)]
}

/// What one client wants, in its order.
fn wishes(client: usize, seed: u64) -> Vec<Transaction> {
    let own = AccountId(100 + client as u128);
    let mut rng = Rng(seed ^ (client as u64) << 32);
    let id = |n: u64| TxId::from_parts(NOW, (client as u128 + 1) << 40 | u128::from(n)).unwrap();
    let mut wishes = vec![Transaction::open(id(0), own, AccountKind::Holder)];
    for n in 1..LENGTH {
        let amount = Credits(1 + rng.below(60));
        let earlier = id(rng.below(n));
        wishes.push(match rng.below(8) {
            0 | 1 => Transaction::transfer(id(n), ISSUER, own, amount),
            2 | 3 => Transaction::transfer(id(n), own, SHOP, amount),
            4 => Transaction::hold(id(n), own, SHOP, amount, Millis(NOW.0 + 1_000)),
            5 => Transaction::capture(id(n), earlier, amount, Remainder::Keep),
            6 => Transaction::release(id(n), earlier),
            _ => Transaction::open_stream(id(n), own, SHOP, amount, Credits(0)),
        });
    }
    wishes
}

struct Server {
    disk: SimDisk,
    ledger: Option<DurableLedger<FileStore<Mount>>>,
    /// Submitted: from which client, and which of its wishes.
    waiting: Vec<(Sequence, Vec<(usize, Transaction)>)>,
    released: Sequence,
    crashes: u64,
}

impl Server {
    /// Runs, if the disk allows it.
    fn ledger(&mut self) -> Option<&mut DurableLedger<FileStore<Mount>>> {
        if self.ledger.is_none() {
            self.waiting.clear();
            let store = FileStore::open_sim(&self.disk).ok()?;
            match DurableLedger::open(store, LIMITS, SEED, Tail::AtLeast(self.released)) {
                Ok((ledger, _)) => self.ledger = Some(ledger),
                Err(OpenError::Store(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        self.ledger.as_mut()
    }

    fn fail<T>(&mut self, result: Result<T, DurableError<inos_pricing::FileError>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(DurableError::Store(_)) => {
                self.ledger = None;
                None
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn submit(&mut self, requests: Vec<(usize, Transaction)>) {
        let batch: Vec<_> = requests.iter().map(|(_, transaction)| *transaction).collect();
        let Some(ledger) = self.ledger() else { return };
        let submitted = ledger.submit(NOW, &batch);
        if let Some(sequence) = self.fail(submitted) {
            self.waiting.push((sequence, requests));
        }
    }

    fn sync(&mut self, is_snapshot: bool) -> Vec<(usize, TxId, Verdict)> {
        let Some(ledger) = self.ledger() else { return Vec::new() };
        let synced = if is_snapshot { ledger.snapshot() } else { ledger.sync() };
        let mut answers = Vec::new();
        if self.fail(synced).is_some() {
            let Some(ledger) = self.ledger.as_mut() else { return answers };
            while let Some((sequence, outcomes)) = ledger.poll_released() {
                let (at, requests) = self.waiting.remove(0);
                assert_eq!(at, sequence);
                self.released = sequence;
                let told = requests.iter().zip(outcomes);
                answers
                    .extend(told.map(|((client, transaction), outcome)| (*client, transaction.id, verdict(outcome))));
            }
        }
        answers
    }

    fn crash(&mut self, rng: &mut Rng) {
        self.crashes += 1;
        self.ledger = None;
        match rng.below(3) {
            0 => self.disk.kill(),
            _ => self.disk.crash(rng.next()),
        }
        if rng.one_in(2) {
            let faults = [Fault::PowerCut, Fault::SyncFails, Fault::NoSpace, Fault::ShortWrite { len: 99 }];
            let fault = faults[usize::try_from(rng.below(4)).unwrap()];
            self.disk.inject(self.disk.operation_count() + rng.below(60), fault);
        }
    }
}

fn balances(ledger: &Ledger) -> BTreeMap<AccountId, Balance> {
    ledger.accounts().collect()
}

fn storm(seed: u64) -> (u64, u64) {
    let mut faultless = Ledger::new(LIMITS, 1);
    faultless.apply(NOW, &opening(), &mut Vec::new(), &mut Vec::new()).unwrap();
    let mut expected = BTreeMap::new();
    let all: Vec<_> = (0..CLIENTS).map(|client| wishes(client, seed)).collect();
    for transaction in all.iter().flatten() {
        let mut outcomes = Vec::new();
        faultless.apply(NOW, &[*transaction], &mut outcomes, &mut Vec::new()).unwrap();
        expected.insert(transaction.id, verdict(outcomes[0]));
    }

    let mut rng = Rng(seed);
    let mut server =
        Server { disk: SimDisk::default(), ledger: None, waiting: vec![], released: Sequence(0), crashes: 0 };
    server.submit(opening().into_iter().map(|transaction| (usize::MAX, transaction)).collect());
    server.sync(false);
    let mut done = [0; CLIENTS];
    let (mut requests, mut answers) = (Vec::<(usize, Transaction)>::new(), Vec::<(usize, TxId, Verdict)>::new());
    let mut sent = 0;
    while done.iter().zip(&all).any(|(done, wishes)| *done < wishes.len()) {
        for (client, wishes) in all.iter().enumerate() {
            if let Some(wish) = wishes.get(done[client])
                && rng.one_in(2)
            {
                requests.push((client, *wish));
                sent += 1;
            }
        }
        // Late, repeated, lost, and in any order.
        let mut batch = Vec::new();
        for _ in 0..rng.below(6) {
            if !requests.is_empty() {
                let at = usize::try_from(rng.below(requests.len() as u64)).unwrap();
                let request = if rng.one_in(4) { requests[at] } else { requests.swap_remove(at) };
                batch.extend((!rng.one_in(6)).then_some(request));
            }
        }
        server.submit(batch);
        if rng.one_in(2) {
            let is_snapshot = rng.one_in(10);
            answers.extend(server.sync(is_snapshot));
        }
        if rng.one_in(12) {
            server.crash(&mut rng);
        }
        for _ in 0..rng.below(8) {
            if !answers.is_empty() {
                let at = usize::try_from(rng.below(answers.len() as u64)).unwrap();
                let (client, id, verdict) = if rng.one_in(4) { answers[at] } else { answers.swap_remove(at) };
                if client < CLIENTS && !rng.one_in(5) {
                    assert_eq!(verdict, expected[&id], "{id:?}");
                    let is_awaited = all[client].get(done[client]).is_some_and(|wish| wish.id == id);
                    done[client] += usize::from(is_awaited);
                }
            }
        }
    }

    server.crash(&mut rng);
    let disk = server.disk.clone();
    drop(server.ledger.take());
    disk.crash(seed);
    let ledger = server.ledger().unwrap();
    ledger.audit().unwrap();
    assert_eq!(balances(ledger.ledger().unwrap()), balances(&faultless));
    (sent, server.crashes)
}

#[test]
fn a_storm_of_retries_ends_where_no_fault_would() {
    let (mut sent, mut crashes) = (0, 0);
    let storms = 300 * factor().unwrap_or(1);
    for seed in 0..storms {
        let (more, further) = storm(seed);
        sent += more;
        crashes += further;
    }
    let needed = storms * CLIENTS as u64 * LENGTH;
    println!("{storms} storms: {sent} requests where {needed} would do, {crashes} crashes");
    assert!(sent > 2 * needed && crashes > storms);
}
