//! Which nodes a new piece goes to, as the allocator places it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use inos_alloc::{ChunkPlacement, Placement, Policy, Scheme, StripePlacement};
use inos_chunk::{CHUNK_SIZE, StripeShape};

use super::Failure;
use super::world::{FILE, World};

/// The placement of a file by its scheme. Stripes are placed as the encoder comes to them.
#[derive(Debug)]
pub(super) enum Targets {
    /// Every node gets every data piece.
    Copies { nodes: Vec<u32>, seq: u64 },
    /// Data piece n goes where the allocator placed chunk n.
    Chunks { placement: ChunkPlacement, next: u64 },
    /// Every piece of a stripe goes to one node.
    Stripes { nodes: BTreeMap<u32, Vec<u32>>, newest: u64 },
}

impl Targets {
    pub(super) fn new(scheme: Scheme, placement: &Placement, world: &mut World, len: u64) -> Result<Self, Failure> {
        Ok(match scheme {
            Scheme::Copies => {
                let nodes = placement.replicas.iter().map(|&node| world.number(node)).collect();
                Self::Copies { nodes, seq: placement.seq }
            }
            Scheme::Chunks { copies } => {
                let chunks = len.div_ceil(CHUNK_SIZE as u64);
                let placed = world.allocator.place_chunks(&FILE, chunks, copies, &Policy::default(), world.now);
                let placement =
                    placed.map_err(|error| Failure::Refused(format!("no place for the chunks: {error}")))?;
                Self::Chunks { placement, next: 0 }
            }
            Scheme::Stripes { .. } | Scheme::Hierarchy => {
                Self::Stripes { nodes: BTreeMap::new(), newest: placement.seq }
            }
        })
    }

    /// The nodes of a piece; none for parity under schemes that keep whole copies. Data pieces are asked for in the
    /// order of the encoder, each once.
    pub(super) fn of(
        &mut self,
        world: &mut World,
        stripe: u32,
        index: u16,
        shape: StripeShape,
    ) -> Result<Vec<u32>, Failure> {
        let parity = index >= shape.data;
        Ok(match self {
            Self::Copies { .. } | Self::Chunks { .. } if parity => Vec::new(),
            Self::Copies { nodes, .. } => nodes.clone(),
            Self::Chunks { placement, next } => {
                *next += 1;
                placement.holders_of(*next - 1).iter().map(|&node| world.number(node)).collect()
            }
            Self::Stripes { nodes, newest } => {
                let nodes = match nodes.entry(stripe) {
                    Entry::Occupied(placed) => placed.into_mut(),
                    Entry::Vacant(free) => {
                        let placed = place_stripe(world, stripe, shape)?;
                        *newest = (*newest).max(placed.seq);
                        free.insert(placed.nodes.iter().map(|&node| world.number(node)).collect())
                    }
                };
                nodes.get(usize::from(index)).copied().into_iter().collect()
            }
        })
    }

    /// The newest decision of the allocator in this placement.
    pub(super) const fn newest(&self) -> u64 {
        match self {
            Self::Copies { seq, .. } => *seq,
            Self::Chunks { placement, .. } => placement.seq,
            Self::Stripes { newest, .. } => *newest,
        }
    }
}

fn place_stripe(world: &mut World, stripe: u32, shape: StripeShape) -> Result<StripePlacement, Failure> {
    let (data, parity) = (u32::from(shape.data), u32::from(shape.parity));
    let placed = world.allocator.place_stripe(&FILE, stripe, data, parity, &Policy::default(), world.now);
    placed.map_err(|error| Failure::Refused(format!("no place for stripe {stripe}: {error}")))
}
