//! How long a group without its primary takes to commit again.

use core::time::Duration;

use crate::Effort;
use crate::cluster::{Member, Rule, Stage};
use crate::contest::{Figures, quantile};
use crate::delays::{Net, Rng};
use crate::network::Network;
use crate::ours::Ours;
use crate::raft_rs::RaftRs;
use crate::report::{Better, Row};

const MEMBERS: usize = 5;
/// A client tries this often, at whoever claims to be primary.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// A round is `effort` seeds; its figure their 99th percentile.
pub(crate) fn run(name: &'static str, effort: Effort) -> Row {
    let seeds = effort.units(200);
    let ours = all::<Ours>(effort.rounds, seeds);
    let raft_rs = all::<RaftRs>(effort.rounds, seeds);
    let notes = [
        format!(
            "simulated time from the death of the primary to the first commit of a write made after it; {MEMBERS} members, \
             lan, a client that tries every {} ms, {} seeds; p50 / p99 / most: ours {}, raft-rs {}",
            TRY_EVERY.as_millis(),
            seeds * effort.rounds as u64,
            describe(&ours),
            describe(&raft_rs)
        ),
        "both: heartbeats of 100 ms, an election after 1 to 1.5 s of silence, pre-votes; raft-rs draws its timers from a \
         generator without a seed, so that its figures differ from run to run"
            .into(),
    ];
    let (ours, raft_rs) = (figures::<Ours>(&ours), figures::<RaftRs>(&raft_rs));
    Row::new(name, "ms, p99", Better::Lower, Some(&ours), &[raft_rs], &[], &notes)
}

/// Sorted microseconds of each round.
fn all<M: Member>(rounds: usize, seeds: u64) -> Vec<Vec<u64>> {
    let round = |round: u64| {
        let mut times: Vec<u64> = (0..seeds).map(|seed| outage::<M>(round * seeds + seed)).collect();
        times.sort_unstable();
        times
    };
    (0..rounds as u64).map(round).collect()
}

fn figures<M: Member>(rounds: &[Vec<u64>]) -> Figures {
    Figures::new(M::NAME, rounds.iter().map(|times| quantile(times, 990) as f64 / 1e3).collect())
}

fn describe(rounds: &[Vec<u64>]) -> String {
    let mut times = rounds.concat();
    times.sort_unstable();
    [500, 990, 1000].map(|per_mille| format!("{:.0}", quantile(&times, per_mille) as f64 / 1e3)).join(" / ")
}

/// In microseconds.
fn outage<M: Member>(seed: u64) -> u64 {
    let mut network = Network::<M>::new(MEMBERS, Rule::Majority, Net::Lan, seed);
    let primary = network.elect();
    // Anywhere between two heartbeats.
    network.pass(Duration::from_micros(Rng(seed).next() % 1_000_000));
    network.receipts.clear();
    network.members[primary] = None;
    let death = network.now;
    let mut serial = 0;
    loop {
        if let Some(primary) = network.primary() {
            serial += 1;
            network.write(primary, serial);
        }
        network.pass(TRY_EVERY);
        if let Some((at, _, _)) = network.receipts.iter().find(|(_, _, receipt)| receipt.stage == Stage::Committed) {
            return u64::try_from((*at - death).as_micros()).expect("seconds");
        }
        assert!(network.now < death + Duration::from_secs(60), "{} with seed {seed} commits again", M::NAME);
    }
}

#[cfg(test)]
mod tests {
    use super::outage;
    use crate::ours::Ours;
    use crate::raft_rs::RaftRs;

    #[test]
    fn nobody_commits_before_the_silence_was_long_enough() {
        for seed in 0..10 {
            // The last heartbeat may be 100 ms older than the death.
            assert!((900_000..5_000_000).contains(&outage::<Ours>(seed)));
            assert!((900_000..10_000_000).contains(&outage::<RaftRs>(seed)));
        }
    }
}
