//! The floor: bumpalo, which hands out the next bytes and forgets them all at once.

use bumpalo::Bump;

use super::WINDOW;
use super::locked::{Block, layout_of};
use crate::contest::Parts;

/// Seconds per block.
pub(super) fn churn(lengths: &[u32], pairs: u64) -> f64 {
    let mut bump = Bump::with_capacity(WINDOW << 16);
    let mut parts = Parts::start(pairs);
    let mut window: Vec<Block> = Vec::with_capacity(WINDOW);
    for (tag, len) in (0..pairs).zip(lengths.iter().cycle()) {
        if window.len() == WINDOW {
            for (block, tag) in window.drain(..).zip(tag - WINDOW as u64..) {
                assert_eq!(block.tag(), tag, "nobody else wrote the block");
            }
            bump.reset();
        }
        let start = bump.alloc_layout(layout_of(*len));
        // SAFETY:
        // - bumpalo gave `len` bytes, no block is shorter than eight, and the window is empty when it is reset.
        window.push(unsafe { Block::new(start, tag) });
        parts.reached(tag + 1);
    }
    parts.median()
}
