//! Whether a region's words agree with each other.

use crate::arena::ArenaCheck;
use crate::region::Region;
use crate::ring;
use crate::switchboard::{self, Slot};
use crate::sync::Ordering;
use crate::trust::Trust;

/// What a look at a region's words found, each of them read once and none of the payloads.
///
/// It is the truth of a region that is quiet: participants may hold roles, blocks and pins, but nobody pushes, takes,
/// allocates, frees or recovers meanwhile. In a busy one the words are of different moments: a fault may be one that
/// never was, and that there is none says little. Whether a frame's header makes sense is for its reader to find out:
/// nobody else may look at it while the writer may be at work.
///
/// # Examples
///
/// ```
/// use inos_sab::{Layout, Region, Threads};
///
/// let region = Region::<Threads>::heap(&Layout::compact(1 << 10, 1 << 20, 1 << 16)?)?;
/// region.inbox_producer()?.push_object(1, region.arena().alloc(100)?)?;
/// let check = region.check();
/// assert!(check.is_clean());
/// assert_eq!((check.inbox_frames, check.arena.in_flight), (Some(1), 1));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionCheck {
    /// Frames in the inbox; `None` if its cursors do not fit each other.
    pub inbox_frames: Option<u32>,
    /// The same of the outbox.
    pub outbox_frames: Option<u32>,
    /// Frames, and slots in which something is published. Each carries one block at most.
    pub carriers: u32,
    /// The arena.
    pub arena: ArenaCheck,
}

impl RegionCheck {
    /// Whether nothing contradicts anything, and there are as many frames and slots as blocks in flight at least. With
    /// empty rings that means that no block is lost; a reader that died and was not recovered may have taken some.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.inbox_frames.is_some()
            && self.outbox_frames.is_some()
            && self.arena.is_clean()
            && self.arena.in_flight <= self.carriers
    }
}

impl<T: Trust> Region<T> {
    /// Looks at every word; changes nothing, and may be called at any time. Takes a millisecond or so for the standard
    /// layout.
    #[must_use]
    pub fn check(&self) -> RegionCheck {
        let [inbox_frames, outbox_frames] = ring::recovery::frames(&self.shared);
        let frames = inbox_frames.unwrap_or(0).saturating_add(outbox_frames.unwrap_or(0));
        let holds = |slot: &Slot| switchboard::word(&self.shared, *slot).load(Ordering::Acquire) != 0;
        let slots: u32 = (0..15).filter_map(Slot::new).filter(holds).map(|_| 1).sum();
        RegionCheck { inbox_frames, outbox_frames, carriers: frames.saturating_add(slots), arena: self.arena().check() }
    }
}
