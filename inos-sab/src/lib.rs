//! Shared memory without copies: one region at fixed offsets, lock-free frame rings, a lock-free arena, manifests and
//! wake-ups, back-pressure.
//!
//! A program that moves megabytes between a kernel, compute modules and a host spends its time copying and waking.
//! Here the parties share one region: small messages go through rings, large payloads stay in the arena and only their
//! handle travels, state is published in slots, and a sleeper is woken only if it said that it sleeps. Every message is
//! delivered in order, every block has exactly one owner, no wake-up is lost, what is freed comes back as one piece, and
//! what a killed process had is taken back. The protocols are small enough for a model checker, and are checked by one.
//!
//! It does not talk to networks, start threads or read clocks. A ring has one writer and a region two rings; there
//! is no cache, and nothing for JavaScript but the table of offsets.
//!
//! # Overview
//!
//! - [`Layout`]: where everything is; smaller ones for tests.
//! - [`Region`]: the memory: of this process, of a file, or the caller's. What is made from it keeps it alive.
//! - [`Trust`]: how far the participants believe each other: [`Threads`], [`Crash`], [`Hostile`].
//! - [`Peer`], [`Recovery`], [`RegionCheck`]: who else takes part, what the dead left, and whether all is well.
//! - [`Producer`] and [`Consumer`]: the two ends of the inbox or outbox, rings of [`Frame`]s.
//! - [`Pressure`] and [`FlowControl`]: when the writer should pause.
//! - [`Arena`], [`ArenaBox`], [`ArenaRef`], [`Handle`]: blocks of any size; owned, pinned, named.
//! - [`Switchboard`], [`Listener`], [`Wake`]: manifest slots and events, and how a wait ended.
//! - [`ComputeJob`], [`JobRunner`], [`JobClient`]: requests in the inbox, results in the outbox.
//!
//! # The driving loop
//!
//! ```
//! use inos_sab::{Flow, Frame, Layout, Region, Threads, Wake};
//!
//! let region = Region::<Threads>::heap(&Layout::compact(1 << 16, 8 << 20, 1 << 16)?)?;
//! let mut inbox = region.inbox_producer()?;
//! # #[cfg(not(target_arch = "wasm32"))] {
//! let (mut requests, mut outbox) = (region.inbox_consumer()?, region.outbox_producer()?);
//!
//! // The module: sleep, drain, answer through the arena, until the kernel leaves.
//! let module = std::thread::spawn(move || {
//!     while requests.wait(None) == Wake::Ready {
//!         let drained = requests.drain(64, |frame| {
//!             if let Frame::Object { kind, mut object } = frame {
//!                 object.as_mut_slice().reverse(); // in place: the bytes never move
//!                 outbox.push_object(kind, object).expect("the kernel keeps up");
//!             }
//!             Flow::Continue
//!         });
//!         drained.expect("threads of this program write no nonsense");
//!     }
//! });
//!
//! // The kernel: a megabyte written once, sent as eight bytes.
//! let mut results = region.outbox_consumer()?;
//! let mut block = region.arena().alloc(1 << 20)?;
//! block.write_at(0, b"first")?;
//! inbox.push_object(7, block)?;
//! assert_eq!(results.wait(None), Wake::Ready);
//! results.drain(1, |frame| {
//!     let Frame::Object { object, .. } = frame else { return Flow::Break };
//!     assert!(object.as_slice().ends_with(b"tsrif"));
//!     Flow::Break
//! })?;
//! drop(inbox);
//! module.join().expect("the module does not panic");
//! # }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - A frame is published by one store. Rings, slots, arena and signals take no locks.
//! - A handle is [`Stale`] from the moment its block is freed until its granule was freed 2^44 times.
//! - A process that is killed at any instruction leaves each ring, slot and block before or after a change, never
//!   between; [`Region::recover`] takes back what it had, and nothing from a process that is only stopped.
//! - With [`Hostile`] peers nothing they write leads to a panic, an access outside of the region, or a call that does not
//!   end. No slice is made of bytes that another party may write.
//!
//! # Limits
//!
//! | what | limit |
//! | --- | --- |
//! | region | 48 MiB ([`Layout::STANDARD`]) |
//! | ring, inline payload | 64 bytes (128 for jobs) to 512 KiB, one writer and one reader; an eighth of it |
//! | arena for payloads | 30,212,096 bytes, the largest block too; metadata 6.1 % |
//! | smallest block | 256 bytes; a class is 256 bytes or 51 % longer at most; above 32 KiB whole chunks of 64 KiB |
//! | readers pinning one block | 65,535 among threads, 2^32 - 2 of each process |
//! | manifest slots, events, participants | 15, 3, 16 attachments with any number of threads |
//!
//! # Features
//!
//! `std` (default): waits put threads to sleep: on Linux by a futex, on other systems by naps of a millisecond; and
//! regions between processes (Linux). Without it, and on WebAssembly, waits return [`Wake::CannotBlock`] when there is
//! nothing to take, and a region is on the heap or where the caller says. `lz4`: packed results. (`fail-points`: tests.)
//!
//! # References
//!
//! Formats: `docs/layout.md`, `docs/jobs.md`. Pairing of every atomic: `docs/memory-model.md`. Cached cursors: Lee, Bu,
//! Chandranmenon, "MCRingBuffer" (IPDPS 2010). Derived bitmaps: Wrenger et al., "LLFree" (USENIX ATC 2023).
#![no_std]

#[cfg(target_endian = "big")]
compile_error!("the words of a region are little-endian, and so is every machine that shares one");

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod arena;
mod check;
mod error;
mod flow;
#[cfg(not(inos_loom))]
mod job;
mod layout;
mod memory;
mod participant;
mod recovery;
mod region;
mod ring;
mod switchboard;
mod sync;
mod trust;

#[cfg(all(test, inos_loom))]
mod models;

pub use layout::{FRAME_HEADER_BYTES, GRANULE_BYTES, Layout, SLOT_COUNT, Section, Watermarks};
pub use region::Region;
pub use trust::{Cooperative, Crash, Hostile, Threads, Trust};

pub use participant::{Liveness, PeerId};
#[cfg(not(inos_loom))]
pub use {participant::Peer, recovery::Recovery};

pub use check::RegionCheck;

pub use arena::{Arena, ArenaBox, ArenaCheck, ArenaFault, ArenaRef, ArenaStats, ClassStats, Handle};
pub use flow::{FlowControl, Pressure};
pub use ring::{Batch, Claim, Consumer, Flow, Form, Frame, FrameInfo, Kind, Payload, Producer};
pub use switchboard::{Event, Listener, Slot, State, Switchboard};
pub use sync::bell::{Patience, Wake};

#[cfg(not(inos_loom))]
pub use job::{
    Answer, Completion, ComputeJob, Input, JobClient, JobError, JobId, JobOutput, JobRunner, JobRunnerError, Message,
    Next, Ran, Request, UnpackError,
};
#[doc(hidden)]
#[cfg(all(feature = "fail-points", not(inos_loom)))]
pub use sync::step::fail_points;

pub use error::{AllocError, Corrupt, LayoutError, OutOfRange, PushError, RegionError, Rejected, SendError, Stale};
