//! What a node has earned: its reputation, and how much it may be given at a time.

use core::time::Duration;

use crate::allocator::Spent;
use crate::decay::{left_after, nanos};
use crate::units::Permille;

/// What came of a request to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Outcome {
    /// It served what was asked, in time.
    Served,
    /// It served too late.
    Late,
    /// It served a piece that failed verification.
    Bad,
    /// It did not answer.
    Gone,
}

/// How outcomes count, and how fast a node is given more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct TrustPolicy {
    /// Half of what sets a reputation apart from neutral is forgotten in this time; one hour by default. Zero forgets
    /// everything at once.
    pub half_life: Duration,
    /// What a node without reputation may be given in one `window`, in thousandths of its capacity; 100 by default. Above
    /// that, and above what nodes are given on average, it comes after others. 1000 and more turn the slow start off.
    pub first_share_permille: u32,
    /// How long one share lasts, for all nodes from the same moments on; 60 s by default. Whole seconds count, one at least.
    pub window: Duration,
    /// By how much a node may report less load than what it was given and has counted comes to, in thousandths; 50 by
    /// default. Beyond that it is back at its first share.
    pub tolerated_gap_permille: u32,
}

impl Default for TrustPolicy {
    fn default() -> Self {
        Self {
            half_life: Duration::from_secs(3600),
            first_share_permille: 100,
            window: Duration::from_secs(60),
            tolerated_gap_permille: 50,
        }
    }
}

impl TrustPolicy {
    fn first_share(&self) -> u16 {
        u16::try_from(self.first_share_permille).unwrap_or(u16::MAX)
    }
}

/// Reputations are kept in millionths.
const NEUTRAL: u32 = 500_000;
const MOST: u32 = 1_000_000;
/// The share above which a node is not held back: all of its capacity in one window.
const WHOLE_PERMILLE: u16 = 1000;

/// What one node has earned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Millionths, as of `since`.
    reputation: u32,
    since_s: u32,
    /// When the current window ends; zero before the first.
    window_end_s: u32,
    /// Given in the current window, in millionths.
    given: u32,
    share_permille: u16,
    /// Whether it served in this window.
    served: bool,
    /// Whether it fell in this window.
    fell: bool,
}

/// A reputation is brought up to date this often, with an error of 0.3 % of its distance from neutral.
const SETTLES_PER_HALF_LIFE: u32 = 256;

impl Trust {
    /// Of nobody.
    pub(crate) const NONE: Self = Self {
        reputation: NEUTRAL,
        since_s: 0,
        window_end_s: 0,
        given: 0,
        share_permille: 0,
        served: false,
        fell: false,
    };

    pub(crate) fn new(policy: &TrustPolicy) -> Self {
        Self { share_permille: policy.first_share(), ..Self::NONE }
    }

    /// Thousandths, 500 is neutral.
    pub(crate) fn reputation(&self, policy: &TrustPolicy, now: Duration) -> Permille {
        let value = self.decayed(policy, now) / 1000;
        Permille::saturating(u16::try_from(value).unwrap_or(u16::MAX))
    }

    /// What a bad reputation adds to the load of the node when nodes are compared, in thousandths: 0 to 500.
    pub(crate) fn handicap_permille(&self) -> u32 {
        NEUTRAL.saturating_sub(self.reputation) / 1000
    }

    pub(crate) const fn share_permille(&self) -> u32 {
        self.share_permille as u32
    }

    /// Whether the node has had its share for this window, and more than is even: the mean, a sixteenth and a hundredth of
    /// the node, since replicas come in one piece.
    pub(crate) fn is_spent(&self, even: Even) -> Spent {
        if self.window_end_s != even.window_end_s {
            return Spent::No;
        }
        let share = u32::from(self.share_permille) * 1000;
        let even = even.mean.saturating_add(even.mean / 16).saturating_add(10_000);
        if self.share_permille < WHOLE_PERMILLE && self.given >= share && self.given > even {
            Spent::Yes
        } else {
            Spent::No
        }
    }

    /// This many millionths of its capacity were placed on the node.
    pub(crate) fn give(&mut self, millionths: u32, policy: &TrustPolicy, now: Duration) {
        self.roll(policy, now);
        self.given = self.given.saturating_add(millionths);
    }

    /// The node reported `reported` thousandths; what it was given and has counted comes to `counted`.
    pub(crate) fn report(&mut self, reported: Permille, counted: u16, policy: &TrustPolicy, now: Duration) {
        if u32::from(reported.value()).saturating_add(policy.tolerated_gap_permille) < u32::from(counted) {
            self.fall(policy);
        }
        self.roll(policy, now);
        self.settle(policy, now);
    }

    pub(crate) fn observe(&mut self, outcome: Outcome, policy: &TrustPolicy, now: Duration) {
        self.roll(policy, now);
        self.settle(policy, now);
        let reputation = self.reputation;
        match outcome {
            Outcome::Served => {
                self.reputation = reputation + (MOST - reputation) / 64;
                self.served = true;
            }
            Outcome::Late => self.reputation = reputation - reputation / 32,
            Outcome::Gone => {
                self.reputation = reputation - reputation / 8;
                self.fall(policy);
            }
            Outcome::Bad => {
                self.reputation = reputation - reputation / 4;
                self.fall(policy);
            }
        }
    }

    /// Back to the first share.
    pub(crate) fn fall(&mut self, policy: &TrustPolicy) {
        self.share_permille = policy.first_share();
        self.fell = true;
    }

    /// Starts the next window when this one is over. One in which the node served without fault doubles its share.
    fn roll(&mut self, policy: &TrustPolicy, now: Duration) {
        let now_s = seconds(now);
        if now_s < self.window_end_s {
            return;
        }
        if self.served && !self.fell {
            let most = WHOLE_PERMILLE.max(policy.first_share());
            self.share_permille = self.share_permille.saturating_mul(2).clamp(1, most);
        }
        (self.served, self.fell) = (false, false);
        self.given = 0;
        self.window_end_s = window_end(policy, now);
    }

    /// Brings the reputation to `now`. Not for every moment: each time rounds.
    fn settle(&mut self, policy: &TrustPolicy, now: Duration) {
        let passed_s = seconds(now).saturating_sub(self.since_s);
        if passed_s >= seconds(policy.half_life).div_ceil(SETTLES_PER_HALF_LIFE) {
            self.reputation = self.decayed(policy, now);
            self.since_s += passed_s;
        }
    }

    /// By whole seconds, as `since_s` counts: a fraction would be forgotten with every time it is looked at.
    fn decayed(&self, policy: &TrustPolicy, now: Duration) -> u32 {
        let distance = self.reputation.abs_diff(NEUTRAL);
        let passed = nanos(Duration::from_secs(u64::from(seconds(now).saturating_sub(self.since_s))));
        if distance == 0 || passed == 0 {
            return self.reputation;
        }
        let left = left_after(u64::from(distance), passed, nanos(policy.half_life));
        let left = u32::try_from(left).unwrap_or(NEUTRAL).min(NEUTRAL);
        if self.reputation >= NEUTRAL { NEUTRAL + left } else { NEUTRAL - left }
    }
}

/// When the window of `now` ends.
fn window_end(policy: &TrustPolicy, now: Duration) -> u32 {
    let window = seconds(policy.window).max(1);
    (seconds(now) / window).saturating_add(1).saturating_mul(window)
}

/// What all nodes were given in the present window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Given {
    /// Millionths, each of the node that was given it.
    sum: u64,
    window_end_s: u32,
}

impl Given {
    pub(crate) fn add(&mut self, millionths: u32) {
        self.sum = self.sum.saturating_add(u64::from(millionths));
    }

    /// What each of `nodes` was given in the window of `now`, on average.
    pub(crate) fn even(&mut self, nodes: usize, policy: &TrustPolicy, now: Duration) -> Even {
        if seconds(now) >= self.window_end_s {
            *self = Self { sum: 0, window_end_s: window_end(policy, now) };
        }
        let nodes = u64::try_from(nodes).unwrap_or(u64::MAX).max(1);
        Even { mean: u32::try_from(self.sum / nodes).unwrap_or(u32::MAX), window_end_s: self.window_end_s }
    }
}

/// What nodes were given on average in a window, in millionths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Even {
    mean: u32,
    window_end_s: u32,
}

/// Whole seconds, up to 136 years: what one node has earned has to fit beside what is looked at for every decision.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
