//! Goal: who may submit anything, or has written anything into the store, does no harm: what is short, late or forged
//! is refused by name, costs what it is long, and leaves no trace that the rules do not allow.
//! Method: the ledger at the edges of chains, streams, refunds and full tables, by hand and in every combination;
//! crashes and damage around bytes that a client chose (`recovery.rs`); snapshots and journals that are forged and
//! sealed again (`forged.rs`); random histories under limits that change, and beside the twin (`random.rs`).

mod forged;
mod random;
mod recovery;

#[cfg(not(target_arch = "wasm32"))]
use core::time::Duration;
#[cfg(not(target_arch = "wasm32"))]
use std::time::Instant;

use inos_pricing::{
    AccountId, AccountKind, Credits, Ledger, Limits, Link, Millis, Outcome, Rejection, Remainder, Side, StreamStatus,
    Transaction, TxId, naive,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const START: u64 = 1_700_000_000_000;
const MINT: AccountId = AccountId(1);
const ALICE: AccountId = AccountId(2);
const BOB: AccountId = AccountId(3);

fn id_at(time: u64, unique: u128) -> TxId {
    TxId::from_parts(Millis(time), unique).unwrap()
}

fn id(unique: u128) -> TxId {
    id_at(START, unique)
}

/// The issuer, Alice with 1,000 credits, and Bob with none; ids 1 to 4 of `START` are used.
fn opening() -> Vec<Transaction> {
    vec![
        Transaction::open(id(1), MINT, AccountKind::Issuer),
        Transaction::open(id(2), ALICE, AccountKind::Holder),
        Transaction::open(id(3), BOB, AccountKind::Holder),
        Transaction::transfer(id(4), MINT, ALICE, Credits(1_000)),
    ]
}

fn opened(limits: Limits) -> Ledger {
    let mut ledger = Ledger::new(limits, 9);
    apply(&mut ledger, START, &opening());
    ledger
}

fn apply(ledger: &mut Ledger, now: u64, batch: &[Transaction]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    ledger.apply(Millis(now), batch, &mut outcomes, &mut Vec::new()).unwrap();
    outcomes
}

fn pay(unique: u128, amount: u64) -> Transaction {
    Transaction::transfer(id(unique), ALICE, BOB, Credits(amount))
}

/// How long `work` takes.
#[cfg(not(target_arch = "wasm32"))] // no clock
#[expect(clippy::disallowed_methods, reason = "the test measures time, the ledger does not")]
fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn applied(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Applied(_))
}

#[test]
fn a_table_full_of_resting_streams_has_room_to_close_them() {
    let limits = Limits { max_ids: 20, max_open: 10, ..Limits::default() };
    let mut ledger = opened(limits);
    let full = Outcome::Rejected(Rejection::OpenTableFull { max_open: 10 });
    let open = |now, unique| Transaction::open_stream(id_at(now, unique), ALICE, BOB, Credits(1), Credits(0));
    for n in 0..9 {
        assert!(applied(apply(&mut ledger, START, &[open(START, 100 + n)])[0]));
    }
    // One place is left, so a chain that needs two gets none.
    let pair = [open(START, 150).linked(), open(START, 151)];
    assert_eq!(apply(&mut ledger, START, &pair), [full, Outcome::Rejected(Rejection::ChainFailed { culprit: 0 })]);
    assert!(applied(apply(&mut ledger, START, &[open(START, 109)])[0]));

    // Streams that rest have no deadline and no age. Whatever becomes free in ten years, somebody takes.
    let mut now = START;
    for day in 0..3_650 {
        now = START + day * Millis::DAY.0;
        for n in 0..4 {
            let hold = Transaction::hold(id_at(now, 200 + n), ALICE, BOB, Credits(1), Millis(now + 1));
            assert_eq!(apply(&mut ledger, now, &[open(now, 300 + n), hold]), [full; 2]);
        }
        let bad = Transaction::transfer(id_at(now, 400), AccountId(404), BOB, Credits(1));
        assert!(matches!(apply(&mut ledger, now, &[bad])[0], Outcome::Rejected(Rejection::AccountNotFound { .. })));
    }
    let close = Transaction::close_stream(id_at(now, 999), id(100));
    assert!(applied(apply(&mut ledger, now, &[close])[0]));
    // What was refused for want of room has left no trace.
    assert!(applied(apply(&mut ledger, now, &[open(now, 300)])[0]));
    assert_eq!(apply(&mut ledger, now, &[open(now, 301)]), [full]);
}

#[test]
fn a_refund_of_what_never_was_is_not_said_to_be_late() {
    // What can be refunded is remembered until both windows have passed its id, whichever is longer.
    for (retention, refund_window) in [(1_000, 10_000), (10_000, 1_000)] {
        let limits = Limits { retention: Millis(retention), refund_window: Millis(refund_window), ..Limits::default() };
        let (mut ledger, mut twin) = (opened(limits), naive::Ledger::new(limits));
        twin.apply(Millis(START), &opening(), &mut Vec::new()).unwrap();
        let late = Rejection::RefundWindowClosed { since: Millis(START + 10_001 - refund_window) };
        for (now, expected) in [
            (START + 2_000, Rejection::OriginalNotFound),
            (START + 10_000, Rejection::OriginalNotFound),
            (START + 10_001, late),
        ] {
            let refund = Transaction::refund(id_at(now, 1), id(99), Credits(1));
            let mut outcomes = Vec::new();
            twin.apply(Millis(now), &[refund], &mut outcomes).unwrap();
            assert_eq!(apply(&mut ledger, now, &[refund]), [Outcome::Rejected(expected)], "{limits:?}, {now}");
            assert_eq!(outcomes, [Outcome::Rejected(expected)], "{limits:?}, {now}");
        }
    }
}

#[test]
fn of_two_reasons_the_one_that_is_checked_first_is_given() {
    let mut ledger = opened(Limits { max_open: 2, ..Limits::default() });
    let hold = Transaction::hold(id(12), ALICE, BOB, Credits(10), Millis(START + 9));
    let stream = Transaction::open_stream(id(14), ALICE, BOB, Credits(10), Credits(0));
    let before = [pay(10, 100), Transaction::transfer(id(11), BOB, ALICE, Credits(100)), hold, stream];
    assert!(apply(&mut ledger, START, &before).into_iter().all(applied));
    let reason = |batch: &[Transaction], at: usize| {
        let mut ledger = ledger.clone();
        match apply(&mut ledger, START, batch)[at] {
            Outcome::Rejected(rejection) => rejection,
            outcome => panic!("{outcome:?}"),
        }
    };
    // Bob has none of the 100 credits, and they are not 101.
    let refundable = Credits(100);
    let refund = Transaction::refund(id(20), id(10), Credits(101));
    assert_eq!(reason(&[refund], 0), Rejection::RefundExceedsOriginal { refundable });
    assert_eq!(
        reason(&[Transaction::refund(id(20), id(10), Credits(100))], 0),
        Rejection::Overdraft { available: Credits(0) },
    );
    let top_up = |amount| reason(&[Transaction::top_up(id(20), id(14), amount)], 0);
    assert_eq!(top_up(Credits::MAX), Rejection::ReserveTooLarge { reserve: Credits(10) });
    assert_eq!(top_up(Credits(u64::MAX - 10)), Rejection::Overdraft { available: Credits(980) });
    // The second has the id of the first, and no end.
    let twice = [pay(20, 1).linked(), pay(20, 1).linked()];
    assert_eq!(reason(&twice, 1), Rejection::RepeatedInChain);
    assert_eq!(reason(&[pay(20, 1).linked(), pay(21, 1).linked()], 1), Rejection::ChainOpen);
    // No room, and no account: what is refused for want of room burns nothing.
    let strange = Transaction::hold(id(20), AccountId(404), BOB, Credits(1), Millis(START));
    assert_eq!(reason(&[strange], 0), Rejection::OpenTableFull { max_open: 2 });
    // Nothing to move, from an account to itself, at a time that is not accepted.
    let nothing = |time| Transaction::transfer(id_at(time, 20), ALICE, ALICE, Credits(0));
    let latest = Millis(START + Millis::MINUTE.0);
    assert_eq!(reason(&[nothing(latest.0 + 1)], 0), Rejection::IdInFuture { latest });
    assert_eq!(reason(&[nothing(latest.0)], 0), Rejection::ZeroAmount);
}

#[test]
fn a_restored_ledger_writes_the_same_journal() {
    let mut original = opened(Limits::default());
    let mut restored = Ledger::restore(&original.snapshot(), Limits::default(), 77).unwrap();
    let (mut one, mut two) = (Vec::new(), Vec::new());
    original.apply(Millis(START + 1), &[pay(10, 1)], &mut Vec::new(), &mut one).unwrap();
    restored.apply(Millis(START + 1), &[pay(10, 1)], &mut Vec::new(), &mut two).unwrap();
    assert_eq!(one, two);
    assert_eq!(original.snapshot(), restored.snapshot());
}

/// Every row of two and three operations, then one that fails: exactly as if the last had been sent alone, to the byte,
/// and afterwards too.
#[test]
fn a_failed_chain_leaves_no_trace() {
    let mut base = opened(Limits::default());
    let (hold, stream, dry, moved, captured) = (id(20), id(21), id(22), id(23), id(24));
    let far = Millis(START + 5_000);
    let outcomes = apply(
        &mut base,
        START,
        &[
            Transaction::hold(hold, ALICE, BOB, Credits(50), far),
            Transaction::open_stream(stream, ALICE, BOB, Credits(50), Credits(7_200_001)),
            Transaction::open_stream(dry, ALICE, BOB, Credits(1), Credits::MAX),
            Transaction::transfer(moved, ALICE, BOB, Credits(100)),
            Transaction::capture(captured, hold, Credits(5), Remainder::Keep),
        ],
    );
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Applied(_))));
    let now = START + 13;
    let template = |kind: usize, unique: u128| {
        let next = id_at(now, unique);
        // What earlier links of the same chain made: 1000, 1001.
        let mate = id_at(now, 1_000);
        match kind {
            0 => Transaction::open(next, AccountId(50 + unique), AccountKind::Holder),
            1 => Transaction::transfer(next, ALICE, BOB, Credits(3)),
            2 => Transaction::hold(next, ALICE, BOB, Credits(3), far),
            3 => Transaction::capture(next, hold, Credits(4), Remainder::Keep),
            4 => Transaction::capture(next, hold, Credits(4), Remainder::Release),
            5 => Transaction::release(next, hold),
            6 => Transaction::refund(next, moved, Credits(9)),
            7 => Transaction::refund(next, captured, Credits(2)),
            8 => Transaction::open_stream(next, ALICE, BOB, Credits(3), Credits(5)),
            9 => Transaction::top_up(next, stream, Credits(4)),
            10 => Transaction::top_up(next, dry, Credits(4)),
            11 => Transaction::set_rate(next, stream, Credits(9)),
            12 => Transaction::settle(next, dry),
            13 => Transaction::close_stream(next, stream),
            14 => Transaction::capture(next, mate, Credits(1), Remainder::Keep),
            15 => Transaction::release(next, mate),
            16 => Transaction::refund(next, mate, Credits(1)),
            17 => Transaction::close_stream(next, mate),
            18 => Transaction::set_rate(next, mate, Credits(u64::MAX)),
            _ => Transaction::transfer(next, AccountId(50 + 1_000), ALICE, Credits(1)),
        }
    };
    let bad = Transaction::transfer(id_at(now, 9_999), AccountId(404), BOB, Credits(1));
    let mut reached = 0;
    for kinds in 0..20 * 20 * 20 {
        let chain = [
            template(kinds % 20, 1_000).linked(),
            template(kinds / 20 % 20, 1_001).linked(),
            template(kinds / 400, 1_002).linked(),
            bad,
        ];
        let (mut one, mut two) = (base.clone(), base.clone());
        let outcomes = apply(&mut one, now, &chain);
        if outcomes[3] != Outcome::Rejected(Rejection::AccountNotFound { side: Side::From }) {
            continue;
        }
        reached += 1;
        apply(&mut two, now, &[bad]);
        assert_eq!(one.snapshot(), two.snapshot(), "{chain:?}");
        // And afterwards, when the same links are sent alone, and all is forgotten.
        for later in [
            now,
            now + 100,
            START + 5_000,
            START + 2 * Millis::HOUR.0,
            START + Millis::DAY.0,
            START + Millis::DAY.0 + 6_000,
        ] {
            let alone: Vec<Transaction> =
                chain[..3].iter().map(|&link| Transaction { link: Link::End, ..link }).collect();
            assert_eq!(apply(&mut one, later, &alone), apply(&mut two, later, &alone));
            assert_eq!(one.snapshot(), two.snapshot(), "{chain:?} at {later}");
        }
    }
    assert!(reached > 2_000);
}

#[test]
fn a_stream_pays_from_the_millisecond_of_its_top_up() {
    let mut ledger = opened(Limits::default());
    // 1 credit a millisecond: dry at START + 10.
    let stream = id(10);
    let a_ms = Credits(3_600_000);
    apply(&mut ledger, START, &[Transaction::open_stream(stream, ALICE, BOB, Credits(10), a_ms)]);
    assert_eq!(ledger.runway(stream), Some(Millis(START + 10)));
    let mut at = ledger.clone();
    // Topped up at the dry millisecond: pays on without a gap, whatever the order of settle.
    apply(&mut at, START + 10, &[Transaction::top_up(id(11), stream, Credits(5))]);
    assert_eq!(at.runway(stream), Some(Millis(START + 15)));
    let mut settled = ledger.clone();
    apply(
        &mut settled,
        START + 10,
        &[
            Transaction::settle(id(12), stream),
            Transaction::settle(id(13), stream),
            Transaction::top_up(id(11), stream, Credits(5)),
        ],
    );
    assert_eq!(settled.runway(stream), Some(Millis(START + 15)));
    // Dry, and unpaid since then through settle, a new rate and a rest.
    let later = START + 100;
    apply(
        &mut ledger,
        later,
        &[Transaction::settle(id(14), stream), Transaction::set_rate(id(15), stream, Credits(0))],
    );
    let unpaid = StreamStatus::Unpaid { since: Millis(START + 10) };
    assert_eq!(ledger.stream(stream).unwrap().status(Millis(later)), unpaid);
    apply(&mut ledger, later, &[Transaction::set_rate(id(16), stream, a_ms)]);
    assert_eq!(ledger.stream(stream).unwrap().status(Millis(later)), unpaid);
    apply(&mut ledger, later, &[Transaction::top_up(id(17), stream, Credits(7))]);
    assert_eq!(ledger.runway(stream), Some(Millis(later + 7)));
    // Closed when dry again, by a jump of the clock; by a retry, and by another.
    let close = Transaction::close_stream(id(18), stream);
    let jump = START + Millis::DAY.0;
    assert!(matches!(apply(&mut ledger, jump, &[close])[0], Outcome::Applied(_)));
    assert!(matches!(apply(&mut ledger, jump, &[close])[0], Outcome::Exists(Ok(_))));
    assert_eq!(ledger.balance(BOB).0.unwrap().credits_posted, 17);
    assert_eq!(ledger.balance(BOB).0.unwrap().credits_pending, 0);
}

#[test]
fn the_largest_rates_and_reserves_do_not_overflow() {
    for rate in [1, 3_599_999, 3_600_000, 3_600_001, u64::MAX] {
        let mut ledger = opened(Limits { max_step: TxId::MAX_TIME, ..Limits::default() });
        let open = Transaction::open_stream(id(10), MINT, BOB, Credits::MAX, Credits(rate));
        assert!(matches!(apply(&mut ledger, START, &[open])[0], Outcome::Applied(_)));
        let top_up = Transaction::top_up(id(11), id(10), Credits(1));
        let full = Rejection::ReserveTooLarge { reserve: Credits::MAX };
        assert_eq!(apply(&mut ledger, START, &[top_up])[0], Outcome::Rejected(full));
        for now in [START + 1, START + 3_600_000, TxId::MAX_TIME.0] {
            apply(
                &mut ledger,
                now,
                &[Transaction::settle(id_at(now, 1), id(10)), Transaction::top_up(id_at(now, 2), id(10), Credits(1))],
            );
            ledger.audit().unwrap();
        }
        let last = TxId::MAX_TIME.0;
        apply(&mut ledger, last, &[Transaction::close_stream(id_at(last, 3), id(10))]);
        assert_eq!(ledger.audit().unwrap().pending, 0);
    }
}

#[test]
fn what_is_refundable_follows_the_windows() {
    for (retention, refund_window) in [(1_000, 3_000), (3_000, 1_000), (0, 2_000), (2_000, 0)] {
        let limits = Limits { retention: Millis(retention), refund_window: Millis(refund_window), ..Limits::default() };
        let mut ledger = opened(limits);
        apply(
            &mut ledger,
            START,
            &[
                Transaction::hold(id(10), ALICE, BOB, Credits(100), Millis(START + 50_000)),
                Transaction::capture(id(11), id(10), Credits(60), Remainder::Release),
            ],
        );
        let last = START + refund_window;
        // The hold is forgotten when the retention is shorter; its capture is not.
        let refund = |time, unique| Transaction::refund(id_at(time, unique), id(11), Credits(20));
        assert!(matches!(apply(&mut ledger, last, &[refund(last, 51)])[0], Outcome::Applied(_)), "{limits:?}");
        let late = apply(&mut ledger, last + 1, &[refund(last + 1, 2)])[0];
        assert_eq!(late, Outcome::Rejected(Rejection::RefundWindowClosed { since: Millis(START + 1) }), "{limits:?}");
        let alice = ledger.balance(ALICE).0.unwrap();
        assert_eq!(alice.available(), 960);
        // Restored and replayed with other limits, the marks stay.
        let mut other = Ledger::restore(&ledger.snapshot(), Limits::default(), 1).unwrap();
        assert_eq!(apply(&mut other, last + 2, &[refund(last + 2, 3)])[0], late);
    }
    // Of an issue: back to the issuer. Of a retirement: issued again.
    let mut ledger = opened(Limits::default());
    let outcomes = apply(
        &mut ledger,
        START,
        &[
            Transaction::refund(id(10), id(4), Credits(400)),
            Transaction::transfer(id(11), ALICE, MINT, Credits(600)),
            Transaction::refund(id(12), id(11), Credits(600)),
            Transaction::refund(id(13), id(4), Credits(601)),
        ],
    );
    assert!(outcomes[..3].iter().all(|outcome| matches!(outcome, Outcome::Applied(_))));
    let rest = Rejection::RefundExceedsOriginal { refundable: Credits(600) };
    assert_eq!(outcomes[3], Outcome::Rejected(rest));
    assert_eq!(ledger.audit().unwrap().issued, 600);
}

/// The longest chains cost what they are long, also when the last link fails, again and again.
#[cfg(not(target_arch = "wasm32"))] // no clock
#[test]
fn a_chain_costs_what_it_is_long() {
    let time = |len: u64| {
        let mut ledger = opened(Limits::default());
        apply(
            &mut ledger,
            START,
            &[
                Transaction::transfer(id(5), MINT, ALICE, Credits(1_000_000)),
                Transaction::hold(id(6), ALICE, BOB, Credits(900_000), Millis(START + 5_000)),
            ],
        );
        let mut chain: Vec<Transaction> = (0..len)
            .map(|n| Transaction::capture(id(u128::from(100 + n)), id(6), Credits(1), Remainder::Keep).linked())
            .collect();
        let before = ledger.clone();
        let elapsed = timed(|| {
            for n in 0..10 {
                chain.push(Transaction::transfer(id(50 + n), AccountId(404), BOB, Credits(1)));
                assert!(matches!(
                    apply(&mut ledger, START, &chain)[0],
                    Outcome::Rejected(Rejection::ChainFailed { .. })
                ));
                chain.pop();
            }
        });
        assert_eq!(ledger.balance(ALICE).0, before.balance(ALICE).0);
        elapsed
    };
    // The shortest of several: the machine does other things, too.
    let shortest = |len| (0..5).map(|_| time(len)).min().unwrap();
    let (short, long) = (shortest(1_000), shortest(8_000));
    assert!(long < short * 24 + Duration::from_millis(20), "{short:?}, {long:?}");
}

/// A retry of a chain of which some ids are forgotten, cut off, or in parts.
#[test]
fn each_part_of_a_chain_that_was_applied_is_answered_from_memory() {
    let limits = Limits { retention: Millis(1_000), refund_window: Millis(500), ..Limits::default() };
    let mut ledger = opened(limits);
    let now = START + 900;
    let old = Transaction::open(id(10), AccountId(9), AccountKind::Holder).linked(); // by the time of its id
    let young = Transaction::transfer(id_at(now, 11), ALICE, AccountId(9), Credits(1)).linked();
    let end = Transaction::transfer(id_at(now, 12), ALICE, BOB, Credits(1));
    assert!(apply(&mut ledger, now, &[old, young, end]).iter().all(|outcome| matches!(outcome, Outcome::Applied(_))));
    for part in [&[old][..], &[young], &[end], &[old, young], &[young, end], &[old, end], &[old, young, end]] {
        let again = apply(&mut ledger, now, part);
        assert!(again.iter().all(|outcome| matches!(outcome, Outcome::Exists(Ok(_)))), "{again:?}");
    }
    let later = START + 1_500;
    let again = apply(&mut ledger, later, &[old, young, end]);
    assert!(matches!(
        again[..],
        [Outcome::Rejected(Rejection::IdTooOld { .. }), Outcome::Exists(Ok(_)), Outcome::Exists(Ok(_))]
    ));
    assert_eq!(ledger.balance(ALICE).0.unwrap().available(), 998);
}
