//! How many replicas move when a node leaves or joins.

use alloc::collections::BTreeSet;

use crate::Effort;
use crate::contest::{Figures, Role, at_once};
use crate::crush::{Crush, MAP};
use crate::mesh::mixed;
use crate::placing::{Anchor, Hashing, Hrw, Ours, Placing, Probes, Ring};
use crate::report::{Better, Row, Target};

const NODES: u32 = 1_000;
const REPLICAS: usize = 5;
/// Whoever leaves.
const NODE: u32 = 417;

/// The nodes of each resource.
type Nodes = Vec<BTreeSet<u32>>;

pub(crate) fn leave(name: &'static str, effort: Effort) -> std::io::Result<Row> {
    let resources = effort.units(20_000);
    let (ours, others_changed) = ours_leave(resources);
    let mut figures = vec![Figures::counted(Ours::NAME, Role::Ours, ours)];
    let hashing = [hashing_leave::<Hrw>, hashing_leave::<Ring>, hashing_leave::<Probes>, hashing_leave::<Anchor>];
    figures.extend(at_once(resources, &hashing));
    let mut notes = vec![
        format!(
            "{resources} resources x {REPLICAS} on {NODES} nodes, one of which leaves; replicas on a node where they \
            were not before, by those that the node had"
        ),
        format!("inos-alloc: node_failed; resources that were not on that node and changed: {others_changed}"),
        "naive-sort is not here: nothing moves by itself".into(),
    ];
    let mut absent = Vec::new();
    if let Some(crush) = Crush::build()? {
        let before = crush_nodes(&crush, MAP, resources, &[])?;
        let node = NODE.to_string();
        let out = crush_nodes(&crush, MAP, resources, &["--weight", &node, "0"])?;
        figures.push(Figures::counted(Crush::NAME, Role::Peer, moved(&before, &out) / held(&before, NODE)));
        crush.change("removed", &format!("--remove-item osd.{NODE}"))?;
        let removed = crush_nodes(&crush, "removed", resources, &[])?;
        notes.push(format!(
            "crushtool: the OSD is out, its weight stays in the map; removed from the map: {:.2}",
            moved(&before, &removed) / held(&before, NODE)
        ));
    } else {
        absent.push(Crush::NAME);
        notes.push(Crush::ABSENT.into());
    }
    let shape = (name, "x what the node had", Better::Lower);
    Ok(Row::new(shape, &figures, &absent, Some(Target::Exactly(1.0)), notes))
}

pub(crate) fn join(name: &'static str, effort: Effort) -> std::io::Result<Row> {
    let resources = effort.units(20_000);
    let (ours, newcomer) = ours_join(resources);
    let mut figures = vec![Figures::counted(Ours::NAME, Role::Ours, ours)];
    let hashing = [hashing_join::<Hrw>, hashing_join::<Ring>, hashing_join::<Probes>, hashing_join::<Anchor>];
    figures.extend(at_once(resources, &hashing));
    let mut notes = vec![
        format!(
            "{resources} resources x {REPLICAS} on {NODES} nodes, and one that joins; replicas on a node where they \
            were not before, by a {}th of all",
            NODES + 1
        ),
        format!("inos-alloc: moves nothing, and gives the newcomer what comes next: {newcomer}"),
    ];
    let mut absent = Vec::new();
    if let Some(crush) = Crush::build()? {
        let before = crush_nodes(&crush, MAP, resources, &[])?;
        let place = "host host1000 --loc zone zone23 --loc region region5 --loc root root";
        crush.change("joined", &format!("--add-item {NODES} 1.0 osd.{NODES} --loc {place}"))?;
        let after = crush_nodes(&crush, "joined", resources, &[])?;
        figures.push(Figures::counted(Crush::NAME, Role::Peer, moved(&before, &after) / fair_share(resources)));
        notes.push("crushtool: a host more in the smallest zone, of weight 1".into());
    } else {
        absent.push(Crush::NAME);
        notes.push(Crush::ABSENT.into());
    }
    let shape = (name, "x its fair share", Better::Lower);
    Ok(Row::new(shape, &figures, &absent, Some(Target::AtMost(1.0)), notes))
}

/// What moved, by what the node had; and how many other resources changed.
fn ours_leave(resources: u32) -> (f64, usize) {
    let mut ours = filled(resources);
    let before = ours_nodes(&ours, resources);
    ours.fail(NODE);
    let after = ours_nodes(&ours, resources);
    let held = held(&before, NODE);
    let others = before.iter().zip(&after).filter(|(before, after)| !before.contains(&NODE) && before != after);
    (moved(&before, &after) / held, others.count())
}

/// What moved, by the fair share; and what the newcomer got.
fn ours_join(resources: u32) -> (f64, String) {
    let mut ours = filled(resources);
    let before = ours_nodes(&ours, resources);
    ours.join(NODES);
    // A rebalance would run here; the allocator has none, so that nothing moves until something new is placed.
    let after = ours_nodes(&ours, resources);
    let mut text = Vec::new();
    let (mut placed, mut got) = (0_u32, 0_u32);
    for more in [100, resources / 20] {
        while placed < more {
            let nodes = ours.place(mixed(u64::from(resources + placed)), REPLICAS);
            got += u32::from(nodes.contains(&NODES));
            placed += 1;
        }
        text.push(format!("{got} replicas of the next {placed} resources"));
    }
    let share = fair_share(resources);
    (moved(&before, &after) / share, format!("{} (its fair share of what was there: {share:.0})", text.join(", ")))
}

/// Ours with its nodes as loaded as they should be.
fn filled(resources: u32) -> Ours {
    let mut ours = Ours::with_nodes(NODES, u64::from(resources) * 5 / u64::from(NODES));
    for resource in 0..resources {
        ours.place(mixed(u64::from(resource)), REPLICAS);
    }
    ours.report_all();
    ours
}

fn ours_nodes(ours: &Ours, resources: u32) -> Nodes {
    (0..resources).map(|resource| ours.nodes_of(mixed(u64::from(resource)))).collect()
}

fn hashing_leave<H: Hashing>(resources: u32) -> Figures {
    let mut hashing = H::with_nodes(NODES);
    let before = hashing_nodes(&mut hashing, resources);
    hashing.leave(NODE);
    let after = hashing_nodes(&mut hashing, resources);
    Figures::counted(H::NAME, Role::Peer, moved(&before, &after) / held(&before, NODE))
}

fn hashing_join<H: Hashing>(resources: u32) -> Figures {
    let mut hashing = H::with_nodes(NODES);
    let before = hashing_nodes(&mut hashing, resources);
    hashing.join(NODES);
    let after = hashing_nodes(&mut hashing, resources);
    Figures::counted(H::NAME, Role::Peer, moved(&before, &after) / fair_share(resources))
}

fn hashing_nodes(hashing: &mut impl Hashing, resources: u32) -> Nodes {
    (0..resources).map(|resource| hashing.place(mixed(u64::from(resource)), REPLICAS).into_iter().collect()).collect()
}

fn crush_nodes(crush: &Crush, map: &str, resources: u32, options: &[&str]) -> std::io::Result<Nodes> {
    let mappings = crush.mappings(map, resources, options)?;
    Ok(mappings.into_iter().map(|nodes| nodes.into_iter().collect()).collect())
}

/// Replicas on nodes where they were not before.
fn moved(before: &Nodes, after: &Nodes) -> f64 {
    before.iter().zip(after).map(|(before, after)| after.difference(before).count()).sum::<usize>() as f64
}

fn held(nodes: &Nodes, node: u32) -> f64 {
    nodes.iter().filter(|nodes| nodes.contains(&node)).count() as f64
}

fn fair_share(resources: u32) -> f64 {
    f64::from(resources) * REPLICAS as f64 / f64::from(NODES + 1)
}

#[cfg(test)]
mod tests {
    //! Movements counted by hand.

    use super::{Nodes, held, moved};

    #[test]
    fn what_is_where_it_was_did_not_move() {
        let nodes = |all: &[[u32; 3]]| -> Nodes { all.iter().map(|nodes| nodes.iter().copied().collect()).collect() };
        let (before, after) = (nodes(&[[1, 2, 3], [4, 5, 6], [1, 5, 9]]), nodes(&[[3, 2, 1], [4, 7, 6], [2, 5, 8]]));
        assert_eq!(moved(&before, &after).to_bits(), 3.0_f64.to_bits());
        assert_eq!(held(&before, 1).to_bits(), 2.0_f64.to_bits());
    }
}
