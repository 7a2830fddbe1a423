//! Replica groups as a sans-IO state machine.
//!
//! A few nodes hold the same state and must agree on every change of it, although nodes crash and networks lose frames.
//! [`Group`] is one member: bytes and time go in, bytes and events come out; it opens no socket, reads no clock, draws no
//! randomness and starts no thread. A [`Mode`] says how many members hold a write before it counts, from one other member
//! ([`Mode::Fast`], which may lose the last moments and says which) to a majority. When the primary dies, the others elect
//! another, and retries of writes whose fate is unknown are answered, never applied twice.
//!
//! It does not authenticate frames (the transport does) and does not defend against lying voters.
//!
//! # Overview
//!
//! - [`Id`]: what a node is called. [`Actor`], [`Dot`], [`VectorClock`]: lives of nodes, their events, causal histories.
//! - [`Versioned`]: a value with all its concurrent writes.
//! - [`majority`], [`Mode`]: quorum sizes.
//! - [`Machine`]: what is replicated. [`OpId`] names a write, [`Lsn`] its place.
//! - [`Group`] with [`Config`] and [`Boot`]: a member of a [`Configuration`]. [`Event`], [`WriteError`]: what it tells.
//! - [`Detector`] with [`DetectorConfig`]: which nodes are silent, for all groups. `docs/detector.md` has the protocol.
//!
//! # The loop
//!
//! After every input drain the three outputs, then wait for a frame or for the deadline. Three members in one thread:
//!
//! ```
//! use core::time::Duration;
//! use inos_quorum::*;
//!
//! #[derive(Default)]
//! struct Text(String);
//!
//! impl Machine for Text {
//!     type Delta = String;
//!     type Output = u64; // length after the write
//!     const POLICY: Policy = Policy::Reject;
//!     fn encode(delta: &String, out: &mut Vec<u8>) { out.extend_from_slice(delta.as_bytes()) }
//!     fn decode(bytes: &[u8]) -> Result<String, Undecodable> { String::from_utf8(bytes.to_vec()).map_err(|_| Undecodable) }
//!     fn encode_output(output: &u64, out: &mut Vec<u8>) { out.extend_from_slice(&output.to_le_bytes()) }
//!     fn decode_output(bytes: &[u8]) -> Result<u64, Undecodable> { bytes.try_into().map(u64::from_le_bytes).map_err(|_| Undecodable) }
//!     fn apply(&mut self, _: Lsn, delta: &String) -> u64 {
//!         self.0.push_str(delta);
//!         self.0.len() as u64
//!     }
//!     fn snapshot(&self, out: &mut Vec<u8>) { out.extend_from_slice(self.0.as_bytes()) }
//!     fn restore(bytes: &[u8]) -> Result<Self, Undecodable> { Self::decode(bytes).map(Self) }
//! }
//!
//! let config = Config::new(GroupId(1), Mode::Majority);
//! let mut members: Vec<Group<u32, Text>> = (0..3)
//!     .map(|node| Group::new(config.clone(), Actor { node, incarnation: 1 }, 42, Boot::Genesis(vec![0, 1, 2])))
//!     .collect::<Result<_, _>>()?;
//! let (mut buffer, mut now, mut written, mut committed) = (Vec::new(), Duration::ZERO, false, 0);
//!
//! while committed == 0 {
//!     for from in 0..3 {
//!         members[from].handle_timeout(now);
//!         if !written && members[from].role() == Role::Primary {
//!             written = members[from].write(now, OpId { client: 9, serial: 1 }, "hello".into()).is_ok();
//!         }
//!         // Store, then send, then tell.
//!         while let Some(token) = members[from].poll_persist(&mut buffer) {
//!             members[from].persisted(now, token); // once `buffer` is on disk
//!         }
//!         while let Some(to) = members[from].poll_transmit(&mut buffer) {
//!             members[to as usize].handle_message(now, from as u32, &buffer)?;
//!         }
//!         while let Some(event) = members[from].poll_event() {
//!             if let Event::Receipt { stage: Stage::Committed, output, .. } = event {
//!                 committed = output.unwrap();
//!             }
//!         }
//!     }
//!     now += Duration::from_millis(10); // or sleep until `poll_timeout`
//! }
//! assert_eq!(committed, 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! `docs/protocol.md` holds messages, states, timers, persistence, the argument for each of these, and the test of each.
//!
//! - At most one primary per epoch; all members apply prefixes of one history; each write at most once.
//! - `Committed` means: held by the write quorum of the mode and in that history for ever, within the mode's failure bound.
//! - `Fast`, in [`Mode::Fast`] alone, means: held by one other member. What is at risk at any instant was written within
//!   [`Config::exposure`]; what is lost is told by [`Event::Loss`], handed over as an orphan, or shown by `receipt_state`.
//! - Each write taken ends in exactly one of `Committed`, `Orphaned` and `Unknown`; `LocalOnly` is news.
//! - `read_index` is linearizable while clocks drift apart by no more than [`Config::max_drift_per_mille`].
//! - Same inputs, same outputs on every target.
//!
//! # Limits
//!
//! | what | default | where |
//! | --- | --- | --- |
//! | voters, learners | 15, 64 | [`MAX_VOTERS`], [`MAX_LEARNERS`] |
//! | frame; delta or snapshot, which travel in parts | 64 KiB; 64 MiB | [`Config::max_frame`], [`Config::max_reassembly`] |
//! | log kept for stragglers | 4,096 entries, 16 MiB | [`Config::ring_entries`], [`Config::ring_bytes`] |
//! | uncommitted entries | 1,024 | [`Config::max_uncommitted`] |
//! | clients, and serials of each | 4,096, 64 | [`Config::max_clients`] |
//! | reads, events not yet polled | 1,024, 4,096 | [`Config::max_reads`], [`Config::max_events`] |
//!
//! # Features
//!
//! - `sim`, off by default: the deterministic simulator, for tests. `no_std` with `alloc` in any case.
//!
//! # References
//!
//! Ongaro, Ousterhout, *In Search of an Understandable Consensus Algorithm*, 2014. Ongaro, *Consensus: Bridging Theory and
//! Practice*, 2014 (pre-vote, read index, sessions). Fidge 1988 and Mattern 1989 (vector clocks).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bugs;
mod bytes;
mod clock;
mod detector;
mod group;
mod id;
mod machine;
mod quorum;
#[cfg(feature = "sim")]
pub mod sim;
mod versioned;

#[cfg(feature = "sim")]
pub use self::group::event::Inspect;
pub use self::{
    clock::{Actor, CausalOrder, ClockError, Dot, VectorClock},
    detector::{
        Detector, DetectorConfig, DetectorConfigError, DetectorCounters, DetectorEvent, HeartbeatError, PeerState,
        Thresholds, WatchError,
    },
    group::{
        Group,
        config::{Boot, Config, ConfigError, GroupId, MAX_LEARNERS, MAX_VOTERS, Storage},
        event::{
            ChangeError, Committed, Counters, Event, EventOf, Limit, LossReport, MessageError, PersistToken, Progress,
            Read, ReadError, ReadId, ReceiptState, Resolution, Role, Session, Stage, WriteError,
        },
        membership::{Configuration, Generation, NodeClass},
    },
    id::Id,
    machine::{Lsn, Machine, OpId, Orphan, Policy, Undecodable},
    quorum::{Mode, majority},
    versioned::{UpdateError, Versioned},
};
