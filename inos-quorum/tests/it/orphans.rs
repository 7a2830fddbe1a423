//! Goal: of each write that falls out of the history the group decides once what becomes of it, all members alike, and
//! tells the writer that still waits, and nobody else. Method: scripted stories on an obedient network, of which most
//! begin with a primary that writes while it is cut off; a machine that merges, and one that refuses.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{Config, Event, Lsn, Mode, OpId, Read, Resolution, Stage};

use crate::net::{Delta, Network, config, life, one, op, seat, value};

const SECOND: Duration = Duration::from_secs(1);

/// Kinds of frames.
const APPEND: u8 = 5;
const APPEND_REPLY: u8 = 6;
const ORPHANS: u8 = 9;

fn fast() -> Config {
    Config { mode: Mode::Fast, ..config(1000) }
}

fn heal<const MERGES: bool>(net: &mut Network<MERGES>) {
    net.cut.clear();
    net.pass(SECOND / 2);
}

/// What the members told of writes that they had taken, oldest first: who, of which write, what became of it.
fn orphaned<const MERGES: bool>(net: &Network<MERGES>) -> Vec<(usize, OpId, Resolution<u64>)> {
    let told = |(by, event): &(usize, Event<u64, u64>)| match event {
        Event::Orphaned { id, resolution, .. } => Some((*by, *id, resolution.clone())),
        _ => None,
    };
    net.events.iter().filter_map(told).collect()
}

/// Who told that a write is gone, in the order of the members.
fn discarded<const MERGES: bool>(net: &Network<MERGES>, of: OpId) -> Vec<usize> {
    let told = |(by, event): &(usize, Event<u64, u64>)| match event {
        Event::Discarded { id, .. } if *id == of => Some(*by),
        _ => None,
    };
    let mut by: Vec<usize> = net.events.iter().filter_map(told).collect();
    by.sort_unstable();
    by
}

/// The members have these values, in this order.
fn all_have<const MERGES: bool>(net: &mut Network<MERGES>, ids: &[OpId]) {
    let expected: Vec<u64> = ids.iter().map(|&id| value(id)).collect();
    for node in 0..net.members.len() {
        assert_eq!(net.values(node), expected, "{node}");
    }
}

// --- What becomes of it

#[test]
fn a_merged_write_is_in_the_history_once_in_the_order_in_which_it_was_made() {
    let (mut net, old) = Network::<true>::elected(5, &fast());
    net.write(old, op(1)).expect("taken");
    net.pass(SECOND / 5);
    // Two hold it, and both will hand it over.
    net.isolate(&[old, (old + 1) % 5]);
    let places: Vec<Lsn> = [2, 3].iter().map(|&serial| net.write(old, op(serial)).expect("taken")).collect();
    let new = net.succeed(old);
    net.write(new, op(4)).expect("taken");
    heal(&mut net);
    // The second writer had read the first write, which is no part of the history: it parted at sequence 2.
    let expected = [2, 3].map(|serial| (old, op(serial), Resolution::Merged(2)));
    assert_eq!(orphaned(&net), expected);
    all_have(&mut net, &[op(1), op(4), op(2), op(3)]);
    assert_eq!(net.member(new).last().sequence, 6, "two epochs began, each write entered once");
    let ledger = net.member(new).read(Read::Committed).expect("never fails").0;
    assert_eq!(ledger.applied[2..].iter().map(|&(lsn, _)| lsn).collect::<Vec<_>>(), places);
    assert!((2..=3).all(|serial| discarded(&net, op(serial)).is_empty()));

    // It is a write like any other from now on: a repeat is answered with its place and output.
    let place = net.write(new, op(2)).expect("a repeat");
    assert!(place > places[1] && place.epoch == net.member(new).epoch());
    assert_eq!(net.receipts(new, op(2)), [(Stage::Committed, Some(2))]);
}

/// Nobody heard of the epoch in which it was written, and the history goes on with writes of the epoch before.
#[test]
fn what_a_writer_of_a_lost_epoch_had_read_is_known() {
    for config in [config(1000), fast()] {
        let (mut net, first) = Network::<true>::elected(5, &config);
        net.write(first, op(1)).expect("taken");
        net.pass(SECOND / 5);
        net.isolate(&[first, (first + 1) % 5]);
        for serial in [2, 3] {
            net.write(first, op(serial)).expect("it cannot know yet");
        }
        net.lose = |frame| frame[3] == APPEND;
        let lost = net.succeed(first);
        net.write(lost, op(4)).expect("it cannot know yet");
        net.lose = |_| false;
        net.cut.clear();
        net.isolate(&[lost]);
        net.succeed(lost);
        heal(&mut net);
        // The start of the first epoch, and the first write.
        assert_eq!(orphaned(&net), [(lost, op(4), Resolution::Merged(2))], "{:?}", config.mode);
        all_have(&mut net, &[op(1), op(2), op(3), op(4)]);
    }
}

#[test]
fn a_write_that_its_client_repeated_is_contained() {
    let (mut net, old, new) = Network::<true>::deposed(3, &config(1000), &one());
    net.write(new, op(1)).expect("taken");
    heal(&mut net);
    assert_eq!(orphaned(&net), [(old, op(1), Resolution::Contained)]);
    assert_eq!(discarded(&net, op(1)), [0; 0]);
    all_have(&mut net, &[op(1)]);
}

/// A member drops what the next primary has kept. The first of the writes is forgotten as that of a client by then:
/// only its dot is known.
#[test]
fn a_write_that_was_in_the_history_all_the_time_is_contained() {
    let (mut net, old) = Network::<true>::elected(5, &config(1000));
    let holder = (old + 1) % 5;
    net.isolate(&[old, holder]);
    for serial in 1..=65 {
        net.write(old, op(serial)).expect("taken");
    }
    // The successor reaches the holder with the start of its epoch, and then nobody any more: it is not committed.
    net.lose = |frame| frame[3] == APPEND;
    let lost = net.succeed(old);
    net.cut.clear();
    net.isolate(&[lost, holder]);
    net.lose = |frame| frame[3] == ORPHANS;
    net.pass(SECOND / 10);
    assert_eq!(net.member(holder).last().sequence, 2, "it has dropped all of it");
    net.members[lost] = None;
    // Who has them all leads again, and gets them as orphans before they are committed.
    net.cut.clear();
    net.lose = |frame| frame[3] == APPEND_REPLY;
    while net.primary() != Some(old) {
        net.pass(SECOND / 100);
    }
    assert_eq!(net.member(old).committed().sequence, 1);
    net.pass(SECOND / 5);
    net.lose = |_| false;
    heal(&mut net);
    assert!(net.member(old).last().sequence >= 2 * 65, "all of them are in the log twice");
    assert_eq!(net.receipts(old, op(1)).last(), Some(&(Stage::Committed, Some(1))));
    assert_eq!((orphaned(&net), discarded(&net, op(1))), (vec![], vec![]));
    for node in (0..5).filter(|&node| node != lost) {
        assert_eq!(net.values(node), (1..=65).map(|serial| value(op(serial))).collect::<Vec<_>>(), "{node}");
    }
}

#[test]
fn a_write_whose_successor_had_read_it_is_older() {
    let (mut net, old) = Network::<true>::elected(5, &fast());
    let friend = (old + 1) % 5;
    net.isolate(&[old, friend]);
    net.write(old, op(1)).expect("taken");
    // A client reads it at the friend, and writes with that elsewhere.
    let context = net.member(friend).session().clock;
    let new = net.succeed(old);
    let now = net.now;
    net.member(new).write_after(now, op(2), Delta::small(value(op(2))), &context).expect("taken");
    heal(&mut net);
    assert_eq!(orphaned(&net), [(old, op(1), Resolution::Older)]);
    assert_eq!(discarded(&net, op(1)), [0, 1, 2, 3, 4]);
    all_have(&mut net, &[op(2)]);
}

#[test]
fn a_write_of_a_retired_life_is_older() {
    let (mut net, old) = Network::<true>::elected(5, &config(1000));
    net.write(old, op(1)).expect("taken");
    net.pass(SECOND / 5);
    let holder = (old + 1) % 5;
    net.isolate(&[old, holder]);
    net.write(old, op(2)).expect("taken");
    let new = net.succeed(old);
    // The holder comes back and cannot hand it over; the writer does not come back.
    net.lose = |frame| frame[3] == ORPHANS;
    net.cut.clear();
    net.isolate(&[old]);
    net.pass(SECOND / 2);
    let now = net.now;
    net.member(new).remove(now, seat(old)).expect("the others are sound");
    net.pass(SECOND / 5);
    let now = net.now;
    net.member(new).retire(now, life(old)).expect("it is gone, and all have what it wrote");
    net.pass(SECOND / 5);
    assert_eq!(discarded(&net, op(2)), [0; 0]);
    net.lose = |_| false;
    net.pass(SECOND / 5);
    let members: Vec<usize> = (0..5).filter(|&node| node != old).collect();
    assert_eq!(discarded(&net, op(2)), members);
    assert!(members.iter().all(|&node| net.values(node) == [value(op(1))]));
}

#[test]
fn a_write_before_64_later_ones_of_its_client_is_forgotten() {
    for (later, resolution) in [(63, Resolution::Merged(1)), (64, Resolution::Forgotten)] {
        let (mut net, old, new) = Network::<true>::deposed(3, &config(1000), &one());
        for serial in 2..=1 + later {
            net.write(new, op(serial)).expect("taken");
        }
        heal(&mut net);
        let is_out = resolution == Resolution::Forgotten;
        assert_eq!(orphaned(&net), [(old, op(1), resolution)], "{later}");
        assert_eq!(discarded(&net, op(1)), if is_out { vec![0, 1, 2] } else { vec![] }, "{later}");
        assert_eq!(net.values(new).contains(&value(op(1))), !is_out, "{later}");
    }
}

#[test]
fn a_machine_may_refuse() {
    let (mut net, old, new) = Network::<true>::deposed(3, &config(1000), &one());
    // It has that value already.
    net.write_delta(new, OpId { client: 2, serial: 1 }, Delta::small(value(op(1)))).expect("taken");
    heal(&mut net);
    assert_eq!(orphaned(&net), [(old, op(1), Resolution::Refused)]);
    assert_eq!(discarded(&net, op(1)), [0, 1, 2]);
    all_have(&mut net, &[op(1)]);
}

#[test]
fn a_policy_may_refuse_for_the_machine() {
    let (mut net, old, _) = Network::<false>::deposed(3, &config(1000), &one());
    heal(&mut net);
    assert_eq!(orphaned(&net), [(old, op(1), Resolution::Refused)]);
    assert_eq!(discarded(&net, op(1)), [0, 1, 2]);
    all_have(&mut net, &[]);
}

// --- Who is told

#[test]
fn a_write_ends_once() {
    for waits_s in [0, 6] {
        let (mut net, old, _) = Network::<true>::deposed(3, &config(1000), &one());
        net.pass(waits_s * SECOND);
        heal(&mut net);
        net.pass(6 * SECOND);
        all_have(&mut net, &[op(1)]);
        // After five seconds it was told that nobody knows, and that was the end.
        let (told, end) = match waits_s {
            0 => (vec![(old, op(1), Resolution::Merged(1))], vec![Stage::LocalOnly]),
            _ => (vec![], vec![Stage::LocalOnly, Stage::Unknown]),
        };
        assert_eq!(orphaned(&net), told);
        assert_eq!(net.receipts(old, op(1)).iter().map(|&(stage, _)| stage).collect::<Vec<_>>(), end);
    }
}

#[test]
fn a_later_life_is_not_told() {
    let (mut net, old, _) = Network::<false>::deposed(3, &config(1000), &one());
    net.restart(old, &config(1000));
    heal(&mut net);
    assert_eq!(orphaned(&net), []);
    assert_eq!(discarded(&net, op(1)), [0, 1, 2], "as all members are");
}
