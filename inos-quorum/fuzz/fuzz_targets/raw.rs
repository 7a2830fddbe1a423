//! Goal: bytes from anybody make no member panic, allocate more than it may, or change its epoch; neither do bytes that
//! storage gives back.
//!
//! Method: a live group of three and a learner. The input goes to each of them, from a member and from a stranger, as it
//! is and with the checksum mended; and to the recovery of a member, in place of a record.

#![no_main]

use std::sync::OnceLock;

use inos_quorum::{Actor, Boot, Mode, Storage};
use inos_quorum_fuzz::{Counting, MAX_STEP_BYTES, Member, World, mend, peak_of};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::new(Mode::Majority, Storage::Durable))
}

fuzz_target!(|input: &[u8]| {
    let mut mended = input.to_vec();
    mend(&mut mended);
    for node in 0..world().members.len() {
        let mut world = world().clone();
        let other = (node as u64 + 1) % world.members.len() as u64;
        for frame in [input, &mended] {
            world.deliver(77, node, frame);
            world.deliver(other, node, frame);
        }
    }
    let world = world();
    let (records, _) = &world.records[0];
    let place = usize::from(input.first().copied().unwrap_or(0)) % records.len();
    let mut forged = records.clone();
    forged[place] = mended;
    let me = Actor { node: 0, incarnation: 9 };
    let (_, peak) = peak_of(|| Member::new(world.config.clone(), me, 7, Boot::Recover(forged)).is_ok());
    assert!(peak <= MAX_STEP_BYTES, "{peak} bytes for a record");
});
