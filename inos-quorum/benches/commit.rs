//! How fast does a group commit when the network and the disk cost nothing?
//!
//! Five volatile members in one thread, 64-byte deltas, encoding, checksums and decoding included; one write per round
//! trip, and 64. `step` is the cost of one frame at its receiver: a heartbeat, with the answer it owes.

#![allow(missing_docs, reason = "criterion's macros generate the entry point")]

use core::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inos_quorum::{
    Actor, Boot, Config, Event, Group, GroupId, Lsn, Machine, Mode, OpId, Policy, Role, Stage, Storage, Undecodable,
};

const MEMBERS: u64 = 5;
const DELTA_BYTES: usize = 64;

/// Adds up the first bytes of its deltas.
#[derive(Clone, Debug, Default)]
struct Sum(u64);

impl Machine for Sum {
    type Delta = [u8; DELTA_BYTES];
    type Output = u64;
    const POLICY: Policy = Policy::Reject;

    fn encode(delta: &Self::Delta, out: &mut Vec<u8>) {
        out.extend_from_slice(delta);
    }

    fn decode(bytes: &[u8]) -> Result<Self::Delta, Undecodable> {
        bytes.try_into().map_err(|_| Undecodable)
    }

    fn apply(&mut self, _: Lsn, delta: &Self::Delta) -> u64 {
        self.0 += u64::from(delta[0]);
        self.0
    }

    fn encode_output(output: &u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&output.to_le_bytes());
    }

    fn decode_output(bytes: &[u8]) -> Result<u64, Undecodable> {
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| Undecodable)
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn restore(bytes: &[u8]) -> Result<Self, Undecodable> {
        Self::decode_output(bytes).map(Self)
    }
}

#[derive(Clone)]
struct Cluster {
    members: Vec<Group<u64, Sum>>,
    now: Duration,
    buffer: Vec<u8>,
    committed: u64,
}

impl Cluster {
    /// A group that has elected.
    fn new() -> (Self, usize) {
        let config = Config { storage: Storage::Volatile, ..Config::new(GroupId(1), Mode::Majority) };
        let start = |node| {
            let boot = Boot::Genesis((0..MEMBERS).collect());
            Group::new(config.clone(), Actor { node, incarnation: 1 }, 1, boot).expect("a sound configuration")
        };
        let mut cluster = Self {
            members: (0..MEMBERS).map(start).collect(),
            now: Duration::from_secs(1),
            buffer: Vec::new(),
            committed: 0,
        };
        loop {
            for node in 0..cluster.members.len() {
                cluster.members[node].handle_timeout(cluster.now);
            }
            cluster.settle();
            if let Some(primary) = cluster.members.iter().position(|member| member.role() == Role::Primary) {
                return (cluster, primary);
            }
            cluster.now += Duration::from_millis(10);
        }
    }

    /// Delivers until nothing moves.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for from in 0..self.members.len() {
                while let Some(to) = self.members[from].poll_transmit(&mut self.buffer) {
                    let to = usize::try_from(to).expect("five members");
                    self.members[to].handle_message(self.now, from as u64, &self.buffer).expect("an honest frame");
                    moved = true;
                }
                while let Some(event) = self.members[from].poll_event() {
                    self.committed += u64::from(matches!(event, Event::Receipt { stage: Stage::Committed, .. }));
                }
            }
            if !moved {
                return;
            }
        }
    }
}

fn commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit-5-members");
    for batch in [1_u64, 64] {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(format!("batch-{batch}"), |bencher| {
            let (founded, primary) = Cluster::new();
            let mut cluster = founded.clone();
            let mut serial = 0;
            bencher.iter(|| {
                if serial % (1 << 18) == 0 {
                    // The log is never shortened: begin anew before it fills the memory.
                    cluster = founded.clone();
                }
                for _ in 0..batch {
                    serial += 1;
                    let id = OpId { client: 1, serial };
                    cluster.members[primary].write(cluster.now, id, black_box([7; DELTA_BYTES])).expect("taken");
                }
                cluster.settle();
            });
            assert!(cluster.committed > 0);
        });
    }
    group.finish();
}

fn step(criterion: &mut Criterion) {
    let (mut cluster, primary) = Cluster::new();
    let later = cluster.now + Duration::from_millis(100);
    cluster.members[primary].handle_timeout(later);
    let mut beat = Vec::new();
    let to = cluster.members[primary].poll_transmit(&mut beat).expect("a heartbeat is due");
    let mut follower = cluster.members[usize::try_from(to).expect("five members")].clone();
    let mut reply = Vec::new();
    criterion.bench_function("step-heartbeat", |bencher| {
        bencher.iter(|| {
            follower.handle_message(later, primary as u64, black_box(&beat)).expect("an honest frame");
            follower.poll_transmit(&mut reply)
        });
    });
}

criterion_group!(benches, commit, step);
criterion_main!(benches);
