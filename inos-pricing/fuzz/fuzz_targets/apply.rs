//! Goal: no batch makes a ledger panic, break an identity, or have another state than its journal says; a batch that is
//! sent again changes nothing that was applied.
//!
//! Method: batches of few ids and accounts from the input, on a ledger that has something of everything.

#![no_main]

use arbitrary::Unstructured;
use inos_pricing_fuzz::{drive, ledger};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (mut ledger, _) = ledger();
    drive(&mut ledger, &mut Unstructured::new(input));
});
