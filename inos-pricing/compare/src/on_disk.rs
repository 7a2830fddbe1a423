//! Ours, on disk: every batch is appended and synced before it is answered.

use core::hint::black_box;
use std::path::Path;

use inos_pricing::{DurableLedger, FileStore, Limits, Outcome, Tail, Transaction};

use crate::book::Book;
use crate::ours::{SEED, balances, check_opening, opening};
use crate::workload::{BATCH, clock};

pub(crate) struct OursOnDisk {
    ledger: DurableLedger<FileStore>,
    outcomes: Vec<Outcome>,
}

impl OursOnDisk {
    pub(crate) const NOTE: &'static str = "ours: DurableLedger over FileStore, double entry, verdicts kept for retries, a journal with \
        checksums that is appended and synced; no snapshot falls into the run";

    fn connect(directory: &Path) -> Self {
        let store = FileStore::open(directory).expect("the directory can be written");
        let (ledger, _) =
            DurableLedger::open(store, Limits::default(), SEED, Tail::Trust).expect("the journal is whole");
        Self { ledger, outcomes: Vec::with_capacity(BATCH) }
    }

    #[cfg(test)]
    pub(crate) fn reopen(directory: &Path) -> Self {
        Self::connect(directory)
    }
}

impl Book for OursOnDisk {
    const NAME: &'static str = "ours";

    fn open(directory: &Path) -> Self {
        let mut ours = Self::connect(directory);
        for batch in opening() {
            ours.apply(&batch);
            check_opening(&ours.outcomes);
        }
        ours
    }

    fn apply(&mut self, batch: &[Transaction]) {
        self.outcomes.clear();
        self.ledger
            .apply(clock(batch), batch, &mut self.outcomes)
            .expect("the batch is in range, and the disk writable");
        black_box(&self.outcomes);
    }

    fn balances(&mut self) -> Vec<u64> {
        balances(self.ledger.ledger().expect("the disk is writable"))
    }
}
