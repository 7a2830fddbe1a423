//! Transactions that are applied together or not at all.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::account::Account;
use super::group::Writer;
use super::record::Record;
use super::stream::Stream;
use super::{Ledger, Mode};
use crate::{Credits, Link, Millis, Outcome, Rejection, Transaction, TxId};

/// What a chain did, with what is needed to undo it. Undone in the reverse order.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// An account as it was before.
    Account(u32, Account),
    /// An account was opened.
    Opened,
    /// A record as it was before.
    Record(u32, Record),
    /// A record was inserted.
    Inserted(u32),
    /// A record began to age.
    Aged(u32),
    /// A deadline was added.
    Deadline((Millis, TxId)),
    /// A deadline was removed.
    Due((Millis, TxId), u32),
    /// A stream as it was before.
    Stream(TxId, Option<Stream>),
    /// An account paid or set aside so much: not a change, but what the end of the chain asks about.
    Paid(u32, Credits),
}

impl Ledger {
    /// Answers a chain: all are applied, or all are as before but for the id of a culprit that is burnt.
    pub(super) fn answer_chain(
        &mut self,
        now: Millis,
        position: u32,
        chain: &[Transaction],
        outcomes: &mut Vec<Outcome>,
        writer: &mut Writer<'_>,
    ) {
        let known: Vec<Option<Outcome>> =
            chain.iter().map(|transaction| self.known(self.records.hash(transaction.id), transaction)).collect();
        let failure = if known.iter().all(|known| matches!(known, Some(Outcome::Exists(_)))) {
            None
        } else {
            match self.obstacle(now, chain, &known) {
                None => self.execute_chain(now, chain, outcomes, writer),
                obstacle => obstacle,
            }
        };
        if let Some((culprit, outcome)) = failure {
            let position = position.saturating_add(u32::try_from(culprit).unwrap_or(u32::MAX));
            let failed = Outcome::Rejected(Rejection::ChainFailed { culprit: position });
            let answer =
                |(at, known): (usize, &Option<Outcome>)| if at == culprit { outcome } else { known.unwrap_or(failed) };
            outcomes.extend(known.iter().enumerate().map(answer));
        } else {
            outcomes.extend(known.into_iter().flatten());
        }
    }

    /// The first transaction without which the chain cannot even be tried, and its answer. It leaves no trace.
    fn obstacle(&self, now: Millis, chain: &[Transaction], known: &[Option<Outcome>]) -> Option<(usize, Outcome)> {
        let mut ids = BTreeSet::new();
        for (position, (transaction, known)) in chain.iter().zip(known).enumerate() {
            if let Some(known) = known {
                return Some((position, *known));
            }
            let is_open = position.saturating_add(1) == chain.len() && transaction.link == Link::Next;
            let checked = match self.check_new(now, transaction) {
                Ok(()) if !ids.insert(transaction.id) => Err(Rejection::RepeatedInChain),
                Ok(()) if is_open => Err(Rejection::ChainOpen),
                checked => checked,
            };
            if let Err(rejection) = checked {
                return Some((position, Outcome::Rejected(rejection)));
            }
        }
        self.check_room(chain).err().map(|rejection| (0, Outcome::Rejected(rejection)))
    }

    /// Applies a chain of new transactions and appends its outcomes, or burns the culprit and answers it.
    fn execute_chain(
        &mut self,
        now: Millis,
        chain: &[Transaction],
        outcomes: &mut Vec<Outcome>,
        writer: &mut Writer<'_>,
    ) -> Option<(usize, Outcome)> {
        let (sequence, mark, first) = (self.sequence, writer.mark(), outcomes.len());
        self.mode = Mode::Chain;
        let mut ends = Vec::with_capacity(chain.len());
        let mut failure = None;
        for (position, transaction) in chain.iter().enumerate() {
            match self.execute(now, &transaction.operation, (None, None)) {
                Ok(effect) => {
                    let hash = self.records.hash(transaction.id);
                    writer.applied(transaction, effect);
                    outcomes.push(Outcome::Applied(self.record_applied(now, hash, transaction, effect)));
                    ends.push(self.undo.len());
                }
                Err(rejection) => {
                    failure = Some((position, rejection));
                    break;
                }
            }
        }
        let failure = failure.or_else(|| self.overdrawn(&ends));
        self.mode = Mode::Alone;
        let Some((culprit, rejection)) = failure else {
            self.undo.clear();
            return None;
        };
        self.undo_all();
        self.sequence = sequence;
        writer.rewind(mark);
        outcomes.truncate(first);
        let transaction = &chain[culprit];
        let rejection = self.burn(self.records.hash(transaction.id), transaction, rejection, writer);
        Some((culprit, Outcome::Rejected(rejection)))
    }

    /// The last transaction whose payer is overdrawn at the end of the chain. `ends` says up to where each transaction's
    /// changes go.
    fn overdrawn(&self, ends: &[usize]) -> Option<(usize, Rejection)> {
        self.undo.iter().enumerate().rev().find_map(|(at, change)| {
            let Change::Paid(slot, amount) = *change else { return None };
            let available = self.accounts.balance(slot).overdrawn(amount).err()?;
            Some((ends.partition_point(|&end| end <= at), Rejection::Overdraft { available }))
        })
    }

    fn undo_all(&mut self) {
        while let Some(change) = self.undo.pop() {
            match change {
                Change::Account(slot, account) => self.accounts.put_back(slot, account),
                Change::Opened => self.accounts.unopen(),
                Change::Record(slot, record) => *self.records.at_mut(slot) = record,
                Change::Inserted(slot) => self.records.uninsert(slot),
                Change::Aged(slot) => self.records.unage(slot),
                Change::Deadline(key) => {
                    self.deadlines.remove(&key);
                }
                Change::Due(key, slot) => {
                    self.deadlines.insert(key, slot);
                }
                Change::Stream(id, before) => match before {
                    Some(stream) => {
                        self.streams.insert(id, stream);
                    }
                    None => {
                        self.streams.remove(&id);
                    }
                },
                Change::Paid(..) => {}
            }
        }
    }

    /// Remembers a change, if it may have to be undone.
    pub(super) fn note(&mut self, change: Change) {
        if self.mode == Mode::Chain {
            self.undo.push(change);
        }
    }

    /// Remembers two accounts that are about to change.
    pub(super) fn touch_accounts(&mut self, first: u32, second: u32) {
        for slot in [first, second] {
            if self.mode == Mode::Chain {
                let before = *self.accounts.account(slot);
                self.undo.push(Change::Account(slot, before));
            }
        }
    }

    /// Remembers a record that is about to change.
    pub(super) fn touch_record(&mut self, slot: u32) {
        if self.mode == Mode::Chain {
            let before = *self.records.at(slot);
            self.undo.push(Change::Record(slot, before));
        }
    }
}
