//! Ways to choose the nodes of a resource: ours and the peers.

mod anchor;
mod hrw;
mod naive;
mod ours;
mod ring;

pub(crate) use anchor::Anchor;
pub(crate) use hrw::Hrw;
pub(crate) use naive::{NaiveSelect, NaiveSort};
pub(crate) use ours::Ours;
pub(crate) use ring::{Probes, Ring};

/// Chooses nodes. Nodes are numbered from 0.
pub(crate) trait Placing {
    /// As many distinct nodes as asked for, the primary first.
    fn place(&mut self, resource: u64, replicas: usize) -> Vec<u32>;

    /// The resource is gone. Who keeps no loads has nothing to forget.
    fn release(&mut self, _nodes: &[u32]) {}
}

/// Chooses by hashing: what it answered is not kept but computed again.
pub(crate) trait Hashing: Placing {
    const NAME: &'static str;

    /// Nodes `0..nodes`.
    fn with_nodes(nodes: u32) -> Self;
    fn leave(&mut self, node: u32);
    fn join(&mut self, node: u32);
}

/// Takes nodes one by one until there are `replicas` different ones.
fn distinct(replicas: usize, mut next: impl FnMut() -> u32) -> Vec<u32> {
    let mut chosen = Vec::with_capacity(replicas);
    while chosen.len() < replicas {
        let node = next();
        if !chosen.contains(&node) {
            chosen.push(node);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    //! Goal: whoever is compared does the work. Method: nodes are distinct, in range and as many as asked for; hashing
    //! answers the same twice; who has left is not chosen, who has joined is; least load is least load.

    use alloc::collections::BTreeSet;

    use super::{Anchor, Hashing, Hrw, NaiveSelect, NaiveSort, Ours, Placing, Probes, Ring};

    const NODES: u32 = 200;

    fn check_distinct(placing: &mut impl Placing) {
        for resource in 0..500 {
            let nodes = placing.place(resource, 5);
            let distinct: BTreeSet<u32> = nodes.iter().copied().filter(|&node| node < NODES).collect();
            assert_eq!((nodes.len(), distinct.len()), (5, 5));
        }
    }

    fn check_hashing<H: Hashing>() {
        let mut hashing = H::with_nodes(NODES);
        check_distinct(&mut hashing);
        let before: Vec<_> = (0..500).map(|resource| hashing.place(resource, 5)).collect();
        let again: Vec<_> = (0..500).map(|resource| hashing.place(resource, 5)).collect();
        assert_eq!(before, again);
        assert!(before.iter().flatten().any(|&node| node == 7), "2500 replicas on 200 nodes");
        hashing.leave(7);
        assert!((0..500).all(|resource| !hashing.place(resource, 5).contains(&7)));
        hashing.join(NODES);
        assert!((0..2_000).any(|resource| hashing.place(resource, 5).contains(&NODES)));
    }

    #[test]
    fn hashing_is_distinct_repeats_and_follows_the_members() {
        check_hashing::<Hrw>();
        check_hashing::<Anchor>();
        check_hashing::<Ring>();
        check_hashing::<Probes>();
    }

    #[test]
    fn naive_takes_the_least_loaded_and_forgets_what_is_released() {
        let loads = vec![9, 1, 500, 3, 2, 8, 4];
        let mut sort = NaiveSort::new(loads.clone());
        let mut select = NaiveSelect::new(loads);
        for (resource, expected) in [(0, vec![1, 4, 3]), (1, vec![1, 4, 3]), (2, vec![1, 4, 6])] {
            assert_eq!(sort.place(resource, 3), expected);
            assert_eq!(select.place(resource, 3), expected);
        }
        sort.release(&[1, 4, 6]);
        assert_eq!(sort.place(3, 3), [1, 4, 6]);
        assert_eq!(sort.place(4, 9).len(), 6, "one is at half load");
    }

    #[test]
    fn ours_places_as_asked() {
        check_distinct(&mut Ours::with_nodes(NODES, 500));
    }
}
