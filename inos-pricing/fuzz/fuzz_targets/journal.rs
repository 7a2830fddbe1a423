//! Goal: no bytes in place of a journal make a ledger panic, and what is replayed from them can be used.
//!
//! Method: the input as it is; and as changes of a real journal, with its checksums mended, so that the fuzzer gets past
//! them. What was replayed without an error and keeps the identities then answers batches.

#![no_main]

use arbitrary::Unstructured;
use inos_pricing::{DurableLedger, JournalStore, Ledger, MemoryStore, Tail};
use inos_pricing_fuzz::{LIMITS, drive, ledger, mend_journal};
use libfuzzer_sys::fuzz_target;

fn try_both(journal: &[u8], rest: &[u8]) {
    let mut store = MemoryStore::default();
    store.start_segment(1).expect("the first segment");
    store.append(journal).expect("memory");
    let opened = DurableLedger::open(store, LIMITS, 7, Tail::Trust);
    let mut ledger = Ledger::new(LIMITS, 5);
    if ledger.replay(journal).is_ok() && ledger.audit().is_ok() {
        let (opened, _) = opened.expect("what is replayed is opened");
        let opened = opened.ledger().expect("it is not poisoned");
        assert_eq!(opened.state_hash(), ledger.state_hash());
        drive(&mut ledger, &mut Unstructured::new(rest));
    }
}

fuzz_target!(|input: &[u8]| {
    try_both(input, &[]);
    let mut mended = input.to_vec();
    mend_journal(&mut mended);
    try_both(&mended, &[]);

    // Each three bytes: where, and what.
    let (_, mut journal) = ledger();
    let (changes, rest) = input.split_at(input.len().min(24));
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % journal.len();
        journal[at] ^= change[2];
    }
    mend_journal(&mut journal);
    try_both(&journal, rest);
});
