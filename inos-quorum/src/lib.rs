//! Replica groups as a sans-IO state machine.
//!
//! A few nodes hold the same state and must agree on every change of it, although nodes crash and networks lose frames.
//! [`Group`] is one member: bytes and time go in, bytes and events come out; it opens no socket, reads no clock, draws no
//! randomness and starts no thread. A write is acknowledged when a majority holds it, and no acknowledged write is lost
//! while fewer than a majority lose their storage. When the primary dies, the others elect another, and retries of writes
//! whose fate is unknown are answered, never applied twice.
//!
//! It does not authenticate frames (the transport does), does not defend against lying voters, and does not change the
//! voters of a group. It keeps its whole log in memory up to a limit, takes no snapshots, and replays the log on recovery.
//! Deltas are not stamped with vector clocks; [`VectorClock`] stands by itself.
//!
//! # Overview
//!
//! - [`Id`]: what a node is called. [`Actor`], [`Dot`], [`VectorClock`]: lives of nodes, their events, causal histories.
//! - [`Versioned`]: a value with all its concurrent writes.
//! - [`majority`], [`Mode`]: quorum sizes.
//! - [`Machine`]: what is replicated. [`OpId`] names a write, [`Lsn`] its place.
//! - [`Group`] with [`Config`] and [`Boot`]: a member. [`Event`], [`WriteError`], [`MessageError`]: what it tells.
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
//!     type Output = usize; // length after the write
//!     fn encode(delta: &String, out: &mut Vec<u8>) {
//!         out.extend_from_slice(delta.as_bytes());
//!     }
//!     fn decode(bytes: &[u8]) -> Result<String, Undecodable> {
//!         String::from_utf8(bytes.to_vec()).map_err(|_| Undecodable)
//!     }
//!     fn apply(&mut self, _: Lsn, delta: &String) -> usize {
//!         self.0.push_str(delta);
//!         self.0.len()
//!     }
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
//! - `Committed` means: held by a majority and in that history for ever.
//! - Each write taken ends in exactly one of `Committed` and `Unknown`; `LocalOnly` is news, not an acknowledgement.
//! - `read_index` is linearizable, whatever the clocks do. `read(Local)` promises nothing.
//! - Time decides when an election happens, never what is committed.
//! - Same inputs, same outputs on every target.
//!
//! # Limits
//!
//! | what | default | where |
//! | --- | --- | --- |
//! | voters | 15 | [`MAX_VOTERS`] |
//! | frame, and so delta | 2 MiB | [`Config::max_frame`] |
//! | log | 2^20 entries, 64 MiB | [`Config::max_log_entries`], [`Config::max_log_bytes`] |
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

pub use self::{
    clock::{Actor, CausalOrder, ClockError, Dot, VectorClock},
    detector::{
        Detector, DetectorConfig, DetectorConfigError, DetectorCounters, DetectorEvent, HeartbeatError, PeerState,
        Thresholds, WatchError,
    },
    group::{
        Group,
        config::{Boot, Config, ConfigError, GroupId, MAX_VOTERS, Storage},
        event::{
            Counters, Event, EventOf, Limit, MessageError, PersistToken, Read, ReadError, ReadId, Role, Stage,
            WriteError,
        },
    },
    id::Id,
    machine::{Lsn, Machine, OpId, Undecodable},
    quorum::{Mode, majority},
    versioned::{UpdateError, Versioned},
};
