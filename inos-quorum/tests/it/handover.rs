//! Goal: a write that fell out of a log reaches a primary as long as somebody who kept it runs or recovers, however long
//! it is, whoever kept it and whoever leads. Method: scripted stories on an obedient network, with a machine that merges
//! what it is given.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use inos_quorum::{Actor, Config, Event, Mode, NodeClass, OpId, Role, Stage};

use crate::{
    frames::BODY,
    net::{Delta, Network, config, life, one, op, seat, three, value},
};

const SECOND: Duration = Duration::from_secs(1);

/// Kinds of frames.
const APPEND: u8 = 5;
const APPEND_REPLY: u8 = 6;
const PART: u8 = 7;
const ORPHANS: u8 = 9;
/// What a part is part of.
const ORPHAN: u8 = 2;

/// Whether the frame brings orphans. The body begins with their number, or with what it is part of.
fn is_handover(frame: &[u8]) -> bool {
    let body = &frame[BODY..];
    (frame[3] == ORPHANS && body[..4] != [0; 4]) || (frame[3] == PART && body[0] == ORPHAN)
}

/// The old primary follows the new one, and cannot hand over what it kept.
fn with_kept(config: &Config, writes: &[(OpId, Delta)]) -> (Network<true>, usize, usize) {
    let (mut net, old, new) = Network::deposed(3, config, writes);
    net.lose = is_handover;
    net.cut.clear();
    net.pass(SECOND / 2);
    assert_eq!(net.member(old).last(), net.member(new).last(), "it has dropped its own");
    (net, old, new)
}

fn is_merged(net: &mut Network<true>, ids: &[OpId]) -> bool {
    let expected: Vec<u64> = ids.iter().map(|&id| value(id)).collect();
    (0..net.members.len()).all(|node| net.members[node].is_none() || net.values(node) == expected)
}

/// The writes of which a member told that they fell out of the history.
fn orphaned(net: &Network<true>, node: usize) -> Vec<OpId> {
    let told = |(by, event): &(usize, Event<u64, u64>)| match event {
        Event::Orphaned { id, .. } if *by == node => Some(*id),
        _ => None,
    };
    net.events.iter().filter_map(told).collect()
}

#[test]
fn what_was_kept_is_handed_over_until_it_arrives() {
    for ballast in [0, 3000] {
        let config = Config { max_frame: 1024, ..config(1000) };
        let (mut net, old, _) = with_kept(&config, &[(op(1), Delta { value: value(op(1)), ballast })]);
        assert!(is_merged(&mut net, &[]));
        net.lose = |_| false;
        net.pass(SECOND / 5);
        assert!(is_merged(&mut net, &[op(1)]), "{ballast}");
        assert_eq!(orphaned(&net, old), [op(1)]);
        // And not once more.
        net.sent.clear();
        net.pass(SECOND);
        assert!(net.sent.iter().all(|(_, _, frame)| !is_handover(frame)));
    }
}

#[test]
fn what_no_frame_holds_goes_in_parts() {
    let config = Config { max_frame: 1024, ..config(1000) };
    let writes = [1, 2, 3].map(|serial| (op(serial), Delta { value: value(op(serial)), ballast: 5000 }));
    let (mut net, old, _) = Network::deposed(3, &config, &writes);
    net.cut.clear();
    net.sent.clear();
    net.pass(SECOND / 2);
    assert!(is_merged(&mut net, &writes.map(|(id, _)| id)));
    let parts = net.sent.iter().filter(|(from, _, frame)| *from == old && frame[3] == PART && is_handover(frame));
    assert!(parts.count() >= 15);
    assert!(net.sent.iter().all(|(_, _, frame)| frame.len() <= 1024));
}

#[test]
fn a_crash_of_who_kept_it_loses_nothing() {
    let config = config(1000);
    let (mut net, old, _) = with_kept(&config, &one());
    net.restart(old, &config);
    net.pass(SECOND);
    assert!(is_merged(&mut net, &[]), "it is still kept from arriving");
    net.lose = |_| false;
    net.pass(SECOND / 5);
    assert!(is_merged(&mut net, &[op(1)]));
    // What has been dealt with is dealt with after a crash, too: the records still have it.
    net.restart(old, &config);
    net.pass(SECOND);
    assert!(is_merged(&mut net, &[op(1)]));
}

#[test]
fn who_kept_it_may_come_to_lead() {
    let (mut net, old, new) = with_kept(&config(1000), &one());
    let now = net.now;
    net.member(new).transfer_primary(now, seat(old)).expect("a voter");
    net.pass(SECOND / 5);
    assert_eq!(net.primary(), Some(old));
    assert!(is_merged(&mut net, &[op(1)]));
    assert_eq!(orphaned(&net, old), [op(1)], "it waits for its write still");
}

#[test]
fn the_oldest_give_way_and_that_is_told() {
    let config = Config { max_orphans: 2, ..config(1000) };
    let writes = [1, 2, 3, 4, 5].map(|serial| (op(serial), Delta::small(value(op(serial)))));
    let (mut net, old, _) = Network::deposed(3, &config, &writes);
    net.cut.clear();
    net.pass(SECOND / 2);
    assert!(is_merged(&mut net, &[op(4), op(5)]));
    assert!(net.events.contains(&(old, Event::OrphansDropped { count: 3 })));
    net.pass(6 * SECOND);
    for serial in 1..=3 {
        assert_eq!(net.receipts(old, op(serial)).last(), Some(&(Stage::Unknown, None)), "each write ends");
    }
    assert_eq!(orphaned(&net, old), [op(4), op(5)]);
}

#[test]
fn one_that_finds_no_room_does_not_hold_up_another() {
    for ballasts in [[0, 0], [3000, 3000], [3000, 0], [0, 3000]] {
        let config = Config { max_frame: 1024, max_uncommitted: 2, ..config(1000) };
        let writes = [(1, ballasts[0]), (2, ballasts[1])];
        let writes = writes.map(|(serial, ballast)| (op(serial), Delta { value: value(op(serial)), ballast }));
        let (mut net, old, new) = Network::<true>::deposed(3, &config, &writes);
        // Nothing is committed for a while: with this there is room for one.
        net.lose = |frame| frame[3] == APPEND_REPLY;
        let before = net.member(new).last().sequence;
        net.write(new, op(3)).expect("taken");
        net.cut.clear();
        net.pass(SECOND / 5);
        assert_eq!(net.member(new).last().sequence, before + 2, "{ballasts:?}");
        net.lose = |_| false;
        net.pass(SECOND);
        let mut merged = net.values(new);
        merged.sort_unstable();
        assert_eq!(merged, [1, 2, 3].map(|serial| value(op(serial))), "{ballasts:?}");
        assert_eq!(orphaned(&net, old).len(), 2);
    }
}

/// Two have it, one of them brings it, and the other learns so from a snapshot, after it has dropped it or with that.
#[test]
fn what_another_has_brought_is_not_handed_over() {
    for drops_before in [false, true] {
        let config = Config { ring_entries: 8, ..config(1000) };
        let (mut net, old) = Network::<true>::elected(5, &config);
        let other = (old + 1) % 5;
        net.isolate(&[old, other]);
        net.write(old, op(1)).expect("it cannot know yet");
        let new = net.succeed(old);
        if drops_before {
            net.lose = is_handover;
            net.cut.clear();
            net.pass(SECOND / 5);
            net.lose = |_| false;
        }
        net.cut.clear();
        net.isolate(&[other]);
        net.pass(SECOND / 5);
        for serial in 2..=40 {
            net.write(new, op(serial)).expect("taken");
        }
        net.cut.clear();
        net.pass(SECOND);
        let counters = net.member(other).counters();
        assert_eq!((counters.snapshots_installed, counters.orphans_kept), (1, u64::from(drops_before)));
        assert!(net.values(other).contains(&value(op(1))));
        assert_eq!(net.member(other).orphans(), 0);
        net.sent.clear();
        net.pass(SECOND);
        assert!(net.sent.iter().all(|(_, _, frame)| !is_handover(frame)), "{drops_before}");
    }
}

/// The orphan is an entry of a primary that is deposed in its turn, and whoever brought it is gone.
#[test]
fn what_was_taken_in_and_dropped_again_is_handed_over_again() {
    let (mut net, old, new) = Network::deposed(5, &config(1000), &one());
    net.cut.clear();
    net.isolate(&[old, new]);
    net.pass(SECOND / 5);
    assert!(net.member(new).last().sequence > net.member(new).committed().sequence, "taken in, not committed");
    net.members[old] = None;
    let third = net.succeed(new);
    assert!(is_merged(&mut net, &[]));
    net.cut.clear();
    net.pass(SECOND / 2);
    assert_eq!(net.primary(), Some(third));
    assert!(is_merged(&mut net, &[op(1)]));
}

#[test]
fn who_was_taken_out_of_the_group_hands_over() {
    for ballast in [0, 3000] {
        let config = Config { max_frame: 1024, ..config(1000) };
        let (mut net, old, new) = Network::deposed(5, &config, &[(op(1), Delta { value: value(op(1)), ballast })]);
        let now = net.now;
        net.pass(SECOND / 5);
        net.member(new).remove(now, seat(old)).expect("the others are sound");
        net.pass(SECOND / 5);
        net.cut.clear();
        // It stands, and learns why nobody votes for it.
        net.pass(3 * SECOND);
        for node in (0..5).filter(|&node| node != old) {
            assert_eq!(net.values(node), [value(op(1))], "{ballast}: {node}");
        }
        // It is told that they arrived, and nothing of what became of them.
        net.sent.clear();
        net.pass(5 * SECOND);
        assert!(net.sent.iter().all(|(from, _, frame)| *from != old || !is_handover(frame)), "{ballast}");
        assert_eq!(net.receipts(old, op(1)).last(), Some(&(Stage::Unknown, None)));
        assert_eq!(orphaned(&net, old), []);
    }
}

/// Whoever goes on by force gets from the others what it lacks, committed or not.
#[test]
fn a_superseded_generation_hands_over() {
    for ballast in [0, 3000] {
        let config = Config { max_frame: 1024, ..config(1000) };
        let write = |net: &mut Network<true>, node, serial| {
            let delta = Delta { value: value(op(serial)), ballast };
            net.write_delta(node, op(serial), delta).expect("taken");
        };
        let (mut net, primary) = Network::<true>::elected(3, &config);
        let [forced, other] = [(primary + 1) % 3, (primary + 2) % 3];
        write(&mut net, primary, 1);
        net.pass(SECOND / 5);
        net.isolate(&[forced]);
        write(&mut net, primary, 2);
        assert_eq!(net.receipts(primary, op(2)), [(Stage::Committed, Some(2))]);
        net.isolate(&[other]);
        write(&mut net, primary, 3);
        let now = net.now;
        net.member(forced).force_new_group(now, 77).expect("a voter");
        write(&mut net, forced, 4);
        net.cut.clear();
        net.pass(3 * SECOND);
        assert_eq!(net.values(forced), [1, 4, 2, 3].map(|serial| value(op(serial))), "{ballast}");
        // They are told that it arrived, and have nothing to do any more.
        net.pass(6 * SECOND);
        for node in [primary, other] {
            let member = net.member(node);
            assert_eq!((member.role(), member.poll_timeout()), (Role::Superseded, None), "{ballast}");
        }
        assert_eq!(orphaned(&net, primary), []);
        assert_eq!(net.receipts(primary, op(3)).last(), Some(&(Stage::Unknown, None)));
    }
}

/// Storage still has those that were dealt with since the last snapshot record.
#[test]
fn a_recovery_gives_up_nothing_for_what_has_been_dealt_with() {
    let config = Config { max_orphans: 2, max_frame: 1024, ..config(1000) };
    let writes = [(1, 3000), (2, 0)].map(|(serial, ballast)| (op(serial), Delta { value: value(op(serial)), ballast }));
    let (mut net, first, second) = Network::<true>::deposed(5, &config, &writes);
    // The long one does not arrive.
    net.lose = |frame| frame[3] == PART;
    net.cut.clear();
    net.pass(SECOND);
    assert_eq!(net.member(first).orphans(), 1);
    net.isolate(&[first, second]);
    net.write(second, op(3)).expect("it cannot know yet");
    net.succeed(second);
    net.lose = |frame| frame[3] == PART || frame[3] == ORPHANS;
    net.cut.clear();
    net.pass(SECOND);
    assert_eq!(net.member(first).orphans(), 2, "there is room for both");
    net.restart(first, &config);
    net.settle();
    assert_eq!(net.member(first).orphans(), 2);
    net.lose = |_| false;
    net.pass(SECOND);
    for node in 0..5 {
        let mut values = net.values(node);
        values.sort_unstable();
        assert_eq!(values, [1, 2, 3].map(|serial| value(op(serial))), "{node}");
    }
    assert!(!net.events.iter().any(|(_, event)| matches!(event, Event::OrphansDropped { .. })));
}

/// It asks for no votes, so it has to find out otherwise.
#[test]
fn a_learner_that_was_taken_out_while_away_is_told_and_hands_over() {
    for restarts in [false, true] {
        let config = Config { mode: Mode::Fast, ..config(1000) };
        let (mut net, primary) = Network::<true>::elected(5, &config);
        net.join(life(5), &config);
        let now = net.now;
        net.member(primary).add_learner(now, life(5), NodeClass::Ephemeral).expect("all is calm");
        net.pass(SECOND);
        net.isolate(&[primary, 5]);
        net.write(primary, op(1)).expect("taken");
        assert!(matches!(net.receipts(primary, op(1))[..], [(Stage::Fast { .. }, _)]));
        net.members[primary] = None;
        net.isolate(&[5]);
        let heir = net.succeed(primary);
        net.pass(SECOND);
        let now = net.now;
        net.member(heir).remove(now, life(5)).expect("all is calm");
        net.pass(SECOND);
        if restarts {
            net.restart(5, &config);
        }
        net.cut.clear();
        net.pass(3 * SECOND);
        assert!(net.events.iter().any(|(by, event)| *by == 5 && matches!(event, Event::Removed { .. })), "{restarts}");
        assert_eq!(net.values(heir), [value(op(1))], "{restarts}");
        assert_eq!(net.member(5).orphans(), 0);
        // And then it is at peace.
        net.pass(SECOND);
        assert_eq!(net.member(5).poll_timeout(), None);
    }
}

/// A member of four keeps a write and is taken out of the group while away: it has learned so, and cannot hand over. The
/// network, that one, and the primary, to which it would.
fn taken_out(config: &Config) -> (Network<true>, usize, usize) {
    let (mut net, out, heir) = Network::<true>::deposed(4, config, &one());
    net.pass(SECOND);
    let now = net.now;
    net.member(heir).remove(now, seat(out)).expect("all is calm");
    net.pass(SECOND);
    net.lose = is_handover;
    net.cut.clear();
    net.pass(5 * SECOND);
    assert!(net.events.iter().any(|(by, event)| *by == out && matches!(event, Event::Removed { .. })));
    assert_eq!(net.member(out).orphans(), 1);
    (net, out, heir)
}

#[test]
fn who_was_taken_out_finds_another_heir() {
    let (mut net, out, heir) = taken_out(&three());
    net.members[heir] = None;
    net.pass(5 * SECOND);
    net.lose = |_| false;
    net.pass(SECOND);
    assert_eq!(net.member(out).orphans(), 0);
    assert!((0..4).all(|node| [out, heir].contains(&node) || net.values(node) == [value(op(1))]));
    net.sent.clear();
    net.pass(5 * SECOND);
    assert!(net.sent.iter().all(|&(from, ..)| from != out), "it has nothing to say any more");
}

/// The heir comes back without its memory, and leads again, in a seat that the former member has never heard of.
#[test]
fn who_was_taken_out_finds_its_heir_in_another_seat() {
    let config = three();
    let (mut net, out, heir) = taken_out(&config);
    net.members[heir] = None;
    net.pass(5 * SECOND);
    let primary = net.primary().expect("elected");
    let again = Actor { node: heir as u64, incarnation: 50 };
    net.recruit(primary, again, &config);
    net.pass(2 * SECOND);
    let now = net.now;
    net.member(primary).transfer_primary(now, again).expect("a voter");
    net.pass(SECOND);
    assert_eq!((net.primary(), net.member(heir).seat()), (Some(heir), again));
    // Nobody else can tell it.
    net.isolate(&[out]);
    net.cut.retain(|&cut| cut != (out, heir) && cut != (heir, out));
    net.member(out).introduce(heir as u64);
    net.lose = |_| false;
    net.pass(2 * SECOND);
    assert_eq!((net.member(out).orphans(), net.values(heir)), (0, vec![value(op(1))]));
}

/// After a restart nobody knows how much of the log is committed, so copies of all of it are handed over.
#[test]
fn copies_drive_out_no_orphans() {
    let config = Config { max_orphans: 8, ..three() };
    let (mut net, first, second) = Network::<true>::deposed(4, &config, &one());
    net.lose = is_handover;
    net.cut.clear();
    net.pass(SECOND);
    for serial in 2..=41 {
        net.write(second, op(serial)).expect("taken");
    }
    net.pass(SECOND);
    assert_eq!(net.member(first).orphans(), 1);
    net.isolate(&[first]);
    let now = net.now;
    net.member(second).remove(now, seat(first)).expect("all is calm");
    net.pass(SECOND);
    net.restart(first, &config);
    net.lose = |_| false;
    net.cut.clear();
    net.events.clear();
    net.sent.clear();
    net.pass(20 * SECOND);
    assert!(net.values(second).contains(&value(op(1))));
    let told: Vec<_> = net.events.iter().filter(|(_, event)| matches!(event, Event::OrphansDropped { .. })).collect();
    assert!(told.is_empty(), "nothing was lost: {told:?}");
    let handed: usize = net.sent.iter().filter(|(_, _, frame)| is_handover(frame)).count();
    assert!(handed >= 6, "41 in sixes and sevens: {handed}");
    assert_eq!((net.member(first).orphans(), net.member(first).poll_timeout()), (0, None));
}

/// The only member to which no entries come.
static HIDDEN_FROM: AtomicU64 = AtomicU64::new(u64::MAX);

/// The history has dealt with it; the part that says so is not at the one that kept it, which is all that is left.
#[test]
fn what_a_member_is_told_does_not_make_it_forget() {
    let (mut net, old, new) = with_kept(&config(1000), &one());
    HIDDEN_FROM.store(old as u64, Ordering::Relaxed);
    net.lose = |frame| {
        // The receiver's node, its incarnation and the epoch come before the body.
        let to = u64::from_le_bytes(frame[BODY - 24..BODY - 16].try_into().expect("eight"));
        to == HIDDEN_FROM.load(Ordering::Relaxed) && frame[3] == APPEND && frame.len() > BODY + 53
    };
    net.pass(SECOND);
    assert_eq!((net.values(new), net.values(old)), (vec![value(op(1))], vec![]));
    assert_eq!(net.member(old).orphans(), 1);
    (0..3).filter(|&node| node != old).for_each(|node| net.members[node] = None);
    let now = net.now;
    net.member(old).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.pass(SECOND);
    assert_eq!(net.values(old), [value(op(1))]);
}
