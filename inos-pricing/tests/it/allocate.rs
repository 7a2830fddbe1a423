//! Goal: parts are fair and sum to the whole.
//! Method: golden cases by hand; random splits against the definition of the largest remainder.

use inos_pricing::{AllocateError, Credits, allocate};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn split(total: u64, weights: &[u64]) -> Result<Vec<u64>, AllocateError> {
    let mut parts = vec![Credits(77); weights.len()];
    let result = allocate(Credits(total), weights, &mut parts);
    if result.is_err() {
        assert!(parts.iter().all(|&part| part == Credits(77)), "an error changes nothing");
    }
    result.map(|()| parts.iter().map(|part| part.0).collect())
}

#[test]
fn splits_are_golden() {
    assert_eq!(split(100, &[1, 1, 1]), Ok(vec![34, 33, 33]), "ties go to the lower index");
    assert_eq!(split(10, &[2, 3, 6]), Ok(vec![2, 3, 5])); // 1.82, 2.73, 5.45
    assert_eq!(split(5, &[0, 1, 0]), Ok(vec![0, 5, 0]));
    assert_eq!(split(1, &[u64::MAX, u64::MAX - 1]), Ok(vec![1, 0]));
    assert_eq!(split(u64::MAX, &[u64::MAX; 3]), Ok(vec![u64::MAX / 3; 3]));
    assert_eq!(split(0, &[0, 0]), Ok(vec![0, 0]));
    assert_eq!(split(0, &[]), Ok(vec![]));
}

#[test]
fn faulty_splits_are_errors() {
    assert_eq!(split(1, &[0, 0]), Err(AllocateError::NoWeight { total: Credits(1) }));
    assert_eq!(split(1, &[]), Err(AllocateError::NoWeight { total: Credits(1) }));
    let error = allocate(Credits(1), &[1], &mut []).unwrap_err();
    assert_eq!(error, AllocateError::LengthMismatch { weights: 1, parts: 0 });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_follow_the_largest_remainder(
        total in prop_oneof![0_u64..100, any::<u64>()],
        weights in prop::collection::vec(prop_oneof![0_u64..5, any::<u64>()], 1..12),
    ) {
        let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        prop_assume!(sum > 0);
        let parts = split(total, &weights).unwrap();
        prop_assert_eq!(parts.iter().map(|&part| u128::from(part)).sum::<u128>(), u128::from(total));
        let exact = |i: usize| u128::from(total) * u128::from(weights[i]);
        let up = |i: usize| {
            let floor = exact(i) / sum;
            assert!((floor..=floor + 1).contains(&u128::from(parts[i])), "a part is its share rounded down or up");
            u128::from(parts[i]) > floor
        };
        for i in (0..parts.len()).filter(|&i| up(i)) {
            for j in (0..parts.len()).filter(|&j| !up(j)) {
                let (a, b) = (exact(i) % sum, exact(j) % sum);
                prop_assert!(a > b || (a == b && i < j), "the largest remainders are rounded up");
            }
        }
    }
}
