//! What the fuzzers of inos-pricing share: a ledger that has something of everything, batches from bytes, and what must
//! hold of any ledger.

mod shape;

use arbitrary::{Arbitrary, Unstructured};
use inos_pricing::{AccountId, AccountKind, Credits, Ledger, Limits, Millis, Outcome, Remainder, Transaction, TxId};
use shape::Shape;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

/// The clock of [`ledger`].
pub const NOW: u64 = 1_700_000_000_000;

/// Small enough for every limit to be met.
pub const LIMITS: Limits = Limits {
    max_accounts: 6,
    max_ids: 60,
    max_open: 20,
    max_batch: 64,
    max_expiries: 2,
    max_step: Millis(1 << 40),
    max_ahead: Millis(1_000),
    retention: Millis(10_000),
    refund_window: Millis(5_000),
};

/// An id with few values, so that they meet.
pub fn id(time: u8, unique: u8) -> TxId {
    TxId::from_parts(Millis(NOW + u64::from(time) * 100), u128::from(unique % 32)).expect("both parts are in range")
}

/// A ledger with accounts, holds, a stream, refunds and a chain behind it, and its journal.
pub fn ledger() -> (Ledger, Vec<u8>) {
    let mut ledger = Ledger::new(LIMITS, 1);
    let (mut outcomes, mut journal) = (Vec::new(), Vec::new());
    let (mint, payer, node) = (AccountId(0), AccountId(1), AccountId(2));
    let batch = [
        Transaction::open(id(0, 0), mint, AccountKind::Issuer),
        Transaction::open(id(0, 1), payer, AccountKind::Holder),
        Transaction::open(id(0, 2), node, AccountKind::Holder),
        Transaction::transfer(id(0, 3), mint, payer, Credits(1_000)),
        Transaction::hold(id(0, 4), payer, node, Credits(100), Millis(NOW + 2_000)).linked(),
        Transaction::capture(id(0, 5), id(0, 4), Credits(40), Remainder::Keep),
        Transaction::open_stream(id(0, 6), payer, node, Credits(50), Credits(3_600)),
        Transaction::refund(id(0, 7), id(0, 5), Credits(1)),
        Transaction::transfer(id(0, 8), payer, node, Credits(5_000)),
    ];
    ledger.apply(Millis(NOW), &batch, &mut outcomes, &mut journal).expect("the batch is in range");
    ledger.pulse(Millis(NOW + 900), &mut journal).expect("the step is in range");
    (ledger, journal)
}

/// Applies batches from bytes, and checks after each what must hold of any ledger.
pub fn drive(ledger: &mut Ledger, input: &mut Unstructured<'_>) {
    let mut now = ledger.clock().unwrap_or(Millis(NOW));
    while !input.is_empty() {
        let Ok((step, count)) = <(u16, u8)>::arbitrary(input) else { return };
        now = Millis(now.0.saturating_add(u64::from(step)));
        let shapes: Vec<Shape> = (0..count % 16).map_while(|_| Shape::arbitrary(input).ok()).collect();
        let batch: Vec<Transaction> = shapes.iter().map(Shape::transaction).collect();
        let mut replica = Ledger::restore(&ledger.snapshot(), LIMITS, 3).expect("a snapshot is restored");
        let (mut outcomes, mut journal) = (Vec::new(), Vec::new());
        if ledger.apply(now, &batch, &mut outcomes, &mut journal).is_err() {
            return;
        }
        assert_eq!(outcomes.len(), batch.len());
        ledger.audit().expect("the identities hold");
        let replayed = replica.replay(&journal).expect("a journal is replayed");
        assert_eq!((replayed, replica.state_hash()), (ledger.sequence(), ledger.state_hash()));
        let mut again = Vec::new();
        ledger.apply(now, &batch, &mut again, &mut journal).expect("the same call is in range");
        for (first, second) in outcomes.iter().zip(&again) {
            if let Outcome::Applied(sequence) = first {
                assert_eq!(*second, Outcome::Exists(Ok(*sequence)));
            }
        }
    }
}

/// Puts the checksum of a snapshot right.
pub fn mend_snapshot(bytes: &mut [u8]) {
    if let Some((covered, digest)) = bytes.split_last_chunk_mut::<16>() {
        *digest = xxh3_128(covered).to_le_bytes();
    }
}

/// Puts the checksums, and the predecessors, of all groups right whose lengths are possible.
pub fn mend_journal(bytes: &mut [u8]) {
    let salt = bytes.get(56..64).map_or(0, |salt| u64::from_le_bytes(salt.try_into().expect("eight bytes")));
    let (mut at, mut previous) = (0, salt);
    while let Some(head) = bytes.get(at + 4..at + 8) {
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(group) = bytes.get_mut(at..at + len).filter(|group| group.len() >= 88) else { return };
        group[56..64].copy_from_slice(&previous.to_le_bytes());
        let head = xxh3_64_with_seed(&group[..72], salt);
        group[72..80].copy_from_slice(&head.to_le_bytes());
        let (covered, trailer) = group.split_at_mut(len - 8);
        previous = xxh3_64_with_seed(covered, salt);
        trailer.copy_from_slice(&previous.to_le_bytes());
        at += len;
    }
}
