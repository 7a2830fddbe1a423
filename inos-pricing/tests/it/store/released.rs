//! Goal: no outcome comes out before its sequence is synced, none is lost, and their order stays. Method: any order of
//! calls, beside a list that is searched from the front.

use inos_pricing::{Outcome, Released, Sequence};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Clone, Copy, Debug)]
enum Call {
    Submit(u64),
    Synced(u64),
    Poll,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let sequence = || prop_oneof![0_u64..20, Just(u64::MAX)];
    let call = prop_oneof![
        sequence().prop_map(Call::Submit),
        (0_u64..20).prop_map(Call::Synced),
        Just(Call::Poll),
        Just(Call::Poll)
    ];
    prop::collection::vec(call, 0..100)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn outcomes_wait_for_their_sync(calls in calls()) {
        let mut released = Released::default();
        let (mut submitted, mut polled, mut highest) = (Vec::new(), 0, 0);
        for (index, call) in calls.into_iter().enumerate() {
            match call {
                Call::Submit(sequence) => {
                    let outcomes = vec![Outcome::Applied(Sequence(index as u64)); index % 3];
                    submitted.push((Sequence(sequence), outcomes.clone()));
                    released.submit(Sequence(sequence), outcomes);
                }
                Call::Synced(sequence) => {
                    highest = highest.max(sequence);
                    released.synced(Sequence(sequence));
                }
                Call::Poll => {
                    let expected = submitted.get(polled).filter(|(sequence, _)| sequence.0 <= highest);
                    polled += usize::from(expected.is_some());
                    prop_assert_eq!(released.poll_released(), expected.cloned());
                }
            }
            prop_assert_eq!(released.waiting_count(), submitted.len() - polled);
        }
    }
}
