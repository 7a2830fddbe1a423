//! Goal: the disk is as bad as it says, and no worse. Method: the same few operations, crashed with many seeds; every
//! outcome that is allowed occurs, and no other.

use alloc::{collections::BTreeSet, string::String, vec, vec::Vec};

use super::{Fault, Mount, SimDisk};
use crate::store::Layer;

const SEEDS: u64 = 300;

/// What the file `name` holds after crashes with many seeds, each on a fresh disk.
fn outcomes(name: &str, script: impl Fn(&SimDisk, &mut Mount)) -> BTreeSet<Option<Vec<u8>>> {
    let after = |seed| {
        let disk = SimDisk::default();
        script(&disk, &mut disk.mount());
        disk.crash(seed);
        let bytes = disk.bytes(name);
        disk.crash(seed.wrapping_add(1));
        assert_eq!(disk.bytes(name), bytes, "what is there after a crash is durable");
        bytes
    };
    for seed in 0..9 {
        assert_eq!(after(seed), after(seed));
    }
    (0..SEEDS).map(after).collect()
}

fn texts(outcomes: BTreeSet<Option<Vec<u8>>>) -> Vec<Option<String>> {
    outcomes.into_iter().map(|bytes| bytes.map(|bytes| String::from_utf8(bytes).unwrap())).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.into())
}

#[test]
fn a_file_needs_its_own_sync_and_that_of_its_directory() {
    let entry_only = |_: &SimDisk, mount: &mut Mount| {
        let mut file = mount.create("a").unwrap();
        mount.append(&mut file, b"x").unwrap();
        mount.sync_directory().unwrap();
    };
    assert_eq!(texts(outcomes("a", entry_only)), [some(""), some("\0"), some("x")]);

    let file_only = |_: &SimDisk, mount: &mut Mount| {
        let mut file = mount.create("a").unwrap();
        mount.append(&mut file, b"x").unwrap();
        mount.sync_data(&mut file).unwrap();
    };
    assert_eq!(texts(outcomes("a", file_only)), [None, some("x")]);

    let both = |disk: &SimDisk, mount: &mut Mount| {
        file_only(disk, mount);
        mount.sync_directory().unwrap();
    };
    assert_eq!(texts(outcomes("a", both)), [some("x")]);
}

#[test]
fn sectors_and_length_are_kept_or_not_each_by_itself() {
    let found = outcomes("a", |_, mount| {
        let mut file = mount.create("a").unwrap();
        mount.append(&mut file, &[1; 100]).unwrap();
        mount.sync_all(&mut file).unwrap();
        mount.sync_directory().unwrap();
        mount.append(&mut file, &[2; 1_436]).unwrap();
    });
    let mut sectors = BTreeSet::new();
    let mut lens = BTreeSet::new();
    for bytes in found {
        let bytes = bytes.unwrap();
        assert_eq!(bytes[..100], [1; 100]);
        lens.insert(bytes.len());
        if bytes.len() == 1_536 {
            for sector in [&bytes[100..512], &bytes[512..1_024], &bytes[1_024..]] {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is written whole");
            }
            sectors.insert((bytes[511], bytes[1_023], bytes[1_535]));
        }
    }
    assert_eq!(sectors.len(), 8, "each of three sectors kept or zero");
    assert!(lens.contains(&100) && lens.contains(&1_536) && lens.len() > 20);
}

#[test]
fn renames_and_removals_need_a_sync_of_the_directory() {
    let rename = |disk: &SimDisk, mount: &mut Mount| {
        disk.put("a", b"old");
        disk.put("b", b"new");
        mount.rename("b", "a").unwrap();
    };
    assert_eq!(texts(outcomes("a", rename)), [some("new"), some("old")]);
    assert_eq!(texts(outcomes("b", rename)), [None, some("new")]);

    let removal = |disk: &SimDisk, mount: &mut Mount| {
        disk.put("a", b"old");
        mount.remove("a").unwrap();
        assert!(mount.read("a").is_err());
    };
    assert_eq!(texts(outcomes("a", removal)), [None, some("old")]);
    let synced = |disk: &SimDisk, mount: &mut Mount| {
        removal(disk, mount);
        mount.sync_directory().unwrap();
    };
    assert_eq!(texts(outcomes("a", synced)), [None]);
}

#[test]
fn a_second_sync_says_that_all_is_well_and_lies() {
    let file = |disk: &SimDisk, mount: &mut Mount| {
        disk.inject(0, Fault::SyncFails);
        let mut file = mount.create("a").unwrap();
        mount.append(&mut file, b"x").unwrap();
        mount.sync_data(&mut file).unwrap_err();
        mount.sync_data(&mut file).unwrap();
        mount.sync_directory().unwrap();
        assert_eq!(mount.read("a").unwrap(), b"x");
    };
    assert_eq!(texts(outcomes("a", file)), [some("\0")]);

    let directory = |disk: &SimDisk, mount: &mut Mount| {
        mount.create("a").unwrap();
        disk.inject(0, Fault::SyncFails);
        mount.sync_directory().unwrap_err();
        mount.sync_directory().unwrap();
        assert_eq!(mount.list().unwrap(), ["a"]);
    };
    assert_eq!(texts(outcomes("a", directory)), [None]);
}

#[test]
fn faults_strike_where_they_can() {
    let disk = SimDisk::default();
    let mut mount = disk.mount();
    disk.inject(1, Fault::NoSpace);
    disk.inject(0, Fault::ShortWrite { len: 2 });
    let mut file = mount.create("a").unwrap();
    mount.sync_all(&mut file).unwrap();
    assert!(mount.append(&mut file, b"xyz").is_err());
    assert!(mount.append(&mut file, b"xyz").is_err());
    mount.append(&mut file, b"z").unwrap();
    assert_eq!(mount.read("a").unwrap(), b"xyz", "nothing, two bytes, one byte");
    assert_eq!(disk.operation_count(), 5);

    disk.inject(0, Fault::PowerCut);
    assert!(mount.remove("a").is_err() && mount.read("a").is_err() && mount.list().is_err());
    assert_eq!(disk.operation_count(), 6, "the machine is off after the operation that was struck");
    disk.kill();
    assert!(mount.read("a").is_err(), "the program was killed");
    assert_eq!(disk.mount().read("a").unwrap(), b"xyz");
}

#[test]
fn a_file_is_damaged_at_will() {
    let disk = SimDisk::default();
    disk.put("a", &[1, 2, 3]);
    assert!(disk.flip("a", 1, 7) && !disk.flip("a", 3, 0) && !disk.flip("a", 0, 8) && !disk.flip("b", 0, 0));
    assert_eq!(disk.bytes("a"), Some(vec![1, 130, 3]));
    assert!(disk.zero_tail("a", 2) && !disk.zero_tail("a", 3) && !disk.zero_tail("a", 9));
    assert!(!disk.truncate("a", 3) && disk.bytes("a") == Some(vec![1, 130, 0]));
    assert!(disk.truncate("a", 1));
    disk.crash(0);
    assert_eq!((disk.bytes("a"), disk.names()), (Some(vec![1]), vec!["a".into()]));
}
