//! Goal: whatever members say, in whatever order, and whatever happens to them meanwhile, nobody panics, sends without
//! end, or allocates what no frame carried; strangers are never heard.
//!
//! Method: a live group of three and a learner, whose network, storage, clocks and operators the input plays: genuine
//! frames arrive, are lost or repeated; forged ones are genuine ones with numbers put in and the checksum mended, from
//! members, who lie, and from strangers.

#![no_main]

use core::time::Duration;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use inos_quorum::{Mode, NodeClass, Read, Storage};
use inos_quorum_fuzz::{Counting, World, mend};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    start: u8,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// The next frame under way arrives, or the one after, and so on.
    Deliver {
        pick: u8,
        keep: bool,
    },
    Lose {
        pick: u8,
    },
    Forged {
        pick: u8,
        from: u8,
        to: u8,
        edits: Vec<Edit>,
        cut: Option<u16>,
        end: &'a [u8],
    },
    Pass {
        millis: u16,
    },
    Tick {
        node: u8,
        millis: u16,
    },
    Write {
        node: u8,
        len: u16,
    },
    Read {
        node: u8,
    },
    Sync {
        node: u8,
    },
    Restart {
        node: u8,
    },
    Order {
        node: u8,
        order: Order,
        seat: u8,
    },
    Peer {
        node: u8,
        about: u8,
        state: u8,
    },
}

#[derive(Arbitrary, Debug)]
struct Edit {
    at: u16,
    number: Number,
}

#[derive(Arbitrary, Debug)]
enum Number {
    Byte(u8),
    /// The edges of what a field can hold.
    Edge(u8),
    Small(u8),
    Word(u64),
    /// The number there, a little more or less.
    Near(i8),
}

#[derive(Arbitrary, Debug)]
enum Order {
    Add,
    Remove,
    Replace,
    Transfer,
    Leave,
    Retire,
    Expire,
    Force,
}

const EDGES: [u64; 10] =
    [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 1 << 63, u64::MAX - 1, u64::MAX];

fn world(start: u8) -> World {
    static WORLDS: OnceLock<Vec<World>> = OnceLock::new();
    let worlds = WORLDS.get_or_init(|| {
        let modes = [Mode::Majority, Mode::Fast, Mode::FastSafe, Mode::Flex { write: 3 }];
        modes
            .into_iter()
            .flat_map(|mode| [Storage::Durable, Storage::Volatile].map(|it| World::new(mode, it)))
            .collect()
    });
    worlds[usize::from(start) % worlds.len()].clone()
}

fn edit(frame: &mut [u8], edit: &Edit) {
    if frame.is_empty() {
        return;
    }
    let at = usize::from(edit.at) % frame.len();
    let end = frame.len().min(at + 8);
    let mut word = [0; 8];
    word[..end - at].copy_from_slice(&frame[at..end]);
    let present = u64::from_le_bytes(word);
    let number = match edit.number {
        Number::Byte(byte) => {
            frame[at] = byte;
            return;
        }
        Number::Edge(pick) => EDGES[usize::from(pick) % EDGES.len()],
        Number::Small(number) => number.into(),
        Number::Word(word) => word,
        Number::Near(by) => present.wrapping_add_signed(by.into()),
    };
    frame[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
}

fuzz_target!(|input: Input<'_>| {
    let mut world = world(input.start);
    let count = world.members.len();
    let node = |pick: u8| usize::from(pick) % count;
    for step in input.steps.into_iter().take(200) {
        match step {
            Step::Deliver { pick, keep } => {
                if !world.sent.is_empty() {
                    let at = usize::from(pick) % world.sent.len();
                    let (from, to, frame) = if keep { world.sent[at].clone() } else { world.sent.remove(at) };
                    world.deliver(from as u64, to, &frame);
                }
            }
            Step::Lose { pick } => {
                if !world.sent.is_empty() {
                    let at = usize::from(pick) % world.sent.len();
                    world.sent.remove(at);
                }
            }
            Step::Forged { pick, from, to, edits, cut, end } => {
                let mut frame = world.past[usize::from(pick) % world.past.len()].clone();
                if let Some(cut) = cut {
                    frame.truncate(usize::from(cut) % (frame.len() + 1));
                }
                if !end.is_empty() {
                    frame.truncate(frame.len().saturating_sub(8));
                    frame.extend_from_slice(end);
                    frame.extend_from_slice(&[0; 8]);
                }
                edits.iter().for_each(|it| edit(&mut frame, it));
                mend(&mut frame);
                world.deliver(from.into(), node(to), &frame);
            }
            Step::Pass { millis } => world.pass(Duration::from_millis(millis.into())),
            Step::Tick { node: at, millis } => {
                world.now += Duration::from_millis(millis.into());
                let now = world.now;
                world.members[node(at)].handle_timeout(now);
                world.drain(node(at));
            }
            Step::Write { node: at, len } => world.write(node(at), len.into()),
            Step::Read { node: at } => {
                let (now, member) = (world.now, &mut world.members[node(at)]);
                let _ = member.read_index(now);
                let session = member.session();
                assert!(member.read(Read::Session(&session)).is_ok(), "a member has read what it has read");
                world.drain(node(at));
            }
            Step::Sync { node: at } => world.sync(node(at)),
            Step::Restart { node: at } => world.restart(node(at)),
            Step::Order { node: at, order, seat } => {
                let (now, seat) = (world.now, world.members[node(seat)].seat());
                let member = &mut world.members[node(at)];
                let _ = match order {
                    Order::Add => member.add_learner(now, seat, NodeClass::Ephemeral).map(|_| ()),
                    Order::Remove => member.remove(now, seat).map(|_| ()),
                    Order::Replace => {
                        let old = member.configuration().voters.first().copied().unwrap_or(seat);
                        member.replace(now, old, seat).map(|_| ())
                    }
                    Order::Transfer => member.transfer_primary(now, seat),
                    Order::Leave => member.leave(now),
                    Order::Retire => member.retire(now, seat).map(|_| ()),
                    Order::Expire => member.expire_client(now, u128::from(seat.node)).map(|_| ()),
                    Order::Force => member.force_new_group(now, 5),
                };
                world.drain(node(at));
            }
            Step::Peer { node: at, about, state } => {
                use inos_quorum::PeerState::{Alive, Suspected, Unreachable};
                let incarnation = u64::from(state / 4);
                let state = [Alive { incarnation }, Suspected, Unreachable][usize::from(state) % 3];
                let now = world.now;
                world.members[node(at)].peer_state(now, about.into(), state);
                world.drain(node(at));
            }
        }
    }
});
