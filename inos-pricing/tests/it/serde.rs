//! Goal: what goes in and comes out can be sent and stored, in a form that does not change.
//! Method: JSON of one value of each kind, there and back, and the text itself.

use inos_pricing::{
    AccountId, Credits, GeoPlan, Limits, Millis, Outcome, Rates, Rejection, Remainder, Replicas, Sequence, Spread,
    Transaction, TxId, Usage, quote,
};
use serde::{Serialize, de::DeserializeOwned};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(value: &T) -> String {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "{text}");
    text
}

#[test]
fn transactions_and_outcomes() {
    let transfer = Transaction::transfer(TxId(u128::MAX), AccountId(1), AccountId(u128::MAX), Credits(5)).linked();
    assert_eq!(
        there_and_back(&transfer),
        "{\"id\":340282366920938463463374607431768211455,\"operation\":{\"transfer\":{\"from\":1,\
         \"to\":340282366920938463463374607431768211455,\"amount\":5}},\"link\":\"next\"}"
    );
    let _ = there_and_back(&Transaction::capture(TxId(1), TxId(2), Credits(3), Remainder::Keep));
    let _ = there_and_back(&Transaction::open_stream(TxId(1), AccountId(2), AccountId(3), Credits(4), Credits(5)));
    assert_eq!(there_and_back(&Outcome::Applied(Sequence(7))), "{\"applied\":7}");
    let rejected = Outcome::Exists(Err(Rejection::Overdraft { available: Credits(3) }));
    assert_eq!(there_and_back(&rejected), "{\"exists\":{\"Err\":{\"overdraft\":{\"available\":3}}}}");
    let _ = there_and_back(&Limits::default());
    let one = Limits { max_ids: 1, ..Limits::default() };
    assert_eq!(serde_json::from_str::<Limits>("{\"max_ids\":1}").unwrap(), one, "what is left out is the default");
}

#[test]
fn prices() {
    let rates = Rates { storage: 20, compute: 3, bandwidth: 1 };
    let usage = Usage { held: Millis::HOUR, ..Usage::default() };
    let plan = GeoPlan { spread: Spread::ManyRegions };
    assert_eq!(there_and_back(&plan), "{\"spread\":\"many_regions\"}");
    let _ = there_and_back(&rates);
    let _ = there_and_back(&usage);
    let _ = there_and_back(&quote(&rates, &plan, &usage, Replicas(3)).unwrap());
}
