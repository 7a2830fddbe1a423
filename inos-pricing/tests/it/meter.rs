//! Goal: a meter charges the exact price of all that it accrued, less than a credit late, however the time was cut,
//! whatever changed on the way and wherever it crashed. Method: cut intervals against whole ones; random histories
//! against natural numbers of any size with an own formula for each dimension; every bit of the stored bytes flipped;
//! a crash at each step before a real ledger; the limits, the closes and the ids by hand.

use inos_pricing::{
    AccountId, AccountKind, Bytes, Close, Credits, DENOMINATOR, DecodeMeterError, GeoPlan, Ledger, Limits, Meter,
    MeterId, Millis, Plan, PriceError, Quantity, Rates, Reading, Replicas, Spread, Thousandths, TierPlan, Transaction,
    TxId, Usage, quote,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::bignum::Natural;

const START: Millis = Millis(1_700_000_000_000);
const RATES: Rates = Rates { storage: 20, compute: 3, bandwidth: 7 };

/// A plan with the same factor for every number.
struct Fixed(u32);

impl Plan for Fixed {
    fn factor(&self, _: Replicas) -> Result<Thousandths, PriceError> {
        Ok(Thousandths(self.0))
    }
}

fn new() -> Meter {
    Meter::new(MeterId(7), START)
}

fn later(duration: u64) -> Millis {
    Millis(START.0 + duration)
}

fn reading(stored: u64, cpu: u64, moved: u64) -> Reading {
    Reading { stored: Bytes(stored), cpu: Millis(cpu), moved: Bytes(moved) }
}

/// A meter with this remainder after charges of this parity: one thousandth of one moved byte at rate 1 is 3.6 million
/// parts, and 1 ms of one byte stored is one part.
fn carrying(remainder_parts: u64, charged: u64) -> Meter {
    let mut meter = new();
    let one = Rates { storage: 1, compute: 1, bandwidth: 1 };
    let (moved, stored) = (remainder_parts / 3_600_000, remainder_parts % 3_600_000);
    let accrued = meter.accrue(later(1), &one, &Fixed(1), &reading(stored, charged * 1_000_000, moved), Replicas(1));
    assert_eq!(accrued, Ok(Credits(charged)));
    assert_eq!(meter.remainder_parts(), u128::from(remainder_parts));
    meter
}

/// For one dimension after the other, and all three: an hour at once, by the minute, by the second and by the
/// millisecond that does not divide it.
#[test]
fn an_hour_costs_what_its_slices_cost() {
    let (gib, cpu, moved) = (Bytes::GIB.0, 3_600 * 41, 3_600 * 1_234_567);
    for (stored, cpu, moved) in [(gib, 0, 0), (0, cpu, 0), (0, 0, moved), (gib, cpu, moved)] {
        let whole = reading(stored, cpu, moved);
        let mut at_once = new();
        let expected = at_once.accrue(later(Millis::HOUR.0), &RATES, &TierPlan, &whole, Replicas(9)).unwrap();
        assert!(expected > Credits(100) && at_once.remainder_parts() > 0, "the price is not whole");

        for slices in [60, 3_600] {
            let slice = reading(stored, cpu / slices, moved / slices);
            let mut meter = new();
            let mut charged = 0;
            for n in 1..=slices {
                let until = later(n * Millis::HOUR.0 / slices);
                charged += meter.accrue(until, &RATES, &TierPlan, &slice, Replicas(9)).unwrap().0;
            }
            assert_eq!((Credits(charged), meter.remainder_parts()), (expected, at_once.remainder_parts()));
        }
    }
}

/// 1 GB for an hour at 20 credits on 5, 50 and 500 replicas, by the second.
#[test]
fn a_gigabyte_hour_is_golden() {
    for (replicas, total) in [(5, 100), (50, 570), (500, 2_370)] {
        let mut meter = new();
        let second = |n: u64| (later(n * 1_000), reading(1_000_000_000, 0, 0));
        let slices = (1..=3_600).map(second);
        let charges = slices.map(|(until, r)| meter.accrue(until, &RATES, &TierPlan, &r, Replicas(replicas)).unwrap());
        assert_eq!(charges.map(|credits| credits.0).sum::<u64>(), total);
        assert_eq!(meter.remainder_parts(), 0);
    }
}

/// Half an hour at 1 credit and half an hour at 2: 1.5 credits, and neither half is whole.
#[test]
fn a_rate_change_in_mid_hour_is_not_rounded() {
    let mut meter = new();
    let gb = reading(1_000_000_000, 0, 0);
    let rates = |storage| Rates { storage, ..Rates::default() };
    let half = Millis::HOUR.0 / 2;
    assert_eq!(meter.accrue(later(half), &rates(1), &TierPlan, &gb, Replicas(1)), Ok(Credits(0)));
    assert_eq!(meter.remainder_parts(), DENOMINATOR / 2);
    assert_eq!(meter.accrue(later(2 * half), &rates(2), &TierPlan, &gb, Replicas(1)), Ok(Credits(1)));
    assert_eq!(meter.remainder_parts(), DENOMINATOR / 2);
    assert_eq!(meter.accrue(later(3 * half), &rates(1), &TierPlan, &gb, Replicas(1)), Ok(Credits(1)));
    assert_eq!(meter.remainder_parts(), 0);
}

/// One accrual as of a caller: what was used for how long, under which terms.
#[derive(Clone, Debug)]
struct Step {
    held: u64,
    reading: Reading,
    rates: Rates,
    plan: u8,
    replicas: u16,
}

const PLANS: [&dyn Plan; 3] =
    [&TierPlan, &GeoPlan { spread: Spread::OneRegion }, &GeoPlan { spread: Spread::ManyRegions }];

impl Step {
    fn accrue(&self, meter: &mut Meter) -> Result<Credits, PriceError> {
        let until = Millis(meter.settled_until().0 + self.held);
        let plan = PLANS[usize::from(self.plan)];
        meter.accrue(until, &self.rates, plan, &self.reading, Replicas(self.replicas))
    }
}

/// Of all magnitudes up to 2^bits alike.
fn up_to(bits: u32) -> impl Strategy<Value = u64> {
    (0..=bits, any::<u64>()).prop_map(|(bits, value)| match bits {
        0 => 0,
        _ => (value >> (64 - bits)).max(1 << (bits - 1)),
    })
}

/// At most 2^60 credits in one interval, so that every charge fits.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rate = || up_to(16).prop_map(|rate| u32::try_from(rate).unwrap());
    let rates = (rate(), rate(), rate());
    let readings = (up_to(44), up_to(32), up_to(50));
    let step =
        (1_u64..1 << 32, readings, rates, 0_u8..3, 1_u16..=700).prop_map(|(held, reading, rates, plan, replicas)| {
            Step {
                held,
                reading: self::reading(reading.0, reading.1, reading.2),
                rates: Rates { storage: rates.0, compute: rates.1, bandwidth: rates.2 },
                plan,
                replicas,
            }
        });
    prop::collection::vec(step, 1..30)
}

/// The exact price of all steps so far: a numerator for each dimension over the denominator of its own rate.
struct Exact([Natural; 3]);

/// 10^9 bytes x an hour, a CPU-second, 10^9 bytes, each in thousandths.
const DENOMINATORS: [[u128; 3]; 3] = [[1_000_000_000, 3_600_000, 1_000], [1_000, 1, 1_000], [1_000_000_000, 1, 1_000]];

impl Exact {
    fn new() -> Self {
        Self([0, 0, 0].map(Natural::from))
    }

    fn add(&mut self, step: &Step) {
        let factor = u128::from(PLANS[usize::from(step.plan)].factor(Replicas(step.replicas)).unwrap().0);
        let Reading { stored, cpu, moved } = step.reading;
        let numerators: [[u128; 4]; 3] = [
            [stored.0.into(), step.held.into(), step.rates.storage.into(), factor],
            [cpu.0.into(), 1, step.rates.compute.into(), factor],
            [moved.0.into(), 1, step.rates.bandwidth.into(), factor],
        ];
        for (sum, numerator) in self.0.iter_mut().zip(numerators) {
            *sum = sum.plus(&Natural::product(&numerator));
        }
    }

    /// The sum of the three over the product of their denominators.
    fn fraction(&self) -> (Natural, Natural) {
        let [storage, compute, bandwidth] = DENOMINATORS.map(|denominator| Natural::product(&denominator));
        let numerator = self.0[0].times(&compute).times(&bandwidth);
        let numerator = numerator.plus(&self.0[1].times(&storage).times(&bandwidth));
        let numerator = numerator.plus(&self.0[2].times(&storage).times(&compute));
        (numerator, storage.times(&compute).times(&bandwidth))
    }

    /// What was charged is the exact price rounded down, and what is carried is the rest of it.
    fn check(&self, charged: u128, remainder_parts: u128) {
        let (numerator, denominator) = self.fraction();
        assert!(denominator.times(&Natural::from(charged)) <= numerator, "never above the exact price");
        assert!(numerator < denominator.times(&Natural::from(charged + 1)), "less than one credit below it");
        let parts = Natural::product(&[charged, DENOMINATOR]).plus(&Natural::from(remainder_parts));
        assert_eq!(denominator.times(&parts), numerator.times(&Natural::from(DENOMINATOR)), "nothing is lost");
    }
}

/// Cuts `total` at `share` of 2^16.
fn cut(total: u64, share: u16) -> (u64, u64) {
    let first = u64::try_from((u128::from(total) * u128::from(share)) >> 16).unwrap();
    (first, total - first)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// All three dimensions at once; at any point the meter may be stored and loaded, or told the same again.
    #[test]
    fn charges_agree_with_the_oracle(steps in steps(), crashes in any::<u32>()) {
        let mut meter = new();
        let mut exact = Exact::new();
        let mut charged = 0;
        for (n, step) in steps.iter().enumerate() {
            let before = meter.to_bytes();
            let credits = step.accrue(&mut meter).unwrap();
            if crashes >> n & 1 == 1 {
                let mut again = Meter::from_bytes(&before).unwrap();
                prop_assert_eq!(step.accrue(&mut again), Ok(credits));
                prop_assert_eq!(again.charge_id(), meter.charge_id());
                prop_assert_eq!(&again, &meter);
                meter = Meter::from_bytes(&again.to_bytes()).unwrap();
            }
            prop_assert_eq!(meter.charge(), credits);
            charged += u128::from(credits.0);
            exact.add(step);
            exact.check(charged, meter.remainder_parts());
        }
    }

    /// Each dimension alone and all together: the same usage under the same terms, cut anywhere.
    #[test]
    fn charges_do_not_depend_on_the_cuts(
        step in steps().prop_map(|mut steps| steps.remove(0)),
        cuts in prop::collection::vec(any::<[u16; 3]>(), 0..20),
        only in 0_usize..4,
    ) {
        let mut step = step;
        let Reading { stored, cpu, moved } = step.reading;
        step.reading = match only {
            0 => reading(stored.0, 0, 0),
            1 => reading(0, cpu.0, 0),
            2 => reading(0, 0, moved.0),
            _ => step.reading,
        };
        let mut whole = new();
        let expected = step.accrue(&mut whole).unwrap();

        let mut meter = new();
        let mut charged = 0;
        let mut rest = step;
        for [held, cpu, moved] in cuts {
            let (held, held_left) = cut(rest.held, held);
            let (cpu, cpu_left) = cut(rest.reading.cpu.0, cpu);
            let (moved, moved_left) = cut(rest.reading.moved.0, moved);
            if held == 0 {
                continue; // an empty interval adds nothing
            }
            let first = Step { held, reading: reading(rest.reading.stored.0, cpu, moved), ..rest.clone() };
            charged += first.accrue(&mut meter).unwrap().0;
            rest = Step { held: held_left, reading: reading(rest.reading.stored.0, cpu_left, moved_left), ..rest };
        }
        charged += rest.accrue(&mut meter).unwrap().0;
        prop_assert_eq!(Credits(charged), expected);
        prop_assert_eq!(meter.remainder_parts(), whole.remainder_parts());
        prop_assert_eq!(meter.settled_until(), whole.settled_until());
    }

    /// The first charge of a meter, closed by `Ceil`, is what the quote says.
    #[test]
    fn a_quote_is_a_meter_rounded_up(steps in steps()) {
        let step = &steps[0];
        let Reading { stored, cpu, moved } = step.reading;
        let usage = Usage { stored, held: Millis(step.held), cpu, moved };
        let total = quote(&step.rates, PLANS[usize::from(step.plan)], &usage, Replicas(step.replicas)).unwrap().total;
        let mut meter = new();
        let charged = step.accrue(&mut meter).unwrap().0;
        prop_assert_eq!(charged + meter.close(Close::Ceil).0, total.0);
    }

    /// Any state that decodes, any call: an answer, or an error that changes nothing.
    #[test]
    fn a_meter_never_panics(
        state in (any::<[u8; 64]>(), 0_u8..3, 0_u8..3, up_to(64), up_to(64)),
        until in up_to(64),
        rates in any::<[u32; 3]>(),
        scale in 0_u32..32,
        used in (up_to(64), up_to(64), up_to(64)),
        replicas in any::<u16>(),
        factor in any::<u32>(),
    ) {
        let (mut bytes, kind, parity, settled_until, remainder) = state;
        bytes[..8].copy_from_slice(&[b'I', b'N', b'M', b'T', 1, 0, kind, parity]);
        bytes[24..32].copy_from_slice(&settled_until.to_le_bytes());
        bytes[40..56].copy_from_slice(&u128::from(remainder).to_le_bytes());
        let Ok(mut meter) = Meter::from_bytes(&sealed(bytes)) else { return Ok(()) };
        let [storage, compute, bandwidth] = rates.map(|rate| rate >> scale);
        let rates = Rates { storage, compute, bandwidth };
        let used = reading(used.0, used.1, used.2);
        let before = meter.clone();
        if meter.accrue(Millis(until), &rates, &Fixed(factor >> scale), &used, Replicas(replicas)).is_err() {
            prop_assert_eq!(&meter, &before);
        }
        let _ = meter.charge_id();
        let _ = meter.close(Close::HalfEven);
        prop_assert_eq!(Meter::from_bytes(&meter.to_bytes()), Ok(meter));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(Meter::from_bytes(&bytes).is_err());
    }
}

#[test]
fn no_later_time_adds_nothing() {
    let mut meter = new();
    let used = reading(1_000_000_000, 700, 1_000_000);
    assert!(meter.accrue(later(Millis::HOUR.0), &RATES, &TierPlan, &used, Replicas(3)).unwrap() > Credits(0));
    let before = meter.clone();
    for until in [later(Millis::HOUR.0), later(1), START, Millis(0)] {
        assert_eq!(meter.accrue(until, &RATES, &TierPlan, &used, Replicas(3)), Ok(Credits(0)));
        // It does not even look at the rest.
        assert_eq!(meter.accrue(until, &RATES, &TierPlan, &used, Replicas(0)), Ok(Credits(0)));
        assert_eq!(meter, before, "the last charge and its id stay");
    }
}

/// By half-even 31.5 credits are 32, and 30.5 are 30.
#[test]
fn closes_are_golden() {
    let half = u64::try_from(DENOMINATOR / 2).unwrap();
    let expected = [
        // remainder, charged before, forgive, half-even, ceil
        (0, 31, [0, 0, 0]),
        (1, 31, [0, 0, 1]),
        (half - 1, 31, [0, 0, 1]),
        (half, 30, [0, 0, 1]),
        (half, 31, [0, 1, 1]),
        (half + 1, 30, [0, 1, 1]),
        (2 * half - 1, 30, [0, 1, 1]),
    ];
    for (remainder_parts, charged, credits) in expected {
        for (mode, credits) in [Close::Forgive, Close::HalfEven, Close::Ceil].into_iter().zip(credits) {
            let meter = carrying(remainder_parts, charged);
            for mut meter in [meter.clone(), Meter::from_bytes(&meter.to_bytes()).unwrap()] {
                assert_eq!(meter.close(mode), Credits(credits), "{mode:?} of {remainder_parts} after {charged}");
                assert_eq!(meter.remainder_parts(), 0);
                if remainder_parts > 0 {
                    assert_eq!(meter.charge(), Credits(credits));
                }
                let before = meter.clone();
                assert_eq!(meter.close(Close::Ceil), Credits(0), "closing twice is closing once");
                assert_eq!(meter, before);
            }
        }
    }
    assert_eq!(Close::default(), Close::Forgive);
}

/// The parity is that of all charges, the closing credit included.
#[test]
fn half_even_counts_all_charges() {
    let one = Rates { compute: 1, ..Rates::default() };
    let mut meter = new();
    let accrue = |meter: &mut Meter, cpu| {
        let until = Millis(meter.settled_until().0 + 1);
        meter.accrue(until, &one, &TierPlan, &reading(0, cpu, 0), Replicas(1)).unwrap().0
    };
    assert_eq!([accrue(&mut meter, 1_000), accrue(&mut meter, 2_500)], [1, 2]);
    assert_eq!(meter.close(Close::HalfEven), Credits(1), "3.5 is 4");
    assert_eq!(accrue(&mut meter, 500), 0);
    assert_eq!(meter.close(Close::HalfEven), Credits(0), "4.5 is 4");
    assert_eq!(accrue(&mut meter, 600), 0);
    assert_eq!(meter.close(Close::HalfEven), Credits(1), "4.6 is 5");
    assert_eq!(accrue(&mut meter, 500), 0);
    assert_eq!(meter.close(Close::HalfEven), Credits(1), "5.5 is 6");
}

#[test]
fn a_closed_meter_goes_on_with_nothing_carried() {
    let mut meter = carrying(1_000, 3);
    let until = meter.settled_until();
    assert_eq!(meter.close(Close::Forgive), Credits(0));
    assert_eq!(meter.settled_until(), until);
    let hour = Millis(until.0 + Millis::HOUR.0);
    let gb = reading(1_000_000_000, 0, 0);
    assert_eq!(meter.accrue(hour, &RATES, &TierPlan, &gb, Replicas(1)), Ok(Credits(20)));
    assert_eq!(meter.remainder_parts(), 0);
}

#[test]
fn beyond_a_limit_is_an_error_that_changes_nothing() {
    let mut meter = carrying(1, 1);
    let before = meter.clone();
    let settled = before.settled_until().0;
    let mut over = |held, rates: Rates, reading: Reading, factor| {
        let error = meter.accrue(Millis(settled + held), &rates, &Fixed(factor), &reading, Replicas(1)).unwrap_err();
        assert_eq!(meter, before);
        let PriceError::Overflow { quantity, value, limit } = error else { panic!("{error}") };
        assert_eq!(value, limit + 1);
        quantity
    };
    let (r, u, more) = (Rates::default(), Reading::default(), Rates::MAX + 1);
    assert_eq!(over(1, Rates { storage: more, ..r }, u, 1), Quantity::StorageRate);
    assert_eq!(over(1, Rates { compute: more, ..r }, u, 1), Quantity::ComputeRate);
    assert_eq!(over(1, Rates { bandwidth: more, ..r }, u, 1), Quantity::BandwidthRate);
    assert_eq!(over(1, r, reading((1 << 50) + 1, 0, 0), 1), Quantity::Stored);
    assert_eq!(over((1 << 36) + 1, r, u, 1), Quantity::Held);
    assert_eq!(over(1, r, reading(0, (1 << 43) + 1, 0), 1), Quantity::Cpu);
    assert_eq!(over(1, r, reading(0, 0, (1 << 62) + 1), 1), Quantity::Moved);
    assert_eq!(over(1, r, u, 138_501), Quantity::Factor);
    // 2^43 ms x 2^24 credits a second x 125 is 2^67 / 8: one more than fits.
    let dear = Rates { compute: Rates::MAX, ..r };
    assert_eq!(over(1, dear, reading(0, 1 << 43, 0), 125_000), Quantity::Total);

    for replicas in [0, 701].map(Replicas) {
        let error = meter.accrue(Millis(settled + 1), &RATES, &Fixed(1), &u, replicas);
        assert_eq!(error, Err(PriceError::ReplicasOutOfRange { replicas }));
        assert_eq!(meter, before);
    }
    // The largest time is a time.
    let error = meter.accrue(Millis(u64::MAX), &RATES, &TierPlan, &u, Replicas(1)).unwrap_err();
    assert!(matches!(error, PriceError::Overflow { quantity: Quantity::Held, .. }));
    assert_eq!(meter, before);
}

#[test]
fn each_limit_itself_is_accepted() {
    let most = reading(1 << 50, 1 << 43, 1 << 62);
    let one = Rates { storage: 1, compute: 1, bandwidth: 1 };
    let mut meter = carrying(u64::try_from(DENOMINATOR - 1).unwrap(), 0);
    let until = Millis(meter.settled_until().0 + Usage::MAX_HELD.0);
    assert!(meter.clone().accrue(until, &one, &Fixed(1_000), &most, Replicas(700)).is_ok());
    // A millisecond less than 2^64 credits.
    let dear = Rates { compute: Rates::MAX, ..Rates::default() };
    let charge = meter.clone().accrue(until, &dear, &Fixed(125_000), &reading(0, (1 << 43) - 1, 0), Replicas(1));
    assert_eq!(charge, Ok(Credits(u64::MAX - (1 << 21) + 1)));
    // At all bounds at once only the charge is too large: the parts still fit.
    let rates = Rates { storage: Rates::MAX, compute: Rates::MAX, bandwidth: Rates::MAX };
    let before = meter.clone();
    let error = meter.accrue(until, &rates, &Fixed(138_500), &most, Replicas(700)).unwrap_err();
    let PriceError::Overflow { quantity: Quantity::Total, value, .. } = error else { panic!("{error}") };
    assert!(value > 1 << 66);
    assert_eq!(meter, before);
}

/// The carried remainder alone can lift a charge over the limit.
#[test]
fn the_carried_remainder_counts_towards_the_limit() {
    let dear = Rates { compute: Rates::MAX, bandwidth: 1, ..Rates::default() };
    // 2^43 - 1 ms cost 2^64 - 2^21; 8 x 10^6 bytes cost 1. One byte less than 2^64.
    let moved = ((1_u64 << 21) * 1_000_000_000 / 125) - 1;
    let used = reading(0, (1 << 43) - 1, moved);
    let accrue = |mut meter: Meter| {
        let until = Millis(meter.settled_until().0 + 1);
        meter.accrue(until, &dear, &Fixed(125_000), &used, Replicas(1))
    };
    // One byte is 125 x 3.6 x 10^9 parts.
    let byte = 125 * 3_600_000_000;
    assert_eq!(accrue(carrying(0, 0)), Ok(Credits(u64::MAX)));
    assert_eq!(accrue(carrying(byte - 1, 0)), Ok(Credits(u64::MAX)));
    let (value, limit) = (1 << 64, (1 << 64) - 1);
    assert_eq!(accrue(carrying(byte, 0)), Err(PriceError::Overflow { quantity: Quantity::Total, value, limit }));
}

/// Idle for 17 years: refused, then accrued in steps, to the same price as by the hour.
#[test]
fn an_interval_too_long_for_one_call_is_accrued_in_steps() {
    let idle = reading(1_234_567, 0, 0);
    let end = later((1 << 39) + 12_345);
    let mut meter = new();
    let error = meter.accrue(end, &RATES, &TierPlan, &idle, Replicas(3)).unwrap_err();
    let (value, limit) = ((1 << 39) + 12_345, 1 << 36);
    assert_eq!(error, PriceError::Overflow { quantity: Quantity::Held, value, limit });
    assert_eq!(meter, new());

    let run = |step: u64| {
        let mut meter = new();
        let mut charged = 0;
        while meter.settled_until() < end {
            let until = end.min(Millis(meter.settled_until().0 + step));
            charged += meter.accrue(until, &RATES, &TierPlan, &idle, Replicas(3)).unwrap().0;
        }
        (charged, meter.remainder_parts())
    };
    assert_eq!(run(Usage::MAX_HELD.0), run(Millis::HOUR.0));
    // 1,234,567 B x 549,755,826,233 ms x 20 x 3,000 thousandths.
    let parts = 1_234_567 * 549_755_826_233 * 60_000_u128;
    assert_eq!(run(Usage::MAX_HELD.0), (u64::try_from(parts / DENOMINATOR).unwrap(), parts % DENOMINATOR));
}

/// The layout of docs/model.md, section 9.
#[test]
fn the_bytes_are_as_documented() {
    let mut meter = carrying(123_456_789, 5);
    let mut bytes = b"INMT\x01\0\0\x01".to_vec();
    bytes.extend(7_u128.to_le_bytes());
    bytes.extend((START.0 + 1).to_le_bytes());
    bytes.extend(5_u64.to_le_bytes());
    bytes.extend(123_456_789_u128.to_le_bytes());
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    assert_eq!(meter.to_bytes(), *bytes);
    assert_eq!(bytes.len(), Meter::ENCODED_LEN);

    meter.close(Close::Ceil);
    let mut closed = b"INMT\x01\0\x01\0".to_vec();
    closed.extend(&bytes[8..32]);
    closed.extend(1_u64.to_le_bytes());
    closed.extend([0; 16]);
    closed.extend(xxh3_64(&closed).to_le_bytes());
    assert_eq!(meter.to_bytes(), *closed);
}

#[test]
fn every_flipped_bit_and_every_other_length_is_an_error() {
    let mut closed = carrying(u64::try_from(DENOMINATOR / 2).unwrap(), 5);
    closed.close(Close::HalfEven);
    for meter in [new(), carrying(u64::try_from(DENOMINATOR - 1).unwrap(), 5), closed] {
        let bytes = meter.to_bytes();
        assert_eq!(Meter::from_bytes(&bytes), Ok(meter));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = Meter::from_bytes(&flipped).unwrap_err();
            let named = match bit / 8 {
                0..4 => matches!(error, DecodeMeterError::NotAMeter { .. }),
                4..6 => matches!(error, DecodeMeterError::Version { .. }),
                _ => matches!(error, DecodeMeterError::Checksum { .. }),
            };
            assert!(named, "bit {bit}: {error}");
        }
        for len in 0..bytes.len() {
            assert_eq!(Meter::from_bytes(&bytes[..len]), Err(DecodeMeterError::Length { len }));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Meter::from_bytes(&longer), Err(DecodeMeterError::Length { len: 65 }));
    }
}

/// The bytes with the checksum that belongs to them.
fn sealed(mut bytes: [u8; 64]) -> [u8; 64] {
    let checksum = xxh3_64(&bytes[..56]);
    bytes[56..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn values_that_no_meter_has_are_refused() {
    let accrued = carrying(5, 9).to_bytes();
    let mut closed = carrying(5, 9);
    closed.close(Close::Ceil);
    let closed = closed.to_bytes();
    let with = |mut bytes: [u8; 64], offset: usize, field: &[u8]| {
        bytes[offset..offset + field.len()].copy_from_slice(field);
        Meter::from_bytes(&sealed(bytes))
    };
    let refused = |offset, value| Err(DecodeMeterError::OutOfRange { offset, value });
    assert_eq!(with(accrued, 6, &[2]), refused(6, 2));
    assert_eq!(with(accrued, 7, &[2]), refused(7, 2));
    assert_eq!(with(accrued, 40, &DENOMINATOR.to_le_bytes()), refused(40, DENOMINATOR));
    assert_eq!(with(accrued, 40, &u128::MAX.to_le_bytes()), refused(40, u128::MAX));
    assert!(with(accrued, 40, &(DENOMINATOR - 1).to_le_bytes()).is_ok());
    assert!(with(accrued, 32, &u64::MAX.to_le_bytes()).is_ok());
    assert_eq!(with(closed, 32, &[2]), refused(32, 2));
    assert_eq!(with(closed, 40, &[1]), refused(40, 1));
    assert!(with(closed, 32, &[0]).is_ok());
    assert_eq!(with(accrued, 4, &[2]), Err(DecodeMeterError::Version { version: 2 }));
    assert_eq!(with(accrued, 0, b"INOS"), Err(DecodeMeterError::NotAMeter { magic: *b"INOS" }));
}

/// The hashed bytes of docs/model.md, section 9. The number, of the first run, pins them for every target and version.
#[test]
fn charge_ids_are_as_documented() {
    let mut meter = carrying(1, 3);
    let expected = |until: u64, kind: u8| {
        let named = [&7_u128.to_le_bytes()[..], &until.to_le_bytes(), &[kind]].concat();
        TxId::from_parts(TxId::MAX_TIME.min(Millis(until)), xxh3_128(&named) << 48 >> 48)
    };
    let until = START.0 + 1;
    assert_eq!(Some(meter.charge_id()), expected(until, 0));
    assert_eq!(meter.charge_id(), TxId(0x018bcfe56801_3e1cc7bf72defa2a5ea1));
    meter.close(Close::Forgive);
    assert_eq!(Some(meter.charge_id()), expected(until, 1));

    // Beyond 48 bits the time is clipped, and the hash still tells the times apart.
    for until in [(1 << 48) - 1, 1 << 48, u64::MAX - 1, u64::MAX] {
        let id = Meter::new(MeterId(7), Millis(until)).charge_id();
        assert_eq!((id.time(), Some(id)), (TxId::MAX_TIME, expected(until, 0)));
    }
}

/// 100 meters with ids that differ in one bit or by one, over 200 times around the clipped ones, accrued and closed.
#[test]
fn charge_ids_differ() {
    let mut ids = Vec::new();
    let meters = (0..50).map(|bit| 1_u128 << (2 * bit)).chain(3_000..3_050);
    for meter in meters {
        for time in (0..100).map(|n| START.0 + n).chain(((1 << 48) - 50..).take(100)) {
            let mut meter = Meter::new(MeterId(meter), Millis(time - 1));
            let gb = reading(1_000_000_000, 0, 0);
            meter.accrue(Millis(time), &RATES, &TierPlan, &gb, Replicas(1)).unwrap();
            ids.push(meter.charge_id());
            meter.close(Close::Ceil);
            ids.push(meter.charge_id());
        }
    }
    assert_eq!(ids.len(), 40_000);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40_000);
}

/// A node that bills by the second against a real ledger, crashes after each step in turn, and
/// submits the stored charge after each restart: the payer pays the price of the hour, once.
#[test]
fn a_crash_at_any_step_charges_once() {
    let (mint, payer, node) = (AccountId(1), AccountId(2), AccountId(3));
    let id = |n| TxId::from_parts(START, n).unwrap();
    let mut ledger = Ledger::new(Limits::default(), 3);
    let opening = [
        Transaction::open(id(1), mint, AccountKind::Issuer),
        Transaction::open(id(2), payer, AccountKind::Holder),
        Transaction::open(id(3), node, AccountKind::Holder),
        Transaction::transfer(id(4), mint, payer, Credits(1_000_000)),
    ];
    ledger.apply(START, &opening, &mut Vec::new(), &mut Vec::new()).unwrap();
    let mut submit = |meter: &Meter, now| {
        if meter.charge() > Credits::ZERO {
            let pay = Transaction::transfer(meter.charge_id(), payer, node, meter.charge());
            let mut outcomes = Vec::new();
            ledger.apply(now, &[pay], &mut outcomes, &mut Vec::new()).unwrap();
            outcomes[0].verdict().unwrap();
        }
    };

    let mut stored = new().to_bytes();
    let used = reading(Bytes::GIB.0 * 64, 501, 777_777);
    for second in 1..=3_600 {
        let now = later(second * 1_000);
        let accrue = |meter: &mut Meter| meter.accrue(now, &RATES, &TierPlan, &used, Replicas(7)).unwrap();
        for crash in ["after accrue", "submitted, not stored", "after store", "after submit"] {
            let mut meter = Meter::from_bytes(&stored).unwrap();
            submit(&meter, now);
            accrue(&mut meter);
            if crash == "submitted, not stored" {
                submit(&meter, now);
            }
            if ["after accrue", "submitted, not stored"].contains(&crash) {
                continue;
            }
            stored = meter.to_bytes();
            if crash == "after submit" {
                submit(&meter, now);
            }
        }
    }
    let mut meter = Meter::from_bytes(&stored).unwrap();
    meter.close(Close::Ceil);
    submit(&meter, later(Millis::HOUR.0));
    submit(&meter, later(Millis::HOUR.0));

    let usage =
        Usage { stored: used.stored, held: Millis::HOUR, cpu: Millis(501 * 3_600), moved: Bytes(777_777 * 3_600) };
    let hour = quote(&RATES, &TierPlan, &usage, Replicas(7)).unwrap();
    assert_eq!(ledger.balance(node).0.unwrap().available(), u128::from(hour.total.0));
}
