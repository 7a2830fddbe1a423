//! Goal: on a disk that loses and reorders what was not synced, no released outcome is lost at any moment.
//! Method: histories of applying, submitting, syncing, snapshots and reopening on a simulated disk. The power is cut
//! before each operation of the disk in turn, once more while the ledger opens again, or the process is killed and the
//! machine crashes later. After each opening a [`Witness`] asks for everything that was ever answered.

use inos_pricing::{
    DurableError, DurableLedger, FileStore, OpenError, Tail,
    sim::{Fault, Mount, SimDisk},
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{
    factor,
    traffic::{Call, LIMITS, SEED},
    witness::{Step, Witness, check_poisoned, steps},
};

type Ledger = DurableLedger<FileStore<Mount>>;

/// The store has failed.
#[derive(Debug)]
pub(super) struct Failed;

/// Opens what is there, and checks that it keeps the promises.
pub(super) fn open(disk: &SimDisk, witness: &mut Witness, tail: Tail) -> Result<Ledger, Failed> {
    let store = FileStore::open_sim(disk).map_err(|_| Failed)?;
    match DurableLedger::open(store, LIMITS, SEED, tail) {
        Ok((mut ledger, recovery)) => {
            witness.check(&mut ledger, recovery);
            Ok(ledger)
        }
        Err(OpenError::Store(_)) => Err(Failed),
        Err(error) => panic!("nothing was damaged: {error:?}"),
    }
}

fn call(ledger: &mut Ledger, witness: &mut Witness, step: &Step) -> Result<(), Failed> {
    let (result, now) = match step {
        Step::Apply(Call { now, batch }) => {
            let (sequence, expected) = witness.expect(&Call { now: *now, batch: batch.clone() });
            let mut outcomes = Vec::new();
            let applied = ledger.apply(*now, batch, &mut outcomes);
            if let Ok(released) = applied {
                assert_eq!((released, &outcomes), (sequence, &expected));
                witness.poll(ledger);
                witness.release(released, batch, &outcomes);
            } else {
                assert!(outcomes.is_empty(), "released early");
            }
            (applied, *now)
        }
        Step::Submit(call) => {
            let (sequence, expected) = witness.expect(call);
            let submitted = ledger.submit(call.now, &call.batch);
            if submitted.is_ok() {
                witness.submitted(sequence, call, expected);
            }
            (submitted, call.now)
        }
        Step::Sync => (ledger.sync(), witness.twin.clock().unwrap_or_default()),
        Step::Snapshot => (ledger.snapshot(), witness.twin.clock().unwrap_or_default()),
        Step::Reopen => unreachable!(),
    };
    match result {
        Ok(_) => {
            witness.poll(ledger);
            witness.check_state(ledger);
            Ok(())
        }
        // The ledger goes on without a snapshot that could not be put.
        Err(DurableError::Store(_)) if matches!(step, Step::Snapshot) && ledger.ledger().is_ok() => {
            witness.poll(ledger);
            Err(Failed)
        }
        Err(DurableError::Store(_)) => {
            check_poisoned(ledger, now);
            Err(Failed)
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// A history, until the store fails.
pub(super) fn run(disk: &SimDisk, witness: &mut Witness, steps: &[Step]) -> Result<(), Failed> {
    let mut ledger = open(disk, witness, Tail::AtLeast(witness.released))?;
    for step in steps {
        if matches!(step, Step::Reopen) {
            drop(ledger);
            ledger = open(disk, witness, Tail::AtLeast(witness.released))?;
        } else {
            call(&mut ledger, witness, step)?;
        }
    }
    Ok(())
}

/// What the tail says changes nothing where nothing is damaged.
fn tail(seed: u64, witness: &Witness) -> Tail {
    if seed.is_multiple_of(2) { Tail::Trust } else { Tail::AtLeast(witness.released) }
}

/// Opens, goes on, crashes, and opens again.
pub(super) fn go_on(disk: &SimDisk, witness: &mut Witness, seed: u64, later: &[Step]) {
    drop(open(disk, witness, tail(seed, witness)).unwrap());
    run(disk, witness, later).unwrap();
    disk.crash(seed ^ 0x55);
    open(disk, witness, tail(seed + 1, witness)).unwrap();
}

/// The steps after a failure: those of the history from some point on, which the ledger may know already.
pub(super) fn later(steps: &[Step], seed: u64) -> &[Step] {
    let start = usize::try_from(seed * 7).unwrap() % steps.len();
    &steps[start..steps.len().min(start + 6)]
}

pub(super) fn operations(steps: &[Step]) -> u64 {
    let disk = SimDisk::default();
    run(&disk, &mut Witness::default(), steps).unwrap();
    disk.operation_count()
}

/// Calls `strike` for every operation of some histories; answers how often.
fn every_operation(histories: u64, seeds: u64, mut strike: impl FnMut(&SimDisk, &mut Witness, &[Step], u64)) -> u64 {
    let mut cases = 0;
    for history in 0..histories * factor().unwrap_or(1) {
        let steps = steps(history, 24);
        for operation in 0..=operations(&steps) {
            for seed in 0..seeds {
                let (disk, mut witness) = (SimDisk::default(), Witness::default());
                disk.inject(operation, Fault::PowerCut);
                run(&disk, &mut witness, &steps).ok();
                strike(&disk, &mut witness, &steps, seed);
                cases += 1;
            }
        }
    }
    cases
}

#[test]
fn the_power_is_cut_before_every_operation() {
    let cases = every_operation(14, 8, |disk, witness, steps, seed| {
        disk.crash(seed);
        go_on(disk, witness, seed, later(steps, seed));
    });
    println!("power cut: {cases} cases");
}

#[test]
fn the_power_is_cut_again_while_opening() {
    let cases = every_operation(8, 8, |disk, witness, steps, seed| {
        disk.crash(seed);
        for again in 0..6 {
            disk.inject(disk.operation_count() + again, Fault::PowerCut);
            open(disk, witness, tail(seed, witness)).ok();
            disk.crash(seed + again);
        }
        go_on(disk, witness, seed, later(steps, seed));
    });
    println!("power cut twice: {cases} cases");
}

#[test]
fn the_process_is_killed_before_every_operation_and_the_machine_crashes_later() {
    let cases = every_operation(14, 4, |disk, witness, steps, seed| {
        disk.kill();
        if seed % 2 == 0 {
            // What was found is durable, though nothing was written.
            drop(open(disk, witness, tail(seed, witness)).unwrap());
            disk.crash(seed);
        }
        go_on(disk, witness, seed, later(steps, seed));
    });
    println!("killed: {cases} cases");
}
