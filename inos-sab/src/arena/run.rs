//! Blocks of whole chunks.

use super::cell::{Cell, State};
use super::chunk::Chunk;
use super::small::Search;
use super::space::{Extent, Space, Taken};
use crate::sync::Ordering;

/// Which chunks a run may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Free ones.
    Free,
    /// Also those cut into blocks of which none is taken.
    Empty,
}

impl Search<'_> {
    /// The lowest run of `count` chunks, of free ones if possible.
    pub(super) fn run(&mut self, count: u32) -> Option<Taken> {
        self.lowest(count, Source::Free).or_else(|| self.lowest(count, Source::Empty))
    }

    /// Collected in address order: of two searches that meet, the one further up loses nothing to the other, so one of
    /// them always goes on.
    fn lowest(&mut self, count: u32, from: Source) -> Option<Taken> {
        let chunks = self.space.geometry.chunks;
        let mut start = 0;
        // The first chunk not yet looked at.
        let mut looked = 0;
        while start + count <= chunks {
            looked = looked.max(start);
            match (looked..start + count).find(|chunk| !self.usable(*chunk, from)) {
                Some(obstacle) => start = obstacle + 1,
                None => match self.collect(start, count, from) {
                    Ok(taken) => return Some(taken),
                    Err(obstacle) => {
                        start = obstacle + 1;
                        looked = start;
                    }
                },
            }
        }
        None
    }

    fn usable(&mut self, chunk: u32, from: Source) -> bool {
        let space = self.space;
        match space.load(chunk) {
            Chunk::Free => true,
            Chunk::Cut(class) => from == Source::Empty && space.looks_empty(chunk, class),
            Chunk::Held { .. } | Chunk::Emptying { .. } => self.moving(),
            Chunk::Run { .. } | Chunk::Body | Chunk::Corrupt => false,
        }
    }

    /// Makes `count` chunks a run, or changes nothing but the cut of empty ones and returns the chunk in the way.
    fn collect(&mut self, start: u32, count: u32, from: Source) -> Result<Taken, u32> {
        let space = self.space;
        for chunk in start..start + count {
            let mine = match space.load(chunk) {
                Chunk::Cut(class) if from == Source::Empty => self.empty(chunk, class),
                _ => space.seize(chunk) || self.moving(),
            };
            if !mine {
                (start..chunk).for_each(|mine| space.give_back(mine));
                return Err(chunk);
            }
        }
        let granule = start * space.geometry.chunk_granules;
        // From here on one word says what we hold. Bodies in ascending order: those right behind it belong to it.
        space.change(start, space.held(1), space.held(count), Ordering::Relaxed);
        for chunk in start + 1..start + count {
            space.change(chunk, space.held(1), Chunk::Body, Ordering::Relaxed);
        }
        let Some(generation) = space.occupy(granule) else {
            // A search of blocks has it for a moment, until it sees that the chunk is not cut.
            self.moving();
            space.dissolve(start, count);
            return Err(start);
        };
        space.change(start, space.held(count), Chunk::Run { count }, Ordering::Relaxed);
        Ok(Taken { granule, generation, extent: Extent::Run { count } })
    }
}

impl Space<'_> {
    /// The moment of allocation of a run whose chunks this participant holds.
    fn occupy(&self, granule: u32) -> Option<u64> {
        let word = self.cell(granule);
        let bits = word.load(Ordering::Relaxed);
        let old = Cell::from_bits(bits);
        let owned = Cell::owned(old.generation, self.me);
        // Relaxed: the chunk's word has told us that earlier owners are done.
        let taken = old.state == State::Free
            && word.compare_exchange(bits, owned.to_bits(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        taken.then_some(old.generation)
    }
}
