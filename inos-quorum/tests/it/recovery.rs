//! Goal: what was promised before a crash binds after it, and storage that lost something is found out. Method:
//! scripted crashes, and every single-byte damage of a small set of records.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{
    Actor, Boot, Config, ConfigError, Group, GroupId, Lsn, Machine, Mode, NodeClass, Orphan, Policy, Role, Stage,
    Undecodable,
};

use crate::{
    frames::{BODY, EPOCH, entries, forge},
    net::{Delta, Ledger, Member, Net, config, found, life, op, store, value, volatile},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_group_that_crashes_whole_keeps_its_history() {
    let config = config(1000);
    let (mut net, primary) = Net::elected(5, &config);
    for serial in 1..=20 {
        net.write(primary, op(serial)).expect("taken");
    }
    let (epoch, last) = (net.member(primary).epoch(), net.member(primary).last());
    for node in 0..5 {
        net.restart(node, &config);
    }
    assert_eq!(net.member(primary).last(), last);
    let start = net.now;
    let successor = net.elect();
    assert!(net.now >= start + SECOND, "no vote right after a restart");
    assert!(net.member(successor).epoch() > epoch);
    net.write(successor, op(21)).expect("taken");
    let expected: Vec<u64> = (1..=21).map(|serial| value(op(serial))).collect();
    assert_eq!(net.values(successor), expected);
    assert_eq!(net.write(successor, op(3)).map(|lsn| lsn.sequence), Ok(4), "sessions are part of the state");
}

#[test]
fn nothing_leaves_before_it_is_persisted() {
    let config = config(1000);
    let mut candidate = found(&config, 0, 3);
    let mut voter = found(&config, 1, 3);
    store(&mut candidate, SECOND);
    store(&mut voter, SECOND);
    let mut buffer = Vec::new();
    let persist = |member: &mut Member, now| {
        let mut record = Vec::new();
        while let Some(token) = member.poll_persist(&mut record) {
            member.persisted(now, token);
        }
    };
    // Pre-vote: promises nothing, needs nothing.
    let mut now = SECOND;
    candidate.handle_timeout(now);
    voter.handle_timeout(now);
    now += SECOND / 2;
    candidate.handle_timeout(now);
    let pass = |from: &mut Member, to: &mut Member, source: u64, target: u64, now| {
        let mut frame = Vec::new();
        let mut passed = 0;
        while let Some(receiver) = from.poll_transmit(&mut frame) {
            if receiver == target {
                to.handle_message(now, source, &frame).expect("an honest frame");
                passed += 1;
            }
        }
        passed
    };
    assert_eq!(pass(&mut candidate, &mut voter, 0, 1, now), 1);
    assert_eq!(pass(&mut voter, &mut candidate, 1, 0, now), 1);
    assert_eq!((candidate.role(), candidate.epoch()), (Role::Candidate, 1));

    assert_eq!(candidate.poll_transmit(&mut buffer), None, "its own vote is not stored yet");
    persist(&mut candidate, now);
    assert_eq!(pass(&mut candidate, &mut voter, 0, 1, now), 1);
    assert_eq!(voter.poll_transmit(&mut buffer), None, "the vote is not stored yet");
    persist(&mut voter, now);
    assert_eq!(pass(&mut voter, &mut candidate, 1, 0, now), 1);
    assert_eq!(candidate.role(), Role::Primary);

    // The entry may leave at once; it counts where it is stored.
    candidate.write(now, op(1), Delta::small(1)).expect("taken");
    assert_eq!(pass(&mut candidate, &mut voter, 0, 1, now), 1);
    persist(&mut voter, now);
    assert_eq!(pass(&mut voter, &mut candidate, 1, 0, now), 1);
    while let Some(event) = candidate.poll_event() {
        assert!(!matches!(event, inos_quorum::Event::Receipt { .. }), "one of three holds it");
    }
    persist(&mut candidate, now);
    assert!(
        core::iter::from_fn(|| candidate.poll_event())
            .any(|event| { matches!(event, inos_quorum::Event::Receipt { stage: Stage::Committed, .. }) })
    );
}

#[test]
fn a_vote_binds_after_a_crash() {
    let config = config(1000);
    let (mut net, primary) = Net::elected(3, &config);
    let voter = (primary + 1) % 3;
    let rival = (primary + 2) % 3;
    // A request for a vote in the very epoch in which the voter has voted, from the other member.
    let epoch = net.member(voter).epoch();
    let mut member = Net::recover(&config, voter, &net.records[voter]).expect("records are whole");
    assert_eq!(member.epoch(), epoch);
    let now = net.now + 5 * SECOND;
    member.handle_timeout(now);
    let loyal_until = now + 2 * SECOND;
    let mut asker = found(&config, rival, 3);
    let request = vote_request(&mut asker, voter, epoch);
    member.handle_message(loyal_until, rival as u64, &request).expect("an honest frame");
    let mut record = Vec::new();
    while let Some(token) = member.poll_persist(&mut record) {
        member.persisted(loyal_until, token);
    }
    let mut reply = Vec::new();
    assert_eq!(member.poll_transmit(&mut reply), Some(rival as u64));
    assert_eq!((reply[3], reply[reply.len() - 41]), (4, 0), "a vote reply, refused");
}

/// The request for a vote in `epoch` that a candidate without a log would send: taken from a lone voter's neighbour by
/// rewriting its pre-vote (kind 1) to a vote (kind 3) of that epoch, with the checksum mended.
fn vote_request(asker: &mut Member, to: usize, epoch: u64) -> Vec<u8> {
    store(asker, SECOND);
    asker.handle_timeout(SECOND);
    asker.handle_timeout(3 * SECOND);
    let mut frame = Vec::new();
    while asker.poll_transmit(&mut frame) != Some(to as u64) {}
    assert_eq!(frame[3], 1, "a pre-vote");
    frame[3] = 3;
    frame[EPOCH..BODY].copy_from_slice(&epoch.to_le_bytes());
    // A log beyond any other.
    frame[BODY..BODY + 8].copy_from_slice(&epoch.to_le_bytes());
    frame[BODY + 8..BODY + 16].copy_from_slice(&1000_u64.to_le_bytes());
    crate::frames::mend(&mut frame);
    frame
}

#[test]
fn a_lost_tail_is_refilled() {
    let config = config(1000);
    let (mut net, primary) = Net::elected(3, &config);
    let follower = (primary + 1) % 3;
    net.unsynced.insert(follower);
    for serial in 1..=5 {
        net.write(primary, op(serial)).expect("taken");
    }
    assert_eq!(net.member(follower).last().sequence, 6);
    let keep = net.records[follower].len() - 3;
    net.records[follower].truncate(keep);
    net.restart(follower, &config);
    assert_eq!(net.member(follower).last().sequence, 3);
    net.unsynced.clear();
    net.pass(SECOND);
    assert_eq!(net.values(follower).len(), 5);
    // And what it stored since continues the records.
    net.restart(follower, &config);
    assert_eq!(net.member(follower).last().sequence, 6);
}

#[test]
fn unsynced_copies_do_not_count() {
    let (mut net, primary) = Net::elected(3, &config(1000));
    net.unsynced.extend((0..3).filter(|&node| node != primary));
    net.write(primary, op(1)).expect("taken");
    net.pass(SECOND / 4);
    assert_eq!(net.receipts(primary, op(1)), [(Stage::LocalOnly, None)]);
}

#[test]
fn a_stored_entry_that_was_replaced_does_not_vouch_for_its_successor() {
    let config = config(1000);
    let mut member = found(&config, 1, 3);
    let now = 3 * SECOND;
    store(&mut member, now);
    let append = |member: &mut Member, from: usize, epoch: u64| {
        let list = entries(&[(epoch, None), (epoch, Some(0))]);
        let frame = forge(&config, [from, 1, 3], 5, &[epoch, 0, 0, 0, 1], &list);
        member.handle_message(now, from as u64, &frame).expect("an honest frame");
        let mut record = Vec::new();
        core::iter::from_fn(|| Some((member.poll_persist(&mut record)?, record[3]))).collect::<Vec<_>>()
    };
    append(&mut member, 0, 2);
    let records = append(&mut member, 2, 3);
    let [(hard, 1), (_, 4), (_, 2), (last, 3)] = records[..] else {
        panic!("hard state, orphans, truncate, append: {records:?}")
    };
    // The entries of epoch 2 are durable now, those of epoch 3 in their place are not.
    member.persisted(now, hard);
    let beat = forge(&config, [2, 1, 3], 5, &[3, 3, 2, 0, 2], &entries(&[]));
    let mut reply = Vec::new();
    let mut matched = |member: &mut Member| {
        assert_eq!((member.poll_transmit(&mut reply), reply[3]), (Some(2), 6), "an answer to the append");
        u64::from_le_bytes(reply[BODY..BODY + 8].try_into().expect("eight bytes"))
    };
    member.handle_message(now, 2, &beat).expect("an honest frame");
    assert_eq!(matched(&mut member), 0);
    member.persisted(now, last);
    assert_eq!(matched(&mut member), 2);
}

#[test]
fn damage_is_an_error() {
    let config = config(1000);
    let (mut net, primary) = Net::elected(3, &config);
    net.write(primary, op(1)).expect("taken");
    let records = net.records[primary].clone();
    assert!(Net::recover(&config, primary, &records).is_ok());
    for index in 0..records.len() {
        for byte in 0..records[index].len() {
            let mut damaged = records.clone();
            damaged[index][byte] ^= 0x10;
            assert_eq!(Net::recover(&config, primary, &damaged).err(), Some(ConfigError::Record { index }));
        }
        for len in 0..records[index].len() {
            let mut torn = records.clone();
            torn[index].truncate(len);
            assert_eq!(Net::recover(&config, primary, &torn).err(), Some(ConfigError::Record { index }));
        }
        let mut missing = records.clone();
        missing.remove(index);
        let outcome = Net::recover(&config, primary, &missing).err();
        let expected = if index + 1 == records.len() { None } else { Some(ConfigError::Record { index }) };
        assert_eq!(outcome, expected, "record {index} of {} missing", records.len());
    }
    assert_eq!(Net::recover(&config, primary, &[]).err(), Some(ConfigError::Record { index: 0 }));
}

#[test]
fn records_of_others_are_refused() {
    let config = config(1000);
    let (net, primary) = Net::elected(3, &config);
    let records = &net.records[primary];
    let other = (primary + 1) % 3;
    assert_eq!(Net::recover(&config, other, records).err(), Some(ConfigError::NotMember));
    let elsewhere = Config { group: GroupId(9), ..config.clone() };
    let found = Some(ConfigError::OtherGroup { found: config.group });
    assert_eq!(Net::recover(&elsewhere, primary, records).err(), found);
    let another = Config { mode: Mode::FastSafe, ..config.clone() };
    let found = Some(ConfigError::OtherMode { found: Mode::Majority });
    assert_eq!(Net::recover(&another, primary, records).err(), found);
    assert_eq!(Net::recover(&volatile(), primary, records).err(), Some(ConfigError::VolatileRecovery));
}

/// It names what the life writes, so nothing is heard of a life before its name is stored.
#[test]
fn a_used_incarnation_is_refused() {
    let config = config(1000);
    let (mut net, primary) = Net::elected(3, &config);
    let start = |incarnation, records: &[Vec<u8>]| {
        let me = Actor { node: primary as u64, incarnation };
        Member::new(config.clone(), me, 7, Boot::Recover(records.to_vec()))
    };
    let mut records = net.records[primary].clone();
    let reused = |incarnation| Some(ConfigError::Reused { incarnation });
    assert_eq!(start(life(primary).incarnation, &records).err(), reused(life(primary).incarnation));
    let mut second = start(9, &records).expect("a new one");
    let now = net.now;
    second.handle_timeout(now);
    second.handle_timeout(now + 3 * SECOND);
    let mut buffer = Vec::new();
    assert_eq!(second.poll_transmit(&mut buffer), None, "it asks for votes once it is known to live");
    let token = second.poll_persist(&mut buffer).expect("a record");
    records.push(buffer.clone());
    second.persisted(now, token);
    assert!(second.poll_transmit(&mut buffer).is_some());
    assert_eq!(start(9, &records).err(), reused(9));
    assert!(start(life(primary).incarnation, &records).is_ok(), "the last one is known, not all");
    net.restart(primary, &config);
}

#[test]
fn unsound_configurations_are_refused() {
    let sound = config(1000);
    let start = |config: &Config, voters: Vec<u64>| {
        Member::new(config.clone(), Actor { node: 0, incarnation: 1 }, 0, Boot::Genesis(voters)).err()
    };
    assert_eq!(start(&sound, vec![2, 0, 1]), None);
    assert_eq!(start(&sound, vec![]), Some(ConfigError::Voters { given: 0, distinct: 0 }));
    assert_eq!(start(&sound, vec![0, 1, 1]), Some(ConfigError::Voters { given: 3, distinct: 2 }));
    assert_eq!(start(&sound, (0..16).collect()), Some(ConfigError::Voters { given: 16, distinct: 16 }));
    assert_eq!(start(&sound, vec![1, 2, 3]), Some(ConfigError::NotMember));
    for heartbeat in [Duration::ZERO, SECOND / 2 + Duration::from_nanos(1), Duration::MAX] {
        let config = Config { heartbeat, ..sound.clone() };
        assert!(matches!(start(&config, vec![0]), Some(ConfigError::Timing { .. })), "{heartbeat:?}");
    }
    let endless = Config { elect_min: Duration::MAX, ..sound.clone() };
    assert!(matches!(start(&endless, vec![0]), Some(ConfigError::Timing { .. })));
    for max_frame in [0, 1023, (1 << 30) + 1] {
        let config = Config { max_frame, ..sound.clone() };
        assert!(matches!(start(&config, vec![0]), Some(ConfigError::FrameLimit { .. })), "{max_frame}");
    }
}

#[test]
fn nothing_leaves_before_an_installed_snapshot_is_durable() {
    let config = Config { ring_entries: 8, ..config(1000) };
    let (mut net, primary) = Net::elected(3, &config);
    let away = (primary + 1) % 3;
    net.isolate(&[away]);
    for serial in 1..=40 {
        net.write(primary, op(serial)).expect("taken");
    }
    net.cut.clear();
    net.unsynced.insert(away);
    net.sent.clear();
    while net.member(away).counters().snapshots_installed == 0 {
        net.pass(SECOND / 1000);
    }
    net.sent.clear();
    net.pass(SECOND / 2);
    let left: Vec<u8> = net.sent.iter().filter(|sent| sent.0 == away).map(|sent| sent.2[3]).collect();
    assert!(left.is_empty(), "kinds of frames that left: {left:?}");
}

#[test]
fn a_joiner_that_crashed_is_still_added() {
    let config = Config { target: 3, recruit_below: 3, ..config(1000) };
    let seat = Actor { node: 3, incarnation: 1 };
    let (mut net, primary) = Net::elected(3, &config);
    net.join(seat, &config);
    net.settle();
    // Its contacts are in no record.
    net.restart(3, &config);
    (0..3).for_each(|node| net.member(3).introduce(node));
    let now = net.now;
    net.member(primary).add_learner(now, seat, NodeClass::Voter).expect("all is calm");
    net.write(primary, op(1)).expect("taken");
    net.pass(10 * SECOND);
    assert_eq!(net.values(3), [value(op(1))], "refused {}", net.member(3).counters().refused);
}

/// A later version of the machine, which knows nothing of ballast.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Bare(Ledger<true>);

impl Machine for Bare {
    type Delta = Delta;
    type Output = u64;
    const POLICY: Policy = Policy::Crdt;

    fn encode(delta: &Delta, out: &mut Vec<u8>) {
        Ledger::<true>::encode(delta, out);
    }

    fn decode(bytes: &[u8]) -> Result<Delta, Undecodable> {
        Ledger::<true>::decode(bytes).ok().filter(|delta| delta.ballast == 0).ok_or(Undecodable)
    }

    fn apply(&mut self, lsn: Lsn, delta: &Delta) -> u64 {
        self.0.apply(lsn, delta)
    }

    fn encode_output(output: &u64, out: &mut Vec<u8>) {
        Ledger::<true>::encode_output(output, out);
    }

    fn decode_output(bytes: &[u8]) -> Result<u64, Undecodable> {
        Ledger::<true>::decode_output(bytes)
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.0.snapshot(out);
    }

    fn restore(bytes: &[u8]) -> Result<Self, Undecodable> {
        Ledger::restore(bytes).map(Self)
    }

    fn reconcile(&mut self, lsn: Lsn, orphan: &Orphan<'_, Delta>) -> Option<u64> {
        self.0.reconcile(lsn, orphan)
    }
}

#[test]
fn what_another_machine_has_kept_is_not_taken_for_ours() {
    let config = config(1000);
    let (mut net, old, _) = Net::deposed(3, &config, &[(op(1), Delta { value: value(op(1)), ballast: 10 })]);
    let entry = net.records[old].clone();
    net.lose = |frame| frame[3] == 9;
    net.cut.clear();
    net.pass(SECOND);
    assert_eq!(net.member(old).orphans(), 1, "dropped from the log, and kept");
    for records in [entry, net.records[old].clone()] {
        let me = Actor { node: old as u64, incarnation: 2 };
        let found = Group::<u64, Bare>::new(config.clone(), me, 7, Boot::Recover(records));
        assert!(matches!(found, Err(ConfigError::Delta { sequence: 2 })));
    }
}
