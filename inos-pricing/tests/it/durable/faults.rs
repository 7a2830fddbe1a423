//! Goal: a store that fails once is not believed afterwards: the ledger is poisoned, nothing is released by the call
//! that failed, and whoever opens the ledger again, before or after a restart of the machine, has what was released.
//! Method: histories on a simulated disk, every operation of which fails in turn: short writes, a full disk, and syncs
//! that fail while the page cache pretends that all is well. The ledger is opened again without a restart, goes on,
//! perhaps fails once more, and then the power is cut.

use inos_pricing::{
    AccountId, AccountKind, DurableError, DurableLedger, FileStore, Millis, Sequence, Tail, Transaction, TxId,
    sim::{Fault, SimDisk},
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{
    disk::{go_on, later, open, operations, run},
    factor,
    traffic::{LIMITS, Rng, SEED},
    witness::{Witness, check_poisoned, steps},
};

const FAULTS: [Fault; 4] =
    [Fault::ShortWrite { len: 7 }, Fault::ShortWrite { len: 150 }, Fault::NoSpace, Fault::SyncFails];

#[test]
fn every_operation_fails_and_the_machine_is_not_restarted() {
    let mut cases = 0;
    for history in 0..8 * factor().unwrap_or(1) {
        let steps = steps(history + 100, 24);
        for operation in 0..operations(&steps) {
            for fault in FAULTS {
                for seed in 0..3 {
                    let (disk, mut witness) = (SimDisk::default(), Witness::default());
                    disk.inject(operation, fault);
                    if run(&disk, &mut witness, &steps).is_err() {
                        go_on(&disk, &mut witness, seed, later(&steps, seed));
                        cases += 1;
                    }
                }
            }
        }
    }
    println!("faults: {cases} cases");
    assert!(cases > 1_000);
}

/// Failures come again and again, the machine is restarted seldom.
#[test]
fn a_disk_that_fails_often() {
    let mut failures = 0;
    for seed in 0..2_000 * factor().unwrap_or(1) {
        let (disk, mut witness, mut rng) = (SimDisk::default(), Witness::default(), Rng(seed));
        let steps = steps(seed + 1_000, 60);
        let mut left = &steps[..];
        for _ in 0..8 {
            let fault = FAULTS[usize::try_from(rng.below(6)).unwrap().min(3)];
            disk.inject(disk.operation_count() + rng.below(40), fault);
            let (part, others) = left.split_at(left.len().min(12));
            failures += u64::from(run(&disk, &mut witness, part).is_err());
            left = others;
            match rng.below(4) {
                0 => disk.crash(rng.next()),
                1 => disk.kill(),
                _ => {}
            }
        }
        disk.crash(seed);
        open(&disk, &mut witness, Tail::Trust).unwrap();
    }
    println!("a disk that fails often: {failures} failures");
}

type Ledger = DurableLedger<FileStore<inos_pricing::sim::Mount>>;

fn opened() -> (SimDisk, Ledger) {
    let disk = SimDisk::default();
    let store = FileStore::open_sim(&disk).unwrap();
    let (mut ledger, _) = DurableLedger::open(store, LIMITS, SEED, Tail::Trust).unwrap();
    ledger.apply(Millis(9), &[account(1)], &mut Vec::new()).unwrap();
    (disk, ledger)
}

fn account(n: u128) -> Transaction {
    Transaction::open(TxId::from_parts(Millis(9), n).unwrap(), AccountId(n), AccountKind::Issuer)
}

/// What each call does with a fault: the ledger is poisoned, and what it had was kept.
#[test]
fn a_ledger_is_poisoned_by_every_failure_of_its_store() {
    type Step = fn(&mut Ledger) -> Result<Sequence, DurableError<inos_pricing::FileError>>;
    const SNAPSHOTS: usize = 6;
    let apply: Step = |ledger| ledger.apply(Millis(9), &[account(2)], &mut Vec::new());
    let submit: Step = |ledger| ledger.submit(Millis(9), &[account(2)]);
    let sync: Step = |ledger| ledger.submit(Millis(9), &[account(2)]).and_then(|_| ledger.sync());
    let snapshot: Step = Ledger::snapshot;
    let cases = [
        (apply, Fault::ShortWrite { len: 100 }),
        (apply, Fault::NoSpace),
        (apply, Fault::SyncFails),
        (submit, Fault::ShortWrite { len: 0 }),
        (submit, Fault::NoSpace),
        (sync, Fault::SyncFails),
        (snapshot, Fault::ShortWrite { len: 9 }),
        (snapshot, Fault::NoSpace),
        (snapshot, Fault::SyncFails),
    ];
    for (case, (step, fault)) in cases.into_iter().enumerate() {
        for later in 0..4 {
            let (disk, mut ledger) = opened();
            disk.inject(disk.operation_count() + later, fault);
            match step(&mut ledger) {
                Ok(_) => assert!(later > 0, "{fault:?}"),
                Err(error) => {
                    assert!(matches!(error, DurableError::Store(_)), "{error:?}");
                    assert_eq!(ledger.synced(), Sequence(2));
                    // Without a snapshot that could not be put a ledger goes on, unless its store is dead.
                    let goes_on = case >= SNAPSHOTS && ledger.ledger().is_ok();
                    if !goes_on || apply(&mut ledger).is_err() {
                        check_poisoned(&mut ledger, Millis(9));
                    }
                }
            }
            drop(ledger);
            disk.kill();
            let store = FileStore::open_sim(&disk).unwrap();
            DurableLedger::open(store, LIMITS, SEED, Tail::AtLeast(Sequence(2))).unwrap();
        }
    }
}

/// The error of a caller poisons nothing and releases nothing.
#[test]
fn a_refused_call_changes_nothing() {
    let (disk, mut ledger) = opened();
    ledger.submit(Millis(9), &[account(2)]).unwrap();
    let operations = disk.operation_count();
    let too_long = vec![account(3); 65];
    assert!(matches!(ledger.apply(Millis(9), &too_long, &mut Vec::new()), Err(DurableError::Ledger(_))));
    assert!(matches!(ledger.submit(Millis(u64::MAX), &[]), Err(DurableError::Ledger(_))));
    assert_eq!(disk.operation_count(), operations);
    assert_eq!(ledger.poll_released(), None, "nothing was synced");
    // An answer from memory tells of a state that is not synced.
    ledger.submit(Millis(9), &[account(2)]).unwrap();
    assert_eq!((ledger.poll_released(), ledger.synced()), (None, Sequence(2)));
    ledger.sync().unwrap();
    assert!(ledger.poll_released().is_some() && ledger.poll_released().is_some() && ledger.poll_released().is_none());
    // One that tells of what is synced needs no disk.
    let operations = disk.operation_count();
    ledger.submit(Millis(9), &[account(2)]).unwrap();
    assert!(ledger.poll_released().is_some());
    assert_eq!(disk.operation_count(), operations);
}
