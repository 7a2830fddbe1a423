//! Goal: who was away comes back to the same history; nothing is lost, told as lost, or held in memory for it without
//! need. Method: scripted stories on an obedient network.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{Config, Event, OpId};

use crate::net::{Delta, Net, config, life, op, seat, three, value};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

#[test]
fn a_snapshot_drops_no_orphans_that_it_contains() {
    let config = Config { ring_entries: 64, ..config(1000) };
    let (mut net, primary) = Net::elected(3, &config);
    let away = (primary + 1) % 3;
    for serial in 1..=1500 {
        net.write(primary, op(serial)).expect("taken");
    }
    net.pass(SECOND / 2);
    net.members[away] = None;
    for serial in 1501..=1700 {
        net.write(primary, op(serial)).expect("taken");
    }
    net.restart(away, &config);
    net.events.clear();
    net.pass(3 * SECOND);
    assert_eq!(net.values(away).len(), 1700);
    assert_eq!(net.member(away).counters().snapshots_installed, 1);
    let told: Vec<_> = net.events.iter().filter(|(_, event)| matches!(event, Event::OrphansDropped { .. })).collect();
    assert!(told.is_empty(), "nothing was dropped: {told:?}");
}

/// Its dot is forgotten with the life that wrote it: that it is in the history shows from where it stands.
#[test]
fn what_a_retired_life_has_written_is_no_orphan() {
    let config = Config { ring_entries: 8, ..config(1000) };
    let (mut net, old) = Net::elected(5, &config);
    net.write(old, op(1)).expect("taken");
    net.pass(SECOND / 2);
    net.members[old] = None;
    let new = net.elect();
    net.pass(SECOND);
    let now = net.now;
    net.member(new).remove(now, seat(old)).expect("the others are sound");
    net.pass(SECOND / 2);
    let away = (0..5).find(|&node| node != old && node != new).expect("five");
    net.members[away] = None;
    let now = net.now;
    net.member(new).retire(now, life(old)).expect("all have what it wrote");
    for serial in 2..=40 {
        net.write(new, op(serial)).expect("taken");
    }
    net.restart(away, &config);
    net.pass(SECOND);
    let counters = net.member(away).counters();
    assert_eq!((counters.snapshots_installed, counters.orphans_kept), (1, 0));
    assert_eq!(net.values(away).len(), 40);
    assert!(!net.events.iter().any(|(_, event)| matches!(event, Event::Discarded { .. })));
}

#[test]
fn a_snapshot_drives_no_orphan_out() {
    let config = Config { ring_entries: 16, max_orphans: 20, ..config(1000) };
    let other = OpId { client: 2, serial: 1 };
    let (mut net, first, second) = Net::deposed(3, &config, &[(other, Delta::small(value(other)))]);
    // It comes back, and crashes before it can hand over.
    net.lose = |frame| frame[3] == 9;
    net.cut.clear();
    net.pass(SECOND / 2);
    for serial in 1..=100 {
        net.write(second, op(serial)).expect("taken");
    }
    net.pass(SECOND / 2);
    assert_eq!(net.values(first).len(), 100);
    net.members[first] = None;
    for serial in 101..=200 {
        net.write(second, op(serial)).expect("taken");
    }
    net.restart(first, &config);
    net.events.clear();
    while net.member(first).counters().snapshots_installed == 0 {
        net.pass(MS);
    }
    net.lose = |_| false;
    net.pass(5 * SECOND);
    let told: Vec<_> = net.events.iter().filter(|(_, event)| matches!(event, Event::OrphansDropped { .. })).collect();
    let discarded = net.events.iter().any(|(_, event)| matches!(event, Event::Discarded { id, .. } if *id == other));
    assert!(told.is_empty() && discarded, "one orphan, room for twenty: {told:?}, dealt with: {discarded}");
}

/// A member has been away for longer than the log, and no part of the snapshot that it is sent arrives.
fn waiting(voters: usize, config: &Config) -> (Net, usize, usize) {
    let (mut net, primary) = Net::elected(voters, config);
    let away = (primary + 1) % voters;
    net.isolate(&[away]);
    for serial in 1..=200 {
        net.write(primary, op(serial)).expect("taken");
    }
    net.cut.clear();
    net.lose = |frame| frame[3] == 7;
    net.pass(SECOND);
    assert!(net.member(primary).counters().snapshots_sent > 0);
    (net, primary, away)
}

fn write_kilobytes(net: &mut Net, primary: usize, serials: core::ops::RangeInclusive<u64>) {
    for serial in serials {
        net.write_delta(primary, op(serial), Delta { value: 1, ballast: 1000 }).expect("taken");
    }
}

/// Entries that the primary has in memory.
fn kept(net: &mut Net, primary: usize) -> usize {
    format!("{:?}", net.member(primary)).matches("Meta {").count()
}

#[test]
fn a_dead_straggler_does_not_hold_the_log() {
    let config = Config { ring_bytes: 4096, ..three() };
    let (mut net, primary, away) = waiting(4, &config);
    net.members[away] = None;
    net.lose = |_| false;
    let now = net.now;
    net.member(primary).remove(now, seat(away)).expect("all is calm");
    net.pass(SECOND);
    write_kilobytes(&mut net, primary, 201..=230);
    let kept = kept(&mut net, primary);
    assert!(kept < 9, "{kept} entries of a kilobyte each are kept in a ring of four");
}

#[test]
fn a_silent_straggler_does_not_hold_the_log() {
    // It stays a member: there is nobody to replace it.
    let config = Config { ring_bytes: 4096, ring_entries: 1 << 20, ..three() };
    let (mut net, primary, away) = waiting(3, &config);
    let write = |net: &mut Net, serials| write_kilobytes(net, primary, serials);
    // While it answers, patience has an end in bytes as well.
    write(&mut net, 201..=300);
    assert!(
        (9..24).contains(&kept(&mut net, primary)),
        "{} entries of a kilobyte in a ring of four",
        kept(&mut net, primary)
    );
    net.members[away] = None;
    net.pass(6 * SECOND);
    write(&mut net, 301..=310);
    assert!(kept(&mut net, primary) < 9, "{} entries of a kilobyte in a ring of four", kept(&mut net, primary));
    let sent = net.member(primary).counters().snapshots_sent;
    net.pass(10 * SECOND);
    assert_eq!(net.member(primary).counters().snapshots_sent, sent, "no snapshot is made for the dead");
    net.lose = |_| false;
    net.restart(away, &config);
    net.pass(2 * SECOND);
    assert_eq!(net.values(away).len(), 310, "it was not forgotten");
}

/// Nothing is committed meanwhile.
#[test]
fn the_dead_get_no_parts() {
    let small = Config { ring_entries: 8, max_frame: 1024, ..config(1000) };
    let (mut net, _, away) = Net::behind(&small);
    net.lose = |_| false;
    let mut entry = Net::elected(3, &small).0;
    let primary = entry.primary().expect("elected");
    let dead = (primary + 1) % 3;
    entry.members[dead] = None;
    entry.write_delta(primary, op(1), Delta { value: 1, ballast: 50_000 }).expect("taken");
    for (net, dead) in [(&mut net, away), (&mut entry, dead)] {
        net.members[dead] = None;
        net.pass(10 * SECOND);
        net.sent.clear();
        net.pass(10 * SECOND);
        let parts = net.sent.iter().filter(|(_, to, frame)| *to == dead && frame[3] == 7).count();
        assert_eq!(parts, 0);
        net.restart(dead, &small);
        net.pass(2 * SECOND);
        let held = net.primary().map(|primary| net.member(primary).last());
        assert_eq!(Some(net.member(dead).last()), held, "it was not forgotten");
    }
}
