//! What a demand monitor is made with.

use crate::decay::{Unit, nanos};
use core::time::Duration;
use thiserror::Error;

/// Amounts of what a resource was used for; or, in a policy, the amounts that count as full demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Signals {
    /// Requests served.
    pub accesses: u64,
    /// Bytes sent and received for it.
    pub network_bytes: u64,
    /// Milliseconds of processor time spent on it.
    pub compute_ms: u64,
    /// Credits paid for it.
    pub credits: u64,
}

impl Signals {
    pub(super) const fn to_array(self) -> [u64; 4] {
        [self.accesses, self.network_bytes, self.compute_ms, self.credits]
    }
}

/// What each signal contributes to the score, in thousandths. They add up to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SignalWeights {
    /// Of requests.
    pub accesses: u16,
    /// Of bytes.
    pub network: u16,
    /// Of processor time.
    pub compute: u16,
    /// Of credits.
    pub credits: u16,
}

impl SignalWeights {
    pub(super) const fn to_array(self) -> [u16; 4] {
        [self.accesses, self.network, self.compute, self.credits]
    }
}

impl Default for SignalWeights {
    /// 400 requests, 300 bytes, 200 processor time, 100 credits.
    fn default() -> Self {
        Self { accesses: 400, network: 300, compute: 200, credits: 100 }
    }
}

/// When and how far a [`DemandMonitor`](crate::DemandMonitor) scales. `docs/policy.md` says where each default is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DemandPolicy {
    /// The amounts per [`per`](Self::per) that count as 1.0. More counts as 1.0 too. A signal whose full scale is zero is
    /// not measured: it counts as 0, and its weight goes to no other.
    pub full_scale: Signals,
    /// The span of time that `full_scale` is meant for, one second by default; longer for what happens seldom.
    pub per: Duration,
    /// What each signal contributes.
    pub weights: SignalWeights,
    /// Traffic of this long ago counts half. 30 s by default. Resources should be recorded at least this often.
    pub half_life: Duration,
    /// A score above this is a reason for more replicas: 800 by default.
    pub up_above: u16,
    /// A score below this is a reason for fewer: 300 by default.
    pub down_below: u16,
    /// Least time between two steps of a resource, and the window of the movement budget: 60 s by default.
    pub cooldown: Duration,
    /// A step up multiplies the count by this many thousandths, truncated, and adds at least one: 1001 to 2000, by default
    /// 2000.
    pub up_permille: u16,
    /// A step down multiplies the count by this many thousandths, rounded up, and takes at least one: 800 to 999, by
    /// default 800.
    pub down_permille: u16,
    /// Replicas that may be added in one window, and as many that may be dropped, in thousandths of all replicas told by
    /// [`set_total_replicas`](crate::DemandMonitor::set_total_replicas): 50 by default.
    pub movement_permille: u16,
    /// Replicas that may be added, and as many that may be dropped, however few there are: 10 by default.
    pub movement_min: u32,
    /// Most resources remembered: 65,536 by default. Each takes about 200 bytes beside its id.
    pub capacity: u32,
}

impl DemandPolicy {
    /// The defaults, for a mesh in which these amounts per second are as much as one resource is ever asked for.
    ///
    /// They have no default: only the integrator knows whether scores are of totals or of the mean replica.
    #[must_use]
    pub const fn new(full_scale: Signals) -> Self {
        Self {
            full_scale,
            per: Duration::from_secs(1),
            weights: SignalWeights { accesses: 400, network: 300, compute: 200, credits: 100 },
            half_life: Duration::from_secs(30),
            up_above: 800,
            down_below: 300,
            cooldown: Duration::from_secs(60),
            up_permille: 2000,
            down_permille: 800,
            movement_permille: 50,
            movement_min: 10,
            capacity: 65_536,
        }
    }
}

/// Why a [`DemandPolicy`] cannot be kept. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DemandPolicyError {
    /// A span of time is zero.
    #[error("half-life, cooldown and the span of the full scale are longer than zero")]
    NoTime,
    /// The weights are not shares of one whole.
    #[error("the weights come to {sum} thousandths")]
    Weights {
        /// Their sum.
        sum: u32,
    },
    /// Steps would never come, because the signals measured do not reach so high.
    #[error("the signals with a full scale reach {reach}, steps up come above {up_above}")]
    Unreachable {
        /// The sum of the weights of signals with a full scale.
        reach: u32,
        /// The threshold.
        up_above: u16,
    },
    /// A step from one replica to two, or back, would cross both thresholds, and the count would never rest.
    #[error("{up_above} is not above twice {down_below}")]
    NoHysteresis {
        /// The upper threshold.
        up_above: u16,
        /// The lower one.
        down_below: u16,
    },
    /// The score would still be that of the count before, and one step would follow another that was enough.
    #[error("the cooldown is shorter than {half_lives} half-lives")]
    CooldownTooShort {
        /// The least, for these thresholds.
        half_lives: u32,
    },
    /// A step is too small to be one, or so large that it crosses both thresholds.
    #[error("steps of {up_permille} up and {down_permille} down, 1001 to 2000 and 800 to 999 are possible")]
    Steps {
        /// The step up.
        up_permille: u16,
        /// The step down.
        down_permille: u16,
    },
    /// A movement budget that allows nothing, or more than everything.
    #[error("a budget of {movement_permille} thousandths and at least {movement_min}: up to 1000, and at least 1")]
    Movement {
        /// The share.
        movement_permille: u16,
        /// The least.
        movement_min: u32,
    },
    /// No room for a single resource.
    #[error("a capacity of zero resources")]
    NoCapacity,
}

/// What a policy comes to: everything that is computed once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Derived {
    pub(super) half_life: u64,
    pub(super) cooldown: u64,
    pub(super) weights: [u16; 4],
    pub(super) units: [Option<Unit>; 4],
}

/// The least `k` with `gap` x 2^k >= `whole`; `gap` is not zero.
fn doublings(gap: u32, whole: u32) -> u32 {
    whole.div_ceil(gap).next_power_of_two().trailing_zeros()
}

impl Derived {
    /// Checks the policy.
    ///
    /// The cooldown is k half-lives at least. After a step up, the score of the mean replica falls from at most 1000 to a new
    /// level q, and is at most q + (1000 - q) x 2^-k after k half-lives. Another step up must not lead below the lower
    /// threshold: where that sum is above up, q has to be at least 2 x down. So up - 2 x down >= (1000 - 2 x down) x 2^-k.
    pub(super) fn new(policy: &DemandPolicy) -> Result<Self, DemandPolicyError> {
        let [half_life, cooldown, per] = [policy.half_life, policy.cooldown, policy.per].map(nanos);
        if half_life == 0 || cooldown == 0 || per == 0 {
            return Err(DemandPolicyError::NoTime);
        }
        let weights = policy.weights.to_array().map(u32::from);
        let sum = weights.iter().sum();
        if sum != 1000 {
            return Err(DemandPolicyError::Weights { sum });
        }
        let units = policy.full_scale.to_array().map(|full_scale| Unit::new(full_scale, per, half_life));
        let reach = weights.iter().zip(&units).map(|(weight, unit)| if unit.is_some() { *weight } else { 0 }).sum();
        let (up_above, down_below) = (policy.up_above, policy.down_below);
        if reach <= u32::from(up_above) {
            return Err(DemandPolicyError::Unreachable { reach, up_above });
        }
        let landing = 2 * u32::from(down_below);
        let gap = u32::from(up_above).saturating_sub(landing);
        if gap == 0 {
            return Err(DemandPolicyError::NoHysteresis { up_above, down_below });
        }
        let (up_permille, down_permille) = (policy.up_permille, policy.down_permille);
        if !(1001..=2000).contains(&up_permille) || !(800..1000).contains(&down_permille) {
            return Err(DemandPolicyError::Steps { up_permille, down_permille });
        }
        let half_lives = doublings(gap, 1000 - landing);
        if cooldown < half_life.saturating_mul(u64::from(half_lives)) {
            return Err(DemandPolicyError::CooldownTooShort { half_lives });
        }
        let (movement_permille, movement_min) = (policy.movement_permille, policy.movement_min);
        if movement_permille > 1000 || movement_min == 0 {
            return Err(DemandPolicyError::Movement { movement_permille, movement_min });
        }
        if policy.capacity == 0 {
            return Err(DemandPolicyError::NoCapacity);
        }
        Ok(Self { half_life, cooldown, weights: policy.weights.to_array(), units })
    }
}
