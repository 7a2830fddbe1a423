//! What a demand monitor is asked with, and what it answers.

use crate::target::Target;
use core::time::Duration;

/// The replicas of a resource, and how many there may be. A ceiling below the floor counts as one that is the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Replicas {
    /// How many there are.
    pub count: u32,
    /// No step leads below this.
    pub floor: u32,
    /// No step leads above this.
    pub ceiling: u32,
}

impl Replicas {
    /// `count` replicas within the bounds of `target`. What the target wants at the moment is not looked at.
    #[must_use]
    pub const fn within(count: u32, target: &Target) -> Self {
        Self { count, floor: target.floor, ceiling: target.ceiling }
    }
}

/// What [`DemandMonitor::decide`](crate::DemandMonitor::decide) answers. [`Allocator::resize`](crate::Allocator::resize) does
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Scale {
    /// Recruit replicas until there are `to`, more than there are now.
    Up {
        /// The new count.
        to: u32,
    },
    /// Drop replicas until there are `to`, fewer than there are now.
    Down {
        /// The new count.
        to: u32,
    },
    /// Change nothing.
    Hold(Hold),
}

/// Why a count stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Hold {
    /// The score is between the thresholds, or at one of them.
    Steady,
    /// The count is as high or as low as it may be.
    AtBound,
    /// The last step is not long enough ago.
    Cooldown {
        /// When it will be.
        until: Duration,
    },
    /// The resource has not been watched long enough for a low score to mean little demand.
    WarmUp {
        /// When it will be.
        until: Duration,
    },
    /// Too many replicas of all resources moved that way in this window.
    Budget {
        /// When the next window may open.
        until: Duration,
    },
}

/// What a [`DemandMonitor`](crate::DemandMonitor) has done so far. A step told and not carried out is counted as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DemandMetrics {
    /// Resources remembered at present.
    pub tracked: u32,
    /// Resources forgotten to make room.
    pub evicted: u64,
    /// Steps up.
    pub steps_up: u64,
    /// Steps down.
    pub steps_down: u64,
    /// Replicas that steps up added.
    pub replicas_added: u64,
    /// Replicas that steps down dropped.
    pub replicas_dropped: u64,
    /// Steps against the direction of the one before, of the same resource.
    pub reversals: u64,
    /// The sum over resources of what is left of their moves: of 3 added and 2 dropped, 1. For a resource that was
    /// forgotten in between the sum starts anew.
    pub net_replicas: u64,
    /// Steps that the movement budget put off or made smaller.
    pub over_budget: u64,
}

impl DemandMetrics {
    /// Replicas moved for each that stayed moved, in thousandths: 1000 when no move was ever taken back. `None` when
    /// nothing is left of the moves, or none was made.
    #[must_use]
    pub fn thrash_permille(&self) -> Option<u64> {
        let moved = u128::from(self.replicas_added) + u128::from(self.replicas_dropped);
        let thrash = (moved * 1000).checked_div(u128::from(self.net_replicas))?;
        Some(u64::try_from(thrash).unwrap_or(u64::MAX))
    }
}
