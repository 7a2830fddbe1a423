//! Goal: each promise of a group, shown on the shortest story that could break it. Method: scripted stories on an
//! obedient network.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{
    Actor, Boot, Config, Event, Lsn, MessageError, Read, ReadError, Resolution, Role, Stage, WriteError,
};

use crate::{
    frames::{BODY, forge},
    net::{Delta, Member, Net, config, found, op, seat, value, volatile},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_new_group_elects_promptly() {
    for voters in 1..=9 {
        let (net, _) = Net::elected(voters, &config(1000));
        assert!(net.now <= SECOND + Duration::from_millis(700), "{voters}: {:?}", net.now);
    }
}

#[test]
fn a_lone_voter_commits() {
    for config in [config(1000), volatile()] {
        let (mut net, primary) = Net::elected(1, &config);
        assert!(net.write(primary, op(1)).is_ok());
        assert_eq!(net.receipts(primary, op(1)), [(Stage::Committed, Some(1))]);
    }
}

#[test]
fn volatile_group_survives_f_stops() {
    for voters in [3, 5, 7] {
        let (mut net, mut primary) = Net::elected(voters, &volatile());
        let mut epoch = 0;
        for stops in 1..=voters / 2 {
            let serial = stops as u64;
            assert!(net.write(primary, op(serial)).is_ok());
            assert_eq!(net.receipts(primary, op(serial)), [(Stage::Committed, Some(serial))]);
            assert!(net.member(primary).epoch() > epoch, "a new primary has a new epoch");
            epoch = net.member(primary).epoch();
            net.members[primary] = None;
            primary = net.elect();
        }
        assert!(net.write(primary, op(100)).is_ok());
        let expected: Vec<u64> = (1..=voters as u64 / 2).chain([100]).map(|serial| value(op(serial))).collect();
        assert_eq!(net.values(primary), expected, "{voters}");
        // One more, and the rest must not go on.
        net.members[primary] = None;
        net.pass(10 * SECOND);
        assert_eq!(net.primary(), None, "{voters}: a minority elected");
    }
}

#[test]
fn retries_are_answered_not_applied() {
    let (mut net, primary) = Net::elected(3, &volatile());
    let first = net.write(primary, op(5)).expect("taken");
    net.write(primary, op(6)).expect("taken");
    assert_eq!(net.write(primary, op(5)), Ok(first));
    assert_eq!(net.receipts(primary, op(5)), [(Stage::Committed, Some(1)); 2], "the original receipt again");
    assert_eq!(net.values(primary).len(), 2);

    // While it is under way: the same place, one receipt.
    let now = net.now;
    let delta = Delta::small(value(op(7)));
    let place = net.member(primary).write(now, op(7), delta.clone()).expect("taken");
    assert_eq!(net.member(primary).write(now, op(7), delta), Ok(place));
    net.settle();
    assert_eq!(net.receipts(primary, op(7)), [(Stage::Committed, Some(3))]);

    // A gap may be filled later, as long as fewer than 64 greater serials are known.
    for serial in 10..72 {
        net.write(primary, op(serial)).expect("taken");
    }
    assert_eq!(net.write(primary, op(8)).map(|lsn| lsn.sequence > first.sequence), Ok(true));
    assert_eq!(
        net.write(primary, op(5)).map_err(|error| matches!(error, WriteError::TooOld { serial: 5, .. })),
        Err(true)
    );
    let before = net.values(primary).len();
    let refused = net.write(primary, op(4));
    assert_eq!(refused, Err(WriteError::TooOld { serial: 4, delta: Delta::small(value(op(4))) }));
    assert_eq!(net.values(primary).len(), before);
}

#[test]
fn the_window_counts_writes_under_way() {
    let (mut net, primary) = Net::elected(3, &volatile());
    net.isolate(&[primary]);
    for serial in 2..66 {
        net.write(primary, op(serial)).expect("taken");
    }
    let refused = net.write(primary, op(1));
    assert!(matches!(refused, Err(WriteError::TooOld { serial: 1, .. })), "64 greater serials are in the log");
}

#[test]
fn a_retry_after_failover_gets_the_original_receipt() {
    let (mut net, old) = Net::elected(5, &config(1000));
    let place = net.write(old, op(1)).expect("taken");
    net.members[old] = None;
    let new = net.elect();
    assert_eq!(net.write(new, op(1)), Ok(place));
    assert_eq!(net.receipts(new, op(1)), [(Stage::Committed, Some(1))]);
    assert_eq!(net.values(new), [value(op(1))]);
}

#[test]
fn a_retry_finds_what_the_last_primary_left_uncommitted() {
    let (mut net, old) = Net::elected(3, &config(1000));
    // The followers get the entry, but the primary never hears so, and they never hear of a commit.
    for node in 0..3 {
        net.cut.insert((node, old));
    }
    let place = net.write(old, op(1)).expect("taken");
    net.members[old] = None;
    let new = net.elect();
    let now = net.now;
    assert_eq!(net.member(new).write(now, op(1), Delta::small(value(op(1)))), Ok(place));
    net.pass(SECOND);
    assert_eq!(net.receipts(new, op(1)).last(), Some(&(Stage::Committed, Some(1))));
    assert_eq!(net.values(new), [value(op(1))]);
}

#[test]
fn a_deposed_primary_says_unknown() {
    let (mut net, primary) = Net::elected(5, &volatile());
    net.isolate(&[primary]);
    net.write(primary, op(1)).expect("the primary cannot know yet");
    net.pass(Duration::from_millis(49));
    assert_eq!(net.receipts(primary, op(1)), []);
    net.pass(Duration::from_millis(1));
    assert_eq!(net.receipts(primary, op(1)), [(Stage::LocalOnly, None)]);
    net.pass(Duration::from_millis(1100));
    assert_ne!(net.member(primary).role(), Role::Primary);
    assert_eq!(net.receipts(primary, op(1)), [(Stage::LocalOnly, None)], "it may still hear of a commit");
    net.pass(5 * SECOND);
    assert_eq!(net.receipts(primary, op(1)), [(Stage::LocalOnly, None), (Stage::Unknown, None)]);
    let refused = net.write(primary, op(2));
    assert_eq!(refused, Err(WriteError::NotPrimary { hint: None, delta: Delta::small(value(op(2))) }));
}

#[test]
fn a_primary_that_slept_takes_no_write() {
    let (mut net, primary) = Net::elected(5, &volatile());
    let later = net.now + 2 * SECOND;
    let outcome = net.member(primary).write(later, op(1), Delta::small(1));
    assert!(matches!(outcome, Err(WriteError::NotPrimary { .. })));
    assert!(matches!(net.member(primary).read_index(later), Err(ReadError::NotPrimary { .. })));
}

#[test]
fn a_late_commit_follows_local_only() {
    let (mut net, primary) = Net::elected(3, &volatile());
    net.isolate(&[primary]);
    net.write(primary, op(1)).expect("taken");
    net.pass(Duration::from_millis(60));
    net.cut.clear();
    net.pass(Duration::from_millis(100));
    assert_eq!(net.receipts(primary, op(1)), [(Stage::LocalOnly, None), (Stage::Committed, Some(1))]);
}

#[test]
fn a_minority_commits_nothing() {
    let (mut net, old) = Net::elected(5, &volatile());
    let mate = (old + 1) % 5;
    net.isolate(&[old, mate]);
    net.write(old, op(1)).expect("the primary cannot know yet");
    net.pass(3 * SECOND);
    let new = net.primary().expect("three of five elect");
    assert!(new != old && new != mate);
    net.write(new, op(2)).expect("taken");
    assert_eq!(net.receipts(new, op(2)), [(Stage::Committed, Some(1))]);
    net.cut.clear();
    net.pass(SECOND);
    // It is not lost without a word: the machine's policy refuses it, and its writer is told.
    assert_eq!(net.receipts(old, op(1)), [(Stage::LocalOnly, None)]);
    let told = |(by, event): &(usize, Event<u64, u64>)| {
        *by == old && matches!(event, Event::Orphaned { id, resolution: Resolution::Refused, .. } if *id == op(1))
    };
    assert!(net.events.iter().any(told));
    net.pass(2 * SECOND);
    for node in 0..5 {
        assert_eq!(net.values(node), [value(op(2))], "member {node}");
    }
}

/// Pre-votes spare such requests, and do not rule them out: the log of the voter may have grown since.
#[test]
fn no_vote_goes_to_a_lesser_log() {
    let config = volatile();
    let (mut net, primary) = Net::elected(3, &config);
    for serial in 1..=3 {
        net.write(primary, op(serial)).expect("taken");
    }
    // A second epoch at the end of the log.
    net.members[primary] = None;
    let voter = net.elect();
    let candidate = (0..3).find(|&node| node != voter && node != primary).expect("the third");
    let own = net.member(voter).last();
    assert!(own.epoch > 1 && own.sequence == 5, "{own:?}");
    net.isolate(&[voter]);
    net.pass(5 * SECOND);
    // It has given up being primary, voted for nobody in this later epoch, and owes nobody loyalty.
    let epoch = net.member(voter).epoch() + 1;
    let now = net.now;
    let member = net.member(voter).clone();
    let voted = |last: Lsn| {
        let mut member = member.clone();
        let mut frame = forge(&config, [candidate, voter, 3], 3, &[epoch, last.epoch, last.sequence, 0, 0], &[0]);
        member.handle_message(now, candidate as u64, &frame).expect("an honest frame");
        assert_eq!(member.epoch(), epoch, "a later epoch is adopted, vote or not");
        while member.poll_transmit(&mut frame) != Some(candidate as u64) {}
        assert_eq!(frame[3], 4, "a vote reply");
        frame[frame.len() - 41] == 1
    };
    let Lsn { epoch: last, sequence } = own;
    assert!(!voted(Lsn { epoch: last, sequence: sequence - 1 }), "shorter");
    assert!(!voted(Lsn { epoch: last - 1, sequence: sequence + 100 }), "longer, but of an earlier epoch");
    assert!(!voted(Lsn::default()), "empty");
    assert!(voted(own), "equal");
    assert!(voted(Lsn { epoch: last, sequence: sequence + 1 }), "longer");
    assert!(voted(Lsn { epoch: last + 1, sequence: 1 }), "of a later epoch");
}

/// Figure 8 of Ongaro and Ousterhout 2014: a copy at a majority does not commit an entry of an earlier epoch.
#[test]
fn older_entries_are_committed_only_through_the_own_epoch() {
    // Frames that hold one write each.
    let (mut net, primary) = Net::elected(3, &Config { max_frame: 1024, ..volatile() });
    let everybody: Vec<_> = (0..3).flat_map(|from| (0..3).map(move |to| (from, to))).collect();
    net.cut.extend(everybody);
    for serial in [1, 2] {
        let now = net.now;
        net.member(primary).write(now, op(serial), Delta { value: serial, ballast: 700 }).expect("taken");
    }
    net.pass(2 * SECOND);
    assert_eq!(net.primary(), None);

    // Only the old primary is reachable, and has the greatest log. Of its appends those with two entries or more are
    // lost, which are those with the start of its new epoch: the count stands behind 41 bytes of the body.
    net.lose = |frame| frame[3] == 5 && frame[BODY + 41] > 1;
    net.cut.retain(|&(from, to)| from != primary && to != primary);
    assert_eq!(net.elect(), primary);
    net.pass(SECOND / 2);
    let follower = (primary + 1) % 3;
    assert_eq!(net.member(follower).last().sequence, 2, "the first write has arrived");
    assert!(net.values(primary).is_empty(), "and is not committed");
    net.lose = |_| false;
    net.pass(SECOND / 2);
    assert_eq!(net.values(primary), [1, 2]);
}

#[test]
fn reads_are_released_by_a_majority() {
    let (mut net, primary) = Net::elected(5, &volatile());
    net.write(primary, op(1)).expect("taken");
    // Until the lease is over: then somebody has to be asked.
    net.isolate(&[primary]);
    net.pass(Duration::from_millis(800));
    net.cut.clear();
    net.events.clear();
    let now = net.now;
    let id = net.member(primary).read_index(now).expect("the primary");
    assert_eq!(net.member(primary).poll_event(), None, "nobody was asked yet");
    net.settle();
    let shown = net.members[primary].as_ref().expect("it runs").read(Read::Committed);
    let (ledger, lsn) = shown.expect("never fails");
    assert_eq!(ledger.applied.len(), 1);
    assert!(net.events.contains(&(primary, Event::ReadReady { id, lsn })));
    let follower = (primary + 1) % 5;
    let refused = net.member(follower).read_index(now);
    assert_eq!(refused, Err(ReadError::NotPrimary { hint: Some(seat(primary)) }));

    // With the lease, at once.
    net.pass(Duration::from_millis(200));
    let now = net.now;
    let id = net.member(primary).read_index(now).expect("the primary");
    assert_eq!(net.member(primary).poll_event(), Some(Event::ReadReady { id, lsn }));
}

#[test]
fn a_cut_off_primary_releases_no_read() {
    let (mut net, old) = Net::elected(3, &volatile());
    net.isolate(&[old]);
    net.pass(Duration::from_millis(800));
    let now = net.now;
    let id = net.member(old).read_index(now).expect("the primary cannot know yet");
    net.pass(3 * SECOND);
    assert!(net.primary().is_some_and(|new| new != old));
    let of_read: Vec<_> = net
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::ReadReady { .. } | Event::ReadLost { .. }))
        .collect();
    assert_eq!(of_read, [&(old, Event::ReadLost { id })]);
}

#[test]
fn a_restarted_volatile_member_is_refused() {
    let config = volatile();
    let (mut net, primary) = Net::elected(3, &config);
    let victim = (primary + 1) % 3;
    let me = Actor { node: victim as u64, incarnation: 2 };
    net.members[victim] = Some(Member::new(config, me, 7, Boot::Genesis(vec![0, 1, 2])).expect("sound"));
    net.sent.clear();
    net.isolate(&[primary]);
    net.cut.remove(&(victim, primary));
    net.pass(SECOND);
    let (_, _, frame) =
        net.sent.iter().find(|(from, to, _)| (*from, *to) == (victim, primary)).expect("it asks for votes");
    let (frame, now) = (frame.clone(), net.now);
    let refused = net.member(primary).handle_message(now, victim as u64, &frame);
    assert_eq!(refused, Err(MessageError::Restarted { found: 2 }));
}

#[test]
fn a_returning_member_does_not_depose_the_primary() {
    let (mut net, primary) = Net::elected(5, &config(1000));
    let epoch = net.member(primary).epoch();
    let away = (primary + 2) % 5;
    net.isolate(&[away]);
    net.pass(20 * SECOND);
    net.write(primary, op(1)).expect("taken");
    net.cut.clear();
    net.pass(2 * SECOND);
    assert_eq!((net.primary(), net.member(primary).epoch()), (Some(primary), epoch));
    assert_eq!(net.values(away), [value(op(1))]);
}

#[test]
fn one_way_silence_does_not_stop_the_group() {
    // The primary is heard but hears nobody.
    let (mut net, old) = Net::elected(5, &config(1000));
    for node in 0..5 {
        net.cut.insert((node, old));
    }
    net.pass(4 * SECOND);
    let new = net.primary().expect("a successor");
    assert_ne!(new, old);
    net.write(new, op(1)).expect("taken");
    assert_eq!(net.receipts(new, op(1)), [(Stage::Committed, Some(1))]);
}

#[test]
fn frames_leave_fastest_first() {
    let (mut net, primary) = Net::elected(5, &volatile());
    // One heartbeat, answered by each member after a time of its own.
    let mut others: Vec<usize> = (0..5).filter(|&node| node != primary).collect();
    others.rotate_left(2);
    for _ in 0..40 {
        net.now = net.member(primary).poll_timeout().expect("always");
        let now = net.now;
        net.member(primary).handle_timeout(now);
        let mut buffer = Vec::new();
        let mut beats = Vec::new();
        while let Some(to) = net.member(primary).poll_transmit(&mut buffer) {
            beats.push((usize::try_from(to).expect("small"), buffer.clone()));
        }
        for (rank, &node) in others.iter().enumerate() {
            let (_, beat) = beats.iter().find(|(to, _)| *to == node).expect("all are beaten");
            net.member(node).handle_message(now, primary as u64, beat).expect("an honest frame");
            assert!(net.member(node).poll_transmit(&mut buffer).is_some());
            let answered = now + Duration::from_millis(1 + 3 * rank as u64);
            net.member(primary).handle_message(answered, node as u64, &buffer).expect("an honest frame");
        }
    }
    let now = net.now + Duration::from_millis(20);
    net.member(primary).write(now, op(1), Delta::small(1)).expect("taken");
    let mut order = Vec::new();
    let mut buffer = Vec::new();
    while let Some(to) = net.member(primary).poll_transmit(&mut buffer) {
        order.push(usize::try_from(to).expect("small"));
    }
    assert_eq!(order, others);
}

#[test]
fn roles_are_told() {
    let mut net = Net::new(3, &volatile());
    let primary = net.elect();
    net.settle();
    let epoch = net.member(primary).epoch();
    for node in 0..3 {
        let role = if node == primary { Role::Primary } else { Role::Follower };
        let last = net.events.iter().rev().find(|(by, event)| *by == node && matches!(event, Event::Role { .. }));
        assert_eq!(last, Some(&(node, Event::Role { role, epoch, primary: Some(seat(primary)) })));
    }
}

#[test]
fn equal_members_behave_equally() {
    let (mut net, primary) = Net::elected(3, &config(1000));
    net.write(primary, op(1)).expect("taken");
    let mut twin = net.member(primary).clone();
    assert_eq!(&twin, net.member(primary));
    let now = net.now + SECOND / 2;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    net.member(primary).handle_timeout(now);
    twin.handle_timeout(now);
    while let Some(to) = net.member(primary).poll_transmit(&mut left) {
        assert_eq!((Some(to), &left), (twin.poll_transmit(&mut right), &right));
    }
    assert_eq!(&twin, net.member(primary));
    twin.handle_timeout(now + SECOND);
    assert_ne!(&twin, net.member(primary));
}

#[test]
fn time_may_go_backwards_and_far_ahead() {
    let mut member: Member = found(&config(1000), 0, 3);
    for now in [Duration::MAX, Duration::ZERO, SECOND] {
        member.handle_timeout(now);
        assert!(member.poll_timeout().is_some());
    }
    assert_eq!(member.last(), Lsn::default());
}
