//! Goal: the odds are right, to the last digits that matter, and the same everywhere. Method:
//!
//! Small cases are compared with exact integer arithmetic and with a count of all failure sets; large ones with values
//! computed from the definitions in exact rational arithmetic (Python's `fractions` and `math.comb`, with `p` the exact
//! value of the `f64`, rounded once at the end); both with simulations of fixed seed. A few results are pinned by their
//! bits, so a target that rounds differently fails.

use crate::common::config;
use inos_chunk::{ChunkSize, Config, Encoder, Geometry, StorageClass};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn geometry(data: u16, parity: u16) -> Geometry {
    Geometry::new(data, parity).unwrap()
}

/// Equal but for a share of `tolerance`; an expected 0 must be 0.
fn assert_close(actual: f64, expected: f64, tolerance: f64, what: &dyn core::fmt::Debug) {
    let off = (actual - expected).abs();
    assert!(off <= expected * tolerance, "{what:?}: {actual:e} is not {expected:e}");
}

fn binomial(n: u32, k: u32) -> u128 {
    (0..k).fold(1, |product, i| product * u128::from(n - i) / u128::from(i + 1))
}

/// The probability that a stripe is lost when each shard is with probability `p32 / 32`, from integers below 2^74.
fn exact_stripe_loss(data: u16, parity: u16, p32: u128) -> f64 {
    let shards = u32::from(data + parity);
    let ways = |lost: u32| binomial(shards, lost) * p32.pow(lost) * (32 - p32).pow(shards - lost);
    let lost: u128 = (u32::from(parity) + 1..=shards).map(ways).sum();
    lost as f64 / 32_u128.pow(shards) as f64
}

/// All stripes of a resource, as an encoder would make them.
fn stripes(config: &Config, chunks: u64) -> Vec<(u16, u16)> {
    let encoder = Encoder::new(chunks * config.chunk_size.bytes() as u64, config).unwrap();
    (0..).map_while(|stripe| encoder.stripe(stripe)).map(|shape| (shape.data, shape.parity)).collect()
}

#[test]
fn one_stripe_agrees_with_integers() {
    for data in 1..=11 {
        for parity in 1..=12 - data {
            for p32 in 0..=32_u8 {
                let p = f64::from(p32) / 32.0;
                let actual = geometry(data, parity).loss_probability(data.into(), p).unwrap();
                let expected = exact_stripe_loss(data, parity, p32.into());
                assert_close(actual, expected, 1e-14, &(data, parity, p));
            }
        }
    }
}

#[test]
fn many_stripes_are_those_that_the_encoder_makes() {
    for (data, parity, interleave) in [(3, 2, 1), (3, 2, 4), (4, 1, 3), (2, 2, 2), (5, 4, 7)] {
        let config = config(data, parity, interleave);
        for chunks in 0..=3 * u64::from(data * interleave) {
            for p32 in [0, 1, 3, 10, 31, 32] {
                let survives =
                    |(data, parity)| core::iter::once((-exact_stripe_loss(data, parity, p32)).ln_1p()).sum::<f64>();
                let expected = -stripes(&config, chunks).into_iter().map(survives).sum::<f64>().exp_m1();
                let actual = config.loss_probability(chunks, p32 as f64 / 32.0).unwrap();
                assert_close(actual, expected, 1e-13, &(config, chunks, p32));
            }
        }
    }
}

#[test]
fn the_geometry_alone_means_the_default_interleave() {
    let geometry = geometry(10, 3);
    let with = |interleave| Config { geometry, interleave, ..Config::default() }.loss_probability(31, 0.1);
    assert_eq!(geometry.loss_probability(31, 0.1), with(Config::default().interleave));
    assert_ne!(with(4), with(1));
    assert_eq!(with(0), None);
}

#[test]
fn large_cases_agree_with_rationals() {
    let wide = Geometry::WIDE;
    for (geometry, chunks, p, expected) in [
        (Geometry::DEFAULT, 100_000, 0.02, 4.381898653541391e-11),
        (Geometry::DEFAULT, 100_000, 0.05, 0.0005435474223238063),
        (Geometry::DEFAULT, 100_000, 0.08, 0.4187064152939319),
        (Geometry::DEFAULT, 100_000, 0.10, 0.9996553190828453),
        (Geometry::DEFAULT, 100_000, 0.12, 1.0),
        (Geometry::DEFAULT, 100, 0.001, 1.2764089592893215e-40),
        (geometry(200, 40), 100_000, 0.05, 3.4363439261559615e-9),
        (geometry(200, 40), 100_000, 0.10, 0.21952786470019323),
        (geometry(500, 100), 100_000, 0.08, 2.6408526095231437e-10),
        (geometry(500, 100), 100_000, 0.15, 0.9999999999804937),
        (wide, 100_000, 0.02, 6.1115508520903e-115),
        (wide, 100_000, 0.05, 2.331177739162726e-48),
        (wide, 100_000, 0.08, 3.8544043524572945e-21),
        (wide, 100_000, 0.10, 4.256172868346685e-11),
        (wide, 100_000, 0.12, 8.491358105829805e-5),
        (wide, 100_000, 0.15, 0.9942694483392618),
        (geometry(10, 4), 1, 1e-9, 1e-18),
        (geometry(10, 4), 10_000_000, 1e-9, 2.0019999849850006e-36),
        (geometry(32_768, 32_768), 32_768, 0.5, 0.49844163766187377),
    ] {
        let actual = geometry.loss_probability(chunks, p).unwrap();
        assert_close(actual, expected, 1e-12, &(geometry, chunks, p));
    }
}

#[test]
fn the_ends_of_the_range() {
    let largest = geometry(Geometry::MAX_SHARDS, Geometry::MAX_SHARDS);
    let below_one = 1.0 - f64::EPSILON / 2.0;
    for geometry in [geometry(1, 1), geometry(1, 32_768), geometry(32_768, 1), Geometry::DEFAULT, largest] {
        for chunks in [1, 99, 40_000, u64::MAX] {
            let lost = |p| geometry.loss_probability(chunks, p);
            assert_eq!(lost(0.0), Some(0.0));
            assert_eq!(lost(-0.0).map(f64::abs), Some(0.0));
            assert_eq!(lost(1.0), Some(1.0));
            assert!(lost(below_one).is_some_and(|lost| lost > 0.999_999_999 && lost <= 1.0));
            assert!(lost(f64::from_bits(1)).is_some_and(|lost| lost == 0.0));
            for p in [f64::NAN, f64::INFINITY, -f64::INFINITY, -1e-300, 1.0 + f64::EPSILON] {
                assert_eq!(lost(p), None);
            }
        }
        assert_eq!(geometry.loss_probability(0, 1.0), Some(0.0), "a resource without chunks cannot be lost");
    }
    // A quarter of 65,536 shards is so far from half of them that the odds, about 1e-4097, are not a number of f64.
    assert_eq!(largest.loss_probability(32_768, 0.25), Some(0.0));
    // One parity for 32,768 chunks, and 2^64 chunks: neither the tiny nor the huge is lost on the way.
    assert_close(geometry(1, 1).loss_probability(u64::MAX, 1e-20).unwrap(), 1.844_674_407_370_955e-21, 1e-12, &"2^64");
}

#[test]
fn nodes_agree_with_a_count_of_all_failure_sets() {
    for (data, parity) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 1), (6, 4), (1, 7)] {
        let shards = u32::from(data + parity);
        for nodes in 1..=11_u32 {
            let held = |node: u32| (0..shards).filter(|shard| shard % nodes == node).count();
            for failed in 0..=nodes {
                let sets = (0..1_u32 << nodes).filter(|set| set.count_ones() == failed);
                let (mut all, mut fatal) = (0_u32, 0_u32);
                for set in sets {
                    let lost: usize = (0..nodes).filter(|node| set >> node & 1 == 1).map(held).sum();
                    all += 1;
                    fatal += u32::from(lost > usize::from(parity));
                }
                let actual = geometry(data, parity).loss_probability_nodes(nodes, failed);
                assert_close(actual, f64::from(fatal) / f64::from(all), 1e-14, &(data, parity, nodes, failed));
            }
        }
    }
}

#[test]
fn many_nodes_agree_with_rationals() {
    for (nodes, failed, geometry, expected) in [
        (700, 105, Geometry::DEFAULT, 0.23793637122897027),
        (700, 70, Geometry::DEFAULT, 0.0035977238263970326),
        (700, 21, Geometry::DEFAULT, 1.7374427577164753e-17),
        (700, 20, Geometry::DEFAULT, 0.0),
        (120, 20, Geometry::DEFAULT, 0.0),
        (120, 21, Geometry::DEFAULT, 1.0),
        (121, 21, Geometry::DEFAULT, 0.8264462809917356),
        (100, 17, Geometry::DEFAULT, 0.4555354028048897),
        (50, 9, Geometry::DEFAULT, 0.793182453800314),
        (1_000_000, 150_000, Geometry::DEFAULT, 0.25567198333365065),
        (5_000, 600, Geometry::WIDE, 1.2047547878110124e-8),
        (100_000, 45_000, Geometry::WIDE, 1.0),
        (100, 12, Geometry::WIDE, 0.0),
        (0, 0, Geometry::DEFAULT, 1.0),
        (u32::MAX, 0, Geometry::DEFAULT, 0.0),
        (u32::MAX, u32::MAX, Geometry::DEFAULT, 1.0),
        (7, u32::MAX, Geometry::DEFAULT, 1.0),
    ] {
        let actual = geometry.loss_probability_nodes(nodes, failed);
        assert_close(actual, expected, 1e-12, &(nodes, failed, geometry));
    }
}

/// A multiplicative congruential generator; its upper bits decide.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.0 >> 32) * u64::from(bound)) >> 32) as u32
    }
}

/// The share of `rounds` that come out bad, against its probability: five standard deviations either way.
fn assert_simulated(expected: f64, rounds: u32, mut is_bad: impl FnMut() -> bool) {
    let bad = (0..rounds).filter(|_| is_bad()).count() as f64 / f64::from(rounds);
    let deviation = (expected * (1.0 - expected) / f64::from(rounds)).sqrt();
    assert!((bad - expected).abs() < 5.0 * deviation, "{bad} of the rounds, not {expected}");
}

#[test]
fn a_simulation_loses_as_many_resources() {
    let config = Config { geometry: geometry(10, 3), interleave: 3, chunk_size: ChunkSize::MIN, ..Config::default() };
    let (chunks, percent) = (47, 12);
    let shapes = stripes(&config, chunks);
    let mut dice = Dice(1);
    let expected = config.loss_probability(chunks, f64::from(percent) / 100.0).unwrap();
    assert_simulated(expected, 20_000, || {
        // Every piece is drawn, whatever became of those before it.
        let lost = |count: u16, dice: &mut Dice| (0..count).filter(|_| dice.below(100) < percent).count();
        let bad = shapes.iter().filter(|(data, parity)| lost(data + parity, &mut dice) > usize::from(*parity));
        bad.count() > 0
    });
}

#[test]
fn a_simulation_loses_as_many_stripes_to_failed_nodes() {
    let mut dice = Dice(2);
    for (nodes, failed, geometry) in [(40, 9, geometry(10, 4)), (9, 3, geometry(10, 4))] {
        let mut order: Vec<u32> = (0..nodes).collect();
        assert_simulated(geometry.loss_probability_nodes(nodes, failed), 20_000, || {
            for at in 0..failed {
                let other = at + dice.below(nodes - at);
                order.swap(at as usize, other as usize);
            }
            let shards_on = |node: u32| (0..geometry.shards()).filter(|shard| shard % nodes == node).count();
            let lost: usize = order[..failed as usize].iter().map(|&node| shards_on(node)).sum();
            lost > usize::from(geometry.parity())
        });
    }
}

#[test]
fn pinned_bits() {
    let bits = |value: f64| format!("{:016x}", value.to_bits());
    let lost = |geometry: Geometry, chunks, p| bits(geometry.loss_probability(chunks, p).unwrap());
    assert_eq!(lost(Geometry::DEFAULT, 100_000, 0.02), "3dc816f95f1813de");
    assert_eq!(lost(Geometry::DEFAULT, 100_001, 0.05), "3f68ebee8b1828ae");
    assert_eq!(lost(Geometry::WIDE, 100_000, 0.05), "360b4193bebff206");
    assert_eq!(lost(Geometry::DEFAULT, 777, 0.1), "3fb0630dfec36de6");
    assert_eq!(bits(Geometry::DEFAULT.loss_probability_nodes(700, 105)), "3fce74b2f27a8a36");
    assert_eq!(bits(Geometry::DEFAULT.loss_probability_nodes(97, 16)), "3fd41f858cb34a2c");
}

#[test]
fn only_large_cold_resources_are_wide() {
    const GIB: u64 = 1 << 30;
    for len in [0, 1, GIB, 10 * GIB] {
        for class in [StorageClass::Hot, StorageClass::Warm, StorageClass::Cold] {
            assert_eq!(Geometry::for_len(len, class), Geometry::DEFAULT);
        }
    }
    assert_eq!(Geometry::for_len(10 * GIB + 1, StorageClass::Cold), Geometry::WIDE);
    assert_eq!(Geometry::for_len(u64::MAX, StorageClass::Warm), Geometry::DEFAULT);
    assert_eq!(Geometry::for_len(u64::MAX, StorageClass::Hot), Geometry::DEFAULT);
}

/// What rounding may cost: a hundred times the error of the largest cases above is allowed.
const ROUNDING: f64 = 1.0 - 1e-10;

proptest! {
    #[test]
    fn more_losses_more_chunks_less_parity_are_worse(
        data in 1..=300_u16, parity in 1..=300_u16, chunks in 0..=100_000_u64, p in 0.0..=1.0_f64, more in 0.0..=1.0_f64,
    ) {
        let lost = |geometry: Geometry, chunks, p| geometry.loss_probability(chunks, p).unwrap();
        let here = lost(geometry(data, parity), chunks, p);
        prop_assert!((0.0..=1.0).contains(&here));
        let floor = here * ROUNDING;
        prop_assert!(lost(geometry(data, parity), chunks, p + (1.0 - p) * more) >= floor);
        prop_assert!(lost(geometry(data, parity), chunks + u64::from(data) * 4, p) >= floor);
        prop_assert!(lost(geometry(data, parity + 1), u64::from(data) * 4, p) * ROUNDING
            <= lost(geometry(data, parity), u64::from(data) * 4, p));
    }

    #[test]
    fn more_failed_nodes_are_worse(data in 1..=300_u16, parity in 1..=300_u16, nodes in 1..=2_000_u32, failed in 0..2_000_u32) {
        let geometry = geometry(data, parity);
        let here = geometry.loss_probability_nodes(nodes, failed);
        prop_assert!((0.0..=1.0).contains(&here));
        prop_assert!(geometry.loss_probability_nodes(nodes, failed + 1) >= here * ROUNDING);
    }
}
