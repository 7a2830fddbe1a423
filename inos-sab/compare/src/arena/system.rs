//! The allocator that the program has.

use alloc::alloc::{alloc, dealloc};
use core::ptr::NonNull;

use super::Blocks;
use super::locked::{Block, layout_of};

pub(super) struct System;

impl Blocks for System {
    type Block = Block;

    fn alloc(&mut self, len: u32, tag: u64) -> Block {
        // SAFETY:
        // - no block is empty.
        let start = unsafe { alloc(layout_of(len)) };
        let start = NonNull::new(start).expect("memory");
        // SAFETY:
        // - the allocator gave `len` bytes, and no block is shorter than eight.
        unsafe { Block::new(start, tag) }
    }

    fn free(&mut self, block: Block, len: u32) -> u64 {
        let tag = block.tag();
        // SAFETY:
        // - the block was allocated with this layout, and `free` takes it.
        unsafe { dealloc(block.0.as_ptr(), layout_of(len)) };
        tag
    }
}
