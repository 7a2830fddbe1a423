//! Goal: every limit holds, says so, and hands the delta back. Method: each limit set low and run into.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::{Config, Event, Limit, OpId, ReadError, Stage, WriteError};

use crate::net::{Delta, Net, config, op, seat, value, volatile};

fn full(limit: Limit, serial: u64) -> WriteError<u64, Delta> {
    WriteError::Full { limit, delta: Delta::small(value(op(serial))) }
}

#[test]
fn a_manifest_fits_one_delta() {
    for len in [50 << 10, 1 << 20] {
        let (mut net, primary) = Net::elected(5, &config(1000));
        let now = net.now;
        net.member(primary).write(now, op(1), Delta { value: 1, ballast: len }).expect("taken");
        net.settle();
        assert_eq!(net.receipts(primary, op(1)), [(Stage::Committed, Some(1))]);
        assert!(net.sent.iter().all(|(_, _, frame)| frame.len() <= config(1000).max_frame));
        assert!((0..5).all(|node| net.member(node).last().sequence == 2), "longer than a frame, it travels in parts");
    }
}

#[test]
fn the_greatest_delta_is_exactly_as_told() {
    let config = Config { max_frame: 4096, max_reassembly: 9000, ..volatile() };
    let (mut net, primary) = Net::elected(3, &config);
    let now = net.now;
    let huge = Delta { value: 1, ballast: 9000 };
    let refused = net.member(primary).write(now, op(1), huge.clone());
    let Err(WriteError::TooLarge { len: 9008, max, delta }) = refused else { panic!("{refused:?}") };
    assert_eq!(delta, huge);
    let fits = Delta { value: 1, ballast: max - 8 };
    net.member(primary).write(now, op(1), fits).expect("told to fit");
    net.settle();
    assert_eq!(net.receipts(primary, op(1)), [(Stage::Committed, Some(1))]);
    let longest = net.sent.iter().map(|(_, _, frame)| frame.len()).max();
    assert!(longest.is_some_and(|len| len <= 4096 && len > 4096 - 64), "{longest:?}");
    assert!(max > 9000 - 256, "{max}");
}

#[test]
fn batches_are_split_into_frames() {
    let config = Config { max_frame: 1024, ..volatile() };
    let (mut net, primary) = Net::elected(3, &config);
    let now = net.now;
    for serial in 1..=40 {
        net.member(primary).write(now, op(serial), Delta { value: serial, ballast: 200 }).expect("taken");
    }
    net.sent.clear();
    net.settle();
    assert_eq!(net.receipts(primary, op(40)), [(Stage::Committed, Some(40))]);
    assert!(net.sent.iter().all(|(_, _, frame)| frame.len() <= 1024));
    assert!(net.sent.iter().filter(|(from, _, frame)| *from == primary && frame.len() > 500).count() >= 20);
}

#[test]
fn uncommitted_entries_are_limited() {
    let config = Config { max_uncommitted: 3, ..volatile() };
    let (mut net, primary) = Net::elected(3, &config);
    net.isolate(&[primary]);
    for serial in 1..=3 {
        net.write(primary, op(serial)).expect("below the limit");
    }
    assert_eq!(net.write(primary, op(4)), Err(full(Limit::Uncommitted, 4)));
    net.cut.clear();
    net.pass(Duration::from_millis(200));
    net.write(primary, op(4)).expect("room again");
}

#[test]
fn clients_are_limited() {
    let config = Config { max_clients: 2, ..volatile() };
    let (mut net, primary) = Net::elected(3, &config);
    let by = |client, serial| OpId { client, serial };
    net.write(primary, by(1, 1)).expect("first client");
    // The second is still under way when the third comes.
    let now = net.now;
    net.member(primary).write(now, by(2, 1), Delta::small(0)).expect("second client");
    let refused = net.member(primary).write(now, by(3, 1), Delta::small(7));
    assert_eq!(refused, Err(WriteError::Full { limit: Limit::Clients, delta: Delta::small(7) }));
    net.settle();
    assert!(net.write(primary, by(3, 1)).is_err());
    net.write(primary, by(2, 2)).expect("known client");
}

#[test]
fn reads_and_events_are_limited() {
    let config = Config { max_reads: 2, max_events: 3, ..volatile() };
    let (mut net, primary) = Net::elected(3, &config);
    // Until the lease is over, reads wait for nobody.
    net.isolate(&[primary]);
    net.pass(Duration::from_millis(800));
    net.cut.clear();
    let now = net.now;
    let member = net.member(primary);
    member.read_index(now).expect("first");
    member.read_index(now).expect("second");
    assert_eq!(member.read_index(now), Err(ReadError::Full { limit: Limit::Reads }));
    net.settle();

    // An integrator that does not drain is stopped.
    net.write(primary, op(1)).expect("taken");
    let member = net.member(primary);
    for _ in 0..3 {
        member.write(now, op(1), Delta::small(value(op(1)))).expect("a repeat");
    }
    let refused = member.write(now, op(1), Delta::small(value(op(1))));
    assert_eq!(refused, Err(full(Limit::Events, 1)));
    assert_eq!(member.read_index(now), Err(ReadError::Full { limit: Limit::Events }));
}

#[test]
fn a_write_timeout_may_be_a_day() {
    let config = Config { write_timeout: Duration::from_secs(86_400), ..volatile() };
    let (mut net, primary) = Net::elected(3, &config);
    net.isolate(&[primary]);
    net.write(primary, op(1)).expect("taken");
    net.pass(Duration::from_secs(7));
    assert_eq!(net.receipts(primary, op(1)), [(Stage::Unknown, None)]);
}

#[test]
fn one_frame_is_always_under_way() {
    let config = Config { max_inflight_bytes: 1, max_frame: 1024, ..volatile() };
    let (mut net, primary) = Net::elected(3, &config);
    let now = net.now;
    for serial in 1..=5 {
        net.member(primary).write(now, op(serial), Delta { value: serial, ballast: 700 }).expect("taken");
    }
    net.settle();
    assert_eq!(net.receipts(primary, op(5)), [(Stage::Committed, Some(5))]);
}

/// Every answer to a frame of a broken stream once began the stream anew: frames grew in number without end.
#[test]
fn a_network_that_reorders_is_not_flooded() {
    let config = Config { max_frame: 1024, ..config(1000) };
    let (mut net, primary) = Net::elected(3, &config);
    let away = (primary + 1) % 3;
    net.isolate(&[away]);
    for serial in 1..=200 {
        let now = net.now;
        net.member(primary).write(now, op(serial), Delta { value: serial, ballast: 300 }).expect("taken");
        net.settle();
    }
    // From here on frames between the two overtake each other as chance has it; the storage of the one is slow.
    let pair = [primary, away];
    let mut members = pair.map(|node| net.members[node].take().expect("it runs"));
    let (mut frame, mut under_way, mut sent, mut chance) = (Vec::new(), Vec::new(), 0, 1_u64);
    for beat in 1..=5 {
        let now = net.now + config.heartbeat * beat;
        members[0].handle_timeout(now);
        for _ in 0..20_000 {
            for from in [0, 1] {
                while let Some(token) = members[from].poll_persist(&mut frame) {
                    if from == 0 {
                        members[0].persisted(now, token);
                    }
                }
                while let Some(addressee) = members[from].poll_transmit(&mut frame) {
                    if addressee == pair[1 - from] as u64 {
                        under_way.push((from, frame.clone()));
                        sent += 1;
                    }
                }
            }
            if under_way.is_empty() {
                break;
            }
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = usize::try_from(chance >> 33).expect("31 bits") % under_way.len();
            let (from, frame) = under_way.swap_remove(place);
            members[1 - from].handle_message(now, pair[from] as u64, &frame).expect("an honest frame");
        }
        // A hundred frames bring all that is missing, and each is answered.
        assert!(sent < 400 * beat, "{sent} frames after {beat} heartbeats");
    }
    assert!(members[1].last().sequence > 20, "what comes in order is of use: {:?}", members[1].last());
}

#[test]
fn a_state_that_is_too_long_is_told_and_not_sent() {
    let config = Config { ring_entries: 8, max_frame: 1024, max_reassembly: 4096, ..config(1000) };
    let (mut net, primary) = Net::elected(3, &config);
    let away = (primary + 1) % 3;
    net.isolate(&[away]);
    for serial in 1..=400 {
        net.write(primary, op(serial)).expect("taken");
    }
    net.sent.clear();
    net.cut.clear();
    net.pass(Duration::from_secs(10));
    let told: Vec<_> = net.events.iter().filter(|(_, event)| matches!(event, Event::StateTooLong { .. })).collect();
    assert!(matches!(told[..], [(by, Event::StateTooLong { len: 9000.., max: 4096 })] if *by == primary), "{told:?}");
    assert!(net.sent.iter().all(|(_, to, frame)| *to != away || frame[3] == 5), "bare heartbeats alone");
    assert_eq!(net.member(primary).counters().snapshots_sent, 0);
    assert_eq!(net.member(primary).progress(seat(away)).map(|progress| progress.has_caught_up), Some(false));
    // The others are not disturbed.
    net.write(primary, op(401)).expect("taken");
    net.pass(Duration::from_secs(1));
    assert_eq!(net.receipts(primary, op(401)), [(Stage::Committed, Some(401))]);
}

#[test]
fn a_state_that_has_become_smaller_is_sent() {
    let config = Config { ring_entries: 8, max_frame: 1024, max_reassembly: 4096, ..config(1000) };
    let (mut net, primary) = Net::elected(3, &config);
    let away = (primary + 1) % 3;
    net.isolate(&[away]);
    for serial in 1..=64 {
        net.write(primary, op(serial)).expect("taken");
    }
    net.cut.clear();
    net.pass(Duration::from_secs(1));
    assert!(net.events.iter().any(|(_, event)| matches!(event, Event::StateTooLong { .. })));
    let now = net.now;
    net.member(primary).expire_client(now, 1).expect("known");
    net.pass(Duration::from_secs(10));
    assert_eq!(net.member(away).last(), net.member(primary).last());
}
