//! Goal: a replica and the twin agree with the ledger also when its limits change and when amounts, rates and steps of
//! the clock are the largest. Method: random histories over five accounts.

use inos_pricing::{
    AccountId, AccountKind, Credits, FlowWindow, Ledger, Limits, Millis, Remainder, Transaction, TxId, naive,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{START, id, id_at};

pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }

    /// A position of `len`.
    pub(super) fn at(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    fn small(&mut self, n: u64) -> u32 {
        u32::try_from(self.below(n)).unwrap()
    }
}

pub(super) const TINY: Limits = Limits {
    max_accounts: 8,
    max_ids: 200,
    max_open: 60,
    max_batch: 50,
    max_expiries: 5,
    max_step: Millis(10_000_000),
    max_ahead: Millis(100),
    retention: Millis(2_000),
    refund_window: Millis(3_000),
};

/// A random transaction over five accounts and what was sent before.
pub(super) fn random(rng: &mut Rng, clock: u64, sent: &mut Vec<TxId>, unique: &mut u128) -> Transaction {
    *unique += 1;
    let next = id_at(clock + rng.below(50), *unique);
    let (from, to) = (AccountId(rng.below(5).into()), AccountId(rng.below(5).into()));
    let amount = Credits(if rng.below(20) == 0 { u64::MAX } else { rng.below(200) });
    let named = match sent.len() {
        0 => next,
        len => sent[len - 1 - rng.at(len.min(30))],
    };
    let rate = Credits(if rng.below(5) == 0 { u64::MAX } else { rng.below(7_200_000) });
    sent.push(next);
    let transaction = match rng.below(14) {
        0 => Transaction::open(next, to, if to.0 < 1 { AccountKind::Issuer } else { AccountKind::Holder }),
        1..=3 => Transaction::transfer(next, from, to, amount),
        4..=5 => Transaction::hold(next, from, to, amount, Millis(clock + rng.below(400))),
        6 => Transaction::capture(next, named, amount, Remainder::Keep),
        7 => Transaction::release(next, named),
        8 => Transaction::refund(next, named, amount),
        9 => Transaction::open_stream(next, from, to, amount, rate),
        10 => Transaction::top_up(next, named, amount),
        11 => Transaction::set_rate(next, named, rate),
        12 => Transaction::settle(next, named),
        _ => Transaction::close_stream(next, named),
    };
    if rng.below(5) == 0 { transaction.linked() } else { transaction }
}

/// What a ledger has written, and what it was asked.
pub(super) struct History {
    pub(super) ledger: Ledger,
    /// Its commit groups.
    pub(super) groups: Vec<Vec<u8>>,
    pub(super) sent: Vec<TxId>,
}

pub(super) fn history(rng: &mut Rng, calls: u64) -> History {
    let mut ledger = Ledger::new(TINY, 3);
    let (mut clock, mut sent, mut unique, mut groups) = (START, Vec::new(), 0, Vec::new());
    let mut batch: Vec<Transaction> = (0..5)
        .map(|n| {
            let kind = if n == 0 { AccountKind::Issuer } else { AccountKind::Holder };
            Transaction::open(id(1 << 60 | n), AccountId(n), kind)
        })
        .collect();
    batch.extend((1..5).map(|n| Transaction::transfer(id(1 << 61 | n), AccountId(0), AccountId(n), Credits(500))));
    for _ in 0..calls {
        let mut journal = Vec::new();
        ledger.apply(Millis(clock), &batch, &mut Vec::new(), &mut journal).unwrap();
        if !journal.is_empty() {
            groups.push(journal);
        }
        clock += rng.below(120);
        batch = (0..12).map(|_| random(rng, clock, &mut sent, &mut unique)).collect();
    }
    History { ledger, groups, sent }
}

/// Restored again and again under other limits, a ledger goes on as its journal says: a replica that replays it under
/// none of them has the same state.
#[test]
fn a_replica_follows_a_ledger_whose_limits_change() {
    for seed in 0..300 {
        let mut rng = Rng(5_000 + seed);
        let mut ledger = Ledger::new(TINY, 3);
        let mut replica = Ledger::new(Limits { max_ids: 0, max_open: 0, max_accounts: 0, max_expiries: 0, ..TINY }, 8);
        let (mut clock, mut sent, mut unique) = (START, Vec::new(), 0);
        for _ in 0..40 {
            if rng.below(3) == 0 {
                let limits = Limits {
                    max_accounts: rng.small(8),
                    max_ids: rng.small(200),
                    max_open: rng.small(60),
                    max_expiries: rng.small(4),
                    retention: Millis(rng.below(3_000)),
                    refund_window: Millis(rng.below(3_000)),
                    ..TINY
                };
                ledger = Ledger::restore(&ledger.snapshot(), limits, u128::from(rng.below(9))).unwrap();
            }
            let batch: Vec<Transaction> = (0..12).map(|_| random(&mut rng, clock, &mut sent, &mut unique)).collect();
            let mut journal = Vec::new();
            ledger.apply(Millis(clock), &batch, &mut Vec::new(), &mut journal).unwrap();
            assert_eq!(replica.replay(&journal), Ok(ledger.sequence()));
            assert_eq!(replica.snapshot(), ledger.snapshot());
            ledger.audit().unwrap();
            clock += rng.below(300);
        }
    }
}

/// With the largest amounts and rates, long jumps, and chains.
#[test]
fn the_twin_agrees_at_the_extremes() {
    const STEPS: [u64; 9] = [0, 1, 7, 100, 1_000, 60_000, 3_600_000, 86_400_000, 90_000_000_000];
    for seed in 0..600 {
        let mut rng = Rng(9_000 + seed);
        let limits = Limits {
            retention: Millis(rng.below(3_000)),
            refund_window: Millis(rng.below(3_000)),
            max_ids: 20 + rng.small(150),
            max_open: rng.small(60),
            max_step: TxId::MAX_TIME,
            ..TINY
        };
        let (mut ledger, mut twin) = (Ledger::new(limits, 3), naive::Ledger::new(limits));
        let (mut clock, mut sent, mut unique) = (START, Vec::new(), 0);
        let mut history = Vec::new();
        for _ in 0..40 {
            let mut batch: Vec<Transaction> =
                (0..12).map(|_| random(&mut rng, clock, &mut sent, &mut unique)).collect();
            if rng.below(3) == 0 && !history.is_empty() {
                let at = rng.at(history.len());
                batch.extend(&history[at..(at + 5).min(history.len())]);
            }
            history.extend(&batch);
            let (mut one, mut two) = (Vec::new(), Vec::new());
            ledger.apply(Millis(clock), &batch, &mut one, &mut Vec::new()).unwrap();
            twin.apply(Millis(clock), &batch, &mut two).unwrap();
            assert_eq!(one, two);
            for n in 0..5 {
                assert_eq!(ledger.balance(AccountId(n)), twin.balance(AccountId(n)));
                for window in [FlowWindow::Minute, FlowWindow::Hour, FlowWindow::Day] {
                    assert_eq!(ledger.flow(AccountId(n), window), twin.flow(AccountId(n), window));
                }
            }
            ledger.audit().unwrap();
            clock += STEPS[rng.at(STEPS.len())];
        }
    }
}
