//! Outcomes that wait until what they tell is on disk.

use alloc::{collections::VecDeque, vec::Vec};

use crate::{Outcome, Sequence};

/// Holds outcomes back until the journal that they rest on is synced. It does no input and output, and reads no clock.
///
/// Outcomes formed at a sequence (`Exists` and rejections included: they tell of a state too) are submitted with it.
/// They come out once it is synced, in the order of submission, whole calls at a time.
///
/// **Invariant.** What [`poll_released`](Self::poll_released) returns was submitted with a sequence not above the
/// highest that was ever passed to [`synced`](Self::synced), and so was everything submitted before it. A ledger's
/// sequences never fall; if a caller submits a smaller one after a larger one, the smaller waits for the larger.
///
/// It grows with what is submitted and not yet synced: who must bound it syncs. After a failed sync it is dropped:
/// nothing in it may be told to anyone.
///
/// ```
/// use inos_pricing::{Outcome, Released, Sequence};
///
/// let mut released = Released::default();
/// released.submit(Sequence(1), vec![Outcome::Applied(Sequence(1))]);
/// assert_eq!(released.poll_released(), None, "applied, but a crash now would forget it");
///
/// released.synced(Sequence(1));
/// assert_eq!(released.poll_released(), Some((Sequence(1), vec![Outcome::Applied(Sequence(1))])));
/// assert_eq!(released.poll_released(), None);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Released {
    /// In the order of submission.
    waiting: VecDeque<(Sequence, Vec<Outcome>)>,
    /// The highest that was reported; a ledger's first change is 1, so 0 is synced from the start.
    synced: Sequence,
}

impl Released {
    /// Takes the outcomes of one call, formed at `sequence`: the ledger's last change after the call.
    pub fn submit(&mut self, sequence: Sequence, outcomes: Vec<Outcome>) {
        self.waiting.push_back((sequence, outcomes));
    }

    /// Everything up to `sequence` is synced. Smaller than an earlier one, it says nothing new.
    pub fn synced(&mut self, sequence: Sequence) {
        self.synced = self.synced.max(sequence);
    }

    /// The oldest outcomes that wait, with their sequence, if they may be told; `None` until more is synced.
    pub fn poll_released(&mut self) -> Option<(Sequence, Vec<Outcome>)> {
        self.waiting.pop_front_if(|(sequence, _)| *sequence <= self.synced)
    }

    /// Calls whose outcomes have not come out.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.waiting.len()
    }
}
