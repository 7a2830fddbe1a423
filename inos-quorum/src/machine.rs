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

/// The bytes are not a delta of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the bytes are not a delta of this machine")]
pub struct Undecodable;

/// A deterministic state machine: the same deltas in the same order give the same states and outputs everywhere.
///
/// [`Default`] is the state before the first delta, and has to be the same on every member.
///
/// ```
/// use inos_quorum::{Lsn, Machine, Undecodable};
///
/// /// A sum of bytes.
/// #[derive(Default)]
/// struct Sum(u64);
///
/// impl Machine for Sum {
///     type Delta = u8;
///     type Output = u64; // the sum after the write, handed to the writer
///
///     fn encode(delta: &u8, out: &mut Vec<u8>) {
///         out.push(*delta);
///     }
///     fn decode(bytes: &[u8]) -> Result<u8, Undecodable> {
///         let &[delta] = bytes else { return Err(Undecodable) };
///         Ok(delta)
///     }
///     fn apply(&mut self, _: Lsn, delta: &u8) -> u64 {
///         self.0 += u64::from(*delta);
///         self.0
///     }
/// }
/// ```
pub trait Machine: Default {
    /// A change of the state.
    type Delta;
    /// What a write returns to its writer. Kept for the last 64 writes of each client, so that a retry gets it again.
    type Output: Clone;

    /// Appends the bytes of `delta` to `out`.
    fn encode(delta: &Self::Delta, out: &mut Vec<u8>);

    /// Reads what [`encode`](Self::encode) wrote. Called before an entry enters a log, so that no log holds an entry
    /// that cannot be applied.
    ///
    /// # Errors
    ///
    /// [`Undecodable`] for any other bytes; it must not panic.
    fn decode(bytes: &[u8]) -> Result<Self::Delta, Undecodable>;

    /// Applies one committed delta. Called once per entry and life, in the order of the log. Total: a delta that the
    /// state forbids is answered in the output.
    fn apply(&mut self, lsn: Lsn, delta: &Self::Delta) -> Self::Output;
}
