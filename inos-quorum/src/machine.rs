//! What a group replicates.

use alloc::vec::Vec;

use thiserror::Error;

/// Where an entry stands: the epoch of the primary that wrote it, and its place in the log.
///
/// Ordered by epoch, then sequence: exactly the order in which logs are compared in an election.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn {
    /// The epoch of the primary that wrote the entry; 0 before the first entry.
    pub epoch: u64,
    /// The place in the log, from 1 without gaps; 0 before the first entry.
    pub sequence: u64,
}

/// Names one write of one client, for ever. A retry bears the id of the write it repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// The client. One client is one sequence of serials: two processes must not share it.
    pub client: u128,
    /// Which of its writes. Serials grow; gaps are allowed; the group remembers the greatest 64 of a client.
    pub serial: u64,
}

/// The bytes are not what the machine wrote: a delta, an output or a snapshot of another machine or version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the bytes are not of this machine")]
pub struct Undecodable;

/// What becomes of writes that were dropped with the log of a deposed primary and came back (orphans).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// The machine orders by stamps and keeps the later; it decides in [`Machine::reconcile`].
    Lww,
    /// The machine joins; [`Machine::reconcile`] merges the delta.
    Crdt,
    /// The machine rebases the operation onto the present state in [`Machine::reconcile`].
    Ot,
    /// Orphans are refused and told to their writer: the policy for money. `reconcile` is never called.
    Reject,
}

/// A write that was in a log, fell out of it when another primary took over, and was handed to the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Orphan<'a, D> {
    /// Where it stood in the history that was dropped.
    pub lsn: Lsn,
    /// Its writer had read the history up to this sequence, as far as that is part of the present history.
    pub read: u64,
    /// The change.
    pub delta: &'a D,
}

/// A deterministic state machine: the same deltas in the same order give the same states and outputs everywhere.
///
/// [`Default`] is the state before the first delta, and has to be the same on every member.
///
/// ```
/// use inos_quorum::{Lsn, Machine, Policy, Undecodable};
///
/// /// A sum of bytes.
/// #[derive(Default)]
/// struct Sum(u64);
///
/// impl Machine for Sum {
///     type Delta = u8;
///     type Output = u64; // the sum after the write, handed to the writer
///     const POLICY: Policy = Policy::Reject;
///
///     fn encode(delta: &u8, out: &mut Vec<u8>) {
///         out.push(*delta);
///     }
///     fn decode(bytes: &[u8]) -> Result<u8, Undecodable> {
///         let &[delta] = bytes else { return Err(Undecodable) };
///         Ok(delta)
///     }
///     fn encode_output(output: &u64, out: &mut Vec<u8>) {
///         out.extend_from_slice(&output.to_le_bytes());
///     }
///     fn decode_output(bytes: &[u8]) -> Result<u64, Undecodable> {
///         bytes.try_into().map(u64::from_le_bytes).map_err(|_| Undecodable)
///     }
///     fn apply(&mut self, _: Lsn, delta: &u8) -> u64 {
///         self.0 += u64::from(*delta);
///         self.0
///     }
///     fn snapshot(&self, out: &mut Vec<u8>) {
///         out.extend_from_slice(&self.0.to_le_bytes());
///     }
///     fn restore(bytes: &[u8]) -> Result<Self, Undecodable> {
///         bytes.try_into().map(|bytes| Self(u64::from_le_bytes(bytes))).map_err(|_| Undecodable)
///     }
/// }
/// ```
pub trait Machine: Default {
    /// A change of the state.
    type Delta;
    /// What a write returns to its writer. Kept for the last 64 writes of each client, so that a retry gets it again.
    type Output: Clone;
    /// What becomes of orphans.
    const POLICY: Policy;

    /// Appends the bytes of `delta` to `out`.
    fn encode(delta: &Self::Delta, out: &mut Vec<u8>);

    /// Reads what [`encode`](Self::encode) wrote. Called before an entry enters a log, so that no log holds an entry
    /// that cannot be applied, and again when it is applied.
    ///
    /// # Errors
    ///
    /// [`Undecodable`] for any other bytes; it must not panic.
    fn decode(bytes: &[u8]) -> Result<Self::Delta, Undecodable>;

    /// Appends the bytes of `output` to `out`: outputs travel in snapshots.
    fn encode_output(output: &Self::Output, out: &mut Vec<u8>);

    /// Reads what [`encode_output`](Self::encode_output) wrote.
    ///
    /// # Errors
    ///
    /// [`Undecodable`] for any other bytes; it must not panic.
    fn decode_output(bytes: &[u8]) -> Result<Self::Output, Undecodable>;

    /// Applies one delta, in the order of the log. Total: a delta that the state forbids is answered in the output.
    fn apply(&mut self, lsn: Lsn, delta: &Self::Delta) -> Self::Output;

    /// Appends the whole state to `out`: the same bytes for the same state on every member and target.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// The state that [`snapshot`](Self::snapshot) wrote.
    ///
    /// # Errors
    ///
    /// [`Undecodable`] for any other bytes; it must not panic.
    fn restore(bytes: &[u8]) -> Result<Self, Undecodable>;

    /// Takes in a write that was made concurrently in a history that was dropped; called in the order of the log, on
    /// every member alike, at most once per write. `None`, and the state unchanged, when it is not taken in.
    /// By default none is.
    fn reconcile(&mut self, lsn: Lsn, orphan: &Orphan<'_, Self::Delta>) -> Option<Self::Output> {
        let _ = (lsn, orphan);
        None
    }
}
