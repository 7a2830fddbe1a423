//! mpchash: consistent hashing on a ring. Either with points per node and the next nodes on the ring as replicas, or with
//! one point per node and several probes per key, which is what the crate is for.

use mpchash::HashRing;

use super::{Hashing, Placing, distinct};

/// Points of a node on the ring, as is usual.
const POINTS: u16 = 100;

/// A ring of points.
pub(crate) struct Ring {
    points: u16,
    ring: HashRing<(u32, u16)>,
}

impl Ring {
    /// With other than the usual number of points.
    pub(crate) fn with_points(nodes: u32, points: u16) -> Self {
        let mut ring = Self { points, ring: HashRing::new() };
        for node in 0..nodes {
            ring.join(node);
        }
        ring
    }
}

impl Placing for Ring {
    /// Points of one node may follow each other: then more are asked for.
    fn place(&mut self, resource: u64, replicas: usize) -> Vec<u32> {
        let mut points = replicas;
        loop {
            let mut chosen = Vec::with_capacity(replicas);
            for token in self.ring.replicas(&resource, points) {
                let node = token.node().0;
                if chosen.len() < replicas && !chosen.contains(&node) {
                    chosen.push(node);
                }
            }
            if chosen.len() == replicas || points >= self.ring.len() {
                return chosen;
            }
            points *= 2;
        }
    }
}

impl Hashing for Ring {
    const NAME: &'static str = "mpchash";

    fn with_nodes(nodes: u32) -> Self {
        Self::with_points(nodes, POINTS)
    }

    fn leave(&mut self, node: u32) {
        for point in 0..self.points {
            self.ring.remove(&(node, point));
        }
    }

    fn join(&mut self, node: u32) {
        for point in 0..self.points {
            self.ring.add((node, point));
        }
    }
}

/// One point per node; each replica is the best of 23 probes for the key with a number added.
pub(crate) struct Probes(HashRing<u32>);

impl Placing for Probes {
    fn place(&mut self, resource: u64, replicas: usize) -> Vec<u32> {
        let mut salts = 0_u32..;
        distinct(replicas, || {
            let salt = salts.next().expect("salts do not end");
            *self.0.node(&(resource, salt)).expect("there are nodes").node()
        })
    }
}

impl Hashing for Probes {
    const NAME: &'static str = "mpchash-probes";

    fn with_nodes(nodes: u32) -> Self {
        let ring = HashRing::new();
        for node in 0..nodes {
            ring.add(node);
        }
        Self(ring)
    }

    fn leave(&mut self, node: u32) {
        self.0.remove(&node);
    }

    fn join(&mut self, node: u32) {
        self.0.add(node);
    }
}

#[cfg(test)]
mod tests {
    //! A node takes all of its points with it.

    use super::{Hashing, Ring};

    #[test]
    fn all_points_leave() {
        let mut ring = Ring::with_points(10, 7);
        assert_eq!(ring.ring.len(), 70);
        ring.leave(3);
        assert_eq!(ring.ring.len(), 63);
    }
}
