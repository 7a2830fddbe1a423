//! Goal: bytes from the network never panic, and what is refused changes nothing. Method: random bytes, and valid frames
//! of every kind, damaged, or forged with the checksum mended. A member that refused a frame must equal a twin that
//! refused an empty one.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use alloc::collections::BTreeSet;
use core::time::Duration;
use std::sync::OnceLock;

use inos_quorum::{Config, GroupId, MessageError, Mode};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::net::{Delta, Member, Net, config, found, op, store, volatile};

/// Gives a changed frame the checksum it would have had.
pub(crate) fn mend(frame: &mut [u8]) {
    let (body, sum) = frame.split_last_chunk_mut::<8>().expect("a frame is longer than its checksum");
    *sum = xxh3_64(body).to_le_bytes();
}

/// Where the epoch of a frame between founders stands, and its body.
pub(crate) const EPOCH: usize = 79;
pub(crate) const BODY: usize = EPOCH + 8;

/// A frame of `kind` as voter `from` of a new group would address it to voter `to`, with a body of its own making.
pub(crate) fn forge(config: &Config, [from, to, voters]: [usize; 3], kind: u8, words: &[u64], tail: &[u8]) -> Vec<u8> {
    let mut sender = found(config, from, voters);
    store(&mut sender, Duration::from_secs(1));
    sender.handle_timeout(Duration::from_secs(1));
    sender.handle_timeout(Duration::from_secs(3));
    let mut frame = Vec::new();
    while sender.poll_transmit(&mut frame) != Some(to as u64) {}
    frame.truncate(EPOCH);
    frame[3] = kind;
    words.iter().for_each(|word| frame.extend(word.to_le_bytes()));
    frame.extend(tail);
    frame.extend([0; 8]);
    mend(&mut frame);
    frame
}

/// The end of an append: these entries, each an epoch and the delta of a write, or the start of the epoch.
pub(crate) fn entries(list: &[(u64, Option<usize>)]) -> Vec<u8> {
    // Nothing was acknowledged early, and heartbeats go on.
    let mut out = vec![0; 8 + 1];
    out.extend(u32::try_from(list.len()).expect("few").to_le_bytes());
    for (serial, &(epoch, ballast)) in list.iter().enumerate() {
        let mut payload = Vec::new();
        if let Some(ballast) = ballast {
            payload.extend((serial as u64 + 1).to_le_bytes());
            payload.extend(1_u128.to_le_bytes());
            payload.extend((serial as u64).to_le_bytes());
            // What was read before, and no clock.
            payload.extend([0; 8 + 4]);
            payload.extend([0; 8]);
            payload.resize(payload.len() + ballast, 0xda);
        } else {
            // The author, the generation, the entry before.
            payload.push(8);
            payload.extend([0; 8 + 8 + 16 + 16]);
        }
        out.extend(epoch.to_le_bytes());
        out.push(u8::from(ballast.is_some()));
        out.extend(u32::try_from(payload.len()).expect("short").to_le_bytes());
        out.extend(payload);
    }
    out
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
        assert!((1..=6).all(|kind| kinds.contains(&kind)), "the common kinds of frames were sent: {kinds:?}");
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

#[derive(Clone, Debug)]
struct Lie {
    from: usize,
    kind: u8,
    words: [u64; 5],
    list: Vec<(u64, Option<usize>)>,
    wait: Duration,
}

fn lie() -> impl Strategy<Value = Lie> {
    let word = || prop_oneof![3 => Just(0), 9 => 0..6_u64, 1 => Just(u64::MAX), 1 => Just(1 << 32)];
    let epoch = prop_oneof![9 => 1..4_u64, 1 => any::<u64>()];
    let entry = (1..4_u64, prop::option::weighted(0.3, prop_oneof![3 => 0..20_usize, 1 => 700..880_usize]));
    let list = prop::collection::vec(entry, 0..5).prop_map(|mut list| {
        list.sort_unstable();
        list
    });
    let words = (epoch, prop::array::uniform4(word())).prop_map(|(epoch, [a, b, c, d])| [epoch, a, b, c, d]);
    let wait = prop_oneof![Just(0), 0..100_u64, 1000..2000_u64].prop_map(Duration::from_millis);
    (prop_oneof![Just(0_usize), Just(2)], prop_oneof![1..7_u8, Just(5)], words, list, wait)
        .prop_map(|(from, kind, words, list, wait)| Lie { from, kind, words, list, wait })
}

/// What a field can hold, and where the sizes of targets end.
const EDGES: [u64; 10] =
    [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 1 << 63, u64::MAX - 1, u64::MAX];

/// On targets of 32 bits a sequence may fit where its successor does not.
#[test]
fn the_edges_of_numbers_never_panic() {
    let corpus = corpus();
    for kind in 1..=6 {
        let (from, to, frame) = corpus.frames.iter().rfind(|(_, _, frame)| frame[3] == kind).expect("a common kind");
        for place in EPOCH - 8..frame.len() - 8 {
            for edge in EDGES {
                let mut frame = frame.clone();
                let end = (place + 8).min(frame.len() - 8);
                frame[place..end].copy_from_slice(&edge.to_le_bytes()[..end - place]);
                mend(&mut frame);
                let mut member = corpus.members[*to].clone();
                if member.handle_message(corpus.now, *from as u64, &frame).is_ok() {
                    exercise(member);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    /// One member lies in a whole series of frames, of the small numbers that an honest run would have.
    #[test]
    fn a_series_of_lies_never_panics(lies in prop::collection::vec(lie(), 1..40), durable: bool) {
        let config = if durable { config(1000) } else { volatile() };
        let config = Config { max_frame: 1024, ..config };
        let mut member: Member = found(&config, 1, 3);
        let (mut now, mut buffer) = (Duration::from_secs(1), Vec::new());
        for Lie { from, kind, words, list, wait } in lies {
            now += wait;
            member.handle_timeout(now);
            let lsns = || words[1..].iter().flat_map(|word| word.to_le_bytes());
            let (words, tail) = match kind {
                1 | 3 => (&words[..5], vec![0]),
                2 => (&words[..2], [1].into_iter().chain(lsns()).collect()),
                4 => (&words[..1], [1].into_iter().chain(lsns()).collect()),
                5 => (&words[..5], entries(&list)),
                _ if list.is_empty() => (&words[..3], vec![0]),
                _ => (&words[..3], [&[1][..], &[words[3], words[4], words[0]].map(u64::to_le_bytes).concat()].concat()),
            };
            let _ = member.handle_message(now, from as u64, &forge(&config, [from, 1, 3], kind, words, &tail));
            let _ = member.write(now, op(now.as_secs()), Delta { value: 1, ballast: 500 });
            let _ = member.read_index(now);
            while let Some(token) = member.poll_persist(&mut buffer) {
                member.persisted(now, token);
            }
            let frames = (0..1000).take_while(|_| member.poll_transmit(&mut buffer).is_some()).count();
            prop_assert!(frames < 1000, "it sends without end");
            while member.poll_event().is_some() {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_change_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300), from in 0..5_u64, sealed: bool) {
        let mut bytes = bytes;
        if sealed && bytes.len() > 8 {
            bytes[..3].copy_from_slice(b"IQ\x02");
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
        let start = EPOCH.min(frame.len() - 9);
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
        prop_assert_eq!(refuse(member, 17, &frame), MessageError::NotMember { configuration: 1 });
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
    assert_eq!(refuse(member, 9, &frame), MessageError::NotMember { configuration: 1 });
    assert_eq!(refuse(member, to as u64, &frame), MessageError::NotMember { configuration: 1 });
    assert_eq!(refuse(member, sender, b"IQ"), MessageError::Malformed);
    assert_eq!(refuse(member, sender, &changed(0, b'X')), MessageError::Malformed);
    assert_eq!(refuse(member, sender, &changed(2, 9)), MessageError::Version { found: 9 });
    assert_eq!(refuse(member, sender, &changed(3, 0)), MessageError::Malformed);
    assert_eq!(refuse(member, sender, &changed(3, 13)), MessageError::Malformed);
    let mut flipped = frame.clone();
    flipped[30] ^= 1;
    assert_eq!(refuse(member, sender, &flipped), MessageError::Checksum);
    let foreign = GroupId(0x19ff);
    assert_eq!(refuse(member, sender, &changed(4, 0xff)), MessageError::ForeignGroup { found: foreign });
    assert_eq!(refuse(member, sender, &changed(20, 0)), MessageError::OtherMode { found: Mode::Fast });
    assert_eq!(refuse(member, sender, &changed(20, 4)), MessageError::Malformed);
    assert_eq!(
        refuse(member, sender, &changed(EPOCH - 16, 3 - u8::try_from(from + to).expect("small"))),
        MessageError::Misrouted
    );
    let jump = refuse(member, sender, &changed(EPOCH + 5, 1));
    assert!(matches!(jump, MessageError::EpochJump { found, current } if found - current > 1 << 32), "{jump:?}");
    let max = config(1000).max_frame;
    assert_eq!(refuse(member, sender, &vec![0; max + 1]), MessageError::TooLong { len: max + 1, max });
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
fn a_primary_that_takes_back_what_it_sent_is_refused() {
    let config = volatile();
    let mut member: Member = found(&config, 1, 3);
    let now = Duration::from_secs(3);
    let append = |commit, list: &[(u64, Option<usize>)]| {
        // Epoch; the entry before: epoch, sequence; commit; round.
        forge(&config, [0, 1, 3], 5, &[2, 0, 0, commit, 1], &entries(list))
    };
    assert_eq!(member.handle_message(now, 0, &append(0, &[(2, None), (2, Some(0)), (2, Some(0))])), Ok(()));
    // Another entry in the same epoch and place, and a commit of what stood after it.
    let lie = append(3, &[(1, None)]);
    let before = member.last();
    assert_eq!(member.handle_message(now, 0, &lie), Err(MessageError::Contradiction { sequence: 1 }));
    assert_eq!(member.last(), before);
}

#[test]
fn a_parcel_beyond_the_limit_is_never_begun() {
    let config = Config { max_frame: 1024, max_reassembly: 4096, ..volatile() };
    let mut member: Member = found(&config, 1, 3);
    let now = Duration::from_secs(3);
    // An entry to stand at 1, of which this is the first byte.
    let part = |total: u64| {
        let words = [2, 1, total, 0].map(u64::to_le_bytes).concat();
        forge(&config, [0, 1, 3], 7, &[2], &[&[1][..], &words, &[7]].concat())
    };
    for total in [4097, u64::from(u32::MAX), u64::MAX] {
        let refused = member.handle_message(now, 0, &part(total));
        assert!(matches!(refused, Err(MessageError::TooLong { max: 4096, .. })), "{refused:?}");
        assert_eq!(member.epoch(), 0);
    }
    assert_eq!(member.handle_message(now, 0, &part(4096)), Ok(()));
    assert_eq!(member.last().sequence, 0);
}

#[test]
fn a_history_beyond_the_end_of_numbers_is_refused() {
    let small = Config { ring_entries: 8, ..volatile() };
    let (mut net, primary, away) = Net::behind(&small);
    let is_snapshot = |frame: &[u8]| (frame[3], frame[BODY]) == (7, 0) && frame.len() > 900;
    let (_, _, part) =
        net.sent.iter().find(|(_, to, frame)| *to == away && is_snapshot(frame)).expect("one part").clone();
    for (sequence, is_taken) in [(u64::MAX, false), ((1 << 62) + 1, false), (1 << 62, true)] {
        let (now, mut lie) = (net.now, part.clone());
        // In the name of the parcel, and in the state that it brings.
        for at in [BODY + 9, BODY + 41] {
            assert_eq!(u64::from_le_bytes(*lie[at..].first_chunk().expect("long")), 101);
            lie[at..at + 8].copy_from_slice(&sequence.to_le_bytes());
        }
        mend(&mut lie);
        let mut member = net.member(away).clone();
        let taken = member.handle_message(now, primary as u64, &lie);
        assert_eq!(taken, if is_taken { Ok(()) } else { Err(MessageError::Undecodable { sequence }) });
        assert_eq!(member.last().sequence == sequence, is_taken);
        exercise(member);
    }
}

#[test]
fn a_refused_part_changes_nothing() {
    let config = volatile();
    let mut member: Member = found(&config, 1, 3);
    member.handle_timeout(Duration::from_secs(1));
    let mut bytes = vec![1_u8];
    for word in [5_u64, 1, 20, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([0xee; 20]);
    let frame = forge(&config, [0, 1, 3], 7, &[5], &bytes);
    let refused = member.handle_message(Duration::from_secs(1), 0, &frame);
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(member.epoch(), 0);
}

/// What waits for parts ahead of it is counted as it comes and goes, also when it comes again and is shorter.
#[test]
fn parts_that_come_again_with_another_length_cost_what_they_hold() {
    let config = Config { max_inflight_bytes: 2000, ..volatile() };
    let mut member: Member = found(&config, 1, 3);
    member.handle_timeout(Duration::from_secs(1));
    let total = 6000_u64;
    let mut send = |offset: u64, len: usize| {
        let mut bytes = vec![1_u8];
        [5_u64, 1, total, offset].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.resize(bytes.len() + len, 0xee);
        let frame = forge(&config, [0, 1, 3], 7, &[5], &bytes);
        let taken = member.handle_message(Duration::from_secs(1), 0, &frame);
        let reply = core::iter::from_fn(|| {
            let mut frame = Vec::new();
            member.poll_transmit(&mut frame).map(|_| frame)
        });
        // What it has up to the first gap.
        let have = reply.filter(|frame| frame[3] == 8).last().map(|frame| {
            let end = frame.len() - 8;
            u64::from_le_bytes(*frame[..end].last_chunk().expect("long"))
        });
        (taken, have)
    };
    for len in [1500, 10, 1400, 1] {
        assert_eq!(send(3000, len), (Ok(()), Some(0)));
    }
    // The one byte leaves room for this one.
    assert_eq!(send(1000, 1500), (Ok(()), Some(0)));
    assert_eq!(send(0, 1000), (Ok(()), Some(2500)), "that one was kept");
    assert_eq!(send(2500, 500), (Ok(()), Some(3001)), "and the byte");
    // None waits any more.
    assert_eq!(send(4500, 1000), (Ok(()), Some(3001)));
    assert_eq!(send(3001, 1499), (Ok(()), Some(5500)), "that one was kept");
}
