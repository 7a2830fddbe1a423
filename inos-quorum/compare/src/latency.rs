//! How long a write waits on simulated networks, by what it waits for.

use core::time::Duration;

use crate::Effort;
use crate::cluster::{Member, Receipt, Rule};
use crate::contest::{Figures, quantile};
use crate::delays::Net;
use crate::network::Network;
use crate::ours::Ours;
use crate::raft_rs::RaftRs;
use crate::report::{Better, Row};

/// Between two writes: long enough that they do not meet, and not in step with heartbeats.
const INTERVAL: Duration = Duration::from_millis(97);

/// How many times as long as for its first acknowledgement a write waits for a majority, as medians on the exponential
/// network. A round is a seed.
pub(crate) fn run(name: &'static str, members: usize, effort: Effort) -> Row {
    let writes = effort.units(4_000);
    let seeds = 1..=effort.rounds as u64;
    let measure = |net, way: Way| -> Vec<Vec<u64>> {
        seeds.clone().map(|seed| (way.latencies)(members, net, writes, seed)).collect()
    };
    let mut notes = vec![format!(
        "simulated time: p50 Majority / p50 of each, exponential network (round trip exponential, mean 20 ms, each way \
         drawn by itself); {members} members, a write every {} ms, {} writes per network; below p50 / p99 / p999 in ms",
        INTERVAL.as_millis(),
        writes * effort.rounds as u64
    )];
    let mut exponential = Vec::new();
    for net in Net::ALL {
        let mut texts = Vec::new();
        for way in WAYS {
            let latencies = measure(net, *way);
            texts.push(format!("{} {}", way.name, describe(&latencies)));
            if net == Net::Exponential {
                exponential.push((way.name, latencies));
            }
        }
        notes.push(format!("{}: {}", net.name(), texts.join(", ")));
    }
    let medians = |name: &str| -> Option<Vec<f64>> {
        let (_, latencies) = exponential.iter().find(|(of, _)| *of == name)?;
        Some(latencies.iter().map(|latencies| quantile(latencies, 500) as f64).collect())
    };
    let majority = medians("Majority").expect("it is measured");
    let speed_up = |shown: &'static str, of: &str| -> Option<Figures> {
        let values = majority.iter().zip(medians(of)?).map(|(majority, other)| majority / other).collect();
        Some(Figures::new(shown, values))
    };
    let ours = speed_up(Ours::NAME, "Fast").expect("it is measured");
    let raft_rs = speed_up(RaftRs::NAME, RaftRs::NAME).expect("it is measured");
    Row::new(name, "x as quick as Majority", Better::Higher, Some(&ours), &[raft_rs], &[], &notes)
}

/// One way to have a write acknowledged.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// In microseconds, sorted; of so many members, on this network, so many writes, with this seed.
    latencies: fn(usize, Net, u64, u64) -> Vec<u64>,
}

const WAYS: &[Way] = &[
    Way {
        name: "Fast",
        latencies: |members, net, writes, seed| latencies::<Ours>(members, Rule::Fast, net, writes, seed),
    },
    Way {
        name: "FastSafe",
        latencies: |members, net, writes, seed| latencies::<Ours>(members, Rule::FastSafe, net, writes, seed),
    },
    Way {
        name: "Flex 3",
        latencies: |members, net, writes, seed| latencies::<Ours>(members, Rule::Flex3, net, writes, seed),
    },
    Way {
        name: "Majority",
        latencies: |members, net, writes, seed| latencies::<Ours>(members, Rule::Majority, net, writes, seed),
    },
    Way {
        name: RaftRs::NAME,
        latencies: |members, net, writes, seed| latencies::<RaftRs>(members, Rule::Majority, net, writes, seed),
    },
];

/// The first acknowledgement counts, whichever the rule gives first.
fn latencies<M: Member>(members: usize, rule: Rule, net: Net, writes: u64, seed: u64) -> Vec<u64> {
    let mut network = Network::<M>::new(members, rule, net, seed);
    let primary = network.elect();
    let start = network.now;
    let written_at = |serial: u64| start + INTERVAL * u32::try_from(serial - 1).expect("writes are few");
    let mut first = vec![None; usize::try_from(writes).expect("writes are few")];
    for serial in 1..=writes {
        assert!(network.write(primary, serial), "{} on {} refused write {serial}", M::NAME, net.name());
        network.pass(INTERVAL);
        note(&mut first, &mut network.receipts, written_at);
    }
    network.pass(Duration::from_secs(2));
    note(&mut first, &mut network.receipts, written_at);
    let mut latencies: Vec<u64> =
        first.into_iter().map(|latency| latency.expect("every write is acknowledged")).collect();
    latencies.sort_unstable();
    latencies
}

fn note(
    first: &mut [Option<u64>],
    receipts: &mut Vec<(Duration, usize, Receipt)>,
    written_at: impl Fn(u64) -> Duration,
) {
    for (at, _, receipt) in receipts.drain(..) {
        let latency = at - written_at(receipt.serial);
        let index = usize::try_from(receipt.serial - 1).expect("writes are few");
        first[index].get_or_insert_with(|| u64::try_from(latency.as_micros()).expect("seconds"));
    }
}

/// p50, p99 and p999 over all rounds.
fn describe(rounds: &[Vec<u64>]) -> String {
    let mut all: Vec<u64> = rounds.concat();
    all.sort_unstable();
    [500, 990, 999].map(|per_mille| format!("{:.2}", quantile(&all, per_mille) as f64 / 1e3)).join(" / ")
}

#[cfg(test)]
mod tests {
    //! Against the order statistics of exponential variables: the k-th of m answers comes, on average, after
    //! mean x (1/m + 1/(m-1) + ... ), k terms.

    use super::{describe, latencies};
    use crate::cluster::Rule;
    use crate::delays::Net;
    use crate::ours::Ours;
    use crate::raft_rs::RaftRs;

    fn mean_ms(latencies: &[u64]) -> f64 {
        latencies.iter().sum::<u64>() as f64 / latencies.len() as f64 / 1e3
    }

    #[test]
    fn a_majority_of_five_is_the_second_of_four_answers() {
        let expected = 20.0 * (1.0 / 4.0 + 1.0 / 3.0);
        let ours = mean_ms(&latencies::<Ours>(5, Rule::Majority, Net::Exponential, 2000, 1));
        assert!((ours / expected - 1.0).abs() < 0.1, "{ours} ms for {expected}");
        let raft_rs = mean_ms(&latencies::<RaftRs>(5, Rule::Majority, Net::Exponential, 2000, 1));
        assert!((raft_rs / expected - 1.0).abs() < 0.1, "{raft_rs} ms for {expected}");
    }

    #[test]
    fn two_of_five_is_the_first_of_four_answers() {
        let ours = mean_ms(&latencies::<Ours>(5, Rule::FastSafe, Net::Exponential, 2000, 1));
        assert!((ours / 5.0 - 1.0).abs() < 0.1, "{ours} ms for 5");
    }

    #[test]
    fn the_first_other_of_five_is_the_first_of_four_answers() {
        let ours = mean_ms(&latencies::<Ours>(5, Rule::Fast, Net::Exponential, 2000, 1));
        assert!((ours / 5.0 - 1.0).abs() < 0.1, "{ours} ms for 5");
    }

    #[test]
    fn a_straggler_is_not_waited_for() {
        let latencies = latencies::<Ours>(5, Rule::Majority, Net::Straggler, 500, 1);
        assert!(latencies.last().is_some_and(|&last| last < 2_000), "the straggler alone takes 10 ms: {latencies:?}");
    }

    #[test]
    fn quantiles_are_those_of_all_rounds() {
        assert_eq!(describe(&[vec![1000, 9000], vec![2000, 3000]]), "2.00 / 9.00 / 9.00");
    }
}
