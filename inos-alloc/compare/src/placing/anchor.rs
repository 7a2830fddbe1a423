//! anchorhash: one node per key, in memory for a fixed number of nodes. Replicas by keys with a number added.

use core::hash::BuildHasherDefault;
use std::hash::DefaultHasher;

use anchorhash::{AnchorHash, Builder};

use super::{Hashing, Placing, distinct};

/// The same keys in each run.
type Hasher = BuildHasherDefault<DefaultHasher>;

pub(crate) struct Anchor(AnchorHash<(u64, u32), u32, Hasher>);

impl Placing for Anchor {
    fn place(&mut self, resource: u64, replicas: usize) -> Vec<u32> {
        let mut salts = 0_u32..;
        distinct(replicas, || {
            let salt = salts.next().expect("salts do not end");
            *self.0.get_resource((resource, salt)).expect("there are nodes")
        })
    }
}

impl Hashing for Anchor {
    const NAME: &'static str = "anchorhash";

    /// With room for a tenth more.
    fn with_nodes(nodes: u32) -> Self {
        let capacity = u16::try_from(nodes + nodes / 10).expect("its nodes are numbered by 16 bits");
        Self(Builder::with_hasher(Hasher::default()).with_resources(0..nodes).build(capacity))
    }

    fn leave(&mut self, node: u32) {
        self.0.remove_resource(&node).expect("it is a member");
    }

    fn join(&mut self, node: u32) {
        self.0.add_resource(node).expect("there is room");
    }
}
