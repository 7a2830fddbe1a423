//! An arena per thread, in one region of the standard layout.

use inos_sab::{Arena, ArenaBox, Layout, Region, Threads};

use super::Blocks;

pub(super) struct Ours(Arena);

pub(super) fn pair() -> (Ours, Ours) {
    let region = Region::<Threads>::heap(&Layout::STANDARD).expect("memory");
    (Ours(region.arena()), Ours(region.arena()))
}

impl Blocks for Ours {
    type Block = ArenaBox;

    fn alloc(&mut self, len: u32, tag: u64) -> ArenaBox {
        let mut block = self.0.alloc(len).expect("the arena has room");
        block.write_at(0, &tag.to_le_bytes()).expect("the shortest block has room");
        block
    }

    fn free(&mut self, block: ArenaBox, _: u32) -> u64 {
        let mut tag = [0; 8];
        block.read_at(0, &mut tag).expect("the shortest block has room");
        drop(block);
        u64::from_le_bytes(tag)
    }
}
