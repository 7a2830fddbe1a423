//! How much each resource is asked for, and whether it should have more replicas, or fewer.

mod entry;
mod hot;
mod policy;
mod scale;

pub use policy::{DemandPolicy, DemandPolicyError, SignalWeights, Signals};
pub use scale::{DemandMetrics, Hold, Replicas, Scale};

use core::time::Duration;

use crate::decay::nanos;
use crate::id::Id;
use crate::units::Demand;
use entry::{Direction, Entry, WARM_UP_HALF_LIVES};
use hot::HotSet;
use policy::Derived;

/// Replicas moved since the window opened.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    opened: u64,
    added: u64,
    dropped: u64,
}

impl Window {
    fn moved(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::Up => &mut self.added,
            Direction::Down => &mut self.dropped,
        }
    }
}

/// Follows the demand of resources and says when to change their number of replicas.
///
/// A resource is recorded with what it was used for since its last record. Per signal the amounts decay by a half-life, and
/// are divided by the amount that [`DemandPolicy::full_scale`] would come to; never more than 1 is kept. The weighted sum is
/// the score. An amount counts as spread evenly over the time since the last record: so the same traffic gives the same
/// score, to one thousandth, however often it is recorded.
///
/// The score measures what is recorded. Record what all replicas served, and it is the demand for the resource; constant
/// input then brings the count to a bound, or leaves it. Record the mean of a replica (the sum divided by the count), and
/// the count goes to where a replica has between 300 and 800, and rests there.
///
/// Time that goes backwards counts as standing still. The memory is bounded: at [`DemandPolicy::capacity`] the resource
/// with the lightest traffic makes room. What is not remembered scores 0, and steps down like anything that scores 0.
///
/// ```
/// use core::time::Duration;
/// use inos_alloc::{DemandMonitor, DemandPolicy, DemandPolicyError, Hold, Replicas, Scale, Signals};
///
/// // Requests are all that is measured here: a signal without a full scale counts as 0.
/// let full_scale = Signals { accesses: 100, ..Signals::default() };
/// let refused = DemandMonitor::<u64>::new(DemandPolicy::new(full_scale));
/// assert_eq!(refused.err(), Some(DemandPolicyError::Unreachable { reach: 400, up_above: 800 }));
///
/// let mut policy = DemandPolicy::new(full_scale);
/// policy.weights = inos_alloc::SignalWeights { accesses: 1000, network: 0, compute: 0, credits: 0 };
/// let mut monitor = DemandMonitor::<u64>::new(policy)?;
/// let at = Duration::from_secs;
/// for s in 1..=300 {
///     monitor.record(7, Signals { accesses: 90, ..Signals::default() }, at(s));
/// }
/// assert_eq!(monitor.score(&7, at(300)).permille(), 899);
/// let replicas = Replicas { count: 5, floor: 5, ceiling: 20 };
/// assert_eq!(monitor.decide(&7, replicas, at(0), at(300)), Scale::Up { to: 10 });
/// let replicas = Replicas { count: 10, ..replicas };
/// assert_eq!(monitor.decide(&7, replicas, at(300), at(305)), Scale::Hold(Hold::Cooldown { until: at(360) }));
///
/// // Nobody comes any more.
/// assert_eq!(monitor.decide(&7, replicas, at(300), at(360)), Scale::Down { to: 8 });
/// # Ok::<(), DemandPolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DemandMonitor<R> {
    policy: DemandPolicy,
    derived: Derived,
    capacity: usize,
    hot: HotSet<R, Entry>,
    /// The latest time heard of.
    latest: u64,
    total_replicas: u64,
    window: Window,
    metrics: DemandMetrics,
}

impl<R: Id> DemandMonitor<R> {
    /// An empty monitor.
    ///
    /// # Errors
    ///
    /// [`DemandPolicyError`] for a policy under which a count might never rest, or never move.
    pub fn new(policy: DemandPolicy) -> Result<Self, DemandPolicyError> {
        Ok(Self {
            policy,
            derived: Derived::new(&policy)?,
            capacity: usize::try_from(policy.capacity).unwrap_or(usize::MAX),
            hot: HotSet::new(),
            latest: 0,
            total_replicas: 0,
            window: Window::default(),
            metrics: DemandMetrics::default(),
        })
    }

    /// The policy it was made with.
    #[must_use]
    pub const fn policy(&self) -> &DemandPolicy {
        &self.policy
    }

    /// Counts what `id` was used for since its last record. Returns the resource that was forgotten to make room, the one
    /// with the least decayed weight (of equals, the least id).
    ///
    /// Records of zeros matter: they say that nothing happened. An amount recorded after a long silence counts as spread
    /// over the silence. Of a first record that time is not known; it counts as of this moment, the most it can be. A first
    /// record that weighs nothing makes nobody forgotten. O(log n) for n resources remembered.
    pub fn record(&mut self, id: R, amounts: Signals, now: Duration) -> Option<R> {
        let now = self.advance(now);
        let derived = &self.derived;
        let known = self.hot.update(&id, |entry| {
            entry.add(amounts, now, derived);
            entry.rank(derived)
        });
        if known {
            return None;
        }
        let mut entry = Entry::new(now);
        entry.add(amounts, now, derived);
        let rank = entry.rank(derived);
        if rank == (0, 0) && self.hot.len() >= self.capacity {
            return None;
        }
        let evicted = self.hot.insert(id, entry, rank, self.capacity)?;
        self.metrics.evicted = self.metrics.evicted.saturating_add(1);
        Some(evicted.0)
    }

    /// How much `id` is asked for at `now`, in thousandths: zero when it is not remembered. Fit for
    /// [`ResourceSpec::demand`](crate::ResourceSpec::demand) when totals are recorded.
    ///
    /// The score stands for as long after a record as the interval before that record took, and then halves with every
    /// half-life. O(log n).
    #[must_use]
    pub fn score(&self, id: &R, now: Duration) -> Demand {
        Demand::saturating(self.score_at(self.hot.entry(id), nanos(now).max(self.latest)))
    }

    /// Whether `id` should have more replicas, or fewer, when its count last changed at `last_change`.
    ///
    /// At most one step per cooldown, counted from `last_change` and from the last step told here, whichever is later: a
    /// step that was not carried out is told again after a cooldown. The new count is never beyond floor or ceiling, and
    /// within the movement budget of all resources; what the budget leaves of a step is a step. From below the floor the
    /// step goes to the floor, whatever score and budget, and from above the ceiling to the ceiling, as the budget allows.
    /// A score takes some half-lives to rise to what constant input leads to; so a resource does not step down in the first
    /// two, and afterwards only when that, too, is below the threshold.
    /// O(log n).
    pub fn decide(&mut self, id: &R, replicas: Replicas, last_change: Duration, now: Duration) -> Scale {
        let now = self.advance(now);
        let Replicas { count, floor, .. } = replicas;
        let ceiling = replicas.ceiling.max(floor);
        let entry = self.hot.entry(id).copied();
        let score = self.score_at(entry.as_ref(), now);
        let settled = entry.map_or(0, |entry| entry.settled_score(now, &self.derived));

        let (to, direction) = if count < floor {
            (floor, Direction::Up)
        } else if count > ceiling {
            (ceiling, Direction::Down)
        } else if score > self.policy.up_above {
            let grown = u64::from(count) * u64::from(self.policy.up_permille) / 1000;
            let to = u32::try_from(grown).unwrap_or(u32::MAX).max(count.saturating_add(1)).min(ceiling);
            (to, Direction::Up)
        } else if settled < self.policy.down_below {
            let shrunk = (u64::from(count) * u64::from(self.policy.down_permille)).div_ceil(1000);
            let to = u32::try_from(shrunk).unwrap_or(u32::MAX).min(count.saturating_sub(1)).max(floor);
            (to, Direction::Down)
        } else {
            return Scale::Hold(Hold::Steady);
        };
        if to == count {
            return Scale::Hold(Hold::AtBound);
        }
        let last_step = entry.and_then(|entry| entry.step).map_or(0, |(at, _)| at);
        let until = nanos(last_change).min(now).max(last_step).saturating_add(self.derived.cooldown);
        if now < until {
            return Scale::Hold(Hold::Cooldown { until: Duration::from_nanos(until) });
        }
        if let Some(entry) = entry.filter(|_| direction == Direction::Down && count <= ceiling) {
            let warm_up = self.derived.half_life.saturating_mul(WARM_UP_HALF_LIVES);
            let until = entry.since.saturating_add(warm_up).saturating_add(entry.span);
            if now < until {
                return Scale::Hold(Hold::WarmUp { until: Duration::from_nanos(until) });
            }
        }
        let wanted = to.abs_diff(count);
        let moved = if count < floor { wanted } else { self.take(wanted, direction, now) };
        if moved == 0 {
            let until = self.window.opened.saturating_add(self.derived.cooldown);
            return Scale::Hold(Hold::Budget { until: Duration::from_nanos(until) });
        }
        self.note(id, moved, direction, now);
        match direction {
            Direction::Up => Scale::Up { to: count + moved },
            Direction::Down => Scale::Down { to: count - moved },
        }
    }

    /// Tells how many replicas there are in the whole mesh; [`DemandPolicy::movement_permille`] is a share of them. Zero
    /// before it is told.
    pub const fn set_total_replicas(&mut self, replicas: u64) {
        self.total_replicas = replicas;
    }

    /// Forgets a resource that is no more. `false` when it was not remembered. O(log n).
    pub fn forget(&mut self, id: &R) -> bool {
        self.hot.remove(id).is_some()
    }

    /// What it has done so far.
    #[must_use]
    pub fn metrics(&self) -> DemandMetrics {
        DemandMetrics { tracked: u32::try_from(self.hot.len()).unwrap_or(u32::MAX), ..self.metrics }
    }

    fn advance(&mut self, now: Duration) -> u64 {
        self.latest = self.latest.max(nanos(now));
        self.latest
    }

    fn score_at(&self, entry: Option<&Entry>, now: u64) -> u16 {
        entry.map_or(0, |entry| entry.score(now, &self.derived))
    }

    /// What the budget of this window allows of `wanted`.
    fn take(&mut self, wanted: u32, direction: Direction, now: u64) -> u32 {
        if now.saturating_sub(self.window.opened) >= self.derived.cooldown
            || (self.window.added, self.window.dropped) == (0, 0)
        {
            self.window = Window { opened: now, ..Window::default() };
        }
        let share = u128::from(self.total_replicas) * u128::from(self.policy.movement_permille) / 1000;
        let limit = u64::try_from(share).unwrap_or(u64::MAX).max(u64::from(self.policy.movement_min));
        let moved = self.window.moved(direction);
        let allowed = u32::try_from(limit.saturating_sub(*moved)).unwrap_or(u32::MAX).min(wanted);
        *moved = moved.saturating_add(u64::from(allowed));
        if allowed < wanted {
            self.metrics.over_budget = self.metrics.over_budget.saturating_add(1);
        }
        allowed
    }

    fn note(&mut self, id: &R, moved: u32, direction: Direction, now: u64) {
        let metrics = &mut self.metrics;
        let (steps, replicas, change) = match direction {
            Direction::Up => (&mut metrics.steps_up, &mut metrics.replicas_added, i64::from(moved)),
            Direction::Down => (&mut metrics.steps_down, &mut metrics.replicas_dropped, -i64::from(moved)),
        };
        *steps = steps.saturating_add(1);
        *replicas = replicas.saturating_add(u64::from(moved));
        let mut before = 0;
        let mut after = change;
        if let Some(entry) = self.hot.entry_mut(id) {
            before = entry.net;
            entry.net = entry.net.saturating_add(change);
            after = entry.net;
            if entry.step.is_some_and(|(_, last)| last != direction) {
                metrics.reversals = metrics.reversals.saturating_add(1);
            }
            entry.step = Some((now, direction));
        }
        let net = metrics.net_replicas.saturating_add(after.unsigned_abs());
        metrics.net_replicas = net.saturating_sub(before.unsigned_abs());
    }
}
