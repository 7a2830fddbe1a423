//! Goal: a later generation rules alone, whoever of it is met, and who left a group learns it and hands over. Method:
//! scripted stories on an obedient network.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use alloc::collections::BTreeSet;
use core::time::Duration;

use inos_quorum::{Actor, Config, Event, Mode, NodeClass, OpId, ReceiptState, Role, Stage};

use crate::{
    frames::BODY,
    net::{Delta, Net, Network, config, life, op, seat, three, value, volatile},
};

const SECOND: Duration = Duration::from_secs(1);

/// A follower of `first` goes on by force, out of touch with the others, and is restarted.
fn part(net: &mut Net, first: usize, config: &Config) {
    let forced = (first + 1) % 3;
    net.isolate(&[forced]);
    let now = net.now;
    net.member(forced).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.restart(forced, config);
    net.pass(5 * SECOND);
    assert_eq!(net.member(forced).role(), Role::Primary);
}

/// The heir has handed over its office; members of the older generation talk to it all the time.
#[test]
fn an_older_generation_stops_on_sight_of_any_member() {
    let config = Config { target: 3, recruit_below: 3, ..config(1000) };
    let (mut net, first) = Net::elected(3, &config);
    let others: Vec<usize> = (0..3).filter(|&node| node != first).collect();
    let forced = others[0];
    net.isolate(&[forced]);
    let now = net.now;
    net.member(forced).force_new_group(now, 77).expect("a voter");
    net.settle();
    for node in [3, 4] {
        net.join(life(node), &config);
        net.cut.retain(|&(a, b)| a < 3 && b < 3);
        for old in [first, others[1]] {
            net.cut.extend([(node, old), (old, node)]);
        }
        let now = net.now;
        net.member(forced).add_learner(now, life(node), NodeClass::Voter).expect("all is calm");
        net.pass(SECOND);
    }
    net.pass(SECOND);
    assert_eq!(net.member(forced).configuration().voters.len(), 3);
    let now = net.now;
    net.member(forced).transfer_primary(now, life(3)).expect("a voter");
    net.settle();
    assert_eq!(net.member(3).role(), Role::Primary);
    net.cut.clear();
    net.pass(30 * SECOND);
    let id = op(1);
    let taken = net.write(first, id);
    assert_eq!(net.member(first).role(), Role::Superseded, "took {taken:?}, {:?}", net.receipts(first, id));
}

#[test]
fn an_older_generation_stops_on_sight_of_an_heir_that_was_restarted() {
    let config = three();
    let (mut net, first) = Net::elected(3, &config);
    part(&mut net, first, &config);
    net.cut.clear();
    net.pass(30 * SECOND);
    let id = op(1);
    let taken = net.write(first, id);
    assert_eq!(net.member(first).role(), Role::Superseded, "took {taken:?}, {:?}", net.receipts(first, id));
}

#[test]
fn a_restarted_heir_knows_where_the_histories_part() {
    let config = Config { ring_entries: 8, ..three() };
    let (mut net, first) = Net::elected(3, &config);
    for serial in 1..=40 {
        net.write(first, op(serial)).expect("taken");
    }
    net.pass(SECOND / 2);
    part(&mut net, first, &config);
    net.cut.clear();
    net.events.clear();
    net.pass(10 * SECOND);
    assert_eq!(net.member(first).role(), Role::Superseded);
    let told: Vec<_> = net.events.iter().filter(|(_, event)| matches!(event, Event::OrphansDropped { .. })).collect();
    assert!(told.is_empty(), "nothing was dropped: {told:?}");
}

#[test]
fn a_prefix_of_the_heirs_history_holds_no_orphans() {
    let (mut net, primary) = Net::elected(3, &three());
    for serial in 1..=1500 {
        net.write(primary, op(serial)).expect("taken");
    }
    net.pass(SECOND / 2);
    let away = (primary + 1) % 3;
    net.isolate(&[away]);
    net.write(primary, op(1501)).expect("taken");
    let now = net.now;
    net.isolate(&[primary]);
    net.member(primary).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.cut.clear();
    net.events.clear();
    net.pass(5 * SECOND);
    let told: Vec<_> =
        net.events.iter().filter(|(by, event)| *by == away && matches!(event, Event::OrphansDropped { .. })).collect();
    assert!(told.is_empty(), "its whole log is in the history of the heir: {told:?}");
}

/// `lagging` lacks the writes 1 to 5, which are committed by the two others. `first` goes on by force, tells `old`, which has
/// nothing to hand over, and dies.
fn stopped_by_one_that_dies(config: &Config) -> (Net, [usize; 2]) {
    let (mut net, first) = Net::elected(3, config);
    let [lagging, old] = [(first + 1) % 3, (first + 2) % 3];
    net.isolate(&[lagging]);
    for serial in 1..=5 {
        net.write(first, op(serial)).expect("taken");
    }
    net.isolate(&[first]);
    net.cut.remove(&(first, old));
    let now = net.now;
    net.member(first).force_new_group(now, 77).expect("a voter");
    net.pass(SECOND);
    assert_eq!((net.member(old).role(), net.member(old).generation().nonce), (Role::Superseded, 77));
    net.members[first] = None;
    (net, [lagging, old])
}

#[test]
fn a_second_generation_gets_its_orphans_too() {
    let (mut net, [lagging, _]) = stopped_by_one_that_dies(&three());
    net.cut.clear();
    net.isolate(&[lagging]);
    net.pass(SECOND);
    // `lagging`, which has heard of nothing, goes on by force twice: the first time was for nothing.
    for nonce in [1, 2] {
        let now = net.now;
        net.member(lagging).force_new_group(now, nonce).expect("a voter");
        net.settle();
    }
    net.events.clear();
    net.cut.clear();
    net.pass(30 * SECOND);
    let discarded = net.events.iter().filter(|(by, event)| *by == lagging && matches!(event, Event::Discarded { .. }));
    let told = net.events.iter().filter(|(_, event)| matches!(event, Event::OrphansDropped { .. })).count();
    assert_eq!(discarded.count(), 5, "of five that only the older generation has; told as dropped: {told} times");
}

#[test]
fn who_was_taken_out_learns_it_and_lets_the_group_rest() {
    let (mut net, primary) = Net::elected(4, &three());
    let out = (primary + 1) % 4;
    let now = net.now;
    net.member(primary).remove(now, seat(out)).expect("all is calm");
    net.pass(SECOND);
    net.all_are_alive();
    net.pass(30 * SECOND);
    net.sent.clear();
    net.pass(60 * SECOND);
    assert_eq!(net.sent.len(), 0, "frames in an idle minute");
    assert_eq!(net.member(out).role(), Role::Learner);
    let removed = |event: &&(usize, Event<u64, u64>)| matches!(event, (by, Event::Removed { .. }) if *by == out);
    assert_eq!(net.events.iter().filter(removed).count(), 1);
    // A member again, it is one like any other.
    let now = net.now;
    net.member(primary).add_learner(now, seat(out), NodeClass::Voter).expect("all is calm");
    net.pass(SECOND);
    assert_eq!((net.member(out).role(), net.member(out).last()), (Role::Learner, net.member(primary).last()));
}

#[test]
fn who_was_taken_out_while_away_is_told_and_hands_over() {
    let config = Config { target: 3, recruit_below: 3, checkpoint_bytes: 1, ..config(1000) };
    let (mut net, first) = Net::elected(4, &config);
    net.isolate(&[first]);
    net.write(first, OpId { client: 2, serial: 1 }).expect("taken");
    net.pass(3 * SECOND);
    let second = net.primary().expect("elected");
    assert_ne!(first, second);
    let now = net.now;
    net.member(second).remove(now, seat(first)).expect("all is calm");
    net.pass(SECOND);
    // Enough for a checkpoint at each.
    for serial in 1..=40 {
        net.write(second, op(serial)).expect("taken");
    }
    net.pass(SECOND);
    // An upgrade.
    for node in (0..4).filter(|&node| node != first) {
        let from = net.records[node].iter().rposition(|record| record[3] == 0).expect("a checkpoint");
        net.records[node].drain(..from);
        net.restart(node, &config);
    }
    net.pass(5 * SECOND);
    net.cut.clear();
    net.events.clear();
    net.pass(30 * SECOND);
    let discarded = net.events.iter().any(|(_, event)| matches!(event, Event::Discarded { id, .. } if id.client == 2));
    assert!(discarded, "its orphan was handed over");
    assert_eq!(net.member(first).orphans(), 0, "and it knows");
}

#[test]
fn former_members_are_forgotten() {
    let config = Config { target: 3, recruit_below: 3, ..volatile() };
    let (mut net, primary) = Net::elected(3, &config);
    for visitor in 0..500 {
        let now = net.now;
        let guest = Actor { node: 1000 + visitor, incarnation: 1 };
        net.member(primary).add_learner(now, guest, NodeClass::Ephemeral).expect("all is calm");
        let (mut frame, mut sink) = (Vec::new(), Vec::new());
        // No such node runs: only the frames between the three are delivered.
        for remove in [false, true] {
            if remove {
                let now = net.now;
                net.member(primary).remove(now, guest).expect("all is calm");
            }
            for _ in 0..4 {
                for node in 0..3 {
                    while let Some(to) = net.member(node).poll_transmit(&mut frame) {
                        if to < 3 {
                            let now = net.now;
                            net.member(usize::try_from(to).expect("small"))
                                .handle_message(now, node as u64, &frame)
                                .expect("honest");
                        }
                    }
                    while let Some(event) = net.member(node).poll_event() {
                        sink.push(event);
                    }
                }
            }
        }
    }
    let kept = format!("{:?}", net.member(primary)).matches("Peer {").count();
    assert!(kept <= 2 + 64 + 64 + 1, "{kept} peers are kept");
}

/// A notice that comes while a primary is heard is one of before: who believed it would never ask again.
#[test]
fn who_is_led_is_no_former_member() {
    let config = three();
    let (mut net, primary) = Net::elected(4, &config);
    let out = (primary + 1) % 4;
    net.isolate(&[out]);
    let now = net.now;
    net.member(primary).remove(now, seat(out)).expect("all is calm");
    net.pass(SECOND);
    // Its question is answered, and the answer is late.
    net.cut.retain(|&(from, _)| from != out);
    net.pass(2 * SECOND);
    let is_notice = |(_, to, frame): &&(usize, usize, Vec<u8>)| (*to, frame[3]) == (out, 11);
    let (teller, _, late) = net.sent.iter().rfind(is_notice).expect("a notice").clone();
    net.isolate(&[out]);
    let mut told = net.member(out).clone();
    let now = net.now;
    told.handle_message(now, teller as u64, &late).expect("an honest frame");
    assert_eq!(told.role(), Role::Learner, "out of touch, it believes");
    // A member again before that answer comes.
    net.member(primary).add_learner(now, seat(out), NodeClass::Voter).expect("all is calm");
    net.pass(SECOND / 2);
    net.cut.clear();
    // Bare heartbeats arrive, no entries: it is led, and does not know its place yet.
    net.lose = |frame| frame[3] == 5 && frame.len() > BODY + 53;
    net.pass(SECOND / 2);
    let now = net.now;
    assert!(net.member(out).last() < net.member(primary).last() && net.member(out).primary() == Some(seat(primary)));
    net.member(out).handle_message(now, teller as u64, &late).expect("an honest frame");
    net.settle();
    assert!(!net.events.iter().any(|(by, event)| *by == out && matches!(event, Event::Removed { .. })));
}

/// `forced` goes on by force, `old` has written what `forced` lacks and hears of it; what it hands over is lost.
fn stopped(config: &Config) -> (Net, usize, usize) {
    let (mut net, old) = Net::elected(3, config);
    let [forced, other] = [(old + 1) % 3, (old + 2) % 3];
    net.isolate(&[forced]);
    for serial in 1..=3 {
        net.write(old, op(serial)).expect("taken");
    }
    net.members[other] = None;
    let now = net.now;
    net.member(forced).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.cut.clear();
    // Kind 9 is orphans.
    net.lose = |frame| frame[3] == 9;
    net.pass(SECOND);
    assert_eq!((net.member(old).role(), net.member(old).orphans()), (Role::Superseded, 3));
    (net, old, forced)
}

fn discarded_by(net: &Net, node: usize) -> usize {
    net.events.iter().filter(|(by, event)| *by == node && matches!(event, Event::Discarded { .. })).count()
}

/// Its heir is not in its records, and nobody else speaks first.
#[test]
fn who_has_stopped_and_was_restarted_hands_over() {
    let config = three();
    let (mut net, old, forced) = stopped(&config);
    net.restart(old, &config);
    net.restart(forced, &config);
    net.pass(5 * SECOND);
    net.lose = |_| false;
    net.pass(5 * SECOND);
    assert_eq!((discarded_by(&net, forced), net.member(old).orphans()), (3, 0));
    net.sent.clear();
    net.pass(5 * SECOND);
    assert!(net.sent.iter().all(|&(from, ..)| from != old), "it has nothing to say any more");
}

/// Each member of the later generation has taken a new seat since, and the old ones are all that it knows.
#[test]
fn who_has_stopped_and_knows_no_seat_of_the_later_generation_hands_over() {
    let config = three();
    let (mut net, old, forced) = stopped(&config);
    let third = 3 - old - forced;
    net.members[old] = None;
    net.lose = |_| false;
    net.members[third] = None;
    let again = |node: usize| Actor { node: node as u64, incarnation: 50 };
    for (primary, node) in [(forced, 3), (forced, third), (3, forced)] {
        net.join(again(node), &config);
        let now = net.now;
        net.member(primary).add_learner(now, again(node), NodeClass::Voter).expect("all is calm");
        net.pass(2 * SECOND);
        assert!(net.member(primary).configuration().is_voter(again(node)));
        if node == third {
            let now = net.now;
            net.member(forced).transfer_primary(now, again(3)).expect("a voter");
            net.pass(SECOND);
        }
    }
    net.restart(old, &config);
    (0..4).for_each(|node| net.member(old).introduce(node));
    net.pass(5 * SECOND);
    assert_eq!((discarded_by(&net, 3), net.member(old).orphans()), (3, 0));
}

/// Both generations have taken in node 3. It follows the older one, and is all that is left of it.
fn taken_in_by_two(config: &Config, delta: Delta) -> (Net, usize) {
    let (mut net, old) = Net::elected(3, config);
    let [forced, other] = [(old + 1) % 3, (old + 2) % 3];
    net.join(life(3), config);
    net.isolate(&[forced]);
    let now = net.now;
    net.member(forced).force_new_group(now, 77).expect("a voter");
    net.settle();
    for primary in [forced, old] {
        let now = net.now;
        net.member(primary).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
        net.pass(SECOND / 2);
    }
    net.write_delta(old, op(1), delta).expect("taken");
    net.pass(SECOND / 2);
    (net.members[old], net.members[other]) = (None, None);
    (net, forced)
}

/// One that both generations took in belongs to the older one, whose primary was faster. Nobody has told it what to hand
/// over, and as a member of the younger it gets no notices.
#[test]
fn who_was_taken_in_by_two_generations_hands_over() {
    let config = three();
    let (mut net, forced) = taken_in_by_two(&config, Delta::small(value(op(1))));
    // The first frame that it hears is no notice.
    net.cut.clear();
    net.lose = |frame| frame[3] == 11;
    net.pass(SECOND);
    assert_eq!(net.member(3).role(), Role::Superseded);
    assert!(net.member(3).orphans() > 0, "it must not be stopped yet");
    net.lose = |_| false;
    net.pass(5 * SECOND);
    assert_eq!((discarded_by(&net, forced), net.member(3).orphans()), (1, 0));
}

/// What it has forgotten is no less lost for having been committed where the other history has something else.
#[test]
fn who_hands_over_tells_what_it_has_forgotten() {
    let config = Config { ring_entries: 2, checkpoint_bytes: 1, ..three() };
    let (mut net, first) = Net::elected(3, &config);
    net.isolate(&[first]);
    for serial in 1..=40 {
        net.write(first, OpId { client: 2, serial }).expect("taken");
    }
    let second = net.succeed(first);
    for serial in 1..=20 {
        net.write(second, op(serial)).expect("taken");
    }
    net.pass(SECOND / 2);
    let now = net.now;
    net.member(first).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.events.clear();
    net.cut.clear();
    net.pass(5 * SECOND);
    let told = net.events.iter().filter_map(|(by, event)| match event {
        Event::OrphansDropped { count } if *by == second => Some(*count),
        _ => None,
    });
    let ids: BTreeSet<u64> = net
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Discarded { id, .. } if id.client == 1 => Some(id.serial),
            _ => None,
        })
        .collect();
    let told: u64 = told.sum();
    assert!(told + ids.len() as u64 >= 20 && told > 0, "{told} told, {ids:?} discarded");
}

/// A blank learner follows whoever sends it something. That was a primary of the older generation.
#[test]
fn who_has_nothing_yet_goes_over_to_a_later_generation() {
    let config = three();
    let (mut net, old) = Net::elected(3, &config);
    let forced = (old + 1) % 3;
    net.isolate(&[forced]);
    net.join(life(3), &config);
    net.cut.extend([(3, forced), (forced, 3)]);
    // Kind 7 is a part: no snapshot arrives.
    net.lose = |frame| frame[3] == 7;
    let now = net.now;
    net.member(old).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.pass(SECOND);
    assert_eq!((net.member(3).primary(), net.member(3).last().sequence), (Some(seat(old)), 0));
    net.lose = |_| false;
    net.isolate(&[old]);
    net.cut.retain(|&(a, b)| a != 3 && b != 3 || a == old || b == old);
    let now = net.now;
    net.member(forced).force_new_group(now, 77).expect("a voter");
    net.settle();
    let now = net.now;
    net.member(forced).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.pass(2 * SECOND);
    assert_eq!(net.member(3).last(), net.member(forced).last());
}

/// Two generations in turn, of which the later one knows nothing of the earlier: what a member of the earlier one was
/// about to tell is not said in the name of the later one.
#[test]
fn who_has_stopped_does_not_tell_where_a_generation_began_that_it_does_not_know() {
    let (mut net, first) = Net::elected(3, &three());
    let [lagging, old] = [(first + 1) % 3, (first + 2) % 3];
    net.isolate(&[lagging]);
    for serial in 1..=5 {
        net.write(first, op(serial)).expect("taken");
    }
    net.pass(SECOND / 2);
    net.isolate(&[first]);
    let now = net.now;
    net.member(first).force_new_group(now, 77).expect("a voter");
    net.settle();
    for nonce in [1, 2] {
        let now = net.now;
        net.member(lagging).force_new_group(now, nonce).expect("a voter");
        net.settle();
    }
    net.pass(5 * SECOND);
    let frame = |net: &Net, from: usize, kind: u8| {
        let is_it = |(by, to, frame): &&(usize, usize, Vec<u8>)| (*by, *to, frame[3]) == (from, first, kind);
        net.sent.iter().rfind(is_it).expect("sent").2.clone()
    };
    // A question of the oldest generation and a notice of the youngest are there at once.
    let (question, notice) = (frame(&net, old, 1), frame(&net, lagging, 11));
    let now = net.now;
    net.member(first).handle_message(now, old as u64, &question).expect_err("of an older generation");
    net.member(first).handle_message(now, lagging as u64, &notice).expect("of a later generation");
    net.cut.remove(&(first, old));
    net.settle();
    net.members[first] = None;
    net.events.clear();
    net.cut.clear();
    net.pass(30 * SECOND);
    assert_eq!(net.member(old).role(), Role::Superseded);
    assert_eq!((discarded_by(&net, lagging), net.member(old).orphans()), (5, 0));
}

/// The one that stops first is heard by the other, whatever is lost.
#[test]
fn two_generations_of_one_number_stop_each_other_whatever_is_lost() {
    let config = three();
    let (mut net, primary) = Net::elected(3, &config);
    let others: Vec<usize> = (0..3).filter(|&node| node != primary).collect();
    net.members[primary] = None;
    net.isolate(&[others[0]]);
    for (&node, nonce) in others.iter().zip([1, 2]) {
        let now = net.now;
        net.member(node).force_new_group(now, nonce).expect("a voter");
    }
    net.settle();
    // Nothing arrives from the first one at first.
    net.cut.remove(&(others[1], others[0]));
    net.pass(SECOND);
    assert_eq!(net.member(others[0]).role(), Role::Superseded);
    net.cut.clear();
    net.sent.clear();
    net.pass(5 * SECOND);
    assert_eq!(net.member(others[1]).role(), Role::Superseded);
    assert!(net.sent.len() < 10, "{} frames", net.sent.len());
}

/// It was told that it is no member any more, and then is the only one.
#[test]
fn who_was_taken_out_and_goes_on_by_force_stands_again() {
    let config = three();
    let (mut net, primary) = Net::elected(3, &config);
    let out = (primary + 1) % 3;
    net.isolate(&[out]);
    let now = net.now;
    net.member(primary).remove(now, seat(out)).expect("all is calm");
    net.pass(SECOND);
    net.cut.clear();
    net.pass(5 * SECOND);
    assert!(net.events.iter().any(|(by, event)| *by == out && matches!(event, Event::Removed { .. })));
    (0..3).filter(|&node| node != out).for_each(|node| net.members[node] = None);
    let now = net.now;
    net.member(out).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.join(life(3), &config);
    let now = net.now;
    net.member(out).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.pass(2 * SECOND);
    assert!(net.member(out).configuration().is_voter(life(3)));
    net.isolate(&[out]);
    net.write(out, op(1)).expect("it cannot know yet");
    net.pass(5 * SECOND);
    net.cut.clear();
    net.pass(30 * SECOND);
    assert!(net.primary().is_some(), "{:?} {:?}", net.member(out).role(), net.member(3).role());
    assert_eq!(net.values(3), net.values(out));
}

/// As above, with a write that no frame holds.
#[test]
fn who_was_taken_in_by_two_generations_hands_over_what_is_long() {
    let config = Config { max_frame: 1024, ..three() };
    let (mut net, forced) = taken_in_by_two(&config, Delta { value: value(op(1)), ballast: 3000 });
    net.cut.clear();
    net.pass(10 * SECOND);
    assert_eq!(net.member(3).role(), Role::Superseded);
    assert_eq!((discarded_by(&net, forced), net.member(3).orphans()), (1, 0));
}

/// The older generation went on for an epoch after the last one that both have.
#[test]
fn what_both_histories_have_is_not_handed_over() {
    let config = config(1000);
    let (mut net, first) = Net::elected(5, &config);
    for serial in 1..=1500 {
        net.write(first, op(serial)).expect("taken");
    }
    net.pass(SECOND / 2);
    let forced = (first + 1) % 5;
    net.isolate(&[first, forced]);
    net.write(first, op(1501)).expect("it cannot know yet");
    let second = net.succeed(first);
    net.pass(SECOND / 2);
    net.isolate(&[forced]);
    let now = net.now;
    net.member(forced).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.cut.clear();
    net.events.clear();
    net.sent.clear();
    net.pass(5 * SECOND);
    assert_eq!(net.member(second).role(), Role::Superseded);
    let told: Vec<_> = net.events.iter().filter(|(_, event)| matches!(event, Event::OrphansDropped { .. })).collect();
    assert!(told.is_empty(), "nothing was dropped: {told:?}");
}

/// The log with which a survivor went on may have something else where the others went on without it.
#[test]
fn an_orphan_of_an_older_generation_had_not_read_what_a_forced_log_kept() {
    let (mut net, first) = Network::<true>::elected(3, &config(1000));
    net.isolate(&[first]);
    for serial in 1..=5 {
        net.write(first, OpId { client: 2, serial }).expect("it cannot know yet");
    }
    let second = net.succeed(first);
    net.pass(SECOND / 5);
    for serial in 1..=5 {
        net.write(second, op(serial)).expect("taken");
        net.pass(SECOND / 5);
    }
    let now = net.now;
    net.member(first).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.cut.clear();
    net.pass(10 * SECOND);
    assert_eq!((net.member(second).role(), net.member(second).orphans()), (Role::Superseded, 0));
    for serial in 1..=5 {
        net.write(first, op(serial)).expect("a repeat");
        let read = net.receipts(first, op(serial)).last().and_then(|&(_, read)| read).expect("merged");
        assert!(read <= 1, "the two histories share one entry, and {serial} had read {read} of this one");
    }
}

/// Two go on by force in ignorance of each other, and one of them does so again, which settles it: `a` has written 1 to 5
/// of client 2, `b` those of client 3.
fn rivals() -> (Network<true>, usize, usize) {
    let (mut net, primary) = Network::<true>::elected(3, &config(1000));
    let [a, b] = [(primary + 1) % 3, (primary + 2) % 3];
    net.members[primary] = None;
    net.isolate(&[a]);
    for (node, nonce, client) in [(a, 1, 2), (b, 2, 3)] {
        let now = net.now;
        net.member(node).force_new_group(now, nonce).expect("a voter");
        net.settle();
        for serial in 1..=5 {
            net.write(node, OpId { client, serial }).expect("taken");
        }
    }
    let now = net.now;
    net.member(b).force_new_group(now, 3).expect("a voter");
    net.settle();
    (net, a, b)
}

#[test]
fn a_write_of_a_rival_generation_is_not_held() {
    let (mut net, a, b) = rivals();
    let id = OpId { client: 2, serial: 1 };
    let committed = net.events.iter().find_map(|(by, event)| match event {
        Event::Receipt { id: of, stage: Stage::Committed, lsn, .. } if (*by, *of) == (a, id) => Some(*lsn),
        _ => None,
    });
    let lsn = committed.expect("the only voter decides");
    assert!(!net.values(b).contains(&value(id)));
    assert_eq!(net.member(b).receipt_state(lsn), ReceiptState::Lost);
}

#[test]
fn an_orphan_of_a_rival_generation_had_not_read_the_other() {
    let (mut net, a, b) = rivals();
    net.cut.clear();
    net.pass(10 * SECOND);
    assert_eq!((net.member(a).role(), net.member(a).orphans()), (Role::Superseded, 0));
    let id = OpId { client: 2, serial: 5 };
    net.write(b, id).expect("a repeat");
    let read = net.receipts(b, id).last().and_then(|&(_, read)| read).expect("merged");
    assert!(read <= 1, "the two histories share one entry, and it had read {read} of this one");
}

/// A member hears of a generation that has all it has and dies, then of another one of that number, which has not.
#[test]
fn who_has_stopped_and_meets_a_rival_generation_tells_and_hands_over_to_the_next_one() {
    let config = three();
    for restarts in [false, true] {
        let (mut net, [lagging, old]) = stopped_by_one_that_dies(&config);
        let now = net.now;
        net.member(lagging).force_new_group(now, 1).expect("a voter");
        net.settle();
        net.events.clear();
        net.cut.clear();
        net.pass(10 * SECOND);
        let told = |net: &Net| net.events.iter().filter(|(by, event)| (*by, event) == (old, &CONFLICT)).count();
        assert_eq!((told(&net), net.member(lagging).role()), (1, Role::Primary));
        if restarts {
            net.restart(old, &config);
            net.pass(SECOND);
            assert_eq!(told(&net), 2, "told again");
        }
        assert!(net.member(old).orphans() >= 5, "it must not be stopped yet");
        net.sent.clear();
        net.pass(10 * SECOND);
        assert!(net.sent.iter().all(|&(from, ..)| from != old), "there is nobody to ask");
        // The integrator has heard of it, and settles it.
        let now = net.now;
        net.member(lagging).force_new_group(now, 2).expect("a voter");
        net.pass(10 * SECOND);
        assert_eq!((discarded_by(&net, lagging), net.member(old).orphans()), (5, 0), "{restarts}");
    }
}

const CONFLICT: Event<u64, u64> = Event::GenerationConflict { generation: 1 };

/// Its storage is behind when it stops, so that its log is longer than it would be. As long as it is not told what to hand
/// over, it stays so.
#[test]
fn who_has_stopped_forgets_nothing_more() {
    let (mut net, old) = Net::elected(5, &three());
    let [forced, away] = [(old + 1) % 5, (old + 2) % 5];
    net.isolate(&[forced, away]);
    net.cut.extend([(forced, away), (away, forced)]);
    for serial in 1..=100 {
        net.write(old, op(serial)).expect("taken");
    }
    net.restart(away, &Config { ring_entries: 8, ..three() });
    let now = net.now;
    net.member(forced).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.member(forced).add_learner(now, seat(away), NodeClass::Voter).expect("all is calm");
    net.pass(SECOND / 5);
    // It catches up, and its storage gets nothing yet.
    net.now += SECOND / 10;
    let (now, mut frame) = (net.now, Vec::new());
    net.member(old).handle_timeout(now);
    for (from, to) in [(old, away), (away, old)].repeat(5) {
        while let Some(node) = net.member(from).poll_transmit(&mut frame) {
            if node == to as u64 {
                net.member(to).handle_message(now, from as u64, &frame).expect("an honest frame");
            }
        }
    }
    assert!(net.member(away).committed().sequence > 100);
    // Kind 5 is an append: it says nothing of where the histories part.
    let is_it = |(from, to, frame): &&(usize, usize, Vec<u8>)| (*from, *to, frame[3]) == (forced, away, 5);
    let append = net.sent.iter().rfind(is_it).expect("sent").2.clone();
    net.member(away).handle_message(now, forced as u64, &append).expect_err("of a later generation");
    net.settle();
    (0..5).filter(|&node| node != forced && node != away).for_each(|node| net.members[node] = None);
    net.cut.clear();
    net.pass(5 * SECOND);
    assert_eq!((discarded_by(&net, forced), net.member(away).orphans()), (100, 0));
}

/// Sixteen generations are remembered. What an older member has forgotten may be missing in the later ones, and nobody can
/// tell.
#[test]
fn who_hands_over_to_a_generation_far_away_tells_what_it_has_forgotten() {
    let config = Config { ring_entries: 2, checkpoint_bytes: 1, ..three() };
    let (mut net, old) = Net::elected(3, &config);
    let forced = (old + 1) % 3;
    for serial in 1..=40 {
        net.write(old, op(serial)).expect("taken");
    }
    net.pass(SECOND / 2);
    net.isolate(&[forced]);
    for nonce in 1..=17 {
        let now = net.now;
        net.member(forced).force_new_group(now, nonce).expect("a voter");
        net.settle();
    }
    net.events.clear();
    net.cut.clear();
    net.pass(5 * SECOND);
    assert_eq!((net.member(old).role(), net.member(old).orphans()), (Role::Superseded, 0));
    let told = net.events.iter().filter_map(|(by, event)| match event {
        Event::OrphansDropped { count } if *by == old => Some(*count),
        _ => None,
    });
    assert!(told.sum::<u64>() >= 35);
}

/// What has been cut off and handed over is not shown any more.
#[test]
fn who_has_handed_over_shows_what_is_left() {
    let (mut net, old) = Net::elected(3, &Config { mode: Mode::Fast, ..three() });
    let forced = (old + 1) % 3;
    net.join(life(3), &Config { mode: Mode::Fast, ..three() });
    net.write(old, op(1)).expect("taken");
    net.pass(SECOND / 2);
    net.isolate(&[old]);
    net.write(old, op(2)).expect("it cannot know yet");
    let now = net.now;
    net.member(old).add_learner(now, life(3), NodeClass::Ephemeral).expect("it cannot know yet");
    net.settle();
    assert_eq!((net.values(old).len(), net.member(old).configuration().learners.len()), (2, 1));
    let now = net.now;
    net.member(forced).force_new_group(now, 77).expect("a voter");
    net.settle();
    net.cut.clear();
    net.pass(5 * SECOND);
    assert_eq!((net.member(old).role(), discarded_by(&net, forced)), (Role::Superseded, 1));
    assert_eq!((net.values(old), net.member(old).configuration().learners.len()), (vec![value(op(1))], 0));
}
