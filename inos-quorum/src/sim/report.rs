//! What came of a run.

use alloc::string::String;

use thiserror::Error;

use super::Choice;
use crate::{Counters, Event, NodeClass, Resolution, Stage};

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("broken after {at_us} us: {law} ({detail})")]
#[non_exhaustive]
pub struct Violation {
    /// The law, as it should be.
    pub law: &'static str,
    /// Who broke it, and how.
    pub detail: String,
    /// Simulated time since the start.
    pub at_us: u64,
}

impl Violation {
    pub(super) const fn new(law: &'static str, detail: String) -> Self {
        Self { law, detail, at_us: 0 }
    }
}

/// What a run came across. Runs that meet none of it prove little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// Two members stood for one epoch.
    pub contested_election: bool,
    /// A member refused a pre-vote.
    pub refused_pre_vote: bool,
    /// The voters were being changed while links were cut.
    pub joint_under_partition: bool,
    /// A snapshot was sent to a member that was too far behind.
    pub snapshot: bool,
    /// A write that had been dropped with a log was told to its writer, or given up.
    pub orphan_handover: bool,
    /// A member lost its memory.
    pub amnesia: bool,
    /// A crash lost records that were not synced.
    pub lost_persist: bool,
    /// A `Fast` receipt was withheld because too much was at risk.
    pub exposure_limit: bool,
    /// A group had nothing to do and fell silent.
    pub silent_group: bool,
    /// The copy of an ephemeral member made a receipt `Fast`.
    pub ephemeral_receipt: bool,
    /// A write that had been dropped was superseded by one whose writer had read it.
    pub superseded_orphan: bool,
    /// A survivor went on by force after most voters were lost.
    pub forced: bool,
    /// A voter that had been away came back, with what it had, to a group that had gone on by force.
    pub came_back: bool,
}

impl Coverage {
    /// Each counter with its name.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, bool); 13] {
        [
            ("contested election", self.contested_election),
            ("refused pre-vote", self.refused_pre_vote),
            ("joint change under partition", self.joint_under_partition),
            ("snapshot", self.snapshot),
            ("orphan handover", self.orphan_handover),
            ("amnesia", self.amnesia),
            ("lost persist", self.lost_persist),
            ("exposure limit", self.exposure_limit),
            ("silent group", self.silent_group),
            ("ephemeral receipt", self.ephemeral_receipt),
            ("superseded orphan", self.superseded_orphan),
            ("forced", self.forced),
            ("old generation came back", self.came_back),
        ]
    }

    /// Whether runs of this mode can come across the counter of this name: only `Fast` acknowledges early, and only there
    /// do writers see what may be dropped.
    #[must_use]
    pub fn is_possible(choice: Choice, name: &str) -> bool {
        choice == Choice::Fast || !["exposure limit", "ephemeral receipt", "superseded orphan"].contains(&name)
    }

    pub(super) const fn event<N, O>(&mut self, event: &Event<N, O>) {
        self.orphan_handover |= matches!(event, Event::Orphaned { .. } | Event::Discarded { .. });
        self.superseded_orphan |= matches!(event, Event::Orphaned { resolution: Resolution::Older, .. });
        self.ephemeral_receipt |=
            matches!(event, Event::Receipt { stage: Stage::Fast { by: NodeClass::Ephemeral }, .. });
    }

    pub(super) const fn counters(&mut self, counters: &Counters) {
        self.refused_pre_vote |= counters.refused_pre_votes > 0;
        self.snapshot |= counters.snapshots_sent > 0;
        self.exposure_limit |= counters.fast_withheld > 0;
    }
}

/// What came of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The first law that was broken, if one was.
    pub outcome: Result<(), Violation>,
    /// What the run came across.
    pub coverage: Coverage,
    /// Hash over every input and output of every member.
    pub trace: u64,
    /// How much time passed in the simulation.
    pub simulated_us: u64,
    /// Happenings.
    pub steps: u64,
    /// Receipts that said `Committed`, and that said `Fast`.
    pub committed: u64,
    /// Receipts that said `Fast`.
    pub fast: u64,
    /// Writes acknowledged `Fast` that are not in the history; each is accounted for.
    pub lost: u64,
    /// Epochs that had a primary.
    pub primaries: u64,
}
