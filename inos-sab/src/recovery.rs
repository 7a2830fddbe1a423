//! Taking back what the dead had.

use crate::arena::recovery::{InTransit, Swept, sweep};
use crate::arena::{Carrier, Handle};
#[cfg(not(inos_loom))]
use crate::error::RegionError;
#[cfg(not(inos_loom))]
use crate::participant::Peer;
#[cfg(not(inos_loom))]
use crate::region::Region;
use crate::region::Shared;
use crate::ring::{
    self,
    recovery::{Left, left_by},
};
use crate::switchboard::{self, Slot};
use crate::sync::Ordering;
use crate::sync::order::{self, Pair};
#[cfg(not(inos_loom))]
use crate::trust::{Level, Trust};
#[cfg(not(inos_loom))]
use alloc::vec::Vec;

/// Sweeps of an arena in which living participants change the very cells that are looked at. Only hostile ones do that
/// so often.
const SWEEPS: u32 = 4;

/// What [`Region::recover`] found and took back.
#[cfg(not(inos_loom))]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// All other participants: the dead, who are gone now, and the living, stalled or not, from whom nothing was taken.
    pub peers: Vec<Peer>,
    /// Blocks that the dead owned, or had sent where nobody could receive them; they are free now.
    pub blocks_freed: u32,
    /// Blocks that the dead had taken from a ring without giving room back: in the ring again, for the next reader.
    pub blocks_returned: u32,
    /// Blocks that the dead had pinned.
    pub blocks_unpinned: u32,
}

#[cfg(not(inos_loom))]
impl<T: Trust> Region<T> {
    /// Who else takes part, and whether it lives. Changes nothing. Threads are alone.
    ///
    /// # Errors
    ///
    /// [`RegionError::Forked`] in a child of the process that attached, [`RegionError::System`].
    pub fn peers(&self) -> Result<Vec<Peer>, RegionError> {
        self.visit(None)
    }

    /// Takes back what dead participants had: their roles, slots and blocks. May be called at any time, by any number of
    /// participants at once; a recovery that is itself cut short is finished by the next. A participant that lives is
    /// never touched, stopped or not.
    ///
    /// Takes time in proportion to the region's arena, about a millisecond for each dead participant of the standard
    /// layout; none when nobody died.
    ///
    /// # Errors
    ///
    /// [`RegionError::NoProof`] on the heap and on raw memory, [`RegionError::Forked`], [`RegionError::System`].
    ///
    /// # Examples
    ///
    /// A process that goes on where a killed one was, with the job that was under way:
    ///
    /// ```no_run
    /// use inos_sab::{Crash, JobRunner, Layout, Region};
    ///
    /// // SAFETY:
    /// // - only this program's processes open the file, as here, and nobody cuts it short or forks.
    /// let region = unsafe { Region::<Crash>::open_file("/dev/shm/node".as_ref(), &Layout::STANDARD) }?;
    /// let recovery = region.recover()?;
    /// let mut runner = JobRunner::new(region.inbox_consumer()?, region.outbox_producer()?)?; // their roles are free now
    /// if let Some(id) = recovery.peers.iter().filter_map(|peer| peer.job).next() {
    ///     runner.answer_died(id);
    /// }
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn recover(&self) -> Result<Recovery, RegionError> {
        if !self.shared.participant.has_proof() {
            return Err(RegionError::NoProof);
        }
        let mut recovery = Recovery::default();
        let mut take = |dead| {
            let swept = take_back(&self.shared, dead);
            recovery.blocks_freed += swept.freed;
            recovery.blocks_returned += swept.returned;
            recovery.blocks_unpinned += swept.unpinned;
        };
        recovery.peers = self.visit(Some(&mut take))?;
        Ok(recovery)
    }

    fn visit(&self, recover: Option<&mut dyn FnMut(u8)>) -> Result<Vec<Peer>, RegionError> {
        if self.shared.level == Level::Threads {
            return Ok(Vec::new());
        }
        self.shared.participant.visit(&self.shared.memory, &self.shared.layout, recover)
    }
}

/// Takes back what the dead participant had. Nobody else does, nor joins in its place, until this is over.
pub(crate) fn take_back(shared: &Shared, dead: u8) -> Swept {
    let transit = Transit { shared, dead, rings: left_by(shared, dead) };
    let mut swept = sweep(shared, dead, &transit);
    for _ in 1..SWEEPS {
        if swept.contended == 0 {
            break;
        }
        let again = sweep(shared, dead, &transit);
        swept.freed += again.freed;
        swept.returned += again.returned;
        swept.unpinned += again.unpinned;
        swept.chunks += again.chunks;
        swept.contended = again.contended;
    }
    ring::recovery::vacate(shared, dead);
    switchboard::vacate(shared, dead);
    switchboard::ring_all(shared);
    swept
}

/// Rings and slots as the dead participant left them.
struct Transit<'a> {
    shared: &'a Shared,
    dead: u8,
    rings: [Left; 2],
}

impl Transit<'_> {
    fn ring(&self, carrier: Carrier) -> Option<&Left> {
        self.rings.iter().find(|ring| ring.carrier == carrier)
    }
}

impl InTransit for Transit<'_> {
    fn was_writer(&self, carrier: Carrier) -> bool {
        match carrier {
            Carrier::Slot(index) => {
                Slot::new(index).is_some_and(|slot| switchboard::publishes(self.shared, slot, self.dead))
            }
            ring => self.ring(ring).is_some_and(|ring| ring.wrote),
        }
    }

    fn was_reader(&self, carrier: Carrier) -> bool {
        self.ring(carrier).is_some_and(|ring| ring.read)
    }

    fn carries(&self, carrier: Carrier, handle: Handle) -> bool {
        match carrier {
            Carrier::Slot(index) => Slot::new(index).is_some_and(|slot| {
                switchboard::word(self.shared, slot).load(order::acquire(Pair::Slot)) == handle.to_bits()
            }),
            ring => self.ring(ring).is_some_and(|ring| ring.handles.contains(&handle.to_bits())),
        }
    }

    fn withdraw(&self, slot: u8, handle: Handle) {
        if let Some(slot) = Slot::new(slot) {
            let word = switchboard::word(self.shared, slot);
            let _ = word.compare_exchange(handle.to_bits(), 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}
