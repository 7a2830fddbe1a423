//! Goal: the same calls give the same state hash on every target and in every version of the crate.
//! Method: a fixed workload of every operation, hashed; the bytes below the hash written by hand for a small state.

use inos_pricing::{AccountId, AccountKind, Credits, Ledger, Limits, Millis, Remainder, Sequence, Transaction, TxId};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use xxhash_rust::xxh3::xxh3_128;

/// The layout of docs/model.md, section 8, for one account and one burnt id.
#[test]
fn the_hash_covers_the_documented_bytes() {
    let mut ledger = Ledger::new(Limits::default(), 5);
    let mut bytes = b"inos-pricing state 1".to_vec();
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(u64::MAX.to_le_bytes());
    bytes.extend([0; 16]);
    assert_eq!(ledger.state_hash(), xxh3_128(&bytes), "an empty ledger");

    let (first, second) = (TxId(5 << 80 | 1), TxId(5 << 80 | 2));
    let open = Transaction::open(first, AccountId(77), AccountKind::Issuer);
    let pay = Transaction::hold(second, AccountId(77), AccountId(78), Credits(9), Millis(6));
    assert_eq!(ledger.apply(Millis(5), &[pay, open], &mut Vec::new()), Ok(Sequence(3)));

    let mut bytes = b"inos-pricing state 1".to_vec();
    bytes.extend(3_u64.to_le_bytes());
    bytes.extend(5_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(77_u128.to_le_bytes());
    bytes.push(1);
    bytes.extend([0; 64]);
    bytes.extend(2_u64.to_le_bytes());
    // Opened, as change 3.
    bytes.extend([first.0, 77, 0].map(u128::to_le_bytes).concat());
    bytes.extend([0, 0, 3, 0, 0].map(u64::to_le_bytes).concat());
    bytes.extend([0, 1, 0, 0]);
    // The payer was not found.
    bytes.extend([second.0, 77, 78].map(u128::to_le_bytes).concat());
    bytes.extend([9, 6, 0, 0, 0].map(u64::to_le_bytes).concat());
    bytes.extend([2, 0, 4, 0]);
    assert_eq!(ledger.state_hash(), xxh3_128(&bytes));
}

/// Computed by this crate on x86-64; any other target and any later version must agree.
const GOLDEN: u128 = 0xaee3_2bd8_a65d_c725_6ea4_e198_522a_d1d9;

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
    let mut holds = Vec::new();
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
                match below(10) {
                    0 => Transaction::open(id, to, if to.0 < 3 { AccountKind::Issuer } else { AccountKind::Holder }),
                    1..=4 => Transaction::transfer(id, from, to, amount),
                    5..=7 => {
                        holds.push(id);
                        Transaction::hold(id, from, to, amount, Millis(clock + below(600)))
                    }
                    8 => Transaction::capture(id, hold, amount, Remainder::Keep),
                    _ => Transaction::release(id, hold),
                }
            })
            .collect();
        ledger.apply(Millis(clock), &batch, &mut Vec::new()).unwrap();
    }
    assert!(ledger.id_count() > 500 && ledger.open_hold_count() > 5, "the workload reaches a rich state: {ledger:?}");
    assert_eq!(ledger.state_hash(), GOLDEN, "{:#034x}", ledger.state_hash());
}
