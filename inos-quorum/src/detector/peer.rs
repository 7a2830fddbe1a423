//! One watched node.

use core::time::Duration;

use super::{
    config::{DetectorConfig, Thresholds},
    window::Window,
    wire::Heartbeat,
};
use crate::PeerState;

/// Former lives whose late frames are known as such. More restarts than this while one frame is under way are absurd.
const FORMER_LIVES: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    /// `None`: not heard since it is watched, and not yet silent for long.
    pub(crate) state: Option<PeerState>,
    /// The state last told.
    pub(crate) told: Option<PeerState>,
    /// Incarnation and greatest sequence heard.
    pub(crate) heard: Option<(u64, u64)>,
    former: [Option<u64>; FORMER_LIVES],
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
            heard: None,
            former: [None; FORMER_LIVES],
            silent_since: now,
            sample_from: None,
            window: Window::default(),
            deadline: None,
        }
    }

    /// Takes in a heartbeat. A stale one changes nothing.
    pub(crate) fn hear(
        &mut self,
        now: Duration,
        heartbeat: &Heartbeat,
        config: &DetectorConfig,
        sampling: Sampling,
    ) -> Freshness {
        let Heartbeat { incarnation, sequence, quiet_us, .. } = *heartbeat;
        match self.heard {
            Some((known, greatest)) if known == incarnation => {
                if sequence <= greatest {
                    return Freshness::Stale;
                }
                self.sample(now, config);
            }
            _ if self.former.contains(&Some(incarnation)) => return Freshness::Stale,
            former => {
                if let Some((life, _)) = former {
                    self.former.rotate_right(1);
                    self.former[0] = Some(life);
                }
                self.window = Window::default();
            }
        }
        let quiet = Duration::from_micros(quiet_us).min(config.max_quiet);
        self.heard = Some((incarnation, sequence));
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
