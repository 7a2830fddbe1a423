//! How evenly replicas are spread.

use crate::contest::{Figures, Role, at_once};
use crate::crush::{Crush, MAP};
use crate::mesh::{mixed, slot};
use crate::placing::{Anchor, Hashing, Hrw, NaiveSort, Ours, Placing, Probes, Ring};
use crate::report::{Better, Row, Target};

const NODES: u32 = 1_000;
const REPLICAS: usize = 5;
const RESOURCES: u32 = 100_000;
const REPLICAS_PER_NODE: u64 = 500;

pub(crate) fn run(name: &'static str) -> std::io::Result<Row> {
    let crush = Crush::build()?;
    let all = [ours, naive_sort, hashing::<Hrw>, hashing::<Ring>, hashing::<Probes>, hashing::<Anchor>];
    let mut spreads = at_once(RESOURCES, &all);
    let mut notes = vec![
        format!("{RESOURCES} resources x {REPLICAS} on {NODES} nodes of one size, idle before"),
        "inos-alloc: nodes report after every 1000 resources; naive-sort spreads over no regions and has no stale view; the \
        others hash; mpchash: 100 points per node"
            .into(),
    ];
    let mut absent = Vec::new();
    if let Some(crush) = &crush {
        let mappings = crush.mappings(MAP, RESOURCES, &[])?;
        spreads.push((Crush::NAME, Role::Peer, Spread::count(mappings.iter().flatten().copied())));
        notes.push(Crush::NOTE.into());
    } else {
        absent.push(Crush::NAME);
        notes.push(Crush::ABSENT.into());
    }
    let deviations = spreads.iter().map(|(name, _, spread)| format!("{name} {:.2} %", spread.deviation * 100.0));
    notes.push(format!("standard deviation by mean: {}", deviations.collect::<Vec<_>>().join(", ")));
    let figures: Vec<Figures> =
        spreads.iter().map(|(name, role, spread)| Figures::counted(name, *role, spread.most)).collect();
    let target = Target::AtMost(1.05);
    Ok(Row::new((name, "max/mean of replicas per node", Better::Lower), &figures, &absent, Some(target), notes))
}

type Named = (&'static str, Role, Spread);

fn ours(resources: u32) -> Named {
    (Ours::NAME, Role::Ours, Spread::of(&mut Ours::with_nodes(NODES, REPLICAS_PER_NODE), resources))
}

fn naive_sort(resources: u32) -> Named {
    (NaiveSort::NAME, Role::Peer, Spread::of(&mut NaiveSort::new(vec![0; slot(NODES)]), resources))
}

fn hashing<H: Hashing>(resources: u32) -> Named {
    (H::NAME, Role::Peer, Spread::of(&mut H::with_nodes(NODES), resources))
}

/// Both as parts of the mean.
struct Spread {
    most: f64,
    deviation: f64,
}

impl Spread {
    fn of(placing: &mut impl Placing, resources: u32) -> Self {
        Self::count((0..resources).flat_map(|resource| placing.place(mixed(u64::from(resource)), REPLICAS)))
    }

    fn count(nodes: impl Iterator<Item = u32>) -> Self {
        let mut replicas = vec![0_u32; slot(NODES)];
        for node in nodes {
            replicas[slot(node)] += 1;
        }
        let total: u32 = replicas.iter().sum();
        let mean = f64::from(total) / f64::from(NODES);
        let most = replicas.iter().copied().max().map_or(0.0, f64::from);
        let squares: f64 = replicas.iter().map(|&count| (f64::from(count) - mean).powi(2)).sum();
        Self { most: most / mean, deviation: (squares / f64::from(NODES)).sqrt() / mean }
    }
}

#[cfg(test)]
mod tests {
    //! Spreads computed by hand.

    use super::{NODES, Spread};

    #[test]
    fn even_is_one_and_all_on_one_is_the_number_of_nodes() {
        let even = Spread::count((0..NODES).chain(0..NODES));
        assert_eq!((even.most.to_bits(), even.deviation.to_bits()), (1.0_f64.to_bits(), 0.0_f64.to_bits()));
        assert!((Spread::count([7; 50].into_iter()).most - f64::from(NODES)).abs() < 1e-9);
    }

    #[test]
    fn two_halves_deviate_by_half_of_their_distance() {
        // One replica here, three there: mean 2, deviation 1.
        let halves = Spread::count((0..NODES).flat_map(|node| vec![node; if node % 2 == 0 { 1 } else { 3 }]));
        assert!((halves.most - 1.5).abs() < 1e-9 && (halves.deviation - 0.5).abs() < 1e-9);
    }
}
