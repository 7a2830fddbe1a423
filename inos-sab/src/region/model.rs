//! Model builds: several participants of one memory, and their recovery without an operating system to prove deaths.

use super::{Region, Shared, superblock};
use crate::layout::Layout;
use crate::memory::Memory;
use crate::participant::Participant;
use crate::recovery;
use crate::trust::{Crash, Level};

impl Region<Crash> {
    /// A region in memory of the checker; this is participant 0.
    pub(crate) fn model(layout: &Layout) -> Self {
        let memory = Memory::heap(layout).expect("memory");
        superblock::initialise(&memory, layout);
        Self::modelled(memory, layout, 0)
    }

    /// Participant `id` of the same memory.
    pub(crate) fn beside(&self, id: u8) -> Self {
        Self::modelled(self.shared.memory.clone(), &self.shared.layout, id)
    }

    fn modelled(memory: Memory, layout: &Layout, id: u8) -> Self {
        Self::from_shared(Shared::new(memory, *layout, Level::Crash, Participant::modelled(id)))
    }

    /// Takes back what participant `dead` had. The caller knows that it is dead.
    pub(crate) fn take_back(&self, dead: u8) {
        let _ = recovery::take_back(&self.shared, dead);
    }

    /// The memory, to look at.
    pub(crate) fn memory(&self) -> &Memory {
        &self.shared.memory
    }
}
