//! Taking back what a dead participant left in the arena.
//!
//! Every step is a compare-exchange from the exact value that was seen, in an order in which what is left after each
//! step is again something a dead participant leaves. So a sweep may itself be cut short by death, may be repeated, and
//! does no harm to participants at work.

use super::cell::{Carrier, Cell, State};
use super::chunk::Chunk;
use super::handle::Handle;
use super::space::Space;
use crate::region::Shared;
use crate::sync::Ordering;
use crate::sync::order::{self, Pair};

/// Looks at a cell whose pins others keep changing.
const TRIES: u32 = 64;

/// What is known of rings and slots when a participant is dead. Its roles and slots must not be given to others before
/// the sweep is over.
pub(crate) trait InTransit {
    /// Whether the dead participant was the one to put blocks into this ring or slot.
    fn was_writer(&self, carrier: Carrier) -> bool;

    /// Whether the dead participant was the reader of this ring. For slots, whose readers are not known: whether it
    /// may have been.
    fn was_reader(&self, carrier: Carrier) -> bool;

    /// Whether a frame between head and tail, or the slot, names this block *now*: looked up after the block's cell.
    fn carries(&self, carrier: Carrier, handle: Handle) -> bool;

    /// Empties the slot if it names this block.
    fn withdraw(&self, slot: u8, handle: Handle);
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Blocks that were freed.
    pub(crate) freed: u32,
    /// Blocks that the dead participant had taken from a ring whose head does not know it, in flight again.
    pub(crate) returned: u32,
    /// Blocks that the dead participant had pinned.
    pub(crate) unpinned: u32,
    /// Chunks that it held or was emptying.
    pub(crate) chunks: u32,
    /// Cells that others changed in each of 64 attempts. If not 0, sweep again.
    pub(crate) contended: u32,
}

/// Frees what the dead participant owned, held, pinned, or sent and nobody can receive.
pub(crate) fn sweep(shared: &Shared, dead: u8, transit: &impl InTransit) -> Swept {
    // In the dead one's name: what is held half-way is found by the next sweep of the same participant.
    let space = Space { me: dead, ..Space::new(shared) };
    let mut swept = Swept::default();
    for granule in 0..space.geometry.granules() {
        sweep_cell(space, granule, transit, &mut swept);
    }
    for chunk in 0..space.geometry.chunks {
        sweep_chunk(space, chunk, &mut swept);
    }
    swept
}

fn sweep_cell(space: Space<'_>, granule: u32, transit: &impl InTransit, swept: &mut Swept) {
    let word = space.cell(granule);
    for _ in 0..TRIES {
        let bits = word.load(Ordering::Acquire);
        let cell = Cell::from_bits(bits);
        let handle = space.geometry.handle(granule, cell.generation);
        let change = |to: Cell| {
            word.compare_exchange(bits, to.to_bits(), order::acq_rel(Pair::LetGo), Ordering::Relaxed).is_ok()
        };
        let done = match cell.state {
            State::Owned if cell.who == u16::from(space.me) => {
                let rings = [Carrier::Inbox, Carrier::Outbox];
                let whole = !is_coming_apart(space, granule);
                let back = rings
                    .into_iter()
                    .filter(|_| whole)
                    .find(|ring| transit.was_reader(*ring) && transit.carries(*ring, handle));
                if let Some(ring) = back {
                    // It took the block, but the head does not know: the frame will be read again.
                    let done = change(Cell::in_flight(cell.generation, ring));
                    swept.returned += u32::from(done);
                    done
                } else {
                    // It may have died between taking the block of a slot and emptying the slot.
                    (0..Carrier::SLOTS).for_each(|slot| transit.withdraw(slot, handle));
                    swept.freed += u32::from(free(space, granule, cell));
                    true
                }
            }
            State::Detached if bits & Cell::pin_of(space.me) != 0 => {
                let unpinned = bits & !Cell::pin_of(space.me);
                let release = order::release(Pair::Unpin);
                let done = word.compare_exchange(bits, unpinned, release, Ordering::Relaxed).is_ok();
                swept.unpinned += u32::from(done);
                done
            }
            State::InFlight => {
                let lost = Carrier::from_who(cell.who)
                    .is_some_and(|carrier| transit.was_writer(carrier) && !transit.carries(carrier, handle));
                if lost {
                    // Into the dead one's hands first. The next look frees it.
                    change(Cell::owned(cell.generation, space.me));
                }
                !lost
            }
            State::Free | State::Owned | State::Detached | State::Corrupt => true,
        };
        if done {
            return;
        }
    }
    swept.contended += 1;
}

/// Whether the dead participant was freeing the run that starts here, which only its chunk says so far: nobody may get
/// it again, although a frame names it.
fn is_coming_apart(space: Space<'_>, granule: u32) -> bool {
    let held = space.load(granule / space.geometry.chunk_granules);
    matches!(held, Chunk::Held { participant, .. } if participant == space.me)
}

/// Frees a block that the dead participant owns; also what it took for a moment in a chunk that is not cut.
fn free(space: Space<'_>, granule: u32, owned: Cell) -> bool {
    let (chunk_granules, chunks) = (space.geometry.chunk_granules, space.geometry.chunks);
    let (chunk, within) = (granule / chunk_granules, granule % chunk_granules);
    let seen = space.load(chunk);
    if let (Chunk::Run { count }, 0) = (seen, within) {
        // Only the owner of a run changes its chunks. What is held is given back by the pass over chunks.
        if (1..=chunks - chunk).contains(&count) {
            space.change(chunk, seen, space.held(count), Ordering::Relaxed);
        }
    }
    // Release, and nothing to acquire: of the block only its cell is used, and what its earlier owners released passes through
    // this compare-exchange, which continues their release sequences.
    let release = order::release(Pair::Free);
    let (from, to) = (owned.to_bits(), owned.freed().to_bits());
    space.cell(granule).compare_exchange(from, to, release, Ordering::Relaxed).is_ok()
}

fn sweep_chunk(space: Space<'_>, chunk: u32, swept: &mut Swept) {
    let seen = space.load(chunk);
    match seen {
        // What it had seen of the cells is lost; as it was, is always right.
        Chunk::Emptying { participant, class } if participant == space.me => {
            swept.chunks += u32::from(space.change(chunk, seen, Chunk::Cut(class), order::release(Pair::Chunk)));
        }
        Chunk::Held { participant, count } if participant == space.me => {
            // Bodies are made in ascending order behind a held chunk and freed in descending order: those that are left
            // follow it without a gap, and a body of somebody else's run has another first chunk in front.
            let room = count.min(space.geometry.chunks - chunk);
            let bodies = (1..room).take_while(|step| space.load(chunk + step) == Chunk::Body).count();
            for step in (1..room).take(bodies).rev() {
                let freed = space.change(chunk + step, Chunk::Body, Chunk::Free, order::release(Pair::Chunk));
                swept.chunks += u32::from(freed);
            }
            swept.chunks += u32::from(space.change(chunk, seen, Chunk::Free, order::release(Pair::Chunk)));
        }
        Chunk::Cut(class) => {
            // Bits set in vain. One that a search has just set may go, too: it is a hint.
            for slot in 0..space.per_chunk(class) {
                let bit = 1 << (slot % 64);
                let bitmap = space.bitmap(chunk, slot / 64);
                let cell = Cell::from_bits(space.cell(space.granule_at(chunk, class, slot)).load(Ordering::Relaxed));
                if bitmap.load(Ordering::Relaxed) & bit != 0 && cell.state == State::Free {
                    bitmap.fetch_and(!bit, Ordering::Relaxed);
                }
            }
        }
        Chunk::Free
        | Chunk::Run { .. }
        | Chunk::Body
        | Chunk::Held { .. }
        | Chunk::Emptying { .. }
        | Chunk::Corrupt => {}
    }
}
