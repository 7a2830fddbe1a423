//! Repair: brings what the dead nodes held to the nodes that the allocator recruited.

use std::collections::BTreeMap;

use inos_alloc::{Piece as Placed, Repair, Scheme};
use inos_chunk::{Compression, Piece, Place, StripeRepair};

use super::transfer::{Directory, Intake, fetch, held};
use super::vault::{Vault, put, settle};
use super::world::World;
use super::{Failure, Progress};

/// What a repair achieved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mended {
    /// Copies and shards that were brought to other nodes.
    pub(super) pieces_repaired: u64,
    /// Bad pieces that nodes sent meanwhile.
    pub(super) rejected: u64,
}

/// Pieces of one stripe, and the nodes that should get each.
type Orders = BTreeMap<u16, Vec<u32>>;

/// Carries out the allocator's plan for the stored file.
pub(super) fn mend(
    world: &mut World,
    vault: &mut Vault,
    repair: &Repair<u64>,
    progress: Progress,
) -> Result<Mended, Failure> {
    let mut mended = Mended::default();
    let orders = orders(world, vault, repair);
    let bar = progress.steps("repairing stripes".into(), orders.len() as u64);
    for (stripe, orders) in orders {
        let (pieces, rejected) = rebuild(world, vault, stripe, &orders)?;
        mended.rejected += rejected;
        for piece in pieces {
            let Place::Shard { index, .. } = piece.place else { continue };
            let Some(nodes) = orders.get(&index) else { continue };
            put(world, &piece, nodes)?;
            vault.directory.entry((stripe, index)).or_default().extend(nodes);
            mended.pieces_repaired += nodes.len() as u64;
        }
        settle(world)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    world.counted = world.counted.max(repair.seq);
    Ok(mended)
}

/// What the plan asks for, by stripe.
fn orders(world: &World, vault: &Vault, repair: &Repair<u64>) -> BTreeMap<u32, Orders> {
    let mut orders: BTreeMap<u32, Orders> = BTreeMap::new();
    let mut order = |(stripe, index): (u32, u16), node: u32| {
        orders.entry(stripe).or_default().entry(index).or_default().push(node);
    };
    for moved in &repair.pieces {
        let Some(to) = moved.to else { continue };
        let place = match moved.piece {
            Placed::Chunk { chunk } => usize::try_from(chunk).ok().and_then(|chunk| vault.chunks.get(chunk)).copied(),
            Placed::Shard { stripe, shard } => u16::try_from(shard).ok().map(|index| (stripe, index)),
        };
        if let Some(place) = place {
            order(place, world.number(to));
        }
    }
    if vault.scheme() == Scheme::Copies {
        for &recruit in &repair.recruited {
            vault.chunks.iter().for_each(|&place| order(place, world.number(recruit)));
        }
    }
    orders
}

/// The ordered pieces of a stripe: from other copies where there are any, else out of the rest of the stripe. Those
/// that cannot be had are left out.
fn rebuild(world: &mut World, vault: &Vault, stripe: u32, orders: &Orders) -> Result<(Vec<Piece>, u64), Failure> {
    let manifest = &vault.sealed().manifest;
    let wanted: Vec<u16> = orders.keys().copied().collect();
    let mut repair = StripeRepair::new(manifest, stripe, &wanted).expect("the pieces were placed by this manifest");
    let copies =
        fetch(world, &vault.directory, stripe, &wanted, &mut AllOf { repair: &mut repair, left: wanted.len() })?;
    let mut rejected = copies.rejected;
    if !repair.is_ready() && is_in_reach(&vault.directory, stripe, &repair) {
        let shape = manifest.stripe(stripe).expect("the stripe was placed by this manifest");
        let others: Vec<u16> = (0..shape.data + shape.parity).filter(|index| !wanted.contains(index)).collect();
        rejected += fetch(world, &vault.directory, stripe, &others, &mut repair)?.rejected;
    }
    let rebuilt = repair.finish(Compression::Lz4);
    Ok((rebuilt.unwrap_or_else(|_| copies.pieces.into_values().collect()), rejected))
}

/// Whether enough pieces of the stripe are believed to be held; asking for them in vain would only cost traffic.
fn is_in_reach(directory: &Directory, stripe: u32, repair: &StripeRepair) -> bool {
    repair.shortfall().is_none_or(|lack| held(directory, stripe) >= usize::from(lack.needed))
}

/// Wants each of the ordered pieces, however many of the stripe are there.
struct AllOf<'a> {
    repair: &'a mut StripeRepair,
    left: usize,
}

impl Intake for AllOf<'_> {
    fn insert(&mut self, piece: Piece) -> inos_chunk::Inserted {
        let inserted = self.repair.insert(piece);
        self.left -= usize::from(inserted == inos_chunk::Inserted::Accepted);
        inserted
    }

    fn lacks(&self) -> usize {
        self.left
    }
}
