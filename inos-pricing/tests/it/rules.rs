//! Goal: each rule of docs/model.md, sections 5 to 8, at its edge.
//! Method: one short scenario for a rule, outcomes and balances by hand.

use inos_pricing::{
    AccountId, AccountKind, Balance, Credits, Field, Ledger, LedgerError, Limits, Millis, Outcome, Rejection,
    Remainder, Sequence, Side, StreamStatus, Transaction, TxId,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MINT: AccountId = AccountId(1);
const ALICE: AccountId = AccountId(2);
const BOB: AccountId = AccountId(3);
const START: u64 = 1_000_000;

const LIMITS: Limits = Limits {
    max_accounts: 4,
    max_ids: 100,
    max_open: 50,
    max_batch: 10,
    max_expiries: 2,
    max_step: Millis(10_000),
    max_ahead: Millis(50),
    retention: Millis(1_000),
    refund_window: Millis(1_000),
};

fn id_at(time: u64, unique: u128) -> TxId {
    TxId::from_parts(Millis(time), unique).unwrap()
}

fn id(unique: u128) -> TxId {
    id_at(START, unique)
}

/// A ledger with Alice at 100 credits and Bob at none, at `START`; ids 1 to 4 of that time are used.
fn opened(limits: Limits) -> Ledger {
    let mut ledger = Ledger::new(limits, 9);
    let batch = [
        Transaction::open(id(1), MINT, AccountKind::Issuer),
        Transaction::open(id(2), ALICE, AccountKind::Holder),
        Transaction::open(id(3), BOB, AccountKind::Holder),
        Transaction::transfer(id(4), MINT, ALICE, Credits(100)),
    ];
    let mut outcomes = Vec::new();
    assert_eq!(ledger.apply(Millis(START), &batch, &mut outcomes, &mut Vec::new()), Ok(Sequence(5)));
    assert_eq!(outcomes, [2, 3, 4, 5].map(|n| Outcome::Applied(Sequence(n))));
    ledger
}

fn one(ledger: &mut Ledger, now: u64, transaction: Transaction) -> Outcome {
    let mut outcomes = Vec::new();
    ledger.apply(Millis(now), &[transaction], &mut outcomes, &mut Vec::new()).unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes[0]
}

fn rejection(ledger: &mut Ledger, now: u64, transaction: Transaction) -> Rejection {
    match one(ledger, now, transaction) {
        Outcome::Rejected(rejection) => rejection,
        other => panic!("{other:?}"),
    }
}

fn applied(ledger: &mut Ledger, now: u64, transaction: Transaction) {
    assert!(matches!(one(ledger, now, transaction), Outcome::Applied(_)), "{transaction:?}");
}

/// Posted and pending debits, posted and pending credits.
fn counters(ledger: &Ledger, account: AccountId) -> [u128; 4] {
    let Balance { debits_posted, debits_pending, credits_posted, credits_pending, .. } =
        ledger.balance(account).0.unwrap();
    [debits_posted, debits_pending, credits_posted, credits_pending]
}

#[test]
fn only_an_issuer_owes() {
    let mut ledger = opened(LIMITS);
    assert_eq!(counters(&ledger, MINT), [100, 0, 0, 0]);
    applied(&mut ledger, START, Transaction::transfer(id(5), ALICE, BOB, Credits(100)));
    let pay = Transaction::transfer(id(6), ALICE, BOB, Credits(1));
    assert_eq!(rejection(&mut ledger, START, pay), Rejection::Overdraft { available: Credits(0) });
    applied(&mut ledger, START, Transaction::transfer(id(7), BOB, MINT, Credits(40)));
    assert_eq!(counters(&ledger, MINT), [100, 0, 40, 0]);
    assert_eq!(counters(&ledger, BOB), [40, 0, 100, 0]);
    // The largest amounts, twice: the counters are wider than the amounts.
    for unique in [8, 9] {
        applied(&mut ledger, START, Transaction::transfer(id(unique), MINT, BOB, Credits::MAX));
    }
    assert_eq!(counters(&ledger, BOB), [40, 0, 100 + 2 * u128::from(u64::MAX), 0]);
    // What is available does not fit an amount, and any amount can be paid.
    applied(&mut ledger, START, Transaction::transfer(id(10), BOB, ALICE, Credits::MAX));
}

#[test]
fn held_credits_cannot_be_spent() {
    let mut ledger = opened(LIMITS);
    let deadline = Millis(START + 500);
    applied(&mut ledger, START, Transaction::hold(id(5), ALICE, BOB, Credits(70), deadline));
    assert_eq!(counters(&ledger, ALICE), [0, 70, 100, 0]);
    assert_eq!(counters(&ledger, BOB), [0, 0, 0, 70]);
    let short = Rejection::Overdraft { available: Credits(30) };
    assert_eq!(rejection(&mut ledger, START, Transaction::transfer(id(6), ALICE, BOB, Credits(31))), short);
    assert_eq!(rejection(&mut ledger, START, Transaction::hold(id(7), ALICE, BOB, Credits(31), deadline)), short);
    let bob = Transaction::transfer(id(8), BOB, ALICE, Credits(1));
    assert_eq!(rejection(&mut ledger, START, bob), Rejection::Overdraft { available: Credits(0) });
}

#[test]
fn a_hold_is_captured_in_parts() {
    let mut ledger = opened(LIMITS);
    let hold = id(5);
    applied(&mut ledger, START, Transaction::hold(hold, ALICE, BOB, Credits(70), Millis(START + 500)));
    applied(&mut ledger, START, Transaction::capture(id(6), hold, Credits(20), Remainder::Keep));
    assert_eq!(counters(&ledger, ALICE), [20, 50, 100, 0]);
    assert_eq!(counters(&ledger, BOB), [0, 0, 20, 50]);
    let more = Transaction::capture(id(7), hold, Credits(51), Remainder::Keep);
    assert_eq!(rejection(&mut ledger, START, more), Rejection::CaptureExceedsHold { remaining: Credits(50) });
    applied(&mut ledger, START, Transaction::capture(id(8), hold, Credits(10), Remainder::Release));
    assert_eq!(counters(&ledger, ALICE), [30, 0, 100, 0]);
    assert_eq!(counters(&ledger, BOB), [0, 0, 30, 0]);
    assert_eq!(ledger.open_hold_count(), 0);
    let again = Transaction::capture(id(9), hold, Credits(1), Remainder::Keep);
    assert_eq!(rejection(&mut ledger, START, again), Rejection::HoldCaptured);
    assert_eq!(rejection(&mut ledger, START, Transaction::release(id(10), hold)), Rejection::HoldCaptured);
}

/// A capture of everything resolves a hold even if the rest was to be kept: there is none.
#[test]
fn a_hold_is_resolved_when_nothing_is_left() {
    let mut ledger = opened(LIMITS);
    applied(&mut ledger, START, Transaction::hold(id(5), ALICE, BOB, Credits(70), Millis(START + 500)));
    applied(&mut ledger, START, Transaction::capture(id(6), id(5), Credits(70), Remainder::Keep));
    assert_eq!(rejection(&mut ledger, START, Transaction::release(id(7), id(5))), Rejection::HoldCaptured);
    assert_eq!(counters(&ledger, BOB), [0, 0, 70, 0]);
}

#[test]
fn a_released_hold_returns() {
    let mut ledger = opened(LIMITS);
    applied(&mut ledger, START, Transaction::hold(id(5), ALICE, BOB, Credits(70), Millis(START + 500)));
    applied(&mut ledger, START, Transaction::release(id(6), id(5)));
    assert_eq!(counters(&ledger, ALICE), [0, 0, 100, 0]);
    assert_eq!(counters(&ledger, BOB), [0, 0, 0, 0]);
    let capture = Transaction::capture(id(7), id(5), Credits(1), Remainder::Release);
    assert_eq!(rejection(&mut ledger, START, capture), Rejection::HoldReleased);
}

#[test]
fn what_is_no_hold_is_told_apart() {
    let mut ledger = opened(LIMITS);
    let rejected = Transaction::hold(id(5), ALICE, BOB, Credits(101), Millis(START + 500));
    assert_eq!(rejection(&mut ledger, START, rejected), Rejection::Overdraft { available: Credits(100) });
    assert_eq!(rejection(&mut ledger, START, Transaction::release(id(6), id(5))), Rejection::NotAHold);
    assert_eq!(rejection(&mut ledger, START, Transaction::release(id(7), id(4))), Rejection::NotAHold);
    assert_eq!(rejection(&mut ledger, START, Transaction::release(id(8), id(99))), Rejection::HoldNotFound);
    assert_eq!(rejection(&mut ledger, START, Transaction::release(id(9), id(9))), Rejection::HoldNotFound);
}

#[test]
fn holds_expire_at_their_deadline_in_turn() {
    let mut ledger = opened(LIMITS);
    // Three deadlines, ids against the order of time; two expire in one call.
    for (unique, deadline) in [(7, 300), (6, 300), (5, 301), (8, 299)] {
        let hold = Transaction::hold(id(unique), ALICE, BOB, Credits(10), Millis(START + deadline));
        applied(&mut ledger, START, hold);
    }
    let mut none = Vec::new();
    ledger.apply(Millis(START + 298), &[], &mut none, &mut Vec::new()).unwrap();
    assert_eq!(ledger.open_hold_count(), 4);

    // At 300: 8 (299) and 6 (300, the lower id) expire; 7 waits, and cannot be captured or released meanwhile.
    let before = ledger.sequence();
    let capture = Transaction::capture(id(20), id(7), Credits(1), Remainder::Keep);
    let overdue = Rejection::HoldExpired { deadline: Millis(START + 300) };
    assert_eq!(rejection(&mut ledger, START + 300, capture), overdue);
    assert_eq!(ledger.sequence(), Sequence(before.0 + 4), "the clock, two expiries, a burnt id");
    assert_eq!(ledger.open_hold_count(), 2);
    assert_eq!(counters(&ledger, ALICE), [0, 20, 100, 0]);
    // A hold whose deadline is later can still be captured.
    applied(&mut ledger, START + 300, Transaction::capture(id(21), id(5), Credits(10), Remainder::Release));
    assert_eq!(counters(&ledger, ALICE), [10, 0, 100, 0]);
    assert_eq!(ledger.open_hold_count(), 0);
    // The answer is the same after its turn.
    assert_eq!(rejection(&mut ledger, START + 300, Transaction::release(id(22), id(7))), overdue);
}

#[test]
fn expiry_comes_before_the_batch() {
    let mut ledger = opened(LIMITS);
    applied(&mut ledger, START, Transaction::hold(id(5), ALICE, BOB, Credits(100), Millis(START + 10)));
    applied(&mut ledger, START + 10, Transaction::transfer(id(6), ALICE, BOB, Credits(100)));
}

#[test]
fn a_new_hold_has_a_deadline_ahead() {
    let mut ledger = opened(LIMITS);
    let hold = Transaction::hold(id(5), ALICE, BOB, Credits(1), Millis(START));
    assert_eq!(rejection(&mut ledger, START, hold), Rejection::DeadlinePassed { now: Millis(START) });
    applied(&mut ledger, START, Transaction::hold(id(6), ALICE, BOB, Credits(1), Millis(START + 1)));
    applied(&mut ledger, START, Transaction::hold(id(7), ALICE, BOB, Credits(1), Millis(u64::MAX)));
}

#[test]
fn accounts_are_checked_payer_first() {
    let mut ledger = opened(LIMITS);
    let (ghost, other) = (AccountId(8), AccountId(9));
    let pay = |unique, from, to| Transaction::transfer(id(unique), from, to, Credits(1));
    let missing = |side| Rejection::AccountNotFound { side };
    assert_eq!(rejection(&mut ledger, START, pay(5, ghost, other)), missing(Side::From));
    assert_eq!(rejection(&mut ledger, START, pay(6, ALICE, ghost)), missing(Side::To));
    assert_eq!(ledger.balance(ghost), (None, Sequence(7)));
    let again = Transaction::open(id(7), ALICE, AccountKind::Issuer);
    assert_eq!(rejection(&mut ledger, START, again), Rejection::AccountExists);
    applied(&mut ledger, START, Transaction::open(id(8), ghost, AccountKind::Holder));
    let full = Transaction::open(id(9), other, AccountKind::Holder);
    assert_eq!(rejection(&mut ledger, START, full), Rejection::AccountTableFull { max_accounts: 4 });
    assert_eq!(ledger.accounts().map(|(id, _)| id).collect::<Vec<_>>(), [MINT, ALICE, BOB, ghost]);
}

#[test]
fn content_alone_burns_nothing() {
    let mut ledger = opened(LIMITS);
    let hash = ledger.state_hash();
    let deadline = Millis(START + 10);
    for (transaction, expected) in [
        (Transaction::transfer(id(5), ALICE, BOB, Credits(0)), Rejection::ZeroAmount),
        (Transaction::hold(id(5), ALICE, BOB, Credits(0), deadline), Rejection::ZeroAmount),
        (Transaction::capture(id(5), id(4), Credits(0), Remainder::Keep), Rejection::ZeroAmount),
        (Transaction::transfer(id(5), ALICE, ALICE, Credits(1)), Rejection::SameAccount),
        (Transaction::hold(id(5), ALICE, ALICE, Credits(1), deadline), Rejection::SameAccount),
    ] {
        assert_eq!(rejection(&mut ledger, START, transaction), expected);
        assert!(!expected.burns_id());
    }
    assert_eq!(ledger.state_hash(), hash, "no trace");
    applied(&mut ledger, START, Transaction::transfer(id(5), ALICE, BOB, Credits(1)));
}

#[test]
fn a_reused_id_names_the_first_field_that_differs() {
    let mut ledger = opened(LIMITS);
    let (deadline, later) = (Millis(START + 500), Millis(START + 501));
    let hold = Transaction::hold(id(5), ALICE, BOB, Credits(10), deadline);
    let capture = Transaction::capture(id(6), id(5), Credits(4), Remainder::Keep);
    let release = Transaction::release(id(7), id(5));
    for transaction in [hold, capture, release] {
        applied(&mut ledger, START, transaction);
    }
    let hash = ledger.state_hash();
    for (transaction, field) in [
        (Transaction::open(id(2), BOB, AccountKind::Holder), Field::Account),
        (Transaction::open(id(2), ALICE, AccountKind::Issuer), Field::AccountKind),
        (Transaction::transfer(id(2), MINT, ALICE, Credits(100)), Field::Operation),
        (Transaction::transfer(id(4), BOB, BOB, Credits(0)), Field::From),
        (Transaction::transfer(id(4), MINT, BOB, Credits(0)), Field::To),
        (Transaction::transfer(id(4), MINT, ALICE, Credits(0)), Field::Amount),
        (Transaction::hold(id(5), MINT, BOB, Credits(10), deadline), Field::From),
        (Transaction::hold(id(5), ALICE, MINT, Credits(10), deadline), Field::To),
        (Transaction::hold(id(5), ALICE, BOB, Credits(11), later), Field::Amount),
        (Transaction::hold(id(5), ALICE, BOB, Credits(10), later), Field::Deadline),
        (Transaction::capture(id(6), id(4), Credits(4), Remainder::Keep), Field::Hold),
        (Transaction::capture(id(6), id(5), Credits(5), Remainder::Release), Field::Amount),
        (Transaction::capture(id(6), id(5), Credits(4), Remainder::Release), Field::Remainder),
        (Transaction::release(id(7), id(6)), Field::Hold),
    ] {
        assert_eq!(rejection(&mut ledger, START, transaction), Rejection::IdReused { field }, "{transaction:?}");
    }
    assert_eq!(ledger.state_hash(), hash, "no trace");
}

#[test]
fn the_window_of_ids_is_closed_at_both_ends() {
    let mut ledger = opened(LIMITS);
    let now = START + 2_000;
    let pay = |time| Transaction::transfer(id_at(time, 77), ALICE, BOB, Credits(1));
    let old = Rejection::IdTooOld { watermark: Millis(now - 1_000) };
    assert_eq!(rejection(&mut ledger, now, pay(now - 1_001)), old);
    applied(&mut ledger, now, pay(now - 1_000));
    let future = Rejection::IdInFuture { latest: Millis(now + 50) };
    assert_eq!(rejection(&mut ledger, now, pay(now + 51)), future);
    applied(&mut ledger, now, pay(now + 50));
}

/// A refusal of the id leaves no trace: later, or under another clock, the same transaction may pass.
#[test]
fn an_id_from_the_future_passes_when_its_time_has_come() {
    let mut ledger = opened(LIMITS);
    let early = Transaction::transfer(id_at(START + 51, 1), ALICE, BOB, Credits(1));
    assert!(matches!(rejection(&mut ledger, START, early), Rejection::IdInFuture { .. }));
    applied(&mut ledger, START + 1, early);
}

#[test]
fn a_forgotten_id_is_too_old_and_never_applied_again() {
    let mut ledger = opened(LIMITS);
    let pay = Transaction::transfer(id(5), ALICE, BOB, Credits(10));
    applied(&mut ledger, START, pay);
    assert!(matches!(one(&mut ledger, START + 1_000, pay), Outcome::Exists(Ok(_))), "remembered to the end");
    assert_eq!(ledger.id_count(), 5);
    assert!(matches!(rejection(&mut ledger, START + 1_001, pay), Rejection::IdTooOld { .. }));
    assert_eq!(ledger.id_count(), 0);
    assert_eq!(counters(&ledger, BOB), [0, 0, 10, 0]);
}

/// An open hold resolves at any age, and its id is kept for the retention after that.
#[test]
fn the_id_of_a_hold_is_kept_from_its_resolution() {
    let mut ledger = opened(LIMITS);
    let hold = Transaction::hold(id(5), ALICE, BOB, Credits(10), Millis(START + 9_000));
    applied(&mut ledger, START, hold);
    let now = START + 8_000;
    assert!(matches!(one(&mut ledger, now, hold), Outcome::Exists(Ok(_))));
    assert_eq!(ledger.id_count(), 1);
    let capture = Transaction::capture(id_at(now, 1), id(5), Credits(10), Remainder::Release);
    applied(&mut ledger, now, capture);
    assert!(matches!(one(&mut ledger, now + 1_000, hold), Outcome::Exists(Ok(_))));
    assert!(matches!(rejection(&mut ledger, now + 1_001, hold), Rejection::IdTooOld { .. }));
    let release = Transaction::release(id_at(now + 1_001, 2), id(5));
    assert_eq!(rejection(&mut ledger, now + 1_001, release), Rejection::HoldNotFound);
}

#[test]
fn a_full_table_refuses_new_ids_until_old_ones_are_forgotten() {
    let mut ledger = opened(Limits { max_ids: 4, ..LIMITS });
    let pay = Transaction::transfer(id_at(START + 50, 5), ALICE, BOB, Credits(10));
    assert_eq!(rejection(&mut ledger, START, pay), Rejection::IdTableFull { max_ids: 4 });
    // Known ids are still answered.
    let known = Transaction::transfer(id(4), MINT, ALICE, Credits(100));
    assert!(matches!(one(&mut ledger, START, known), Outcome::Exists(Ok(Sequence(5)))));
    // The refusal did not burn the id.
    applied(&mut ledger, START + 1_001, pay);
}

/// Open holds that fill the table cannot even be released: their deadlines make room, and nothing else does.
#[test]
fn a_table_full_of_open_holds_waits_for_their_deadlines() {
    let mut ledger = opened(Limits { max_ids: 4, max_expiries: 4, ..LIMITS });
    let (filled, deadline) = (START + 1_001, START + 6_000);
    for n in 5..9 {
        applied(&mut ledger, filled, Transaction::hold(id_at(filled, n), ALICE, BOB, Credits(25), Millis(deadline)));
    }
    let release = |now| Transaction::release(id_at(now, 9), id_at(filled, 5));
    let late = deadline - 1; // all ids are older than the watermark
    assert_eq!(rejection(&mut ledger, late, release(late)), Rejection::IdTableFull { max_ids: 4 });
    assert_eq!(counters(&ledger, ALICE), [0, 100, 100, 0]);
    assert_eq!(rejection(&mut ledger, deadline, release(deadline)), Rejection::IdTableFull { max_ids: 4 });
    assert_eq!(counters(&ledger, ALICE), [0, 0, 100, 0]);
    let room = deadline + 1_001;
    applied(&mut ledger, room, Transaction::transfer(id_at(room, 9), ALICE, BOB, Credits(100)));
}

/// A delayed copy of a rejected transaction stays rejected, although it would pass now.
#[test]
fn a_rejection_by_the_state_burns_the_id() {
    let mut ledger = opened(LIMITS);
    let pay = Transaction::transfer(id(5), BOB, ALICE, Credits(10));
    let short = Rejection::Overdraft { available: Credits(0) };
    assert_eq!(rejection(&mut ledger, START, pay), short);
    applied(&mut ledger, START, Transaction::transfer(id(6), MINT, BOB, Credits(10)));
    assert_eq!(one(&mut ledger, START, pay), Outcome::Exists(Err(short)));
    assert_eq!(one(&mut ledger, START, pay).verdict(), Err(short));
    assert_eq!(counters(&ledger, BOB), [0, 0, 10, 0]);
}

#[test]
fn time_never_goes_back() {
    let mut ledger = opened(LIMITS);
    let mut outcomes = Vec::new();
    let hash = ledger.state_hash();
    assert_eq!(ledger.apply(Millis(0), &[], &mut outcomes, &mut Vec::new()), Ok(Sequence(5)));
    assert_eq!(ledger.clock(), Some(Millis(START)));
    assert_eq!(ledger.state_hash(), hash, "a smaller time counts as the last");
    // The deadline is compared with the clock, not with the argument.
    let hold = Transaction::hold(id(5), ALICE, BOB, Credits(1), Millis(START));
    assert!(matches!(rejection(&mut ledger, 5, hold), Rejection::DeadlinePassed { now: Millis(START) }));
}

#[test]
fn a_refused_batch_changes_nothing() {
    let mut ledger = opened(LIMITS);
    applied(&mut ledger, START, Transaction::hold(id(5), ALICE, BOB, Credits(1), Millis(START + 1)));
    let hash = ledger.state_hash();
    let pay = Transaction::transfer(id(6), ALICE, BOB, Credits(1));
    let mut outcomes = Vec::new();

    let far = Millis(START + 10_001);
    let expected = LedgerError::ClockStep { from: Millis(START), to: far, max_step: Millis(10_000) };
    assert_eq!(ledger.apply(far, &[pay], &mut outcomes, &mut Vec::new()), Err(expected));
    let now = Millis(1 << 48);
    let expected = LedgerError::ClockOutOfRange { now, latest: Millis((1 << 48) - 1) };
    assert_eq!(ledger.apply(now, &[pay], &mut outcomes, &mut Vec::new()), Err(expected));
    let expected = LedgerError::BatchTooLong { len: 11, max_batch: 10 };
    assert_eq!(ledger.apply(Millis(START + 1), &[pay; 11], &mut outcomes, &mut Vec::new()), Err(expected));

    assert_eq!(outcomes, []);
    assert_eq!(ledger.state_hash(), hash);
    assert_eq!(
        ledger.apply(Millis(START + 10_000), &[], &mut outcomes, &mut Vec::new()),
        Ok(Sequence(8)),
        "the longest step"
    );
}

#[test]
fn a_stream_is_unpaid_from_the_millisecond_at_which_it_runs_dry() {
    let mut ledger = opened(LIMITS);
    // A credit in 100 ms, and three of them; the first millisecond at which all three are owed is the 300th.
    applied(&mut ledger, START, Transaction::open_stream(id(5), ALICE, BOB, Credits(3), Credits(36_000)));
    let dry = Millis(START + 300);
    assert_eq!(ledger.runway(id(5)), Some(dry));
    let stream = ledger.stream(id(5)).unwrap();
    assert_eq!(stream.status(Millis(START + 299)), StreamStatus::Paid { until: Some(dry) });
    assert_eq!((stream.owed(Millis(START + 299)), stream.reserve(Millis(START + 299))), (Credits(2), Credits(1)));
    assert_eq!(stream.status(dry), StreamStatus::Unpaid { since: dry });
    assert_eq!((stream.owed(dry), stream.reserve(dry)), (Credits(3), Credits(0)));

    // Settled late, it is unpaid since then; topped up, it pays from the top-up on.
    applied(&mut ledger, START + 900, Transaction::settle(id(6), id(5)));
    let stream = ledger.stream(id(5)).unwrap();
    assert_eq!(stream.status(Millis(START + 900)), StreamStatus::Unpaid { since: dry });
    applied(&mut ledger, START + 950, Transaction::top_up(id(7), id(5), Credits(1)));
    assert_eq!(ledger.runway(id(5)), Some(Millis(START + 1_050)));
    applied(&mut ledger, START + 960, Transaction::set_rate(id_at(START + 960, 8), id(5), Credits(0)));
    assert_eq!(ledger.runway(id(5)), None, "it rests");
    assert_eq!(ledger.runway(id(4)), None, "it is no stream");
}

#[test]
fn the_first_call_may_be_at_any_time() {
    for now in [Millis(0), Millis(1), TxId::MAX_TIME] {
        let mut ledger = Ledger::new(LIMITS, 0);
        assert_eq!(ledger.clock(), None);
        assert_eq!(ledger.apply(now, &[], &mut Vec::new(), &mut Vec::new()), Ok(Sequence(1)));
    }
    let error = Ledger::new(LIMITS, 0).apply(Millis(u64::MAX), &[], &mut Vec::new(), &mut Vec::new());
    assert!(matches!(error, Err(LedgerError::ClockOutOfRange { .. })));
}

#[test]
fn ids_are_made_of_48_and_80_bits() {
    let largest = TxId::from_parts(TxId::MAX_TIME, (1 << 80) - 1).unwrap();
    assert_eq!(largest, TxId(u128::MAX));
    assert_eq!(largest.time(), TxId::MAX_TIME);
    assert_eq!(TxId::from_parts(Millis(0), 1 << 80), None);
    // The example of RFC 9562, A.6: a UUIDv7 of 2022-02-22 19:22:22 UTC.
    assert_eq!(TxId(0x017f_22e2_79b0_7cc3_98c4_dc0c_0c07_398f).time(), Millis(1_645_557_742_000));
}
