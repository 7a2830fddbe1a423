//! Goal: what the group remembers of clients, of lives and of what was read is the same wherever it is asked, and goes by
//! command alone. Method: scripted stories on an obedient network; each thing remembered is asked for after a failover,
//! after a snapshot and after a crash of all.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{Actor, ChangeError, Config, Limit, Lsn, Mode, OpId, Read, ReadError, Session, Stage, WriteError};

use crate::net::{Net, config, life, op, seat, value};

const SECOND: Duration = Duration::from_secs(1);
/// The kind of an answer to an append.
const APPEND_REPLY: u8 = 6;

fn by(client: u128, serial: u64) -> OpId {
    OpId { client, serial }
}

fn retire(net: &mut Net, at: usize, actor: Actor<u64>) -> Result<Lsn, ChangeError> {
    let now = net.now;
    net.member(at).retire(now, actor)
}

fn expire(net: &mut Net, at: usize, client: u128) -> Result<Lsn, ChangeError> {
    let now = net.now;
    let outcome = net.member(at).expire_client(now, client);
    net.settle();
    outcome
}

fn transfer(net: &mut Net, from: usize, to: usize) {
    let now = net.now;
    net.member(from).transfer_primary(now, seat(to)).expect("a voter");
    net.pass(SECOND / 5);
    assert_eq!(net.primary(), Some(to));
}

/// What a session sees at a member.
fn seen(net: &mut Net, at: usize, session: &Session<u64>) -> Result<Lsn, ReadError<u64>> {
    net.member(at).read(Read::Session(session)).map(|(_, lsn)| lsn)
}

// --- Lives

#[test]
fn a_life_is_forgotten_once_it_is_over_and_all_have_what_it_wrote() {
    let config = Config { checkpoint_bytes: 0, ..config(1000) };
    let (mut net, old) = Net::elected(5, &config);
    let [away, new] = [(old + 1) % 5, (old + 2) % 5];
    net.isolate(&[away]);
    net.write(old, op(1)).expect("taken");
    let session = net.member(old).session();
    assert_eq!(session.clock.counter(life(old)), 1);
    transfer(&mut net, old, new);
    net.write(new, op(2)).expect("taken");
    assert_eq!(retire(&mut net, old, life(old)), Err(ChangeError::NotPrimary));
    let refused = Err(ChangeError::NotRetirable);
    let now = net.now;
    net.member(new).remove(now, seat(away)).expect("the others are sound");
    net.pass(SECOND / 5);
    assert_eq!(retire(&mut net, new, life(new)), refused, "its own");
    assert_eq!(retire(&mut net, new, life(old)), refused, "that of a member, and nothing else is against it");
    let now = net.now;
    net.member(new).remove(now, seat(old)).expect("the others are sound");
    net.pass(SECOND / 5);
    assert_eq!(retire(&mut net, new, Actor { node: 9, incarnation: 1 }), refused, "nobody");
    assert_eq!(retire(&mut net, new, seat(old)), refused, "a seat is no life");

    net.isolate(&[new]);
    net.write(new, op(3)).expect("taken");
    assert_eq!(retire(&mut net, new, life(old)), refused, "something is under way");
    net.cut.clear();
    net.isolate(&[old, away]);
    net.pass(SECOND / 5);
    assert!(net.member(new).session().clock.counter(life(old)) > 0);
    retire(&mut net, new, life(old)).expect("it is over");
    assert_eq!(retire(&mut net, new, life(old)), refused, "once");
    net.pass(SECOND / 5);
    assert_eq!(retire(&mut net, new, life(old)), refused, "it is unknown now");

    // All forget it, also over a crash, and whoever has read it before is answered.
    for node in (0..5).filter(|&node| node != old && node != away) {
        assert_eq!(net.member(node).session().clock.counter(life(old)), 0, "{node}");
        assert!(seen(&mut net, node, &session).is_ok(), "{node}");
        net.restart(node, &config);
    }
    net.elect();
    net.pass(SECOND / 5);
    for node in (0..5).filter(|&node| node != old && node != away) {
        assert_eq!(net.member(node).session().clock.counter(life(old)), 0, "{node}");
        assert!(seen(&mut net, node, &session).is_ok(), "{node}");
    }
}

#[test]
fn a_life_is_not_forgotten_before_all_have_what_it_wrote() {
    let (mut net, old) = Net::elected(5, &config(1000));
    let [away, new] = [(old + 1) % 5, (old + 2) % 5];
    net.isolate(&[away]);
    net.write(old, op(1)).expect("taken");
    transfer(&mut net, old, new);
    let now = net.now;
    net.member(new).remove(now, seat(old)).expect("the others are sound");
    net.pass(SECOND / 5);
    assert_eq!(retire(&mut net, new, life(old)), Err(ChangeError::NotRetirable));
    net.cut.clear();
    net.pass(SECOND / 2);
    assert!(retire(&mut net, new, life(old)).is_ok());
}

#[test]
fn the_life_before_a_restart_is_over() {
    let (mut net, old) = Net::elected(3, &config(1000));
    net.write(old, op(1)).expect("taken");
    let new = (old + 1) % 3;
    transfer(&mut net, old, new);
    net.members[old] = None;
    assert_eq!(retire(&mut net, new, life(old)), Err(ChangeError::NotRetirable), "nobody knows that it is over");
    net.restart(old, &config(1000));
    net.pass(SECOND / 2);
    assert!(retire(&mut net, new, life(old)).is_ok());
}

// --- Clients

#[test]
fn a_client_that_is_forgotten_makes_room() {
    let (mut net, primary) = Net::elected(3, &Config { max_clients: 2, ..config(1000) });
    net.write(primary, by(1, 1)).expect("the first client");
    net.write(primary, by(2, 1)).expect("the second client");
    let full = |outcome| matches!(outcome, Err(WriteError::Full { limit: Limit::Clients, .. }));
    assert!(full(net.write(primary, by(3, 1))));
    assert_eq!(expire(&mut net, (primary + 1) % 3, 1), Err(ChangeError::NotPrimary));
    assert_eq!(expire(&mut net, primary, 3), Err(ChangeError::NotMember));
    expire(&mut net, primary, 1).expect("known");
    assert_eq!(expire(&mut net, primary, 1), Err(ChangeError::NotMember), "known no more");
    net.write(primary, by(3, 1)).expect("its place is free");
    let too_old = |outcome| matches!(outcome, Err(WriteError::TooOld { serial: 1, .. }));
    assert!(too_old(net.write(primary, by(1, 1))), "whoever repeats a write of a client that it has let go");
    assert!(full(net.write(primary, by(1, 2))));
    expire(&mut net, primary, 2).expect("known");
    net.write(primary, by(1, 2)).expect("a new client");
    net.pass(SECOND / 5);
    let expected = [by(1, 1), by(2, 1), by(3, 1), by(1, 2)].map(value);
    assert!((0..3).all(|node| net.values(node) == expected));
}

#[test]
fn the_idle_ones_of_the_clients_are_known() {
    let (mut net, primary) = Net::elected(3, &config(1000));
    let places = [by(7, 1), by(3, 5), by(7, 2), by(3, 4)].map(|id| net.write(primary, id).expect("taken"));
    net.pass(SECOND / 5);
    let expected = [(3, places[3]), (7, places[2])];
    assert!((0..3).all(|node| net.member(node).clients().collect::<Vec<_>>() == expected), "at every member");
    expire(&mut net, primary, 7).expect("known");
    assert_eq!(net.member(primary).clients().collect::<Vec<_>>(), expected[..1]);
}

#[test]
fn a_client_is_not_forgotten_while_nothing_is_committed() {
    let (mut net, primary) = Net::elected(3, &Config { max_uncommitted: 1, ..config(1000) });
    net.write(primary, op(1)).expect("taken");
    net.isolate(&[primary]);
    net.write(primary, op(2)).expect("taken");
    assert_eq!(expire(&mut net, primary, 1), Err(ChangeError::Full { limit: Limit::Uncommitted }));
}

/// How another member comes to lead: its index.
type Way = fn(&mut Net, usize, &Config) -> usize;

#[test]
fn what_is_remembered_of_a_client_outlives_who_remembers_it() {
    let small = Config { ring_entries: 8, max_frame: 1024, checkpoint_bytes: 1024, ..config(1000) };
    let ways: [(&str, Way); 3] = [
        ("failover", |net, old, _| {
            net.members[old] = None;
            net.elect()
        }),
        ("snapshot", |net, old, _| {
            let away = (old + 1) % 3;
            net.pass(SECOND);
            assert_eq!(net.member(away).counters().snapshots_installed, 1);
            transfer(net, old, away);
            away
        }),
        ("crash of all", |net, _, config| {
            (0..3).for_each(|node| net.restart(node, config));
            net.elect()
        }),
    ];
    for (name, way) in ways {
        let (mut net, old) = Net::elected(3, &small);
        if name == "snapshot" {
            net.isolate(&[(old + 1) % 3]);
        }
        let places: Vec<Lsn> = (1..=66).map(|serial| net.write(old, op(serial)).expect("taken")).collect();
        net.cut.clear();
        let new = way(&mut net, old, &small);
        net.events.clear();
        assert_eq!(net.write(new, op(3)), Ok(places[2]), "{name}");
        assert_eq!(net.receipts(new, op(3)), [(Stage::Committed, Some(3))], "{name}");
        let refused = net.write(new, op(2));
        assert!(matches!(refused, Err(WriteError::TooOld { serial: 2, .. })), "{name}");
        assert_eq!(net.values(new).len(), 66, "{name}");
    }
}

// --- What was read

#[test]
fn a_session_reads_nothing_older_elsewhere() {
    let (mut net, primary) = Net::elected(3, &config(1000));
    let other = (primary + 1) % 3;
    let before = net.member(primary).session();
    net.write(primary, op(1)).expect("taken");
    let after = net.member(primary).session();
    // It has the write, and does not know yet that it is committed.
    let behind = Err(ReadError::Behind { lsn: before.lsn });
    assert_eq!(seen(&mut net, other, &before), Ok(before.lsn));
    assert_eq!(seen(&mut net, other, &after), behind);
    // Of two tokens of one client, one may know more writes and the other later entries.
    let mixed = Session { clock: after.clock.clone(), lsn: before.lsn };
    assert_eq!(seen(&mut net, other, &mixed), behind);
    net.pass(SECOND / 5);
    for session in [&before, &after, &mixed] {
        assert_eq!(seen(&mut net, other, session), Ok(after.lsn));
    }
    // An entry that is no write: no clock tells of it.
    expire(&mut net, primary, 1).expect("known");
    let later = net.member(primary).session();
    assert_eq!(later.clock, after.clock);
    assert_eq!(seen(&mut net, other, &later), Err(ReadError::Behind { lsn: after.lsn }));
    net.members[primary] = None;
    let new = net.elect();
    assert!(seen(&mut net, new, &after).is_ok_and(|lsn| lsn > after.lsn));
}

/// In `Fast` replicas show what is not committed: entries of equal sequence need not be the same.
#[test]
fn a_session_is_not_answered_from_another_future() {
    let (mut net, old) = Net::elected(5, &Config { mode: Mode::Fast, ..config(1000) });
    net.write(old, op(1)).expect("taken");
    net.pass(SECOND / 5);
    net.isolate(&[old, (old + 1) % 5]);
    let place = expire(&mut net, old, 1).expect("known");
    let session = net.member((old + 1) % 5).session();
    assert_eq!(session.lsn, place);
    net.lose = |frame| frame[3] == APPEND_REPLY;
    let new = net.succeed(old);
    let last = net.member(new).last();
    assert!(last.sequence == place.sequence && last.epoch > place.epoch);
    assert_eq!(seen(&mut net, new, &session), Err(ReadError::Behind { lsn: last }), "it may still come to lead here");
    net.lose = |_| false;
    net.pass(SECOND / 5);
    assert_eq!(seen(&mut net, new, &session), Err(ReadError::SessionBroken { lsn: place }));
}

/// A client repeats all that it has under way, the last one first, while the orphans of the same are under way, too.
#[test]
fn what_is_under_way_twice_counts_once() {
    let (mut net, first) = Net::elected(5, &config(1000));
    net.isolate(&[first]);
    for serial in 1..=40 {
        net.write(first, op(serial)).expect("taken");
    }
    let second = net.succeed_in_vain(first);
    assert_eq!(net.uncommitted(second), 40, "the orphans are in the log, not committed");
    for serial in (1..=40).rev() {
        net.write(second, op(serial)).expect("less than 64 are known");
    }
}

/// As above, but the orphans are committed while what repeats them is still under way.
#[test]
fn what_is_known_and_under_way_counts_once() {
    let (mut net, first) = Net::elected(5, &config(1000));
    net.isolate(&[first]);
    for serial in 2..=41 {
        net.write(first, op(serial)).expect("taken");
    }
    let second = net.succeed_in_vain(first);
    assert_eq!(net.uncommitted(second), 40, "the orphans are in the log, not committed");
    let third = (0..5).find(|&node| node != first && node != second).expect("three more");
    let bears_orphans = |(from, to, frame): &&(usize, usize, Vec<u8>)| {
        (*from, *to, frame[3]) == (second, third, 5) && frame.len() > 2_000
    };
    let late = net.sent.iter().rfind(bears_orphans).expect("they were sent to all").2.clone();
    net.isolate(&[second]);
    for serial in 2..=41 {
        net.write(second, op(serial)).expect("less than 64 are known");
    }
    net.cut.remove(&(third, second));
    let now = net.now;
    net.member(third).handle_message(now, second as u64, &late).expect("an honest frame");
    net.settle();
    assert_eq!(net.uncommitted(second), 40, "the orphans are committed");
    net.write(second, op(1)).expect("40 greater ones are known");
}
