//! raft-rs: a `RawNode` with its `MemStorage`, driven by the loop of its documentation. Messages are encoded to bytes
//! with its codec and decoded at their receiver.

use alloc::collections::VecDeque;
use core::time::Duration;

use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, Message};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};
use slog::{Discard, Logger, o};

use crate::cluster::{Member, Receipt, Rule, Stage, delta, serial_of};

/// Its clock: a heartbeat takes 10 of these, silence until an election 100 to 150, as with ours.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct RaftRs {
    node: RawNode<MemStorage>,
    next_tick: Duration,
    outbox: VecDeque<Message>,
    receipts: VecDeque<Receipt>,
    sum: u64,
}

/// Its ids begin at 1.
fn id(node: usize) -> u64 {
    node as u64 + 1
}

impl RaftRs {
    /// Stores, sends and applies what is ready.
    fn drain(&mut self) {
        while self.node.has_ready() {
            let mut ready = self.node.ready();
            self.outbox.extend(ready.take_messages());
            self.apply(&ready.take_committed_entries());
            if !ready.entries().is_empty() {
                self.node.mut_store().wl().append(ready.entries()).expect("entries follow each other");
            }
            if let Some(state) = ready.hs() {
                self.node.mut_store().wl().set_hardstate(state.clone());
            }
            self.outbox.extend(ready.take_persisted_messages());
            let mut light = self.node.advance(ready);
            if let Some(commit) = light.commit_index() {
                self.node.mut_store().wl().mut_hard_state().set_commit(commit);
            }
            self.outbox.extend(light.take_messages());
            self.apply(&light.take_committed_entries());
            self.node.advance_apply();
        }
    }

    fn apply(&mut self, entries: &[Entry]) {
        let primary = self.is_primary();
        // The first entry of a term is empty.
        for entry in entries.iter().filter(|entry| !entry.data.is_empty()) {
            let serial = serial_of(&entry.data);
            self.sum += serial;
            if primary {
                self.receipts.push_back(Receipt { serial, stage: Stage::Committed });
            }
        }
    }
}

impl Member for RaftRs {
    const NAME: &'static str = "raft-rs";

    fn found(node: usize, members: usize, rule: Rule, _: u64) -> Self {
        assert_eq!(rule, Rule::Majority, "raft-rs knows majorities only");
        let voters: Vec<u64> = (0..members).map(id).collect();
        let storage = MemStorage::new_with_conf_state(ConfState::from((voters, Vec::new())));
        let config = Config {
            id: id(node),
            heartbeat_tick: 10,
            election_tick: 100,
            min_election_tick: 100,
            max_election_tick: 150,
            // Its default of 0 is one entry per message.
            max_size_per_msg: 2 << 20,
            // What waits for the same member goes in one message.
            batch_append: true,
            // Members learn what is committed with the next message, as with ours, not with one more.
            skip_bcast_commit: true,
            pre_vote: true,
            check_quorum: true,
            ..Config::default()
        };
        let logger = Logger::root(Discard, o!());
        let node = RawNode::new(&config, storage, &logger).expect("a sound configuration");
        Self { node, next_tick: Duration::ZERO, outbox: VecDeque::new(), receipts: VecDeque::new(), sum: 0 }
    }

    fn receive(&mut self, _: Duration, _: usize, frame: &[u8]) {
        let message = Message::parse_from_bytes(frame).expect("an honest frame");
        self.node.step(message).expect("a message of a member");
        // Its `ready` is asked for when something is to be sent: frames that come together are handled together.
    }

    fn transmit(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        if self.outbox.is_empty() {
            self.drain();
        }
        let message = self.outbox.pop_front()?;
        out.clear();
        message.write_to_vec(out).expect("memory takes all");
        Some(usize::try_from(message.to - 1).expect("members are few"))
    }

    fn timeout(&mut self, now: Duration) {
        if self.next_tick.is_zero() {
            self.next_tick = now;
        }
        while self.next_tick <= now {
            self.node.tick();
            self.next_tick += TICK;
        }
    }

    fn deadline(&self) -> Duration {
        self.next_tick
    }

    fn write(&mut self, _: Duration, serial: u64) -> bool {
        self.is_primary() && self.node.propose(Vec::new(), delta(serial).to_vec()).is_ok()
    }

    fn receipt(&mut self) -> Option<Receipt> {
        self.receipts.pop_front()
    }

    fn is_primary(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    fn applied(&self) -> u64 {
        self.sum
    }

    fn trim(&mut self) {
        self.outbox = VecDeque::new();
        self.receipts = VecDeque::new();
    }
}
