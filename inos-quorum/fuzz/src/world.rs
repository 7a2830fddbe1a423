//! A small group whose network, storage and clocks the fuzzer plays, and what must hold after every step.

use core::time::Duration;

use inos_quorum::{Actor, Boot, Config, Group, GroupId, Mode, OpId, Storage};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    counting::peak_of,
    machine::{MAX_DELTA, Tally},
};

pub type Member = Group<u64, Tally>;

/// Founders; one more joins.
pub const FOUNDERS: usize = 3;

/// Limits so low that they are met.
pub fn config(mode: Mode, storage: Storage) -> Config {
    let mut config = Config::new(GroupId(0x1905), mode);
    config.storage = storage;
    config.max_frame = 1_024;
    config.max_reassembly = 65_536;
    config.max_inflight_bytes = 16_384;
    config.ring_entries = 8;
    config.ring_bytes = 16_384;
    config.checkpoint_bytes = 8_192;
    config.max_uncommitted = 32;
    config.max_clients = 8;
    config.max_orphans = 8;
    config.max_reads = 8;
    config.max_events = 256;
    config
}

/// What a member of this configuration, the other's bytes included, may allocate while it handles one frame: its state
/// again (a rebuilt tip, a snapshot to send), a parcel and the frame, several times over. Far below what lengths in a
/// frame can claim.
pub const MAX_STEP_BYTES: usize = 4 << 20;
/// Frames and events that one input may bring about.
const MAX_FRAMES: usize = 512;

/// Gives a changed frame the checksum it would have had.
pub fn mend(frame: &mut [u8]) {
    if let Some((body, sum)) = frame.split_last_chunk_mut::<8>() {
        *sum = xxh3_64(body).to_le_bytes();
    }
}

/// A group whose network and storage the fuzzer plays.
#[derive(Clone)]
pub struct World {
    pub now: Duration,
    pub config: Config,
    pub members: Vec<Member>,
    /// What storage holds of each; the first so many are durable.
    pub records: Vec<(Vec<Vec<u8>>, usize)>,
    tokens: Vec<Vec<inos_quorum::PersistToken>>,
    pub lives: Vec<u64>,
    /// From, to, frame: under way.
    pub sent: Vec<(usize, usize, Vec<u8>)>,
    /// Frames of the past, for forgeries.
    pub past: Vec<Vec<u8>>,
    pub serial: u64,
}

const MAX_PAST: usize = 256;

impl World {
    pub fn new(mode: Mode, storage: Storage) -> Self {
        let config = config(mode, storage);
        let founders: Vec<u64> = (0..FOUNDERS as u64).collect();
        let member = |node: usize| {
            let me = Actor { node: node as u64, incarnation: 1 };
            let boot = if node < FOUNDERS { Boot::Genesis(founders.clone()) } else { Boot::Join(founders.clone()) };
            Member::new(config.clone(), me, 7, boot).expect("a sound configuration")
        };
        let members: Vec<Member> = (0..=FOUNDERS).map(member).collect();
        let count = members.len();
        let mut world = Self {
            now: Duration::from_secs(1),
            config: config.clone(),
            members,
            records: vec![(Vec::new(), 0); count],
            tokens: vec![Vec::new(); count],
            lives: vec![1; count],
            sent: Vec::new(),
            past: Vec::new(),
            serial: 0,
        };
        for _ in 0..40 {
            world.pass(Duration::from_millis(100));
        }
        for len in [10, 3_000, 100, 20_000] {
            world.write(world.primary(), len);
            world.settle();
        }
        let seat = world.members[FOUNDERS].seat();
        let primary = world.primary();
        world.members[primary].introduce(FOUNDERS as u64);
        let _ = world.members[primary].add_learner(world.now, seat, inos_quorum::NodeClass::Voter);
        for _ in 0..10 {
            world.pass(Duration::from_millis(100));
        }
        world
    }

    pub fn primary(&self) -> usize {
        let is_primary = |member: &Member| member.role() == inos_quorum::Role::Primary;
        self.members.iter().position(is_primary).unwrap_or(0)
    }

    pub fn write(&mut self, node: usize, len: usize) {
        self.serial += 1;
        let id = OpId { client: u128::from(self.serial % 10), serial: self.serial };
        let _ = self.members[node].write(self.now, id, vec![7; len % MAX_DELTA]);
        self.drain(node);
    }

    /// Time goes on, for everybody, and whatever is under way arrives.
    pub fn pass(&mut self, span: Duration) {
        self.now += span;
        for node in 0..self.members.len() {
            self.members[node].handle_timeout(self.now);
            self.drain(node);
            self.sync(node);
        }
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..2_000 {
            for node in 0..self.members.len() {
                self.sync(node);
            }
            if self.sent.is_empty() {
                return;
            }
            let (from, to, frame) = self.sent.remove(0);
            self.deliver(from as u64, to, &frame);
        }
    }

    /// Hands a frame over, and checks what must hold whatever it is. True when it was not refused.
    pub fn deliver(&mut self, from: u64, to: usize, frame: &[u8]) -> bool {
        let (now, member) = (self.now, &mut self.members[to]);
        let before = (member.epoch(), member.generation(), member.committed(), member.last());
        let (heard, peak) = peak_of(|| member.handle_message(now, from, frame).is_ok());
        assert!(peak <= MAX_STEP_BYTES, "{peak} bytes for a frame of {}", frame.len());
        let after = (member.epoch(), member.generation(), member.committed(), member.last());
        // What a refused frame may tell is that a later generation exists.
        assert!(heard || before.0 == after.0, "a refused frame moved the epoch");
        let stranger = from as usize >= self.members.len();
        assert!(!stranger || (!heard && before == after), "a stranger was heard");
        self.drain(to);
        heard
    }

    /// Takes out what the member has to say.
    pub fn drain(&mut self, node: usize) {
        let member = &mut self.members[node];
        let mut buffer = Vec::new();
        for count in 0.. {
            let Some(token) = member.poll_persist(&mut buffer) else { break };
            assert!(count < MAX_FRAMES, "it stores without end");
            // Records that one replaces are needed until that is durable; recovery passes over them.
            self.tokens[node].push(token);
            self.records[node].0.push(buffer.clone());
        }
        for count in 0.. {
            let Some(to) = member.poll_transmit(&mut buffer) else { break };
            assert!(count < MAX_FRAMES, "it sends without end");
            assert!(buffer.len() <= self.config.max_frame, "a frame is too long");
            let to = usize::try_from(to).expect("nodes are few");
            if to < self.lives.len() && self.sent.len() < MAX_PAST {
                self.sent.push((node, to, buffer.clone()));
            }
            if self.past.len() < MAX_PAST {
                self.past.push(buffer.clone());
            } else {
                let at = (buffer.len() + count * 31) % MAX_PAST;
                self.past[at] = buffer.clone();
            }
        }
        for count in 0.. {
            if member.poll_event().is_none() {
                break;
            }
            assert!(count < 4_096, "it tells without end");
        }
        let _ = member.poll_timeout();
    }

    /// Storage has made everything durable.
    pub fn sync(&mut self, node: usize) {
        for token in core::mem::take(&mut self.tokens[node]) {
            self.members[node].persisted(self.now, token);
            self.drain(node);
        }
        self.records[node].1 = self.records[node].0.len();
    }

    /// The member stops and starts again from what was durable.
    pub fn restart(&mut self, node: usize) {
        let (records, durable) = &mut self.records[node];
        records.truncate(*durable);
        self.tokens[node].clear();
        if records.is_empty() || self.config.storage == Storage::Volatile {
            return;
        }
        self.lives[node] += 1;
        let me = Actor { node: node as u64, incarnation: self.lives[node] };
        let recovered = Member::new(self.config.clone(), me, 7, Boot::Recover(records.clone()));
        // Whoever lies may have had it store what it cannot read back; it may say so, and nothing worse.
        if let Ok(member) = recovered {
            self.members[node] = member;
            self.drain(node);
        }
    }
}
