//! Failure detectors beside the groups: with them an idle group falls silent, and has to wake in time.

use alloc::vec::Vec;
use core::time::Duration;

use super::{
    Violation,
    trace::Entry,
    world::{Happening, World},
};
use crate::{Actor, Detector, DetectorConfig, DetectorEvent, Thresholds};

/// The detector of one node, and when it wants to be called.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    detector: Detector<u64>,
    pub(super) timer_us: u64,
}

impl<const MERGES: bool> World<MERGES> {
    /// A started node begins to watch all others, if the plan has detectors.
    pub(super) fn begin_watch(&mut self, node: usize, me: Actor<u64>) {
        if !self.plan.detectors {
            return;
        }
        let elect_min = self.plan.config.elect_min;
        let config = DetectorConfig {
            interval: elect_min / 4,
            thresholds: Thresholds::Fixed { suspect: elect_min, unreachable: self.plan.config.unreachable },
            ..DetectorConfig::default()
        };
        let local = self.local(node);
        let others = (0..self.nodes.len()).filter(|&other| other != node);
        let watched = Detector::new(config, me).map_err(|error| Violation::new("detectors start", text(&error)));
        let watched = watched.and_then(|mut detector| {
            for other in others {
                let taken = detector.watch(local, other as u64);
                taken.map_err(|error| Violation::new("detectors watch", text(&error)))?;
            }
            Ok(detector)
        });
        match watched {
            Ok(detector) => self.nodes[node].watch = Some(Watch { detector, timer_us: self.now_us }),
            Err(violation) => self.violated(violation),
        }
    }

    pub(super) fn watch_timeout(&mut self, node: usize) {
        let local = self.local(node);
        let is_paused = self.is_paused(node);
        let Some(watch) = &mut self.nodes[node].watch else { return };
        watch.timer_us = u64::MAX;
        if !is_paused {
            watch.detector.handle_timeout(local);
            self.settle_watch(node);
        }
    }

    /// A heartbeat arrives; one for a node that sleeps finds its socket full.
    pub(super) fn beat(&mut self, from: usize, to: usize, frame: &[u8]) {
        if !self.is_up(to) {
            return;
        }
        let local = self.local(to);
        let Some(watch) = &mut self.nodes[to].watch else { return };
        match watch.detector.handle_message(local, from as u64, frame) {
            Ok(()) => {}
            Err(error) => self.violated(Violation::new("honest heartbeats are heard", text(&error))),
        }
        self.settle_watch(to);
    }

    /// Sends what is due, and tells the group of what has changed.
    pub(super) fn settle_watch(&mut self, node: usize) {
        let local = self.local(node);
        let Some(mut watch) = self.nodes[node].watch.take() else { return };
        let mut beat = Vec::new();
        while let Some(to) = watch.detector.poll_transmit(&mut beat) {
            let to = usize::try_from(to).unwrap_or(usize::MAX);
            for at_us in self.network.fate(&mut self.rng, self.now_us, node, to).into_iter().flatten() {
                self.queue.put(at_us, Happening::Beat { from: node, to, frame: beat.clone() });
            }
        }
        while let Some(event) = watch.detector.poll_event() {
            let DetectorEvent::Peer { node: other, state } = event else { continue };
            self.trace.note_shown(self.now_us, node, Entry::Peer, &(other, state));
            if let Some(group) = &mut self.nodes[node].group {
                group.peer_state(local, other, state);
            }
            self.settle(node);
        }
        let clock = &self.nodes[node].clock;
        let due = watch.detector.poll_timeout();
        watch.timer_us = due.map_or(u64::MAX, |due: Duration| clock.true_us(due).max(self.now_us));
        self.nodes[node].watch = Some(watch);
    }
}

fn text(error: &impl core::fmt::Display) -> alloc::string::String {
    alloc::format!("{error}")
}
