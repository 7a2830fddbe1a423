//! Goal: what a writer is told of a write that fell out of the history is true, whatever it repeated, and stays so.
//! Method: scripted stories on an obedient network.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{
    Actor, Boot, ChangeError, Config, Event, Lsn, Mode, NodeClass, OpId, Resolution, Role, Stage, WriteError,
};

use crate::net::{Delta, Member, Net, Network, config, life, one, op, seat, three, value, volatile};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_orphan_of_an_expired_client_is_not_applied_again() {
    let (mut net, old, new) = Network::<true>::deposed(3, &config(1000), &one());
    // As `LocalOnly` says: repeated with the same id. Committed: the client is done, and repeats nothing.
    net.write(new, op(1)).expect("taken");
    let now = net.now;
    net.member(new).expire_client(now, 1).expect("known");
    net.settle();
    net.cut.clear();
    net.pass(SECOND);
    let told = |(by, event): &(usize, Event<u64, u64>)| match event {
        Event::Orphaned { resolution, .. } => Some((*by, resolution.clone())),
        _ => None,
    };
    // The machine would have refused it, since it has that value: it was not asked.
    assert_eq!(net.events.iter().filter_map(told).collect::<Vec<_>>(), [(old, Resolution::Forgotten)]);
    assert_eq!(net.values(new), [value(op(1))]);
}

#[test]
fn a_refused_orphan_stays_out_of_the_history() {
    let (mut net, first, second) = Net::deposed(3, &config(1000), &one());
    net.cut.clear();
    net.pass(SECOND);
    let refused = |(by, event): &(usize, Event<u64, u64>)| {
        *by == first && matches!(event, Event::Orphaned { resolution: Resolution::Refused, .. })
    };
    assert!(net.events.iter().any(refused), "told as refused");
    // The repeat was under way all the time.
    let repeated = net.write(second, op(1));
    assert!(matches!(repeated, Err(WriteError::Discarded { lsn: Lsn { epoch: 1, .. }, .. })), "{repeated:?}");
    // And wherever it is repeated after all this.
    let now = net.now;
    let third = 3 - first - second;
    net.member(second).transfer_primary(now, seat(third)).expect("a voter");
    net.pass(SECOND);
    assert_eq!(net.member(third).role(), Role::Primary);
    assert!(matches!(net.write(third, op(1)), Err(WriteError::Discarded { .. })));
    assert!(net.values(third).is_empty());
}

/// The repeat is in the log behind the orphan before anybody knows that the orphan is refused.
fn a_repeat_behind_a_refused_orphan(mode: Mode) {
    let (mut net, first) = Net::elected(5, &Config { mode, ..config(1000) });
    net.isolate(&[first]);
    net.write(first, op(1)).expect("taken");
    net.pass(3 * SECOND);
    let second = net.primary().expect("elected");
    assert_ne!(first, second);
    net.isolate(&[second]);
    net.cut.retain(|&cut| cut != (first, second) && cut != (second, first));
    let before = net.member(second).last();
    net.pass(SECOND / 2);
    assert_eq!(net.member(second).last().sequence, before.sequence + 1, "the orphan is in the log, and nothing else");
    assert_eq!(net.member(second).committed(), before);
    let place = net.write(second, op(1)).expect("taken");
    net.pass(SECOND / 10);
    net.cut.clear();
    net.pass(5 * SECOND);
    for by in [first, second] {
        let told = |(from, event): &(usize, Event<u64, u64>)| match event {
            Event::Orphaned { id, lsn, resolution } if *from == by && *id == op(1) => Some((*lsn, resolution.clone())),
            _ => None,
        };
        let told: Vec<_> = net.events.iter().filter_map(told).collect();
        assert!(matches!(told[..], [(lsn, Resolution::Refused)] if by == first || lsn == place), "{by}: {told:?}");
        let stages: Vec<_> = net.receipts(by, op(1)).into_iter().map(|(stage, _)| stage).collect();
        assert!(matches!(stages[..], [] | [Stage::LocalOnly]), "{by}: {stages:?}");
    }
    for node in 0..5 {
        assert!(net.values(node).is_empty());
    }
}

#[test]
fn a_repeat_behind_a_refused_orphan_is_not_applied() {
    a_repeat_behind_a_refused_orphan(Mode::Majority);
}

#[test]
fn a_repeat_behind_a_refused_orphan_is_not_acknowledged_early() {
    a_repeat_behind_a_refused_orphan(Mode::Fast);
}

/// Another member handed the copy over; the writer learns it from a snapshot.
#[test]
fn a_snapshot_shows_that_a_write_was_refused() {
    let (mut net, first) = Net::elected(5, &Config { ring_entries: 4, ..config(1000) });
    let mate = (first + 1) % 5;
    net.isolate(&[first, mate]);
    net.write(first, op(1)).expect("taken");
    net.pass(3 * SECOND);
    let second = net.primary().expect("elected");
    net.cut.clear();
    net.isolate(&[first]);
    net.pass(SECOND / 2);
    for serial in 1..=20 {
        net.write(second, OpId { client: 2, serial }).expect("taken");
    }
    net.pass(SECOND / 2);
    assert!(matches!(net.write(second, op(1)), Err(WriteError::Discarded { .. })), "the mate had a copy");
    net.cut.clear();
    net.pass(SECOND);
    assert_eq!(net.member(first).counters().snapshots_installed, 1);
    net.pass(9 * SECOND);
    let ends: Vec<_> = net.events.iter().filter(|(by, event)| *by == first && ends(event, op(1))).collect();
    assert!(matches!(ends[..], [(_, Event::Orphaned { resolution: Resolution::Refused, .. })]), "{ends:?}");
}

fn ends(event: &Event<u64, u64>, of: OpId) -> bool {
    match event {
        Event::Orphaned { id, .. } => *id == of,
        Event::Receipt { id, stage: Stage::Committed | Stage::Unknown, .. } => *id == of,
        _ => false,
    }
}

#[test]
fn the_last_clients_that_were_expired_are_remembered() {
    let (mut net, primary) = Net::elected(3, &volatile());
    for client in 1..=1025 {
        net.write(primary, OpId { client, serial: 7 }).expect("taken");
        let now = net.now;
        net.member(primary).expire_client(now, client).expect("known");
        net.settle();
    }
    for client in [2, 3, 1025] {
        let late = net.write(primary, OpId { client, serial: 7 });
        assert!(matches!(late, Err(WriteError::TooOld { serial: 7, .. })), "{late:?}");
    }
    net.write(primary, OpId { client: 2, serial: 8 }).expect("it has more to write");
    net.write(primary, OpId { client: 1, serial: 7 }).expect("the oldest is forgotten");
}

#[test]
fn a_recovery_tells_of_the_orphans_that_it_has_no_room_for() {
    let (mut net, first) = Net::elected(3, &config(1000));
    net.isolate(&[first]);
    for serial in 1..=3 {
        net.write(first, op(serial)).expect("taken");
    }
    net.pass(3 * SECOND);
    net.lose = |frame| frame[3] == 9;
    net.cut.clear();
    net.pass(SECOND);
    assert_eq!(net.member(first).counters().orphans_kept, 3);
    let config = Config { max_orphans: 1, ..config(1000) };
    let me = Actor { node: first as u64, incarnation: 99 };
    let mut member = Member::new(config, me, 7, Boot::Recover(net.records[first].clone())).expect("sound");
    let events: Vec<_> = core::iter::from_fn(|| member.poll_event()).collect();
    assert!(events.contains(&Event::OrphansDropped { count: 2 }), "{events:?}");
}

#[test]
fn what_is_in_the_history_is_not_told_as_refused() {
    let (mut net, first, second) = Net::deposed(3, &config(1000), &one());
    for serial in 1..=65 {
        net.write(second, op(serial)).expect("taken");
    }
    assert_eq!(net.values(second)[0], value(op(1)));
    net.cut.clear();
    net.pass(SECOND);
    let told: Vec<_> = net
        .events
        .iter()
        .filter(|(by, event)| *by == first && matches!(event, Event::Orphaned { .. }))
        .map(|(_, event)| event.clone())
        .collect();
    assert!(matches!(told[..], [Event::Orphaned { resolution: Resolution::Forgotten, .. }]), "{told:?}");
}

#[test]
fn an_orphan_of_an_unknown_client_is_dealt_with_when_all_places_are_taken() {
    let other = OpId { client: 2, serial: 1 };
    let config = Config { max_clients: 1, ..config(1000) };
    let (mut net, first, second) = Net::deposed(3, &config, &[(other, Delta::small(value(other)))]);
    net.write(second, op(1)).expect("taken");
    net.cut.clear();
    net.pass(600 * SECOND);
    let discarded = net.events.iter().any(|(_, event)| matches!(event, Event::Discarded { id, .. } if *id == other));
    let frames = net.sent.iter().filter(|sent| sent.0 == first && sent.2[3] == 9).count();
    assert!(discarded, "ten minutes later it is still handed over, {frames} times by now");
}

/// A primary that has joined, in place of a founder, and has written.
fn led_by_newcomer(config: &Config) -> Net {
    let (mut net, primary) = Net::elected(3, config);
    net.recruit(primary, life(3), config);
    let now = net.now;
    net.member(primary).replace(now, seat((primary + 1) % 3), life(3)).expect("caught up");
    net.pass(SECOND);
    let now = net.now;
    net.member(primary).transfer_primary(now, life(3)).expect("a voter");
    net.settle();
    net.write(3, op(1)).expect("taken");
    net.pass(SECOND);
    net
}

fn add(net: &mut Net, primary: usize) -> Result<Lsn, ChangeError> {
    let now = net.now;
    net.member(primary).add_learner(now, life(3), NodeClass::Voter)
}

#[test]
fn a_retired_life_is_no_member_again() {
    let mut net = led_by_newcomer(&three());
    let now = net.now;
    net.member(3).leave(now).expect("all is calm");
    net.pass(2 * SECOND);
    let heir = net.primary().expect("elected");
    assert_ne!(heir, 3);
    let now = net.now;
    net.member(heir).retire(now, life(3)).expect("no member any more");
    assert_eq!(add(&mut net, heir), Err(ChangeError::Busy), "it is being retired");
    net.settle();
    assert_eq!(add(&mut net, heir), Err(ChangeError::Retired), "its dots mean nothing any more");
}

/// The orphan and the entry that expires its client are both under way.
#[test]
fn an_orphan_that_is_under_way_is_not_applied_again_behind_the_expiry_of_its_client() {
    let (mut net, first) = Network::<true>::elected(5, &config(1000));
    net.write(first, op(1)).expect("taken");
    net.pass(SECOND);
    net.isolate(&[first]);
    net.write(first, op(2)).expect("taken");
    let second = net.succeed_in_vain(first);
    assert_eq!(net.uncommitted(second), 1, "the orphan is in the log, not committed");
    let now = net.now;
    net.member(second).expire_client(now, 1).expect("known");
    let late = net.write(second, op(2));
    assert!(matches!(late, Err(WriteError::TooOld { serial: 2, .. })), "{late:?}");
    net.write(second, op(3)).expect("it has more to write");
    net.cut.clear();
    net.pass(10 * SECOND);
    assert_eq!(net.values(second), [1, 2, 3].map(|serial| value(op(serial))));
}

/// Its seat is called as the life in which it joined.
#[test]
fn who_lives_on_after_a_life_that_was_retired_may_be_added_again() {
    let config = three();
    let mut net = led_by_newcomer(&config);
    net.members[3] = None;
    let heir = net.succeed(3);
    net.restart(3, &config);
    net.pass(SECOND);
    let now = net.now;
    net.member(heir).retire(now, life(3)).expect("that life is over");
    net.pass(SECOND);
    let now = net.now;
    net.member(heir).remove(now, life(3)).expect("the others are sound");
    net.pass(SECOND);
    add(&mut net, heir).expect("its present life is another one");
}
