//! Which simulations there are, and what they are run with.

use super::{Report, churn, flash_crowd, herd, hierarchy, liars, million, rebalance, zone_loss};
use core::time::Duration;

/// A simulation and what it promises. `docs/simulation.md` describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Many allocators on stale views: the least loaded herd, two choices do not.
    Herd,
    /// Nodes fail and return, all the time.
    Churn,
    /// A zone fails, and then a region.
    ZoneLoss,
    /// The demand for one object rises a hundredfold and falls again.
    FlashCrowd,
    /// One node in a hundred says that it is idle, and serves badly.
    Liars,
    /// Nodes join a loaded mesh.
    Rebalance,
    /// A million nodes.
    Million,
    /// A resource of 100 GB whose hubs come and go.
    Hierarchy,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Herd,
        Self::Churn,
        Self::ZoneLoss,
        Self::FlashCrowd,
        Self::Liars,
        Self::Rebalance,
        Self::Million,
        Self::Hierarchy,
    ];

    /// Its name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Herd => "herd",
            Self::Churn => "churn",
            Self::ZoneLoss => "zone-loss",
            Self::FlashCrowd => "flash-crowd",
            Self::Liars => "liars",
            Self::Rebalance => "rebalance",
            Self::Million => "million",
            Self::Hierarchy => "hierarchy",
        }
    }

    /// The scenario of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// Nodes of its mesh unless told otherwise.
    #[must_use]
    pub const fn default_nodes(self) -> u32 {
        match self {
            Self::Herd => 1_000,
            Self::Churn | Self::ZoneLoss | Self::Liars | Self::Hierarchy => 700,
            Self::FlashCrowd => 300,
            Self::Rebalance => 200,
            Self::Million => 1_000_000,
        }
    }

    /// Fewest nodes with which it shows anything.
    #[must_use]
    pub const fn least_nodes(self) -> u32 {
        match self {
            Self::Herd => 800,
            Self::Liars => 100,
            Self::FlashCrowd => 60,
            Self::Rebalance => 48,
            Self::Churn | Self::ZoneLoss => 240,
            Self::Hierarchy => 96,
            Self::Million => 2_000,
        }
    }
}

/// How reports come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportLine {
    /// Each node sends one this often.
    pub every: Duration,
    /// Each takes from half of this to one and a half.
    pub delay: Duration,
    /// So many of a thousand are lost.
    pub loss_permille: u64,
}

/// Reads a clock of the caller's, for [`Report::speeds`] alone.
pub type Clock = fn() -> Duration;

/// What a scenario is run with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Nodes at the start.
    pub nodes: u32,
    /// Everything is drawn from it.
    pub seed: u64,
    /// How reports come.
    pub reports: ReportLine,
    /// `|| Duration::ZERO` for no speeds.
    pub clock: Clock,
}

impl Options {
    /// Seed 1, the scenario's own number of nodes, reports every 10 s, a second late, of which one in fifty is lost.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        let reports = ReportLine { every: Duration::from_secs(10), delay: Duration::from_secs(1), loss_permille: 20 };
        Self { nodes: scenario.default_nodes(), seed: 1, reports, clock: || Duration::ZERO }
    }
}

/// Runs one scenario. With fewer nodes than [`Scenario::least_nodes`] nothing is run, and the only promise, that there are
/// enough, does not hold.
#[must_use]
pub fn run(scenario: Scenario, options: &Options) -> Report {
    let mut report = Report::new(scenario, options.seed, options.nodes);
    if options.nodes < scenario.least_nodes() || options.reports.every.is_zero() {
        report.promise("the scenario has the nodes and the interval of reports that it needs", false);
        return report;
    }
    match scenario {
        Scenario::Herd => herd::run(options, &mut report),
        Scenario::Churn => churn::run(options, &mut report),
        Scenario::ZoneLoss => zone_loss::run(options, &mut report),
        Scenario::FlashCrowd => flash_crowd::run(options, &mut report),
        Scenario::Liars => liars::run(options, &mut report),
        Scenario::Rebalance => rebalance::run(options, &mut report),
        Scenario::Million => million::run(options, &mut report),
        Scenario::Hierarchy => hierarchy::run(options, &mut report),
    }
    report
}
