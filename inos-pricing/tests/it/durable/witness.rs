//! What a ledger was asked and what it has promised: the laws, in one place.

use alloc::collections::{BTreeMap, VecDeque};

use inos_pricing::{
    DurableError, DurableLedger, JournalStore, Ledger, Millis, Outcome, Recovery, Rejection, Sequence, Transaction,
    TxId,
};

use super::traffic::{Call, LIMITS, Traffic};

type Verdict = Result<Sequence, Rejection>;

/// Beside a durable ledger, over all its openings.
#[derive(Debug)]
pub(super) struct Witness {
    /// A ledger in memory that was called in the same way.
    pub(super) twin: Ledger,
    /// All calls that may be on disk, with the sequence after each.
    calls: Vec<(Sequence, Call)>,
    /// Submitted, and not released: what the twin answered.
    waiting: VecDeque<(Sequence, Vec<Transaction>, Vec<Outcome>)>,
    /// The highest sequence that was released.
    pub(super) released: Sequence,
    /// Released verdicts that the ledger has to remember.
    answered: BTreeMap<TxId, (Transaction, Verdict)>,
}

impl Default for Witness {
    fn default() -> Self {
        Self {
            twin: Ledger::new(LIMITS, 7),
            calls: Vec::new(),
            waiting: VecDeque::new(),
            released: Sequence(0),
            answered: BTreeMap::new(),
        }
    }
}

impl Witness {
    /// Before the durable ledger is called.
    pub(super) fn expect(&mut self, call: &Call) -> (Sequence, Vec<Outcome>) {
        let mut outcomes = Vec::new();
        let sequence = self.twin.apply(call.now, &call.batch, &mut outcomes, &mut Vec::new()).unwrap();
        self.calls.push((sequence, call.clone()));
        (sequence, outcomes)
    }

    pub(super) fn submitted(&mut self, sequence: Sequence, call: &Call, outcomes: Vec<Outcome>) {
        self.waiting.push_back((sequence, call.batch.clone(), outcomes));
    }

    /// Takes what the ledger releases.
    pub(super) fn poll<S: JournalStore>(&mut self, ledger: &mut DurableLedger<S>) {
        while let Some((sequence, outcomes)) = ledger.poll_released() {
            assert!(sequence <= ledger.synced(), "released at {sequence:?}, before it was synced");
            let (at, batch, expected) = self.waiting.pop_front().expect("only what was submitted is released");
            assert_eq!((sequence, &outcomes), (at, &expected));
            self.release(sequence, &batch, &outcomes);
        }
    }

    pub(super) fn release(&mut self, sequence: Sequence, batch: &[Transaction], outcomes: &[Outcome]) {
        self.released = self.released.max(sequence);
        for (transaction, outcome) in batch.iter().zip(outcomes) {
            let verdict = outcome.verdict();
            if verdict.is_ok() || verdict.is_err_and(|rejection| rejection.burns_id()) {
                let known = self.answered.insert(transaction.id, (*transaction, verdict));
                assert!(
                    known.is_none_or(|known| known == (*transaction, verdict)),
                    "{transaction:?}: {known:?}, {verdict:?}"
                );
            }
        }
    }

    /// The laws of a ledger that was opened: all released outcomes are there, and the state is that after some of the
    /// calls. From now on these calls are all.
    pub(super) fn check<S: JournalStore>(&mut self, ledger: &mut DurableLedger<S>, recovery: Recovery) {
        let sequence = ledger.ledger().unwrap().sequence();
        assert_eq!(recovery.sequence, sequence);
        assert!(sequence >= self.released, "{sequence:?} was recovered, {:?} released", self.released);
        assert!(recovery.last_known_synced <= sequence, "{recovery:?}");
        self.waiting.clear();
        if self.twin.sequence() != sequence {
            self.twin = Ledger::new(LIMITS, 9);
            self.calls.retain(|(after, _)| *after <= sequence);
            for (_, call) in &self.calls {
                self.twin.apply(call.now, &call.batch, &mut Vec::new(), &mut Vec::new()).unwrap();
            }
        }
        assert_eq!(self.twin.sequence(), sequence, "a part of a group");
        self.check_state(ledger);
        self.check_answers(ledger);
        assert_eq!(ledger.audit().unwrap().sequence, sequence);
    }

    pub(super) fn check_state<S: JournalStore>(&self, ledger: &DurableLedger<S>) {
        assert_eq!(ledger.ledger().unwrap().state_hash(), self.twin.state_hash());
    }

    /// Whatever was answered has the same verdict again.
    fn check_answers<S: JournalStore>(&self, ledger: &mut DurableLedger<S>) {
        let Some(clock) = ledger.ledger().unwrap().clock() else { return };
        let answered: Vec<_> = self.answered.values().copied().collect();
        for part in answered.chunks(LIMITS.max_batch as usize) {
            let batch: Vec<_> = part.iter().map(|(transaction, _)| *transaction).collect();
            let mut outcomes = Vec::new();
            ledger.apply(clock, &batch, &mut outcomes).unwrap();
            for ((transaction, verdict), outcome) in part.iter().zip(outcomes) {
                assert_eq!(outcome, Outcome::Exists(*verdict), "{transaction:?}");
            }
        }
        self.check_state(ledger);
    }
}

/// After a failure of the store nothing is done or told any more.
pub(super) fn check_poisoned<S: JournalStore>(ledger: &mut DurableLedger<S>, now: Millis) {
    let poisoned = |result: Result<Sequence, DurableError<S::Error>>| matches!(result, Err(DurableError::Poisoned));
    assert_eq!(ledger.poll_released(), None);
    assert!(poisoned(ledger.apply(now, &[], &mut Vec::new())));
    assert!(poisoned(ledger.submit(now, &[])));
    assert!(poisoned(ledger.sync()));
    assert!(poisoned(ledger.pulse(now)));
    assert!(poisoned(ledger.snapshot()));
    assert!(ledger.audit().is_err() && ledger.ledger().is_err());
    assert_eq!(ledger.poll_released(), None);
}

/// What is done with a ledger.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Apply(Call),
    Submit(Call),
    Sync,
    Snapshot,
    Reopen,
}

/// So many steps after the opening.
pub(super) fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut traffic = Traffic::new(seed);
    let mut steps = vec![Step::Apply(traffic.opening())];
    while steps.len() <= count {
        steps.push(match traffic.rng.below(20) {
            0..=5 => Step::Apply(traffic.call(5)),
            6..=11 => Step::Submit(traffic.call(8)),
            12 => Step::Submit(traffic.pulse()),
            13 => Step::Apply(traffic.pulse()),
            14..=15 => Step::Sync,
            16..=17 => Step::Snapshot,
            _ => Step::Reopen,
        });
    }
    steps
}
