//! How a detector is set up.

use core::time::Duration;

use thiserror::Error;

/// How long a silence must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Thresholds {
    /// The same for every node, whatever its network is like.
    Fixed {
        /// Silence until [`PeerState::Suspected`](crate::PeerState::Suspected).
        suspect: Duration,
        /// Silence until [`PeerState::Unreachable`](crate::PeerState::Unreachable).
        unreachable: Duration,
    },
    /// Phi accrual (Hayashibara et al. 2004): suspicion once the silence is so long that a heartbeat later than that
    /// has a probability below 10^-phi, by the mean and the deviation of the last 64 intervals of that node.
    PhiAccrual {
        /// 1 to 12. 8 is what most systems with such a detector begin with.
        suspect_phi: u8,
        /// Silence until [`PeerState::Unreachable`](crate::PeerState::Unreachable); no adaptive timeout exceeds it.
        unreachable: Duration,
    },
}

impl Thresholds {
    pub(crate) const fn unreachable(self) -> Duration {
        match self {
            Self::Fixed { unreachable, .. } | Self::PhiAccrual { unreachable, .. } => unreachable,
        }
    }
}

/// Settings of one detector. `interval` and `thresholds` should be the same on all nodes: a node that beats more slowly
/// than others expect is suspected by them.
///
/// ```
/// use inos_quorum::{DetectorConfig, Thresholds};
/// use core::time::Duration;
///
/// let unreachable = Duration::from_secs(5);
/// let adaptive = DetectorConfig {
///     thresholds: Thresholds::PhiAccrual { suspect_phi: 8, unreachable },
///     ..DetectorConfig::default()
/// };
/// assert_eq!(adaptive.interval, Duration::from_millis(200));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DetectorConfig {
    /// Time between heartbeats, 1 ms to 1 min. Default 200 ms: a silence of 1 s then takes four losses in a row.
    pub interval: Duration,
    /// Default: fixed, 1 s and 5 s.
    pub thresholds: Thresholds,
    /// An input later than this many intervals after the deadline asked for is a gap, 1 to 100. Default 2.
    pub gap_intervals: u32,
    /// The longest announced silence that is believed, and announced; at most 1 hour, zero for none. Default 120 s:
    /// browsers run the timers of a tab that was hidden for long once a minute.
    pub max_quiet: Duration,
    /// Watched nodes. Default 4,096.
    pub max_nodes: usize,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        let (suspect, unreachable) = (Duration::from_secs(1), Duration::from_secs(5));
        Self {
            interval: Duration::from_millis(200),
            thresholds: Thresholds::Fixed { suspect, unreachable },
            gap_intervals: 2,
            max_quiet: Duration::from_secs(120),
            max_nodes: 4096,
        }
    }
}

impl DetectorConfig {
    /// A sleep of this node shorter than this may go unnoticed, so no shorter silence may be held against others.
    pub(crate) fn least_timeout(&self) -> Duration {
        self.interval.saturating_mul(self.gap_intervals.saturating_add(1))
    }

    /// How late an input may be.
    pub(crate) fn allowed_lateness(&self) -> Duration {
        self.interval.saturating_mul(self.gap_intervals)
    }

    pub(crate) fn check(&self) -> Result<(), DetectorConfigError> {
        let Self { interval, gap_intervals, max_quiet, .. } = *self;
        if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&interval) {
            return Err(DetectorConfigError::Interval { interval });
        }
        if !(1..=100).contains(&gap_intervals) {
            return Err(DetectorConfigError::Gap { gap_intervals });
        }
        if max_quiet > LONGEST {
            return Err(DetectorConfigError::Quiet { max_quiet });
        }
        let (least, unreachable) = (self.least_timeout(), self.thresholds.unreachable());
        let suspect = match self.thresholds {
            Thresholds::Fixed { suspect, .. } => suspect,
            Thresholds::PhiAccrual { suspect_phi: 1..=12, .. } => least,
            Thresholds::PhiAccrual { suspect_phi, .. } => return Err(DetectorConfigError::Phi { suspect_phi }),
        };
        if suspect < least || unreachable <= suspect || unreachable > LONGEST {
            return Err(DetectorConfigError::Silence { suspect, unreachable, least });
        }
        Ok(())
    }
}

/// Microseconds of it fit 32 bits.
const LONGEST: Duration = Duration::from_secs(3600);

/// The detector cannot start. The caller's doing; nothing was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DetectorConfigError {
    /// The interval is outside 1 ms to 1 min.
    #[error("an interval of {interval:?} is outside 1 ms to 1 min")]
    Interval {
        /// As given.
        interval: Duration,
    },
    /// The gap is outside 1 to 100 intervals.
    #[error("a gap of {gap_intervals} intervals is outside 1 to 100")]
    Gap {
        /// As given.
        gap_intervals: u32,
    },
    /// (`gap_intervals` + 1) x `interval` <= suspect < unreachable <= 1 hour does not hold: a shorter silence may be
    /// this node's own sleep.
    #[error(
        "suspect {suspect:?} and unreachable {unreachable:?} do not satisfy {least:?} <= suspect < unreachable <= 1 h"
    )]
    Silence {
        /// As given, or the least one for phi accrual.
        suspect: Duration,
        /// As given.
        unreachable: Duration,
        /// (`gap_intervals` + 1) x `interval`.
        least: Duration,
    },
    /// phi is outside 1 to 12.
    #[error("phi {suspect_phi} is outside 1 to 12")]
    Phi {
        /// As given.
        suspect_phi: u8,
    },
    /// `max_quiet` exceeds one hour.
    #[error("{max_quiet:?} exceeds one hour")]
    Quiet {
        /// As given.
        max_quiet: Duration,
    },
}
