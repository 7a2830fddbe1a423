//! Goal: snapshots and journals of somebody who can compute their checksums are refused, or make a ledger that can be
//! used, and audited, like any other. Method: words changed by hand and at random, and all checksums made to fit.

use inos_pricing::{
    AccountId, AccountKind, Corruption, Credits, DurableLedger, FlowWindow, JournalError, JournalStore, Ledger, Limits,
    MemoryStore, Millis, OpenError, Remainder, Sequence, SnapshotError, Tail, Transaction, TxId, Violation,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use super::random::{History, Rng, TINY, history, random};
use super::{ALICE, START, apply, id, id_at, opened, opening, pay};

/// The bytes of a snapshot before its state: magic, salt, checksum.
const PREFIX: usize = 20;

/// Where the accounts of a snapshot begin: after the name of the state, four words and their number.
const ACCOUNTS: usize = PREFIX + 20 + 32 + 8;

/// The header of a commit group.
const HEADER: usize = 80;

/// Room to name whatever is remembered.
const ROOMY: Limits = Limits { max_ids: 2_000, ..TINY };

/// A snapshot with a checksum that fits.
fn sealed(mut snapshot: Vec<u8>) -> Vec<u8> {
    let len = snapshot.len() - 16;
    let digest = xxh3_128(&snapshot[..len]);
    snapshot[len..].copy_from_slice(&digest.to_le_bytes());
    snapshot
}

/// Puts a group behind another, with checksums that fit, and answers its own.
fn reseal(group: &mut [u8], previous: u64, salt: u64) -> u64 {
    group[56..64].copy_from_slice(&previous.to_le_bytes());
    let header = xxh3_64_with_seed(&group[..72], salt);
    group[72..HEADER].copy_from_slice(&header.to_le_bytes());
    let (covered, trailer) = group.split_last_chunk_mut::<8>().unwrap();
    let checksum = xxh3_64_with_seed(covered, salt);
    *trailer = checksum.to_le_bytes();
    checksum
}

/// The salt of a journal: the predecessor of its first group.
fn salt(first: &[u8]) -> u64 {
    u64::from_le_bytes(*first[56..].first_chunk().unwrap())
}

/// What opening a store makes of a journal.
fn opens(journal: &[u8], limits: Limits) -> Result<DurableLedger<MemoryStore>, Corruption> {
    let mut store = MemoryStore::default();
    store.start_segment(1).unwrap();
    store.append(journal).unwrap();
    store.sync().unwrap();
    match DurableLedger::open(store, limits, 1, Tail::Trust) {
        Ok((ledger, _)) => Ok(ledger),
        Err(OpenError::Corrupt(corruption)) => Err(corruption),
        Err(error) => panic!("{error:?}"),
    }
}

/// 300 issuers owe 2^120 - 1 each, and 299 of them are credited as much: a sum that saturates would agree.
#[test]
fn books_that_do_not_balance_are_not_restored() {
    let mut ledger = Ledger::new(Limits::default(), 1);
    let batch: Vec<Transaction> =
        (0..300).map(|n| Transaction::open(id(n), AccountId(n), AccountKind::Issuer)).collect();
    apply(&mut ledger, START, &batch);
    let credited = |count: usize| {
        let mut snapshot = ledger.snapshot();
        let huge = ((1_u128 << 120) - 1).to_le_bytes();
        for n in 0..count {
            let account = ACCOUNTS + 153 * n;
            snapshot[account + 17..][..16].copy_from_slice(&huge); // posted debits
            if n < 299 {
                snapshot[account + 17 + 32..][..16].copy_from_slice(&huge); // posted credits
            }
        }
        Ledger::restore(&sealed(snapshot), Limits::default(), 1).map(|ledger| ledger.audit().unwrap().posted)
    };
    assert_eq!(credited(100), Ok(100 * ((1 << 120) - 1)), "these balance");
    assert_eq!(credited(300), Err(SnapshotError::Impossible));
}

#[test]
fn a_state_from_the_future_is_not_restored() {
    let mut ledger = opened(Limits::default());
    apply(&mut ledger, START, &[pay(10, 1)]);
    let snapshot = ledger.snapshot();
    let restored = |at: usize, value: u64| {
        let mut forged = snapshot.clone();
        forged[at..at + 8].copy_from_slice(&value.to_le_bytes());
        Ledger::restore(&sealed(forged), Limits::default(), 1).map(|ledger| ledger.sequence())
    };
    let last = ledger.sequence();
    let number = ACCOUNTS + 3 * 153 + 8 + 64; // of the verdict of the first id
    assert_eq!(restored(number, last.0), Ok(last));
    assert_eq!(restored(number, last.0 + 1), Err(SnapshotError::Impossible));
    let minute = ACCOUNTS + 153 + 81; // the window in which Alice was paid last
    let now = START / Millis::MINUTE.0;
    assert_eq!(restored(minute, now), Ok(last));
    assert_eq!(restored(minute, now + 1), Err(SnapshotError::Impossible));
    assert_eq!(restored(minute, u64::MAX - 1), Err(SnapshotError::Impossible));
}

#[test]
fn after_the_last_sequence_that_is_restored_a_journal_can_be_replayed() {
    let restored = |sequence: u64| {
        let mut snapshot = opened(Limits::default()).snapshot();
        snapshot[PREFIX + 20..][..8].copy_from_slice(&sequence.to_le_bytes());
        Ledger::restore(&sealed(snapshot), Limits::default(), 1)
    };
    let mut ledger = restored(1 << 62).unwrap();
    let (mut replica, mut journal) = (ledger.clone(), Vec::new());
    ledger.apply(Millis(START), &[pay(10, 1)], &mut Vec::new(), &mut journal).unwrap();
    assert_eq!(replica.replay(&journal), Ok(Sequence((1 << 62) + 1)));
    assert_eq!(replica.snapshot(), ledger.snapshot());
    for sequence in [(1 << 62) + 1, 1 << 63, u64::MAX] {
        assert!(matches!(restored(sequence), Err(SnapshotError::Impossible)), "{sequence}");
    }
}

/// A journal by which a holder pays what it does not have is replayed as far as its checksums go; the audit names the
/// holder, and a store that holds it does not open.
#[test]
fn an_overdrawn_journal_is_found_by_the_audit() {
    let (mut journal, mut last) = (Vec::new(), Vec::new());
    let mut ledger = Ledger::new(Limits::default(), 9);
    ledger.apply(Millis(START), &opening(), &mut Vec::new(), &mut journal).unwrap();
    ledger.apply(Millis(START), &[pay(10, 1_000)], &mut Vec::new(), &mut last).unwrap();
    let (salt, previous) = (salt(&journal), u64::from_le_bytes(*journal.last_chunk().unwrap()));
    let mut with = |amount: u64| {
        last[HEADER + 25..][..8].copy_from_slice(&amount.to_le_bytes());
        reseal(&mut last, previous, salt);
        [&journal[..], &last].concat()
    };
    let (whole, overdrawn) = (with(999), with(1_001));
    let violation = Violation::Overdrawn { account: ALICE };
    for (journal, expected) in [(&whole, Ok(())), (&overdrawn, Err(violation))] {
        let mut replica = Ledger::new(Limits::default(), 9);
        assert_eq!(replica.replay(journal), Ok(Sequence(6)));
        assert_eq!(replica.audit().map(|_| ()), expected);
        assert_eq!(opens(journal, Limits::default()).map(|_| ()), expected.map_err(Corruption::Violation));
    }
}

/// The seal is what is forged: with the salt of another ledger, or none, nothing is accepted.
#[test]
fn a_journal_sealed_with_another_salt_is_not_replayed() {
    let History { groups, .. } = history(&mut Rng(7), 5);
    let own = salt(&groups[0]);
    for salt in [own, 0, 1, own ^ 1, own.swap_bytes()] {
        let (mut forged, mut previous) = (groups.clone(), own);
        for group in &mut forged {
            previous = reseal(group, previous, salt);
        }
        let replayed = Ledger::new(TINY, 4).replay(&forged.concat());
        assert_eq!(replayed.is_ok(), salt == own, "{salt:x}: {replayed:?}");
        let sequence = opens(&forged.concat(), TINY).unwrap().ledger().unwrap().sequence();
        assert_eq!(sequence > Sequence(0), salt == own, "{salt:x}");
    }
}

/// Uses a ledger as hard as it goes, with ids that it knows.
fn use_it(ledger: &mut Ledger, rng: &mut Rng, sent: &[TxId]) {
    let mut sent = sent.to_vec();
    let mut unique = 1 << 70;
    let mut clock = ledger.clock().map_or(START, |clock| clock.0);
    // Whatever is remembered is named.
    for (named, unique) in sent.chunks(25).zip((1_u128 << 72..).step_by(50)) {
        let (now, each) = (clock.min(TxId::MAX_TIME.0), named.iter().zip((unique..).step_by(2)));
        let batch: Vec<Transaction> = each
            .flat_map(|(&named, unique)| {
                let (one, two) = (id_at(now, unique), id_at(now, unique + 1));
                [
                    Transaction::refund(one, named, Credits(1)),
                    Transaction::capture(two, named, Credits(1), Remainder::Keep),
                ]
            })
            .collect();
        let _ = ledger.apply(Millis(now), &batch, &mut Vec::new(), &mut Vec::new());
    }
    for round in 0..6 {
        clock = clock.min(TxId::MAX_TIME.0 - 200_000);
        let batch: Vec<Transaction> = (0..30).map(|_| random(rng, clock, &mut sent, &mut unique)).collect();
        let _ = ledger.apply(Millis(clock), &batch, &mut Vec::new(), &mut Vec::new());
        clock += [1, 500, 2_500, 0, 10_000, 100][round];
        for &named in &sent[sent.len().saturating_sub(30)..] {
            if let Some(view) = ledger.stream(named) {
                for now in [0, clock, u64::MAX] {
                    let _ = (view.owed(Millis(now)), view.reserve(Millis(now)), view.status(Millis(now)));
                }
            }
            let _ = ledger.runway(named);
        }
        let _ = (ledger.audit(), ledger.flow(AccountId(1), FlowWindow::Hour));
        let snapshot = ledger.snapshot();
        if let Ok(again) = Ledger::restore(&snapshot, TINY, 5) {
            assert_eq!(again.snapshot(), snapshot, "a snapshot is its ledger");
        }
    }
}

/// Changes up to eight bytes at `at`: a bit, or all of them to ones, zeros, or what is at `from`.
fn tamper(rng: &mut Rng, bytes: &mut [u8], at: usize, end: usize, from: usize) {
    match rng.below(4) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at..end].fill(0xff),
        2 => bytes[at..end].fill(0),
        _ => bytes.copy_within(from..from + (end - at), at),
    }
}

#[test]
fn a_forged_snapshot_is_refused_or_can_be_used() {
    let mut rng = Rng(11);
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..12 {
        let History { ledger, sent, .. } = history(&mut Rng(seed), 30);
        let snapshot = ledger.snapshot();
        for _ in 0..2_500 {
            let mut forged = snapshot.clone();
            for _ in 0..=rng.below(2) {
                let (at, from) = (rng.at(forged.len() - 24), rng.at(forged.len() - 24));
                tamper(&mut rng, &mut forged, at, at + 8, from);
            }
            match Ledger::restore(&sealed(forged), ROOMY, 4) {
                Ok(mut ledger) => {
                    accepted += 1;
                    if rng.below(4) == 0 {
                        use_it(&mut ledger, &mut rng, &sent);
                    }
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(accepted > 5_000 && refused > 5_000, "{accepted} accepted, {refused} refused");
}

/// Also a ledger whose replay failed half-way can still be read and called.
#[test]
fn a_forged_journal_is_refused_or_can_be_used() {
    let mut rng = Rng(12);
    let (mut accepted, mut refused, mut opened) = (0, 0, 0);
    for seed in 0..10 {
        let History { groups, sent, .. } = history(&mut Rng(100 + seed), 25);
        let salt = salt(&groups[0]);
        for _ in 0..1_200 {
            let mut forged = groups.clone();
            for _ in 0..=rng.below(2) {
                let group = rng.at(forged.len());
                let group = &mut forged[group];
                // Mostly in the records, if there are any.
                let begin = if rng.below(5) == 0 || group.len() < HEADER + 16 { 8 } else { HEADER };
                let at = begin + rng.at(group.len() - 8 - begin);
                let (end, from) = ((at + 8).min(group.len() - 8), 8 + rng.at(group.len() - 24));
                tamper(&mut rng, group, at, end, from);
            }
            let mut previous = salt;
            for group in &mut forged {
                previous = reseal(group, previous, salt);
            }
            let journal = forged.concat();
            let mut ledger = Ledger::new(ROOMY, 4);
            let replayed = ledger.replay(&journal);
            if replayed.is_ok() {
                accepted += 1;
            } else {
                refused += 1;
            }
            if rng.below(4) == 0 {
                // What opens is what was replayed, and breaks no law.
                if let Ok(mut durable) = opens(&journal, TINY) {
                    opened += 1;
                    assert_eq!(durable.ledger().unwrap().snapshot(), ledger.snapshot());
                    assert!(replayed.is_ok() && ledger.audit().is_ok() && durable.audit().is_ok());
                }
                use_it(&mut ledger, &mut rng, &sent);
            }
        }
    }
    let counts = format!("{accepted} accepted, {refused} refused, {opened} opened");
    assert!(accepted > 3_000 && refused > 3_000 && opened > 500, "{counts}");
}

/// What is too old stays too old: a journal whose watermarks go back is none.
#[test]
fn watermarks_do_not_go_back() {
    let mut written = Ledger::new(TINY, 4);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    written.pulse(Millis(START), &mut first).unwrap();
    written.pulse(Millis(START + 10), &mut second).unwrap();
    let salt = salt(&first);
    let checksum = u64::from_le_bytes(*first.last_chunk().unwrap());
    // Watermark and refund watermark, each alone.
    for at in [32, 40] {
        let mut forged = second.clone();
        let mark = u64::from_le_bytes(*forged[at..].first_chunk().unwrap());
        forged[at..at + 8].copy_from_slice(&(mark - 11).to_le_bytes());
        reseal(&mut forged, checksum, salt);
        let mut ledger = Ledger::new(TINY, 4);
        ledger.replay(&first).unwrap();
        assert!(matches!(ledger.replay(&forged), Err(JournalError::Impossible { offset: 0, .. })), "{at}");
    }
    let mut ledger = Ledger::new(TINY, 4);
    ledger.replay(&first).unwrap();
    assert_eq!(ledger.replay(&second), Ok(written.sequence()));
}
