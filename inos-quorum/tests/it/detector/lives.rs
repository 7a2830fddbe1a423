//! Goal: the state of a node is that of its newest life, whatever comes late of former ones, and no restart is told that
//! did not happen. Method: lives by hand at exact times; lives, losses and delays at random.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use alloc::collections::BTreeMap;
use core::time::Duration;

use inos_quorum::{Detector, DetectorConfig, PeerState};
use proptest::prelude::*;

use super::{SUSPECTED, UNREACHABLE, alive, alone, beat, detector, events, forge, ms, phi, watched, watcher};

/// The watcher's next heartbeat arrives.
fn reply(left: &mut Detector<u32>, right: &mut Detector<u32>, now: Duration) {
    let mut frame = Vec::new();
    left.handle_timeout(now);
    while left.poll_transmit(&mut frame).is_some() {
        right.handle_message(now, 1, &frame).expect("a heartbeat");
    }
}

#[test]
fn another_life_is_told_once_it_answers_and_the_former_one_is_over_for_good() {
    let (mut left, mut before, mut after) = (watcher(DetectorConfig::default()), watched(90), watched(30));
    reply(&mut left, &mut before, ms(0));
    left.handle_message(ms(10), 2, &beat(&mut before)).expect("a heartbeat");
    assert_eq!(events(&mut left), [alive(90)]);
    // It could be late. An answer to a beat sent after the present life was heard last could not.
    left.handle_message(ms(190), 2, &beat(&mut after)).expect("a heartbeat");
    assert_eq!((events(&mut left), left.counters().stale), (vec![], 1));
    reply(&mut left, &mut after, ms(200));
    left.handle_message(ms(210), 2, &beat(&mut after)).expect("a heartbeat");
    assert_eq!((events(&mut left), left.counters().accepted), (vec![alive(30)], 2));
    assert_eq!(alone(&mut left, ms(5210)), [(ms(1210), SUSPECTED), (ms(5210), UNREACHABLE)]);
    // However long the new life is silent, late frames do not bring the former one back.
    for late in [5300, 6300] {
        left.handle_message(ms(late), 2, &beat(&mut before)).expect("no error");
        assert_eq!(alone(&mut left, ms(late)), []);
    }
    assert_eq!(left.state(2), Some(PeerState::Unreachable));
    left.handle_message(ms(6400), 2, &beat(&mut after)).expect("a heartbeat");
    assert_eq!(events(&mut left), [alive(30)]);
}

#[test]
fn an_answer_to_an_earlier_beat_or_to_an_earlier_life_of_the_watcher_proves_nothing() {
    let (mut left, mut before) = (watcher(DetectorConfig::default()), watched(90));
    reply(&mut left, &mut before, ms(0));
    left.handle_message(ms(10), 2, &beat(&mut before)).expect("a heartbeat");
    alone(&mut left, ms(200));
    // The watcher, in its life 11, has beaten once before it heard the present life, and once after.
    let head = b"IH\x01\x01\x1e\0\0\0\0\0\0\0\x04\x01\0\0\0";
    for (sequence, echo) in [(1, [11, 1]), (2, [12, 2]), (3, [11, 3])] {
        left.handle_message(ms(210), 2, &forge(head, [sequence, echo[0], echo[1], 0])).expect("no error");
        assert_eq!(events(&mut left), [], "{echo:?}");
    }
    left.handle_message(ms(210), 2, &forge(head, [4, 11, 2, 0])).expect("a heartbeat");
    assert_eq!(events(&mut left), [alive(30)]);
}

/// Or two nodes that have both restarted might wait for each other's proof.
#[test]
fn the_echo_names_a_life_that_is_not_believed_yet() {
    let (mut left, mut before, mut after) = (watcher(DetectorConfig::default()), watched(90), watched(30));
    left.handle_message(ms(0), 2, &beat(&mut before)).expect("a heartbeat");
    left.handle_message(ms(0), 2, &beat(&mut after)).expect("a heartbeat");
    assert_eq!(events(&mut left), [alive(90)]);
    let echo: Vec<u8> = [30_u64, 1].into_iter().flat_map(u64::to_le_bytes).collect();
    assert_eq!(beat(&mut left)[25..41], echo);
}

#[test]
fn a_frame_repeated_is_no_life_that_beats() {
    let (mut left, mut before, mut after) = (watcher(DetectorConfig::default()), watched(90), watched(30));
    left.handle_message(ms(0), 2, &beat(&mut before)).expect("a heartbeat");
    let late = beat(&mut after);
    for at in [100, 300, 500, 700, 900] {
        left.handle_message(ms(at), 2, &late).expect("no error");
        alone(&mut left, ms(at));
    }
    assert_eq!(left.state(2), Some(PeerState::Alive { incarnation: 90 }));
}

#[test]
fn a_life_that_answers_nobody_is_told_when_it_beats_alone_for_three_intervals_or_the_present_one_is_suspected() {
    let (mut left, mut before) = (watcher(DetectorConfig::default()), watched(90));
    left.handle_message(ms(0), 2, &beat(&mut before)).expect("a heartbeat");
    let mut after = watched(30);
    for at in [100, 300, 500] {
        left.handle_message(ms(at), 2, &beat(&mut after)).expect("a heartbeat");
    }
    // The present one was alive meanwhile: the others begin anew.
    left.handle_message(ms(600), 2, &beat(&mut before)).expect("a heartbeat");
    for at in [700, 900, 1100] {
        left.handle_message(ms(at), 2, &beat(&mut after)).expect("a heartbeat");
        alone(&mut left, ms(at));
    }
    assert_eq!(left.state(2), Some(PeerState::Alive { incarnation: 90 }));
    left.handle_message(ms(1300), 2, &beat(&mut after)).expect("a heartbeat");
    assert_eq!(events(&mut left), [alive(30)]);
    // And back, without proof: nothing has shown which is the later one.
    assert_eq!(alone(&mut left, ms(2300)), [(ms(2300), SUSPECTED)]);
    left.handle_message(ms(2300), 2, &beat(&mut before)).expect("a heartbeat");
    assert_eq!(events(&mut left), [alive(90)]);
}

#[test]
fn what_a_life_beat_before_a_gap_of_the_watcher_is_not_held_against_another() {
    let (mut left, mut before, mut after) = (watcher(DetectorConfig::default()), watched(90), watched(30));
    left.handle_message(ms(0), 2, &beat(&mut before)).expect("a heartbeat");
    left.handle_message(ms(100), 2, &beat(&mut after)).expect("a heartbeat");
    left.handle_message(ms(5000), 2, &beat(&mut after)).expect("a heartbeat");
    assert!(left.is_fenced());
    assert_eq!(left.state(2), Some(PeerState::Alive { incarnation: 90 }));
}

#[test]
fn a_late_frame_of_a_life_unheard_of_does_not_silence_the_present_one() {
    let (mut left, mut before, mut after) = (watcher(DetectorConfig::default()), watched(1), watched(2));
    let late = beat(&mut before);
    left.handle_message(ms(10), 2, &beat(&mut after)).expect("a heartbeat");
    left.handle_message(ms(20), 2, &late).expect("no error");
    assert_eq!(events(&mut left), [alive(2)]);
    for at in (1..=100).map(|beats| ms(20 + 200 * beats)) {
        assert_eq!(alone(&mut left, at), []);
        left.handle_message(at, 2, &beat(&mut after)).expect("a heartbeat");
        assert_eq!((events(&mut left), left.state(2)), (vec![], Some(PeerState::Alive { incarnation: 2 })));
    }
}

/// The watcher has just started, and many frames of four former lives are under way: none of these is told while the
/// present one is heard, although each third heartbeat of it is lost.
#[test]
fn bursts_of_late_frames_announce_no_restart() {
    let mut left = watcher(DetectorConfig::default());
    let (mut former, mut present) = ([1, 2, 3, 4].map(watched), watched(5));
    left.handle_message(ms(0), 2, &beat(&mut present)).expect("a heartbeat");
    events(&mut left);
    for at in (1..=50).map(|beats| ms(200 * beats)) {
        for late in &mut former {
            for _ in 0..3 {
                left.handle_message(at - ms(100), 2, &beat(late)).expect("no error");
            }
        }
        assert_eq!(alone(&mut left, at), []);
        if at.as_millis() % 600 != 0 {
            left.handle_message(at, 2, &beat(&mut present)).expect("a heartbeat");
        }
        assert_eq!((events(&mut left), left.state(2)), (vec![], Some(PeerState::Alive { incarnation: 5 })));
    }
}

/// A node that lives several times, and a watcher that starts some time; told in steps of 10 ms.
struct Story {
    now: Duration,
    left: Detector<u32>,
    right: Detector<u32>,
    /// Whether the node hears the watcher.
    hears: bool,
    /// What becomes of each frame in turn: 0 to 9 lost, 10 to 49 there at once, else late by that many steps.
    fates: Vec<u64>,
    frames: usize,
    wire: BTreeMap<(Duration, usize), Vec<u8>>,
}

impl Story {
    fn fate(&mut self) -> Option<Duration> {
        self.frames += 1;
        match self.fates.get(self.frames % self.fates.len().max(1)).copied().unwrap_or(10) {
            0..10 => None,
            10..50 => Some(ms(0)),
            steps => Some(ms(10 * steps)),
        }
    }

    /// One step, at whose end the node beats or not.
    fn step(&mut self, beats: bool) {
        self.now += ms(10);
        while let Some(arrival) = self.wire.first_entry().filter(|arrival| arrival.key().0 <= self.now) {
            // Refused while the node is not watched.
            let _ = self.left.handle_message(self.now, 2, &arrival.remove());
        }
        let mut frame = Vec::new();
        self.left.handle_timeout(self.now);
        while self.left.poll_transmit(&mut frame).is_some() {
            if self.fate().is_some() && self.hears {
                self.right.handle_message(self.now, 1, &frame).expect("a heartbeat");
            }
        }
        if beats {
            let frame = beat(&mut self.right);
            match self.fate() {
                Some(delay) if delay.is_zero() => drop(self.left.handle_message(self.now, 2, &frame)),
                Some(delay) => drop(self.wire.insert((self.now + delay, self.frames), frame)),
                None => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Once nothing is late any more and only the newest life beats, it is told and stays: from its second beat if it
    /// hears the watcher, from its fourth if it does not.
    #[test]
    fn after_any_late_frames_the_newest_life_is_told_within_a_few_of_its_beats(
        lives in prop::collection::vec(0_u64..12, 1..8),
        incarnations in Just(vec![50_u64, 20, 70, 10, 80, 30, 60]).prop_shuffle(),
        fates in prop::collection::vec(0_u64..500, 0..60),
        watched_from in 0_u64..600,
        quiet_beat in prop::option::of(0_u64..12),
        hears in any::<bool>(),
        adaptive in any::<bool>(),
    ) {
        let config = if adaptive { phi(8) } else { DetectorConfig::default() };
        let (left, right) = (detector(config, 1, 11), watched(0));
        let mut story = Story { now: ms(0), left, right, hears, fates, frames: 0, wire: BTreeMap::new() };
        let mut steps = 0;
        for (beats, &incarnation) in lives.iter().zip(&incarnations) {
            story.right = watched(incarnation);
            for step in 1..=20 * beats {
                steps += 1;
                if steps >= watched_from {
                    story.left.watch(story.now, 2).expect("room");
                }
                if quiet_beat.is_some_and(|beat| step == 20 * beat + 1) {
                    story.right.going_quiet(ms(0), ms(60_000));
                }
                story.step(step % 20 == 0);
            }
        }
        story.left.watch(story.now, 2).expect("room");
        while !story.wire.is_empty() {
            story.step(false);
        }
        story.fates.clear();
        let newest = PeerState::Alive { incarnation: incarnations[lives.len() - 1] };
        for step in 1..=20 * 40 {
            story.step(step % 20 == 0);
            let beats = step / 20;
            if beats >= if hears { 2 } else { 4 } {
                prop_assert_eq!(story.left.state(2), Some(newest), "after {} beats", beats);
            }
        }
        prop_assert_eq!(story.left.counters().gaps, 0);
    }
}
