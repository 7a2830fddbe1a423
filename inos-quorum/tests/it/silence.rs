//! Goal: an idle group falls silent, leaves nothing undone, and is not deceived about who is alive. Method: scripted stories
//! on an obedient network; the simulator adds disorder.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{Actor, NodeClass, PeerState, Role};

use crate::net::{Net, config, life, op, seat, three};

const SECOND: Duration = Duration::from_secs(1);

/// The frames with the orphans are lost as the group falls silent.
#[test]
fn a_silent_group_has_no_orphans_left() {
    let (mut net, first) = Net::elected(3, &config(1000));
    net.isolate(&[first]);
    net.write(first, op(1)).expect("taken");
    net.pass(3 * SECOND);
    net.all_are_alive();
    net.cut.clear();
    net.lose = |frame| frame[3] == 9;
    net.pass(SECOND);
    net.lose = |_| false;
    net.pass(3600 * SECOND);
    assert_eq!(net.member(first).orphans(), 0, "an hour later nothing waits");
    assert!((0..3).all(|node| net.member(node).poll_timeout().is_none()), "and the group is silent");
}

/// A detector tells of changes only.
#[test]
fn a_group_with_a_member_that_was_alive_before_falls_silent() {
    let config = three();
    let (mut net, primary) = Net::elected(3, &config);
    net.join(life(3), &config);
    net.all_are_alive();
    net.pass(SECOND);
    let now = net.now;
    net.member(primary).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.pass(10 * SECOND);
    net.sent.clear();
    net.pass(60 * SECOND);
    assert!(net.sent.is_empty(), "{} frames in an idle minute", net.sent.len());
}

#[test]
fn who_answers_is_not_shown_out() {
    let (mut net, primary) = Net::elected(3, &three());
    net.join(life(3), &three());
    let now = net.now;
    net.member(primary).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.pass(SECOND / 5);
    let now = net.now;
    let healthy = (primary + 1) % 3;
    net.member(primary).peer_state(now, healthy as u64, PeerState::Unreachable);
    net.pass(SECOND / 2);
    assert!(net.member(primary).configuration().voters.contains(&seat(healthy)), "it answers each heartbeat");
}

/// A frame of the life before is late: it says that its primary will be silent, and that one leads nobody any more.
#[test]
fn a_late_frame_of_a_former_life_is_not_trusted() {
    let config = config(1000);
    let (mut net, primary) = Net::elected(3, &config);
    net.all_are_alive();
    net.pass(SECOND);
    assert!((0..3).all(|node| net.member(node).poll_timeout().is_none()), "silent");
    let follower = (primary + 1) % 3;
    let says_quiet = |(from, to, frame): &&(usize, usize, Vec<u8>)| (*from, *to, frame[3]) == (primary, follower, 5);
    let late = net.sent.iter().rfind(says_quiet).expect("the last frame to it").2.clone();
    net.members[primary] = None;
    let now = net.now;
    let incarnation = 2;
    net.member(follower).peer_state(now, primary as u64, PeerState::Alive { incarnation });
    net.member(follower).handle_message(now, primary as u64, &late).expect("an honest frame");
    assert!(net.member(follower).poll_timeout().is_some(), "waits for a sign of that primary");
    net.member((primary + 2) % 3).peer_state(now, primary as u64, PeerState::Alive { incarnation });
    net.pass(5 * SECOND);
    assert!((0..3).any(|node| node != primary && net.member(node).role() == Role::Primary));
}

/// A silent group has no voter to replace by itself, but may be told to.
#[test]
fn a_silent_group_replaces_when_it_is_told_to() {
    let config = three();
    let (mut net, primary) = Net::elected(3, &config);
    net.join(life(3), &config);
    let now = net.now;
    net.member(primary).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.settle();
    net.all_are_alive();
    net.pass(30 * SECOND);
    assert_eq!(net.member(primary).poll_timeout(), None, "silent");
    assert_eq!(net.member(primary).progress(life(3)).map(|progress| progress.has_caught_up), Some(true));
    let now = net.now;
    let gone = (primary + 1) % 3;
    net.member(primary).replace(now, seat(gone), life(3)).expect("caught up");
    net.pass(SECOND);
    assert!(net.member(primary).configuration().voters.contains(&life(3)));
}

/// Taken in by the older generation, it had nothing yet, and goes over to the later one as if it had always been of it.
#[test]
fn a_group_made_by_force_rests_when_nobody_is_left_of_the_one_before() {
    let config = three();
    let (mut net, primary) = Net::elected(3, &config);
    net.join(life(3), &config);
    // Kind 7 is a part: no snapshot arrives.
    net.lose = |frame| frame[3] == 7;
    let now = net.now;
    net.member(primary).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.pass(SECOND);
    let now = net.now;
    net.isolate(&[primary, 3]);
    net.member(primary).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.member(primary).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.lose = |_| false;
    net.pass(5 * SECOND);
    net.cut.clear();
    net.pass(5 * SECOND);
    assert_eq!(net.member(3).last(), net.member(primary).last());
    assert!((0..3).all(|node| node == primary || net.member(node).role() == Role::Superseded));
    net.all_are_alive();
    net.pass(30 * SECOND);
    net.sent.clear();
    net.pass(60 * SECOND);
    assert!(net.sent.is_empty(), "{} frames in an idle minute", net.sent.len());
}

/// The voters that were lost are forgotten once their nodes have come back as somebody else.
#[test]
fn a_group_made_by_force_rests_when_all_nodes_are_back() {
    let config = three();
    let (mut net, primary) = Net::elected(3, &config);
    let lost: Vec<usize> = (0..3).filter(|&node| node != primary).collect();
    lost.iter().for_each(|&node| net.members[node] = None);
    let now = net.now;
    net.member(primary).force_new_group(now, 77).expect("a voter");
    net.settle();
    for &node in &lost {
        let again = Actor { node: node as u64, incarnation: 1_000 };
        net.join(again, &config);
        let now = net.now;
        net.member(primary).add_learner(now, again, NodeClass::Voter).expect("all is calm");
        net.pass(2 * SECOND);
        assert!(net.member(primary).configuration().is_voter(again));
    }
    let now = net.now;
    for node in 0..3 {
        for other in (0..3).filter(|&other| other != node) {
            let incarnation = if other == primary { 1 } else { 1_000 };
            net.member(node).peer_state(now, other as u64, PeerState::Alive { incarnation });
        }
    }
    net.pass(30 * SECOND);
    net.sent.clear();
    net.pass(60 * SECOND);
    assert!(net.sent.is_empty(), "{} frames in an idle minute", net.sent.len());
}

/// Its detector was wrong for a moment; those of the others were not.
#[test]
fn a_learner_that_has_lost_its_trust_regains_it() {
    let config = three();
    let (mut net, primary) = Net::elected(3, &config);
    net.join(life(3), &config);
    let now = net.now;
    net.member(primary).add_learner(now, life(3), NodeClass::Ephemeral).expect("all is calm");
    net.settle();
    net.all_are_alive();
    net.pass(30 * SECOND);
    assert_eq!(net.member(primary).poll_timeout(), None, "silent");
    let now = net.now;
    net.member(3).peer_state(now, primary as u64, PeerState::Suspected);
    net.member(3).peer_state(now, primary as u64, PeerState::Alive { incarnation: 1 });
    net.pass(30 * SECOND);
    net.sent.clear();
    net.pass(60 * SECOND);
    assert!(net.sent.is_empty(), "{} frames in an idle minute", net.sent.len());
}
