//! Acknowledgements before the commit, and what is owed for them. [`Mode::Fast`] alone.

use alloc::vec::Vec;

use super::{Group, Office, state::State};
use crate::{
    Event, Id, LossReport, Lsn, Machine, Mode, NodeClass, ReceiptState, Stage,
    bugs::{Bug, has},
};

/// Epochs whose acknowledged ends are remembered until they are seen committed or lost.
const MAX_EPOCHS: usize = 16;

impl<N: Id, M: Machine> Group<N, M> {
    /// The greatest entry of this epoch that was acknowledged; 0 for none.
    pub(super) fn fast_high(&self) -> u64 {
        let given = self.office == Office::Primary && self.lead.fast_to > self.lead.start;
        if given { self.lead.fast_to } else { 0 }
    }

    /// Whether the writer of a pending entry has been told `Fast`. Entries of older epochs are never told so.
    pub(super) const fn is_acknowledged(&self, sequence: u64) -> bool {
        self.lead.start < sequence && sequence <= self.lead.fast_to
    }

    /// The greatest entry of any epoch that is known to have been acknowledged and not seen committed.
    pub(super) fn fast_greatest(&self) -> Lsn {
        let own = Lsn { epoch: self.hard.epoch, sequence: self.fast_high() };
        let known = self.fast_known.last().copied().unwrap_or_default();
        if own.sequence > 0 { own.max(known) } else { known }
    }

    /// What another member says; one that is no member may say anything.
    pub(super) fn note_fast_of(&mut self, peer: usize, lsn: Lsn) {
        if self.peers[peer].is_member() {
            self.note_fast(lsn);
        }
    }

    pub(super) fn note_fast(&mut self, lsn: Lsn) {
        let told = self.fast_told.iter().any(|told| told.epoch == lsn.epoch && told.sequence >= lsn.sequence);
        if lsn.sequence == 0 || told || self.state.receipt_state(lsn) == ReceiptState::Held {
            return;
        }
        raise(&mut self.fast_known, lsn);
        self.tell_losses();
    }

    /// Acknowledges the writes that this primary and another replica hold, while what is at risk is bounded.
    pub(super) fn acknowledge_fast(&mut self) {
        let started = self.state.applied.sequence >= self.lead.start;
        let fenced = self.lead.fenced > 0 && self.lead.confirmed <= self.lead.fenced;
        if self.config.mode != Mode::Fast || self.office != Office::Primary || !started || fenced {
            return;
        }
        // Two copies: one that a crash of this member would undo is none.
        let own = self.held();
        let (mut by_voter, mut by_any) = (0, 0);
        for peer in &self.peers {
            let matched = peer.matched.min(own);
            match peer.fast_class() {
                Some(NodeClass::Voter) => by_voter = by_voter.max(matched),
                Some(NodeClass::Ephemeral) => by_any = by_any.max(matched),
                None => {}
            }
        }
        by_any = by_any.max(by_voter);
        let from = self.lead.fast_to.max(self.commit);
        if by_any <= from {
            return;
        }
        let late = self.lead.ages.front().is_some_and(|&(_, at)| self.now >= at + self.config.exposure);
        let late = late && !has(Bug::ExposureWithoutEnd);
        if late || self.uncommitted() >= self.config.exposure_writes {
            self.counters.fast_withheld += 1;
            return;
        }
        let first = self.pending.partition_point(|pending| pending.lsn.sequence <= from);
        for pending in self.pending.range(first..) {
            if pending.lsn.sequence > by_any {
                break;
            }
            let by = if pending.lsn.sequence <= by_voter || has(Bug::EphemeralTakenForVoter) {
                NodeClass::Voter
            } else {
                NodeClass::Ephemeral
            };
            // As with a commit: a repeat of what an orphan brought stands where that is.
            let found = self.early.binary_search_by_key(&pending.lsn.sequence, |&(sequence, ..)| sequence);
            if let Some((_, lsn, output)) = found.ok().map(|at| &self.early[at]) {
                let (id, lsn, output) = (pending.op, *lsn, Some(output.clone()));
                self.events.push_back(Event::Receipt { id, stage: Stage::Fast { by }, lsn, output });
            }
        }
        self.lead.fast_to = by_any;
        self.forget_early(by_any);
    }

    pub(super) fn forget_early(&mut self, to: u64) {
        while self.early.front().is_some_and(|&(sequence, ..)| sequence <= to) {
            self.early.pop_front();
        }
    }

    /// Reports the acknowledged writes that a committed history of a later epoch does not have.
    pub(super) fn tell_losses(&mut self) {
        let Self { fast_known, fast_told, state, events, .. } = self;
        fast_known.retain(|&known| match state.receipt_state(known) {
            ReceiptState::Held => false,
            ReceiptState::Unknown => true,
            ReceiptState::Lost => {
                let from = state.end_of_or_before(known.epoch).saturating_add(1).min(known.sequence);
                raise(fast_told, known);
                if has(Bug::LossWithoutReport) {
                    return false;
                }
                events.push_back(Event::Loss(LossReport { epoch: known.epoch, from, known_to: known.sequence }));
                false
            }
        });
    }

    /// The committed state, and the rest of the log on top: what was applied too early is undone by doing the rest
    /// again.
    pub(super) fn rebuild_tip(&mut self) {
        let mut bytes = Vec::new();
        self.state.encode(&mut bytes);
        self.tip = State::decode(&bytes);
        debug_assert!(self.tip.is_some(), "a machine restores what it wrote");
        self.apply_tip();
    }

    /// Applies what was appended.
    pub(super) fn apply_tip(&mut self) {
        let Some(tip) = &mut self.tip else { return };
        while let Some(entry) = self.log.entry(tip.applied.sequence + 1) {
            if tip.apply(&entry, &self.log).is_none() {
                break;
            }
        }
    }
}

/// Keeps the greatest place of each of the latest epochs.
fn raise(places: &mut Vec<Lsn>, lsn: Lsn) {
    match places.binary_search_by_key(&lsn.epoch, |place| place.epoch) {
        Ok(at) => places[at] = places[at].max(lsn),
        Err(at) => places.insert(at, lsn),
    }
    if places.len() > MAX_EPOCHS {
        places.remove(0);
    }
}
