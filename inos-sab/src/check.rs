//! Whether a region's words agree with each other.

use crate::arena::ArenaCheck;
use crate::region::Region;
use crate::ring;
use crate::switchboard::{self, Slot};
use crate::sync::Ordering;
use crate::trust::Trust;

/// What a look at every word of a region found. Only of a region in which nothing moves is it the truth.
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
    /// Frames in the inbox; `None` if its cursors or headers do not form a chain.
    pub inbox_frames: Option<u32>,
    /// The same of the outbox.
    pub outbox_frames: Option<u32>,
    /// Blocks that frames and slots name. Each is in flight; more only if a reader died after it took some.
    pub carried: u32,
    /// The arena.
    pub arena: ArenaCheck,
}

impl RegionCheck {
    /// Whether nothing contradicts anything, and every block in flight is carried by a frame or a slot.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.inbox_frames.is_some()
            && self.outbox_frames.is_some()
            && self.arena.is_clean()
            && self.arena.in_flight <= self.carried
    }
}

impl<T: Trust> Region<T> {
    /// Looks at every word; changes nothing. Takes a millisecond or so for the standard layout.
    #[must_use]
    pub fn check(&self) -> RegionCheck {
        let rings = ring::recovery::check(&self.shared);
        let [inbox_frames, outbox_frames] = rings.map(|ring| ring.ok().map(|(frames, _)| frames));
        let objects: u32 = rings.iter().flatten().map(|(_, objects)| objects).sum();
        let holds = |slot: &Slot| switchboard::word(&self.shared, *slot).load(Ordering::Acquire) != 0;
        let slots: u32 = (0..15).filter_map(Slot::new).filter(holds).map(|_| 1).sum();
        RegionCheck { inbox_frames, outbox_frames, carried: objects + slots, arena: self.arena().check() }
    }
}
