//! Goal: a record that replaces all before it does so in every respect, and a crash around it costs nothing that was
//! reported. Method: members with tiny checkpoints, recovered from every place at which their storage may have been cut,
//! in the middle of whatever a checkpoint has to carry.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{Config, ConfigError, GroupId, NodeClass, OpId, Role, Stage};

use crate::{
    frames::forge,
    net::{Delta, Member, Net, Network, config, found, life, op, seat, value},
};

const SECOND: Duration = Duration::from_secs(1);

/// Kinds of frames.
const VOTE: u8 = 3;
const VOTE_REPLY: u8 = 4;
const APPEND_REPLY: u8 = 6;
const ORPHANS: u8 = 9;

/// A checkpoint is due whenever the records since the last one are longer than it.
fn tiny() -> Config {
    Config { checkpoint_bytes: 0, ..config(1000) }
}

fn is_checkpoint(record: &[u8]) -> bool {
    record[3] == 0
}

/// Writes at `at` until the last record of `node` is a checkpoint; where that is.
fn until_checkpoint<const MERGES: bool>(net: &mut Network<MERGES>, at: usize, node: usize) -> usize {
    for serial in 1..1000 {
        net.write(at, OpId { client: 9, serial }).expect("taken");
        if net.records[node].last().is_some_and(|record| is_checkpoint(record)) {
            return net.records[node].len() - 1;
        }
    }
    panic!("no checkpoint after 1,000 writes");
}

#[test]
fn a_checkpoint_says_so_and_stands_for_all_before_it() {
    let config = Config { checkpoint_bytes: 2000, ..config(1000) };
    let mut member: Member = found(&config, 0, 1);
    member.handle_timeout(SECOND);
    member.handle_timeout(2 * SECOND);
    let (mut records, mut since, mut length) = (Vec::new(), usize::MAX, 0);
    for serial in 1..=300 {
        let mut record = Vec::new();
        while let Some(token) = member.poll_persist(&mut record) {
            assert_eq!(token.replaces_all(), is_checkpoint(&record));
            records.push(record.clone());
            // It is due when the records since the last one are longer than that, and than the limit.
            assert_eq!(token.replaces_all(), since > length.max(2000), "record {}", records.len());
            if token.replaces_all() {
                (since, length) = (0, record.len());
                let again = Net::recover(&config, 0, core::slice::from_ref(&record)).expect("nothing else is needed");
                assert_eq!(again.state_hash(), member.state_hash());
                let of = |member: &Member| (member.committed(), member.last(), member.epoch(), member.generation());
                assert_eq!(of(&again), of(&member));
                assert_eq!(again.configuration(), member.configuration());
                assert_eq!(Ok(again), Net::recover(&config, 0, &records));
            } else {
                since += record.len();
            }
            member.persisted(2 * SECOND, token);
        }
        member.write(2 * SECOND, op(serial), Delta::small(serial)).expect("the only voter leads");
    }
    assert!(records.iter().filter(|record| is_checkpoint(record)).count() > 3);
}

#[test]
fn what_comes_before_a_checkpoint_may_be_dropped() {
    let config = tiny();
    let (mut net, primary) = Net::elected(3, &config);
    for serial in 1..=100 {
        net.write(primary, op(serial)).expect("taken");
    }
    net.pass(SECOND / 5);
    let hash = net.member(primary).state_hash();
    for node in 0..3 {
        let records = &net.records[node];
        let starts: Vec<usize> = (0..records.len()).filter(|&at| is_checkpoint(&records[at])).collect();
        assert!(starts.len() > 3, "{node}: {starts:?}");
        let all = Net::recover(&config, node, records).expect("records are whole");
        for &start in &starts {
            assert_eq!(Net::recover(&config, node, &records[start..]).as_ref(), Ok(&all), "{node}: {start}");
        }
        // All that is needed is there: the group goes on from nothing else.
        net.records[node].drain(..starts[starts.len() - 1]);
    }
    (0..3).for_each(|node| net.restart(node, &config));
    let (epoch, new) = (net.member(primary).epoch(), net.elect());
    assert!(net.member(new).epoch() > epoch);
    net.pass(SECOND / 5);
    assert!((0..3).all(|node| net.values(node).len() == 100));
    assert_ne!(net.member(new).state_hash(), hash, "an epoch has begun");
    assert!(
        (0..3).all(|node| net.member(node).state_hash() == net.members[new].as_ref().expect("it runs").state_hash())
    );
}

#[test]
fn a_vote_is_in_the_checkpoint() {
    let config = tiny();
    let (mut net, primary) = Net::elected(3, &config);
    let [voter, rival] = [(primary + 1) % 3, (primary + 2) % 3];
    let at = until_checkpoint(&mut net, primary, voter);
    let (epoch, last) = (net.member(voter).epoch(), net.member(voter).last());
    let member: Member = Net::recover(&config, voter, &net.records[voter][at..]).expect("nothing else is needed");
    let grants = |candidate: usize, epoch: u64| {
        let mut member = member.clone();
        member.handle_timeout(SECOND);
        let mut frame = forge(&config, [candidate, voter, 3], VOTE, &[epoch, last.epoch, last.sequence, 0, 0], &[0]);
        member.handle_message(3 * SECOND, candidate as u64, &frame).expect("an honest frame");
        crate::net::store(&mut member, 3 * SECOND);
        assert_eq!((member.poll_transmit(&mut frame), frame[3]), (Some(candidate as u64), VOTE_REPLY));
        frame[frame.len() - 41] == 1
    };
    assert!(grants(primary, epoch), "the same again");
    assert!(!grants(rival, epoch), "nobody else");
    assert!(grants(rival, epoch + 1));
}

/// A vote that is stored by a checkpoint leaves once that is durable; one that brings nothing new holds up nothing.
#[test]
fn a_vote_waits_for_the_checkpoint_that_brings_it() {
    let (mut net, primary) = Net::elected(3, &config(1000));
    let [voter, rival] = [(primary + 1) % 3, (primary + 2) % 3];
    // More than the first checkpoint was long.
    for serial in 1..=5 {
        net.write(primary, op(serial)).expect("taken");
    }
    let (epoch, last) = (net.member(voter).epoch(), net.member(voter).last());
    for (epoch, waits) in [(epoch, false), (epoch + 1, true)] {
        // A checkpoint is due after the first record, which says who lives now.
        let records = &net.records[voter];
        let first = records.iter().rposition(|record| is_checkpoint(record)).expect("the first one is");
        let since = records[first + 1..].iter().map(|record| record.len() as u64).sum();
        let config = Config { checkpoint_bytes: since, ..config(1000) };
        let mut member: Member = Net::recover(&config, voter, records).expect("records are whole");
        let mut buffer = Vec::new();
        let token = member.poll_persist(&mut buffer).expect("a record");
        assert!(!token.replaces_all());
        member.persisted(SECOND, token);
        member.handle_timeout(SECOND);
        let words = [epoch, last.epoch, last.sequence, 0, 0];
        let request = forge(&config, [rival, voter, 3], VOTE, &words, &[0]);
        member.handle_message(3 * SECOND, rival as u64, &request).expect("an honest frame");
        let token = member.poll_persist(&mut buffer).expect("a checkpoint");
        assert!(token.replaces_all());
        assert_eq!(member.poll_persist(&mut Vec::new()), None);
        assert_eq!(member.poll_transmit(&mut buffer).is_none(), waits);
        member.persisted(3 * SECOND, token);
        assert_eq!(member.poll_transmit(&mut buffer).is_some(), waits);
    }
}

#[test]
fn a_crash_before_a_checkpoint_is_durable_loses_nothing_reported() {
    let config = tiny();
    let (mut net, primary) = Net::elected(3, &config);
    let [member, cut_off] = [(primary + 1) % 3, (primary + 2) % 3];
    for serial in 1..=10 {
        net.write(primary, op(serial)).expect("taken");
    }
    // Without it nothing is committed from now on, and its storage reports nothing any more.
    net.isolate(&[cut_off]);
    let reported = net.records[member].len();
    net.unsynced.insert(member);
    let at = until_checkpoint(&mut net, primary, member);
    net.write(primary, op(11)).expect("taken");
    net.pass(SECOND / 5);
    let committed = net.member(primary).committed();
    assert!(reported <= at && at + 1 < net.records[member].len());
    assert!(committed < net.member(primary).last());
    for kept in reported..=net.records[member].len() {
        let mut net = net.clone();
        net.records[member].truncate(kept);
        net.restart(member, &config);
        assert!(net.member(member).last() >= committed, "{kept}");
        net.unsynced.clear();
        net.pass(SECOND / 2);
        assert_eq!(net.receipts(primary, op(11)).last().map(|&(stage, _)| stage), Some(Stage::Committed), "{kept}");
        let expected = net.member(primary).state_hash();
        assert_eq!(net.member(member).state_hash(), expected, "{kept}");
        // And so once more, from the records of both lives.
        net.restart(member, &config);
        assert_eq!(net.member(member).last(), net.member(primary).last(), "{kept}");
    }
}

#[test]
fn a_checkpoint_carries_orphans_and_what_is_not_committed() {
    let config = tiny();
    let (mut net, old) = Network::<true>::elected(3, &config);
    net.isolate(&[old]);
    net.write(old, op(1)).expect("it cannot know yet");
    let new = net.succeed(old);
    net.lose = |frame| frame[3] == ORPHANS;
    net.cut.clear();
    net.pass(SECOND / 5);
    assert_eq!(net.member(old).counters().orphans_kept, 1);
    net.lose = |frame| matches!(frame[3], APPEND_REPLY | ORPHANS);
    let at = until_checkpoint(&mut net, new, old);
    let (last, committed) = (net.member(old).last(), net.member(old).committed());
    assert!(committed < last);
    net.records[old].drain(..at);
    net.restart(old, &config);
    assert_eq!((net.member(old).last(), net.member(old).committed()), (last, committed));
    net.lose = |_| false;
    net.pass(SECOND);
    assert!((0..3).all(|node| net.values(node).contains(&value(op(1)))));
    assert!((0..3).all(|node| net.values(node).contains(&value(OpId { client: 9, serial: 1 }))));
}

#[test]
fn a_checkpoint_carries_a_change_that_is_under_way() {
    let config = Config { target: 3, recruit_below: 3, ..tiny() };
    let (mut net, primary) = Net::elected(3, &config);
    net.join(life(3), &config);
    let now = net.now;
    net.member(primary).add_learner(now, life(3), NodeClass::Voter).expect("all is calm");
    net.pass(SECOND / 5);
    let old = (primary + 1) % 3;
    net.lose = |frame| frame[3] == APPEND_REPLY;
    let now = net.now;
    net.member(primary).replace(now, seat(old), life(3)).expect("caught up");
    let at = until_checkpoint(&mut net, primary, primary);
    let configuration = net.member(primary).configuration().clone();
    assert_eq!((configuration.voters.contains(&life(3)), configuration.outgoing.contains(&seat(old))), (true, true));
    for node in 0..4 {
        let at = if node == primary { at } else { 0 };
        net.records[node].drain(..at);
        net.restart(node, &config);
    }
    assert_eq!(net.member(primary).configuration(), &configuration);
    net.lose = |_| false;
    let new = net.elect();
    net.pass(SECOND);
    let configuration = net.member(new).configuration().clone();
    assert_eq!((configuration.is_voter(life(3)), configuration.is_voter(seat(old))), (true, false));
    assert!(configuration.outgoing.is_empty());
}

/// A straggler gets a snapshot, and its storage is cut off somewhere around the record of it.
#[test]
fn an_installed_snapshot_counts_once_it_is_durable() {
    let small = Config { ring_entries: 8, max_frame: 1024, ..config(1000) };
    let (mut net, primary) = Net::elected(3, &small);
    let [away, other] = [(primary + 1) % 3, (primary + 2) % 3];
    net.isolate(&[away]);
    for serial in 1..=40 {
        net.write(primary, op(serial)).expect("taken");
    }
    let before = net.member(away).last();
    net.cut.clear();
    net.isolate(&[other]);
    net.unsynced.insert(away);
    net.write(primary, op(41)).expect("taken");
    net.pass(SECOND / 2);
    assert_eq!(net.member(away).counters().snapshots_installed, 1);
    assert_eq!((net.values(away).len(), net.values(primary).len()), (40, 40), "its copy does not count");
    let records = &net.records[away];
    let installed = records.iter().rposition(|record| is_checkpoint(record)).expect("the first one is");
    assert!(installed > 0);
    assert_eq!(
        installed + 1,
        records.len(),
        "it says nothing until that is durable, so the last write is not sent to it"
    );
    for kept in installed..=records.len() {
        let mut net = net.clone();
        net.records[away].truncate(kept);
        net.restart(away, &small);
        let last = net.member(away).last();
        if kept == installed {
            assert_eq!((last, net.values(away).len()), (before, 0));
        } else {
            assert_eq!((last > before, net.values(away).len()), (true, 40), "{kept}");
        }
        net.unsynced.clear();
        net.pass(SECOND / 2);
        assert_eq!(net.receipts(primary, op(41)).last(), Some(&(Stage::Committed, Some(41))), "{kept}");
        assert_eq!(net.values(away).len(), 41, "{kept}");
    }
}

/// A member that goes on by force is the sole voter of a new generation, or nothing has happened.
#[test]
fn a_new_generation_is_one_record() {
    let config = config(1000);
    let (mut net, primary) = Net::elected(3, &config);
    net.write(primary, op(1)).expect("taken");
    let survivor = (primary + 1) % 3;
    net.isolate(&[survivor]);
    net.unsynced.insert(survivor);
    let (epoch, before) = (net.member(survivor).epoch(), net.records[survivor].len());
    let now = net.now;
    net.member(survivor).force_new_group(now, 77).expect("a voter");
    net.sent.clear();
    net.settle();
    assert_eq!(net.sent.iter().filter(|(from, ..)| *from == survivor).count(), 0, "nobody hears before it is durable");
    let records = &net.records[survivor];
    assert!(is_checkpoint(&records[before]));
    let old: Member = Net::recover(&config, survivor, &records[..before]).expect("a prefix");
    assert_eq!((old.generation().number, old.epoch(), old.configuration().voters.len()), (0, epoch, 3));
    for kept in before + 1..=records.len() {
        let member: Member = Net::recover(&config, survivor, &records[before..kept]).expect("a prefix");
        assert_eq!((member.generation().number, member.generation().nonce), (1, 77));
        assert_eq!(member.configuration().voters, [seat(survivor)]);
        assert_eq!(member.role(), Role::Follower, "it is not superseded by itself");
        assert!(member.epoch() > epoch + 1000);
    }
}

#[test]
fn records_out_of_place_are_found_out() {
    let config = tiny();
    let (mut net, primary) = Net::elected(3, &config);
    for serial in 1..=30 {
        net.write(primary, op(serial)).expect("taken");
    }
    let records = &net.records[primary];
    let outcome = |records: &[Vec<u8>]| Net::recover(&config, primary, records).err();
    let fault = |index| Some(ConfigError::Record { index });
    assert_eq!(outcome(records), None);
    for index in 0..records.len() - 1 {
        let mut swapped = records.clone();
        swapped.swap(index, index + 1);
        assert_eq!(outcome(&swapped), fault(index), "{index}");
        let mut twice = records.clone();
        twice.insert(index, records[index].clone());
        assert_eq!(outcome(&twice), fault(index + 1), "{index}");
        let mut gap = records.clone();
        gap.remove(index + 1);
        let expected = if index + 2 == records.len() { None } else { fault(index + 1) };
        assert_eq!(outcome(&gap), expected, "{index}");
        // Only a checkpoint is a beginning.
        let expected = if is_checkpoint(&records[index]) { None } else { fault(0) };
        assert_eq!(outcome(&records[index..]), expected, "{index}");
    }
}

#[test]
fn a_checkpoint_of_another_member_or_group_is_found_out() {
    let config = tiny();
    let elsewhere = Config { group: GroupId(9), ..config.clone() };
    let run = |config: &Config| {
        let (mut net, primary) = Net::elected(3, config);
        for serial in 1..=30 {
            net.write(primary, op(serial)).expect("taken");
        }
        (net, primary)
    };
    let ((net, node), (other, _)) = (run(&config), run(&elsewhere));
    let own = &net.records[node];
    let strangers = [
        (&net.records[(node + 1) % 3], ConfigError::NotMember),
        (&other.records[node], ConfigError::OtherGroup { found: GroupId(9) }),
    ];
    for (records, expected) in strangers {
        let later = 1..records.len().min(own.len());
        let at = later.into_iter().find(|&at| is_checkpoint(&records[at])).expect("one in the middle");
        let mixed = [&own[..at], &records[at..]].concat();
        assert_eq!(Net::recover(&config, node, &mixed).err(), Some(expected));
    }
}
