//! One watched node.

use core::time::Duration;

use super::{
    config::{DetectorConfig, Thresholds},
    lives::{Hearing, Lives, Verdict},
    window::Window,
    wire::Heartbeat,
};
use crate::PeerState;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    /// `None`: not heard since it is watched, and not yet silent for long.
    pub(crate) state: Option<PeerState>,
    /// The state last told.
    pub(crate) told: Option<PeerState>,
    pub(crate) lives: Lives,
    /// Where its silence is counted from. In the future while it has announced silence.
    silent_since: Duration,
    /// Where the next sample begins; `None` when the next interval would say nothing about its network.
    sample_from: Option<Duration>,
    window: Window,
    /// What stands in the detector's set of deadlines.
    pub(crate) deadline: Option<Duration>,
}

impl Peer {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            state: None,
            told: None,
            lives: Lives::default(),
            silent_since: now,
            sample_from: None,
            window: Window::default(),
            deadline: None,
        }
    }

    /// Takes in a heartbeat. A stale one prolongs nothing.
    pub(crate) fn hear(
        &mut self,
        heartbeat: &Heartbeat,
        Heard { now, beat, answers, sampling }: Heard,
        config: &DetectorConfig,
    ) -> Freshness {
        let Heartbeat { incarnation, sequence, quiet_us, .. } = *heartbeat;
        let is_silent = matches!(self.state, Some(PeerState::Suspected | PeerState::Unreachable));
        let hearing = Hearing { now, beat, answers, is_silent, patience: config.least_timeout() };
        match self.lives.hear(incarnation, sequence, &hearing) {
            Verdict::Present => self.sample(now, config),
            Verdict::Another => self.window = Window::default(),
            Verdict::Stale => return Freshness::Stale,
        }
        let quiet = Duration::from_micros(quiet_us).min(config.max_quiet);
        self.state = Some(PeerState::Alive { incarnation });
        self.silent_since = now.saturating_add(quiet);
        self.sample_from = (quiet.is_zero() && sampling == Sampling::Allowed).then_some(now);
        Freshness::New
    }

    fn sample(&mut self, now: Duration, config: &DetectorConfig) {
        let Thresholds::PhiAccrual { unreachable, .. } = config.thresholds else { return };
        if let Some(from) = self.sample_from
            && now - from <= unreachable
        {
            self.window.push(now - from);
        }
    }

    /// The watcher slept until `now`: what it did not hear before says nothing.
    pub(crate) fn forgive(&mut self, now: Duration) {
        self.silent_since = self.silent_since.max(now);
        self.sample_from = None;
        self.lives.interrupt();
    }

    /// Whether it should answer soon.
    pub(crate) fn is_expected(&self, now: Duration) -> bool {
        matches!(self.state, Some(PeerState::Alive { .. })) && self.silent_since <= now
    }

    /// Silence until `Suspected`.
    pub(crate) fn timeout(&self, config: &DetectorConfig) -> Duration {
        match config.thresholds {
            Thresholds::Fixed { suspect, .. } => suspect,
            Thresholds::PhiAccrual { suspect_phi, unreachable } => {
                self.window.timeout(suspect_phi).clamp(config.least_timeout(), unreachable)
            }
        }
    }

    /// When silence next changes its state.
    pub(crate) fn next_deadline(&self, config: &DetectorConfig) -> Option<Duration> {
        let silence = match self.state {
            None | Some(PeerState::Alive { .. }) => self.timeout(config),
            Some(PeerState::Suspected) => config.thresholds.unreachable(),
            Some(PeerState::Unreachable) => return None,
        };
        Some(self.silent_since.saturating_add(silence))
    }

    /// Its deadline has passed.
    pub(crate) fn worsen(&mut self) {
        self.state = Some(match self.state {
            None | Some(PeerState::Alive { .. }) => PeerState::Suspected,
            Some(PeerState::Suspected | PeerState::Unreachable) => PeerState::Unreachable,
        });
    }
}

/// How a heartbeat was heard.
#[derive(Clone, Copy)]
pub(crate) struct Heard {
    pub(crate) now: Duration,
    /// The last beat of this node.
    pub(crate) beat: u64,
    /// The beat of this life of this node that the heartbeat echoes.
    pub(crate) answers: Option<u64>,
    pub(crate) sampling: Sampling,
}

/// Whether the next interval may be sampled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampling {
    Allowed,
    Suspended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    New,
    Stale,
}
