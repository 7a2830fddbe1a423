//! Goal: no bytes in place of a snapshot make a ledger panic, and a ledger that is restored from them can be used.
//!
//! Method: the input as it is; and as changes of a real snapshot, with its checksum mended. What is restored then answers
//! batches. A meter is read from the input, too.

#![no_main]

use arbitrary::Unstructured;
use inos_pricing::{Ledger, Meter};
use inos_pricing_fuzz::{LIMITS, drive, ledger, mend_snapshot};
use libfuzzer_sys::fuzz_target;

fn try_restore(snapshot: &[u8], rest: &[u8]) {
    if let Ok(mut ledger) = Ledger::restore(snapshot, LIMITS, 5) {
        assert_eq!(ledger.snapshot(), snapshot, "a snapshot has one form");
        drive(&mut ledger, &mut Unstructured::new(rest));
    }
}

fuzz_target!(|input: &[u8]| {
    try_restore(input, &[]);
    if let Ok(meter) = Meter::from_bytes(input) {
        assert_eq!(meter.to_bytes().as_slice(), input);
    }

    // Each three bytes: where, and what.
    let mut snapshot = ledger().0.snapshot();
    let (changes, rest) = input.split_at(input.len().min(24));
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % snapshot.len();
        snapshot[at] ^= change[2];
    }
    mend_snapshot(&mut snapshot);
    try_restore(&snapshot, rest);
});
