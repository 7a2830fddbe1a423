//! Goal: `Fast` acknowledges what one other replica holds, only while little is at risk, and tells of every loss. Method:
//! scripted stories on an obedient network.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{Actor, Config, Event, LossReport, Lsn, Mode, NodeClass, Read, ReadError, ReceiptState, Stage};

use crate::net::{Delta, Net, config, op, value, volatile};

const BY_VOTER: Stage = Stage::Fast { by: NodeClass::Voter };

fn fast(config: Config) -> Config {
    Config { mode: Mode::Fast, ..config }
}

/// The primary and one friend are cut off from the other three.
fn islet(config: &Config) -> (Net, usize, usize) {
    let (mut net, primary) = Net::elected(5, config);
    let friend = (primary + 1) % 5;
    net.isolate(&[primary, friend]);
    (net, primary, friend)
}

fn losses(net: &Net) -> Vec<(usize, LossReport)> {
    let loss = |(by, event): &(usize, Event<u64, u64>)| match event {
        Event::Loss(report) => Some((*by, *report)),
        _ => None,
    };
    net.events.iter().filter_map(loss).collect()
}

#[test]
fn one_other_copy_acknowledges() {
    let (mut net, primary, _) = islet(&fast(config(1000)));
    net.write(primary, op(1)).expect("taken");
    assert_eq!(net.receipts(primary, op(1)), [(BY_VOTER, Some(1))]);
    net.pass(Duration::from_millis(100));
    assert_eq!(net.receipts(primary, op(1)), [(BY_VOTER, Some(1))], "no timeout after an acknowledgement");
    net.cut.clear();
    net.pass(Duration::from_millis(200));
    assert_eq!(net.receipts(primary, op(1)), [(BY_VOTER, Some(1)), (Stage::Committed, Some(1))]);
}

#[test]
fn no_copy_is_no_acknowledgement() {
    let (mut net, primary) = Net::elected(5, &fast(config(1000)));
    net.isolate(&[primary]);
    net.write(primary, op(1)).expect("taken");
    net.pass(Duration::from_millis(100));
    assert_eq!(net.receipts(primary, op(1)), [(Stage::LocalOnly, None)]);
}

#[test]
fn safe_modes_never_acknowledge_early() {
    for mode in [Mode::Majority, Mode::Flex { write: 3 }] {
        let (mut net, primary, _) = islet(&Config { mode, ..config(1000) });
        net.write(primary, op(1)).expect("taken");
        net.pass(Duration::from_millis(100));
        assert_eq!(net.receipts(primary, op(1)), [(Stage::LocalOnly, None)], "{mode:?}");
    }
}

#[test]
fn what_is_at_risk_was_written_within_one_exposure() {
    let (mut net, primary, _) = islet(&fast(config(1000)));
    net.write(primary, op(1)).expect("taken");
    net.pass(Duration::from_millis(149));
    net.write(primary, op(2)).expect("taken");
    assert_eq!(net.receipts(primary, op(2)), [(BY_VOTER, Some(2))]);
    net.pass(Duration::from_millis(1));
    net.write(primary, op(3)).expect("taken");
    net.pass(Duration::from_millis(60));
    assert_eq!(net.receipts(primary, op(3)), [(Stage::LocalOnly, None)]);
    assert!(net.member(primary).counters().fast_withheld > 0);
}

#[test]
fn few_writes_are_at_risk() {
    let (mut net, primary, _) = islet(&Config { exposure_writes: 3, ..fast(config(1000)) });
    for serial in 1..=5 {
        net.write(primary, op(serial)).expect("taken");
    }
    let acknowledged = (1..=5).filter(|&serial| net.receipts(primary, op(serial)) == [(BY_VOTER, Some(serial))]);
    assert_eq!(acknowledged.count(), 2, "with the third uncommitted write the limit is reached");
}

#[test]
fn a_replica_shows_what_it_has_received_and_takes_it_back() {
    let (mut net, primary, friend) = islet(&fast(config(1000)));
    net.write(primary, op(1)).expect("taken");
    assert_eq!(net.values(friend).len(), 1, "applied on receipt");
    assert!(net.member(friend).read(Read::Committed).expect("never fails").0.applied.is_empty());
    let session = net.member(friend).session();
    net.members[primary] = None;
    net.pass(Duration::from_secs(5));
    net.cut.clear();
    net.pass(Duration::from_secs(5));
    // Reject takes no orphan in: the write is gone, and the session knows.
    assert_eq!(net.values(friend), [0; 0]);
    let broken = net.member(friend).read(Read::Session(&session)).map(|(_, lsn)| lsn);
    assert!(matches!(broken, Err(ReadError::SessionBroken { .. })), "{broken:?}");
}

#[test]
fn a_loss_is_reported_by_all_who_know() {
    let (mut net, primary, friend) = islet(&fast(config(1000)));
    let lost: Vec<Lsn> = (1..=2).map(|serial| net.write(primary, op(serial)).expect("taken")).collect();
    net.pass(Duration::from_secs(5));
    let heir = net.primary().expect("three of five elected");
    assert!(heir != primary && heir != friend);
    net.events.clear();
    net.cut.clear();
    net.pass(Duration::from_secs(5));
    let expected = LossReport { epoch: lost[0].epoch, from: lost[0].sequence, known_to: lost[1].sequence };
    let told = losses(&net);
    assert!(told.contains(&(primary, expected)) && told.contains(&(friend, expected)), "{told:?}");
    assert!(told.iter().all(|(_, report)| *report == expected), "{told:?}");
    for node in 0..5 {
        for &lsn in &lost {
            assert_eq!(net.member(node).receipt_state(lsn), ReceiptState::Lost, "{lsn:?} at {node}");
        }
    }
}

#[test]
fn receipts_that_hold_are_held() {
    let (mut net, primary) = Net::elected(5, &fast(config(1000)));
    let place = net.write(primary, op(1)).expect("taken");
    net.pass(Duration::from_millis(200));
    assert_eq!(net.member(primary).receipt_state(place), ReceiptState::Held);
    let later = Lsn { sequence: place.sequence + 1, ..place };
    assert_eq!(net.member(primary).receipt_state(later), ReceiptState::Unknown);
    net.members[primary] = None;
    net.elect();
    net.pass(Duration::from_millis(200));
    for node in (0..5).filter(|&node| node != primary) {
        assert_eq!(net.member(node).receipt_state(place), ReceiptState::Held, "{node}");
        assert_eq!(net.member(node).receipt_state(later), ReceiptState::Lost, "{node}");
    }
    assert_eq!(losses(&net), []);
}

#[test]
fn a_candidate_waits_for_an_acknowledged_write() {
    // Of three, two copies are a quorum: whoever is elected has the write.
    let (mut net, primary) = Net::elected(3, &fast(config(1000)));
    let [friend, other] = [(primary + 1) % 3, (primary + 2) % 3];
    net.isolate(&[primary, friend]);
    let place = net.write(primary, op(1)).expect("taken");
    net.members[primary] = None;
    net.cut.clear();
    net.elect();
    net.pass(Duration::from_millis(500));
    assert_eq!(net.member(other).receipt_state(place), ReceiptState::Held);
}

#[test]
fn the_copy_of_an_ephemeral_member_acknowledges_and_says_so() {
    let config = fast(volatile());
    let (mut net, primary) = Net::elected(3, &config);
    let seat = Actor { node: 3, incarnation: 1 };
    net.join(seat, &config);
    let now = net.now;
    net.member(primary).add_learner(now, seat, NodeClass::Ephemeral).expect("all is calm");
    net.pass(Duration::from_secs(1));
    net.isolate(&[primary, 3]);
    net.write(primary, op(1)).expect("taken");
    assert_eq!(net.receipts(primary, op(1)), [(Stage::Fast { by: NodeClass::Ephemeral }, Some(1))]);
}

#[test]
fn a_fast_receipt_of_three_voters_survives_one_crash_without_its_friend() {
    let config = Config { target: 3, recruit_below: 3, ..fast(config(1000)) };
    let (mut net, primary) = Net::elected(3, &config);
    let (friend, third) = ((primary + 1) % 3, (primary + 2) % 3);
    net.unsynced.insert(primary);
    let durable = net.records[primary].len();
    net.isolate(&[third]);
    let id = op(1);
    net.write(primary, id).expect("taken");
    let fast = net.receipts(primary, id);
    assert!(matches!(fast[..], [] | [(Stage::Fast { .. }, _)]), "{fast:?}");
    if fast.is_empty() {
        return;
    }
    // No voter loses anything that it held: the primary crashes and recovers; the friend is cut off.
    let records = net.records[primary][..durable].to_vec();
    net.records[primary] = records;
    net.restart(primary, &config);
    net.unsynced.clear();
    net.cut.clear();
    net.isolate(&[friend]);
    let successor = net.elect();
    net.write(successor, op(2)).expect("taken");
    assert!(net.values(successor).contains(&value(id)), "acknowledged with two of three copies, and lost");
}

#[test]
fn a_fast_receipt_waits_for_the_copy_of_the_primary() {
    let (mut net, primary, _) = islet(&fast(config(1000)));
    net.unsynced.insert(primary);
    let now = net.now;
    net.member(primary).write(now, op(1), Delta::small(1)).expect("taken");
    let (mut record, mut token) = (Vec::new(), None);
    while let Some(polled) = net.member(primary).poll_persist(&mut record) {
        token = Some(polled);
    }
    net.settle();
    assert_eq!(net.receipts(primary, op(1)), []);
    net.member(primary).persisted(now, token.expect("a record"));
    net.settle();
    assert_eq!(net.receipts(primary, op(1)), [(BY_VOTER, Some(1))]);
}
