//! Goal: an id reads back what it wrote, and its bytes are the same on every target. Method: every provided type, with
//! bytes written by hand.

use inos_alloc::Id;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn round_trip<I: Id>(id: I, bytes: &[u8]) {
    assert_eq!(id.to_bytes().as_ref(), bytes);
    assert_eq!(I::from_bytes(bytes), Some(id));
    assert_eq!(I::from_bytes(&bytes[1..]), None);
    assert_eq!(I::from_bytes(&[bytes, &[0]].concat()), None);
}

#[test]
fn every_provided_type_round_trips() {
    round_trip(0x0403_0201u32, &[1, 2, 3, 4]);
    round_trip(0x0807_0605_0403_0201u64, &[1, 2, 3, 4, 5, 6, 7, 8]);
    round_trip(1u128, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    round_trip([7u8; 16], &[7; 16]);
    round_trip([8u8; 20], &[8; 20]);
    round_trip([9u8; 32], &[9; 32]);
}
