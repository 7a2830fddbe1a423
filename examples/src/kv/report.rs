//! What a run found out.

use std::fmt;
use std::time::Duration;

use inos_quorum::Mode;
use serde_json::{Value, json};

use super::options::Options;
use super::protocol::Status;
use super::work::Done;

/// One death of a primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Which member.
    pub killed: u32,
    /// From its death until another write was committed.
    pub to_first_commit: Duration,
    /// From its death until it was back and had all that the others had.
    pub to_caught_up: Duration,
    /// What it cut off its journal when it started again.
    pub torn_bytes: u64,
}

/// What a run found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    voters: u32,
    mode: Mode,
    clients: u32,
    worked: Duration,
    /// Latencies of committed writes, ascending.
    committed: Vec<Duration>,
    /// `Mode::Fast`: until the first other member held a write, ascending.
    fast: Vec<Duration>,
    repeats: u64,
    session_reads: u64,
    checkpoints: u64,
    /// The deaths, in their order.
    pub failovers: Vec<Failover>,
    /// What should not be.
    pub breaches: Vec<String>,
    /// Whether all members have the same state in the end.
    pub members_agree: bool,
}

impl Report {
    pub(super) fn new(
        options: &Options,
        mode: Mode,
        worked: Duration,
        workers: &[Done],
        failovers: Vec<Failover>,
    ) -> Self {
        let outcomes = || workers.iter().map(|worker| &worker.outcome);
        let sorted = |mut latencies: Vec<Duration>| {
            latencies.sort_unstable();
            latencies
        };
        Self {
            voters: options.voters,
            mode,
            clients: options.clients,
            worked,
            committed: sorted(outcomes().flat_map(|outcome| outcome.committed.iter().copied()).collect()),
            fast: sorted(outcomes().flat_map(|outcome| outcome.fast.iter().copied()).collect()),
            repeats: outcomes().map(|outcome| outcome.repeats).sum(),
            session_reads: outcomes().map(|outcome| outcome.session_reads).sum(),
            checkpoints: 0,
            failovers,
            breaches: outcomes().flat_map(|outcome| outcome.breaches.iter().cloned()).collect(),
            members_agree: false,
        }
    }

    /// Members that have come to the same place must have the same state.
    pub(super) fn compare(&mut self, members: &[Status]) {
        self.members_agree = members.windows(2).all(|pair| pair[0].state_hash == pair[1].state_hash);
        self.checkpoints = members.iter().map(|member| member.checkpoints).sum();
    }

    /// Whether each acknowledged write is there once, and all members agree.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.breaches.is_empty() && self.members_agree
    }

    /// Committed writes per second, the time without a primary included.
    #[must_use]
    pub fn writes_per_second(&self) -> f64 {
        self.committed.len() as f64 / self.worked.as_secs_f64().max(f64::EPSILON)
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let failovers = self.failovers.iter().map(|failover| {
            json!({
                "killed": failover.killed,
                "to_first_commit_ms": ms(failover.to_first_commit),
                "to_caught_up_ms": ms(failover.to_caught_up),
                "torn_bytes": failover.torn_bytes,
            })
        });
        json!({
            "voters": self.voters,
            "mode": format!("{:?}", self.mode),
            "clients": self.clients,
            "seconds": self.worked.as_secs_f64(),
            "writes": self.committed.len(),
            "writes_per_second": self.writes_per_second(),
            "commit_p50_ms": ms(quantile(&self.committed, 50)),
            "commit_p99_ms": ms(quantile(&self.committed, 99)),
            "fast_receipts": self.fast.len(),
            "fast_p50_ms": ms(quantile(&self.fast, 50)),
            "repeats": self.repeats,
            "session_reads": self.session_reads,
            "checkpoints": self.checkpoints,
            "failovers": failovers.collect::<Vec<_>>(),
            "breaches": self.breaches,
            "members_agree": self.members_agree,
            "intact": self.is_intact(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { voters, mode, clients, worked, committed, .. } = self;
        writeln!(f, "{voters} voters, {mode:?}, {clients} clients, {:.1} s", worked.as_secs_f64())?;
        writeln!(f, "{} writes committed, {:.0} per second", committed.len(), self.writes_per_second())?;
        let (p50, p99) = (quantile(committed, 50), quantile(committed, 99));
        writeln!(f, "committed within {:.1} ms (half of them), {:.1} ms (99 of 100)", ms(p50), ms(p99))?;
        if !self.fast.is_empty() {
            let p50 = ms(quantile(&self.fast, 50));
            writeln!(f, "{} of them were held by another member before, half within {p50:.1} ms", self.fast.len())?;
        }
        writeln!(f, "{} attempts repeated, {} session reads at all members", self.repeats, self.session_reads)?;
        writeln!(f, "{} checkpoints by the members of the end, since each started", self.checkpoints)?;
        for Failover { killed, to_first_commit, to_caught_up, torn_bytes } in &self.failovers {
            writeln!(
                f,
                "primary {killed} killed: next commit after {:.2} s, back with all data after {:.2} s, {torn_bytes} torn \
                 bytes cut",
                to_first_commit.as_secs_f64(),
                to_caught_up.as_secs_f64(),
            )?;
        }
        for breach in &self.breaches {
            writeln!(f, "BROKEN: {breach}")?;
        }
        let agree = if self.members_agree { "all members agree" } else { "BROKEN: members disagree" };
        if self.is_intact() {
            write!(f, "every acknowledged write is there, once; {agree}")
        } else {
            write!(f, "{agree}")
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Of ascending values the one that `percent` of them do not exceed; zero of none.
fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
