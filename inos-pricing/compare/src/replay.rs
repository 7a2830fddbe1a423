//! Reading a journal back, beside having written it.

use core::hint::black_box;
use std::path::Path;

use inos_pricing::Transaction;

use crate::Setting;
use crate::book::{Book, check, seconds};
use crate::contest::{Contestant, Role, Stopwatch, compete};
use crate::ours::{Ours, opening};
use crate::report::{Better, Row, Target};
use crate::workload::{BATCH, balances_after, transfers};

const APPLY: &str = "apply";

pub(crate) fn run(name: &'static str, setting: &Setting) -> Row {
    let transfers = transfers(setting.effort.units(128) as usize);
    let expected = balances_after(&transfers);
    let thousands = transfers.len() as f64 / 1e3;
    let journals = Journals::of(&transfers);
    let turns = vec![
        Contestant::new(Ours::NAME, Role::Ours, || {
            let mut ours = Ours::new();
            ours.ledger().replay(&journals.opening).expect("it was just written");
            let stopwatch = Stopwatch::start();
            ours.ledger().replay(black_box(&journals.transfers)).expect("it was just written");
            let seconds = stopwatch.seconds();
            check(&mut ours, &expected);
            thousands / seconds
        }),
        Contestant::new(APPLY, Role::Limit, || {
            let mut ours = Ours::open(Path::new(""));
            let seconds = seconds(&mut ours, &transfers, BATCH);
            check(&mut ours, &expected);
            thousands / seconds
        }),
    ];
    let figures = compete(turns, setting.effort.rounds);
    let notes = vec![
        format!(
            "the journal of {} transfers in groups of {BATCH}, {} bytes in memory; final balances are equal",
            transfers.len(),
            journals.transfers.len()
        ),
        "apply: the same transfers with `apply`, as in transfer-memory; no peer reads a journal back".into(),
    ];
    Row::new((name, "k transfers/s", Better::Higher), &figures, &[], &[Target::TimesAsFastAs(0.8, APPLY)], notes)
}

/// What a ledger wrote.
pub(crate) struct Journals {
    opening: Vec<u8>,
    pub(crate) transfers: Vec<u8>,
}

impl Journals {
    pub(crate) fn of(transfers: &[Transaction]) -> Self {
        let mut ours = Ours::new();
        let mut write = |batches: &mut dyn Iterator<Item = &[Transaction]>| {
            let mut journal = Vec::new();
            for batch in batches {
                ours.apply(batch);
                journal.extend_from_slice(ours.journal());
            }
            journal
        };
        let opening = opening();
        let opening = write(&mut opening.iter().map(Vec::as_slice));
        Self { opening, transfers: write(&mut transfers.chunks(BATCH)) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Journals;
    use crate::book::Book;
    use crate::ours::Ours;
    use crate::workload::{BATCH, transfers};

    #[test]
    fn a_replay_has_the_state_of_what_it_repeats() {
        let transfers = transfers(2);
        let journals = Journals::of(&transfers);
        let (mut replayed, mut applied) = (Ours::new(), Ours::open(Path::new("")));
        replayed.ledger().replay(&journals.opening).expect("it was just written");
        replayed.ledger().replay(&journals.transfers).expect("it was just written");
        transfers.chunks(BATCH).for_each(|batch| applied.apply(batch));
        assert_eq!(replayed.ledger().state_hash(), applied.ledger().state_hash());
    }
}
