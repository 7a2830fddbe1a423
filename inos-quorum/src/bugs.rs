//! Known bugs of systems of this kind, put back one at a time for the simulator to find.
//!
//! Only a build with `--cfg inos_bug` can have one; in any other `has` is false when compiled. One build serves them
//! all: `quorum-sim --bug NAME`. `docs/protocol.md` says where each comes from and how many seeds it takes.

macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident = $name:literal,)*) => {
        /// A bug to put back.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(inos_bug), expect(dead_code, reason = "nothing has a bug in an ordinary build"))]
        pub(crate) enum Bug {
            $($(#[$doc])* $bug,)*
        }

        #[cfg(all(inos_bug, feature = "sim"))]
        impl Bug {
            const NAMED: &[(&str, Self)] = &[$(($name, Self::$bug),)*];

            pub(crate) fn names() -> impl Iterator<Item = &'static str> {
                Self::NAMED.iter().map(|(name, _)| *name)
            }

            pub(crate) fn from_name(name: &str) -> Option<Self> {
                Self::NAMED.iter().find(|(other, _)| *other == name).map(|&(_, bug)| bug)
            }
        }
    };
}

bugs! {
    /// A follower acknowledges all that it holds, whether or not it is of this primary's log.
    AckOfAnotherEpoch = "ack-of-another-epoch",
    /// A refusal counts as a vote.
    AnswerTakenForVote = "answer-taken-for-vote",
    /// Equal logs refuse each other, each preferring itself.
    CandidatesRefuseEachOther = "candidates-refuse-each-other",
    /// The voters change without a joint configuration.
    ChangeInOneStep = "change-in-one-step",
    /// Copies of an entry of an older epoch commit it.
    CommitOfOlderEpoch = "commit-of-older-epoch",
    /// One acknowledgement decides a configuration.
    ConfigurationDecidedByFast = "configuration-decided-by-fast",
    /// What the writer of a later write had read does not matter.
    ContextIgnored = "context-ignored",
    /// The primary's copy counts once more than it is there.
    CopyCountedTwice = "copy-counted-twice",
    /// The copy of an ephemeral member is called that of a voter.
    EphemeralTakenForVoter = "ephemeral-taken-for-voter",
    /// A generation that is made by force counts its epochs on from those of the one before.
    EpochsNotApart = "epochs-not-apart",
    /// `Fast` goes on while nothing is committed.
    ExposureWithoutEnd = "exposure-without-end",
    /// Quorums stay those of three when the group grows.
    FixedQuorumSizes = "fixed-quorum-sizes",
    /// Elections compare the epoch in which a member last followed, not that of its last entry.
    LastNormalEpoch = "last-normal-epoch",
    /// A member of an older generation takes frames of a later one for its own.
    GenerationIgnored = "generation-ignored",
    /// The lease runs from the answers, not from the question.
    LeaseFromReceipt = "lease-from-receipt",
    /// The lease never ends.
    LeaseNotChecked = "lease-not-checked",
    /// What was acknowledged and is lost is not told.
    LossWithoutReport = "loss-without-report",
    /// While the voters change, the new ones decide alone.
    NewVotersDecideAlone = "new-voters-decide-alone",
    /// Whoever is stopped by a later generation forgets what that one lacks.
    PartingWithoutOrphans = "parting-without-orphans",
    /// The quorum's number is taken from a list that nobody has sorted.
    QuorumOfUnsorted = "quorum-of-unsorted",
    /// The writer of an orphan is said to have read all of what stands before its epoch, whoever put it there.
    ReadAcrossGenerations = "read-across-generations",
    /// A read is answered by whoever believes to be primary.
    ReadWithoutConfirmation = "read-without-confirmation",
    /// All that storage holds is applied at the start.
    RecoveredLogTakenForCommitted = "recovered-log-taken-for-committed",
    /// A repeated write is a new one.
    RetryAppliedTwice = "retry-applied-twice",
    /// A node that lost its memory starts again in its old seat.
    SeatKeptAfterAmnesia = "seat-kept-after-amnesia",
    /// Followers of a silent primary wait for it, whatever the detector says.
    SilenceTrusted = "silence-trusted",
    /// What took too long is called done.
    TimeoutTakenForSuccess = "timeout-taken-for-success",
    /// What falls out of a log is forgotten.
    TruncationWithoutOrphans = "truncation-without-orphans",
    /// A change begins while another one is under way.
    TwoChangesAtOnce = "two-changes-at-once",
    /// A copy counts before it is durable.
    UnsyncedCopyCounts = "unsynced-copy-counts",
    /// A vote leaves before it is durable.
    VoteBeforeSync = "vote-before-sync",
    /// A member that has just started votes, whatever it promised before.
    VotesAfterRestart = "votes-after-restart",
}

#[cfg(not(inos_bug))]
#[inline]
pub(crate) const fn has(_: Bug) -> bool {
    false
}

#[cfg(inos_bug)]
static CHOSEN: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(usize::MAX);

#[cfg(inos_bug)]
pub(crate) fn has(bug: Bug) -> bool {
    CHOSEN.load(core::sync::atomic::Ordering::Relaxed) == bug as usize
}

/// From now on every member has this bug.
#[cfg(all(inos_bug, feature = "sim"))]
pub(crate) fn choose(bug: Bug) {
    CHOSEN.store(bug as usize, core::sync::atomic::Ordering::Relaxed);
}
