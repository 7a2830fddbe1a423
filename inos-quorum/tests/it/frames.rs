//! Goal: bytes from the network never panic, and what is refused changes nothing. Method: random bytes, and valid frames
//! of every kind, damaged, or forged with the checksum mended. A member that refused a frame must equal a twin that
//! refused an empty one.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use alloc::collections::BTreeSet;
use core::time::Duration;
use std::sync::OnceLock;

use inos_quorum::{Config, GroupId, MessageError};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    net::{Net, found, op},
    sim::{Delta, Member, config, volatile},
};

/// Gives a changed frame the checksum it would have had.
pub(crate) fn mend(frame: &mut [u8]) {
    let (body, sum) = frame.split_last_chunk_mut::<8>().expect("a frame is longer than its checksum");
    *sum = xxh3_64(body).to_le_bytes();
}

/// Members of a group of three after an eventful life, and frames of all kinds that they sent.
struct Corpus {
    members: Vec<Member>,
    frames: Vec<(usize, usize, Vec<u8>)>,
    now: Duration,
}

fn corpus() -> &'static Corpus {
    static CORPUS: OnceLock<Corpus> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let (mut net, primary) = Net::elected(3, &config(1000));
        for serial in 1..=4 {
            net.write(primary, op(serial)).expect("taken");
        }
        net.isolate(&[primary]);
        net.write(primary, op(5)).expect("taken");
        net.pass(Duration::from_secs(3));
        net.cut.clear();
        net.pass(Duration::from_secs(3));
        let last = net.primary().expect("elected");
        let now = net.now;
        net.member(last).write(now, op(6), Delta { value: 6, ballast: 40 }).expect("taken");
        net.settle();
        let kinds: BTreeSet<u8> = net.sent.iter().map(|(_, _, frame)| frame[3]).collect();
        assert_eq!(kinds, (1..=6).collect(), "all kinds of frames were sent");
        let members = net.members.into_iter().flatten().collect();
        // The heartbeats are many and alike.
        let mut frames = net.sent;
        frames.sort_by_key(|(_, _, frame)| frame[3]);
        frames.dedup_by_key(|(from, to, frame)| (*from, *to, frame[3], frame.len(), frame[frame.len() - 9]));
        Corpus { members, frames, now }
    })
}

/// Feeds a frame that must be refused; the error.
fn refuse(member: &Member, from: u64, frame: &[u8]) -> MessageError {
    let now = corpus().now;
    let (mut left, mut right) = (member.clone(), member.clone());
    let error = left.handle_message(now, from, frame).expect_err("the frame must be refused");
    right.handle_message(now, from, &[]).expect_err("an empty frame is none");
    assert_eq!(left, right, "a refused frame left a trace");
    assert_eq!(left.counters().refused, member.counters().refused + 1);
    error
}

/// Drains and runs a member for a while: whatever it was told, it goes on.
fn exercise(mut member: Member) {
    let mut buffer = Vec::new();
    let mut now = corpus().now;
    for _ in 0..5 {
        while let Some(token) = member.poll_persist(&mut buffer) {
            member.persisted(now, token);
        }
        while member.poll_transmit(&mut buffer).is_some() {}
        while member.poll_event().is_some() {}
        let _ = member.write(now, op(77), Delta::small(7));
        let _ = member.read_index(now);
        now = member.poll_timeout().expect("always").max(now);
        member.handle_timeout(now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_change_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300), from in 0..5_u64, sealed: bool) {
        let mut bytes = bytes;
        if sealed && bytes.len() > 8 {
            bytes[..3].copy_from_slice(b"IQ\x01");
            mend(&mut bytes);
        }
        for member in &corpus().members {
            refuse(member, from, &bytes);
        }
    }

    #[test]
    fn damaged_frames_change_nothing(pick: prop::sample::Index, place: prop::sample::Index, flip in 1..=255_u8) {
        let (from, to, frame) = pick.get(&corpus().frames);
        let mut frame = frame.clone();
        let place = place.index(frame.len());
        frame[place] ^= flip;
        refuse(&corpus().members[*to], *from as u64, &frame);
    }

    #[test]
    fn torn_frames_change_nothing(pick: prop::sample::Index, len: prop::sample::Index, sealed: bool) {
        let (from, to, frame) = pick.get(&corpus().frames);
        let mut frame = frame[..len.index(frame.len())].to_vec();
        if sealed && frame.len() >= 8 {
            mend(&mut frame);
        }
        refuse(&corpus().members[*to], *from as u64, &frame);
    }

    #[test]
    fn forged_frames_never_panic(
        pick: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        word in prop::option::of((any::<prop::sample::Index>(), prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), 0..20_u64])),
        extra in 0..3_usize,
    ) {
        let (from, to, frame) = pick.get(&corpus().frames);
        let mut frame = frame.clone();
        // Most interesting is what follows the envelope.
        let start = 46.min(frame.len() - 9);
        for (place, byte) in changes {
            let place = start + place.index(frame.len() - 8 - start);
            frame[place] = byte;
        }
        if let Some((place, word)) = word && frame.len() >= start + 16 {
            let place = start + place.index(frame.len() - 15 - start);
            frame[place..place + 8].copy_from_slice(&word.to_le_bytes());
        }
        frame.extend(core::iter::repeat_n(0, extra));
        mend(&mut frame);
        let member = &corpus().members[*to];
        let mut told = member.clone();
        match told.handle_message(corpus().now, *from as u64, &frame) {
            Ok(()) => prop_assert!(told.epoch() - member.epoch() <= 1 << 32),
            Err(error) => prop_assert_eq!(refuse(member, *from as u64, &frame), error),
        }
        prop_assert!(told.epoch() >= member.epoch());
        exercise(told);
        // The same bytes from a stranger move nothing.
        prop_assert_eq!(refuse(member, 17, &frame), MessageError::NotMember);
    }
}

#[test]
fn each_refusal_has_its_reason() {
    let (from, to, frame) = corpus().frames[0].clone();
    let member = &corpus().members[to];
    let sender = from as u64;
    let changed = |place: usize, byte: u8| {
        let mut frame = frame.clone();
        frame[place] = byte;
        mend(&mut frame);
        frame
    };
    assert_eq!(refuse(member, 9, &frame), MessageError::NotMember);
    assert_eq!(refuse(member, to as u64, &frame), MessageError::NotMember);
    assert_eq!(refuse(member, sender, b"IQ"), MessageError::Malformed);
    assert_eq!(refuse(member, sender, &changed(0, b'X')), MessageError::Malformed);
    assert_eq!(refuse(member, sender, &changed(2, 9)), MessageError::Version { found: 9 });
    assert_eq!(refuse(member, sender, &changed(3, 0)), MessageError::Malformed);
    assert_eq!(refuse(member, sender, &changed(3, 7)), MessageError::Malformed);
    let mut flipped = frame.clone();
    flipped[30] ^= 1;
    assert_eq!(refuse(member, sender, &flipped), MessageError::Checksum);
    let foreign = GroupId(0x19ff);
    assert_eq!(refuse(member, sender, &changed(4, 0xff)), MessageError::ForeignGroup { found: foreign });
    assert_eq!(refuse(member, sender, &changed(20, frame[20] ^ 1)), MessageError::OtherVoters);
    assert_eq!(
        refuse(member, sender, &changed(37, 3 - u8::try_from(from + to).expect("small"))),
        MessageError::Misrouted
    );
    let jump = refuse(member, sender, &changed(45 + 5, 1));
    assert!(matches!(jump, MessageError::EpochJump { found, current } if found - current > 1 << 32), "{jump:?}");
    let long = vec![0; config(1000).max_frame + 1];
    assert_eq!(refuse(member, sender, &long), MessageError::TooLong { len: (2 << 20) + 1, max: 2 << 20 });
}

#[test]
fn a_delta_that_cannot_be_decoded_never_enters_a_log() {
    let (net, primary) = Net::elected(3, &volatile());
    let follower = (primary + 1) % 3;
    let mut author = net.members[primary].clone().expect("it runs");
    let member = net.members[follower].clone().expect("it runs");
    author.write(net.now, op(1), Delta { value: 1, ballast: 4 }).expect("taken");
    let mut frame = Vec::new();
    while author.poll_transmit(&mut frame) != Some(follower as u64) {}
    let ballast = frame.len() - 9;
    frame[ballast] = 0;
    mend(&mut frame);
    assert_eq!(refuse(&member, primary as u64, &frame), MessageError::Undecodable { sequence: 2 });
}

#[test]
fn a_second_primary_of_one_epoch_is_refused() {
    let (net, primary) = Net::elected(3, &volatile());
    let [follower, rival] = [1, 2].map(|step| (primary + step) % 3);
    let mut author = net.members[primary].clone().expect("it runs");
    author.handle_timeout(net.now + Duration::from_millis(100));
    let mut beat = Vec::new();
    while author.poll_transmit(&mut beat) != Some(follower as u64) {}
    let member = net.members[follower].clone().expect("it runs");
    assert_eq!(refuse(&member, rival as u64, &beat), MessageError::Contradiction { sequence: 0 });
}

#[test]
fn members_started_with_other_voters_do_not_talk() {
    let config = Config { ..config(1000) };
    let mut three = found(&config, 0, 3);
    three.handle_timeout(Duration::from_secs(1));
    three.handle_timeout(Duration::from_secs(3));
    let mut frame = Vec::new();
    while three.poll_transmit(&mut frame) != Some(1) {}
    let mut five = found(&config, 1, 5);
    assert_eq!(five.handle_message(Duration::from_secs(3), 0, &frame), Err(MessageError::OtherVoters));
    assert_eq!(found(&config, 1, 3).handle_message(Duration::from_secs(3), 0, &frame), Ok(()));
}
