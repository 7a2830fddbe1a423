//! How many replicas a resource deserves, before any node is looked at.

use crate::spec::{Class, ResourceSpec, Temperature};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// One size tier of [`Tiers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tier {
    /// The tier holds sizes below this, in bytes; the last tier holds every size left over, whatever is written here.
    pub size_below: u64,
    /// Replicas at demand 0 and budget multiplier 1.0.
    pub base: u32,
    /// Most replicas under [`Ceiling::Tier`].
    pub ceiling: u32,
}

/// One step of the budget multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BudgetStep {
    /// The step holds budgets below this, in credits; the last step holds every budget left over.
    pub budget_below: u64,
    /// Multiplier in thousandths.
    pub multiplier_permille: u32,
}

/// Which ceiling bounds the count of a [`Class::Blob`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Ceiling {
    /// The ceiling of the resource's size tier.
    #[default]
    Tier,
    /// One ceiling for all sizes, [`Tiers::global_ceiling`].
    Global,
}

/// The table behind the count of a [`Class::Blob`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tiers {
    /// Size tiers, in ascending order of `size_below`.
    pub tiers: [Tier; 6],
    /// Budget multipliers, in ascending order of `budget_below`.
    pub budgets: [BudgetStep; 4],
    /// Fewest replicas of a blob.
    pub floor: u32,
    /// Most replicas under [`Ceiling::Global`].
    pub global_ceiling: u32,
    /// Which ceiling applies.
    pub ceiling: Ceiling,
}

impl Tiers {
    /// The same table with the other ceiling.
    #[must_use]
    pub const fn with_ceiling(self, ceiling: Ceiling) -> Self {
        Self { ceiling, ..self }
    }

    fn tier(&self, size: u64) -> Tier {
        let last = self.tiers[self.tiers.len() - 1];
        self.tiers.iter().copied().find(|tier| size < tier.size_below).unwrap_or(last)
    }

    fn multiplier_permille(&self, budget: u64) -> u32 {
        let last = self.budgets[self.budgets.len() - 1];
        self.budgets.iter().copied().find(|step| budget < step.budget_below).unwrap_or(last).multiplier_permille
    }
}

impl Default for Tiers {
    /// Sizes below 1 MiB, 10 MiB, 100 MiB, 1 GiB, 10 GiB and the rest: 5, 10, 30, 100, 300, 500 replicas, at most 7,
    /// 20, 50, 200, 500, 700. Budgets below 100, 1,000, 10,000 credits and the rest: x 0.5, 1.0, 1.3, 1.5.
    fn default() -> Self {
        const fn tier(size_below: u64, base: u32, ceiling: u32) -> Tier {
            Tier { size_below, base, ceiling }
        }
        const fn step(budget_below: u64, multiplier_permille: u32) -> BudgetStep {
            BudgetStep { budget_below, multiplier_permille }
        }
        Self {
            tiers: [
                tier(MIB, 5, 7),
                tier(10 * MIB, 10, 20),
                tier(100 * MIB, 30, 50),
                tier(GIB, 100, 200),
                tier(10 * GIB, 300, 500),
                tier(u64::MAX, 500, 700),
            ],
            budgets: [step(100, 500), step(1_000, 1_000), step(10_000, 1_300), step(u64::MAX, 1_500)],
            floor: 5,
            global_ceiling: 700,
            ceiling: Ceiling::Tier,
        }
    }
}

/// How many nodes a resource deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Target {
    /// The count to reach, `floor..=ceiling`.
    pub want: u32,
    /// Below this, nodes above half load are taken too.
    pub floor: u32,
    /// The most this class and size ever get.
    pub ceiling: u32,
}

/// The count of nodes that `spec` deserves, by class.
///
/// `Blob`: base x (1000 + demand) x budget multiplier in integers, truncated, then clamped to floor and ceiling. The other
/// classes look at neither size nor budget. O(1), total on any input: a table whose ceiling is below its floor counts as
/// one whose ceiling is its floor.
///
/// ```
/// use inos_alloc::{Class, Demand, Requirements, ResourceSpec, Tiers, replica_target};
///
/// let spec = ResourceSpec {
///     size: 1_000_000_000,
///     demand: Demand::ZERO,
///     budget: 500,
///     class: Class::Blob,
///     requires: Requirements::default(),
/// };
/// assert_eq!(replica_target(&spec, &Tiers::default()).want, 100);
/// ```
#[must_use]
pub fn replica_target(spec: &ResourceSpec, tiers: &Tiers) -> Target {
    let demand = u32::from(spec.demand.permille());
    let exactly = |count| Target { want: count, floor: count, ceiling: count };
    match spec.class {
        Class::Blob => {
            let tier = tiers.tier(spec.size);
            let ceiling = match tiers.ceiling {
                Ceiling::Tier => tier.ceiling,
                Ceiling::Global => tiers.global_ceiling,
            }
            .max(tiers.floor);
            let scaled =
                u128::from(tier.base) * u128::from(1000 + demand) * u128::from(tiers.multiplier_permille(spec.budget))
                    / 1_000_000;
            let want = u32::try_from(scaled).unwrap_or(u32::MAX).clamp(tiers.floor, ceiling);
            Target { want, floor: tiers.floor, ceiling }
        }
        Class::Group => Target { want: 3 + 4 * demand / 1000, floor: 3, ceiling: 7 },
        Class::Compute => Target { want: 5 + 2 * demand / 1000, floor: 5, ceiling: 7 },
        Class::Storage { temperature } => exactly(match temperature {
            Temperature::Hot => 7,
            Temperature::Warm => 5,
            Temperature::Cold => 3,
        }),
        Class::Stream { .. } => exactly(5),
        Class::State { updates_per_second, .. } => {
            exactly(if updates_per_second > FAST_STATE_UPDATES_PER_SECOND { 5 } else { 7 })
        }
    }
}

/// Above this many updates per second, shared state is placed near its consumer rather than spread.
pub(crate) const FAST_STATE_UPDATES_PER_SECOND: u32 = 30;
