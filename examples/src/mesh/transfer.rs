//! Fetches pieces of one stripe from whoever holds them, until there are enough.

use std::collections::{BTreeMap, BTreeSet};

use inos_chunk::{Assembler, Inserted, Piece, Place, StripeRepair};

use super::world::World;
use crate::host::Address;
use crate::link::{Answer, LinkError};

/// Which nodes hold each piece, by stripe and index; the client's own record of what it placed.
pub(super) type Directory = BTreeMap<(u32, u16), Vec<u32>>;

/// Something that takes pieces of one stripe and knows how many more it needs.
pub(super) trait Intake {
    /// Checks a piece and keeps it if it is genuine.
    fn insert(&mut self, piece: Piece) -> Inserted;
    /// How many more pieces of the stripe it takes to have all of it.
    fn lacks(&self) -> usize;
}

impl Intake for StripeRepair {
    fn insert(&mut self, piece: Piece) -> Inserted {
        Self::insert(self, piece)
    }

    fn lacks(&self) -> usize {
        if self.is_ready() { 0 } else { self.shortfall().map_or(0, |lack| usize::from(lack.needed - lack.present)) }
    }
}

/// One stripe of an assembler.
pub(super) struct Reading<'a> {
    pub(super) assembler: &'a mut Assembler,
    pub(super) stripe: u32,
}

impl Intake for Reading<'_> {
    fn insert(&mut self, piece: Piece) -> Inserted {
        self.assembler.insert(piece)
    }

    fn lacks(&self) -> usize {
        self.assembler.shortfall(self.stripe).map_or(0, |lack| usize::from(lack.needed - lack.present))
    }
}

/// What a fetch brought.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// Genuine pieces by index.
    pub(super) pieces: BTreeMap<u16, Piece>,
    /// Bad pieces, each blamed on its sender.
    pub(super) rejected: u64,
}

/// Asks the holders of `indexes` of a stripe, in this order, for as many pieces as `intake` lacks; where an answer is
/// bad or does not come, for the next. Ends when nothing is lacking or nobody is left to ask.
pub(super) fn fetch(
    world: &mut World,
    directory: &Directory,
    stripe: u32,
    indexes: &[u16],
    intake: &mut dyn Intake,
) -> Result<Fetched, LinkError> {
    let mut fetched = Fetched::default();
    let mut asked: BTreeSet<(u16, u32)> = BTreeSet::new();
    loop {
        let lacks = intake.lacks();
        let mut batch = Vec::new();
        for &index in indexes.iter().filter(|index| !fetched.pieces.contains_key(index)) {
            if batch.len() == lacks {
                break;
            }
            let holders = directory.get(&(stripe, index)).map_or(&[][..], Vec::as_slice);
            if let Some(node) = world.choose(holders, |node| !asked.contains(&(index, node))) {
                asked.insert((index, node));
                batch.push(Address { node, stripe, index });
            }
        }
        if batch.is_empty() {
            return Ok(fetched);
        }
        let mut liars = Vec::new();
        let mut on_answer = |from: Address, answer: Answer| {
            let Answer::Piece(wire) = answer else { return };
            let place = Place::Shard { stripe, index: from.index };
            match Piece::from_bytes(wire) {
                Ok(piece) if piece.place == place => match intake.insert(piece.clone()) {
                    Inserted::Accepted | Inserted::Duplicate => {
                        fetched.pieces.insert(from.index, piece);
                    }
                    Inserted::Rejected(_) => liars.push(from.node),
                    // No manifest of several pages is stored here.
                    Inserted::NeedsPage { .. } => {}
                },
                _ => liars.push(from.node),
            }
        };
        for address in batch {
            world.link.get(address, &mut on_answer)?;
        }
        world.link.finish(&mut on_answer)?;
        fetched.rejected += liars.len() as u64;
        for node in liars {
            world.blame(node);
        }
    }
}

/// How many pieces of a stripe some node is believed to hold.
pub(super) fn held(directory: &Directory, stripe: u32) -> usize {
    directory.range((stripe, 0)..=(stripe, u16::MAX)).filter(|(_, holders)| !holders.is_empty()).count()
}
