//! What storage, compute and bandwidth cost, how many replicas a budget buys, and who has paid.
//!
//! Prices that are computed with floats, or rounded at each step, drift: the sum of the lines is not the total. This
//! crate computes every price as an integer over one denominator and rounds once. Its ledger books every movement twice
//! and answers a repeated transaction with its first verdict, so that under any mixture of retries no credit is created,
//! lost, spent twice or charged twice. Both are plain state and functions: the same calls have the same answers on every
//! target.
//!
//! **What it does not do.** It does not agree with other ledgers: a replicated one runs as a state machine under a log
//! that a majority commits, never under a write that a minority may acknowledge. One ledger, one credit. It does not ask
//! who may submit what: whoever submits can capture any hold and use up any id, so that is decided before.
//!
//! # Overview
//!
//! - [`Credits`], [`Bytes`], [`Millis`], [`Replicas`], [`Thousandths`]: units.
//! - [`Plan`]: how replicas multiply a price. [`TierPlan`] prices serving by tiers, [`GeoPlan`] storing.
//! - [`quote`]: the exact price of a [`Usage`] at [`Rates`], rounded up once, in lines that sum to the total.
//! - [`max_affordable`]: the most replicas within a budget.
//! - [`Meter`]: charges for usage as time passes, in whole credits, and carries the rest of a credit.
//! - [`allocate`]: splits an amount so that the parts sum to the whole.
//! - [`Transaction`]: open, transfer, hold, refund, stream, in chains. [`Outcome`]: applied, exists, or rejected and why.
//! - [`Ledger`]: accounts, holds, streams and ids; [`Limits`] bounds them. Its journal, snapshots and audit.
//! - [`DurableLedger`]: a ledger in a [`JournalStore`]; [`Released`]: outcomes that wait until it is synced.
//! - [`naive`]: the same ledger, slow and obvious, which is the oracle of the tests.
//!
//! # Driving it
//!
//! ```
//! use inos_pricing::{
//!     AccountId, AccountKind, Bytes, Credits, DEFAULT_RANGE, Floor, Ledger, Limits, Millis, Rates, Remainder, TierPlan,
//!     Transaction, TxId, Usage, max_affordable, quote,
//! };
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! // 1. How many replicas does the budget buy, and for how much?
//! let rates = Rates { storage: 20, compute: 1, bandwidth: 5 };
//! let planned = Usage { stored: Bytes::GB, held: Millis::HOUR, moved: Bytes::GB, ..Usage::default() };
//! let choice = max_affordable(&rates, &TierPlan, &planned, Credits(150), DEFAULT_RANGE, Floor::Refuse)?
//!     .ok_or("the budget does not buy three replicas")?;
//! assert_eq!((choice.replicas.0, choice.quote.total), (6, Credits(150)));
//!
//! // 2. Set that much aside until the work is done.
//! let (mint, payer, node) = (AccountId(1), AccountId(2), AccountId(3));
//! let now = Millis(1_700_000_000_000);
//! let id = |n| TxId::from_parts(now, n).expect("both parts are in range");
//! let deadline = Millis(now.0 + 2 * Millis::HOUR.0);
//! let mut ledger = Ledger::new(Limits::default(), 0x5eed);
//! let (mut outcomes, mut journal) = (Vec::new(), Vec::new());
//! ledger.apply(now, &[
//!     Transaction::open(id(1), mint, AccountKind::Issuer),
//!     Transaction::open(id(2), payer, AccountKind::Holder),
//!     Transaction::open(id(3), node, AccountKind::Holder),
//!     Transaction::transfer(id(4), mint, payer, Credits(1_000)),
//!     Transaction::hold(id(5), payer, node, choice.quote.total, deadline),
//! ], &mut outcomes, &mut journal)?;
//!
//! // 3. Half as much was moved: capture what that costs, and release the rest.
//! let used = Usage { moved: Bytes(500_000_000), ..planned };
//! let price = quote(&rates, &TierPlan, &used, choice.replicas)?;
//! let capture = Transaction::capture(id(6), id(5), price.total, Remainder::Release);
//! ledger.apply(Millis(now.0 + Millis::HOUR.0), &[capture], &mut outcomes, &mut Vec::new())?;
//! // The answer was lost? Send it again.
//! ledger.apply(Millis(now.0 + Millis::HOUR.0), &[capture], &mut outcomes, &mut Vec::new())?;
//!
//! for outcome in outcomes {
//!     outcome.verdict()?;
//! }
//! assert_eq!(ledger.balance(node).0.map(|b| b.available()), Some(135));
//! assert_eq!(ledger.balance(payer).0.map(|b| b.available()), Some(865));
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - **Exact.** A quote is the exact price rounded up, never more than one credit above it; its lines sum to its total.
//! - **Budget law.** `cost(n) <= budget`, and `n` is the end of the range or `cost(n + 1) > budget`.
//! - **Ledger.** Conservation, no overdraft, exactly once, resolved once: see [`Ledger`] and `docs/model.md`.
//! - **Total.** No input makes it panic or wrap; unsafe code, floats and unchecked arithmetic are denied.
//!
//! # Limits
//!
//! | what | limit | beyond |
//! | --- | --- | --- |
//! | replicas | 1..=700 | [`PriceError::ReplicasOutOfRange`] |
//! | each of the [`Rates`] | 2^24 credits | [`PriceError::Overflow`] |
//! | [`Usage`] of one call | 2^50 B stored, 2^36 ms held, 2^43 ms of processor, 2^62 B moved | [`PriceError::Overflow`] |
//! | factor of a [`Plan`] | 138.5 | [`PriceError::Overflow`] |
//! | one price, one amount | 2^64 - 1 credits | [`PriceError::Overflow`] |
//! | clock and times of ids | 2^48 - 1 ms | [`LedgerError::ClockOutOfRange`] |
//! | accounts, ids, batch, expiries, steps | [`Limits`] | stated there |
//!
//! # Features
//! `std`, by default: `FileStore`. `redb`: `RedbStore`. `serde`. `sim`: a simulated disk. `no_std` with `alloc` without.
//!
//! # References
//!
//! TigerBeetle's data model: two-phase transfers, debits and credits, pending and posted. Aumasson, Bernstein: SipHash
//! (2012), which keys the indexes. Balinski, Young: Fair Representation (1982), on the method of largest remainders.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic, clippy::arithmetic_side_effects)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod allocate;
mod budget;
mod bytes;
mod durable;
mod error;
mod ledger;
mod meter;
pub mod naive;
mod outcome;
mod plan;
mod quote;
mod released;
#[cfg(feature = "sim")]
pub mod sim;
mod store;
mod transaction;
mod units;

pub use allocate::{AllocateError, allocate};
pub use budget::{Affordable, DEFAULT_RANGE, Floor, max_affordable};
pub use durable::{AuditError, Corruption, DurableError, DurableLedger, OpenError, Recovery, Tail};
pub use error::{PriceError, Quantity};
pub use ledger::{
    Audit, Balance, FlowWindow, HoldStatus, HoldView, JournalError, Ledger, LedgerError, Limits, MAX_BATCH,
    SnapshotError, StreamStatus, StreamView, Violation,
};
pub use meter::{Close, DecodeMeterError, Meter, MeterId, Reading};
pub use outcome::{Field, Outcome, Rejection, Sequence, Side};
pub use plan::{GeoPlan, Plan, Spread, TierPlan};
pub use quote::{DENOMINATOR, Dimension, Line, Quote, Rates, Usage, quote};
pub use released::Released;
#[cfg(feature = "std")]
pub use store::{FileError, FileName, FileOperation, FileStore};
pub use store::{JournalStore, Listing, MemoryError, MemoryStore, Part, SegmentError};
#[cfg(feature = "redb")]
pub use store::{RedbError, RedbStore};
pub use transaction::{AccountId, AccountKind, Link, Operation, Remainder, Transaction, TxId};
pub use units::{Bytes, Credits, Millis, Replicas, Thousandths};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
