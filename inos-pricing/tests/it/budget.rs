//! Goal: the budget law: the answer is affordable, and one replica more is not.
//! Method: random rates, usages, budgets and ranges against a search that quotes every number of the range; plans that
//! break their law; the examples by hand.

use core::ops::RangeInclusive;

use inos_pricing::{
    Affordable, Bytes, Credits, DEFAULT_RANGE, Floor, GeoPlan, Millis, Plan, PriceError, Quantity, Rates, Replicas,
    Spread, Thousandths, TierPlan, Usage, max_affordable, quote,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const RATES: Rates = Rates { storage: 20, compute: 0, bandwidth: 0 };
const GB_HOUR: Usage = Usage { stored: Bytes::GB, held: Millis::HOUR, cpu: Millis::ZERO, moved: Bytes::ZERO };

fn range(start: u16, end: u16) -> RangeInclusive<Replicas> {
    Replicas(start)..=Replicas(end)
}

/// The budgets around each step of 1 GB-hour at 20 credits, by hand.
#[test]
fn steps_are_golden() {
    let buy = |budget| {
        let answer = max_affordable(&RATES, &TierPlan, &GB_HOUR, Credits(budget), DEFAULT_RANGE, Floor::Refuse);
        answer.unwrap().map(|answer| answer.replicas.0)
    };
    let expected = [(0, None), (59, None), (60, Some(3)), (79, Some(3)), (80, Some(4)), (139, Some(6)), (140, Some(7))];
    for (budget, replicas) in expected {
        assert_eq!(buy(budget), replicas, "{budget} credits");
    }
    assert_eq!(buy(u64::MAX), Some(7), "never above the range");
}

#[test]
fn below_the_floor_only_overspend_answers() {
    let buy = |floor| max_affordable(&RATES, &TierPlan, &GB_HOUR, Credits(45), DEFAULT_RANGE, floor).unwrap();
    assert_eq!(buy(Floor::Refuse), None);
    let quote = quote(&RATES, &TierPlan, &GB_HOUR, Replicas(3)).unwrap();
    assert_eq!(buy(Floor::Overspend), Some(Affordable { replicas: Replicas(3), quote, shortfall: Credits(15) }));
}

#[test]
fn free_usage_buys_the_end_of_the_range() {
    for floor in [Floor::Refuse, Floor::Overspend] {
        let answer = max_affordable(&RATES, &TierPlan, &Usage::default(), Credits(0), range(1, 700), floor).unwrap();
        assert_eq!(answer.map(|answer| (answer.replicas, answer.shortfall)), Some((Replicas(700), Credits(0))));
    }
}

#[test]
fn ranges_are_checked() {
    let buy = |range| max_affordable(&RATES, &TierPlan, &GB_HOUR, Credits(100), range, Floor::Refuse);
    let empty = range(4, 3);
    assert_eq!(buy(empty), Err(PriceError::EmptyRange { start: Replicas(4), end: Replicas(3) }));
    assert_eq!(buy(range(0, 3)), Err(PriceError::ReplicasOutOfRange { replicas: Replicas(0) }));
    assert_eq!(buy(range(700, 701)), Err(PriceError::ReplicasOutOfRange { replicas: Replicas(701) }));
}

/// Falls by one thousandth at one number.
struct Dip(u16);

impl Plan for Dip {
    fn factor(&self, replicas: Replicas) -> Result<Thousandths, PriceError> {
        Ok(Thousandths(if replicas.0 == self.0 { 999 } else { 1_000 }))
    }
}

#[test]
fn a_plan_that_falls_is_found_anywhere_in_the_range() {
    for dip in 1..=700 {
        // Also beyond what the budget buys, and if it buys nothing.
        for budget in [0, 20, u64::MAX].map(Credits) {
            let answer = max_affordable(&RATES, &Dip(dip), &GB_HOUR, budget, range(3, 600), Floor::Refuse);
            let expected = PriceError::PlanNotMonotone {
                replicas: Replicas(dip),
                factor: Thousandths(999),
                previous: Thousandths(1_000),
            };
            assert_eq!(
                answer.is_err(),
                (4..=600).contains(&dip),
                "at the start of the range there is nothing to fall from"
            );
            assert!(answer.is_ok() || answer == Err(expected));
        }
    }
}

/// Prices above 64 bits are above every budget, except that of the floor itself, which has to be told.
#[test]
fn prices_that_do_not_fit_are_not_affordable() {
    let rates = Rates { compute: Rates::MAX, ..Rates::default() };
    let usage = Usage { cpu: Usage::MAX_CPU, ..Usage::default() };
    let buy = |range, floor| max_affordable(&rates, &TierPlan, &usage, Credits::MAX, range, floor);
    // 125 is the factor of 565 replicas, and its price is 2^64.
    assert_eq!(buy(range(1, 700), Floor::Refuse).unwrap().unwrap().replicas, Replicas(564));
    assert_eq!(buy(range(565, 700), Floor::Refuse), Ok(None));
    let error = buy(range(565, 700), Floor::Overspend).unwrap_err();
    assert!(matches!(error, PriceError::Overflow { quantity: Quantity::Total, .. }));
}

/// The largest number of the range that is affordable, by asking for the price of each.
fn search(
    rates: &Rates,
    plan: &dyn Plan,
    usage: &Usage,
    budget: Credits,
    range: RangeInclusive<Replicas>,
) -> Option<Replicas> {
    let affordable = |&replicas: &Replicas| quote(rates, plan, usage, replicas).is_ok_and(|q| q.total <= budget);
    (range.start().0..=range.end().0).rev().map(Replicas).find(affordable)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_budget_law_holds(
        storage in 0_u32..=1_000,
        compute in 0_u32..=50,
        bandwidth in 0_u32..=50,
        stored in 0_u64..=20_000_000_000,
        held in 0_u64..=10_000_000,
        cpu in 0_u64..=100_000,
        moved in 0_u64..=20_000_000_000,
        start in 1_u16..=700,
        len in 0_u16..=60,
        plan in 0..3,
        // Between the price of the start and a little beyond that of the end of the range, mostly.
        share in 0_u64..=120,
        off in 0_u64..3,
    ) {
        let rates = Rates { storage, compute, bandwidth };
        let usage = Usage { stored: Bytes(stored), held: Millis(held), cpu: Millis(cpu), moved: Bytes(moved) };
        let end = (start + len).min(700);
        let plan: &dyn Plan = match plan {
            0 => &TierPlan,
            1 => &GeoPlan { spread: Spread::OneRegion },
            _ => &GeoPlan { spread: Spread::ManyRegions },
        };
        let cost = |n| quote(&rates, plan, &usage, Replicas(n)).unwrap().total;
        let (least, most) = (cost(start).0, cost(end).0);
        let budget = Credits((least + (most - least) * share / 100 + off).saturating_sub(1));

        let answer = max_affordable(&rates, plan, &usage, budget, range(start, end), Floor::Refuse).unwrap();
        prop_assert_eq!(answer.map(|a| a.replicas), search(&rates, plan, &usage, budget, range(start, end)));
        match answer {
            Some(Affordable { replicas, quote, shortfall }) => {
                prop_assert!(cost(replicas.0) <= budget);
                prop_assert!(replicas.0 == end || cost(replicas.0 + 1) > budget);
                prop_assert_eq!(quote.total, cost(replicas.0));
                prop_assert_eq!(shortfall, Credits(0));
            }
            None => {
                prop_assert!(cost(start) > budget);
                let over = max_affordable(&rates, plan, &usage, budget, range(start, end), Floor::Overspend);
                let over = over.unwrap().unwrap();
                prop_assert_eq!(over.replicas, Replicas(start));
                prop_assert_eq!(over.shortfall.0 + budget.0, cost(start).0);
            }
        }
    }
}
