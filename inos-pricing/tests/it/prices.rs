//! Goal: every price is the exact price rounded up once, on all of the range of replicas and up to the bounds. Method:
//! golden values from the tables by hand; all of 1..=700, and random usages, against natural numbers of any size with
//! an own formula for each dimension over its own denominator.

use inos_pricing::{
    Bytes, Credits, DENOMINATOR, Dimension, GeoPlan, Millis, Plan, PriceError, Quantity, Quote, Rates, Replicas,
    Spread, Thousandths, TierPlan, Usage, quote,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::bignum::Natural;

const ONE_REGION: GeoPlan = GeoPlan { spread: Spread::OneRegion };
const MANY_REGIONS: GeoPlan = GeoPlan { spread: Spread::ManyRegions };

fn factor(plan: &impl Plan, replicas: u16) -> u32 {
    plan.factor(Replicas(replicas)).unwrap().0
}

/// The tables of docs/model.md, section 2.
#[test]
fn factors_are_golden() {
    let tiers = [1, 3, 7, 8, 50, 51, 500, 501, 700].map(|n| factor(&TierPlan, n));
    assert_eq!(tiers, [1_000, 3_000, 7_000, 7_500, 28_500, 28_700, 118_500, 118_600, 138_500]);
    assert_eq!([3, 4, 5, 6, 7].map(|n| factor(&ONE_REGION, n)), [1_300, 1_450, 1_600, 1_750, 1_900]);
    assert_eq!([3, 4, 5, 6, 7].map(|n| factor(&MANY_REGIONS, n)), [1_170, 1_305, 1_440, 1_575, 1_710]);
}

/// Thousandths of the plans, one replica at a time: `TierPlan` in tenths, `GeoPlan` in hundredths.
fn naive_factor(plan: &str, replicas: u16) -> u32 {
    let tenths = |i| match i {
        1..=7 => 10,
        8..=50 => 5,
        51..=500 => 2,
        _ => 1,
    };
    let hundredths = |i| if i == 1 { 100 } else { 15 };
    match plan {
        "tier" => (1..=replicas).map(tenths).sum::<u32>() * 100,
        "one region" => (1..=replicas).map(hundredths).sum::<u32>() * 10,
        _ => (1..=replicas).map(hundredths).sum::<u32>() * 9,
    }
}

#[test]
fn factors_agree_with_the_sum_over_replicas_everywhere() {
    for n in 1..=700 {
        assert_eq!(factor(&TierPlan, n), naive_factor("tier", n), "{n} replicas");
        assert_eq!(factor(&ONE_REGION, n), naive_factor("one region", n), "{n} replicas");
        assert_eq!(factor(&MANY_REGIONS, n), naive_factor("many regions", n), "{n} replicas");
    }
}

fn check_monotone_and_concave(plan: &impl Plan) {
    let factors: Vec<u32> = (1..=700).map(|n| factor(plan, n)).collect();
    let steps: Vec<u32> = factors.windows(2).map(|pair| pair[1].checked_sub(pair[0]).expect("monotone")).collect();
    assert!(steps.windows(2).all(|pair| pair[1] <= pair[0]), "concave: the next replica never costs more");
}

#[test]
fn plans_are_monotone_and_concave() {
    check_monotone_and_concave(&TierPlan);
    check_monotone_and_concave(&ONE_REGION);
    check_monotone_and_concave(&MANY_REGIONS);
}

#[test]
fn replicas_outside_the_range_have_no_price() {
    for replicas in [0, 701, u16::MAX].map(Replicas) {
        let expected = PriceError::ReplicasOutOfRange { replicas };
        assert_eq!(TierPlan.factor(replicas), Err(expected));
        assert_eq!(ONE_REGION.factor(replicas), Err(expected));
        // Also of a plan that does not look.
        let error = quote(&Rates::default(), &Fixed(1_000), &Usage::default(), replicas).unwrap_err();
        assert_eq!(error, expected);
    }
}

/// A plan with the same factor for every number.
struct Fixed(u32);

impl Plan for Fixed {
    fn factor(&self, _: Replicas) -> Result<Thousandths, PriceError> {
        Ok(Thousandths(self.0))
    }
}

/// 1 GB for an hour at 20 credits per GB-hour on 5, 50 and 500 replicas.
#[test]
fn a_gigabyte_hour_is_golden() {
    let rates = Rates { storage: 20, compute: 7, bandwidth: 9 };
    let usage = Usage { stored: Bytes::GB, held: Millis::HOUR, ..Usage::default() };
    let totals = [5, 50, 500].map(|n| quote(&rates, &TierPlan, &usage, Replicas(n)).unwrap().total.0);
    assert_eq!(totals, [100, 570, 2_370]);
}

#[test]
fn every_dimension_has_its_unit() {
    let rates = Rates { storage: 3, compute: 5, bandwidth: 7 };
    let usage = Usage {
        stored: Bytes(2_000_000_000),
        held: Millis(30 * 60 * 1_000),
        cpu: Millis(4_000),
        moved: Bytes(11_000_000_000),
    };
    let quote = quote(&rates, &TierPlan, &usage, Replicas(1)).unwrap();
    let lines = quote.lines.map(|line| (line.dimension, line.credits.0));
    // 1 GB-hour x 3, 4 s x 5, 11 GB x 7.
    assert_eq!(lines, [(Dimension::Storage, 3), (Dimension::Compute, 20), (Dimension::Bandwidth, 77)]);
    assert_eq!(quote.total, Credits(100));
    // A binary gigabyte is 7.4 % more, and rounds up.
    let usage = Usage { stored: Bytes::GIB, held: Millis::MONTH, ..Usage::default() };
    let total = inos_pricing::quote(&rates, &TierPlan, &usage, Replicas(1)).unwrap().total;
    assert_eq!(total, Credits(2_320)); // 2160 x 1.073741824 = 2319.28...
}

/// Three lines of a third of a credit make one credit, not three.
#[test]
fn the_total_is_rounded_once() {
    let rates = Rates { storage: 0, compute: 1, bandwidth: 1 };
    let usage = Usage { cpu: Millis(400), moved: Bytes(500_000_000), ..Usage::default() };
    let quote = quote(&rates, &TierPlan, &usage, Replicas(1)).unwrap();
    assert_eq!(quote.total, Credits(1));
    assert_eq!(quote.lines.map(|line| line.credits.0), [0, 0, 1], "to the larger remainder");
}

#[test]
fn ties_between_lines_go_to_the_earlier() {
    let rates = Rates { storage: 1, compute: 1, bandwidth: 1 };
    let usage = Usage { stored: Bytes(500_000_000), held: Millis::HOUR, cpu: Millis(500), moved: Bytes(500_000_000) };
    let quote = quote(&rates, &TierPlan, &usage, Replicas(1)).unwrap();
    assert_eq!(quote.lines.map(|line| line.credits.0), [1, 1, 0]);
}

/// The exact price of each dimension as numerator and denominator, from the definition of the rates.
fn exact(rates: &Rates, usage: &Usage, factor: u32) -> [(Natural, Natural); 3] {
    let fraction = |numerator: &[u128], denominator: &[u128]| {
        let factor = Natural::from(u128::from(factor));
        (Natural::product(numerator).times(&factor), Natural::product(denominator).times(&Natural::from(1_000)))
    };
    let (gb, hour, second) = (1_000_000_000, 3_600_000, 1_000);
    [
        fraction(&[usage.stored.0.into(), usage.held.0.into(), rates.storage.into()], &[gb, hour]),
        fraction(&[usage.cpu.0.into(), rates.compute.into()], &[second]),
        fraction(&[usage.moved.0.into(), rates.bandwidth.into()], &[gb]),
    ]
}

/// Whether `numerator / denominator <= credits`.
fn at_most((numerator, denominator): &(Natural, Natural), credits: u64) -> bool {
    *numerator <= denominator.times(&Natural::from(u128::from(credits)))
}

fn sum(fractions: &[(Natural, Natural)]) -> (Natural, Natural) {
    fractions.iter().fold((Natural::from(0), Natural::from(1)), |(n, d), (numerator, denominator)| {
        (n.times(denominator).plus(&numerator.times(&d)), d.times(denominator))
    })
}

/// The largest-remainder rule, stated without arithmetic of remainders: no line is a credit away from its exact
/// amount, and a line that was rounded up has at least the remainder of one that was rounded down.
fn check_quote(quote: &Quote, rates: &Rates, usage: &Usage, factor: u32) {
    let exact = exact(rates, usage, factor);
    let total = sum(&exact);
    assert!(at_most(&total, quote.total.0), "the total covers the price");
    if quote.total > Credits::ZERO {
        assert!(!at_most(&total, quote.total.0 - 1), "the total is less than a credit above the price");
    }
    assert_eq!(quote.lines.iter().map(|line| u128::from(line.credits.0)).sum::<u128>(), quote.total.0.into());

    let mut remainders = Vec::new();
    for (line, (numerator, denominator)) in quote.lines.iter().zip(&exact) {
        let parts = Natural::from(line.exact_parts).times(denominator);
        assert_eq!(parts, numerator.times(&Natural::from(DENOMINATOR)), "exact parts");
        let fraction = (numerator.clone(), denominator.clone());
        let rounded_up =
            at_most(&fraction, line.credits.0) && line.credits.0 > 0 && !is_whole(&fraction, line.credits.0);
        let floor = if rounded_up { line.credits.0 - 1 } else { line.credits.0 };
        let below = denominator.times(&Natural::from(u128::from(floor)));
        let above = denominator.times(&Natural::from(u128::from(floor) + 1));
        assert!(below <= *numerator && *numerator < above, "a line is its exact amount rounded down or up");
        // The remainder over the common denominator of all lines, as exact parts less whole credits.
        remainders.push((line.exact_parts - u128::from(floor) * DENOMINATOR, rounded_up));
    }
    for (i, up) in remainders.iter().enumerate().filter(|(_, (_, up))| *up) {
        for (j, down) in remainders.iter().enumerate().filter(|(_, (_, up))| !*up) {
            assert!(up.0 > down.0 || (up.0 == down.0 && i < j), "the largest remainders are rounded up");
        }
    }
}

fn is_whole((numerator, denominator): &(Natural, Natural), credits: u64) -> bool {
    *numerator == denominator.times(&Natural::from(u128::from(credits)))
}

#[test]
fn quotes_agree_with_the_oracle_for_every_number_of_replicas() {
    let rates = Rates { storage: 20, compute: 13, bandwidth: 7 };
    let usage =
        Usage { stored: Bytes(123_456_789), held: Millis(987_654), cpu: Millis(1_999), moved: Bytes(87_654_321) };
    for n in 1..=700 {
        for (name, plan) in [("tier", &TierPlan as &dyn Plan), ("one region", &ONE_REGION), ("many", &MANY_REGIONS)] {
            let quote = quote(&rates, plan, &usage, Replicas(n)).unwrap();
            check_quote(&quote, &rates, &usage, naive_factor(name, n));
        }
    }
}

/// Of all magnitudes up to 2^bits alike.
fn up_to(bits: u32) -> impl Strategy<Value = u64> {
    (0..=bits, any::<u64>()).prop_map(move |(bits, value)| match bits {
        0 => 0,
        64 => value,
        _ => (value >> (64 - bits)).max(1 << (bits - 1)),
    })
}

fn any_rates() -> impl Strategy<Value = Rates> {
    let rate = || up_to(24).prop_map(|rate| u32::try_from(rate).unwrap());
    (rate(), rate(), rate()).prop_map(|(storage, compute, bandwidth)| Rates { storage, compute, bandwidth })
}

fn any_usage() -> impl Strategy<Value = Usage> {
    (up_to(50), up_to(36), up_to(43), up_to(62)).prop_map(|(stored, held, cpu, moved)| Usage {
        stored: Bytes(stored),
        held: Millis(held),
        cpu: Millis(cpu),
        moved: Bytes(moved),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn quotes_agree_with_the_oracle(rates in any_rates(), usage in any_usage(), n in 1_u16..=700) {
        let expected = sum(&exact(&rates, &usage, naive_factor("tier", n)));
        match quote(&rates, &TierPlan, &usage, Replicas(n)) {
            Ok(quote) => check_quote(&quote, &rates, &usage, naive_factor("tier", n)),
            Err(PriceError::Overflow { quantity: Quantity::Total, .. }) => {
                prop_assert!(!at_most(&expected, u64::MAX), "within the limits only a total above 64 bits overflows");
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn a_quote_never_panics(
        rates in any::<[u32; 3]>(), usage in any::<[u64; 4]>(), n in any::<u16>(), factor in any::<u32>(),
    ) {
        let rates = Rates { storage: rates[0], compute: rates[1], bandwidth: rates[2] };
        let usage = Usage {
            stored: Bytes(usage[0]), held: Millis(usage[1]), cpu: Millis(usage[2]), moved: Bytes(usage[3]),
        };
        let _ = quote(&rates, &Fixed(factor), &usage, Replicas(n));
    }
}

/// At all bounds at once the exact price still fits; its total, computed by hand below, does not fit 64 bits and says
/// so.
#[test]
fn the_largest_price_is_exact() {
    let rates = Rates { storage: Rates::MAX, compute: Rates::MAX, bandwidth: Rates::MAX };
    let usage =
        Usage { stored: Usage::MAX_STORED, held: Usage::MAX_HELD, cpu: Usage::MAX_CPU, moved: Usage::MAX_MOVED };
    let error = quote(&rates, &TierPlan, &usage, Replicas(700)).unwrap_err();
    let PriceError::Overflow { quantity: Quantity::Total, value, limit } = error else { panic!("{error}") };
    assert_eq!(limit, u128::from(u64::MAX));
    let (numerator, denominator) = sum(&exact(&rates, &usage, 138_500));
    assert!(numerator <= denominator.times(&Natural::from(value)));
    assert!(numerator > denominator.times(&Natural::from(value - 1)));
}

/// 2^43 ms x 2^24 credits a second x 125 is 2^67 / 8: exactly one more than fits.
#[test]
fn the_largest_total_is_64_bits() {
    let rates = Rates { compute: Rates::MAX, ..Rates::default() };
    let total = |cpu| quote(&rates, &Fixed(125_000), &Usage { cpu: Millis(cpu), ..Usage::default() }, Replicas(1));
    assert_eq!(total((1 << 43) - 1).unwrap().total, Credits(u64::MAX - (1 << 21) + 1));
    let (value, limit) = (1 << 64, (1 << 64) - 1);
    assert_eq!(total(1 << 43), Err(PriceError::Overflow { quantity: Quantity::Total, value, limit }));
}

#[test]
fn beyond_a_limit_is_an_overflow_that_names_it() {
    let over = |rates: Rates, usage: Usage, factor: u32| match quote(&rates, &Fixed(factor), &usage, Replicas(1)) {
        Err(PriceError::Overflow { quantity, value, limit }) => {
            assert_eq!(value, limit + 1);
            Some(quantity)
        }
        Ok(_) => None,
        Err(error) => panic!("{error}"),
    };
    let (r, u) = (Rates::default(), Usage::default());
    let more = Rates::MAX + 1;
    assert_eq!(over(Rates { storage: more, ..r }, u, 1), Some(Quantity::StorageRate));
    assert_eq!(over(Rates { compute: more, ..r }, u, 1), Some(Quantity::ComputeRate));
    assert_eq!(over(Rates { bandwidth: more, ..r }, u, 1), Some(Quantity::BandwidthRate));
    assert_eq!(over(r, Usage { stored: Bytes((1 << 50) + 1), ..u }, 1), Some(Quantity::Stored));
    assert_eq!(over(r, Usage { held: Millis((1 << 36) + 1), ..u }, 1), Some(Quantity::Held));
    assert_eq!(over(r, Usage { cpu: Millis((1 << 43) + 1), ..u }, 1), Some(Quantity::Cpu));
    assert_eq!(over(r, Usage { moved: Bytes((1 << 62) + 1), ..u }, 1), Some(Quantity::Moved));
    assert_eq!(over(r, u, 138_501), Some(Quantity::Factor));
    // Each limit itself is accepted.
    let limit = Rates { storage: Rates::MAX, compute: Rates::MAX, bandwidth: Rates::MAX };
    assert_eq!(over(limit, u, 138_500), None);
    let limit = Usage { stored: Bytes(1 << 50), held: Millis(1 << 36), cpu: Millis(1 << 43), moved: Bytes(1 << 62) };
    assert_eq!(over(r, limit, 138_500), None);
}
