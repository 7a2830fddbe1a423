//! Goal: the same calls give the same state hash and the same journal on every target and in every version of the crate.
//! Method: a fixed workload of every operation, hashed; the bytes below the hash written by hand for a small state.

use inos_pricing::{AccountId, AccountKind, Credits, Ledger, Limits, Millis, Remainder, Sequence, Transaction, TxId};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use xxhash_rust::xxh3::xxh3_128;

/// The layout of docs/model.md, section 8, for two accounts, an open stream, a hold, and a burnt id.
#[test]
fn the_hash_covers_the_documented_bytes() {
    let mut ledger = Ledger::new(Limits::default(), 5);
    let mut bytes = b"inos-pricing state 2".to_vec();
    bytes.extend([0_u64, u64::MAX, 0, 0].map(u64::to_le_bytes).concat());
    bytes.extend([0; 24]);
    assert_eq!(ledger.state_hash(), xxh3_128(&bytes), "an empty ledger");

    let now = 100_000_000_u64;
    let id = |n: u128| TxId(u128::from(now) << 80 | n);
    let batch = [
        Transaction::open(id(1), AccountId(77), AccountKind::Issuer),
        Transaction::open(id(2), AccountId(5), AccountKind::Holder),
        Transaction::hold(id(3), AccountId(77), AccountId(78), Credits(9), Millis(now + 6)).linked(),
        Transaction::settle(id(9), id(8)),
        Transaction::open_stream(id(4), AccountId(77), AccountId(5), Credits(40), Credits(3_600_000)),
        Transaction::hold(id(6), AccountId(77), AccountId(5), Credits(9), Millis(now + 50)),
        Transaction::capture(id(5), id(6), Credits(4), Remainder::Keep),
    ];
    assert_eq!(ledger.apply(Millis(now), &batch, &mut Vec::new(), &mut Vec::new()), Ok(Sequence(7)));

    let mut bytes = b"inos-pricing state 2".to_vec();
    bytes.extend([7, now, now - 86_400_000, now - 86_400_000].map(u64::to_le_bytes).concat());
    bytes.extend(2_u64.to_le_bytes());
    bytes.extend(77_u128.to_le_bytes());
    bytes.push(1);
    bytes.extend([4, 45, 0, 0].map(u128::to_le_bytes).concat());
    bytes.extend([0; 72]);
    bytes.extend(5_u128.to_le_bytes());
    bytes.push(0);
    bytes.extend([0, 0, 4, 45].map(u128::to_le_bytes).concat());
    bytes.extend([now / 60_000, 4, 0, now / 3_600_000, 4, 0, now / 86_400_000, 4, 0].map(u64::to_le_bytes).concat());
    bytes.extend(6_u64.to_le_bytes());
    let mut record = |words: [u128; 3], numbers: [u64; 5], codes: [u8; 4]| {
        bytes.extend(words.map(u128::to_le_bytes).concat());
        bytes.extend(numbers.map(u64::to_le_bytes).concat());
        bytes.extend(codes);
    };
    // Opened, as changes 2 and 3.
    record([id(1).0, 77, 0], [0, 0, 2, 0, 0], [0, 1, 0, 0]);
    record([id(2).0, 5, 0], [0, 0, 3, 0, 0], [0, 0, 0, 0]);
    // The receiver was not found; the other half of the chain has no trace.
    record([id(3).0, 77, 78], [9, now + 6, 0, 0, 0], [2, 0x80, 5, 0]);
    // A stream, which pays a credit each millisecond.
    record([id(4).0, 77, 5], [40, 3_600_000, 5, 0, 0], [6, 0, 0, 5]);
    // A capture between accounts 0 and 1, which can be refunded, and its hold.
    record([id(5).0, id(6).0, 0], [4, 1, 7, 4, now], [3, 1, 0, 0]);
    record([id(6).0, 77, 5], [9, now + 50, 6, 5, 0], [2, 0, 0, 1]);
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(id(4).0.to_le_bytes());
    bytes.extend([0, 1].map(u32::to_le_bytes).concat());
    bytes.extend([3_600_000, 40, now].map(u64::to_le_bytes).concat());
    bytes.extend(0_u32.to_le_bytes());
    assert_eq!(ledger.snapshot()[20..][..bytes.len()], bytes);
    assert_eq!(ledger.state_hash(), xxh3_128(&bytes));
}

/// Computed by this crate on x86-64; any other target and any later version must agree.
const GOLDEN: u128 = 0xc2e4_0175_b6dd_1ccf_448b_4ad3_8561_d126;

/// Of the bytes of its journal.
const GOLDEN_JOURNAL: u128 = 0xf054_6a13_6109_cf42_3482_d352_0f1d_e9cd;

#[test]
fn the_hash_of_a_workload_is_golden() {
    let limits = Limits { max_expiries: 3, retention: Millis(2_000), max_ids: 3_000, ..Limits::default() };
    let mut ledger = Ledger::new(limits, 6);
    let mut clock = 1_700_000_000_000;
    // A linear congruential generator (Knuth's MMIX constants), high bits.
    let mut state = 42_u64;
    let mut below = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let (mut holds, mut streams, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    let mut journal = Vec::new();
    let mut unique = 0;
    for _ in 0..400 {
        clock += below(40);
        let batch: Vec<Transaction> = (0..20)
            .map(|_| {
                unique += 1;
                let id = TxId::from_parts(Millis(clock + below(50)), unique).unwrap();
                let (from, to) = (AccountId(below(12).into()), AccountId(below(12).into()));
                let amount = Credits(below(100));
                let hold = holds.len().checked_sub(1 + usize::try_from(below(50)).unwrap()).map_or(id, |i| holds[i]);
                let stream = streams.last().copied().unwrap_or(id);
                let transaction = match below(16) {
                    0 => Transaction::open(id, to, if to.0 < 3 { AccountKind::Issuer } else { AccountKind::Holder }),
                    1..=4 => {
                        moved.push(id);
                        Transaction::transfer(id, from, to, amount)
                    }
                    5..=7 => {
                        holds.push(id);
                        Transaction::hold(id, from, to, amount, Millis(clock + below(600)))
                    }
                    8 => Transaction::capture(id, hold, amount, Remainder::Keep),
                    9 => Transaction::release(id, hold),
                    10 => {
                        streams.push(id);
                        Transaction::open_stream(id, from, to, amount, Credits(below(3_600_000)))
                    }
                    11 => Transaction::top_up(id, stream, amount),
                    12 => Transaction::set_rate(id, stream, Credits(below(3_600_000))),
                    13 => Transaction::settle(id, stream),
                    14 => Transaction::refund(id, moved.last().copied().unwrap_or(id), Credits(below(50))),
                    _ => Transaction::close_stream(id, stream),
                };
                if below(8) == 0 { transaction.linked() } else { transaction }
            })
            .collect();
        ledger.apply(Millis(clock), &batch, &mut Vec::new(), &mut journal).unwrap();
    }
    assert!(ledger.id_count() > 500 && ledger.open_hold_count() > 5, "the workload reaches a rich state: {ledger:?}");
    assert!(ledger.open_stream_count() > 5, "{ledger:?}");
    assert_eq!(ledger.state_hash(), GOLDEN, "{:#034x}", ledger.state_hash());
    assert_eq!(xxh3_128(&journal), GOLDEN_JOURNAL, "{:#034x}", xxh3_128(&journal));
}
