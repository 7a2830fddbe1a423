//! Files on a simulated disk: every operation of a script is struck.

use core::error::Error;

use inos_pricing::{
    FileError, FileName, FileOperation, FileStore, JournalStore, Part, SegmentError, Sequence,
    sim::{Fault, Mount, SimDisk},
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{
    laws::{Place, laws},
    model::{Model, Tracked},
};

/// Crashes at each point.
const SEEDS: u64 = 60;

impl Place for SimDisk {
    type Store = FileStore<Mount>;

    fn open(&mut self) -> Self::Store {
        FileStore::open_sim(self).unwrap()
    }

    fn crash(&mut self, _store: Self::Store, seed: u64) {
        Self::crash(self, seed);
    }
}

laws!(file_store_on_a_simulated_disk, SimDisk::default());

fn bytes(len: usize, first: u8) -> Vec<u8> {
    (first..first + 13).cycle().take(len).collect()
}

type Done = Result<(), FileError>;

/// Every call of a store, twice or more. What fails is passed over if `go_on`, as a careless caller would.
fn script(disk: &SimDisk, model: &mut Model, go_on: bool) -> Done {
    let check = |done: Done| if go_on { Ok(()) } else { done };
    {
        let mut first = Tracked { store: FileStore::open_sim(disk)?, model };
        check(first.start_segment(1))?;
        check(first.append(&bytes(700, 1)))?;
        check(first.sync())?;
        check(first.append(&bytes(900, 20)))?;
        check(first.append(&bytes(40, 40)))?;
        check(first.sync())?;
        check(first.put_snapshot(Sequence(2), &bytes(1_300, 50)))?;
        check(first.start_segment(2))?;
        check(first.append(&bytes(10, 60)))?;
        check(first.sync())?;
        if matches!(first.store.sync(), Err(FileError::Poisoned { operation: FileOperation::SyncDirectory })) {
            // What is seen is not durable until the machine restarts.
            return Ok(());
        }
    }
    // Opened again without a crash.
    let mut store = FileStore::open_sim(disk)?;
    model.check_opened(&mut store, false);
    let mut second = Tracked { store, model };
    check(second.start_segment(3))?;
    check(second.append(&bytes(600, 70)))?;
    // Synced with the next segment.
    check(second.start_segment(4))?;
    check(second.sync())?;
    check(second.put_snapshot(Sequence(2), &bytes(1_300, 90)))?;
    check(second.put_snapshot(Sequence(5), &bytes(400, 100)))?;
    check(second.put_snapshot(Sequence(7), &bytes(1, 110)))?;
    check(second.append(&bytes(33, 120)))?;
    check(second.sync())?;
    check(second.drop_before(3, Sequence(7)))?;
    check(second.append(&bytes(33, 140)))?;
    check(second.sync())?;
    check(second.start_segment(5))?;
    check(second.drop_before(5, Sequence(7)))
}

fn script_operations() -> u64 {
    let disk = SimDisk::default();
    script(&disk, &mut Model::default(), false).unwrap();
    disk.operation_count()
}

/// What is opened holds what it must, and has no leftovers.
fn check_opened(disk: &SimDisk, model: &mut Model, is_crash: bool) -> FileStore<Mount> {
    let mut store = FileStore::open_sim(disk).unwrap();
    model.check_opened(&mut store, is_crash);
    assert!(disk.names().iter().all(|name| !name.ends_with(".tmp")), "{:?}", disk.names());
    store
}

/// And it can be written.
fn check_usable(disk: &SimDisk, model: &mut Model, is_crash: bool) {
    let store = check_opened(disk, model, is_crash);
    let mut tracked = Tracked { store, model };
    let next = tracked.store.list().unwrap().segments.last().map_or(1, |last| last + 1);
    tracked.start_segment(next).unwrap();
    tracked.append(b"\x01\x02\x03").unwrap();
    tracked.sync().unwrap();
    tracked.put_snapshot(Sequence(2), b"\x04").unwrap();
}

#[test]
fn the_power_is_cut_before_every_operation() {
    let operations = script_operations();
    assert!(operations > 40, "{operations}");
    for operation in 0..=operations {
        for seed in 0..SEEDS {
            let (disk, mut model) = (SimDisk::default(), Model::default());
            disk.inject(operation, Fault::PowerCut);
            assert_eq!(script(&disk, &mut model, false).is_ok(), operation == operations);
            disk.crash(seed);
            check_usable(&disk, &mut model, true);
            disk.crash(seed + 1);
            check_usable(&disk, &mut model, true);
        }
    }
}

#[test]
fn the_power_is_cut_again_while_opening() {
    for operation in 0..=script_operations() {
        for again in 0..4 {
            for seed in 0..8 {
                let (disk, mut model) = (SimDisk::default(), Model::default());
                disk.inject(operation, Fault::PowerCut);
                let _ = script(&disk, &mut model, false);
                disk.crash(seed);
                disk.inject(disk.operation_count() + again, Fault::PowerCut);
                if let Ok(mut store) = FileStore::open_sim(&disk)
                    && store.list().is_ok()
                {
                    model.check_opened(&mut store, true);
                }
                disk.crash(seed + 1);
                check_usable(&disk, &mut model, true);
            }
        }
    }
}

#[test]
fn the_process_is_killed_before_every_operation_and_the_machine_crashes_later() {
    for operation in 0..=script_operations() {
        for seed in 0..SEEDS {
            let (disk, mut model) = (SimDisk::default(), Model::default());
            disk.inject(operation, Fault::PowerCut);
            let _ = script(&disk, &mut model, false);
            disk.kill();
            if seed % 2 == 0 {
                // What was seen is still there after the crash, though nobody wrote.
                drop(check_opened(&disk, &mut model, false));
            } else {
                check_usable(&disk, &mut model, false);
            }
            disk.crash(seed);
            check_usable(&disk, &mut model, true);
        }
    }
}

#[test]
fn every_operation_fails_once_and_the_caller_goes_on() {
    let faults = [Fault::SyncFails, Fault::NoSpace, Fault::ShortWrite { len: 7 }, Fault::ShortWrite { len: 600 }];
    for operation in 0..=script_operations() {
        for fault in faults {
            for seed in 0..SEEDS {
                let (disk, mut model) = (SimDisk::default(), Model::default());
                disk.inject(operation, fault);
                // Later, or not at all.
                disk.inject(operation + 1 + seed % 30, Fault::PowerCut);
                // What is returned is a failure to open, if any.
                let _ = script(&disk, &mut model, true);
                disk.crash(seed);
                check_usable(&disk, &mut model, true);
            }
        }
    }
}

fn opened() -> (SimDisk, FileStore<Mount>) {
    let disk = SimDisk::default();
    let mut store = FileStore::open_sim(&disk).unwrap();
    store.start_segment(1).unwrap();
    store.append(b"synced").unwrap();
    store.sync().unwrap();
    (disk, store)
}

fn strike(disk: &SimDisk, fault: Fault) {
    disk.inject(disk.operation_count(), fault);
}

fn assert_poisoned(store: &mut FileStore<Mount>, by: FileOperation) {
    let refusals = [
        store.append(b"x"),
        store.sync(),
        store.start_segment(9),
        store.put_snapshot(Sequence(9), b"x"),
        store.drop_before(9, Sequence(9)),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(FileError::Poisoned { operation }) if operation == by), "{refusal:?}");
    }
}

#[test]
fn a_failed_sync_is_not_tried_again() {
    let (disk, mut store) = opened();
    store.append(b", lost").unwrap();
    strike(&disk, Fault::SyncFails);
    let error = store.sync().unwrap_err();
    assert_eq!(error.to_string(), "syncing failed on journal-00000000000000000001");
    assert!(error.source().is_some());
    let count = disk.operation_count();
    assert_poisoned(&mut store, FileOperation::Sync);
    assert_eq!(disk.operation_count(), count, "a second sync would succeed, and prove nothing");
    assert_eq!(store.read(Part::Segment(1)).unwrap(), b"synced, lost", "the page cache still has it");
    assert!(matches!(FileStore::open_sim(&disk), Err(FileError::Locked)));

    disk.crash(0);
    let bytes = FileStore::open_sim(&disk).unwrap().read(Part::Segment(1)).unwrap();
    assert!(bytes == b"synced" || bytes.strip_prefix(b"synced").unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn a_short_append_is_followed_by_nothing() {
    for fault in [Fault::ShortWrite { len: 2 }, Fault::NoSpace] {
        let (disk, mut store) = opened();
        strike(&disk, fault);
        let error = store.append(b"torn").unwrap_err();
        let name = FileName::Part(Part::Segment(1));
        assert!(
            matches!(error, FileError::Io { operation: FileOperation::Append, name: found, .. } if found == name),
            "{error:?}"
        );
        assert_poisoned(&mut store, FileOperation::Append);
    }
}

#[test]
fn a_snapshot_that_cannot_be_written_leaves_the_journal_alone() {
    let (disk, mut store) = opened();
    for fault in [Fault::ShortWrite { len: 2 }, Fault::NoSpace, Fault::SyncFails] {
        strike(&disk, fault);
        let error = store.put_snapshot(Sequence(3), b"snapshot").unwrap_err();
        let temporary = FileName::Temporary(Sequence(3));
        assert!(matches!(error, FileError::Io { name, .. } if name == temporary), "{error:?}");
        assert_eq!(disk.names().len(), 1, "{:?}", disk.names());
        store.append(b".").unwrap();
        store.sync().unwrap();
    }
    store.put_snapshot(Sequence(3), b"snapshot").unwrap();

    // The directory is in doubt: who opens it next must not rely on the snapshot.
    disk.inject(disk.operation_count() + 3, Fault::SyncFails);
    store.put_snapshot(Sequence(4), b"snapshot").unwrap_err();
    assert_poisoned(&mut store, FileOperation::SyncDirectory);
    drop(store);
    let mut store = FileStore::open_sim(&disk).unwrap();
    assert_eq!(store.list().unwrap().snapshots, [Sequence(3)]);

    // Replaced, the old or the new is there whatever happens.
    disk.inject(disk.operation_count() + 3, Fault::SyncFails);
    store.put_snapshot(Sequence(3), b"replaced").unwrap_err();
    assert_eq!(store.list().unwrap().snapshots, [Sequence(3)]);
    disk.crash(0);
    assert_eq!(FileStore::open_sim(&disk).unwrap().read(Part::Snapshot(Sequence(3))).unwrap(), b"snapshot");
}

#[test]
fn a_temporary_file_in_the_way_is_replaced() {
    let (disk, mut store) = opened();
    disk.put("snapshot-00000000000000000003.tmp", b"left");
    store.put_snapshot(Sequence(3), b"snapshot").unwrap();
    assert_eq!(store.read(Part::Snapshot(Sequence(3))).unwrap(), b"snapshot");
}

#[test]
fn a_segment_that_cannot_be_begun_leaves_the_one_before() {
    let (disk, mut store) = opened();
    strike(&disk, Fault::NoSpace);
    store.start_segment(2).unwrap_err();
    store.append(b", still").unwrap();
    store.start_segment(2).unwrap();
    assert_eq!(store.read(Part::Segment(1)).unwrap(), b"synced, still");
    assert!(matches!(store.start_segment(2), Err(FileError::Segment(SegmentError::NotAbove { segment: 2, last: 2 }))));
}

#[test]
fn a_sync_with_nothing_to_write_costs_nothing() {
    let (disk, mut store) = opened();
    let count = disk.operation_count();
    store.sync().unwrap();
    assert_eq!(disk.operation_count(), count);
    store.append(b"x").unwrap();
    store.sync().unwrap();
    assert_eq!(disk.operation_count(), count + 2, "one write and one sync");
}

#[test]
fn one_store_at_a_time() {
    let (disk, store) = opened();
    assert!(matches!(FileStore::open_sim(&disk), Err(FileError::Locked)));
    drop(store);
    let mut store = FileStore::open_sim(&disk).unwrap();
    disk.crash(1);
    assert!(store.list().is_err(), "it ran on the machine that crashed");
    let again = FileStore::open_sim(&disk).unwrap();
    drop(store);
    assert!(matches!(FileStore::open_sim(&disk), Err(FileError::Locked)), "another's lock is not released");
    drop(again);
}
