//! Goal: members come and go without a gap in the quorums; a group that lost its quorum goes on by force alone; an idle
//! one is silent. Method: scripted stories on an obedient network.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{
    Actor, ChangeError, Config, Event, MessageError, Mode, NodeClass, PeerState, Role, Stage, WriteError,
};

use crate::net::{Delta, Net, config, life, op, seat, three, value, volatile};

const SECOND: Duration = Duration::from_secs(1);

fn voters(net: &mut Net, node: usize) -> Vec<u64> {
    let configuration = net.member(node).configuration();
    assert!(configuration.outgoing.is_empty(), "a change is under way");
    configuration.voters.iter().map(|seat| seat.node).collect()
}

/// Whether a member has this to say.
fn tells(net: &mut Net, node: usize, event: &Event<u64, u64>) -> bool {
    core::iter::from_fn(|| net.member(node).poll_event()).any(|told| told == *event)
}

/// A group of three, with a fourth node that the primary knows as a learner.
fn with_learner(config: &Config, class: NodeClass) -> (Net, usize) {
    let (mut net, primary) = Net::elected(3, config);
    net.join(life(3), config);
    let now = net.now;
    net.member(primary).add_learner(now, life(3), class).expect("all is calm");
    net.pass(SECOND / 5);
    (net, primary)
}

#[test]
fn a_learner_gets_everything_and_becomes_a_voter_below_target() {
    for config in [config(1000), volatile()] {
        let (mut net, primary) = with_learner(&Config { target: 5, ..config }, NodeClass::Voter);
        net.write(primary, op(1)).expect("taken");
        net.pass(SECOND);
        assert_eq!(voters(&mut net, primary), [0, 1, 2, 3]);
        assert_eq!(net.member(3).role(), Role::Follower);
        assert_eq!(net.values(3), [value(op(1))]);
    }
}

#[test]
fn at_target_a_learner_stays_one() {
    let (mut net, primary) = with_learner(&three(), NodeClass::Voter);
    net.pass(3 * SECOND);
    assert_eq!(voters(&mut net, primary), [0, 1, 2]);
    assert_eq!(net.member(3).role(), Role::Learner);
}

#[test]
fn an_ephemeral_member_never_becomes_a_voter() {
    let (mut net, primary) = with_learner(&Config { target: 5, ..config(1000) }, NodeClass::Ephemeral);
    net.pass(3 * SECOND);
    assert_eq!(voters(&mut net, primary), [0, 1, 2]);
    let now = net.now;
    assert_eq!(net.member(primary).replace(now, seat((primary + 1) % 3), life(3)), Err(ChangeError::NotMember));
}

#[test]
fn a_voter_is_replaced_by_a_learner() {
    let (mut net, primary) = with_learner(&three(), NodeClass::Voter);
    let (old, now) = ((primary + 1) % 3, net.now);
    net.member(primary).replace(now, seat(old), life(3)).expect("caught up");
    assert_eq!(net.member(primary).remove(now, seat(old)), Err(ChangeError::Busy), "one at a time");
    net.pass(SECOND);
    let expected: Vec<u64> = (0..4).filter(|&node| node != old as u64).collect();
    assert_eq!(voters(&mut net, primary), expected);
}

#[test]
fn a_silent_voter_is_replaced_once_it_is_unreachable_and_not_before() {
    let (mut net, primary) = with_learner(&three(), NodeClass::Voter);
    let silent = (primary + 1) % 3;
    net.members[silent] = None;
    net.pass(4 * SECOND);
    assert_eq!(voters(&mut net, primary), [0, 1, 2], "suspected is not replaceable");
    net.pass(3 * SECOND);
    assert!(!voters(&mut net, primary).contains(&(silent as u64)));
    assert!(voters(&mut net, primary).contains(&3));
}

#[test]
fn a_replica_is_asked_for_when_one_is_missing() {
    let (mut net, primary) = Net::elected(3, &three());
    net.members[(primary + 1) % 3] = None;
    net.pass(7 * SECOND);
    let silent = seat((primary + 1) % 3);
    let asks = |(by, event): &(usize, Event<u64, u64>)| {
        *by == primary && *event == Event::NeedReplica { missing: 1, replaceable: vec![silent] }
    };
    assert!(net.events.iter().any(asks));
    assert_eq!(voters(&mut net, primary), [0, 1, 2], "nobody is shown out without a successor");
}

#[test]
fn no_change_leaves_fewer_voters_than_must_write() {
    let (mut net, primary) = Net::elected(3, &Config { mode: Mode::Flex { write: 3 }, ..config(1000) });
    let now = net.now;
    assert_eq!(net.member(primary).remove(now, seat((primary + 1) % 3)), Err(ChangeError::Quorum));
    assert_eq!(net.member(primary).leave(now), Err(ChangeError::Quorum));
}

#[test]
fn a_change_waits_for_the_quorum_of_the_voters_before() {
    let (mut net, primary) = with_learner(&three(), NodeClass::Voter);
    let [old, other] = [(primary + 1) % 3, (primary + 2) % 3];
    let now = net.now;
    // The new voters have a majority, the old ones have none.
    net.isolate(&[old, other]);
    net.member(primary).replace(now, seat(old), life(3)).expect("they were heard a moment ago");
    net.pass(SECOND / 2);
    assert_eq!(net.member(primary).configuration().outgoing.len(), 3);
    net.cut.clear();
    net.pass(SECOND);
    assert!(voters(&mut net, primary).contains(&3));
}

#[test]
fn the_primary_hands_over_without_an_outage() {
    let (mut net, primary) = Net::elected(3, &config(1000));
    let (heir, now) = ((primary + 1) % 3, net.now);
    net.member(primary).transfer_primary(now, seat(heir)).expect("a voter");
    let refused = net.member(primary).write(now, op(1), Delta::small(1));
    assert!(matches!(refused, Err(WriteError::NotPrimary { hint: Some(hint), .. }) if hint == seat(heir)));
    net.settle();
    assert_eq!((net.primary(), net.now), (Some(heir), now), "no time passed");
}

#[test]
fn a_transfer_to_the_dead_ends() {
    let (mut net, primary) = Net::elected(3, &config(1000));
    let (heir, now) = ((primary + 1) % 3, net.now);
    net.members[heir] = None;
    net.member(primary).transfer_primary(now, seat(heir)).expect("a voter");
    net.pass(SECOND * 5 / 4);
    net.write(primary, op(1)).expect("it leads on");
    assert_eq!(net.receipts(primary, op(1)), [(Stage::Committed, Some(1))]);
}

#[test]
fn a_primary_may_leave() {
    let (mut net, primary) = Net::elected(4, &three());
    let now = net.now;
    net.member(primary).leave(now).expect("all is calm");
    net.pass(SECOND);
    let heir = net.primary().expect("one took over");
    assert_ne!(heir, primary);
    assert_eq!(voters(&mut net, heir).len(), 3);
    net.write(heir, op(1)).expect("taken");
    assert_eq!(net.receipts(heir, op(1)), [(Stage::Committed, Some(1))]);
    net.pass(5 * SECOND);
    assert_eq!(net.member(primary).role(), Role::Learner);
    assert_eq!(net.primary(), Some(heir), "who left does not disturb");
}

#[test]
fn who_lost_its_memory_comes_back_as_somebody_else() {
    let (mut net, primary) = Net::elected(3, &three());
    let node = (primary + 1) % 3;
    net.write(primary, op(1)).expect("taken");
    let again = Actor { node: node as u64, incarnation: 2 };
    net.join(again, &three());
    net.pass(SECOND);
    assert!(net.values(node).is_empty(), "nothing is sent to the old seat that the new one would take");
    let now = net.now;
    net.member(primary).add_learner(now, again, NodeClass::Voter).expect("all is calm");
    net.pass(SECOND);
    assert_eq!(net.values(node), [value(op(1))]);
    // It takes the place of its old seat by itself.
    assert!(net.member(primary).configuration().voters.contains(&again));
    assert!(!net.member(primary).configuration().is_voter(seat(node)));
}

#[test]
fn a_straggler_gets_a_snapshot() {
    let small = Config { ring_entries: 8, max_frame: 1024, ..config(1000) };
    let (mut net, primary, away) = Net::behind(&small);
    assert_eq!(net.values(away).len(), 0, "no whole part arrived");
    net.lose = |_| false;
    net.pass(SECOND);
    assert_eq!(net.values(away).len(), 100);
    assert_eq!(net.member(away).counters().snapshots_installed, 1);
    let (hash, theirs) = (net.member(primary).state_hash(), net.member(away).state_hash());
    assert_eq!(hash, theirs);
}

#[test]
fn an_entry_longer_than_a_frame_arrives() {
    let (mut net, primary) = Net::elected(3, &Config { max_frame: 1024, ..config(1000) });
    let now = net.now;
    net.member(primary).write(now, op(1), Delta { value: 1, ballast: 50_000 }).expect("taken");
    net.pass(SECOND);
    assert_eq!(net.receipts(primary, op(1)).last(), Some(&(Stage::Committed, Some(1))));
    assert!((0..3).all(|node| net.values(node) == [1]));
    assert!(net.sent.iter().all(|(_, _, frame)| frame.len() <= 1024));
}

#[test]
fn a_survivor_goes_on_by_force() {
    let (mut net, primary) = Net::elected(3, &config(1000));
    net.write(primary, op(1)).expect("taken");
    net.isolate(&[primary]);
    let now = net.now;
    net.member(primary).force_new_group(now, 77).expect("a voter");
    net.settle();
    assert_eq!(net.member(primary).generation().number, 1);
    net.write(primary, op(2)).expect("taken");
    assert_eq!(net.receipts(primary, op(2)), [(Stage::Committed, Some(2))]);
    assert!(net.events.iter().any(|(by, event)| *by == primary && matches!(event, Event::Loss(_))));
    net.cut.clear();
    net.pass(5 * SECOND);
    for node in (0..3).filter(|&node| node != primary) {
        assert_eq!(net.member(node).role(), Role::Superseded);
        let now = net.now;
        let refused = net.member(node).write(now, op(3), Delta::small(3));
        assert!(matches!(refused, Err(WriteError::NotPrimary { .. })));
        assert_eq!(net.member(node).leave(now), Err(ChangeError::Superseded));
        assert!(net.events.contains(&(node, Event::Superseded { generation: 1 })));
    }
    assert_eq!(net.primary(), Some(primary));
}

#[test]
fn two_generations_of_one_number_stop_each_other() {
    let (mut net, _) = Net::elected(3, &config(1000));
    net.isolate(&[0]);
    net.pass(SECOND);
    let now = net.now;
    net.member(0).force_new_group(now, 77).expect("a voter");
    net.member(1).force_new_group(now, 78).expect("a voter");
    net.cut.clear();
    net.pass(5 * SECOND);
    for node in [0, 1] {
        assert_eq!(net.member(node).role(), Role::Superseded, "{node}");
        assert!(net.events.contains(&(node, Event::GenerationConflict { generation: 1 })), "{node}");
    }
}

#[test]
fn who_has_stopped_stays_stopped() {
    let config = config(1000);
    let (mut net, primary) = Net::elected(3, &config);
    net.isolate(&[primary]);
    net.pass(SECOND);
    let (other, late) = ((primary + 1) % 3, (primary + 2) % 3);
    let now = net.now;
    net.member(primary).force_new_group(now, 77).expect("a voter");
    net.member(other).force_new_group(now, 78).expect("a voter");
    net.isolate(&[late]);
    net.cut.retain(|&(from, to)| from == late || to == late);
    net.pass(3 * SECOND);
    for node in [primary, other] {
        assert_eq!(net.member(node).role(), Role::Superseded);
        net.restart(node, &config);
        assert!(tells(&mut net, node, &Event::GenerationConflict { generation: 1 }), "{node}");
        // Its configuration is that of the forced group: the others are strangers.
        net.member(node).introduce(late as u64);
    }
    // A third generation ends the conflict.
    let now = net.now;
    net.member(late).force_new_group(now, 79).expect("a voter");
    net.member(late).force_new_group(now, 80).expect("a voter");
    net.cut.clear();
    net.pass(3 * SECOND);
    assert_eq!(net.member(late).role(), Role::Primary);
    for node in [primary, other] {
        assert_eq!((net.member(node).role(), net.member(node).generation().number), (Role::Superseded, 2));
        net.restart(node, &config);
        assert!(tells(&mut net, node, &Event::Superseded { generation: 2 }), "{node}");
        assert_eq!(net.member(node).role(), Role::Superseded);
    }
}

#[test]
fn an_idle_group_is_silent_until_something_happens() {
    let (mut net, primary) = Net::elected(3, &config(1000));
    let alive = |net: &mut Net, of: usize, state: PeerState| {
        let now = net.now;
        for node in (0..3).filter(|&node| node != of) {
            net.member(node).peer_state(now, of as u64, state);
        }
    };
    (0..3).for_each(|of| alive(&mut net, of, PeerState::Alive { incarnation: 1 }));
    net.pass(SECOND / 2);
    net.sent.clear();
    assert!((0..3).all(|node| net.member(node).poll_timeout().is_none()));
    net.now += 3600 * SECOND;
    net.settle();
    assert_eq!(net.sent.len(), 0);

    net.write(primary, op(1)).expect("taken");
    assert_eq!(net.receipts(primary, op(1)), [(Stage::Committed, Some(1))]);
    net.pass(SECOND);
    assert!((0..3).all(|node| net.member(node).poll_timeout().is_none()), "silent again");

    net.members[primary] = None;
    let now = net.now;
    for node in (0..3).filter(|&node| node != primary) {
        net.member(node).peer_state(now, primary as u64, PeerState::Suspected);
    }
    assert_ne!(net.elect(), primary);
}

#[test]
fn strangers_are_not_heard_and_introduced_ones_are() {
    let (mut net, primary) = Net::elected(3, &config(1000));
    net.join(life(3), &config(1000));
    let epoch = net.member(primary).epoch();
    let now = net.now;
    let frame = net.sent.last().expect("frames were sent").2.clone();
    let refused = net.member(primary).handle_message(now, 9, &frame);
    assert!(matches!(refused, Err(MessageError::NotMember { .. })));
    net.pass(5 * SECOND);
    assert_eq!((net.primary(), net.member(primary).epoch()), (Some(primary), epoch));
}

#[test]
fn who_leaves_hands_over_to_somebody_alive() {
    let config = Config { target: 5, recruit_below: 0, ..config(1000) };
    let (mut net, primary) = Net::elected(6, &config);
    // The requests to take over are lost while the change is made.
    net.lose = |frame| frame[3] == 12;
    let now = net.now;
    net.member(primary).leave(now).expect("all is calm");
    net.settle();
    let dead = (0..6).find(|&node| node != primary).expect("six");
    net.members[dead] = None;
    net.lose = |_| false;
    // The dead one was heard within the last second, and the one that leaves has not given up yet.
    net.pass(SECOND * 3 / 2);
    let heir = net.primary().expect("somebody");
    assert_ne!(heir, primary, "the one that left still leads, and refuses writes");
    net.write(heir, op(1)).expect("taken");
}

#[test]
fn a_forced_group_grows_again() {
    let config = Config { mode: Mode::Flex { write: 3 }, ..config(1000) };
    let (mut net, primary) = Net::elected(3, &config);
    let rest: Vec<usize> = (0..3).filter(|&node| node != primary).collect();
    rest.iter().for_each(|&node| net.members[node] = None);
    let now = net.now;
    net.member(primary).force_new_group(now, 77).expect("a voter");
    net.settle();
    for node in [3, 4] {
        net.recruit(primary, life(node), &config);
    }
    net.pass(30 * SECOND);
    assert_eq!(net.member(primary).configuration().voters.len(), 3);
}

#[test]
fn a_node_is_never_two_voters() {
    // Below the target a learner would become a further voter at once.
    let config = Config { target: 5, recruit_below: 3, ..config(1000) };
    let (mut net, primary) = Net::elected(3, &config);
    let node = (primary + 1) % 3;
    net.recruit(primary, life(node), &config);
    let configuration = net.member(primary).configuration();
    assert!(configuration.voters.contains(&life(node)) && !configuration.is_voter(seat(node)), "{configuration:?}");
    assert_eq!(configuration.voters.len(), 3);
}

#[test]
fn who_leaves_gives_up_when_nobody_takes_over() {
    let (mut net, primary) = Net::elected(4, &three());
    // No heir is ever told.
    net.lose = |frame| frame[3] == 12;
    let now = net.now;
    net.member(primary).leave(now).expect("all is calm");
    net.pass(5 * SECOND);
    let heir = net.primary().expect("elected");
    assert_ne!(heir, primary);
    net.write(heir, op(1)).expect("taken");
    assert_eq!(net.receipts(heir, op(1)), [(Stage::Committed, Some(1))]);
}

#[test]
fn fewer_founders_than_must_write_write_all() {
    let config = Config { mode: Mode::Flex { write: 3 }, ..config(1000) };
    let (mut net, primary) = Net::elected(2, &config);
    net.write(primary, op(1)).expect("taken");
    assert_eq!(net.receipts(primary, op(1)), [(Stage::Committed, Some(1))]);
    net.members[1 - primary] = None;
    net.write(primary, op(2)).expect("taken");
    net.pass(SECOND / 2);
    assert_eq!(net.receipts(primary, op(2)), [(Stage::LocalOnly, None)], "one of two holds it");
}

#[test]
fn a_dead_learner_is_no_candidate() {
    let (mut net, primary) = Net::elected(3, &three());
    net.recruit(primary, life(3), &three());
    net.members[3] = None;
    net.pass(10 * SECOND);
    net.members[(primary + 1) % 3] = None;
    net.pass(60 * SECOND);
    let asks: Vec<_> = net.events.iter().filter(|(_, event)| matches!(event, Event::NeedReplica { .. })).collect();
    let asked = asks.iter().any(|(_, event)| matches!(event, Event::NeedReplica { missing: 1.., .. }));
    assert!(asked, "two sound voters of three, no living learner, and no replica is missing: {asks:?}");
}

#[test]
fn a_learner_is_a_candidate_until_it_has_been_silent_for_long() {
    let (mut net, primary) = Net::elected(3, &three());
    net.members[(primary + 1) % 3] = None;
    net.pass(4 * SECOND);
    // It was heard of a life ago, and is to start any moment.
    let now = net.now;
    net.member(primary).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.members.push(None);
    net.records.push(Vec::new());
    net.pass(4 * SECOND);
    let missing = |net: &Net| {
        let asks = net.events.iter().filter_map(|(_, event)| match event {
            Event::NeedReplica { missing, .. } => Some(*missing),
            _ => None,
        });
        asks.collect::<Vec<_>>()
    };
    assert_eq!(missing(&net), [0], "one is unreachable, and a learner is there");
    net.pass(4 * SECOND);
    assert_eq!(missing(&net), [0, 1]);
}

#[test]
fn who_is_added_again_has_time_to_be_heard() {
    let (mut net, primary) = with_learner(&three(), NodeClass::Voter);
    let now = net.now;
    net.member(primary).remove(now, life(3)).expect("all is calm");
    net.members[3] = None;
    net.members[(primary + 1) % 3] = None;
    net.pass(10 * SECOND);
    net.events.clear();
    let now = net.now;
    net.member(primary).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.pass(SECOND);
    assert!(net.events.iter().any(|(_, event)| matches!(event, Event::NeedReplica { missing: 0, .. })));
}

/// What it held as a member before says nothing of today.
#[test]
fn who_is_added_again_and_is_dead_becomes_no_voter() {
    let config = Config { target: 4, recruit_below: 3, ..config(1000) };
    let (mut net, primary) = Net::elected(4, &config);
    let gone = (primary + 1) % 4;
    let now = net.now;
    net.member(primary).remove(now, seat(gone)).expect("all is calm");
    net.pass(SECOND / 5);
    net.members[gone] = None;
    let now = net.now;
    net.member(primary).add_learner(now, seat(gone), NodeClass::Voter).expect("all is calm");
    net.pass(10 * SECOND);
    assert!(!net.member(primary).configuration().is_voter(seat(gone)));
}

#[test]
fn seats_that_nobody_has_are_not_added() {
    let (mut net, primary) = Net::elected(3, &three());
    let now = net.now;
    let mut add = |seat| net.member(primary).add_learner(now, seat, NodeClass::Voter).err();
    assert_eq!(add(life(primary)), Some(ChangeError::Seat), "another one of its own node");
    assert_eq!(add(seat(3)), Some(ChangeError::Seat), "no founder");
    assert_eq!(add(seat((primary + 1) % 3)), Some(ChangeError::AlreadyMember));
    // A founder may come back in its seat.
    let gone = seat((primary + 1) % 3);
    net.member(primary).remove(now, gone).expect("all is calm");
    net.pass(SECOND);
    let now = net.now;
    net.member(primary).add_learner(now, gone, NodeClass::Voter).expect("all is calm");
}

#[test]
fn a_primary_knows_how_far_each_member_is() {
    let (mut net, primary) = with_learner(&Config { target: 3, ..three() }, NodeClass::Voter);
    for serial in 1..=100 {
        net.write(primary, op(serial)).expect("taken");
    }
    net.pass(SECOND);
    let last = net.member(primary).last().sequence;
    for node in [seat((primary + 1) % 3), life(3)] {
        let progress = net.member(primary).progress(node).expect("a member");
        assert_eq!((progress.matched, progress.has_caught_up), (last, true));
        assert!(progress.heard_at <= net.now && progress.heard_at + SECOND / 2 > net.now);
    }
    net.members[3] = None;
    for serial in 101..=200 {
        net.write(primary, op(serial)).expect("taken");
    }
    net.pass(2 * SECOND);
    let progress = net.member(primary).progress(life(3)).expect("a member");
    assert_eq!((progress.matched, progress.has_caught_up), (last, false));
    assert_eq!(net.member(primary).progress(life(7)), None);
    assert_eq!(net.member(primary).progress(seat(primary)), None, "of itself `last` tells");
    assert_eq!(net.member((primary + 1) % 3).progress(seat(primary)), None, "no primary");
}

/// It reports now and then whom it hears nothing of, and is heard: that makes it no voter.
#[test]
fn a_learner_that_hears_nothing_does_not_take_a_voters_place() {
    let config = three();
    let (mut net, primary) = Net::elected(3, &config);
    net.recruit(primary, life(3), &config);
    net.cut.extend((0..3).map(|node| (node, 3)));
    net.pass(2 * SECOND);
    net.members[(primary + 1) % 3] = None;
    net.pass(20 * SECOND);
    assert!(!net.member(primary).configuration().is_voter(life(3)), "{:?}", net.member(primary).configuration());
    // It comes to no harm.
    net.cut.clear();
    net.pass(3 * SECOND);
    assert!(net.member(primary).configuration().is_voter(life(3)));
}
