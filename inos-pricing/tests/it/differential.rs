//! Goal: the ledger does what its naive twin does, whatever it is asked, keeps its identities after every call, and has
//! the same state after a replay of its journal and after a snapshot.
//! Method: random batches over few accounts, few ids and tiny limits, so that about half of the transactions are
//! refused; outcome by outcome beside the twin. The run is deterministic and asserts that it reached every rejection.
//! `PROPTEST_CASES` makes it longer: a case has 220 transactions on average.

use alloc::collections::BTreeMap;
use core::cell::RefCell;

use inos_pricing::{
    AccountId, AccountKind, Credits, FlowWindow, Ledger, LedgerError, Limits, Link, Millis, Operation, Outcome,
    Rejection, Remainder, Side, Transaction, TxId, naive,
};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseResult, TestRng, TestRunner};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const LIMITS: Limits = Limits {
    max_accounts: 5,
    max_ids: 90,
    max_open: 11,
    max_batch: 12,
    max_expiries: 2,
    max_step: Millis(400),
    max_ahead: Millis(20),
    retention: Millis(300),
    refund_window: Millis(200),
};

/// A transaction whose times are relative to the clock, so that shrinking keeps it meaningful.
#[derive(Clone, Debug)]
enum Step {
    /// The time of the id is `clock + ahead`.
    New { ahead: i64, unique: u8, shape: Shape, link: Link },
    /// The last few transactions again, which may be a chain.
    RepeatLast { count: usize },
    /// A transaction from before, again.
    Repeat { back: usize },
    /// The id of a transaction from before with other content.
    Reuse { back: usize, shape: Shape },
}

#[derive(Clone, Debug)]
enum Shape {
    Open {
        account: u8,
        kind: AccountKind,
    },
    Transfer {
        from: u8,
        to: u8,
        amount: u64,
    },
    Hold {
        from: u8,
        to: u8,
        amount: u64,
        after: i64,
    },
    /// Of the hold that was sent `back` holds ago.
    Capture {
        back: usize,
        amount: u64,
        remainder: Remainder,
    },
    Release {
        back: usize,
    },
    Refund {
        back: usize,
        amount: u64,
    },
    OpenStream {
        from: u8,
        to: u8,
        reserve: u64,
        per_hour: u64,
    },
    /// Of the stream that was sent `back` streams ago.
    TopUp {
        back: usize,
        amount: u64,
    },
    SetRate {
        back: usize,
        per_hour: u64,
    },
    Settle {
        back: usize,
    },
    CloseStream {
        back: usize,
    },
    /// Names any transaction, or none, as this kind.
    Misname {
        back: Option<usize>,
        kind: u8,
    },
}

fn shapes() -> impl Strategy<Value = Shape> {
    // Mostly two different accounts that are opened at the start.
    let opened = (0_u8..4, 1_u8..4).prop_map(|(from, further)| (from, (from + further) % 4));
    let sides = || prop_oneof![10 => opened.clone(), 1 => (0_u8..7, 0_u8..7)];
    let amount = || prop_oneof![1 => Just(0), 25 => 1_u64..60, 1 => Just(u64::MAX)];
    let kind = prop_oneof![2 => Just(AccountKind::Holder), 1 => Just(AccountKind::Issuer)];
    let remainder = prop_oneof![Just(Remainder::Keep), Just(Remainder::Release)];
    // A credit in 1 to 100 ms; nothing; more than there can be.
    let per_hour = || prop_oneof![20 => 36_000_u64..3_600_000, 2 => Just(0), 1 => Just(u64::MAX)];
    let transfers = prop_oneof![
        1 => (0_u8..7, kind).prop_map(|(account, kind)| Shape::Open { account, kind }),
        6 => (sides(), amount()).prop_map(|((from, to), amount)| Shape::Transfer { from, to, amount }),
        7 => (sides(), amount(), -5_i64..400)
            .prop_map(|((from, to), amount, after)| Shape::Hold { from, to, amount, after }),
        5 => (0_usize..6, amount(), remainder)
            .prop_map(|(back, amount, remainder)| Shape::Capture { back, amount, remainder }),
        2 => (0_usize..6).prop_map(|back| Shape::Release { back }),
    ];
    let others = prop_oneof![
        6 => (0_usize..8, amount()).prop_map(|(back, amount)| Shape::Refund { back, amount }),
        3 => (sides(), amount(), per_hour())
            .prop_map(|((from, to), reserve, per_hour)| Shape::OpenStream { from, to, reserve, per_hour }),
        3 => (0_usize..4, prop_oneof![3 => amount(), 1 => Just(u64::MAX)])
            .prop_map(|(back, amount)| Shape::TopUp { back, amount }),
        2 => (0_usize..4, per_hour()).prop_map(|(back, per_hour)| Shape::SetRate { back, per_hour }),
        2 => (0_usize..4).prop_map(|back| Shape::Settle { back }),
        1 => (0_usize..4).prop_map(|back| Shape::CloseStream { back }),
        2 => (prop::option::of(0_usize..20), 0_u8..4).prop_map(|(back, kind)| Shape::Misname { back, kind }),
    ];
    prop_oneof![2 => transfers, 1 => others]
}

fn steps() -> impl Strategy<Value = Step> {
    let ahead = prop_oneof![1 => -320_i64..0, 20 => 0_i64..=20, 1 => 21_i64..30];
    prop_oneof![
        14 => (ahead, any::<u8>(), shapes(), prop_oneof![5 => Just(Link::End), 1 => Just(Link::Next)])
            .prop_map(|(ahead, unique, shape, link)| Step::New { ahead, unique, shape, link }),
        1 => (2_usize..4).prop_map(|count| Step::RepeatLast { count }),
        2 => (0_usize..30).prop_map(|back| Step::Repeat { back }),
        1 => (0_usize..30, shapes()).prop_map(|(back, shape)| Step::Reuse { back, shape }),
    ]
}

/// How far the clock moves before a batch, and the batch.
fn calls() -> impl Strategy<Value = Vec<(i64, Vec<Step>)>> {
    let forward = prop_oneof![2 => Just(0), 8 => 0_i64..60, 1 => -50_i64..0, 1 => 200_i64..420];
    prop::collection::vec((forward, prop::collection::vec(steps(), 0..=13)), 1..60)
}

fn account(n: u8) -> AccountId {
    AccountId(u128::from(n) << 100 | 7)
}

/// Turns steps into transactions: what was sent before decides what is repeated, captured and released.
#[derive(Default)]
struct Client {
    sent: Vec<Transaction>,
    holds: Vec<TxId>,
    streams: Vec<TxId>,
    /// Transfers and captures.
    moved: Vec<TxId>,
}

impl Client {
    fn transactions(&mut self, clock: u64, step: &Step) -> Vec<Transaction> {
        let nth_last = |back: &usize| self.sent.len().checked_sub(back + 1).map(|i| self.sent[i]);
        let new = |ahead: i64, unique: u8, shape: &Shape, link: Link| Transaction {
            id: TxId::from_parts(Millis(clock.saturating_add_signed(ahead)), u128::from(unique)).unwrap(),
            operation: self.operation(clock, shape),
            link,
        };
        let transaction = match step {
            Step::New { ahead, unique, shape, link } => new(*ahead, *unique, shape, *link),
            Step::Repeat { back } => {
                nth_last(back).unwrap_or_else(|| new(0, 0, &Shape::Release { back: 0 }, Link::End))
            }
            Step::RepeatLast { count } => return self.sent[self.sent.len().saturating_sub(*count)..].to_vec(),
            Step::Reuse { back, shape } => {
                let operation = self.operation(clock, shape);
                Transaction { id: nth_last(back).map_or(TxId(0), |old| old.id), operation, link: Link::End }
            }
        };
        self.sent.push(transaction);
        match transaction.operation {
            Operation::Hold { .. } => self.holds.push(transaction.id),
            Operation::OpenStream { .. } => self.streams.push(transaction.id),
            Operation::Transfer { .. } | Operation::Capture { .. } => self.moved.push(transaction.id),
            _ => {}
        }
        vec![transaction]
    }

    fn operation(&self, clock: u64, shape: &Shape) -> Operation {
        let nth = |of: &[TxId], back: &usize| of.len().checked_sub(back + 1).map_or(TxId(1), |i| of[i]);
        let (hold, stream) = (|back| nth(&self.holds, back), |back| nth(&self.streams, back));
        match shape {
            Shape::Open { account: n, kind } => Operation::Open { account: account(*n), kind: *kind },
            Shape::Transfer { from, to, amount } => {
                Operation::Transfer { from: account(*from), to: account(*to), amount: Credits(*amount) }
            }
            Shape::Hold { from, to, amount, after } => Operation::Hold {
                from: account(*from),
                to: account(*to),
                amount: Credits(*amount),
                deadline: Millis(clock.saturating_add_signed(*after)),
            },
            Shape::Capture { back, amount, remainder } => {
                Operation::Capture { hold: hold(back), amount: Credits(*amount), remainder: *remainder }
            }
            Shape::Release { back } => Operation::Release { hold: hold(back) },
            Shape::Refund { back, amount } => {
                Operation::Refund { original: nth(&self.moved, back), amount: Credits(*amount) }
            }
            Shape::OpenStream { from, to, reserve, per_hour } => Operation::OpenStream {
                from: account(*from),
                to: account(*to),
                reserve: Credits(*reserve),
                per_hour: Credits(*per_hour),
            },
            Shape::TopUp { back, amount } => Operation::TopUp { stream: stream(back), amount: Credits(*amount) },
            Shape::SetRate { back, per_hour } => {
                Operation::SetRate { stream: stream(back), per_hour: Credits(*per_hour) }
            }
            Shape::Settle { back } => Operation::Settle { stream: stream(back) },
            Shape::CloseStream { back } => Operation::CloseStream { stream: stream(back) },
            Shape::Misname { back, kind } => {
                let named = back.and_then(|back| self.sent.len().checked_sub(back + 1)).map(|i| self.sent[i].id);
                let named = named.unwrap_or(TxId(u128::from(clock) << 80 | 0xff00));
                match kind {
                    0 => Operation::Release { hold: named },
                    1 => Operation::Refund { original: named, amount: Credits(1) },
                    2 => Operation::Settle { stream: named },
                    _ => Operation::CloseStream { stream: named },
                }
            }
        }
    }
}

/// The name of an outcome, with the payload that changes its meaning.
fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied(_) => "applied",
        Outcome::Exists(Ok(_)) => "exists",
        Outcome::Exists(Err(_)) => "exists, rejected",
        Outcome::Rejected(rejection) => match rejection {
            Rejection::IdReused { .. } => "id reused",
            Rejection::IdTooOld { .. } => "id too old",
            Rejection::IdInFuture { .. } => "id in future",
            Rejection::ZeroAmount => "zero amount",
            Rejection::SameAccount => "same account",
            Rejection::IdTableFull { .. } => "id table full",
            Rejection::AccountExists => "account exists",
            Rejection::AccountTableFull { .. } => "account table full",
            Rejection::DeadlinePassed { .. } => "deadline passed",
            Rejection::AccountNotFound { side: Side::From } => "payer not found",
            Rejection::AccountNotFound { side: Side::To } => "receiver not found",
            Rejection::Overdraft { .. } => "overdraft",
            Rejection::HoldNotFound => "hold not found",
            Rejection::NotAHold => "not a hold",
            Rejection::HoldCaptured => "hold captured",
            Rejection::HoldReleased => "hold released",
            Rejection::HoldExpired { .. } => "hold expired",
            Rejection::CaptureExceedsHold { .. } => "capture exceeds hold",
            Rejection::OpenTableFull { .. } => "open table full",
            Rejection::ChainOpen => "chain open",
            Rejection::RepeatedInChain => "repeated in chain",
            Rejection::ChainFailed { .. } => "chain failed",
            Rejection::OriginalNotFound => "original not found",
            Rejection::NotRefundable => "not refundable",
            Rejection::RefundWindowClosed { .. } => "refund window closed",
            Rejection::RefundExceedsOriginal { .. } => "refund exceeds original",
            Rejection::StreamNotFound => "stream not found",
            Rejection::NotAStream => "not a stream",
            Rejection::StreamClosed => "stream closed",
            Rejection::ReserveTooLarge { .. } => "reserve too large",
            other => panic!("a rejection that this test does not know: {other:?}"),
        },
        other => panic!("an outcome that this test does not know: {other:?}"),
    }
}

/// The names of [`name`], and of the errors of a whole batch.
const REACHABLE: [&str; 37] = [
    "account exists",
    "account table full",
    "applied",
    "batch too long",
    "capture exceeds hold",
    "chain applied",
    "chain failed",
    "chain open",
    "clock step",
    "deadline passed",
    "exists",
    "exists, rejected",
    "hold captured",
    "hold expired",
    "hold not found",
    "hold released",
    "id in future",
    "id reused",
    "id table full",
    "id too old",
    "not a hold",
    "not a stream",
    "not refundable",
    "open table full",
    "original not found",
    "overdraft",
    "overdue hold waits",
    "payer not found",
    "receiver not found",
    "refund exceeds original",
    "refund window closed",
    "repeated in chain",
    "reserve too large",
    "same account",
    "stream closed",
    "stream not found",
    "zero amount",
];

/// Conservation and no overdraft, and the balances of the twin.
fn check_state(ledger: &Ledger, twin: &naive::Ledger) -> TestCaseResult {
    let mut sums = [0_u128; 4];
    for (id, balance) in ledger.accounts() {
        prop_assert_eq!(ledger.balance(id), twin.balance(id));
        prop_assert_eq!(ledger.balance(id).0, Some(balance));
        let counters = [balance.debits_posted, balance.credits_posted, balance.debits_pending, balance.credits_pending];
        for (sum, counter) in sums.iter_mut().zip(counters) {
            *sum += counter;
        }
        if balance.kind == AccountKind::Holder {
            prop_assert!(balance.debits_posted + balance.debits_pending <= balance.credits_posted, "overdrawn");
        }
    }
    prop_assert_eq!(sums[0], sums[1], "posted debits are posted credits");
    prop_assert_eq!(sums[2], sums[3], "pending debits are pending credits");
    prop_assert_eq!(ledger.id_count(), twin.id_count());
    prop_assert!(ledger.id_count() <= LIMITS.max_ids as usize);
    prop_assert_eq!(ledger.open_hold_count(), twin.open_hold_count());
    prop_assert_eq!(ledger.open_stream_count(), twin.open_stream_count());
    if ledger.open_hold_count() == 0 && ledger.open_stream_count() == 0 {
        prop_assert_eq!(sums[2], 0, "without a hold or a stream nothing is pending");
    }
    let audit = ledger.audit().unwrap();
    prop_assert_eq!((audit.posted, audit.pending, audit.sequence), (sums[0], sums[2], ledger.sequence()));
    for n in 0..7 {
        for window in [FlowWindow::Minute, FlowWindow::Hour, FlowWindow::Day] {
            prop_assert_eq!(ledger.flow(account(n), window), twin.flow(account(n), window));
        }
    }
    Ok(())
}

/// What is told of a transaction by its id is what it was answered.
fn check_lookups(ledger: &Ledger, batch: &[Transaction], got: &[Outcome]) -> TestCaseResult {
    for (sent, got) in batch.iter().zip(got) {
        let verdict = match *got {
            Outcome::Exists(verdict) => verdict,
            Outcome::Applied(sequence) => Ok(sequence),
            Outcome::Rejected(rejection) if rejection.burns_id() => Err(rejection),
            _ => continue,
        };
        prop_assert_eq!(ledger.transaction(sent.id), Some((*sent, verdict)));
        let is_hold = matches!(sent.operation, Operation::Hold { .. }) && verdict.is_ok();
        prop_assert_eq!(ledger.hold(sent.id).is_some(), is_hold);
    }
    prop_assert_eq!(ledger.open_holds().count(), ledger.open_hold_count());
    prop_assert_eq!(ledger.open_streams().count(), ledger.open_stream_count());
    Ok(())
}

/// What every stream that was sent owes.
fn check_streams(ledger: &Ledger, twin: &naive::Ledger, client: &Client) -> TestCaseResult {
    for &id in &client.streams {
        let view = ledger.stream(id);
        prop_assert_eq!(view.map(|view| view.owed(ledger.clock().unwrap())), twin.owed(id));
    }
    Ok(())
}

fn run(calls: &[(i64, Vec<Step>)], reached: &RefCell<BTreeMap<&'static str, u64>>) -> TestCaseResult {
    let reach = |name| *reached.borrow_mut().entry(name).or_insert(0) += 1;
    let mut ledger = Ledger::new(LIMITS, 0x0123_4567_89ab_cdef);
    // The seed changes the order in memory and nothing else.
    let mut other_seed = Ledger::new(LIMITS, u128::MAX);
    // What the journal says needs no limits.
    let mut replica = Ledger::new(Limits { max_ids: 0, max_accounts: 0, max_batch: 0, ..LIMITS }, 1);
    let mut twin = naive::Ledger::new(LIMITS);
    let mut client = Client::default();
    let mut clock = 1_000_000_u64;

    // Without an issuer and its holders nearly everything would be refused for want of credits.
    let id = |n| TxId::from_parts(Millis(clock), n).unwrap();
    let mut batch = vec![Transaction::open(id(1_000), account(0), AccountKind::Issuer)];
    for n in 1..4 {
        batch.push(Transaction::open(id(1_000 + u128::from(n)), account(n), AccountKind::Holder));
        batch.push(Transaction::transfer(id(2_000 + u128::from(n)), account(0), account(n), Credits(200)));
    }

    for (forward, steps) in core::iter::once(&(0, Vec::new())).chain(calls) {
        let now = clock.saturating_add_signed(*forward);
        steps.iter().for_each(|step| batch.extend(client.transactions(now.max(clock), step)));

        let (mut got, mut want, mut same, mut journal) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let hash = ledger.state_hash();
        let result = ledger.apply(Millis(now), &batch, &mut got, &mut journal);
        prop_assert_eq!(result, twin.apply(Millis(now), &batch, &mut want));
        prop_assert_eq!(result, other_seed.apply(Millis(now), &batch, &mut same, &mut Vec::new()));
        prop_assert_eq!(&got, &want);
        prop_assert_eq!(&got, &same);
        prop_assert_eq!(ledger.state_hash(), other_seed.state_hash());
        prop_assert_eq!(replica.replay(&journal), Ok(ledger.sequence()));
        prop_assert_eq!(replica.state_hash(), ledger.state_hash(), "a replay has the same state");
        prop_assert_eq!(journal.is_empty(), hash == ledger.state_hash(), "a group for every change");
        check_state(&ledger, &twin)?;
        check_streams(&ledger, &twin, &client)?;
        check_lookups(&ledger, &batch, &got)?;
        if client.sent.len() % 7 == 0 {
            let snapshot = ledger.snapshot();
            other_seed = Ledger::restore(&snapshot, LIMITS, 77).unwrap();
            prop_assert_eq!(other_seed.snapshot(), snapshot);
        }

        match result {
            Ok(sequence) => {
                clock = clock.max(now);
                prop_assert_eq!(ledger.clock(), Some(Millis(clock)));
                prop_assert_eq!(ledger.sequence(), sequence);
                got.iter().for_each(|outcome| reach(name(outcome)));
                let chained = batch.iter().zip(&got).filter(|(sent, _)| sent.link == Link::Next);
                chained.filter(|(_, got)| matches!(got, Outcome::Applied(_))).for_each(|_| reach("chain applied"));
                if ledger.accounts().count() > 0 && twin_waits(&mut ledger.clone(), clock) {
                    reach("overdue hold waits");
                }
            }
            Err(LedgerError::ClockStep { .. }) => reach("clock step"),
            Err(LedgerError::BatchTooLong { .. }) => reach("batch too long"),
            Err(error) => prop_assert!(false, "{error}"),
        }
        if result.is_err() {
            prop_assert_eq!(ledger.state_hash(), hash, "a refused batch changes nothing");
            prop_assert!(got.is_empty());
        }
        batch.clear();
    }
    Ok(())
}

/// Whether an empty batch at the same time would still expire something.
fn twin_waits(ledger: &mut Ledger, clock: u64) -> bool {
    let before = ledger.open_hold_count();
    ledger.pulse(Millis(clock), &mut Vec::new()).unwrap();
    ledger.open_hold_count() < before
}

#[test]
fn the_ledger_does_what_its_twin_does() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let reached = RefCell::new(BTreeMap::new());
    runner.run(&calls(), |calls| run(&calls, &reached)).unwrap();

    let reached = reached.into_inner();
    let names: Vec<&str> = reached.keys().copied().collect();
    assert_eq!(names, REACHABLE, "every outcome is reached");
    let per_batch = ["batch too long", "chain applied", "clock step", "overdue hold waits"];
    let answers: u64 = reached.iter().filter(|(name, _)| !per_batch.contains(name)).map(|(_, count)| count).sum();
    let refused = answers - reached["applied"] - reached["exists"];
    let percent = refused * 100 / answers;
    println!(
        "{answers} transactions beside the twin, {percent} % refused, {} applied in chains",
        reached["chain applied"]
    );
    assert!((35..=65).contains(&percent), "about half of the transactions are refused: {percent} %, {reached:?}");
    for (name, count) in &reached {
        assert!(*count >= 20, "{name} is reached only {count} times: {reached:?}");
    }
}
