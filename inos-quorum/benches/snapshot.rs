//! How fast does a follower that is too far behind get the state, a member that was restarted its log, and storage a
//! checkpoint?
//!
//! In one thread, without network and disk. A snapshot is encoded, cut into frames, checked, put together and restored;
//! the limit beside it is a copy of the state, of which the way takes several. Three of them are in memory fresh from
//! the allocator: where that returns large blocks to the system, page faults are most of the time.

#![allow(missing_docs, reason = "criterion's macros generate the entry point")]

use core::{hint::black_box, time::Duration};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inos_quorum::{
    Actor, Boot, Config, Group, GroupId, Lsn, Machine, Mode, OpId, Policy, Read, Role, Storage, Undecodable, sim::Rng,
};

const SEED: u64 = 0x5a95;
const STATE_BYTES: [usize; 3] = [64 << 10, 1 << 20, 16 << 20];
const ENTRIES: u64 = 10_000;
const DELTA_BYTES: usize = 64;
/// Writes between two looks at storage.
const BATCH: u64 = 64;

/// Bytes without a pattern. A delta begins with how many there are from then on; 0 lets them be.
#[derive(Clone, Debug, Default)]
struct Blob(Vec<u8>);

fn delta(state_bytes: usize) -> [u8; DELTA_BYTES] {
    let mut delta = [7; DELTA_BYTES];
    delta[..8].copy_from_slice(&(state_bytes as u64).to_le_bytes());
    delta
}

impl Machine for Blob {
    type Delta = [u8; DELTA_BYTES];
    type Output = ();
    const POLICY: Policy = Policy::Reject;

    fn encode(delta: &Self::Delta, out: &mut Vec<u8>) {
        out.extend_from_slice(delta);
    }

    fn decode(bytes: &[u8]) -> Result<Self::Delta, Undecodable> {
        bytes.try_into().map_err(|_| Undecodable)
    }

    fn apply(&mut self, _: Lsn, delta: &Self::Delta) {
        let (bytes, _) = delta.split_first_chunk().expect("a delta is longer");
        let words = u64::from_le_bytes(*bytes) / 8;
        if words > 0 {
            let mut rng = Rng::new(SEED);
            self.0 = (0..words).flat_map(|_| rng.word().to_le_bytes()).collect();
        }
    }

    fn encode_output((): &(), _: &mut Vec<u8>) {}

    fn decode_output(bytes: &[u8]) -> Result<(), Undecodable> {
        if bytes.is_empty() { Ok(()) } else { Err(Undecodable) }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn restore(bytes: &[u8]) -> Result<Self, Undecodable> {
        Ok(Self(bytes.to_vec()))
    }
}

type Member = Group<u64, Blob>;

fn member(node: u64, config: &Config, boot: Boot<u64>) -> Member {
    let incarnation = if matches!(boot, Boot::Recover(_)) { 2 } else { 1 };
    Group::new(config.clone(), Actor { node, incarnation }, 1, boot).expect("a sound configuration")
}

/// A primary that commits by itself, and its follower.
#[derive(Clone)]
struct Pair {
    members: [Member; 2],
    now: Duration,
}

impl Pair {
    /// The follower lacks more entries than the primary keeps, and is told by the next frame.
    fn apart(state_bytes: usize) -> (Self, usize) {
        let config =
            Config { storage: Storage::Volatile, ring_entries: 1, ..Config::new(GroupId(1), Mode::Flex { write: 1 }) };
        let members = [0, 1].map(|node| member(node, &config, Boot::Genesis(vec![0, 1])));
        let mut pair = Self { members, now: Duration::from_secs(1) };
        let primary = loop {
            pair.members.iter_mut().for_each(|member| member.handle_timeout(pair.now));
            pair.settle();
            if let Some(primary) = pair.members.iter().position(|member| member.role() == Role::Primary) {
                break primary;
            }
            pair.now += Duration::from_millis(10);
        };
        let mut lost = Vec::new();
        for (serial, bytes) in (1..).zip([state_bytes, 0, 0, 0]) {
            let id = OpId { client: 1, serial };
            pair.members[primary].write(pair.now, id, delta(bytes)).expect("taken");
            while pair.members[primary].poll_transmit(&mut lost).is_some() {}
        }
        pair.now += Duration::from_millis(100);
        pair.members[primary].handle_timeout(pair.now);
        while pair.members[primary].poll_event().is_some() {}
        (pair, primary)
    }

    /// Delivers until nothing moves; how many frames.
    fn settle(&mut self) -> usize {
        let mut buffer = Vec::new();
        let mut frames = 0;
        loop {
            let before = frames;
            for from in 0..2 {
                while self.members[from].poll_transmit(&mut buffer).is_some() {
                    let to = &mut self.members[1 - from];
                    to.handle_message(self.now, from as u64, &buffer).expect("an honest frame");
                    frames += 1;
                }
            }
            if frames == before {
                return frames;
            }
        }
    }
}

fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(20);
    for bytes in STATE_BYTES {
        let (apart, primary) = Pair::apart(bytes);
        let mut together = apart.clone();
        let frames = together.settle();
        let follower = &together.members[1 - primary];
        let restored = &follower.read(Read::Committed).expect("it reads what it has").0.0;
        let state = &together.members[primary].read(Read::Committed).expect("it reads what it has").0.0;
        assert!(restored == state && state.len() == bytes && follower.counters().snapshots_installed == 1);
        assert!(frames > bytes / apart.members[primary].config().max_frame, "it travels in parts");

        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("install", bytes), |bencher| {
            bencher.iter_batched_ref(|| apart.clone(), Pair::settle, BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("limit-memcpy", bytes), |bencher| {
            let mut copy = state.clone();
            bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(state)));
        });
    }
    group.finish();
}

/// A durable member on its own, and what its storage holds.
struct Alone {
    member: Member,
    now: Duration,
    serial: u64,
    records: Vec<Vec<u8>>,
}

impl Alone {
    fn new(config: &Config) -> Self {
        let now = Duration::from_secs(1);
        let mut alone = Self { member: member(0, config, Boot::Genesis(vec![0])), now, serial: 0, records: Vec::new() };
        while alone.member.role() != Role::Primary {
            alone.member.handle_timeout(alone.now);
            alone.store();
            alone.now += Duration::from_millis(10);
        }
        alone
    }

    fn write(&mut self, state_bytes: usize) {
        self.serial += 1;
        let id = OpId { client: 1, serial: self.serial };
        self.member.write(self.now, id, delta(state_bytes)).expect("taken");
    }

    fn store(&mut self) {
        let mut record = Vec::new();
        while let Some(token) = self.member.poll_persist(&mut record) {
            self.records.push(record.clone());
            self.member.persisted(self.now, token);
        }
        while self.member.poll_event().is_some() {}
    }
}

fn recover(criterion: &mut Criterion) {
    let config = Config { checkpoint_bytes: u64::MAX, ..Config::new(GroupId(1), Mode::Majority) };
    let mut alone = Alone::new(&config);
    for _ in 0..ENTRIES.div_ceil(BATCH) {
        (0..BATCH.min(ENTRIES - alone.serial)).for_each(|_| alone.write(0));
        alone.store();
    }
    let recovered = member(0, &config, Boot::Recover(alone.records.clone()));
    assert!(recovered.last() == alone.member.last() && recovered.last().sequence > ENTRIES);

    let mut group = criterion.benchmark_group("recover");
    group.throughput(Throughput::Elements(ENTRIES));
    group.bench_function(BenchmarkId::new("entries", ENTRIES), |bencher| {
        let again = |records| member(0, &config, Boot::Recover(records));
        bencher.iter_batched(|| alone.records.clone(), again, BatchSize::PerIteration);
    });
    group.finish();
}

fn checkpoint(criterion: &mut Criterion) {
    let bytes = 1 << 20;
    // One is due as soon as the records since the last are longer than that was.
    let config = Config { checkpoint_bytes: 0, ..Config::new(GroupId(1), Mode::Majority) };
    let mut alone = Alone::new(&config);
    let mut record = Vec::new();
    alone.write(bytes);
    let due = loop {
        let before = alone.member.clone();
        match alone.member.poll_persist(&mut record) {
            Some(token) if token.replaces_all() && record.len() > bytes => break before,
            Some(token) => alone.member.persisted(alone.now, token),
            None => alone.write(0),
        }
    };

    let mut group = criterion.benchmark_group("checkpoint");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(BenchmarkId::new("record", bytes), |bencher| {
        let poll = |member: &mut Member| member.poll_persist(black_box(&mut record));
        bencher.iter_batched_ref(|| due.clone(), poll, BatchSize::PerIteration);
    });
    group.bench_function(BenchmarkId::new("limit-memcpy", bytes), |bencher| {
        let state = &due.read(Read::Committed).expect("it reads what it has").0.0;
        let mut copy = state.clone();
        bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(state)));
    });
    group.finish();
}

criterion_group!(benches, snapshot, recover, checkpoint);
criterion_main!(benches);
